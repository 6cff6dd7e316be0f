//! From a fetch's rows to one HTTP request.
//!
//! Owns what is sent and what is not: path, query, body, and the headers by
//! their rules. Knows nothing of connections.

use bytes::Bytes;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::Request;
use compose::model::RestRequest;
use http::HeaderMap;
use http::HeaderValue;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use serde_json::Map;
use serde_json::Value as Json;

use super::body;
use crate::page::Ask;
use crate::protocol::Job;
use crate::render;
use crate::render::RenderError;
use crate::render::Scope;
use crate::render::url;
use crate::transport::HttpCall;
use crate::transport::Rules;

/// Longer addresses are split where they carry several keys: many servers and proxies refuse them.
pub(super) const MAX_URL: usize = 8 * 1024;

/// Renders the call for the rows of a scope.
pub(super) fn render(
    job: &Job<'_>,
    configured: &HeaderMap,
    source: &[HeaderRule],
    scope: &Scope<'_>,
    ask: Option<&Ask>,
) -> Result<Option<HttpCall>, RenderError> {
    let Request::Rest(request) = &job.resolver.request else {
        return Ok(None);
    };
    let page = job.resolver.page.as_ref().zip(ask);
    let (target, body) = match page {
        Some((rule, ask)) => paged(request, scope, rule, ask)?,
        None => (
            url::target(request, scope, &[])?,
            value_of_body(request, scope)?,
        ),
    };
    let accept = HeaderValue::from_static("application/json, application/problem+json;q=0.9");
    let mut own = vec![(ACCEPT, accept)];
    let body = match body {
        Some(body) => {
            let body = body::encode(&body, request.encoding)?;
            own.push((CONTENT_TYPE, body.content_type));
            body.bytes
        }
        None => Bytes::new(),
    };
    let rules = Rules {
        configured,
        source,
        operation: &request.headers,
    };
    Ok(Some(HttpCall {
        method: request.method,
        target,
        body,
        headers: rules.headers(own, scope)?,
    }))
}

fn value_of_body(request: &RestRequest, scope: &Scope<'_>) -> Result<Option<Json>, RenderError> {
    let Some(body) = &request.body else {
        return Ok(None);
    };
    let value = render::value(body, scope)?;
    Ok((!value.is_null()).then_some(value))
}

/// A page is asked for where the list itself is: in the body of a search, else in the query.
fn paged(
    request: &RestRequest,
    scope: &Scope<'_>,
    rule: &Page,
    ask: &Ask,
) -> Result<(String, Option<Json>), RenderError> {
    let parameters: Vec<(&str, Json)> = ask.parameters(rule).collect();
    match value_of_body(request, scope)? {
        Some(Json::Object(mut body)) => {
            for (name, value) in parameters {
                insert(&mut body, name, value);
            }
            Ok((url::target(request, scope, &[])?, Some(Json::Object(body))))
        }
        body => Ok((url::target(request, scope, &parameters)?, body)),
    }
}

/// A dotted name is a path.
fn insert(object: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => drop(object.insert(name.to_owned(), value)),
        Some((first, rest)) => {
            let inner = object
                .entry(first)
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
