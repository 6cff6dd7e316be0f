//! The ids of a request: a label that the client may choose, and a name that it may not.
//!
//! Owns minting, accepting and echoing them. The correlation id is a label
//! only: nothing is decided by it.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use uuid::Uuid;

use crate::observe::log::Labels;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The ids of one request.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    /// What the client sent, where it is well formed; else the request id.
    pub(super) correlation: Arc<str>,
    /// Always minted here.
    pub(super) request: Uuid,
    correlation_header: HeaderValue,
    request_header: HeaderValue,
}

impl Ids {
    /// The ids of a request with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let request = Uuid::now_v7();
        let mut buffer = Uuid::encode_buffer();
        let text: &str = request.hyphenated().encode_lower(&mut buffer);
        // Digits, letters and hyphens make a header value.
        let request_header =
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"));
        match headers.get(CORRELATION_ID).and_then(accepted) {
            Some((header, given)) => Self {
                correlation: given.into(),
                request,
                correlation_header: header.clone(),
                request_header,
            },
            None => Self {
                correlation: text.into(),
                request,
                correlation_header: request_header.clone(),
                request_header,
            },
        }
    }

    /// What log lines carry.
    pub(super) fn labels(&self) -> Labels {
        Labels {
            correlation_id: self.correlation.clone(),
            request_id: self.request,
        }
    }

    /// Echoes both.
    pub(super) fn stamp(&self, headers: &mut HeaderMap) {
        headers.insert(CORRELATION_ID, self.correlation_header.clone());
        headers.insert(REQUEST_ID, self.request_header.clone());
    }
}

fn accepted(header: &HeaderValue) -> Option<(&HeaderValue, &str)> {
    let text = header.to_str().ok()?;
    let well_formed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    let accepted = (1..=128).contains(&text.len()) && text.bytes().all(well_formed);
    accepted.then_some((header, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(sent: &str) -> String {
        let mut headers = HeaderMap::new();
        let sent = HeaderValue::from_bytes(sent.as_bytes()).unwrap();
        headers.insert(CORRELATION_ID, sent);
        Ids::of(&headers).correlation.to_string()
    }

    #[test]
    fn a_well_formed_label_is_kept() {
        assert_eq!(correlation("checkout:42_a.b-c"), "checkout:42_a.b-c");
    }

    #[test]
    fn anything_else_is_replaced_by_the_request_id() {
        let long = "x".repeat(129);
        for sent in ["", "a b", "a\"b", "{}", "ä", &long] {
            let made = correlation(sent);
            let uuid: Uuid = made.parse().unwrap();
            assert_eq!(uuid.get_version_num(), 7, "{sent}");
        }
    }

    #[test]
    fn the_request_id_is_never_the_clients() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("mine"));
        let ids = Ids::of(&headers);
        let mut answer = HeaderMap::new();
        ids.stamp(&mut answer);
        assert_eq!(answer[REQUEST_ID], ids.request.to_string());
        assert_eq!(answer[CORRELATION_ID], answer[REQUEST_ID]);
    }
}
