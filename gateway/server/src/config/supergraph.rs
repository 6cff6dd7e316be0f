//! What reading a ready-made supergraph needs to know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use compose::SourceOverride;
use http::HeaderMap;
use sources::Tls;

/// A supergraph that somebody else composed.
#[derive(Debug, Clone)]
pub(crate) struct Supergraph {
    pub(crate) origin: SupergraphOrigin,
    /// The `$env` names that it may read; `None` is not set.
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) sources: BTreeMap<String, SourceOverride>,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) enum SupergraphOrigin {
    /// As diagnostics name it, and as it is opened.
    File(String),
    Address(Box<SupergraphAddress>),
}

/// An address that is asked again and again.
#[derive(Debug, Clone)]
pub(crate) struct SupergraphAddress {
    pub(crate) url: String,
    pub(crate) poll: Duration,
    /// Of one answer.
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) tls: Tls,
    /// Where the last one that composed is kept.
    pub(crate) keep: Option<PathBuf>,
}

impl Supergraph {
    /// The address, where it is polled.
    pub(crate) fn address(&self) -> Option<&SupergraphAddress> {
        match &self.origin {
            SupergraphOrigin::File(_) => None,
            SupergraphOrigin::Address(address) => Some(address),
        }
    }
}
