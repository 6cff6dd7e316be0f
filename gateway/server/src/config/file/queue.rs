//! The section about calls that are made durable: `@queue`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Size;
use super::super::units::Span;
use super::credentials::Secret;

/// Calls that are made durable and delivered later. Opened where a subgraph file says `@queue`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Queue {
    /// Where messages wait.
    pub(in crate::config) store: Store,
    /// The directory of the embedded store, relative to this file. Read when the process starts.
    pub(in crate::config) path: String,
    /// How long to wait at the start while another process still has that directory, as the one before does in a rolling restart.
    pub(in crate::config) handover: Span,
    /// With what stored messages are encrypted: 32 bytes in base64, from the environment.
    pub(in crate::config) encryption_key: Option<Secret>,
    /// How much may wait; more is refused.
    pub(in crate::config) limits: Limits,
    /// How long finished messages are kept.
    pub(in crate::config) retention: Retention,
    /// Stands before the names of the built-in types (`Accepted`, `Delivery`), where a graph has types of these names already.
    pub(in crate::config) types_prefix: String,
    /// Whether what identifies a client (`authorization`, cookies, keys) may be stored with a call.
    pub(in crate::config) capture_credentials: bool,
    /// How fast each queue delivers, by name.
    pub(in crate::config) queues: BTreeMap<String, Pace>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            store: Store::Embedded,
            path: "./data/queue".into(),
            handover: Span::seconds(30),
            encryption_key: None,
            limits: Limits::default(),
            retention: Retention::default(),
            types_prefix: String::new(),
            capture_credentials: false,
            queues: BTreeMap::new(),
        }
    }
}

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Store {
    /// In files of this process, with fsync before each answer.
    Embedded,
}

/// How much may wait.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// Messages, over all queues.
    pub(in crate::config) messages: u64,
    /// Bytes, over all queues.
    pub(in crate::config) bytes: Size,
    /// Bytes of one message.
    pub(in crate::config) message: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000_000,
            bytes: Size::kib(16 << 20),
            message: Size::kib(1024),
        }
    }
}

/// How long finished messages are kept.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Retention {
    /// Delivered ones.
    pub(in crate::config) delivered: Span,
    /// Dead letters.
    pub(in crate::config) dead: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            delivered: Span::seconds(24 * 3600),
            dead: Span::seconds(14 * 24 * 3600),
        }
    }
}

/// How fast one queue delivers.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Pace {
    /// Deliveries at once.
    pub(in crate::config) concurrency: NonZeroU32,
    /// Deliveries a second; as many as there are without it.
    pub(in crate::config) rate: Option<NonZeroU32>,
    /// Messages taken ahead; four for each delivery at once without it.
    pub(in crate::config) prefetch: Option<NonZeroU32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            concurrency: NonZeroU32::MIN.saturating_add(15),
            rate: None,
            prefetch: None,
        }
    }
}
