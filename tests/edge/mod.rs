//! The real binary: started as an operator starts it, against real services
//! that work, fail, hang and lie, and against one of our own that says exactly
//! what a test wants.

mod attacks;
mod authorization;
pub(crate) mod binary;
mod caching;
mod collector;
mod command_line;
mod contracts;
mod credentials;
mod deadlines;
mod documents;
mod door;
mod far;
mod faults;
mod federation;
mod floods;
mod hang_up;
mod headers;
mod idempotency;
mod identity;
mod lifecycle;
mod limits;
mod metrics;
mod mutations;
mod operations_files;
mod overload;
mod policies;
mod queue;
mod rate_limits;
mod raw;
mod scripted;
mod shop;
mod slow;
mod subscriptions;
mod supergraph;
mod ticker;
mod tls;
mod traces;
mod websocket;

use std::time::Duration;

/// Bounds every wait in these tests; none of them needs it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
