//! What sources of every kind are made of.
//!
//! Owns the settings of one source with what the graph says about each of its
//! resolvers, and the way to it: addresses, health, rate, credentials. The way
//! outlives a graph: a reload that changes nothing about a source keeps its
//! connections and what is known of its health. Knows nothing of protocols.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use compose::model::Errors;
use compose::model::HeaderRule;
use compose::model::Resolver;
use compose::model::ResolverId;
use compose::model::ResponseRule;
use compose::model::Source as Declared;
use compose::model::Target;
use http::HeaderMap;
use serde_json::Map;
use serde_json::Value as Json;

use crate::ConnectError;
use crate::cache::Asking;
use crate::cache::Cache;
use crate::calls;
use crate::config::Settings;
use crate::credentials::Bearer;
use crate::gate::Gate;
use crate::peers::Peers;
use crate::protocol::Job;
use crate::render::Encodings;
use crate::render::Scope;
use crate::resilience::Guard;
use crate::resilience::Latency;
use crate::resilience::RetrySettings;
use crate::resilience::SourceNumbers;

/// One source of one graph.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    /// Header rules of the source.
    pub(crate) rules: Vec<HeaderRule>,
    /// Headers of its answers that clients are given.
    pub(crate) propagated: Vec<ResponseRule>,
    /// How its error replies are read.
    pub(crate) errors: Errors,
    pub(crate) encodings: Arc<Encodings>,
    pub(crate) cache: Cache,
    /// A mutation with less time left is not begun.
    pub(crate) min_deadline: Option<Duration>,
    policies: HashMap<ResolverId, Arc<CallPolicy>, ahash::RandomState>,
}

/// What happens around the calls of one resolver.
#[derive(Debug)]
pub(crate) struct CallPolicy {
    /// One attempt's time.
    pub(crate) limit: Duration,
    pub(crate) retry: RetrySettings,
    /// Whether it may be made twice.
    pub(crate) repeatable: bool,
    pub(crate) mutation: bool,
    /// How long its calls take, where they are hedged.
    pub(crate) hedged: Option<Latency>,
    /// How old the last good reply may be that stands for one that failed.
    pub(crate) stale: Option<Duration>,
}

impl CallPolicy {
    fn of(resolver: &Resolver, settings: &Settings) -> Self {
        let policy = &resolver.policy;
        let mutation = matches!(resolver.target, Target::Root { mutation: true, .. });
        let read = !mutation && policy.idempotent;
        Self {
            limit: policy.timeout.unwrap_or(settings.timeout),
            retry: settings.resilience.retry.with(policy.retry.as_ref()),
            repeatable: policy.idempotent,
            mutation,
            hedged: (policy.hedge && read).then(Latency::default),
            stale: policy.stale_if_error.filter(|_| read),
        }
    }
}

impl Service {
    /// With these of a graph's resolvers.
    pub(crate) fn new<'r>(
        declared: &Declared,
        settings: Settings,
        encodings: Arc<Encodings>,
        cache: Cache,
        resolvers: impl Iterator<Item = &'r Resolver>,
    ) -> Self {
        let alone = !declared.propagated.is_empty();
        let policy = |it: &Resolver| {
            let mut policy = CallPolicy::of(it, &settings);
            policy.stale = policy.stale.filter(|_| !alone);
            (it.id, Arc::new(policy))
        };
        Self {
            name: declared.name.as_str().into(),
            rules: declared.headers.clone(),
            propagated: declared.propagated.clone(),
            errors: declared.errors.clone(),
            min_deadline: declared.min_deadline,
            policies: resolvers.map(policy).collect(),
            settings,
            encodings,
            cache,
        }
    }

    /// What expressions can name where there is no request.
    pub(crate) fn nobody(&self) -> Scope<'_> {
        static NO_ARGS: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);
        static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        Scope {
            args: &NO_ARGS,
            rows: &[],
            headers: &NO_HEADERS,
            claims: &Json::Null,
            encodings: &self.encodings,
        }
    }

    /// Whether an answer may serve several: not where it carries what one client alone is given.
    pub(crate) fn may_share(&self) -> bool {
        self.propagated.is_empty()
    }

    /// The way to what is kept, where this call may take it or add to it.
    pub(crate) fn asking<'a>(&'a self, job: &Job<'a>) -> Option<Asking<'a>> {
        match self.may_share() {
            true => self.cache.asking(job),
            false => None,
        }
    }

    /// What happens around one attempt at a durable call: what follows is for the queue to say.
    pub(crate) fn delivery_policy(&self, resolver: Option<&Resolver>) -> CallPolicy {
        let timeout = resolver.and_then(|resolver| resolver.policy.timeout);
        CallPolicy {
            limit: timeout.unwrap_or(self.settings.timeout),
            retry: self.settings.resilience.retry.with(None),
            repeatable: false,
            mutation: true,
            hedged: None,
            stale: None,
        }
    }

    /// What happens around the calls of a resolver.
    pub(crate) fn policy(&self, resolver: &Resolver) -> Arc<CallPolicy> {
        match self.policies.get(&resolver.id) {
            Some(policy) => policy.clone(),
            // One that is not of this source's graph has no past.
            None => Arc::new(CallPolicy::of(resolver, &self.settings)),
        }
    }
}

/// The way to one source. `T` is what calls to one of its addresses go over.
pub(crate) struct Link<T> {
    /// Where it leads, and how: another link is needed where these change.
    url: String,
    settings: Settings,
    pub(crate) peers: Arc<Peers<T>>,
    pub(crate) guard: Guard,
    pub(crate) gate: Gate,
    pub(crate) bearer: Bearer,
}

impl<T: Send + Sync + 'static> Link<T> {
    /// Dials nothing yet.
    pub(crate) fn new(
        name: &Arc<str>,
        url: &str,
        settings: &Settings,
        peers: Arc<Peers<T>>,
    ) -> Result<Arc<Self>, ConnectError> {
        Ok(Arc::new(Self {
            url: url.to_owned(),
            peers,
            guard: Guard::new(name, &settings.resilience),
            gate: Gate::new(name, settings.pace),
            bearer: Bearer::new(name, settings)?,
            settings: settings.clone(),
        }))
    }

    /// Whether it serves a source with these settings as well.
    pub(crate) fn fits(&self, url: &str, settings: &Settings) -> bool {
        self.url == url && self.settings == *settings
    }

    /// What was counted.
    pub(crate) fn numbers(&self, source: &str) -> SourceNumbers {
        let Guard {
            breaker,
            budget,
            bulkhead,
            numbers,
        } = &self.guard;
        let now = calls::now();
        let (addresses, ejected) = self.peers.count(now);
        SourceNumbers {
            source: source.into(),
            attempts: numbers.attempts(),
            durations: numbers.durations(),
            batches: numbers.batches(),
            retries: numbers.retries.get(),
            retries_denied: numbers.retries_denied.get(),
            budget_left: budget.left(now),
            hedges: numbers.hedges.get(),
            hedges_won: numbers.hedges_won.get(),
            merged: numbers.merged.get(),
            kept: numbers.kept.get(),
            stale: numbers.stale.get(),
            in_flight: bulkhead.in_flight(),
            queued: bulkhead.waiting(),
            bulkhead_refused: numbers.bulkhead_refused.get(),
            breaker: breaker.state(),
            breaker_openings: breaker.openings(),
            faults: numbers.faults.get(),
            addresses,
            ejected,
        }
    }
}
