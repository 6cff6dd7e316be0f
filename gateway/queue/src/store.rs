//! The contract that every store keeps. Start reading at [`Store`].
//!
//! Owns what a store promises and the words of that promise. Knows no store,
//! and nothing of who delivers: deciding what an attempt means is
//! [`crate::deliver`]'s.
//!
//! What every store promises, and what the one suite for all of them shows:
//!
//! 1. What `append` has answered survives everything but the loss of the disk
//!    or of the brokers' majority; what it has refused is never delivered.
//! 2. A message is in exactly one place: it waits, or it was delivered, or it
//!    lies with the dead letters. Nothing is deleted before its retention ends.
//! 3. `take` gives the first of each key's line that is due, and gives no other
//!    of that line until the first was settled. One line never waits for
//!    another, however many wait in it.
//! 4. What was taken and not settled when its owner died is taken again.
//! 5. A claim that is no longer its holder's settles nothing.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use crate::message::Message;

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where messages wait.
pub trait Store: Send + Sync + 'static {
    /// Whether several messages are appended as a whole or not at all.
    fn is_atomic(&self) -> bool;

    /// Makes messages durable, in this order, and answers only then. One answer for each.
    ///
    /// Where the store is atomic and one is refused, all are: the others as [`Refused::NotAlone`].
    fn append(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, Refused>>>;

    /// The first ones of their lines that are due, at most so many, oldest first: at once where
    /// there are any, else when there are. Dropping the future takes nothing.
    fn take<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Taken>, Unavailable>>;

    /// Says how it went with one that was taken; durable when it is answered.
    fn settle(&self, claim: Claim, settled: Settled) -> BoxFuture<'_, Result<(), NotSettled>>;

    /// Keeps claims for longer: their deliveries are still running. Those that are lost.
    fn renew<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Vec<Claim>>;

    /// What is known of one message.
    fn find(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>>;

    /// Waits until what is known of a message differs from this version of it.
    fn changed(&self, id: Uuid, since: u64)
    -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>>;

    /// Dead letters in the order of their death, after this one; all of them where it is none any more.
    fn dead_letters<'a>(
        &'a self,
        queue: Option<&'a str>,
        after: Option<Uuid>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, Unavailable>>;

    /// One message with everything that is stored of it.
    fn show(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Shown>, Unavailable>>;

    /// Puts a dead letter at the end of its key's line, with a life of its own again. One that
    /// blocked its line stays at the head of it.
    fn retry(&self, id: Uuid, force: bool) -> BoxFuture<'_, Result<(), NotRetried>>;

    /// Deletes a dead letter; one that blocked its line lets it go.
    fn purge(&self, id: Uuid) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// Deletes what a caller's delivered messages say, and his dead letters as [`Store::purge`] does;
    /// how many messages. What waits is delivered still.
    fn erase<'a>(&'a self, caller: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>>;

    /// Pauses a queue, for every process, or lets it go on.
    fn set_paused<'a>(
        &'a self,
        queue: &'a str,
        paused: Option<Paused>,
    ) -> BoxFuture<'a, Result<(), Unavailable>>;

    /// How the queues stand.
    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Unavailable>>;

    /// Deletes what has been kept long enough. Called about once a minute.
    fn sweep(&self) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// Gives back what was taken and not settled, and lets go of what others want: the file, the
    /// partitions. Nothing is taken or appended afterwards.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a store keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages that wait, over all queues: more are refused.
    pub messages: u64,
    /// Bytes of what waits, over all queues: more are refused.
    pub bytes: u64,
    /// Bytes of one message.
    pub message: usize,
    /// How long a delivered message is known.
    pub delivered: Duration,
    /// How long a dead letter is kept.
    pub dead: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            messages: 10_000_000,
            bytes: 16 << 30,
            message: 1 << 20,
            delivered: DAY,
            dead: 14 * DAY,
        }
    }
}

/// A message is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Of the message, or of the one that it repeats.
    pub id: Uuid,
    /// How that one stands.
    pub status: Status,
    /// Milliseconds since the Unix epoch.
    pub accepted_at: u64,
    /// The same was accepted before; nothing was appended.
    pub duplicate: bool,
}

/// A message was not appended, and will not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As much waits as may.
    #[error("the queue is full")]
    Full {
        /// Worth another try then.
        retry_after: Duration,
    },
    /// It could not be made durable.
    #[error("the queue cannot store messages: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
        /// Worth another try then.
        retry_after: Duration,
    },
    /// Its deduplication key was used for something else.
    #[error("the same deduplication value was used for another payload")]
    Conflict,
    /// More than a message may hold.
    #[error("a message of {bytes} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// What it holds.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// Another of the same append was refused.
    #[error("another message of the same operation was refused")]
    NotAlone,
}

/// The store cannot answer now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be reached: {0}")]
pub struct Unavailable(pub String);

/// A message in its owner's hands.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// What it is settled with.
    pub claim: Claim,
    /// What is delivered.
    pub message: Message,
    /// What came of it so far.
    pub progress: Progress,
}

/// The right to settle one message, until it is lost or used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The message.
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// What the store knows this claim by; of no meaning to others.
    pub token: u64,
}

/// What came of a message so far. Times are in milliseconds; points in time since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Attempts that count.
    pub attempts: u32,
    /// Of its own time, how much is over.
    pub lived: u64,
    /// Since when its own time runs: it came to the head of its line, or was settled last.
    pub active_since: u64,
    /// The first failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<Failure>,
    /// The last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Failure>,
    /// How often it was refused for its credentials while others were not.
    #[serde(default)]
    pub denied: u32,
}

impl Progress {
    /// How a message stands that waits and is in nobody's hands.
    pub fn waiting_status(&self) -> Status {
        match self.attempts == 0 && self.last_error.is_none() {
            true => Status::Queued,
            false => Status::Retrying,
        }
    }
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Of the gateway's table: `UPSTREAM_UNAVAILABLE`.
    pub code: String,
    /// What the caller may read.
    pub message: String,
    /// HTTP status or gRPC code, or a word where there was none.
    pub status: String,
    /// What only the operator may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
}

/// How it went with a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// Its target has it.
    Delivered(Progress),
    /// It is tried again, no earlier than this, still at the head of its line.
    Again {
        /// What came of it so far.
        progress: Progress,
        /// Milliseconds since the Unix epoch.
        due: u64,
    },
    /// It is given up.
    Dead {
        /// What came of it.
        progress: Progress,
        /// Why.
        reason: Reason,
    },
    /// It was not tried: at once at the head of its line again.
    Returned,
}

/// Why a message was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Its target refused it for good.
    Refused,
    /// Its attempts were used up.
    Exhausted,
    /// Its time was over.
    Expired,
    /// What was stored cannot be read.
    Damaged,
    /// The broker gave it up.
    Broker,
}

impl Reason {
    /// As people see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Refused => "REFUSED",
            Reason::Exhausted => "EXHAUSTED",
            Reason::Expired => "EXPIRED",
            Reason::Damaged => "DAMAGED",
            Reason::Broker => "BROKER",
        }
    }

    /// How a message stands that was given up for it.
    pub fn status(self) -> Status {
        match self {
            Reason::Expired => Status::Expired,
            Reason::Refused | Reason::Exhausted | Reason::Damaged | Reason::Broker => {
                Status::DeadLettered
            }
        }
    }
}

/// A message could not be settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// It is another's now; what was delivered may be delivered again.
    #[error("the claim is lost")]
    Lost,
    /// Nothing was written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A dead letter could not be put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRetried {
    /// There is no dead letter of this id.
    #[error("there is no dead letter of this id")]
    Unknown,
    /// Later ones of its key were delivered or wait: order would not be kept.
    #[error("its key has moved on since: it would come after what followed it")]
    MovedOn,
    /// What was stored cannot be read.
    #[error("what was stored of it cannot be read")]
    Damaged,
    /// The store cannot answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How a message stands, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It waits for its first attempt.
    Queued,
    /// An attempt is under way.
    Delivering,
    /// An attempt has failed, and another will follow.
    Retrying,
    /// Its target has it.
    Delivered,
    /// It was given up.
    DeadLettered,
    /// It was given up, since its time was over.
    Expired,
}

impl Status {
    /// As the schema spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "QUEUED",
            Status::Delivering => "DELIVERING",
            Status::Retrying => "RETRYING",
            Status::Delivered => "DELIVERED",
            Status::DeadLettered => "DEAD_LETTERED",
            Status::Expired => "EXPIRED",
        }
    }

    /// Whether nothing more will happen to it of itself.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Status::Delivered | Status::DeadLettered | Status::Expired
        )
    }
}

/// What is known of one message, without what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The message.
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// The field that made it.
    pub field: String,
    /// Who made it; none for an anonymous caller.
    pub caller: Option<String>,
    /// The label of the request that made it.
    pub correlation_id: String,
    /// How it stands.
    pub status: Status,
    /// Attempts that count.
    pub attempts: u32,
    /// Milliseconds since the Unix epoch.
    pub accepted_at: u64,
    /// Where another attempt waits for its time.
    pub next_attempt_at: Option<u64>,
    /// Where its target has it.
    pub delivered_at: Option<u64>,
    /// The last failure.
    pub error: Option<Failure>,
    /// Grows with every change: see [`Store::changed`].
    pub version: u64,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// How it stands.
    pub delivery: Delivery,
    /// Why.
    pub reason: Reason,
    /// When, in milliseconds since the Unix epoch.
    pub died_at: u64,
    /// Whether those behind it wait for a decision.
    pub blocks: bool,
    /// The first failure; the last is in [`Delivery::error`].
    pub first_error: Option<Failure>,
    /// The id of the request that made it.
    pub request_id: String,
}

/// Everything that is stored of one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// How it stands.
    pub delivery: Delivery,
    /// What is delivered; none where it cannot be read, or was erased.
    pub message: Option<Message>,
    /// What came of it so far.
    pub progress: Progress,
}

/// A queue that delivers nothing for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why, for operators.
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub since: u64,
    /// By an operator: nothing but an operator lets it go on.
    pub by_operator: bool,
}

/// How one queue stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// Its name.
    pub queue: String,
    /// Messages that wait, those in delivery included.
    pub waiting: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// When the oldest of them was accepted, in milliseconds since the Unix epoch.
    pub oldest: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// Where it is paused.
    pub paused: Option<Paused>,
}
