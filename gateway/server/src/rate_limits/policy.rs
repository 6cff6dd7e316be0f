//! One named limit, as the operator wrote it.

use std::sync::Arc;
use std::time::Duration;

use super::key::Key;

/// A limit: `amount` units in `per`, at most `burst` of them at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// As clients and the log read it: letters, digits, dashes and underscores.
    pub(crate) name: Arc<str>,
    /// Whose bucket is charged.
    pub(crate) key: Key,
    pub(crate) unit: Unit,
    pub(crate) amount: u32,
    pub(crate) per: Duration,
    pub(crate) burst: u32,
    pub(crate) mode: Mode,
    pub(crate) headers: Headers,
    /// Buckets that are kept in this process.
    pub(crate) keys: usize,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Operations, before they are parsed; each root field of a mutation is one.
    Requests,
    /// Points of static cost, before execution.
    Cost,
}

/// What happens above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is logged.
    Measure,
    /// It is refused.
    Enforce,
}

/// Who is told how a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    /// Who is refused.
    OnRefusal,
    /// Everybody.
    Always,
}

impl Policy {
    /// The time in which one unit comes back.
    pub(crate) fn interval(&self) -> Duration {
        self.per / self.amount.max(1)
    }
}
