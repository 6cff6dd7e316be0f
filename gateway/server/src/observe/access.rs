//! The access log: one line for each GraphQL request, where it is turned on.

use http::StatusCode;
use tokio::time::Instant;

use crate::coalesce::Role;
use crate::pipeline::Answer;

/// A request that was answered.
pub(crate) fn answered(answer: &Answer, status: StatusCode, received: Instant) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        operation = answer.operation.plan.operation_name().unwrap_or(""),
        kind = if answer.operation.plan.is_mutation() { "mutation" } else { "query" },
        errors = answer.errors,
        coalesced = answer.role == Role::Follower,
        bytes = answer.body.len(),
        micros = micros(received),
        "request"
    );
}

/// A request that was not run.
pub(crate) fn refused(code: &'static str, status: StatusCode, received: Instant) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        code,
        micros = micros(received),
        "request"
    );
}

fn micros(received: Instant) -> u64 {
    u64::try_from(received.elapsed().as_micros()).unwrap_or(u64::MAX)
}
