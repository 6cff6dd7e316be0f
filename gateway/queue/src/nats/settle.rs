//! How it went with a message. Start reading at [`settle`].
//!
//! Owns the order of the steps: first the record says what became of the
//! message, by compare-and-set, and that decides; then it is moved to where it
//! belongs. Whoever takes the partition over takes the steps that were left.

use async_nats::HeaderMap;
use bytes::Bytes;
use uuid::Uuid;

use crate::nats::hand::Hand;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::record::Known;
use crate::nats::record::Phase;
use crate::nats::shared::Hold;
use crate::nats::shared::NotChanged;
use crate::nats::shared::Shared;
use crate::nats::work::Held;
use crate::store::Claim;
use crate::store::NotSettled;
use crate::store::Progress;
use crate::store::Settled;
use crate::store::Unavailable;

/// Until a message is looked at again that blocks its line, in milliseconds: somebody may have decided, and not been heard.
pub(super) const LOOK_AGAIN: u64 = 30_000;

/// Says how it went with one that was taken.
pub(super) async fn settle(
    shared: &Hold,
    claim: &Claim,
    settled: Settled,
) -> Result<(), NotSettled> {
    let held = shared.work.held(claim.token, claim.id);
    let held = held.ok_or(NotSettled::Lost)?;
    let (phase, progress) = outcome(shared, &held.known, settled);
    if matches!(phase, Phase::Delivered { .. }) {
        mark_moved_on(shared, &held).await?;
    }
    let known = held.known.with(phase, progress);
    let revision = match shared.change(held.id, &known, held.revision).await {
        Ok(revision) => revision,
        Err(NotChanged::Conflict) => {
            if let Some(held) = shared.work.release(claim.token) {
                Hand::new(shared, held.owned, held.head).try_again();
            }
            shared.balance.notify_one();
            return Err(NotSettled::Lost);
        }
        Err(NotChanged::Unavailable(error)) => return Err(error.into()),
    };
    if let Some(held) = shared.work.release(claim.token) {
        put_back(shared, held, &known, revision).await;
    }
    shared.balance.notify_one();
    Ok(())
}

fn outcome(shared: &Shared, known: &Known, settled: Settled) -> (Phase, Progress) {
    let at = shared.now();
    match settled {
        Settled::Delivered(progress) => (Phase::Delivered { at }, progress),
        Settled::Again { progress, due } => (Phase::Waiting { due }, progress),
        Settled::Dead { progress, reason } => (Phase::Dead { reason, at }, progress),
        Settled::Returned => (Phase::Waiting { due: 0 }, known.progress.clone()),
    }
}

/// What follows from what was decided: nothing is lost where it fails, and somebody does it later.
async fn put_back(shared: &Hold, held: Held, known: &Known, revision: u64) {
    let hand = Hand::new(shared, held.owned, held.head);
    if let Phase::Waiting { due } = known.phase {
        return hand.due(due);
    }
    match finish(shared, held.id, (known, revision), &held.stored).await {
        Err(error) => {
            tracing::debug!(%error, id = %held.id, "a settled message is moved later");
            hand.try_again();
        }
        Ok(()) if matches!(known.phase, Phase::Dead { .. }) && known.blocks => {
            hand.later(LOOK_AGAIN);
        }
        Ok(()) => hand.gone().await,
    }
}

/// Moves a message that was delivered or given up to where it belongs. Each step may be taken twice.
pub(super) async fn finish(
    shared: &Shared,
    id: Uuid,
    (known, revision): (&Known, u64),
    stored: &Bytes,
) -> Result<(), Unavailable> {
    let record = known.encode_with(&shared.seal, id, stored);
    let headers = headers_of(shared, id, known);
    match known.phase {
        Phase::Delivered { .. } => {
            let subject = shared.names.of_message(Bucket::Done, id);
            shared.insist_on_put(&subject, &headers, &record).await?;
            if known.retried {
                forget_dead(shared, id).await?;
            }
        }
        Phase::Dead { .. } => {
            bury(shared, id, known, (&headers, &record)).await?;
            if known.blocks {
                // It stays at the head of its line until somebody decides.
                return Ok(());
            }
            mark_fallen(shared, known).await?;
        }
        Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Refused { .. } => return Ok(()),
    }
    let stream = shared.names.waiting();
    shared
        .insist(|| shared.broker.delete(&stream, known.position))
        .await?;
    shared.insist(|| shared.forget(revision)).await
}

/// Lays a message with the dead letters, where it does not lie there already.
async fn bury(
    shared: &Shared,
    id: Uuid,
    known: &Known,
    (headers, record): (&HeaderMap, &Bytes),
) -> Result<(), Unavailable> {
    if let Some(there) = shared.insist(|| shared.dead(id)).await? {
        let version = shared
            .decode(id, &there.payload)
            .map(|(known, _)| known.version);
        if version == Ok(known.version) {
            return Ok(());
        }
        let stream = shared.names.dead();
        shared
            .insist(|| shared.broker.delete(&stream, there.sequence))
            .await?;
    }
    let subject = shared.names.dead_letter(&known.queue, known.blocks, id);
    shared
        .insist_on_put(&subject, headers, record)
        .await
        .map(drop)
}

fn headers_of(shared: &Shared, id: Uuid, known: &Known) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(names::ID, id.to_string());
    headers.insert(names::CORRELATION, safe(&known.correlation_id));
    headers.insert(names::REQUEST, safe(&known.request_id));
    if let Phase::Delivered { at } | Phase::Dead { at, .. } = known.phase {
        headers.insert(names::FINAL, at.to_string());
    }
    if let Some(caller) = &known.caller {
        headers.insert(names::CALLER, caller_name(shared, caller));
    }
    headers
}

/// A caller's name for the brokers: who reads it does not know who that is, where records are sealed.
pub(super) fn caller_name(shared: &Shared, caller: &str) -> String {
    names::hex(shared.seal.line("caller", Some(caller), Uuid::nil()))
}

/// Text that may stand in a header.
pub(super) fn safe(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_graphic() || *c == ' ';
    text.chars().filter(fits).take(256).collect()
}

async fn forget_dead(shared: &Shared, id: Uuid) -> Result<(), Unavailable> {
    if let Some(dead) = shared.insist(|| shared.dead(id)).await? {
        let stream = shared.names.dead();
        shared
            .insist(|| shared.broker.delete(&stream, dead.sequence))
            .await?;
    }
    Ok(())
}

/// Its line has lost a message, and may not move on past it unnoticed.
async fn mark_fallen(shared: &Shared, known: &Known) -> Result<(), Unavailable> {
    let Some(line) = known.line() else {
        return Ok(());
    };
    let subject = shared.names.fallen(&known.queue, known.partition, line);
    let stream = shared.names.dead();
    let before = shared
        .insist(|| shared.broker.last(&stream, &subject))
        .await?;
    let moved_to = before.map_or(Uuid::nil(), |it| crate::nats::keep::moved_to(&it.payload));
    put_fallen(shared, &subject, moved_to).await?;
    let lease = shared.work.standing(&known.queue, known.partition);
    if let Some(standing) = lease {
        let owned = crate::nats::work::Owned {
            queue: known.queue.clone(),
            partition: known.partition,
            lease: standing.lease,
        };
        shared.work.fell(&owned, line);
    }
    Ok(())
}

async fn put_fallen(shared: &Shared, subject: &str, moved_to: Uuid) -> Result<(), Unavailable> {
    let payload = Bytes::copy_from_slice(moved_to.as_bytes());
    let headers = HeaderMap::new();
    let put = shared.insist_on_put(subject, &headers, &payload);
    put.await.map(drop)
}

/// A line that has lost a message moves on past it: said before the delivery is.
async fn mark_moved_on(shared: &Shared, held: &Held) -> Result<(), Unavailable> {
    let Some(line) = held.known.line() else {
        return Ok(());
    };
    if !shared.work.moves_on(&held.owned, line, held.id) {
        return Ok(());
    }
    let subject = shared
        .names
        .fallen(&held.owned.queue, held.owned.partition, line);
    put_fallen(shared, &subject, held.id).await?;
    shared.work.moved_on(&held.owned, line, held.id);
    Ok(())
}
