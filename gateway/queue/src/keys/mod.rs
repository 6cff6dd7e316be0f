//! Keys by which clients say that two requests mean one effect. Start reading at [`Keys`].
//!
//! Owns what a store of keys promises: who may go on, who is answered with what
//! was answered before, and what is known after a crash. Knows nothing of HTTP
//! headers, of GraphQL, or of what an answer says.
//!
//! What every store promises, and what the one suite for all of them shows:
//!
//! 1. Of all who begin with one name, one goes on; the claim is durable before
//!    it is told so.
//! 2. What was finished is answered to all who begin with the same name and
//!    fingerprint, as long as it is kept.
//! 3. What was abandoned never was.
//! 4. A claim that was lost (its process died, its answer could not be stored)
//!    says that nobody knows; only what may be repeated begins again.
//! 5. A claim that is no longer its holder's finishes and abandons nothing.
//! 6. A store that cannot answer refuses: nobody goes on unguarded.

mod redis;
#[cfg(test)]
mod suite;

use std::any::Any;
use std::time::Duration;

use uuid::Uuid;

use crate::seal::Seal;
use crate::store::BoxFuture;

pub use self::redis::RedisKeys;
pub use self::redis::RedisKeysSettings;

/// Where keys are kept.
pub trait Keys: Send + Sync + 'static {
    /// Begins what a key stands for, unless it was begun before.
    fn begin(&self, asked: Asked) -> BoxFuture<'_, Result<Begun, Refused>>;

    /// Keeps the answer; durable when it is told.
    fn finish(&self, claim: Claim, answer: Vec<u8>) -> BoxFuture<'_, Result<(), Refused>>;

    /// Forgets the key: nothing was done.
    fn abandon(&self, claim: Claim) -> BoxFuture<'_, Result<(), Refused>>;

    /// Deletes what was kept long enough. Called about once a minute.
    fn sweep(&self) -> BoxFuture<'_, Result<(), Refused>>;

    /// Lets go of what others want. Nothing begins afterwards.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A use of a key.
#[derive(Debug, Clone)]
pub struct Asked {
    /// A hash of the key and of whose it is.
    pub name: String,
    /// A hash of what it is used for.
    pub fingerprint: String,
    /// Whether what is begun may be done twice: it begins again where nobody knows whether it was done.
    pub repeatable: bool,
    /// How long it is kept.
    pub keep: Duration,
}

/// What a key stands for.
#[derive(Debug)]
pub enum Begun {
    /// Nothing yet: go on.
    Fresh(Claim),
    /// What somebody does at this moment.
    InFlight,
    /// Something else.
    Mismatch,
    /// What was answered before.
    Finished(Vec<u8>),
    /// What was begun, and of which nobody knows whether it was done.
    Unknown,
}

/// The right to finish what a key stands for. Dropped, it is lost: nobody knows then whether it was done.
#[derive(Debug)]
pub struct Claim {
    pub(crate) name: Name,
    /// What the store knows this claim by.
    pub(crate) token: u64,
    pub(crate) keep: Duration,
    /// Lives as long as somebody works on it.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) held: Option<Held>,
}

/// Says by being dropped that nobody works on it any more.
pub(crate) struct Held(
    #[expect(dead_code, reason = "it is there to be dropped")] Box<dyn Any + Send + Sync>,
);

impl Held {
    pub(crate) fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

/// A key could not be begun, or its answer not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many are kept as may be.
    #[error("as many keys are kept as may be")]
    Full,
    /// More than is kept of one answer.
    #[error("an answer of {bytes} bytes, and at most {limit} are kept")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The claim is somebody else's by now.
    #[error("somebody else has begun it again")]
    Lost,
    /// The store cannot answer.
    #[error("the store of keys cannot be used: {0}")]
    Unavailable(String),
}

/// What a store keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys that are kept: more are refused.
    pub entries: u64,
    /// Bytes of all answers: no key begins above it.
    pub bytes: u64,
    /// Bytes of one answer.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 1 << 30,
            answer: 1 << 20,
        }
    }
}

/// A key as it is stored: who reads the store learns nothing of whose it is.
pub(crate) type Name = u128;

/// A use of a key as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) fingerprint: u128,
}

impl Entry {
    pub(crate) fn of(asked: &Asked, seal: &Seal) -> Self {
        let hidden =
            |purpose, hash: &str| u128::from_be_bytes(seal.line(purpose, Some(hash), Uuid::nil()));
        Self {
            name: hidden("idempotency key", &asked.name),
            fingerprint: hidden("idempotency fingerprint", &asked.fingerprint),
        }
    }
}

/// What answers are sealed for: they cannot be exchanged.
pub(crate) fn sealed_for(name: Name) -> Uuid {
    Uuid::from_u128(name)
}
