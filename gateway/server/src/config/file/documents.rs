//! `documents`: operations that are named instead of sent.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Size;

/// Operations that are named instead of sent.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Documents {
    /// Automatic persisted queries: a client sends a document once, and its hash from then on.
    pub(in crate::config) automatic: Automatic,
    /// Documents that the operator knows.
    pub(in crate::config) trusted: Option<Trusted>,
}

/// Automatic persisted queries.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Automatic {
    /// Whether documents are remembered.
    pub(in crate::config) enabled: bool,
    /// What all of them take together.
    pub(in crate::config) memory: Size,
}

impl Default for Automatic {
    fn default() -> Self {
        Self {
            enabled: false,
            memory: Size::kib(16 * 1024),
        }
    }
}

/// Documents that the operator knows.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Trusted {
    /// A manifest, or a folder of them (*.json): Apollo's operation manifest, Relay's map, or any { "ID": "document" }.
    pub(in crate::config) manifest: String,
    /// What happens to documents that no manifest has.
    #[serde(default)]
    pub(in crate::config) mode: TrustedMode,
    /// Whether a trusted document may be sent as text too.
    #[serde(default)]
    pub(in crate::config) allow_text: bool,
}

/// What happens to documents that no manifest has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum TrustedMode {
    /// They run; the manifest only names documents.
    Off,
    /// They run, and are logged once each.
    Log,
    /// They are refused.
    #[default]
    Enforce,
}
