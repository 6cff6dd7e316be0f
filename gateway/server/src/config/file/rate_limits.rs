//! `rate_limits` and `rate_limit_store`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;
use super::redis::Redis;

/// How much one client may ask for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RateLimit {
    /// As clients and the log read it: letters, digits, dashes and underscores.
    pub(in crate::config) name: String,
    /// Whose bucket is charged: $apiKey.id, $claims.NAME, $ip (a /64 for IPv6), $operation.name (of trusted documents),
    /// with ?? between alternatives; a list is all of them together. Without it everybody shares one bucket.
    #[serde(default)]
    pub(in crate::config) key: Option<RateLimitKey>,
    /// Operations in `per`, charged before they are parsed; each root field of a mutation is one. Either this or `cost`.
    pub(in crate::config) requests: Option<u32>,
    /// Points of static cost in `per`, charged before execution. Either this or `requests`.
    pub(in crate::config) cost: Option<u32>,
    /// The time in which an empty bucket is filled with `requests` or `cost`.
    pub(in crate::config) per: Span,
    /// How much a bucket holds; as much as is filled in `per` otherwise.
    pub(in crate::config) burst: Option<u32>,
    /// What happens above the limit.
    #[serde(default)]
    pub(in crate::config) mode: RateLimitMode,
    /// Who is told by RateLimit and RateLimit-Policy.
    #[serde(default)]
    pub(in crate::config) headers: RateLimitHeaders,
    /// Buckets in use that are kept in this process; further clients share one bucket.
    #[serde(default = "default_keys")]
    pub(in crate::config) keys: usize,
}

fn default_keys() -> usize {
    100_000
}

/// One expression, or several together.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RateLimitKey {
    /// One.
    One(String),
    /// All of them make the key.
    Together(Vec<String>),
}

/// What happens above the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RateLimitMode {
    /// Nothing is counted.
    Off,
    /// It is logged.
    Measure,
    /// It is refused with 429.
    #[default]
    Enforce,
}

/// Who is told how a bucket stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RateLimitHeaders {
    /// Who is refused.
    #[default]
    OnRefusal,
    /// Everybody.
    Always,
}

/// Where the buckets are.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RateLimitStore {
    /// A Redis that several gateways share. Without it each gateway limits for itself.
    pub(in crate::config) redis: Option<LimitsRedis>,
}

/// A Redis that holds the buckets of rate limits.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LimitsRedis {
    /// Where it is.
    #[serde(flatten)]
    pub(in crate::config) redis: Redis,
    /// What happens while it is away.
    #[serde(default)]
    pub(in crate::config) on_failure: RedisFailure,
}

/// What happens while Redis is away.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RedisFailure {
    /// Requests pass.
    Open,
    /// Requests are refused with 503.
    Closed,
    /// Each gateway limits for itself.
    #[default]
    Local,
}
