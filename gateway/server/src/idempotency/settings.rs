//! What an operator decides about idempotency keys.

use std::path::PathBuf;
use std::time::Duration;

use queue::keys::Limits;
use queue::keys::RedisKeysSettings;
use sources::Secret;

/// What an operator decides about idempotency keys.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencySettings {
    pub(crate) mode: Mode,
    /// How long an answer is kept.
    pub(crate) keep: Duration,
    /// Read when the process starts.
    pub(crate) store: StoreSettings,
    /// 32 bytes in base64, with which answers are encrypted. Read when the process starts.
    pub(crate) key: Option<Secret>,
}

/// Whether mutations have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each of them.
    Required,
    /// Those whose clients want one.
    Optional,
    /// The header means nothing.
    Off,
}

/// Where keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreSettings {
    /// In a file of this process.
    Embedded {
        /// The directory.
        path: PathBuf,
        limits: Limits,
    },
    /// In a Redis that gateways share.
    Redis(RedisKeysSettings),
}
