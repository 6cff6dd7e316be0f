//! The access log: one line for each GraphQL request, where it is turned on.

use std::net::IpAddr;

use http::StatusCode;
use tokio::time::Instant;

use crate::coalesce::Role;
use crate::pipeline::Answer;

/// Who asked, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) address: IpAddr,
    pub(crate) received: Instant,
}

/// A request that was answered.
pub(crate) fn answered(asked: Asked, answer: &Answer, status: StatusCode) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        operation = answer.operation.plan.operation_name().unwrap_or(""),
        kind = if answer.operation.plan.is_mutation() { "mutation" } else { "query" },
        errors = answer.errors,
        coalesced = answer.role == Role::Follower,
        bytes = answer.body.len(),
        cost = answer.cost.requested,
        actual_cost = answer.cost.actual,
        client = %asked.address,
        micros = micros(asked.received),
        "request"
    );
}

/// A request that was not run.
pub(crate) fn refused(asked: Asked, code: &'static str, status: StatusCode) {
    tracing::info!(
        target: "access",
        status = status.as_u16(),
        code,
        client = %asked.address,
        micros = micros(asked.received),
        "request"
    );
}

fn micros(received: Instant) -> u64 {
    u64::try_from(received.elapsed().as_micros()).unwrap_or(u64::MAX)
}
