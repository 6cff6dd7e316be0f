//! What the gateway says about itself: log lines, metrics, traces, and the
//! report that a developer asks for. Wraps the stages and never interleaves with them.

mod access;
pub(crate) mod audit;
mod client;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod recording;
pub(crate) mod report;
pub(crate) mod seen;
pub(crate) mod share;
mod slow;
pub(crate) mod stages;
pub(crate) mod trace;
