//! What operators do with what was given up, and with whole queues.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::millis;
use crate::pauses::Pauses;
use crate::rabbit::append::publish_at;
use crate::rabbit::names;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::rabbit::stored::Card;
use crate::rabbit::stored::Stamp;
use crate::store::NotRetried;
use crate::store::Paused;
use crate::store::Unavailable;

/// How often something is tried that another is faster with.
const TRIES: u32 = 5;
/// How long what is left of refused and unconfirmed messages is known.
const LEFT: Duration = Duration::from_secs(3600);
/// Of each kind, so many are deleted in one step.
const SWEPT: u64 = 1_000;

/// Puts a dead letter back: first at the brokers, then in Redis.
pub(super) async fn retry(shared: &Shared, id: Uuid, force: bool) -> Result<(), NotRetried> {
    let step = shared.index.step("put_back").arg(short(id));
    let told: Result<Vec<String>, _> = step.arg(u8::from(force)).ask().await;
    let told = told.map_err(Unavailable::from)?;
    let Some(card) = shared.card(id).await? else {
        return Err(NotRetried::Unknown);
    };
    let (position, version) = match &told[..] {
        [word, position, version, _] if word == "head" || word == "behind" => (position, version),
        [word] if word == "moved on" => return Err(NotRetried::MovedOn),
        _ => return Err(NotRetried::Unknown),
    };
    let version: u64 = version.parse().unwrap_or(1);
    let place = match told[0] == "head" {
        true => lay_at_its_head(shared, &card, position, version).await?,
        false => publish_behind(shared, &card, position, version).await?,
    };
    let step = shared
        .index
        .step("was_put_back")
        .arg(short(id))
        .arg(version)
        .arg(position)
        .arg(place);
    // Where it is none any more, somebody else has put it back, or its owner has found the copy.
    let _: u8 = step.ask().await.map_err(Unavailable::from)?;
    Ok(())
}

/// At the end of its line, where its owner reads it.
async fn publish_behind(
    shared: &Shared,
    card: &Card,
    position: &str,
    version: u64,
) -> Result<String, NotRetried> {
    let stored = card.message.as_deref().unwrap_or_default();
    let message = stored::message(&shared.seal, card.id, stored);
    let message = message.map_err(|_| NotRetried::Damaged)?;
    let published = publish_at(shared, &message, stored, position, version).await;
    published.map_err(Unavailable::from)?;
    Ok(names::MAIN.to_owned())
}

/// At the head of the line that it blocks, where it is parked.
async fn lay_at_its_head(
    shared: &Shared,
    card: &Card,
    position: &str,
    version: u64,
) -> Result<String, NotRetried> {
    let stored = card.message.as_deref().unwrap_or_default();
    if stored::message(&shared.seal, card.id, stored).is_err() {
        return Err(NotRetried::Damaged);
    }
    let copy = Uuid::new_v4().simple().to_string();
    let belongs = (card.partition, &*card.line);
    let mut headers = stored::headers(&card.outside(), belongs, position, version);
    names::put(&mut headers, names::COPY, &copy);
    let payload = Stamp::default().with(&shared.seal, card.id, stored);
    let vault = shared.names.vault(&card.queue, card.partition);
    let published = shared.broker.publish(&vault, headers, &payload).await;
    published.map_err(Unavailable::from)?;
    Ok(copy)
}

/// Deletes a dead letter; one that blocked its line lets it go.
pub(super) async fn purge(shared: &Shared, id: Uuid) -> Result<bool, Unavailable> {
    let purged: u8 = shared.index.step("purge").arg(short(id)).ask().await?;
    Ok(purged == 1)
}

/// Deletes what a caller's delivered messages say, and the dead letters.
pub(super) async fn erase(shared: &Shared, caller: &str) -> Result<u64, Unavailable> {
    let caller = shared.caller(Some(caller));
    Ok(shared.index.step("erase").arg(caller).ask().await?)
}

/// Pauses a queue, for every process, or lets it go on.
pub(super) async fn set_paused(
    shared: &Shared,
    queue: &str,
    paused: Option<Paused>,
) -> Result<(), Unavailable> {
    for _ in 0..TRIES {
        let before: String = shared.index.step("pauses").arg(queue).ask().await?;
        let pauses: Pauses = serde_json::from_str(&before).unwrap_or_default();
        let after = pauses.set(paused.clone(), shared.clock.now());
        let text = serde_json::to_string(&after).unwrap_or_default();
        let step = shared
            .index
            .step("pause")
            .arg(queue)
            .arg(before)
            .arg(text)
            .arg(u8::from(after.now.is_some()));
        let done: u8 = step.ask().await?;
        if done == 1 {
            shared.work.wake(queue);
            return Ok(());
        }
    }
    Err(Unavailable("others change it all the time".into()))
}

/// Deletes what has been kept long enough.
pub(super) async fn sweep(shared: &Shared) -> Result<(), Unavailable> {
    let limits = &shared.options.limits;
    let step = shared
        .index
        .step("sweep")
        .arg(millis(limits.delivered))
        .arg(millis(limits.dead))
        .arg(millis(LEFT));
    while step.ask::<u64>().await? >= SWEPT {}
    Ok(())
}
