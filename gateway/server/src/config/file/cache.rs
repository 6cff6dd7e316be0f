//! The section `cache`: replies of services that are kept.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Size;
use super::super::units::Span;

/// Replies of services that are kept: where @cacheControl allows it, never for another caller than it says.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Cache {
    /// Keep replies, and tell clients how long answers are good.
    pub(in crate::config) enabled: bool,
    /// The memory for all of them.
    pub(in crate::config) size: Size,
    /// The memory for the last good replies of resolvers that say staleIfError.
    pub(in crate::config) last_good_size: Size,
    /// What a service's own Cache-Control changes.
    pub(in crate::config) upstream: Upstream,
    /// How long after its time a reply is still answered while a new one is fetched, where the service does not say it itself.
    pub(in crate::config) stale_while_revalidate: Span,
    /// How long it is remembered that a batch's reply lacked an item; not at all by default.
    pub(in crate::config) missing: Span,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            size: Size::kib(64 * 1024),
            last_good_size: Size::kib(16 * 1024),
            upstream: Upstream::Shorten,
            stale_while_revalidate: Span::seconds(0),
            missing: Span::seconds(0),
        }
    }
}

/// What a service's own Cache-Control changes.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Upstream {
    /// Nothing: the schema decides alone.
    Ignore,
    /// It shortens what the schema allows, or forbids it.
    Shorten,
    /// That, and it allows where the schema says nothing.
    Follow,
}
