//! From the first of a line to a message in hand, and what came of it. Start reading at [`take`].
//!
//! Owns the claim: Redis hands a message out to the owner of its partition only,
//! and takes no other answer for it than that claim's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::millis;
use crate::message::DecodeError;
use crate::message::Message;
use crate::pauses::Pauses;
use crate::rabbit::broker::DELIVERIES;
use crate::rabbit::names;
use crate::rabbit::shared::Hold;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::rabbit::vault;
use crate::rabbit::work::Held;
use crate::rabbit::work::Parts;
use crate::store::Claim;
use crate::store::NotSettled;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Settled;
use crate::store::Taken;
use crate::store::Unavailable;

/// Until it is looked again where nothing was told: what is told may be missed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two tries where Redis is away.
const PAUSE: Duration = Duration::from_millis(100);
/// Until a message of a later release is looked at again, in milliseconds.
const LATER_RELEASE: u64 = 60_000;

/// The first ones of their lines that are due.
pub(super) async fn take(
    shared: &Hold,
    queue: &str,
    most: usize,
) -> Result<Vec<Taken>, Unavailable> {
    let (new, signal) = shared.work.serve(queue);
    if new {
        shared.balance.notify_one();
    }
    loop {
        let told = signal.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if shared.is_closed() {
            return Err(Unavailable("the store is closed".into()));
        }
        let mut wait = LOOK_AGAIN;
        match claimed(shared, queue, most).await {
            Ok(batch) if !batch.items.is_empty() => {
                let taken = batch.hand_out().await;
                if !taken.is_empty() {
                    return Ok(taken);
                }
                continue;
            }
            Ok(batch) => {
                if let Some(due) = batch.due {
                    wait = until(shared, due).min(LOOK_AGAIN);
                }
            }
            Err(error) => {
                tracing::debug!(%error, queue, "nothing can be taken from the queue");
                wait = PAUSE;
            }
        }
        tokio::select! {
            () = &mut told => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn until(shared: &Shared, due: u64) -> Duration {
    let left = due.saturating_sub(shared.clock.now());
    // The clock counts whole milliseconds.
    Duration::from_millis(left + 1)
}

/// Asks on a task of its own: whoever goes away meanwhile takes nothing.
async fn claimed(shared: &Hold, queue: &str, most: usize) -> Result<Batch, Unavailable> {
    let parts = shared.work.parts(queue);
    if parts.fences.is_empty() || most == 0 {
        return Ok(Batch::empty(shared));
    }
    let (tell, told) = oneshot::channel();
    let (shared, queue) = (shared.clone(), queue.to_owned());
    tokio::spawn(async move {
        // Where nobody listens any more, the batch gives back what it holds.
        let _ = tell.send(ask(&shared, queue, most, parts).await);
    });
    told.await
        .unwrap_or_else(|_| Err(Unavailable("it was interrupted".into())))
}

async fn ask(
    shared: &Hold,
    queue: String,
    most: usize,
    parts: Parts,
) -> Result<Batch, Unavailable> {
    let token = Uuid::new_v4().simple().to_string();
    let mut step = shared
        .index
        .step("take")
        .arg(&shared.me)
        .arg(&queue)
        .arg(most)
        .arg(&token)
        .arg(millis(shared.options.visibility))
        .arg(u8::from(parts.are_new));
    for (partition, fence) in parts.fences {
        step = step.arg(partition).arg(fence);
    }
    let (pauses, due, items): (Vec<u8>, String, Vec<Vec<Vec<u8>>>) = step.ask().await?;
    Ok(Batch {
        shared: shared.clone(),
        queue,
        token,
        pauses: serde_json::from_slice(&pauses).unwrap_or_default(),
        due: due.parse().ok(),
        items: items.into_iter().filter_map(Item::read).collect(),
    })
}

/// What Redis has handed out. What nobody took of it goes back where it is dropped.
struct Batch {
    shared: Hold,
    queue: String,
    token: String,
    pauses: Pauses,
    due: Option<u64>,
    items: Vec<Item>,
}

/// A message that was handed out.
struct Item {
    id: Uuid,
    stored: Vec<u8>,
    progress: Vec<u8>,
    since: u64,
    crashes: i32,
    partition: u32,
}

impl Item {
    fn read(fields: Vec<Vec<u8>>) -> Option<Self> {
        let [id, stored, progress, since, crashes, partition] = fields.try_into().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            id: Uuid::try_parse(&text(&id)).ok()?,
            stored,
            progress,
            since: text(&since).parse().unwrap_or(0),
            crashes: text(&crashes).parse().unwrap_or(0),
            partition: text(&partition).parse().ok()?,
        })
    }
}

/// What is to be done with a message that was handed out.
enum Found {
    Due(Box<(Message, Progress)>),
    Dead(Reason),
    Later,
}

impl Batch {
    fn empty(shared: &Hold) -> Self {
        Self {
            shared: shared.clone(),
            queue: String::new(),
            token: String::new(),
            pauses: Pauses::default(),
            due: None,
            items: Vec::new(),
        }
    }

    /// What can be read and is not known to bring its owner down; in one step at the end.
    async fn hand_out(mut self) -> Vec<Taken> {
        let mut due = Vec::new();
        let mut others = Vec::new();
        for item in &self.items {
            match self.look(item) {
                Found::Due(found) => due.push((item.id, found)),
                Found::Dead(reason) => others.push((self.held(item), Some(reason))),
                Found::Later => others.push((self.held(item), None)),
            }
        }
        for (held, reason) in others {
            self.set_aside(&held, reason).await;
            self.items.retain(|item| item.id != held.id);
        }
        let mut taken = Vec::new();
        for (id, found) in due {
            let Some(place) = self.items.iter().position(|item| item.id == id) else {
                continue;
            };
            let held = self.held(&self.items[place]);
            let (message, progress) = *found;
            if let Some(token) = self.shared.work.hold(held) {
                self.items.remove(place);
                taken.push(Taken {
                    claim: Claim {
                        id,
                        queue: self.queue.clone(),
                        token,
                    },
                    message,
                    progress,
                });
            }
        }
        taken
    }

    fn held(&self, item: &Item) -> Held {
        Held {
            id: item.id,
            queue: self.queue.clone(),
            partition: item.partition,
            token: self.token.clone(),
        }
    }

    fn look(&self, item: &Item) -> Found {
        let seal = &self.shared.seal;
        if item.crashes >= DELIVERIES {
            tracing::error!(id = %item.id, "a message was in hand whenever its gateway died, and is given up");
            return Found::Dead(Reason::Broker);
        }
        let message = match stored::message(seal, item.id, &item.stored) {
            Ok(message) => message,
            Err(DecodeError::Version(version)) => {
                tracing::warn!(id = %item.id, version, "a message of a later release is left alone");
                return Found::Later;
            }
            Err(error) => {
                tracing::error!(id = %item.id, %error, "a message of the queue cannot be read");
                return Found::Dead(Reason::Damaged);
            }
        };
        let progress = stored::progress(seal, item.id, item.progress.clone());
        let mut progress = progress.unwrap_or_default();
        if progress.active_since == 0 {
            progress.active_since = item.since.max(message.not_before.unwrap_or(0));
        }
        progress.active_since = self.pauses.moved_on(progress.active_since);
        Found::Due(Box::new((message, progress)))
    }

    async fn set_aside(&self, held: &Held, reason: Option<Reason>) {
        let outcome = match reason {
            Some(reason) => Outcome {
                word: "dead",
                progress: None,
                due: 0,
                reason: reason.as_str(),
            },
            None => Outcome {
                word: "again",
                progress: None,
                due: self.shared.clock.now() + LATER_RELEASE,
                reason: "",
            },
        };
        // Where that fails the claim ends of itself.
        let _ = settle_held(&self.shared, held, &outcome).await;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        for item in std::mem::take(&mut self.items) {
            let (shared, held) = (self.shared.clone(), self.held(&item));
            runtime.spawn(async move { settle_held(&shared, &held, &RETURNED).await });
        }
    }
}

/// What became of a message, as Redis is told.
struct Outcome {
    word: &'static str,
    /// None where nothing has changed.
    progress: Option<Progress>,
    due: u64,
    reason: &'static str,
}

const RETURNED: Outcome = Outcome {
    word: "returned",
    progress: None,
    due: 0,
    reason: "",
};

impl From<Settled> for Outcome {
    fn from(settled: Settled) -> Self {
        let (word, progress, due, reason) = match settled {
            Settled::Delivered(progress) => ("delivered", Some(progress), 0, ""),
            Settled::Again { progress, due } => ("again", Some(progress), due, ""),
            Settled::Dead { progress, reason } => ("dead", Some(progress), 0, reason.as_str()),
            Settled::Returned => return RETURNED,
        };
        Self {
            word,
            progress,
            due,
            reason,
        }
    }
}

/// Says how it went with one that was taken.
pub(super) async fn settle(
    shared: &Hold,
    claim: &Claim,
    settled: Settled,
) -> Result<(), NotSettled> {
    let held = shared.work.held(claim.token, claim.id);
    let held = held.ok_or(NotSettled::Lost)?;
    let done = settle_held(shared, &held, &settled.into()).await;
    if !matches!(done, Err(NotSettled::Unavailable(_))) {
        shared.work.release(claim.token);
    }
    shared.balance.notify_one();
    done
}

/// What is in hand goes back.
pub(super) async fn give_back(shared: &Shared, held: &Held) {
    let _ = settle_held(shared, held, &RETURNED).await;
}

async fn settle_held(shared: &Shared, held: &Held, outcome: &Outcome) -> Result<(), NotSettled> {
    let progress = match &outcome.progress {
        Some(progress) => stored::sealed_progress(&shared.seal, held.id, progress),
        None => b"-".to_vec(),
    };
    let step = shared
        .index
        .step("settle")
        .arg(short(held.id))
        .arg(&held.token)
        .arg(outcome.word)
        .bytes(&progress)
        .arg(outcome.due)
        .arg(outcome.reason);
    let deadline = Instant::now() + shared.options.patience;
    let told: Vec<String> = loop {
        match step.ask().await {
            Ok(told) => break told,
            Err(trouble) if Instant::now() >= deadline => {
                return Err(Unavailable::from(trouble).into());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    let place = match &told[..] {
        [word, place] if word == "settled" => place.clone(),
        _ => return Err(NotSettled::Lost),
    };
    match outcome.word {
        "delivered" if place == names::MAIN => {
            shared.work.over(&held.queue, held.partition, held.id);
        }
        "dead" => bury(shared, held, &place).await,
        _ => {}
    }
    Ok(())
}

/// A dead letter is kept in the vault. Where that fails, it lies where it was until its owner finds it.
async fn bury(shared: &Shared, held: &Held, place: &str) {
    match vault::put(shared, held.id, place).await {
        Ok(true) if place == names::MAIN => {
            shared.work.over(&held.queue, held.partition, held.id);
        }
        Ok(_) => {}
        Err(error) => {
            tracing::debug!(%error, id = %held.id, "a dead letter is moved later");
        }
    }
}

/// Keeps claims for longer; those that are lost.
pub(super) async fn renew(shared: &Arc<Shared>, claims: &[Claim]) -> Vec<Claim> {
    let mut lost = Vec::new();
    let mut step = shared
        .index
        .step("renew")
        .arg(millis(shared.options.visibility));
    let mut asked = Vec::new();
    for claim in claims {
        match shared.work.held(claim.token, claim.id) {
            Some(held) => {
                step = step.arg(short(held.id)).arg(held.token);
                asked.push(claim);
            }
            None => lost.push(claim.clone()),
        }
    }
    if asked.is_empty() {
        return lost;
    }
    // Where Redis is away they may be renewed before they end.
    let gone: Vec<String> = step.ask().await.unwrap_or_default();
    for claim in asked {
        if gone.contains(&short(claim.id)) {
            shared.work.release(claim.token);
            lost.push(claim.clone());
        }
    }
    lost
}
