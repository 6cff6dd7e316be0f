//! The `yaml config` block: what an operator would decide, and which services are down.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::DocumentLimits;
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
    /// Milliseconds until the request's deadline.
    pub(crate) deadline: Option<u64>,
    pub(crate) limits: Limits,
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

/// Limits on the document.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) characters: Option<usize>,
    pub(crate) tokens: Option<usize>,
    pub(crate) nesting: Option<usize>,
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
    pub(crate) fn document_limits(&self) -> DocumentLimits {
        let safe = DocumentLimits::default();
        DocumentLimits {
            characters: self.limits.characters.unwrap_or(safe.characters),
            tokens: self.limits.tokens.unwrap_or(safe.tokens),
            nesting: self.limits.nesting.unwrap_or(safe.nesting),
            ..safe
        }
    }
}
