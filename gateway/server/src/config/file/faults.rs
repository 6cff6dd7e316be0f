//! The section `faults` of a source.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Span;

/// What goes wrong with a source's calls, on purpose, so that teams can rehearse an outage.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Faults {
    /// How much later each attempt begins; not at all by default.
    #[serde(default)]
    pub(in crate::config) delay: Option<Span>,
    /// The HTTP status, 400 to 599, that is answered in place of the service; a gRPC source answers its gRPC kin. The service answers by default.
    #[serde(default)]
    pub(in crate::config) abort: Option<u16>,
    /// The share of attempts that meet it, 0 to 100; all of them by default.
    #[serde(default = "all")]
    pub(in crate::config) percentage: f64,
}

fn all() -> f64 {
    100.0
}
