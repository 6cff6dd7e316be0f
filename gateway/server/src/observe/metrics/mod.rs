//! Numbers of everything that the gateway does, for Prometheus.
//!
//! Owns the list of what is counted, and how long it lives: as long as the
//! process, whatever graph is in service. Stages add to a number; nothing here
//! is asked by them. What other rooms count themselves (sources, rate limits)
//! is only read here, when somebody looks.

mod fields;
mod live;
mod number;
mod operations;
mod page;
mod process;
mod queues;
mod sources;
mod text;

use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use compose::Supergraph;
use plan::Plan;
use plan::code::Code;
use tokio::time::Instant;

use self::fields::Fields;
use self::live::Live;
use self::operations::Operations;
use crate::authenticate::Denied;
use crate::config::MetricsSettings;
use crate::edge::problem::Kind;
use crate::faults::Faults;
use crate::limits::Measured;

pub(crate) use fields::PlanFields;
pub(crate) use live::OpenSocket;
pub(crate) use live::OpenSubscription;
pub(crate) use number::Counter;
pub(crate) use number::Histogram;
pub(crate) use number::Tally;
pub(crate) use operations::Operation;
pub(crate) use operations::Outcome;
pub(crate) use page::page;
pub(crate) use text::MEDIA_TYPE;

/// Points.
const COSTS: &[u64] = &[
    1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000,
];

/// Everything that is counted here.
pub(crate) struct Metrics {
    /// Whether anybody is shown them.
    pub(crate) shown: bool,
    started: Instant,
    /// Seconds since 1970.
    started_at: f64,
    operations: Operations,
    fields: Option<Fields>,
    /// Answers that were somebody else's work.
    pub(crate) coalesced: Counter,
    /// Operations whose client went away before their answer.
    pub(crate) abandoned: Counter,
    /// Operations that were not run, by the place of their code.
    not_run: Tally,
    /// Requests that were answered with a problem, by the place of its type.
    refusals: Tally,
    pub(crate) plan_hits: Counter,
    pub(crate) plan_misses: Counter,
    costs: Histogram,
    measured: Tally,
    authentication: Tally,
    spans_sent: Counter,
    spans_dropped: Tally,
    /// What outlives a request.
    pub(crate) live: Live,
    reloads: [Counter; 2],
    /// By what an address of supergraphs said: another one, the same, nothing.
    polls: [Counter; 3],
    /// Seconds since 1970 at the last reload that was put in service.
    reloaded_at: Counter,
}

/// Why a span does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// More wait than the operator allows.
    QueueFull,
    /// The collector did not answer, or refused all.
    Failed,
    /// The collector refused these.
    Rejected,
}

impl Unsent {
    const NAMES: [&'static str; 3] = ["queue_full", "failed", "rejected"];
}

/// What a plan is counted under.
#[derive(Debug)]
pub(crate) struct PlanNumbers {
    pub(crate) operation: Arc<Operation>,
    pub(crate) fields: Option<PlanFields>,
}

impl Metrics {
    pub(crate) fn new(settings: &MetricsSettings) -> Arc<Self> {
        let started_at = now();
        let reloaded_at = Counter::default();
        reloaded_at.add(started_at as u64);
        Arc::new(Self {
            shown: settings.enabled,
            started: Instant::now(),
            started_at,
            operations: Operations::new(settings.operations),
            fields: (settings.enabled && settings.fields).then(Fields::new),
            coalesced: Counter::default(),
            abandoned: Counter::default(),
            not_run: Tally::of(Code::COUNT),
            refusals: Tally::of(Kind::ALL.len()),
            plan_hits: Counter::default(),
            plan_misses: Counter::default(),
            costs: Histogram::new(COSTS),
            measured: Tally::of(Measured::COUNT),
            authentication: Tally::of(Denied::REASONS.len()),
            spans_sent: Counter::default(),
            spans_dropped: Tally::of(Unsent::NAMES.len()),
            live: Live::default(),
            reloads: Default::default(),
            polls: Default::default(),
            reloaded_at,
        })
    }

    /// Where an operation is counted that was planned just now.
    pub(crate) fn planned(&self, plan: &Plan) -> PlanNumbers {
        PlanNumbers {
            operation: self
                .operations
                .named(plan.operation_name(), plan.is_mutation()),
            fields: self.fields.as_ref().map(|fields| fields.of(plan)),
        }
    }

    /// An operation ran and was answered.
    pub(crate) fn answered(&self, numbers: &PlanNumbers, micros: u64, cost: u64, faults: &Faults) {
        numbers.operation.answered(micros, faults);
        self.costs.observe(cost);
        if let Some(fields) = &numbers.fields {
            fields.used();
        }
    }

    /// An operation was not run; known by its plan, where it has one.
    pub(crate) fn refused(&self, numbers: Option<&PlanNumbers>, micros: u64, code: Code) {
        self.not_run.count(code as usize);
        if let Some(numbers) = numbers {
            numbers.operation.answered(micros, &code.into());
        }
    }

    /// A request was answered with a problem.
    pub(crate) fn problem(&self, kind: Kind) {
        self.refusals.count(kind as usize);
    }

    /// A limit that is only measured was exceeded.
    pub(crate) fn measured(&self, measured: Measured) {
        self.measured.count(measured.place());
    }

    /// Somebody is not who they say, or does not say it.
    pub(crate) fn not_authenticated(&self, denied: Denied) {
        self.authentication.count(denied.place());
    }

    /// Spans have arrived.
    pub(crate) fn spans_sent(&self, spans: usize) {
        self.spans_sent.add(spans as u64);
    }

    /// Spans will not arrive.
    pub(crate) fn spans_dropped(&self, why: Unsent, spans: usize) {
        self.spans_dropped.add(why as usize, spans as u64);
    }

    /// An address of supergraphs was asked; whether it had another one, where it answered.
    pub(crate) fn polled(&self, changed: Option<bool>) {
        let outcome = match changed {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        };
        self.polls[outcome].count();
    }

    /// Files were read anew.
    pub(crate) fn reloaded(&self, in_service: bool) {
        self.reloads[usize::from(!in_service)].count();
        if in_service {
            let since = (now() as u64).saturating_sub(self.reloaded_at.get());
            self.reloaded_at.add(since);
        }
    }

    #[cfg(test)]
    pub(crate) fn fields_used(&self) -> Vec<(String, u64)> {
        let fields = self.fields.as_ref();
        fields.map(Fields::used).unwrap_or_default()
    }

    /// A new graph is in service.
    pub(crate) fn keep_fields_of(&self, graph: &Supergraph) {
        if let Some(fields) = &self.fields {
            fields.keep_those_of(graph);
        }
    }
}

/// Seconds since 1970, by the clock on the wall.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
