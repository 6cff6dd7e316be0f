//! The section about `Idempotency-Key`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Size;
use super::super::units::Span;
use super::redis::Redis;

/// What a client's `Idempotency-Key` on a mutation is worth.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Idempotency {
    /// Whether mutations have a key.
    pub(in crate::config) mode: Mode,
    /// How long an answer is kept and given again; at least 24 hours.
    pub(in crate::config) keep: Span,
    /// Where keys are kept. Opened for the first key that comes; read when the process starts.
    pub(in crate::config) store: Store,
    /// How much is kept.
    pub(in crate::config) limits: Limits,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            keep: Span::seconds(24 * 3600),
            store: Store::default(),
            limits: Limits::default(),
        }
    }
}

/// Whether mutations have a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Mode {
    /// A mutation without one is refused.
    Required,
    /// Those whose clients want one.
    #[default]
    Optional,
    /// The header means nothing.
    Off,
}

/// Where keys are kept.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Store {
    /// A Redis that several gateways share; while it is away mutations with a key are refused with 503. It must neither forget
    /// nor evict: `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction`. Without it each gateway keeps its own,
    /// in a file beside the queue's (`queue.path`), with fsync.
    pub(in crate::config) redis: Option<Redis>,
}

/// How much is kept.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// Keys in this process's file; more are refused with 503.
    pub(in crate::config) entries: u64,
    /// Bytes of all answers in this process's file; no key begins above it.
    pub(in crate::config) bytes: Size,
    /// Bytes of one answer, in either store. A longer one is given once, and not again.
    pub(in crate::config) answer: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: Size::kib(1 << 20),
            answer: Size::kib(1024),
        }
    }
}
