//! What the gateway says about itself: log lines, metrics, and the report that
//! a developer asks for. Wraps the stages and never interleaves with them.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod report;
pub(crate) mod seen;
