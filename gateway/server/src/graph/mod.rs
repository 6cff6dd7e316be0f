//! The graph in service: what was composed, its sources and its plans.
//!
//! Owns how a configuration becomes a graph, and how a graph is replaced while
//! requests run on the old one. Knows nothing of HTTP requests.

pub(crate) mod load;
pub(crate) mod reach;
pub(crate) mod reload;

use std::sync::Arc;

use compose::Diagnostics;
use compose::Supergraph;
use compose::diagnostic::Diagnostic;
use plan::source::Sources;
use sources::ConnectedSources;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::plans::Planner;
use crate::plans::Plans;

/// One version of the graph, ready to serve.
pub(crate) struct Graph {
    pub(crate) settings: Config,
    pub(crate) supergraph: Arc<Supergraph>,
    pub(crate) plans: Plans,
    pub(crate) reach: reach::Sources,
    sources: ConnectedSources,
}

impl Graph {
    /// Sets up what a composed graph needs to serve. No service is called.
    pub(crate) fn new(
        settings: Config,
        supergraph: Supergraph,
        pool: Arc<Semaphore>,
    ) -> Result<Self, Diagnostics> {
        let supergraph = Arc::new(supergraph);
        let sources = sources::connect(&supergraph, &settings.sources)
            .map_err(|error| Diagnostics(vec![cannot_connect(&error)]))?;
        let planner = Planner {
            supergraph: supergraph.clone(),
            limits: settings.documents,
            introspection: settings.features.introspection,
            suggestions: settings.features.suggestions,
            pool,
        };
        Ok(Self {
            plans: Plans::new(planner, settings.plans),
            reach: reach::Sources::of(&supergraph, &settings.sources),
            settings,
            supergraph,
            sources,
        })
    }

    pub(crate) fn sources(&self) -> &dyn Sources {
        &self.sources
    }
}

fn cannot_connect(error: &sources::ConnectError) -> Diagnostic {
    Diagnostic::error("SOURCE_SETTINGS", error.to_string())
}
