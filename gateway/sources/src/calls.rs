//! What is written down of calls.
//!
//! Owns the call log and the events of upstream calls: one line for each
//! attempt. Decides nothing. Knows nothing of protocols.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use plan::code::Code;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::SourceError;
use tokio::time::Instant as Clock;

use crate::exchange::Attempt;
use crate::resilience::Outcome;

/// A status as people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Of HTTP.
    Number(u16),
    /// Of gRPC, or what stands for a status where there is none.
    Word(&'static str),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// One call as it is seen from outside.
pub(crate) struct Observed<'a> {
    /// The request on whose behalf it is made.
    pub(crate) context: &'a Context,
    /// The plan step.
    pub(crate) step: usize,
    /// The source's name.
    pub(crate) source: &'a Arc<str>,
    /// `GET`, or `gRPC`.
    pub(crate) method: &'a str,
    /// Path and query, or `package.Service/Method`.
    pub(crate) target: &'a str,
    /// The request body as text; made only where somebody reads it.
    pub(crate) body: Option<&'a dyn Fn() -> Option<String>>,
    /// Keys in the batch; 0 without one.
    pub(crate) keys: usize,
    /// The reply of an identical call in flight was used, or one that was kept.
    pub(crate) coalesced: bool,
}

/// The present, in the time that paused tests see.
pub(crate) fn now() -> Instant {
    Clock::now().into_std()
}

impl Observed<'_> {
    /// Writes an attempt down: in the request's log where there is one, and as an event.
    pub(crate) fn attempted(&self, attempt: &Attempt, error: Option<&SourceError>) {
        let Attempt { start, end, .. } = *attempt;
        tracing::debug!(
            target: "switchboard::upstream",
            correlation_id = %self.context.correlation_id,
            source = %self.source,
            method = self.method,
            upstream_target = self.target,
            status = %attempt.status,
            attempt = attempt.number,
            hedge = attempt.hedge,
            keys = self.keys,
            bytes = attempt.bytes,
            coalesced = self.coalesced,
            elapsed_us = micros(end.saturating_duration_since(start)),
            "upstream call"
        );
        if let Some(error) = error {
            self.failed(error);
        }
        if let Some(log) = &self.context.calls {
            log.push(self.record(log, attempt, error));
        }
    }

    /// Here the internal half of a failure is told, and in [`unreadable`], and nowhere else.
    fn failed(&self, error: &SourceError) {
        if error.code == Code::CircuitOpen {
            // That it opened was told once. What fails at once fails thousands of times a second.
            tracing::debug!(
                target: "switchboard::upstream",
                correlation_id = %self.context.correlation_id,
                source = %self.source,
                "the breaker is open"
            );
            return;
        }
        tracing::warn!(
            target: "switchboard::upstream",
            correlation_id = %self.context.correlation_id,
            source = %self.source,
            method = self.method,
            upstream_target = self.target,
            code = error.code.as_str(),
            detail = error.internal.as_deref().unwrap_or(&error.message),
            "upstream call failed"
        );
    }

    fn record(&self, log: &CallLog, attempt: &Attempt, error: Option<&SourceError>) -> CallRecord {
        let since = |time: Instant| time.saturating_duration_since(log.started);
        // Only the last attempt decides what the client reads.
        let retried = (attempt.outcome != Outcome::Ok).then(|| attempt.outcome.as_str().to_owned());
        CallRecord {
            step: self.step,
            source: self.source.clone(),
            method: self.method.to_owned(),
            target: self.target.to_owned(),
            body: self.body.and_then(|body| body()),
            start: since(attempt.start),
            end: since(attempt.end),
            status: attempt.status.to_string(),
            keys: self.keys,
            bytes: attempt.bytes,
            error: error.map(|error| error.message.clone()).or(retried),
            coalesced: self.coalesced,
            attempt: attempt.number,
            hedge: attempt.hedge,
            span: attempt.span,
            breaker: attempt.breaker.as_str(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
/// A subscription's source ended it, and not because it was at its end.
pub(crate) fn broken_off(context: &Context, error: &SourceError) {
    tracing::warn!(
        target: "switchboard::upstream",
        correlation_id = %context.correlation_id,
        source = %error.service,
        code = error.code.as_str(),
        detail = error.internal.as_deref().unwrap_or(&error.message),
        "a stream of events failed"
    );
}

/// A call went well, and its reply says that a part of it did not.
pub(crate) fn told(context: &Context, error: &SourceError) {
    tracing::warn!(
        target: "switchboard::upstream",
        correlation_id = %context.correlation_id,
        source = %error.service,
        code = error.code.as_str(),
        detail = error.internal.as_deref().unwrap_or(&error.message),
        "upstream reply holds an error"
    );
}

/// A call went well, and yet its reply is not as declared.
pub(crate) fn unreadable(context: &Context, error: &SourceError) {
    tracing::warn!(
        target: "switchboard::upstream",
        correlation_id = %context.correlation_id,
        source = %error.service,
        code = error.code.as_str(),
        detail = error.internal.as_deref().unwrap_or(&error.message),
        "upstream reply cannot be read"
    );
}
