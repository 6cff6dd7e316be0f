//! From a fetch's rows to one call's message and metadata.
//!
//! Owns what is sent: the rendered message with its page and field mask, and
//! the metadata by the header rules. Knows nothing of connections.

use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use compose::model::GrpcRequest;
use compose::model::HeaderRule;
use http::HeaderMap;
use http::uri::PathAndQuery;
use plan::outbox::Deferred;
use plan::shape::ReplyShape;
use prost_reflect::prost::Message;
use serde_json::Map;
use serde_json::Value as Json;

use super::GrpcCall;
use super::call::Take;
use super::encode;
use super::mask;
use crate::deferred;
use crate::page::Ask;
use crate::peers::Address;
use crate::protocol::Job;
use crate::render;
use crate::render::RenderError;
use crate::render::Scope;
use crate::render::headers;

/// What stands for the method of HTTP.
pub(super) const VERB: &str = "gRPC";

/// A call, ready to be made. Two are the same where the service sees the same.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(super) call: Arc<GrpcCall>,
    /// `package.Service/Method`.
    pub(super) target: String,
    /// As it is shown: the message before it was encoded.
    pub(super) json: Json,
}

impl PartialEq for Rendered {
    fn eq(&self, other: &Self) -> bool {
        self.call == other.call
    }
}

impl Eq for Rendered {}

impl Hash for Rendered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call.hash(state);
    }
}

/// Where metadata comes from, least first.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) configured: &'a HeaderMap,
    pub(super) source: &'a [HeaderRule],
}

/// Renders the request for the rows of a scope.
pub(super) fn render(
    request: &GrpcRequest,
    job: &Job<'_>,
    scope: &Scope<'_>,
    ask: Option<&Ask>,
    rules: Rules<'_>,
    address: &Address,
) -> Result<Rendered, RenderError> {
    let mut json = render::value(&request.message, scope)?;
    turn_page(&mut json, job, ask);
    fill_mask(&mut json, request, job.shape);
    let method = &request.method;
    let message =
        encode::message(&method.input(), &json).map_err(|unfit| RenderError(unfit.to_string()))?;
    let target = target(request);
    let metadata = metadata(request, rules, scope)?;
    let metadata = metadata.iter();
    let call = GrpcCall {
        // Names of a contract are letters, digits, dots and underscores; the address was parsed.
        path: PathAndQuery::try_from(address.path(&target))
            .unwrap_or(PathAndQuery::from_static("/")),
        take: match method.is_server_streaming() {
            true => Take::UpTo(request.max_messages),
            false => Take::One,
        },
        message: message.encode_to_vec().into(),
        metadata: metadata
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    Ok(Rendered {
        call: Arc::new(call),
        target,
        json,
    })
}

/// The call without what the configuration adds when it is made.
pub(super) fn defer(
    source: &Arc<str>,
    request: &GrpcRequest,
    rules: &[HeaderRule],
    scope: &Scope<'_>,
) -> Result<Deferred, RenderError> {
    let json = render::value(&request.message, scope)?;
    let message = encode::message(&request.method.input(), &json)
        .map_err(|unfit| RenderError(unfit.to_string()))?;
    Ok(Deferred {
        source: source.clone(),
        verb: VERB.to_owned(),
        target: target(request),
        headers: deferred::captured(rules, &request.metadata, scope)?,
        body: message.encode_to_vec(),
    })
}

/// A call that was to be made later, with what the configuration and the schema add now.
pub(super) fn resume(
    call: &Deferred,
    request: Option<&GrpcRequest>,
    rules: Rules<'_>,
    scope: &Scope<'_>,
    address: &Address,
) -> Result<Rendered, String> {
    if call.verb != VERB {
        return Err(format!("a gRPC source knows no {}", call.verb));
    }
    let path = PathAndQuery::try_from(address.path(&call.target));
    let own = request.map(|request| request.metadata.as_slice());
    let mut metadata = rules.configured.clone();
    deferred::resume_headers(call, rules.source, own, scope, &mut metadata)?;
    let stream = request.filter(|request| request.method.is_server_streaming());
    let made = GrpcCall {
        path: path.map_err(|error| error.to_string())?,
        take: stream.map_or(Take::One, |request| Take::UpTo(request.max_messages)),
        message: call.body.clone().into(),
        metadata: unreserved(metadata)
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    Ok(Rendered {
        call: Arc::new(made),
        target: call.target.clone(),
        json: Json::Null,
    })
}

/// `package.Service/Method`
fn target(request: &GrpcRequest) -> String {
    let method = &request.method;
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn turn_page(json: &mut Json, job: &Job<'_>, ask: Option<&Ask>) {
    let (Some(rule), Some(ask)) = (&job.resolver.page, ask) else {
        return;
    };
    for (field, value) in ask.parameters(rule) {
        if let Some(place) = at(json, field) {
            *place = value;
        }
    }
}

/// A mask that the request gives itself stays. An empty mask would mean everything, and where
/// several selections share a call everything is needed.
fn fill_mask(json: &mut Json, request: &GrpcRequest, shape: Option<&ReplyShape>) {
    let (Some(field), Some(shape)) = (&request.field_mask, shape) else {
        return;
    };
    let paths = mask::paths(shape, &request.method.output());
    match at(json, field) {
        Some(place) if place.is_null() && !paths.is_empty() => *place = paths.into(),
        _ => {}
    }
}

/// The place at a dotted path of field names, made where it is missing.
fn at<'j>(json: &'j mut Json, path: &str) -> Option<&'j mut Json> {
    path.split('.').try_fold(json, |at, step| {
        if at.is_null() {
            *at = Json::Object(Map::new());
        }
        at.as_object_mut()
            .map(|members| members.entry(step).or_insert(Json::Null))
    })
}

/// An operation's rule beats a source's, which beats the configuration.
fn metadata(
    request: &GrpcRequest,
    rules: Rules<'_>,
    scope: &Scope<'_>,
) -> Result<HeaderMap, RenderError> {
    let mut metadata = rules.configured.clone();
    headers::apply(rules.source, scope, &mut metadata)?;
    headers::apply(&request.metadata, scope, &mut metadata)?;
    Ok(unreserved(metadata))
}

fn unreserved(mut metadata: HeaderMap) -> HeaderMap {
    let reserved: Vec<_> = metadata
        .keys()
        .filter(|name| is_reserved(name.as_str()))
        .cloned()
        .collect();
    for name in reserved {
        metadata.remove(name);
    }
    metadata
}

/// Names that gRPC itself gives a meaning. <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
fn is_reserved(name: &str) -> bool {
    name.starts_with("grpc-") || matches!(name, "host" | "content-type" | "user-agent")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_in_a_request_is_made_where_it_is_missing() {
        let set = |mut json: Json, path| {
            if let Some(place) = at(&mut json, path) {
                *place = json!(7);
            }
            json
        };
        assert_eq!(
            set(json!({ "id": 1 }), "size"),
            json!({ "id": 1, "size": 7 })
        );
        assert_eq!(
            set(json!({ "page": { "at": 1 } }), "page.size"),
            json!({ "page": { "at": 1, "size": 7 } })
        );
        assert_eq!(
            set(json!({}), "page.size"),
            json!({ "page": { "size": 7 } })
        );
        assert_eq!(set(json!({ "page": 1 }), "page.size"), json!({ "page": 1 }));
    }
}
