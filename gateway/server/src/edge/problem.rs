//! Problem details, RFC 9457: the answer where no GraphQL response can be formed.
//!
//! Owns their form and their addresses. Whoever refuses a request says which
//! kind it is and what the client can do; the ids are added where the answer
//! is written.

mod kind;

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::ALLOW;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_TYPE;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http_body_util::Full;
use serde_json::Value as Json;
use serde_json::json;

use super::Response;
use super::ids::Ids;
use crate::observe::metrics::Metrics;

pub(crate) use kind::Kind;

/// Below the gateway's own address.
pub(super) const PATH: &str = "/problems/";

/// Why a request has no GraphQL response.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    /// What the client can do about it.
    detail: Cow<'static, str>,
    /// Members beyond those of every problem.
    members: Vec<(&'static str, Json)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this kind; `detail` helps the client and names nothing internal.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            members: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::MalformedRequest, detail)
    }

    /// 405, which must name what is allowed.
    pub(super) fn method_not_allowed(allow: &'static str, detail: &'static str) -> Self {
        let allow = HeaderValue::from_static(allow);
        Self::new(Kind::MethodNotAllowed, detail).header(ALLOW, allow)
    }

    /// An extension member. Its name has three or more characters, as RFC 9457 recommends.
    pub(crate) fn member(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// A header of the answer.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// As the answer to one operation of several, which have one status together.
    pub(super) fn into_graphql(self, correlation_id: &str) -> Bytes {
        let code = self.kind.slug().to_uppercase().replace('-', "_");
        let mut extensions = json!({
            "code": code,
            "retryable": self.kind.retryable(),
            "correlationId": correlation_id,
        });
        for (name, value) in self.members {
            extensions[name] = value;
        }
        let error = json!({ "message": self.detail, "extensions": extensions });
        json!({ "errors": [error] }).to_string().into()
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.kind.status().as_u16()
    }
}

/// Where clients find the pages of the problem types.
#[derive(Clone)]
pub(crate) struct Pages {
    /// Up to the name of the type.
    base: Arc<str>,
    /// Where problems are counted.
    metrics: Option<Arc<Metrics>>,
}

impl Pages {
    /// Below the address at which clients reach the gateway: `https://api.example.com`.
    pub(crate) fn below(address: &str) -> Self {
        let base = format!("{}{PATH}", address.trim_end_matches('/'));
        Self {
            base: base.into(),
            metrics: None,
        }
    }

    /// The same, counting each problem that is told.
    pub(crate) fn counted_by(self, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// A problem as it is sent.
    pub(super) fn render(&self, problem: Problem, ids: &Ids) -> Response {
        self.write(problem, ids).map(Full::from)
    }

    /// The whole answer to a request that the HTTP/1 parser could not read.
    pub(super) fn unreadable(&self, status: StatusCode) -> Bytes {
        self.whole(match status {
            StatusCode::URI_TOO_LONG => Problem::new(Kind::UriTooLong, "The address is too long."),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::new(
                Kind::HeadersTooLarge,
                "There are too many headers, or too long ones.",
            ),
            _ => Problem::malformed("This is no HTTP request that can be read."),
        })
    }

    /// A connection's only answer: it is closed after it.
    pub(super) fn whole(&self, problem: Problem) -> Bytes {
        let ids = Ids::of(&HeaderMap::new());
        let mut response = self.write(problem, &ids);
        ids.stamp(response.headers_mut());
        let (head, body) = response.into_parts();
        let mut text = format!("HTTP/1.1 {}\r\n", head.status);
        for (name, value) in &head.headers {
            // Ours are all text.
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or("")));
        }
        let length = body.len();
        text.push_str(&format!(
            "connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        text.into()
    }

    fn write(&self, problem: Problem, ids: &Ids) -> http::Response<String> {
        let kind = problem.kind;
        if let Some(metrics) = &self.metrics {
            metrics.problem(kind);
        }
        let mut body = json!({
            "type": format!("{}{}", self.base, kind.slug()),
            "title": kind.title(),
            "status": kind.status().as_u16(),
            "detail": problem.detail,
            "instance": format!("urn:uuid:{}", ids.request),
            "correlation_id": &*ids.correlation,
            "retryable": kind.retryable(),
        });
        for (name, value) in problem.members {
            body[name] = value;
        }
        let mut response = http::Response::new(body.to_string());
        *response.status_mut() = kind.status();
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "application/problem+json"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in problem.headers {
            headers.append(name, value);
        }
        response
    }
}

/// The page of one type, or the list of all for no name.
pub(super) fn page(slug: &str) -> Result<Response, Problem> {
    let text = match slug {
        "" => list(),
        slug => Kind::of_slug(slug)
            .map(|kind| kind.page().to_owned())
            .ok_or_else(no_such)?,
    };
    let mut response = Response::new(Full::from(text));
    for (name, value) in [
        // Browsers show plain text, and download Markdown.
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn list() -> String {
    let line = |kind: &Kind| {
        format!(
            "{} {}: {PATH}{}\n",
            kind.status().as_u16(),
            kind.title(),
            kind.slug()
        )
    };
    Kind::ALL.iter().map(line).collect()
}

fn no_such() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is no problem type of this name. /problems/ lists them.",
    )
}

/// Carried to where the ids of the request are known.
impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::RETRY_AFTER;
    use http_body_util::BodyExt as _;

    async fn body(response: Response) -> Json {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_names_its_type_by_an_absolute_address_and_its_instance_by_the_request() {
        let ids = Ids::of(&HeaderMap::new());
        let problem = Problem::new(Kind::QuotaExceeded, "Too much.")
            .member("violated-policies", json!(["per-client"]))
            .header(RETRY_AFTER, HeaderValue::from_static("3"));
        let response = Pages::below("https://api.example.com/").render(problem, &ids);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let expected = json!({
            "type": "https://api.example.com/problems/quota-exceeded",
            "title": "Quota exceeded",
            "status": 429,
            "detail": "Too much.",
            "instance": format!("urn:uuid:{}", ids.request),
            "correlation_id": &*ids.correlation,
            "retryable": true,
            "violated-policies": ["per-client"],
        });
        assert_eq!(body(response).await, expected);
    }

    #[tokio::test]
    async fn each_kind_is_answered_with_its_own_status() {
        let ids = Ids::of(&HeaderMap::new());
        for kind in Kind::ALL {
            let pages = Pages::below("https://api.example.com");
            let response = pages.render(Problem::new(*kind, "d"), &ids);
            assert_eq!(response.status(), kind.status());
            assert_eq!(body(response).await["status"], kind.status().as_u16());
            assert_eq!(page(kind.slug()).unwrap().status(), 200);
        }
    }

    #[test]
    fn a_page_that_is_not_there_is_a_problem_too() {
        assert_eq!(page("no-such").unwrap_err().status(), 404);
        assert_eq!(page("").unwrap().status(), 200);
    }
}
