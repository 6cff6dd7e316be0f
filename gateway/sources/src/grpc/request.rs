//! From a fetch's rows to one call's message and metadata.
//!
//! Owns what is sent: the rendered message with its field mask, and the
//! metadata by the header rules. Knows nothing of connections.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::GrpcRequest;
use compose::model::HeaderRule;
use http::HeaderMap;
use plan::code::Code;
use plan::source::SourceError;
use prost_reflect::prost::Message;
use serde_json::Map;
use serde_json::Value as Json;

use super::compiled::Compiled;
use super::encode;
use crate::render;
use crate::render::RenderError;
use crate::render::Scope;
use crate::render::headers;

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Rendered {
    /// As it is shown: the message before it was encoded.
    pub(super) json: Json,
    pub(super) message: Bytes,
    /// What the rules say; without what goes with every call.
    pub(super) metadata: HeaderMap,
}

/// Renders the request for the rows of a scope.
pub(super) fn render(
    request: &GrpcRequest,
    compiled: &Compiled,
    rules: (&HeaderMap, &[HeaderRule]),
    scope: &Scope<'_>,
    service: &Arc<str>,
) -> Result<Rendered, SourceError> {
    let mut json = render::value(&request.message, scope).map_err(|error| error.of(service))?;
    if let Some((field, paths)) = &compiled.mask {
        fill(&mut json, field, paths);
    }
    let message = encode::message(&compiled.input, &json);
    let message = message
        .map_err(|unfit| SourceError::new(Code::BadUserInput, service, unfit.to_string()))?;
    let metadata = metadata(request, rules, scope).map_err(|error| error.of(service))?;
    Ok(Rendered {
        json,
        message: message.encode_to_vec().into(),
        metadata,
    })
}

/// A mask that the request gives itself stays. An empty mask would mean everything.
fn fill(json: &mut Json, field: &str, paths: &[String]) {
    if paths.is_empty() {
        return;
    }
    let mut steps = field.split('.').peekable();
    let mut at = json;
    while let (Some(step), Json::Object(members)) = (steps.next(), at) {
        let is_last = steps.peek().is_none();
        let next = members.entry(step).or_insert(match is_last {
            true => Json::from(paths),
            false => Json::Object(Map::new()),
        });
        at = next;
    }
}

/// An operation's rule beats a source's, which beats the configuration.
fn metadata(
    request: &GrpcRequest,
    (configured, source): (&HeaderMap, &[HeaderRule]),
    scope: &Scope<'_>,
) -> Result<HeaderMap, RenderError> {
    let mut metadata = configured.clone();
    headers::apply(source, scope, &mut metadata)?;
    headers::apply(&request.metadata, scope, &mut metadata)?;
    let reserved: Vec<_> = metadata
        .keys()
        .filter(|name| is_reserved(name.as_str()))
        .cloned()
        .collect();
    for name in reserved {
        metadata.remove(name);
    }
    Ok(metadata)
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
    fn a_field_mask_is_filled_unless_the_request_has_one() {
        let paths = ["id".to_owned(), "name".to_owned()];
        let filled = |mut json: Json, field, paths: &[String]| {
            fill(&mut json, field, paths);
            json
        };
        assert_eq!(
            filled(json!({ "id": 1 }), "read_mask", &paths),
            json!({ "id": 1, "read_mask": ["id", "name"] })
        );
        assert_eq!(
            filled(json!({ "read_mask": "id" }), "read_mask", &paths),
            json!({ "read_mask": "id" })
        );
        assert_eq!(
            filled(json!({}), "options.mask", &paths),
            json!({ "options": { "mask": ["id", "name"] } })
        );
        assert_eq!(filled(json!({}), "read_mask", &[]), json!({}));
    }
}
