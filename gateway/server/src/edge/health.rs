//! Whether the process lives, and what it can reach.
//!
//! Owns the form of both answers. A gateway whose services are away is ready:
//! it answers the rest of the graph, and taking it out would take that away.
//! It is not ready while it refuses requests, or is about to end.

use std::sync::Arc;

use http::HeaderValue;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::Response;
use crate::admission::Readiness;
use crate::graph::reach::Reach;
use crate::pipeline::Gateway;

/// `{"status":"alive"}`
pub(super) fn live() -> Response {
    respond(&json!({ "status": "alive" }))
}

/// `{"status":"ready","graph":…,"sources":{"users":{"state":"reachable"}}}`; 503 where it is not.
pub(super) async fn ready(gateway: &Arc<Gateway>) -> Response {
    let graph = gateway.graph.load_full();
    let sources: Map<String, Json> = graph
        .reach
        .states()
        .await
        .iter()
        .map(|(name, state)| (name.clone(), to_json(state)))
        .collect();
    let version = format!("{:016x}", graph.supergraph.version());
    let (status, word) = match gateway.admission.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready"),
        Readiness::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let mut response = respond(&json!({ "status": word, "graph": version, "sources": sources }));
    *response.status_mut() = status;
    response
}

fn to_json(state: &Reach) -> Json {
    match state {
        Reach::Reachable => json!({ "state": "reachable" }),
        Reach::Unreachable(why) => json!({ "state": "unreachable", "reason": why }),
    }
}

fn respond(body: &Json) -> Response {
    let mut response = Response::new(Full::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
