//! The section `admission`: when requests are refused rather than kept waiting.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;
use crate::admission::Settings;

/// How many requests run at once. The limit follows the gateway's own delay: a slow service sheds nothing.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Admission {
    /// Refuse with 503 what there is no room for.
    pub(in crate::config) enabled: bool,
    /// How much later than it is due the gateway may do what it has to do, before it takes less.
    pub(in crate::config) delay: Span,
    /// Requests at once, however quick the gateway is.
    pub(in crate::config) most: usize,
    /// Requests at once, however slow it is; at least 1.
    pub(in crate::config) least: usize,
    /// How long a request may wait for room.
    pub(in crate::config) wait: Span,
    /// How long requests must have been refused before readiness says so.
    pub(in crate::config) unready_after: Span,
}

impl Default for Admission {
    fn default() -> Self {
        let safe = Settings::default();
        Self {
            enabled: safe.enabled,
            delay: Span(safe.delay),
            most: safe.most,
            least: safe.least,
            wait: Span(safe.wait),
            unready_after: Span(safe.unready_after),
        }
    }
}
