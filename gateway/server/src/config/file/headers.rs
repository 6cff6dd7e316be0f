//! The section `headers`: which headers of clients reach services.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Headers between clients and services, beside what subgraph files say. Nothing is forwarded unless it is listed.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Headers {
    /// On calls of every source (gRPC: metadata), in this order; a subgraph file's own rule for a name wins.
    pub(in crate::config) request: Vec<RequestRule>,
    /// For single sources, by name, after those of all.
    pub(in crate::config) sources: BTreeMap<String, SourceHeaders>,
}

/// Headers towards one source.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SourceHeaders {
    /// On its calls, in this order.
    pub(in crate::config) request: Vec<RequestRule>,
}

/// One of `{ forward: x-tenant }`, `{ forward: x-a, as: x-b }`, `{ set: x-env, value: live }` and `{ remove: x-c }`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RequestRule {
    /// A header of the client's request.
    pub(in crate::config) forward: Option<String>,
    /// The name under which it is sent; its own otherwise.
    #[serde(rename = "as")]
    pub(in crate::config) renamed: Option<String>,
    /// A header whose value is always the same. A secret belongs into `subgraphs.NAME.sources.NAME.headers`.
    pub(in crate::config) set: Option<String>,
    /// That value.
    pub(in crate::config) value: Option<String>,
    /// A header that an earlier rule, or `subgraphs.NAME.sources.NAME.headers`, would send.
    pub(in crate::config) remove: Option<String>,
}
