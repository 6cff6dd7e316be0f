//! What operators do with what was given up, and with whole queues.

use async_nats::HeaderMap;
use bytes::Bytes;
use uuid::Uuid;

use crate::message::Message;
use crate::nats::append::publish;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::control::pause_key;
use crate::nats::keep::moved_to;
use crate::nats::keep::name_queue;
use crate::nats::keep::tell_to_look;
use crate::nats::look;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::pull::Pulled;
use crate::nats::pull::Visit;
use crate::nats::pull::scan;
use crate::nats::record::Known;
use crate::nats::record::Phase;
use crate::nats::record::opened;
use crate::nats::settle::caller_name;
use crate::nats::shared::NotChanged;
use crate::nats::shared::Shared;
use crate::pauses::Pauses;
use crate::seal::Line;
use crate::store::DeadLetter;
use crate::store::NotRetried;
use crate::store::Paused;
use crate::store::Unavailable;

/// How often something is tried that another is faster with.
const TRIES: u32 = 5;

/// Dead letters in the order of their death, after this one.
pub(super) async fn dead_letters(
    shared: &Shared,
    queue: Option<&str>,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<DeadLetter>, Unavailable> {
    let from = match after {
        None => 1,
        Some(after) => shared
            .dead(after)
            .await?
            .map_or(1, |dead| dead.sequence + 1),
    };
    let subject = match queue {
        Some(queue) => shared.names.dead_of(queue, None),
        None => shared.names.all_dead(),
    };
    let mut letters = Vec::new();
    let visit = |pulled: Pulled| {
        letters.extend(letter(shared, &pulled));
        match letters.len() < most {
            true => Visit::More,
            false => Visit::Enough,
        }
    };
    if most > 0 {
        scan(
            &shared.broker,
            &shared.names.dead(),
            &subject,
            from,
            false,
            visit,
        )
        .await?;
    }
    Ok(letters)
}

fn letter(shared: &Shared, pulled: &Pulled) -> Option<DeadLetter> {
    let id = id_of(pulled)?;
    match shared.decode(id, &pulled.payload) {
        Ok((known, _)) => known.dead_letter(id),
        Err(error) => {
            tracing::error!(%id, %error, "a dead letter cannot be read");
            None
        }
    }
}

fn id_of(pulled: &Pulled) -> Option<Uuid> {
    Uuid::try_parse(pulled.subject.rsplit('.').next()?).ok()
}

/// A dead letter, and where it lies.
struct Lying {
    known: Known,
    stored: Bytes,
    sequence: u64,
}

async fn lying(shared: &Shared, id: Uuid) -> Result<Option<Lying>, Unavailable> {
    let Some(dead) = shared.dead(id).await? else {
        return Ok(None);
    };
    let (known, stored) = shared.decode(id, &dead.payload)?;
    Ok(Some(Lying {
        known,
        stored,
        sequence: dead.sequence,
    }))
}

/// Puts a dead letter back.
pub(super) async fn retry(shared: &Shared, id: Uuid, force: bool) -> Result<(), NotRetried> {
    let dead = lying(shared, id).await?.ok_or(NotRetried::Unknown)?;
    let message = opened(&shared.seal, id, &dead.stored).map_err(|_| NotRetried::Damaged)?;
    if dead.known.blocks {
        put_back(shared, id, &dead.known).await?;
    } else {
        if let Some(line) = dead.known.line()
            && !force
            && has_moved_on(shared, id, &dead.known, line).await?
        {
            return Err(NotRetried::MovedOn);
        }
        put_behind(shared, &message, &dead).await?;
    }
    let stream = shared.names.dead();
    shared
        .insist(|| shared.broker.delete(&stream, dead.sequence))
        .await?;
    let line = dead.known.line().unwrap_or(id.into_bytes());
    tell_to_look(shared, &dead.known.queue, dead.known.partition, line).await;
    Ok(())
}

/// Whether later messages of its line wait, or were delivered.
async fn has_moved_on(
    shared: &Shared,
    id: Uuid,
    known: &Known,
    line: Line,
) -> Result<bool, Unavailable> {
    let fallen = shared.names.fallen(&known.queue, known.partition, line);
    let fallen = shared.broker.last(&shared.names.dead(), &fallen).await?;
    if fallen.is_some_and(|fallen| moved_to(&fallen.payload) > id) {
        return Ok(true);
    }
    let subject = shared.names.line(&known.queue, known.partition, Some(line));
    let mut later = false;
    let visit = |pulled: Pulled| {
        later |= names::id_of(&pulled.headers).is_some_and(|waiting| waiting > id);
        if later { Visit::Enough } else { Visit::More }
    };
    scan(
        &shared.broker,
        &shared.names.waiting(),
        &subject,
        1,
        true,
        visit,
    )
    .await?;
    Ok(later)
}

/// At the head of its line, where it lies still.
async fn put_back(shared: &Shared, id: Uuid, dead: &Known) -> Result<(), NotRetried> {
    for _ in 0..TRIES {
        let Some((known, revision)) = shared.known(id).await? else {
            return Err(NotRetried::Unknown);
        };
        if !matches!(known.phase, Phase::Dead { .. }) {
            // Somebody else has put it back.
            return Ok(());
        }
        let known = dead.put_back(dead.position, 0);
        match shared.change(id, &known, revision).await {
            Ok(_) => return Ok(()),
            Err(NotChanged::Conflict) => {}
            Err(NotChanged::Unavailable(error)) => return Err(error.into()),
        }
    }
    Err(Unavailable("others change it all the time".into()).into())
}

/// At the end of its line, as a copy; it is a dead letter until the record of the copy is written.
async fn put_behind(shared: &Shared, message: &Message, dead: &Lying) -> Result<(), NotRetried> {
    // Not by the message's own id: the brokers may remember it from its first publication.
    let number = format!("{}.{}", message.id, dead.sequence);
    let place = publish(shared, message, &dead.stored, &number).await;
    let place = place.map_err(|refused| Unavailable(refused.to_string()))?;
    let due = message.not_before.unwrap_or(0);
    let known = dead.known.put_back(place.position, due);
    for _ in 0..TRIES {
        let revision = match shared.known(message.id).await? {
            None => 0,
            // Whoever gave it up has not come to an end yet.
            Some((there, revision)) if matches!(there.phase, Phase::Dead { .. }) => revision,
            // Somebody else has put it back: this copy is none.
            Some(_) => return Ok(()),
        };
        match shared.change(message.id, &known, revision).await {
            Ok(_) => return Ok(()),
            Err(NotChanged::Conflict) => {}
            Err(NotChanged::Unavailable(error)) => return Err(error.into()),
        }
    }
    Err(Unavailable("others change it all the time".into()).into())
}

/// Deletes a dead letter; one that blocked its line lets it go.
pub(super) async fn purge(shared: &Shared, id: Uuid) -> Result<bool, Unavailable> {
    let Some(dead) = lying(shared, id).await? else {
        return Ok(false);
    };
    if dead.known.blocks && !purge_blocking(shared, id).await? {
        return Ok(false);
    }
    let stream = shared.names.dead();
    shared.broker.delete(&stream, dead.sequence).await?;
    shared
        .broker
        .tell(shared.names.changed(id), Vec::new())
        .await;
    let line = dead.known.line().unwrap_or(id.into_bytes());
    tell_to_look(shared, &dead.known.queue, dead.known.partition, line).await;
    Ok(true)
}

/// Takes a dead letter out of the line that it blocks; false where it was put back meanwhile.
pub(super) async fn purge_blocking(shared: &Shared, id: Uuid) -> Result<bool, Unavailable> {
    for _ in 0..TRIES {
        let Some((known, revision)) = shared.known(id).await? else {
            return Ok(true);
        };
        if !matches!(known.phase, Phase::Dead { .. } | Phase::Refused { .. }) {
            return Ok(false);
        }
        // First it is never delivered again, then it goes.
        let refused = Phase::Refused { at: shared.now() };
        let refused = known.with(refused, known.progress.clone());
        match shared.change(id, &refused, revision).await {
            Ok(revision) => {
                let stream = shared.names.waiting();
                shared.broker.delete(&stream, known.position).await?;
                shared.forget(revision).await?;
                return Ok(true);
            }
            Err(NotChanged::Conflict) => {}
            Err(NotChanged::Unavailable(error)) => return Err(error),
        }
    }
    Err(Unavailable("others change it all the time".into()))
}

/// Deletes what a caller's delivered messages say, and the dead letters.
pub(super) async fn erase(shared: &Shared, caller: &str) -> Result<u64, Unavailable> {
    let name = caller_name(shared, caller);
    let (done, all_done) = look::delivered(shared);
    let (dead, all_dead) = (shared.names.dead(), shared.names.all_dead());
    let delivered = of_caller(shared, &done, &all_done, &name).await?;
    let given_up = of_caller(shared, &dead, &all_dead, &name).await?;
    let mut erased = 0;
    for id in delivered {
        erased += u64::from(erase_delivered(shared, id, caller).await?);
    }
    for id in given_up {
        erased += u64::from(purge(shared, id).await?);
    }
    Ok(erased)
}

async fn of_caller(
    shared: &Shared,
    stream: &str,
    subject: &str,
    name: &str,
) -> Result<Vec<Uuid>, Unavailable> {
    let mut ids = Vec::new();
    let visit = |pulled: Pulled| {
        let caller = pulled.headers.get(names::CALLER);
        if caller.is_some_and(|caller| caller.as_str() == name) {
            ids.extend(id_of(&pulled));
        }
        Visit::More
    };
    scan(&shared.broker, stream, subject, 1, true, visit).await?;
    Ok(ids)
}

async fn erase_delivered(shared: &Shared, id: Uuid, caller: &str) -> Result<bool, Unavailable> {
    let Some(done) = shared.done(id).await? else {
        return Ok(false);
    };
    let (known, stored) = shared.decode(id, &done.payload)?;
    if stored.is_empty() || known.caller.as_deref() != Some(caller) {
        return Ok(false);
    }
    let erased = known.encode_with(&shared.seal, id, &[]);
    let subject = shared.names.of_message(Bucket::Done, id);
    shared
        .insist_on_put(&subject, &done.headers, &erased)
        .await?;
    Ok(true)
}

/// Pauses a queue, for every process, or lets it go on.
pub(super) async fn set_paused(
    shared: &Shared,
    queue: &str,
    paused: Option<Paused>,
) -> Result<(), Unavailable> {
    name_queue(shared, queue).await;
    let key = shared.names.key(Bucket::Control, &pause_key(queue));
    let stream = shared.names.bucket(Bucket::Control);
    for _ in 0..TRIES {
        let there = shared.broker.last(&stream, &key).await?;
        let revision = there.as_ref().map_or(0, |there| there.sequence);
        let before: Pauses = there
            .and_then(|there| serde_json::from_slice(&there.payload).ok())
            .unwrap_or_default();
        let after = before.set(paused.clone(), shared.now());
        let payload = serde_json::to_vec(&after).unwrap_or_default();
        let expect = Expect::Last(revision);
        let put = shared
            .broker
            .put(key.clone(), HeaderMap::new(), payload.into(), expect);
        match put.await {
            Ok(_) => {
                shared.view().set_pauses(queue, after);
                shared.work.wake_all();
                return Ok(());
            }
            Err(NotPut::Conflict) => {}
            Err(error) => return Err(Unavailable(format!("{error:?}"))),
        }
    }
    Err(Unavailable("others change it all the time".into()))
}
