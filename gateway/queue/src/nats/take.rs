//! From the first of a line to a message in hand. Start reading at [`take`].
//!
//! Owns the claim: the record of a message says by which lease it is in hand,
//! and was written by compare-and-set before anybody gets it. What a former
//! owner has begun is ended here, and copies of what lies elsewhere go.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::lines::Head;
use crate::message::DecodeError;
use crate::message::Message;
use crate::nats::hand::Hand;
use crate::nats::letters;
use crate::nats::names;
use crate::nats::record::Known;
use crate::nats::record::Labels;
use crate::nats::record::Phase;
use crate::nats::record::Place;
use crate::nats::record::opened;
use crate::nats::settle;
use crate::nats::settle::LOOK_AGAIN;
use crate::nats::shared::Hold;
use crate::nats::shared::NotChanged;
use crate::nats::shared::Revised;
use crate::nats::shared::Shared;
use crate::nats::work::Held;
use crate::nats::work::Owned;
use crate::seal::Line;
use crate::store::Claim;
use crate::store::Reason;
use crate::store::Taken;
use crate::store::Unavailable;

/// Messages that are claimed at once.
const AT_ONCE: usize = 64;
/// Until a message is looked at again that another is about to change, in milliseconds.
const TRY_AGAIN: u64 = 500;
/// Until a message of a later release is looked at again.
const LATER_RELEASE: u64 = 60_000;
/// While this process may not work on what it owns, or has not read all of it.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(100);

/// The first ones of their lines that are due.
pub(super) async fn take(
    shared: &Hold,
    queue: &str,
    most: usize,
) -> Result<Vec<Taken>, Unavailable> {
    let (new, signal) = shared.work.serve(queue);
    if new {
        shared.news.store(true, Ordering::Release);
        shared.balance.notify_one();
    }
    loop {
        let told = signal.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if shared.is_closed() {
            return Err(Unavailable("the store is closed".into()));
        }
        let (paused, valid) = (is_paused(shared, queue), shared.is_valid());
        if valid && !paused {
            let heads = shared.work.heads(queue, most, shared.now());
            let looked = !heads.is_empty();
            let taken = claim_all(shared, heads).await;
            if !taken.is_empty() {
                return Ok(taken);
            }
            if looked {
                continue;
            }
        }
        let due = (!paused).then(|| shared.work.next_due(queue)).flatten();
        let holds_back = !valid || shared.work.holds_back(queue);
        tokio::select! {
            () = &mut told => {}
            () = tokio::time::sleep(LOOK_AGAIN_SOON), if holds_back => {}
            () = until(shared, due), if due.is_some() => {}
        }
    }
}

fn is_paused(shared: &Shared, queue: &str) -> bool {
    let view = shared.view();
    view.pauses(queue)
        .is_some_and(|pauses| pauses.now.is_some())
}

async fn until(shared: &Shared, due: Option<u64>) {
    if let Some(due) = due {
        tokio::time::sleep_until(shared.clock.when(due)).await;
        // The clock counts whole milliseconds.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn claim_all(shared: &Hold, heads: Vec<(Owned, Head)>) -> Vec<Taken> {
    // All in hand at once, so that they go back where the caller goes away.
    let hands: Vec<Hand> = heads
        .into_iter()
        .map(|(owned, head)| Hand::new(shared, owned, head))
        .collect();
    let claimed: Vec<Claimed> = stream::iter(hands)
        .map(claim)
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    // Nothing is waited for any more: who is handed out is handed out.
    claimed.into_iter().filter_map(hand_out).collect()
}

/// A message whose record says that it is in hand.
struct Claimed {
    hand: Hand,
    held: Held,
    message: Message,
}

fn hand_out(claimed: Claimed) -> Option<Taken> {
    let Claimed {
        hand,
        held,
        message,
    } = claimed;
    let progress = held.known.progress.clone();
    let (id, queue) = (held.id, held.owned.queue.clone());
    let token = hand.shared.work.hold(held);
    hand.pass_on();
    let claim = Claim {
        id,
        queue,
        token: token?,
    };
    Some(Taken {
        claim,
        message,
        progress,
    })
}

/// What is to be done with the first message of a line.
enum Found {
    /// It is to be delivered.
    Due(Box<Due>),
    /// It cannot be read.
    Damaged(Box<Due>),
    /// Nothing before so many milliseconds are over.
    Later(u64),
    /// It was a copy, of what waits there without a line of its own.
    Lies(u64),
    /// It is no longer there.
    Gone,
}

/// A message, and what is known of it.
struct Due {
    id: Uuid,
    lying: StreamMessage,
    message: Option<Message>,
    known: Known,
    revision: u64,
}

async fn claim(hand: Hand) -> Option<Claimed> {
    let found = look_at(&hand).await;
    match found {
        Ok(Found::Due(due)) => take_hold(hand, *due).await,
        Ok(Found::Damaged(due)) => {
            bury(hand, *due).await;
            None
        }
        Ok(Found::Later(after)) => {
            hand.later(after);
            None
        }
        Ok(Found::Lies(position)) => {
            hand.lies(position);
            None
        }
        Ok(Found::Gone) => {
            hand.gone().await;
            None
        }
        Err(error) => {
            tracing::debug!(%error, "a message of the queue cannot be looked at");
            hand.try_again();
            None
        }
    }
}

async fn look_at(hand: &Hand) -> Result<Found, Unavailable> {
    let (shared, position) = (&hand.shared, hand.head.position);
    let Some(lying) = shared.broker.get(&shared.names.waiting(), position).await? else {
        return Ok(Found::Gone);
    };
    let Some(id) = names::id_of(&lying.headers) else {
        return foreign(hand, lying).await;
    };
    let message = match opened(&shared.seal, id, &lying.payload) {
        Ok(message) => Some(message),
        Err(DecodeError::Version(version)) => {
            tracing::warn!(%id, version, "a message of a later release is left alone");
            return Ok(Found::Later(LATER_RELEASE));
        }
        Err(error) => {
            tracing::error!(%id, %error, "a message of the queue cannot be read");
            None
        }
    };
    let Some((known, revision)) = known_of(hand, id, &lying, message.as_ref()).await? else {
        return unconfirmed(hand, id, &lying).await;
    };
    let due = Due {
        id,
        lying,
        message,
        known,
        revision,
    };
    judge(hand, due).await
}

/// What is to be done, by what is known.
async fn judge(hand: &Hand, due: Due) -> Result<Found, Unavailable> {
    let (shared, now) = (&hand.shared, hand.shared.now());
    if due.known.position != due.lying.sequence {
        let stream = shared.names.waiting();
        shared.broker.delete(&stream, due.lying.sequence).await?;
        let waits = due.known.line.is_none() && !due.known.is_final();
        return Ok(match waits {
            true => Found::Lies(due.known.position),
            false => Found::Gone,
        });
    }
    match due.known.phase {
        Phase::Waiting { due: at } if at > now => Ok(Found::Later(at - now)),
        Phase::Claimed { lease } if lease > hand.owned.lease => {
            // It is another's partition by now, which will be heard of.
            shared.balance.notify_one();
            Ok(Found::Later(TRY_AGAIN))
        }
        Phase::Waiting { .. } | Phase::Claimed { .. } if due.message.is_none() => {
            Ok(Found::Damaged(Box::new(due)))
        }
        Phase::Waiting { .. } | Phase::Claimed { .. } => Ok(Found::Due(Box::new(due))),
        Phase::Refused { .. } => {
            let stream = shared.names.waiting();
            shared.broker.delete(&stream, due.lying.sequence).await?;
            Ok(Found::Gone)
        }
        Phase::Delivered { .. } | Phase::Dead { .. } => over(shared, due).await,
    }
}

/// What was delivered or given up, and lies in its line still: it goes, unless it blocks that.
async fn over(shared: &Shared, due: Due) -> Result<Found, Unavailable> {
    let Phase::Dead { at, .. } = due.known.phase else {
        let record = (&due.known, due.revision);
        settle::finish(shared, due.id, record, &due.lying.payload).await?;
        return Ok(Found::Gone);
    };
    let kept = crate::clock::millis(shared.options.limits.dead);
    if due.known.blocks && at.saturating_add(kept) <= shared.now() {
        // The brokers have deleted the dead letter, or are about to.
        letters::purge_blocking(shared, due.id).await?;
        return Ok(Found::Gone);
    }
    let record = (&due.known, due.revision);
    settle::finish(shared, due.id, record, &due.lying.payload).await?;
    Ok(match due.known.blocks {
        true => Found::Later(LOOK_AGAIN),
        false => Found::Gone,
    })
}

/// What is known of a message; of one whose publisher has not confirmed it for too long, that it waits.
/// None while that may still come, and of copies of what lies elsewhere.
async fn known_of(
    hand: &Hand,
    id: Uuid,
    lying: &StreamMessage,
    message: Option<&Message>,
) -> Result<Option<Revised>, Unavailable> {
    let shared = &hand.shared;
    if let Some(known) = shared.known(id).await? {
        return Ok(Some(known));
    }
    if !is_abandoned(hand, lying) || is_elsewhere(shared, id).await? {
        return Ok(None);
    }
    let place = Place {
        partition: hand.owned.partition,
        line: names::header::<Uuid>(&lying.headers, names::LINE).map(Uuid::into_bytes),
        position: lying.sequence,
    };
    let known = match message {
        Some(message) => Known::fresh(message, place),
        None => Known::unreadable(place, &hand.owned.queue, labels(&lying.headers)),
    };
    match shared.change(id, &known, 0).await {
        Ok(revision) => Ok(Some((known, revision))),
        Err(NotChanged::Conflict) => shared.known(id).await,
        Err(NotChanged::Unavailable(error)) => Err(error),
    }
}

/// Whether the publisher of a message has had time enough to confirm it.
fn is_abandoned(hand: &Hand, lying: &StreamMessage) -> bool {
    let seen = hand.shared.now().saturating_sub(hand.head.since);
    let stored = u64::try_from(lying.time.unix_timestamp()).unwrap_or_default();
    let age = (hand.shared.now() / 1_000).saturating_sub(stored);
    let grace = hand.shared.options.grace;
    crate::clock::millis(grace) <= seen || (grace + CLOCKS_DIFFER).as_secs() <= age
}

/// By how much the clocks of servers and gateways may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(120);

async fn is_elsewhere(shared: &Shared, id: Uuid) -> Result<bool, Unavailable> {
    Ok(shared.done(id).await?.is_some() || shared.dead(id).await?.is_some())
}

async fn unconfirmed(hand: &Hand, id: Uuid, lying: &StreamMessage) -> Result<Found, Unavailable> {
    let shared = &hand.shared;
    if is_abandoned(hand, lying) && is_elsewhere(shared, id).await? {
        let stream = shared.names.waiting();
        shared.broker.delete(&stream, lying.sequence).await?;
        return Ok(Found::Gone);
    }
    // Its publisher is about to confirm it; the longer that takes, the more seldom it is looked for.
    let seen = shared.now().saturating_sub(hand.head.since);
    Ok(Found::Later((seen / 4).clamp(2, 1_000)))
}

/// Somebody else's message under our subjects.
async fn foreign(hand: &Hand, lying: StreamMessage) -> Result<Found, Unavailable> {
    let id = Uuid::from_bytes(hand.head.line);
    tracing::error!(
        position = lying.sequence,
        "a message of the queue bears no name"
    );
    let place = Place {
        partition: hand.owned.partition,
        line: None,
        position: lying.sequence,
    };
    let known = Known::unreadable(place, &hand.owned.queue, labels(&lying.headers));
    let (known, revision) = match hand.shared.known(id).await? {
        Some(revised) => revised,
        None => match hand.shared.change(id, &known, 0).await {
            Ok(revision) => (known, revision),
            Err(_) => return Ok(Found::Later(TRY_AGAIN)),
        },
    };
    let due = Due {
        id,
        lying,
        message: None,
        known,
        revision,
    };
    judge(hand, due).await
}

fn labels(headers: &HeaderMap) -> Labels {
    Labels {
        correlation_id: names::header(headers, names::CORRELATION).unwrap_or_default(),
        request_id: names::header(headers, names::REQUEST).unwrap_or_default(),
        accepted_at: names::header(headers, names::ACCEPTED).unwrap_or_default(),
    }
}

/// Writes that the message is in hand.
async fn take_hold(hand: Hand, due: Due) -> Option<Claimed> {
    let shared = hand.shared.clone();
    let mut progress = due.known.progress.clone();
    if progress.active_since == 0 {
        let not_before = due.message.as_ref().and_then(|it| it.not_before);
        progress.active_since = hand.head.since.max(not_before.unwrap_or(0));
    }
    progress.active_since = moved_on(&shared, &hand.owned.queue, progress.active_since);
    let phase = Phase::Claimed {
        lease: hand.owned.lease,
    };
    let known = due.known.with(phase, progress);
    // Without its own lease certainly valid, nothing is taken: another may be about to.
    if !shared.is_valid() || shared.is_closed() {
        return None;
    }
    let revision = match shared.change(due.id, &known, due.revision).await {
        Ok(revision) => revision,
        Err(NotChanged::Conflict) => {
            hand.later(2);
            return None;
        }
        Err(NotChanged::Unavailable(_)) => {
            hand.try_again();
            return None;
        }
    };
    let held = Held {
        id: due.id,
        owned: hand.owned.clone(),
        head: hand.head,
        known,
        revision,
        stored: due.lying.payload,
        until: Instant::now() + shared.options.visibility,
    };
    let message = due.message?;
    Some(Claimed {
        hand,
        held,
        message,
    })
}

fn moved_on(shared: &Shared, queue: &str, since: u64) -> u64 {
    let view = shared.view();
    view.pauses(queue)
        .map_or(since, |pauses| pauses.moved_on(since))
}

/// What cannot be read goes to the dead letters.
async fn bury(hand: Hand, due: Due) {
    let shared = hand.shared.clone();
    let phase = Phase::Dead {
        reason: Reason::Damaged,
        at: shared.now(),
    };
    let known = due.known.with(phase, due.known.progress.clone());
    match shared.change(due.id, &known, due.revision).await {
        Ok(revision) => {
            let record = (&known, revision);
            let finished = settle::finish(&shared, due.id, record, &due.lying.payload).await;
            match (finished, known.blocks) {
                (Ok(()), false) => hand.gone().await,
                (Ok(()), true) => hand.later(LOOK_AGAIN),
                (Err(_), _) => hand.try_again(),
            }
        }
        Err(_) => hand.try_again(),
    }
}

/// The line of a message, and the partition of that.
pub(super) fn place_of(shared: &Shared, message: &Message) -> (Line, u32) {
    let key = message.key.as_deref();
    let line = shared.seal.line(&message.queue, key, message.id);
    (line, shared.partition_of(line))
}
