//! What an HTTP status means to a client.
//!
//! Owns the HTTP column of the error table, and telling an answer from a page
//! that somebody else served. Knows nothing of bodies beyond their kind.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use plan::code::Code;

use crate::resilience::Again;
use crate::resilience::Health;
use crate::resilience::Outcome;
use crate::resilience::Verdict;
use crate::retry_after::retry_after;

/// The code of an unsuccessful status.
pub(crate) fn code(status: u16) -> Code {
    match status {
        // Redirects are not followed: the address is wrong.
        100..=399 => Code::UpstreamInvalidResponse,
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 | 410 => Code::NotFound,
        // The gateway chose method and media type, not the client.
        405 | 406 | 415 => Code::UpstreamError,
        408 => Code::UpstreamTimeout,
        409 | 412 => Code::Conflict,
        429 => Code::RateLimited,
        499 => Code::Cancelled,
        400..=498 => Code::BadUserInput,
        502 | 503 => Code::UpstreamUnavailable,
        504 => Code::UpstreamTimeout,
        _ => Code::UpstreamError,
    }
}

/// What an answer says about the service, and about another attempt.
pub(crate) fn verdict(status: u16, headers: &HeaderMap) -> Verdict {
    let (health, again, outcome) = match status {
        100..=299 => (Health::Good, Again::Never, Outcome::Ok),
        300..=399 => (Health::Good, Again::Never, Outcome::Invalid),
        429 => (Health::Good, Again::WhenTold, Outcome::RateLimited),
        400..=499 => (Health::Good, Again::Never, Outcome::Refused),
        502 | 503 => (Health::Bad, Again::Yes, Outcome::Unavailable),
        504 => (Health::Bad, Again::Yes, Outcome::TimedOut),
        500 => (Health::Bad, Again::Once, Outcome::Failed),
        _ => (Health::Bad, Again::Never, Outcome::Failed),
    };
    let asks = again != Again::Never;
    Verdict {
        health,
        again,
        outcome,
        wait: asks.then(|| retry_after(headers)).flatten(),
        replied: false,
        forbidden: false,
    }
}

/// Whether the caller can act on it, so that upstream's words may pass.
pub(crate) fn is_the_callers(status: u16) -> bool {
    (400..=429).contains(&status)
}

/// After these nobody knows whether the work was done: who failed may have failed half-way, or behind a proxy that answers for it.
pub(crate) fn is_unclear(status: u16) -> bool {
    matches!(status, 408 | 499 | 500 | 502..=599)
}

/// Whether a pattern of a mapping means the status: `404`, `4xx`.
pub(crate) fn matches(pattern: &str, status: u16) -> bool {
    let digits = status.to_string();
    pattern.len() == digits.len()
        && pattern
            .bytes()
            .zip(digits.bytes())
            .all(|(wanted, digit)| wanted.eq_ignore_ascii_case(&b'x') || wanted == digit)
}

/// The media type in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// A page for people: a proxy, a login form or another site answered.
pub(crate) fn is_page(headers: &HeaderMap) -> bool {
    matches!(
        media_type(headers).as_str(),
        "text/html" | "application/xhtml+xml"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_one_status_or_a_class() {
        assert!(matches("404", 404) && matches("4xx", 404) && matches("40X", 404));
        assert!(!matches("404", 405) && !matches("5xx", 404) && !matches("4", 404));
        assert!(!matches("NOT_FOUND", 404));
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters() {
        let mut headers = HeaderMap::new();
        assert_eq!(media_type(&headers), "");
        headers.insert(
            CONTENT_TYPE,
            http::HeaderValue::from_static("Text/HTML; charset=utf-8"),
        );
        assert!(is_page(&headers));
    }
}
