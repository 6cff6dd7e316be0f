//! Switchboard, a GraphQL federation gateway: the program.
//!
//! Everything else is a room of its own. To read one request's story, start in
//! `pipeline`.

mod admission;
mod authenticate;
mod authorize;
mod cache;
mod cli;
mod closest;
mod coalesce;
mod config;
mod cost;
mod deadline;
mod documents;
mod durable;
mod edge;
mod faults;
mod graph;
mod hashed;
mod idempotency;
mod identity;
mod limits;
mod observe;
mod overrides;
mod pipeline;
mod plans;
mod rate_limits;
mod refusal;
mod rehearse;
mod suggest;

use std::process::ExitCode;

/// Requests make many small, short-lived allocations on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
