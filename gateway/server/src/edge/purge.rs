//! `POST /cache/purge` on the port of operators: takes kept replies away.
//!
//! Owns what an operator may write, and its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use sources::Purge;
use tokio::time::Instant;

use super::Response;
use super::admin::Operator;
use super::body;
use super::problem::Problem;
use crate::graph::Graph;
use crate::observe::audit;
use crate::pipeline::Gateway;

/// Bytes of a request.
const LARGEST: usize = 64 * 1024;
/// Time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Exactly one of `all`, `source` and `type`; a key stands beside a type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    all: bool,
    source: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    key: Option<Map<String, Json>>,
}

/// Answers how many replies were taken away.
pub(super) async fn purge(
    State(gateway): State<Arc<Gateway>>,
    Extension(operator): Extension<Operator>,
    request: http::Request<Body>,
) -> Result<Response, Problem> {
    let body = body::read(request.into_body(), LARGEST, Instant::now() + PATIENCE).await?;
    let graph = gateway.graph.load_full();
    let named = named(&body).and_then(|purge| known(&graph, purge));
    let name = operator.name.as_deref();
    match named {
        Ok(purge) => {
            let purged = graph.purge(&purge);
            let action = format!("purge {}", told(&purge));
            audit::acted(&operator.address, name, &action, "done");
            let body = json!({ "purged": purged });
            Ok(Response::new(Full::from(body.to_string())))
        }
        Err(detail) => {
            audit::acted(&operator.address, name, "purge", "refused");
            Err(Problem::malformed(detail))
        }
    }
}

fn named(body: &[u8]) -> Result<Purge, String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|bad| bad.to_string())?;
    match asked {
        Asked {
            all: true,
            source: None,
            ty: None,
            key: None,
        } => Ok(Purge::All),
        Asked {
            all: false,
            source: Some(name),
            ty: None,
            key: None,
        } => Ok(Purge::Source(name)),
        Asked {
            all: false,
            source: None,
            ty: Some(ty),
            key,
        } => Ok(match key {
            Some(key) => Purge::Entity { ty, key },
            None => Purge::Type(ty),
        }),
        _ => Err("Name one of all, source and type; a key stands beside a type.".into()),
    }
}

/// A name that is nobody's would take nothing away, and nobody would notice.
fn known(graph: &Graph, purge: Purge) -> Result<Purge, String> {
    let supergraph = &graph.supergraph;
    match &purge {
        Purge::Source(name) if !supergraph.sources().iter().any(|it| it.name == *name) => {
            Err(format!("There is no source {name}."))
        }
        Purge::Type(ty) | Purge::Entity { ty, .. } if supergraph.type_def(ty).is_none() => {
            Err(format!("There is no type {ty} of objects."))
        }
        _ => Ok(purge),
    }
}

/// For the audit log.
fn told(purge: &Purge) -> String {
    match purge {
        Purge::All => "all".to_owned(),
        Purge::Source(name) => format!("source {name}"),
        Purge::Type(ty) => format!("type {ty}"),
        Purge::Entity { ty, key } => format!("type {ty} key {}", Json::from(key.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Option<String> {
        named(body.as_bytes()).ok().map(|purge| told(&purge))
    }

    #[test]
    fn one_thing_is_named() {
        for (body, means) in [
            (r#"{"all":true}"#, "all"),
            (r#"{"source":"shop"}"#, "source shop"),
            (r#"{"type":"User"}"#, "type User"),
            (
                r#"{"type":"User","key":{"id":"1"}}"#,
                r#"type User key {"id":"1"}"#,
            ),
        ] {
            assert_eq!(of(body).as_deref(), Some(means));
        }
    }

    #[test]
    fn nothing_several_things_and_other_words_are_refused() {
        for body in [
            "{}",
            "",
            r#"{"all":false}"#,
            r#"{"all":true,"type":"User"}"#,
            r#"{"source":"shop","type":"User"}"#,
            r#"{"key":{"id":"1"}}"#,
            r#"{"types":["User"]}"#,
        ] {
            assert_eq!(of(body), None, "{body}");
        }
    }
}
