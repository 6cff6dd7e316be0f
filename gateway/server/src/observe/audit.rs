//! The audit log: one line for each thing that an operator did or was refused.
//!
//! Always written, whatever the level of the other lines: target `audit`.

use std::net::IpAddr;

use http::Method;

/// An action and what became of it. `operator` is the name of a token.
pub(crate) fn acted(address: &IpAddr, operator: Option<&str>, action: &str, outcome: &str) {
    tracing::info!(
        target: "audit",
        %address,
        operator = operator.unwrap_or(""),
        action,
        outcome,
        "an operator acted"
    );
}

/// Somebody who may not act.
pub(crate) fn refused(address: &IpAddr, method: &Method, path: &str) {
    tracing::warn!(
        target: "audit",
        %address,
        %method,
        path,
        outcome = "unauthenticated",
        "an operator was refused"
    );
}
