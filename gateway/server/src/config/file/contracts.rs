//! What the file says about parts of the graph that some clients see.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// A part of the graph, by `@tag`. What it leaves out is hidden as if it were `@inaccessible`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Contract {
    /// Only fields and unions with one of these tags; a type's tags are its fields' too. Without any, all are there.
    pub(in crate::config) include: Vec<String>,
    /// Nothing with one of these tags, included or not.
    pub(in crate::config) exclude: Vec<String>,
}
