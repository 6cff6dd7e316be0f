//! The access log: one line for each GraphQL request, where it is turned on.

use http::StatusCode;

use super::seen::Asked;
use crate::coalesce::Role;
use crate::pipeline::Answer;
use crate::plans::Planned;

/// A request that was answered.
pub(crate) fn answered(
    asked: Asked,
    micros: u64,
    planned: &Planned,
    answer: &Answer,
    status: StatusCode,
) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        operation = planned.plan.operation_name().unwrap_or(""),
        kind = if planned.plan.is_mutation() { "mutation" } else { "query" },
        errors = answer.faults.count(),
        coalesced = answer.role == Role::Follower,
        bytes = answer.body.len(),
        cost = answer.cost.requested,
        actual_cost = answer.cost.actual,
        client = %asked.address,
        micros,
        "request"
    );
}

/// A request that was not run.
pub(crate) fn refused(asked: Asked, micros: u64, code: &'static str, status: StatusCode) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        code,
        client = %asked.address,
        micros,
        "request"
    );
}
