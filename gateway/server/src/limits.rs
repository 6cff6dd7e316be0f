//! Which limits hold for whom.
//!
//! Owns the choice of a caller's limits and the word to the operator where a
//! limit is only measured. What is measured, and how, is `plan`'s to know.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use plan::OperationLimits;
use plan::Refusal;
use plan::limits::Excess;
use plan::limits::Kind;
use plan::limits::Limit;
use plan::limits::Measures;
use plan::limits::Mode;
use serde_json::Map;
use serde_json::Value as Json;

use crate::authenticate::Principal;
use crate::observe::metrics::Metrics;

/// The limits of every kind of client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientLimits {
    /// The first that matches counts.
    pub(crate) clients: Vec<(ClientMatch, Limits)>,
    /// Of everybody else.
    pub(crate) others: Limits,
}

/// The limits of one kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Which kind: its place in the configuration, from one; everybody else is nought.
    pub(crate) profile: usize,
    pub(crate) operation: OperationLimits,
    /// Points that an operation may cost.
    pub(crate) cost: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            profile: 0,
            operation: OperationLimits::default(),
            cost: Limit::enforce(5_000),
        }
    }
}

/// By what a kind of client is known. What is said must all hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientMatch {
    pub(crate) api_key: Option<String>,
    /// A claim's path, and the value that it has or holds.
    pub(crate) claim: Option<(String, Json)>,
}

impl ClientLimits {
    /// The limits of a caller.
    pub(crate) fn of(&self, principal: &Principal) -> &Limits {
        self.of_client(principal.api_key_id(), principal.claims())
    }

    fn of_client(&self, api_key: Option<&str>, claims: &Json) -> &Limits {
        let mut clients = self.clients.iter();
        clients
            .find(|(client, _)| client.is(api_key, claims))
            .map_or(&self.others, |(_, limits)| limits)
    }
}

impl ClientMatch {
    fn is(&self, api_key: Option<&str>, claims: &Json) -> bool {
        let key = self.api_key.as_deref();
        let claim = self.claim.as_ref();
        key.is_none_or(|key| api_key == Some(key))
            && claim.is_none_or(|(path, wanted)| has(claims, path, wanted))
    }
}

fn has(claims: &Json, path: &str, wanted: &Json) -> bool {
    let by_path = || {
        path.split('.')
            .try_fold(claims, |value, name| value.get(name))
    };
    match claims.get(path).or_else(by_path) {
        Some(Json::Array(values)) => values.contains(wanted),
        Some(value) => value == wanted,
        None => false,
    }
}

impl Limits {
    /// For operations that were accepted once already: a reload refuses none of them.
    pub(crate) fn of_known_operations() -> Self {
        let mut operation = OperationLimits::off();
        operation.planning = OperationLimits::default().planning;
        Self {
            profile: usize::MAX,
            operation,
            cost: Limit::OFF,
        }
    }

    /// Compares what a document measures; a few integers.
    pub(crate) fn check(&self, measures: &Measures, told: &Told<'_>) -> Result<(), Refusal> {
        self.operation
            .exceeded(measures)
            .try_for_each(|excess| self.judge(excess, told))
    }

    /// The nesting of what the variables hold, which no plan knows.
    pub(crate) fn check_variables(
        &self,
        given: &Map<String, Json>,
        told: &Told<'_>,
    ) -> Result<(), Refusal> {
        if self.operation.get(Kind::InputNesting).mode == Mode::Off {
            return Ok(());
        }
        let found = given.values().map(nesting).max().unwrap_or(0);
        match self.operation.excess(Kind::InputNesting, found) {
            Some(excess) => self.judge(excess, told),
            None => Ok(()),
        }
    }

    fn judge(&self, excess: Excess, told: &Told<'_>) -> Result<(), Refusal> {
        match excess.limit.mode {
            Mode::Enforce => Err(excess.refusal()),
            Mode::Measure | Mode::Off => {
                let measured = Measured::Kind(excess.kind);
                told.tell(self.profile, measured, excess.found, excess.limit.max);
                Ok(())
            }
        }
    }
}

/// Bodies are read with a bound on their nesting.
fn nesting(value: &Json) -> u64 {
    let below = match value {
        Json::Array(items) => items.iter().map(nesting).max(),
        Json::Object(members) => members.values().map(nesting).max(),
        _ => return 0,
    };
    1 + below.unwrap_or(0)
}

/// What the operator was told of one operation.
#[derive(Default)]
pub(crate) struct Telling {
    /// By what is measured: one bit for each kind of client; those beyond share the last.
    profiles: [AtomicU64; Measured::COUNT],
    /// How often it was over a limit that is measured.
    times: AtomicU64,
    /// Where that is counted for all operations.
    metrics: Option<Arc<Metrics>>,
}

impl Telling {
    pub(crate) fn counted_by(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics: Some(metrics),
            ..Self::default()
        }
    }
}

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

/// What an operation can have too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    Kind(Kind),
    Cost,
    /// At one source.
    SourceCost,
}

impl Measured {
    pub(crate) const COUNT: usize = Kind::ALL.len() + 2;

    /// Each in its place.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = Kind::ALL.iter().copied().map(Measured::Kind);
        kinds.chain([Measured::Cost, Measured::SourceCost])
    }

    pub(crate) fn place(self) -> usize {
        match self {
            Measured::Kind(kind) => kind as usize,
            Measured::Cost => Kind::ALL.len(),
            Measured::SourceCost => Kind::ALL.len() + 1,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Measured::Kind(kind) => kind.name(),
            Measured::Cost => "cost",
            Measured::SourceCost => "source_cost",
        }
    }
}

/// An operation whose excesses are told.
pub(crate) struct Told<'o> {
    pub(crate) telling: &'o Telling,
    pub(crate) name: Option<&'o str>,
    pub(crate) document: &'o str,
}

impl Told<'_> {
    /// Once for each kind of client: what is measured may be exceeded by every request.
    pub(crate) fn tell(&self, profile: usize, measured: Measured, found: u64, max: u64) {
        let times = self.telling.times.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(metrics) = &self.telling.metrics {
            metrics.measured(measured);
        }
        let bit = 1_u64 << profile.min(63);
        let told = &self.telling.profiles[measured.place()];
        if told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            tracing::warn!(
                target: "limits",
                operation = self.name.unwrap_or(""),
                hash = format_args!("{:016x}", fingerprint(self.document)),
                client = profile,
                limit = measured.name(),
                found,
                max,
                times,
                "an operation is over a limit that is measured"
            );
        }
    }
}

/// The same in every process, so that lines of many gateways can be counted together: FNV-1a.
fn fingerprint(document: &str) -> u64 {
    document.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits() -> ClientLimits {
        let limits = |profile| Limits {
            profile,
            ..Limits::default()
        };
        let client = |api_key: Option<&str>, claim: Option<(&str, Json)>| ClientMatch {
            api_key: api_key.map(Into::into),
            claim: claim.map(|(path, value)| (path.into(), value)),
        };
        ClientLimits {
            clients: vec![
                (client(Some("mobile"), None), limits(1)),
                (client(None, Some(("org.plan", json!("gold")))), limits(2)),
                (
                    client(None, Some(("https://id/roles", json!("admin")))),
                    limits(3),
                ),
            ],
            others: limits(0),
        }
    }

    #[test]
    fn the_first_client_that_matches_counts() {
        let limits = limits();
        let profile = |key, claims: Json| limits.of_client(key, &claims).profile;
        assert_eq!(profile(None, Json::Null), 0);
        assert_eq!(profile(Some("web"), json!({ "org": { "plan": "tin" } })), 0);
        assert_eq!(
            profile(Some("mobile"), json!({ "org": { "plan": "gold" } })),
            1
        );
        assert_eq!(profile(None, json!({ "org": { "plan": "gold" } })), 2);
        assert_eq!(profile(None, json!({ "https://id/roles": ["admin"] })), 3);
        assert_eq!(
            profile(None, json!({ "https://id/roles": "administrator" })),
            0
        );
    }

    #[test]
    fn variables_are_measured_as_they_come() {
        let limits = |mode| Limits {
            operation: OperationLimits::default().with(Kind::InputNesting, Limit { max: 2, mode }),
            ..Limits::default()
        };
        let telling = Telling::default();
        let told = Told {
            telling: &telling,
            name: None,
            document: "",
        };
        let given = |value: Json| Map::from_iter([("v".to_owned(), value)]);
        let check = |mode, value| limits(mode).check_variables(&given(value), &told);
        assert!(check(Mode::Enforce, json!([[1]])).is_ok());
        let refusal = check(Mode::Enforce, json!([{ "a": [1] }])).unwrap_err();
        assert_eq!(refusal.code, plan::code::Code::InputTooNested);
        for mode in [Mode::Off, Mode::Measure, Mode::Measure] {
            assert!(check(mode, json!([[[1]]])).is_ok());
        }
        assert_eq!(telling.times.load(Ordering::Relaxed), 2);
    }
}
