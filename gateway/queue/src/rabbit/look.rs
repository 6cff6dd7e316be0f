//! What is known of messages and queues, for those who ask. Changes nothing.

use std::time::Duration;

use uuid::Uuid;

use crate::pauses::Pauses;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::Shown;
use crate::store::Unavailable;

/// Until what is known of a message is read again by those who wait for a change: what is told may be missed.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// What is known of one message.
pub(super) async fn find(shared: &Shared, id: Uuid) -> Result<Option<Delivery>, Unavailable> {
    let card = shared.card(id).await?;
    Ok(card.map(|card| card.delivery()))
}

/// Waits until what is known of a message differs from this version.
pub(super) async fn changed(
    shared: &Shared,
    id: Uuid,
    since: u64,
) -> Result<Option<Delivery>, Unavailable> {
    let mut told = shared.changed.subscribe();
    loop {
        let found = find(shared, id).await?;
        if found.as_ref().is_none_or(|found| found.version != since) {
            return Ok(found);
        }
        let of_it = async {
            // Whoever has missed something looks again.
            while let Ok(changed) = told.recv().await {
                if changed == id {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(READ_AGAIN, of_it).await;
    }
}

/// One message with everything that is stored of it.
pub(super) async fn show(shared: &Shared, id: Uuid) -> Result<Option<Shown>, Unavailable> {
    let Some(card) = shared.card(id).await? else {
        return Ok(None);
    };
    let stored = card.message.as_deref();
    Ok(Some(Shown {
        delivery: card.delivery(),
        message: stored.and_then(|stored| stored::message(&shared.seal, id, stored).ok()),
        progress: card.progress,
    }))
}

/// Dead letters in the order of their death, after this one.
pub(super) async fn dead_letters(
    shared: &Shared,
    queue: Option<&str>,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<DeadLetter>, Unavailable> {
    let step = shared
        .index
        .step("dead")
        .arg(queue.unwrap_or_default())
        .arg(after.map(short).unwrap_or_default())
        .arg(most);
    let ids: Vec<String> = step.ask().await?;
    let ids = ids.iter().filter_map(|id| Uuid::try_parse(id).ok());
    let cards = ids.map(|id| shared.card(id));
    let cards = futures_util::future::try_join_all(cards).await?;
    let letters = cards.into_iter().flatten();
    Ok(letters.filter_map(|card| card.dead_letter()).collect())
}

/// How the queues stand.
pub(super) async fn depths(shared: &Shared) -> Result<Vec<Depth>, Unavailable> {
    let told: Vec<Vec<String>> = shared.index.step("depths").ask().await?;
    let mut depths: Vec<Depth> = told.into_iter().filter_map(depth).collect();
    depths.sort_by(|one, other| one.queue.cmp(&other.queue));
    // What holds nothing is not told.
    depths.retain(|it| it.waiting > 0 || it.dead > 0 || it.paused.is_some());
    Ok(depths)
}

fn depth(told: Vec<String>) -> Option<Depth> {
    let [queue, waiting, bytes, oldest, dead, pauses] = told.try_into().ok()?;
    let pauses: Pauses = serde_json::from_str(&pauses).unwrap_or_default();
    Some(Depth {
        queue,
        waiting: waiting.parse().ok()?,
        bytes: bytes.parse().ok()?,
        oldest: oldest.parse().ok(),
        dead: dead.parse().ok()?,
        paused: pauses.now,
    })
}
