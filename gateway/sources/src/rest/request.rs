//! From a fetch's rows to one HTTP request.
//!
//! Owns what is sent and what is not: path, query, body, and the headers by
//! their rules. Knows nothing of connections.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::RestMethod;
use compose::model::RestRequest;
use http::HeaderMap;
use http::HeaderValue;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use plan::outbox::Deferred;
use serde_json::Map;
use serde_json::Value as Json;

use super::body;
use crate::deferred;
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

const ACCEPTED: HeaderValue =
    HeaderValue::from_static("application/json, application/problem+json;q=0.9");

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
    let mut own = vec![(ACCEPT, ACCEPTED)];
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

/// The call without what the configuration adds when it is made.
pub(super) fn defer(
    service: &Arc<str>,
    resolver: &Resolver,
    source: &[HeaderRule],
    scope: &Scope<'_>,
) -> Result<Option<Deferred>, RenderError> {
    let Request::Rest(request) = &resolver.request else {
        return Ok(None);
    };
    let mut headers = deferred::captured(source, &request.headers, scope)?;
    let body = match value_of_body(request, scope)? {
        Some(body) => {
            let body = body::encode(&body, request.encoding)?;
            let kind = body.content_type.to_str().unwrap_or_default().to_owned();
            let mut said = source.iter().chain(&request.headers);
            // A rule of the schema's may say it otherwise.
            if !said.any(|rule| rule.name == CONTENT_TYPE.as_str()) {
                headers.push((CONTENT_TYPE.as_str().to_owned(), Some(kind)));
            }
            body.bytes
        }
        None => Bytes::new(),
    };
    Ok(Some(Deferred {
        source: service.clone(),
        verb: request.method.as_str().to_owned(),
        target: url::target(request, scope, &[])?,
        headers,
        body: body.into(),
    }))
}

/// A call that was to be made later, with what the configuration and the schema add now.
pub(super) fn resume(
    call: &Deferred,
    resolver: Option<&Resolver>,
    configured: &HeaderMap,
    source: &[HeaderRule],
    scope: &Scope<'_>,
) -> Result<HttpCall, String> {
    let own = resolver.and_then(|resolver| match &resolver.request {
        Request::Rest(request) => Some(request.headers.as_slice()),
        _ => None,
    });
    let mut headers = configured.clone();
    headers.insert(ACCEPT, ACCEPTED);
    deferred::resume_headers(call, source, own, scope, &mut headers)?;
    let method = RestMethod::named(&call.verb);
    Ok(HttpCall {
        method: method.ok_or_else(|| format!("a REST source knows no {}", call.verb))?,
        target: call.target.clone(),
        body: call.body.clone().into(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    })
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
