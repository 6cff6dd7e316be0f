//! The section `resilience`, of all sources and of one.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;

/// What happens when a service fails. What is not said here, the subgraph file says, or a default.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Resilience {
    /// Trying again what may be done twice: reads, and mutations that are marked idempotent.
    pub(in crate::config) retry: Retry,
    /// How much may be tried again, by all requests together.
    pub(in crate::config) retry_budget: RetryBudget,
    /// When a service is left in peace.
    pub(in crate::config) breaker: Breaker,
    /// Calls in flight; 1000 by default.
    pub(in crate::config) concurrency: Option<u32>,
    /// Calls that wait for one of these to end; as many as `concurrency` by default.
    pub(in crate::config) queue: Option<u32>,
    /// Failures in a row after which one of several addresses is passed over, never more than half of them; 5 by default, 0 for never.
    pub(in crate::config) eject_after: Option<u32>,
}

/// Trying again.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Retry {
    /// Attempts, the first included; 3 by default.
    pub(in crate::config) attempts: Option<u32>,
    /// The longest pause before the second attempt, doubled before each further one; 50ms by default.
    pub(in crate::config) backoff: Option<Span>,
    /// The longest pause before any attempt, where the service does not ask for more; 1s by default.
    pub(in crate::config) max_backoff: Option<Span>,
    /// The time of all attempts together; that of the request otherwise.
    pub(in crate::config) total: Option<Span>,
    /// Statuses to try again on, instead of the default ones: 503, 5xx, UNAVAILABLE, and the words unreachable, broken and timeout.
    pub(in crate::config) on: Option<Vec<String>>,
}

/// How much may be tried again.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RetryBudget {
    /// As a share of the calls of the last ten seconds; 0.1 by default.
    pub(in crate::config) ratio: Option<f64>,
    /// As many a second on top; 3 by default.
    pub(in crate::config) per_second: Option<f64>,
}

/// When a service is left in peace.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Breaker {
    /// On by default.
    pub(in crate::config) enabled: Option<bool>,
    /// The share of failures that opens it, above 0 and at most 1; 0.5 by default.
    pub(in crate::config) failure_rate: Option<f64>,
    /// The share of slow calls that opens it, above 0 and at most 1; 0.5 by default.
    pub(in crate::config) slow_call_rate: Option<f64>,
    /// What is slow; half of an attempt's time by default.
    pub(in crate::config) slow_call: Option<Span>,
    /// Fewer calls in the window do not open it; 20 by default.
    pub(in crate::config) minimum_calls: Option<u32>,
    /// How far back it looks; 10s by default.
    pub(in crate::config) window: Option<Span>,
    /// How long it stays open the first time, and n times as long the nth time in a row; 5s by default.
    pub(in crate::config) open: Option<Span>,
    /// How long it stays open at most; 60s by default.
    pub(in crate::config) longest_open: Option<Span>,
    /// Calls that try whether the service is well again; 1 by default.
    pub(in crate::config) probes: Option<u32>,
}
