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
    /// Of answers of every source (gRPC: of the metadata before the messages), to clients. Operations that call such a source are answered for one client alone.
    pub(in crate::config) response: Vec<ResponseRule>,
    /// For single sources, by name, after those of all.
    pub(in crate::config) sources: BTreeMap<String, SourceHeaders>,
}

/// Headers towards one source.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SourceHeaders {
    /// On its calls, in this order.
    pub(in crate::config) request: Vec<RequestRule>,
    /// Of its answers.
    pub(in crate::config) response: Vec<ResponseRule>,
}

/// `{ propagate: set-cookie }`, or with `merge`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ResponseRule {
    /// A header of the service's answer.
    pub(in crate::config) propagate: String,
    /// Which of several values is given. Otherwise append for set-cookie, most_restrictive for cache-control, first for others.
    #[serde(default)]
    pub(in crate::config) merge: Option<Merge>,
}

/// Which of several values of one header a client is given, in the order of the plan.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Merge {
    /// The first.
    First,
    /// The last.
    Last,
    /// All of them.
    Append,
    /// For cache-control: what all of them allow.
    MostRestrictive,
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
