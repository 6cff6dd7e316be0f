//! The `yaml config` block: what an operator would decide, and which services are down.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::OperationLimits;
use plan::limits::Kind;
use plan::limits::Limit;
use serde::Deserialize;
use sources::SourcesConfig;

use super::document::Spec;

/// What the block says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Config {
    /// `$env` names; null is a name that is allowed but not set.
    pub(crate) env: BTreeMap<String, Option<String>>,
    /// `$config` values.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) sources: BTreeMap<String, SourceConfig>,
    /// Subgraphs that are GraphQL services of their own: `subgraphs.NAME.url`.
    pub(crate) served: Vec<String>,
    /// Milliseconds until the request's deadline.
    pub(crate) deadline: Option<u64>,
    /// How often the operation is run, one run after the other; the response is that of the last.
    pub(crate) times: Option<usize>,
    /// Limits on the document, by name.
    pub(crate) limits: BTreeMap<String, u64>,
    pub(crate) authorization: Authorization,
    /// The example of `schema/` against its real services, instead of subgraph files and upstreams.
    pub(crate) shop: bool,
}

/// One source.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SourceConfig {
    /// Nobody listens at its address.
    pub(crate) down: bool,
    /// Milliseconds of one attempt.
    pub(crate) timeout: Option<u64>,
    pub(crate) max_reply_bytes: Option<usize>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// What is decided about the caller, whose identity is the block `claims`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Authorization {
    /// The policies that hold.
    pub(crate) policies: Vec<String>,
    /// Whoever decides policies does not answer.
    pub(crate) undecided: bool,
    /// What is denied refuses the whole operation.
    pub(crate) refuse: bool,
}

impl Config {
    /// Reads the block, where there is one.
    pub(crate) fn of(spec: &Spec) -> Self {
        match spec.block("config") {
            Some(block) => serde_yaml_ng::from_str(&block.text)
                .unwrap_or_else(|bad| panic!("yaml config: {bad}")),
            None => Self::default(),
        }
    }

    /// As the sources' room wants it. A spec that waits for nothing must not wait long.
    pub(crate) fn sources(&self) -> SourcesConfig {
        let mut config = SourcesConfig {
            timeout: Duration::from_secs(5),
            ..SourcesConfig::default()
        };
        for (name, source) in &self.sources {
            let own = config.sources.entry(name.clone()).or_default();
            own.timeout = source.timeout.map(Duration::from_millis);
            own.max_reply_bytes = source.max_reply_bytes;
            let headers = source.headers.clone().into_iter();
            own.headers = headers.map(|(name, value)| (name, value.into())).collect();
        }
        config
    }

    /// As planning wants them.
    pub(crate) fn document_limits(&self) -> OperationLimits {
        let known = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let set = |limits: OperationLimits, (name, max): (&String, &u64)| {
            let kind = known(name).unwrap_or_else(|| panic!("there is no limit {name}"));
            limits.with(kind, Limit::enforce(*max))
        };
        self.limits.iter().fold(OperationLimits::default(), set)
    }
}
