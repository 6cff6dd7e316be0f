//! A Redis that several gateways share, whatever it is for.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;

/// Where a Redis is, and how it is used.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redis {
    /// redis://user:password@host:6379/0, or rediss:// for TLS. Take the password from the environment: ${REDIS_PASSWORD}.
    pub(in crate::config) url: String,
    /// Begins the name of every key: gateways with the same one share what is there.
    #[serde(default = "prefix")]
    pub(in crate::config) prefix: String,
    /// The time of one call: 50ms for rate limits, 250ms for idempotency keys, 1s for the queue unless it is given.
    #[serde(default)]
    pub(in crate::config) timeout: Option<Span>,
}

fn prefix() -> String {
    "switchboard".into()
}
