//! The sections by which the gateway is watched.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Numbers for Prometheus, at /metrics on the port of operators.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Metrics {
    /// Answer /metrics.
    pub(in crate::config) enabled: bool,
    /// Operation names that are counted apart, in the order in which they are first planned; the rest is `other`.
    pub(in crate::config) operations: usize,
    /// Count how often each field of the schema is part of an operation that ran.
    pub(in crate::config) fields: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            operations: 500,
            fields: true,
        }
    }
}
