//! From a message to a receipt. Start reading at [`append`].
//!
//! Owns the order of the steps, each of which may be the last of a process:
//!
//! 1. claim: the deduplication value is written, create-only, with the id;
//! 2. publish: the message is stored, and that is acknowledged;
//! 3. record: what is known of it is written, create-only;
//! 4. confirm: the deduplication value is marked as done.
//!
//! A message without its record is left alone for a while by the owner of its
//! partition: where its publication was refused though it may have been stored,
//! a record that says so is written instead, and it is never delivered.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::message::Message;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::dedupe;
use crate::nats::dedupe::Claimed;
use crate::nats::dedupe::Dedupe;
use crate::nats::keep::name_queue;
use crate::nats::look;
use crate::nats::names;
use crate::nats::record::Known;
use crate::nats::record::Phase;
use crate::nats::record::Place;
use crate::nats::record::ROOM;
use crate::nats::settle::safe;
use crate::nats::shared::Hold;
use crate::nats::shared::NotChanged;
use crate::nats::shared::Shared;
use crate::nats::take::place_of;
use crate::seal::Line;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Status;

/// When it is worth to try again where the brokers are away.
const AWAY: Duration = Duration::from_secs(2);
/// When it is worth to try again where as much waits as may.
const FULL: Duration = Duration::from_secs(10);
/// Between two tries of a publication.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes messages durable; those of one line one after the other, so that they stay in order.
pub(super) async fn append(shared: &Hold, messages: Vec<Message>) -> Vec<Result<Receipt, Refused>> {
    let mut lines: BTreeMap<Line, Vec<(usize, Message)>> = BTreeMap::new();
    let mut answers: Vec<_> = messages.iter().map(|_| Err(Refused::NotAlone)).collect();
    for (number, message) in messages.into_iter().enumerate() {
        let (line, _) = place_of(shared, &message);
        lines.entry(line).or_default().push((number, message));
    }
    let lines = lines.into_values().map(|line| async move {
        let mut answers = Vec::with_capacity(line.len());
        for (number, message) in line {
            answers.push((number, append_one(shared, message).await));
        }
        answers
    });
    for (number, answer) in join_all(lines).await.into_iter().flatten() {
        if let Some(place) = answers.get_mut(number) {
            *place = answer;
        }
    }
    answers
}

async fn append_one(shared: &Hold, mut message: Message) -> Result<Receipt, Refused> {
    if shared.is_closed() {
        return Err(away("the store is closed"));
    }
    let mut stored = fitting(shared, &message)?;
    name_queue(shared, &message.queue).await;
    let claim = match message.dedupe.clone() {
        None => None,
        Some(wanted) => match dedupe::claim(shared, &message, &wanted).await? {
            Claimed::Known(receipt) => return Ok(receipt),
            Claimed::Ours(claim) => Some(claim),
            Claimed::Adopted(claim) => {
                message.id = claim.id;
                message.accepted_at = claim.accepted_at;
                stored = fitting(shared, &message)?;
                Some(claim)
            }
        },
    };
    let published = publish(shared, &message, &stored, &message.id.to_string()).await;
    match published {
        Ok(place) => confirm(shared, &message, place, claim.as_ref()).await,
        Err(refused) => {
            if let Some(claim) = &claim {
                dedupe::release(shared, claim).await;
            }
            return Err(refused);
        }
    }
    Ok(Receipt {
        id: message.id,
        status: Status::Queued,
        accepted_at: message.accepted_at,
        duplicate: claim.is_some_and(|claim| claim.adopted),
    })
}

fn fitting(shared: &Shared, message: &Message) -> Result<Bytes, Refused> {
    let encoded = message.encode();
    let broker = shared.broker.client().max_payload().saturating_sub(ROOM);
    let limit = shared.options.limits.message.min(broker);
    if encoded.len() > limit {
        return Err(Refused::TooLarge {
            bytes: encoded.len(),
            limit,
        });
    }
    Ok(shared.seal.seal(message.id, &encoded).into())
}

fn away(reason: impl Into<String>) -> Refused {
    Refused::Unavailable {
        reason: reason.into(),
        retry_after: AWAY,
    }
}

/// Stores a message, and says where it lies. By `number` the brokers know it again for two minutes.
pub(super) async fn publish(
    shared: &Shared,
    message: &Message,
    stored: &Bytes,
    number: &str,
) -> Result<Place, Refused> {
    let (line, partition) = place_of(shared, message);
    let line = message.key.is_some().then_some(line);
    let subject = shared.names.line(&message.queue, partition, line);
    let mut headers = headers_of(message, line);
    headers.insert(NATS_MESSAGE_ID, number);
    let position = put(shared, message.id, subject, headers, stored).await?;
    shared.work.expect(&message.queue, partition, position);
    Ok(Place {
        partition,
        line,
        position,
    })
}

fn headers_of(message: &Message, line: Option<Line>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(names::ID, message.id.to_string());
    headers.insert(names::CORRELATION, safe(&message.correlation_id));
    headers.insert(names::REQUEST, safe(&message.request_id));
    headers.insert(names::ACCEPTED, message.accepted_at.to_string());
    if let Some(line) = line {
        headers.insert(names::LINE, Uuid::from_bytes(line).to_string());
    }
    if let Some(due) = message.not_before {
        headers.insert(names::NOT_BEFORE, due.to_string());
    }
    if let Some(trace) = &message.trace {
        headers.insert(names::TRACE, safe(trace));
    }
    headers
}

/// Tries for a while; the brokers know a message again that they have stored already.
async fn put(
    shared: &Shared,
    id: Uuid,
    subject: String,
    headers: HeaderMap,
    stored: &Bytes,
) -> Result<u64, Refused> {
    let deadline = Instant::now() + shared.options.patience;
    // Whether it may be stored though nobody said so.
    let mut sent = false;
    loop {
        let connected = shared.broker.is_connected();
        let put = shared.broker.put(
            subject.clone(),
            headers.clone(),
            stored.clone(),
            Expect::Anything,
        );
        let reason = match put.await {
            Ok(position) => return Ok(position),
            Err(NotPut::Full) if !sent => return Err(Refused::Full { retry_after: FULL }),
            Err(NotPut::Full) => "the queue is full".to_owned(),
            Err(NotPut::Conflict) => "another was first".to_owned(),
            Err(NotPut::Refused(why) | NotPut::Unknown(why)) => why,
        };
        sent |= connected;
        if Instant::now() >= deadline || !sent {
            if sent {
                take_back(shared, id);
            }
            return Err(away(reason));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn take_back(shared: &Shared, id: Uuid) {
    if shared.taken_back.try_send(id).is_err() {
        tracing::error!(%id, "a message was refused, and may be delivered nevertheless");
    }
}

/// It is stored, and so accepted: where the rest fails it is done later.
async fn confirm(shared: &Shared, message: &Message, place: Place, claim: Option<&Dedupe>) {
    let known = Known::fresh(message, place);
    match shared.change(message.id, &known, 0).await {
        // The owner of its partition was faster.
        Ok(_) | Err(NotChanged::Conflict) => {}
        Err(NotChanged::Unavailable(error)) => {
            tracing::warn!(id = %message.id, %error, "a message is durable, and its status is not written yet");
        }
    }
    if let Some(claim) = claim {
        dedupe::confirm(shared, claim).await;
    }
}

/// Writes of messages that were refused, though they may have been stored, that they were; for as long as it is polled.
pub(super) async fn refuse(shared: Hold, mut taken_back: mpsc::Receiver<Uuid>) {
    while let Some(id) = taken_back.recv().await {
        while let Err(error) = refuse_one(&shared, id).await {
            tracing::debug!(%error, %id, "a refused message is taken back as soon as that can be written");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn refuse_one(shared: &Shared, id: Uuid) -> Result<(), crate::store::Unavailable> {
    let nobody = Place {
        partition: 0,
        line: None,
        position: 0,
    };
    let known = Known::unreadable(nobody, "", crate::nats::record::Labels::default());
    let refused = Phase::Refused { at: shared.now() };
    let known = known.with(refused, known.progress.clone());
    match shared.change(id, &known, 0).await {
        Ok(_) => Ok(()),
        Err(NotChanged::Conflict) => {
            tracing::error!(%id, "a message was refused, and is delivered nevertheless");
            Ok(())
        }
        Err(NotChanged::Unavailable(error)) => Err(error),
    }
}

/// How a message that was accepted before stands.
pub(super) async fn status_of(shared: &Shared, id: Uuid) -> Result<Option<Status>, Refused> {
    match look::find(shared, id).await {
        Ok(delivery) => Ok(delivery.map(|delivery| delivery.status)),
        Err(error) => Err(away(error.0)),
    }
}
