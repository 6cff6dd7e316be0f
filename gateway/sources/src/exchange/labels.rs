//! What goes with every attempt, whatever is asked: ids, trace, credentials.
//!
//! Owns the correlation and trace headers. Decides nothing: a label never
//! changes what is sent beside itself.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use plan::source::Context;
use plan::source::TraceContext;

use super::delivery::Label;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The labels of one call, for all its attempts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Option<Set>);

#[derive(Debug, Clone)]
struct Set {
    correlation_id: Option<HeaderValue>,
    trace_id: [u8; 16],
    flags: u8,
    state: Option<HeaderValue>,
    /// What goes with a durable call.
    delivery: Vec<(HeaderName, HeaderValue)>,
}

impl Labels {
    /// Those of a request.
    pub(crate) fn of(context: &Context) -> Self {
        Self(Some(Set::of(&context.correlation_id, &context.trace)))
    }

    /// Those of a durable call: its request's, and its own.
    pub(super) fn of_delivery(label: &Label, own: Vec<(HeaderName, HeaderValue)>) -> Self {
        let set = Set::of(&label.correlation_id, &label.trace);
        Self(Some(Set {
            delivery: own,
            ..set
        }))
    }

    /// The headers of one attempt, which is a span of its own.
    pub(crate) fn headers(&self, span: [u8; 8], credentials: Option<&HeaderValue>) -> HeaderMap {
        // Room for what every call carries, and for some rules beside it.
        let mut headers = HeaderMap::with_capacity(12);
        if let Some(set) = &self.0 {
            set.add(span, &mut headers);
        }
        if let Some(credentials) = credentials {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        headers
    }
}

impl Set {
    fn of(correlation_id: &str, trace: &TraceContext) -> Self {
        let state = trace.state.as_deref();
        Self {
            correlation_id: HeaderValue::from_str(correlation_id).ok(),
            trace_id: trace_id(trace),
            flags: trace.flags,
            state: state.and_then(|state| HeaderValue::from_str(state).ok()),
            delivery: Vec::new(),
        }
    }

    /// Format: <https://www.w3.org/TR/trace-context/#traceparent-header>.
    fn add(&self, span: [u8; 8], headers: &mut HeaderMap) {
        if let Some(id) = &self.correlation_id {
            headers.insert(CORRELATION_ID, id.clone());
        }
        let parent = traceparent(&self.trace_id, span, self.flags);
        if let Ok(parent) = HeaderValue::from_bytes(&parent) {
            headers.insert(TRACEPARENT, parent);
        }
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.clone());
        }
        headers.extend(self.delivery.iter().cloned());
    }
}

/// A new id for an attempt; zeros would be none.
pub(crate) fn span() -> [u8; 8] {
    rand::random::<u64>().max(1).to_be_bytes()
}

fn trace_id(trace: &TraceContext) -> [u8; 16] {
    match u128::from_be_bytes(trace.trace_id) {
        // An id of zeros is invalid; a call outside any trace begins one.
        0 => rand::random::<u128>().max(1).to_be_bytes(),
        _ => trace.trace_id,
    }
}

/// Written by hand: it goes with every call, and formatting machinery costs more than the text.
fn traceparent(trace_id: &[u8; 16], span: [u8; 8], flags: u8) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(trace_id, &mut text[3..35]);
    hex(&span, &mut text[36..52]);
    hex(&[flags], &mut text[53..55]);
    text
}

fn hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_kept_and_the_parent_is_the_attempts() {
        let parent = traceparent(&[0xab; 16], 0x1234_u64.to_be_bytes(), 1);
        assert_eq!(
            String::from_utf8(parent.to_vec()).unwrap(),
            "00-abababababababababababababababab-0000000000001234-01"
        );
    }

    #[test]
    fn ids_of_zeros_are_never_sent() {
        assert_ne!(trace_id(&TraceContext::default()), [0; 16]);
        assert_ne!(span(), [0; 8]);
    }

    #[test]
    fn work_of_nobody_carries_the_gateways_credentials_alone() {
        let credentials = HeaderValue::from_static("Bearer x");
        let headers = Labels::default().headers(span(), Some(&credentials));
        assert_eq!(headers.len(), 1);
    }
}
