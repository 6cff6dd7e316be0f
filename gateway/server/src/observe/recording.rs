//! What is written down of a request that somebody wants to see afterwards.
//!
//! Owns whether that is anybody: the tracer, for the share that it samples,
//! and the log of slow requests, where it is on. Nothing is written down for
//! others.

use std::sync::Arc;

use plan::source::CallLog;
use plan::source::TraceContext;

use super::stages::Stages;
use crate::pipeline::Caller;

/// Calls and stages of one operation.
pub(crate) struct Recording {
    /// Whether it becomes a trace.
    pub(super) sampled: bool,
    pub(super) stages: Stages,
    pub(super) calls: CallLog,
    pub(super) trace: TraceContext,
    pub(super) correlation_id: Arc<str>,
}

/// Who wants to see a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// It becomes a trace.
    pub(crate) sampled: bool,
    /// It may turn out to be slow.
    pub(crate) slow: bool,
}

impl Wanted {
    pub(crate) fn by_anybody(self) -> bool {
        self.sampled || self.slow
    }
}

impl Recording {
    pub(super) fn begin(wanted: Wanted, stages: &Stages, caller: &Caller) -> Option<Box<Self>> {
        let begin = || {
            Box::new(Self {
                sampled: wanted.sampled,
                stages: stages.clone(),
                calls: CallLog::new(caller.received.into_std()),
                trace: caller.trace.clone(),
                correlation_id: caller.correlation_id.clone(),
            })
        };
        wanted.by_anybody().then(begin)
    }
}
