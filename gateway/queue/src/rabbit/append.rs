//! From a message to a receipt. Start reading at [`append`].
//!
//! Owns the order of the steps, each of which may be the last of a process:
//!
//! 1. begin: room is made for it, its deduplication value claimed, and its place
//!    in the line given, in Redis;
//! 2. publish: the brokers store it, and confirm that; place and line are
//!    written on it, so that Redis may forget them;
//! 3. add: it waits in its line, in Redis, and its value is confirmed.
//!
//! What Redis does not know the owner of its partition finds at the brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::millis;
use crate::message::Message;
use crate::rabbit::broker::NotPublished;
use crate::rabbit::index::Trouble;
use crate::rabbit::names;
use crate::rabbit::shared::Hold;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::rabbit::stored::Labels;
use crate::rabbit::stored::Outside;
use crate::seal::Line;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Status;
use crate::store::Unavailable;

/// When it is worth to try again where the brokers are away.
const AWAY: Duration = Duration::from_secs(2);
/// When it is worth to try again where as much waits as may.
const FULL: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a claim is tried anew that another has changed.
const TRIES: u32 = 5;

/// Makes messages durable; those of one line one after the other, so that they stay in order.
pub(super) async fn append(shared: &Hold, messages: Vec<Message>) -> Vec<Result<Receipt, Refused>> {
    let mut lines: BTreeMap<Line, Vec<(usize, Message)>> = BTreeMap::new();
    let mut answers: Vec<_> = messages.iter().map(|_| Err(Refused::NotAlone)).collect();
    for (number, message) in messages.into_iter().enumerate() {
        let line = shared.belongs(&message).line;
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
    let bytes = message.encode().len();
    let limit = shared.options.limits.message;
    if bytes > limit {
        return Err(Refused::TooLarge { bytes, limit });
    }
    let begun = match begin(shared, &mut message, bytes).await? {
        Begun::Known(receipt) => return Ok(receipt),
        Begun::Ours(begun) => begun,
    };
    // A process that is interrupted here leaves what the owner finds.
    let shared = shared.clone();
    let rest = tokio::spawn(async move { store(&shared, message, begun).await });
    rest.await
        .unwrap_or_else(|_| Err(away("it was interrupted")))
}

/// What is known of a message that may be stored now.
struct Ours {
    position: String,
    adopted: bool,
}

enum Begun {
    Ours(Ours),
    /// It was accepted before.
    Known(Receipt),
}

async fn begin(shared: &Shared, message: &mut Message, bytes: usize) -> Result<Begun, Refused> {
    for _ in 0..TRIES {
        let told = ask_to_begin(shared, message, bytes).await;
        let told = told.map_err(|trouble| match trouble {
            Trouble::Full => Refused::Full { retry_after: FULL },
            Trouble::Away(why) => away(format!("Redis: {why}")),
        })?;
        let mut told = told.into_iter();
        let mut next = || told.next().unwrap_or_default();
        let (word, id, accepted_at, position) = (next(), next(), next(), next());
        let (id, accepted_at) = (Uuid::try_parse(&id), accepted_at.parse());
        match (&*word, id, accepted_at) {
            ("full", ..) => return Err(Refused::Full { retry_after: FULL }),
            ("conflict", ..) => return Err(Refused::Conflict),
            ("adopt", Ok(id), Ok(accepted_at)) => {
                // Somebody has begun with it and not come to an end: their message, under their id.
                message.id = id;
                message.accepted_at = accepted_at;
            }
            ("known" | "gone", Ok(id), Ok(accepted_at)) => {
                let known = shared.card(id).await.map_err(|error| away(error.0))?;
                return Ok(Begun::Known(Receipt {
                    id,
                    // Nothing is known of it any more: it was delivered or given up long ago.
                    status: known.map_or(Status::Delivered, |card| card.delivery().status),
                    accepted_at,
                    duplicate: true,
                }));
            }
            ("fresh" | "adopted", ..) => {
                return Ok(Begun::Ours(Ours {
                    position,
                    adopted: word == "adopted",
                }));
            }
            _ => return Err(away("an answer that the script does not give")),
        }
    }
    Err(away("others use the same deduplication value all the time"))
}

async fn ask_to_begin(
    shared: &Shared,
    message: &Message,
    bytes: usize,
) -> Result<Vec<String>, Trouble> {
    let belongs = shared.belongs(message);
    let limits = &shared.options.limits;
    let (dedupe, fingerprint, window) = dedupe(message);
    let step = shared
        .index
        .step("begin")
        .arg(short(message.id))
        .arg(&message.queue)
        .arg(belongs.partition)
        .arg(names::hex(belongs.line))
        .arg(u8::from(belongs.keyed))
        .arg(bytes)
        .arg(message.accepted_at)
        .arg(limits.messages)
        .arg(limits.bytes)
        .arg(dedupe)
        .arg(fingerprint)
        .arg(window)
        // Its owner looks for it when the grace is over, and is given as long again to find it.
        .arg(millis(shared.options.grace * 2));
    step.ask().await
}

/// What makes it one with another; empty where nothing does.
pub(super) fn dedupe(message: &Message) -> (&str, &str, u64) {
    message
        .dedupe
        .as_ref()
        .map_or(("", "", 0), |it| (&it.key, &it.fingerprint, it.window))
}

async fn store(shared: &Hold, message: Message, begun: Ours) -> Result<Receipt, Refused> {
    let stored = shared.seal.seal(message.id, &message.encode());
    publish(shared, &message, &stored, &begun.position).await?;
    if let Err(why) = add(shared, &message, &stored).await {
        // Nobody would know its place before its owner finds it, and later ones could overtake it.
        take_back(shared, message.id);
        return Err(away(why.0));
    }
    Ok(Receipt {
        id: message.id,
        status: Status::Queued,
        accepted_at: message.accepted_at,
        duplicate: begun.adopted,
    })
}

/// Tries for a while. The same message stored twice is one: its owner keeps the first.
async fn publish(
    shared: &Shared,
    message: &Message,
    stored: &[u8],
    position: &str,
) -> Result<(), Refused> {
    let deadline = Instant::now() + shared.options.patience;
    let mut sent = false;
    loop {
        let published = publish_at(shared, message, stored, position, 1).await;
        let reason = match published {
            Ok(()) => return Ok(()),
            Err(NotPublished::Away(why)) => why,
            Err(NotPublished::Unknown(why) | NotPublished::Refused(why)) => {
                sent = true;
                why
            }
        };
        if Instant::now() >= deadline || !sent {
            match sent {
                true => take_back(shared, message.id),
                false => never_sent(shared, message.id).await,
            }
            return Err(away(reason));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Stores a message where its partition's owner finds it.
pub(super) async fn publish_at(
    shared: &Shared,
    message: &Message,
    stored: &[u8],
    position: &str,
    version: u64,
) -> Result<(), NotPublished> {
    let belongs = shared.belongs(message);
    let declared = shared.broker.declare(&message.queue, belongs.partition);
    declared.await.map_err(NotPublished::Away)?;
    let labels = Labels::of(message);
    let outside = Outside {
        id: message.id,
        queue: &message.queue,
        accepted_at: message.accepted_at,
        labels: &labels,
        trace: message.trace.as_deref(),
    };
    let line = names::hex(belongs.line);
    let headers = stored::headers(&outside, (belongs.partition, &line), position, version);
    let queue = shared.names.main(&message.queue, belongs.partition);
    shared.broker.publish(&queue, headers, stored).await
}

async fn add(shared: &Shared, message: &Message, stored: &[u8]) -> Result<(), Unavailable> {
    let deadline = Instant::now() + shared.options.patience;
    let step = shared
        .index
        .step("add")
        .arg(short(message.id))
        .bytes(&stored::sealed(
            &shared.seal,
            message.id,
            &Labels::of(message),
        ))
        .bytes(stored)
        .arg(message.not_before.unwrap_or(0))
        .arg(u8::from(message.blocks))
        .arg(shared.caller(message.caller.as_deref()));
    loop {
        match step.ask::<String>().await {
            Ok(_) => return Ok(()),
            Err(trouble) if Instant::now() >= deadline => return Err(trouble.into()),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn away(reason: impl Into<String>) -> Refused {
    Refused::Unavailable {
        reason: reason.into(),
        retry_after: AWAY,
    }
}

async fn never_sent(shared: &Shared, id: Uuid) {
    let step = shared.index.step("refuse").arg(short(id)).arg("0");
    if let Err(trouble) = step.ask::<String>().await {
        // Its room is given back when nobody has confirmed it for long.
        tracing::debug!(?trouble, %id, "a message that was never sent is known for a while");
    }
}

fn take_back(shared: &Shared, id: Uuid) {
    if shared.taken_back.try_send(id).is_err() {
        tracing::error!(%id, "a message was refused, and may be delivered nevertheless");
    }
}

/// Writes of messages that were refused, though they may have been stored, that they were; for as long as it is polled.
pub(super) async fn refuse(shared: Hold, mut taken_back: mpsc::Receiver<Uuid>) {
    while let Some(id) = taken_back.recv().await {
        loop {
            let step = shared.index.step("refuse").arg(short(id)).arg("1");
            match step.ask::<String>().await {
                Ok(word) if word == "late" => {
                    tracing::error!(%id, "a message was refused, and is delivered nevertheless");
                    break;
                }
                Ok(_) => break,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
