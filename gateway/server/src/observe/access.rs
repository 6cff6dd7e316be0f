//! The access log: one line for each GraphQL request of the share that the
//! operator wants.

use super::seen::Ending;
use super::seen::How;
use crate::coalesce::Role;
use crate::pipeline::Answer;
use crate::pipeline::Course;

/// Writes the line.
pub(super) fn tell(ending: &Ending<'_>) {
    match ending.how {
        How::Answered(answer, status) => answered(ending, answer, status.as_u16()),
        How::Streamed(course) => streamed(ending, course),
        How::Refused(code, status) => refused(ending, code.as_str(), status.as_u16()),
        How::Problem(kind) => refused(ending, kind.slug(), kind.status().as_u16()),
        // What other servers write, too, where nobody waits for a status.
        How::Abandoned => refused(ending, "abandoned", 499),
    }
}

fn answered(ending: &Ending<'_>, answer: &Answer, status: u16) {
    let plan = ending.planned.map(|planned| &planned.plan);
    let mutation = plan.is_some_and(plan::Plan::is_mutation);
    tracing::info!(
        target: "access",
        status,
        operation = plan.and_then(plan::Plan::operation_name).unwrap_or(""),
        kind = if mutation { "mutation" } else { "query" },
        errors = answer.faults.count(),
        coalesced = answer.role == Role::Follower,
        bytes = answer.body.len(),
        cost = answer.cost.requested,
        actual_cost = answer.cost.actual,
        client = %ending.asked.address,
        client_name = ending.client.name.as_deref(),
        client_version = ending.client.version.as_deref(),
        trace_id = ending.trace_id(),
        micros = ending.micros(),
        "request"
    );
}

/// At its end, whoever wanted that.
fn streamed(ending: &Ending<'_>, course: &Course) {
    let plan = ending.planned.map(|planned| &planned.plan);
    tracing::info!(
        target: "access",
        status = 200,
        operation = plan.and_then(plan::Plan::operation_name).unwrap_or(""),
        kind = "subscription",
        events = course.events,
        errors = course.faults.count(),
        client = %ending.asked.address,
        client_name = ending.client.name.as_deref(),
        client_version = ending.client.version.as_deref(),
        trace_id = ending.trace_id(),
        micros = ending.micros(),
        "request"
    );
}

fn refused(ending: &Ending<'_>, code: &'static str, status: u16) {
    tracing::info!(
        target: "access",
        status,
        code,
        client = %ending.asked.address,
        client_name = ending.client.name.as_deref(),
        client_version = ending.client.version.as_deref(),
        trace_id = ending.trace_id(),
        micros = ending.micros(),
        "request"
    );
}
