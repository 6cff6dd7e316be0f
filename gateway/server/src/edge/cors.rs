//! CORS: which pages of other origins may read answers.
//!
//! Owns preflights and the headers of answers. Off unless origins are named.
//! What a page may cause is the CSRF rule's concern: this one only says what a
//! browser shows it. <https://fetch.spec.whatwg.org/#http-cors-protocol>

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
use http::header::ACCESS_CONTROL_ALLOW_HEADERS;
use http::header::ACCESS_CONTROL_ALLOW_METHODS;
use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use http::header::ACCESS_CONTROL_MAX_AGE;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::header::ORIGIN;
use http::header::VARY;
use http_body_util::Full;

use super::Request;
use super::Response;
use crate::config::Cors;
use crate::config::Origins;

const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");

impl Cors {
    /// The answer to a browser that asks beforehand; none where this is no such question.
    pub(super) fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let asks = request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        asks.then(|| self.answer(headers.get(ORIGIN)))
    }

    fn answer(&self, origin: Option<&HeaderValue>) -> Response {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        if self.allow(origin, headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.into());
        }
        response
    }

    /// Lets pages of this origin read an answer, where they may.
    pub(super) fn stamp(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.allow(origin, headers) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        }
    }

    fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        let allowed = match &self.origins {
            Origins::Any => Some(ANY),
            Origins::Listed(_) => {
                // Also where it is refused: a cache must not answer another origin with this.
                headers.append(VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| self.lists(origin)).cloned()
            }
        };
        let Some(allowed) = allowed else { return false };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        true
    }

    /// Whether pages of this origin may read answers.
    pub(super) fn lists(&self, origin: &HeaderValue) -> bool {
        let Origins::Listed(patterns) = &self.origins else {
            return true;
        };
        let origin = origin.as_bytes();
        patterns.iter().any(|pattern| pattern.covers(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cors_for_tests as cors;

    fn allowed(cors: &Cors, origin: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        cors.stamp(Some(&HeaderValue::from_static(origin)), &mut headers);
        let value = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn an_origin_is_allowed_when_it_is_listed_exactly_or_by_a_pattern() {
        let cors = cors(
            &["https://app.example.com", "https://*.example.org:8443"],
            false,
        )
        .unwrap();
        for origin in [
            "https://app.example.com",
            "https://a.example.org:8443",
            "https://a.b.example.org:8443",
        ] {
            assert_eq!(allowed(&cors, origin).as_deref(), Some(origin));
        }
        for origin in [
            "null",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com.evil",
            "https://evil-app.example.com",
            "https://example.org:8443",
            "https://.example.org:8443",
            "https://evil/.example.org:8443",
            "https://evil@x.example.org:8443",
            "https://evil:1.example.org:8443",
            "https://a.example.org",
        ] {
            assert_eq!(allowed(&cors, origin), None, "{origin}");
        }
    }

    #[test]
    fn every_answer_varies_by_origin_unless_all_are_served_alike() {
        let vary = |cors: &Cors, origin: Option<&HeaderValue>| {
            let mut headers = HeaderMap::new();
            cors.stamp(origin, &mut headers);
            headers.contains_key(VARY)
        };
        let evil = HeaderValue::from_static("https://evil");
        let listed = cors(&["https://app.example.com"], true).unwrap();
        assert!(vary(&listed, None) && vary(&listed, Some(&evil)));
        let any = cors(&["*"], false).unwrap();
        assert!(!vary(&any, Some(&evil)));
        assert_eq!(allowed(&any, "https://evil").as_deref(), Some("*"));
    }

    #[test]
    fn a_preflight_says_what_may_be_sent_and_for_how_long_that_holds() {
        let cors = cors(&["https://app.example.com"], true).unwrap();
        let origin = HeaderValue::from_static("https://app.example.com");
        let answer = cors.answer(Some(&origin));
        let header = |name| answer.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(answer.status(), 204);
        assert_eq!(
            header("access-control-allow-origin"),
            "https://app.example.com"
        );
        assert_eq!(header("access-control-allow-credentials"), "true");
        assert_eq!(header("access-control-allow-methods"), "GET, POST");
        assert_eq!(header("access-control-max-age"), "600");
        let names = header("access-control-allow-headers");
        for name in [
            "content-type",
            "authorization",
            "grpc-timeout",
            "x-request-timeout-ms",
        ] {
            assert!(names.split(", ").any(|allowed| allowed == name), "{names}");
        }
        let evil = HeaderValue::from_static("https://evil");
        let refused = cors.answer(Some(&evil));
        assert_eq!(refused.headers().len(), 1, "{:?}", refused.headers());
    }

    #[test]
    fn credentials_are_never_allowed_to_every_origin() {
        assert!(cors(&["*"], true).is_err());
        assert!(cors(&["*"], false).is_ok());
        for wrong in [
            "null",
            "https://*",
            "https://*.com",
            "https://a.example.com/",
            "example.com",
            "https://a*.example.com",
        ] {
            assert!(cors(&[wrong], false).is_err(), "{wrong}");
        }
    }
}
