//! `authorization:` what becomes of what a caller may not see.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;

/// What becomes of what a caller may not see: `@authenticated`, `@requiresScopes` and `@policy` of the subgraph files.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Authorization {
    /// How much these directives count.
    pub(crate) mode: Mode,
    /// What is denied is null with an error, or the whole operation is refused before anything runs.
    pub(crate) on_denied: Option<OnDenied>,
    /// Who decides @policy. Without it no policy holds.
    pub(crate) policy: Option<Policy>,
}

/// How much the directives count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// What is denied is not read.
    #[default]
    Enforce,
    /// What would be denied is written to the log, and read: for observing clients before they are refused.
    Measure,
    /// Everything is read by everybody.
    Off,
}

/// What becomes of what is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDenied {
    /// Null and an error.
    Null,
    /// The whole operation is refused.
    Refuse,
}

/// Who decides `@policy`: one POST for each request that needs a policy.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Where it is asked.
    pub(crate) url: String,
    /// Headers that go with each question.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The time of one question; a client's own deadline may be nearer.
    #[serde(default = "default_timeout")]
    pub(crate) timeout: Span,
    /// What holds where nobody answers in time.
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    /// How long a decision about one caller stands. By default each request is decided for itself.
    #[serde(default)]
    pub(crate) cache: Option<Span>,
}

fn default_timeout() -> Span {
    Span(std::time::Duration::from_millis(500))
}

/// What holds where nobody answers in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// Nothing: what waits for a policy is denied, and may be asked for again.
    #[default]
    Deny,
    /// Every policy, for everybody.
    Allow,
}
