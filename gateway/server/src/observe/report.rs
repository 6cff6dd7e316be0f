//! `extensions.switchboard`: the plan and the upstream calls beside an answer,
//! `extensions.cost`, and `extensions.stale`: what is old since its source fails.
//!
//! Owns the reports' form, the first of which the playground reads. Only made
//! when asked for; the first only in development.

use std::time::Duration;

use plan::Plan;
use plan::print::StepSummary;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::StaleAnswer;
use serde::Serialize;
use tokio::time::Instant;

use crate::cost::Charge;
use crate::pipeline::Wants;

/// How the plan came about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planning {
    /// It was there already.
    pub(crate) cached: bool,
    /// From the request's arrival until the plan was there.
    pub(crate) took: Duration,
}

impl Planning {
    /// Looks at the clock only where the time is wanted.
    pub(crate) fn begun(wants: Wants, received: Instant, cached: bool) -> Self {
        let took = wants.trace.then(|| received.elapsed());
        Self {
            cached,
            took: took.unwrap_or_default(),
        }
    }
}

/// The text of `extensions`, where anything is wanted.
pub(crate) fn report(
    wants: Wants,
    plan: &Plan,
    planning: &Planning,
    context: &Context,
    charge: &Charge,
    actual: Option<u64>,
) -> Option<Vec<u8>> {
    let stale: Vec<StaleReport> = match plan.may_be_stale() {
        true => context
            .stale
            .answers()
            .iter()
            .map(StaleReport::of)
            .collect(),
        false => Vec::new(),
    };
    if wants == Wants::default() && stale.is_empty() {
        return None;
    }
    let cost = wants.cost.then_some(CostReport {
        requested: charge.requested,
        actual,
        limit: charge.limit,
    });
    let switchboard = (wants.plan || wants.trace).then(|| Report {
        plan: wants.plan.then(|| PlanReport::of(plan)),
        trace: context
            .calls
            .as_ref()
            .map(|calls| TraceReport::of(planning, calls)),
    });
    serde_json::to_vec(&Extensions {
        switchboard,
        cost,
        stale,
    })
    .ok()
}

#[derive(Serialize)]
struct Extensions {
    #[serde(skip_serializing_if = "Option::is_none")]
    switchboard: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stale: Vec<StaleReport>,
}

/// A source that failed, and how old the reply is that stands for its answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StaleReport {
    service: String,
    age_seconds: u64,
}

impl StaleReport {
    fn of(stale: &StaleAnswer) -> Self {
        Self {
            service: stale.source.to_string(),
            age_seconds: stale.age.as_secs(),
        }
    }
}

/// In points.
#[derive(Serialize)]
struct CostReport {
    requested: u64,
    actual: Option<u64>,
    limit: Option<u64>,
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceReport>,
}

#[derive(Serialize)]
struct PlanReport {
    text: String,
    steps: Vec<StepReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepReport {
    id: usize,
    kind: &'static str,
    source: String,
    field: String,
    call: String,
    batch: bool,
    depends_on: Vec<usize>,
    selects: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceReport {
    plan_cached: bool,
    plan_micros: u64,
    execute_micros: u64,
    total_micros: u64,
    calls: Vec<CallReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallReport {
    step: usize,
    source: String,
    method: String,
    target: String,
    body: Option<String>,
    start_micros: u64,
    end_micros: u64,
    status: String,
    keys: usize,
    bytes: usize,
    error: Option<String>,
    coalesced: bool,
    attempt: u32,
    hedge: bool,
    breaker: &'static str,
}

impl PlanReport {
    fn of(plan: &Plan) -> Self {
        Self {
            text: plan.to_string(),
            steps: plan.summary().into_iter().map(StepReport::of).collect(),
        }
    }
}

impl StepReport {
    fn of(step: StepSummary) -> Self {
        Self {
            id: step.id,
            kind: step.kind,
            source: step.source,
            field: step.field,
            call: step.call,
            batch: step.batch,
            depends_on: step.depends_on,
            selects: step.selects,
        }
    }
}

impl TraceReport {
    fn of(planning: &Planning, calls: &CallLog) -> Self {
        let total = Instant::now()
            .into_std()
            .saturating_duration_since(calls.started);
        Self {
            plan_cached: planning.cached,
            plan_micros: micros(planning.took),
            execute_micros: micros(total.saturating_sub(planning.took)),
            total_micros: micros(total),
            calls: calls.records().into_iter().map(CallReport::of).collect(),
        }
    }
}

impl CallReport {
    fn of(call: CallRecord) -> Self {
        Self {
            step: call.step,
            source: call.source.to_string(),
            method: call.method,
            target: call.target,
            body: call.body,
            start_micros: micros(call.start),
            end_micros: micros(call.end),
            status: call.status,
            keys: call.keys,
            bytes: call.bytes,
            error: call.error,
            coalesced: call.coalesced,
            attempt: call.attempt,
            hedge: call.hedge,
            breaker: call.breaker,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_reported_in_the_words_of_the_playground() {
        let call = CallReport::of(CallRecord {
            step: 1,
            source: "users".into(),
            method: "GET".into(),
            target: "/users?id=1&id=2".into(),
            body: None,
            start: Duration::from_micros(10),
            end: Duration::from_micros(2_300),
            status: "200".into(),
            keys: 2,
            bytes: 1_234,
            error: None,
            coalesced: false,
            attempt: 0,
            hedge: false,
            span: [0; 8],
            breaker: "closed",
        });
        assert_eq!(
            serde_json::to_string(&call).unwrap(),
            r#"{"step":1,"source":"users","method":"GET","target":"/users?id=1&id=2","body":null,"startMicros":10,"endMicros":2300,"status":"200","keys":2,"bytes":1234,"error":null,"coalesced":false,"attempt":0,"hedge":false,"breaker":"closed"}"#
        );
    }
}
