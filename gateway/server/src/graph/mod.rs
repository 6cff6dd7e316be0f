//! The graph in service: what was composed, its sources and its plans.
//!
//! Owns how a configuration becomes a graph, and how a graph is replaced while
//! requests run on the old one. Knows nothing of HTTP requests.

pub(crate) mod kept;
pub(crate) mod load;
pub(crate) mod reach;
pub(crate) mod reload;
pub(crate) mod supergraph;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;

use compose::Diagnostics;
use compose::Supergraph;
use compose::diagnostic::Diagnostic;
use compose::model::Resolver;
use compose::model::SourceId;
use plan::outbox::Deferred;
use plan::rehearsal::Fault;
use plan::source::Sources;
use sources::ConnectedSources;
use sources::Label;
use sources::NotDelivered;
use sources::Purge;
use sources::Secret;
use sources::SourceNumbers;
use tokio::sync::Semaphore;

use crate::authenticate::Authenticator;
use crate::authorize::Authorization;
use crate::config::Config;
use crate::cost::Costs;
use crate::documents::Documents;
use crate::durable::Durable;
use crate::durable::following;
use crate::durable::following::Following;
use crate::observe::metrics::Metrics;
use crate::overrides::Overrides;
use crate::plans::Planner;
use crate::plans::Plans;
use crate::rate_limits::RateLimits;
use crate::rehearse::Rehearsals;

/// One version of the graph, ready to serve.
pub(crate) struct Graph {
    pub(crate) settings: Config,
    pub(crate) supergraph: Arc<Supergraph>,
    pub(crate) plans: Plans,
    /// Of its contracts, by name: plans are kept apart, all else is shared.
    contracts: BTreeMap<Arc<str>, Plans>,
    pub(crate) overrides: Overrides,
    pub(crate) costs: Costs,
    pub(crate) reach: reach::Sources,
    pub(crate) authenticator: Authenticator,
    pub(crate) documents: Documents,
    pub(crate) rate_limits: RateLimits,
    pub(crate) authorization: Authorization,
    pub(crate) rehearsals: Rehearsals,
    /// Outlive every graph.
    pub(crate) metrics: Arc<Metrics>,
    /// Whether any of its fields is queued.
    pub(crate) queues: bool,
    /// Where its queued calls wait; outlives every graph.
    pub(crate) durable: Arc<OnceLock<Durable>>,
    sources: ConnectedSources,
}

impl Graph {
    /// Sets up what a composed graph needs to serve. No service is called.
    pub(crate) fn new(
        settings: Config,
        supergraph: Supergraph,
        pool: Arc<Semaphore>,
    ) -> Result<Self, Diagnostics> {
        Self::after(None, settings, supergraph, pool)
    }

    /// The same, with what outlives a graph from the one before: buckets of rate limits, documents that clients registered, connections to sources and what is known of their health.
    pub(crate) fn after(
        old: Option<&Self>,
        settings: Config,
        supergraph: Supergraph,
        pool: Arc<Semaphore>,
    ) -> Result<Self, Diagnostics> {
        let limits = RateLimits::new(&settings.rate_limits, old.map(|old| &old.rate_limits))
            .map_err(|why| Diagnostics(vec![Diagnostic::error("CONFIG_VALUE", why)]))?;
        let known = old.map(|old| &old.authenticator);
        let authenticator = Authenticator::new(&settings.authentication, known)
            .map_err(|why| Diagnostics(vec![cannot_verify(why)]))?;
        let documents = Documents::new(&settings.persisted, old.map(|old| &old.documents))?;
        let metrics = match old {
            Some(old) => old.metrics.clone(),
            None => Metrics::new(&settings.metrics),
        };
        let supergraph = Arc::new(supergraph);
        let durable = old.map(|old| old.durable.clone()).unwrap_or_default();
        let mut settings = settings;
        let following = Following::new(durable.clone(), settings.queue.follow_scope.clone());
        settings
            .sources
            .local
            .serve(following::NAME, Arc::new(following));
        let sources = sources::connect(&supergraph, &settings.sources, old.map(|old| &old.sources))
            .map_err(|error| Diagnostics(vec![cannot_connect(&error)]))?;
        let planner = Planner {
            supergraph: supergraph.clone(),
            introspection: settings.features.introspection,
            suggestions: settings.features.suggestions,
            pool,
            metrics: metrics.clone(),
        };
        tell_of_faults(&settings);
        Ok(Self {
            rehearsals: rehearsals(&settings),
            authorization: Authorization::new(&settings.authorization, &supergraph)?,
            contracts: contracts(&planner, settings.plans),
            plans: Plans::new(planner, settings.plans),
            overrides: Overrides::new(supergraph.labels(), &settings.override_labels),
            costs: Costs::new(&settings.cost, &supergraph),
            reach: reach::Sources::of(&supergraph, &settings.sources),
            queues: supergraph.resolvers().iter().any(|it| it.queue.is_some()),
            durable,
            settings,
            supergraph,
            metrics,
            sources,
            authenticator,
            documents,
            rate_limits: limits,
        })
    }

    /// The plans of a contract, or of the whole graph; none where that is not served.
    pub(crate) fn plans_of(&self, contract: Option<&str>) -> Option<&Plans> {
        match contract {
            None => self.settings.full_graph.then_some(&self.plans),
            Some(name) => self.contracts.get(name),
        }
    }

    /// The contract of this name, as it is called here.
    pub(crate) fn contract(&self, name: &str) -> Option<Arc<str>> {
        let (name, _) = self.contracts.get_key_value(name)?;
        Some(name.clone())
    }

    /// Of the whole graph and of each contract.
    pub(crate) fn all_plans(&self) -> impl Iterator<Item = &Plans> {
        std::iter::once(&self.plans).chain(self.contracts.values())
    }

    /// Plans what another graph used most, each contract for itself.
    pub(crate) async fn warm_from(&self, old: &Self, at_most: usize) -> usize {
        let mut plans = self.plans.warm_from(&old.plans, at_most).await;
        for (name, contract) in &self.contracts {
            if let Some(old) = old.contracts.get(name) {
                plans += contract.warm_from(old, at_most).await;
            }
        }
        plans
    }

    /// Plans every trusted operation: what is there before it is asked for, and what no longer fits, with its id.
    pub(crate) async fn plan_trusted(&self) -> (usize, Diagnostics) {
        let limits = &self.settings.limits.others;
        let (mut planned, mut problems) = (0, Diagnostics::default());
        for (id, text, name) in self.documents.trusted_operations() {
            match self.plans.get_or_plan(text, name, limits).await {
                Ok(_) => planned += 1,
                Err(refusal) => problems.push(untrustworthy(id, &refusal)),
            }
        }
        (planned, problems)
    }

    pub(crate) fn sources(&self) -> &dyn Sources {
        &self.sources
    }

    /// What was counted of each source.
    pub(crate) fn numbers(&self) -> Vec<SourceNumbers> {
        self.sources.numbers()
    }

    /// Makes one attempt at a call that was made durable before.
    pub(crate) async fn deliver(
        &self,
        call: &Deferred,
        resolver: Option<&Resolver>,
        label: Label,
    ) -> Result<(), NotDelivered> {
        let delivered = self
            .sources
            .deliver(&self.supergraph, call, resolver, label);
        delivered.await
    }

    /// Takes kept replies away; how many that were.
    pub(crate) fn purge(&self, purge: &Purge) -> u64 {
        self.sources.purge(purge)
    }

    /// What was kept of these is old.
    pub(crate) fn written(&self, sources: &[SourceId], types: &[Arc<str>]) {
        self.sources.written(sources, types);
    }
}

/// Each contract has plans of its own, over a graph that differs in nothing but what clients see.
fn contracts(whole: &Planner, entries: u64) -> BTreeMap<Arc<str>, Plans> {
    let graph = &whole.supergraph;
    let contracts = graph.contracts().filter_map(|name| {
        let planner = Planner {
            supergraph: Arc::new(graph.contract(name)?),
            ..whole.clone()
        };
        Some((name.into(), Plans::new(planner, entries)))
    });
    contracts.collect()
}

/// Nobody shall look for a fault that is there on purpose.
fn tell_of_faults(settings: &Config) {
    for (source, own) in &settings.sources.sources {
        if let Some(Fault {
            delay,
            abort,
            percentage,
        }) = own.fault
        {
            tracing::warn!(
                source,
                percentage,
                delay_ms = delay.as_millis() as u64,
                abort,
                "faults on purpose: calls of this source go wrong because the configuration says so"
            );
        }
    }
}

/// In production nobody's word is taken.
fn rehearsals(settings: &Config) -> Rehearsals {
    let secret = settings.faults_secret.as_ref();
    match (secret, settings.dev) {
        (Some(_), true) => {
            tracing::warn!("faults on purpose: requests that are signed may ask for them")
        }
        (Some(_), false) => tracing::warn!("dev.faults_secret is not used without --dev"),
        (None, _) => {}
    }
    Rehearsals::new(secret.filter(|_| settings.dev).map(Secret::reveal))
}

fn untrustworthy(id: &str, refusal: &plan::Refusal) -> Diagnostic {
    Diagnostic::error(
        "TRUSTED_DOCUMENT",
        format!("`{id}` does not fit the graph: {refusal}"),
    )
    .help("a client that asks for it is refused: mend the graph, or take it off the manifest")
}

fn cannot_verify(why: String) -> Diagnostic {
    Diagnostic::error("AUTHENTICATION_SETTINGS", why)
        .help("`authentication` names the file or address")
}

fn cannot_connect(error: &sources::ConnectError) -> Diagnostic {
    Diagnostic::error("SOURCE_SETTINGS", error.to_string())
}
