//! The section `cost`: how operations are priced.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// How operations are priced. What they may cost is `limits.cost`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Cost {
    /// Items that a list counts as where neither @listSize nor its mapping says how long it is.
    pub(in crate::config) list_size: u32,
    /// Answer extensions.cost to clients who ask for it with `extensions: { cost: true }` or `x-switchboard-cost: 1`.
    pub(in crate::config) expose: bool,
    /// What follows when a list comes longer than was charged.
    pub(in crate::config) longer: Longer,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            list_size: 10,
            expose: true,
            longer: Longer::Charge,
        }
    }
}

/// What follows when a list comes longer than was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Longer {
    /// It is answered; what it cost beyond what was charged is told where costs are counted, and not charged to rate limits.
    Charge,
    /// The answer is withheld with COST_UNDERESTIMATED; a mutation's never is.
    Error,
}
