//! What goes with every call, and what is written down of it.
//!
//! Owns the correlation and trace headers, the call log and the events of
//! upstream calls. Decides nothing: a label never changes what is sent beside
//! itself. Knows nothing of protocols.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::SourceError;
use plan::source::TraceContext;
use tokio::time::Instant as Clock;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Adds the correlation id and the trace context, with a new parent id for this call.
/// Format: <https://www.w3.org/TR/trace-context/#traceparent-header>.
pub(crate) fn propagate(context: &Context, headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::from_str(&context.correlation_id) {
        headers.insert(CORRELATION_ID, id);
    }
    let parent = traceparent(&context.trace, rand::random());
    if let Ok(parent) = HeaderValue::from_bytes(&parent) {
        headers.insert(TRACEPARENT, parent);
    }
    if let Some(Ok(state)) = context.trace.state.as_deref().map(HeaderValue::from_str) {
        headers.insert(TRACESTATE, state);
    }
}

/// Written by hand: it goes with every call, and formatting machinery costs more than the text.
fn traceparent(trace: &TraceContext, parent: u64) -> [u8; 55] {
    let trace_id = match u128::from_be_bytes(trace.trace_id) {
        // An id of zeros is invalid; a call outside any trace begins one.
        0 => rand::random::<u128>().max(1),
        id => id,
    };
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(&trace_id.to_be_bytes(), &mut text[3..35]);
    hex(&parent.max(1).to_be_bytes(), &mut text[36..52]);
    hex(&[trace.flags], &mut text[53..55]);
    text
}

fn hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
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
    pub(crate) body: Option<&'a dyn Fn() -> String>,
    /// Keys in the batch; 0 without one.
    pub(crate) keys: usize,
}

/// What stands for the status of a reply that was kept.
pub(crate) const KEPT: &str = "cached";

/// Where a reply came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A call of its own.
    Called,
    /// That of an identical call in flight.
    Merged,
    /// It was kept.
    Kept,
}

impl How {
    /// As merging of reads has it.
    pub(crate) fn joined(follower: bool) -> Self {
        match follower {
            true => How::Merged,
            false => How::Called,
        }
    }
}

/// How a call ended.
pub(crate) struct Ended<'a> {
    /// HTTP status or gRPC code; a word where there was none.
    pub(crate) status: &'a str,
    /// Bytes of the reply.
    pub(crate) bytes: usize,
    /// What went wrong.
    pub(crate) error: Option<&'a SourceError>,
    /// The reply of an identical call in flight was used, or one that was kept.
    pub(crate) coalesced: bool,
}

/// The present, in the time that paused tests see.
pub(crate) fn now() -> Instant {
    Clock::now().into_std()
}

impl Observed<'_> {
    /// Writes the call down: in the request's log where there is one, and as an event.
    pub(crate) fn ended(&self, start: Instant, ended: &Ended<'_>) {
        let end = now();
        tracing::debug!(
            target: "switchboard::upstream",
            correlation_id = %self.context.correlation_id,
            source = %self.source,
            method = self.method,
            upstream_target = self.target,
            status = ended.status,
            keys = self.keys,
            bytes = ended.bytes,
            coalesced = ended.coalesced,
            elapsed_us = end.saturating_duration_since(start).as_micros() as u64,
            "upstream call"
        );
        if let Some(error) = ended.error {
            self.failed(error);
        }
        if let Some(log) = &self.context.calls {
            log.push(self.record(log, start, end, ended));
        }
    }

    /// The only place where the internal half of a failure is told.
    fn failed(&self, error: &SourceError) {
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

    fn record(&self, log: &CallLog, start: Instant, end: Instant, ended: &Ended<'_>) -> CallRecord {
        CallRecord {
            step: self.step,
            source: self.source.clone(),
            method: self.method.to_owned(),
            target: self.target.to_owned(),
            body: self.body.map(|body| body()),
            start: start.saturating_duration_since(log.started),
            end: end.saturating_duration_since(log.started),
            status: ended.status.to_owned(),
            keys: self.keys,
            bytes: ended.bytes,
            error: ended.error.map(|error| error.message.clone()),
            coalesced: ended.coalesced,
            attempt: 0,
            hedge: false,
            span: [0; 8],
            breaker: "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(trace: &TraceContext, parent: u64) -> String {
        String::from_utf8(traceparent(trace, parent).to_vec()).unwrap()
    }

    #[test]
    fn the_trace_is_kept_and_the_parent_is_new() {
        let trace = TraceContext {
            trace_id: [0xab; 16],
            parent_id: [1; 8],
            flags: 1,
            state: None,
        };
        assert_eq!(
            text(&trace, 0x1234),
            "00-abababababababababababababababab-0000000000001234-01"
        );
    }

    #[test]
    fn ids_of_zeros_are_never_sent() {
        let parent = text(&TraceContext::default(), 0);
        assert_eq!(parent.len(), 55);
        assert!(!parent.starts_with("00-00000000000000000000000000000000-"));
        assert!(parent.ends_with("-0000000000000001-00"));
    }
}
