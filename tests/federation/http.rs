//! The services of a case, listening.
//!
//! Owns one port for all of them, told apart by the first part of the path, and what each was asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::response::Response;
use plan::source::CallRecord;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpListener;

use super::lie::Lie;
use super::service::Service;

/// Everything that answers.
pub(crate) struct Services {
    pub(crate) graphql: Vec<Arc<Service>>,
    /// What REST services answer, by source and by request: `GET /users?id=1`.
    pub(crate) rest: BTreeMap<String, BTreeMap<String, Json>>,
    /// Sources that answer nothing but this status.
    pub(crate) failing: BTreeMap<String, u16>,
    /// Sources that answer for entities what they should not.
    pub(crate) lying: BTreeMap<String, Lie>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) problems: Arc<Mutex<Vec<String>>>,
}

/// One request that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) source: String,
    /// The operation and its variables, or method, path and body.
    pub(crate) text: String,
    pub(crate) body: String,
    /// Path and query below the source's address.
    pub(crate) target: String,
}

impl Call {
    /// Whether it is the one that the gateway says it made.
    pub(crate) fn is(&self, record: &CallRecord) -> bool {
        let same_body = record.body.as_deref().unwrap_or_default() == self.body;
        let by_body = !self.body.is_empty();
        *record.source == *self.source
            && same_body
            && (by_body || self.target.ends_with(&record.target))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Request {
    query: String,
    #[expect(dead_code, reason = "there is one operation")]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Map<String, Json>,
}

impl Services {
    /// Listens until the runtime ends; answers the address, `http://127.0.0.1:PORT`.
    pub(crate) async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    /// What was asked since it was taken last.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().expect("nobody panics with it"))
    }

    fn graphql(&self, source: &str, body: &Bytes) -> (String, Json) {
        let request: Request = serde_json::from_slice(body).expect("a GraphQL request");
        let mut services = self.graphql.iter();
        let service = services
            .find(|it| it.subgraph.name == source)
            .expect("a source has the name of its subgraph");
        let variables = match request.variables.is_empty() {
            true => String::new(),
            false => format!(" {}", Json::Object(request.variables.clone())),
        };
        let mut reply = service.answer(&request.query, &request.variables);
        if let Some(lie) = self.lying.get(source) {
            lie.spoil(&mut reply);
        }
        (format!("{source} {}{variables}", request.query), reply)
    }

    fn rest(&self, source: &str, asked: &str) -> Option<Json> {
        let reply = self.rest[source].get(asked).cloned();
        if reply.is_none() {
            let problem = format!("{source}: there is no answer to {asked}");
            let mut problems = self.problems.lock().expect("nobody panics with it");
            problems.push(problem);
        }
        reply
    }
}

async fn answer(
    State(services): State<Arc<Services>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("", |it| it.as_str());
    let path = path.trim_start_matches('/');
    let at = path.find(['/', '?']).unwrap_or(path.len());
    let (source, target) = path.split_at(at);
    let body_text = String::from_utf8_lossy(&body).into_owned();
    let (text, reply) = match services.rest.contains_key(source) {
        true => {
            let asked = format!("{method} {target} {body_text}");
            let asked = asked.trim_end();
            (format!("{source} {asked}"), services.rest(source, asked))
        }
        false => {
            let (text, reply) = services.graphql(source, &body);
            (text, Some(reply))
        }
    };
    let call = Call {
        source: source.to_owned(),
        text,
        body: body_text,
        target: target.to_owned(),
    };
    let failing = services.failing.get(source).copied();
    let mut calls = services.calls.lock().expect("nobody panics with it");
    calls.push(call);
    match (failing, reply) {
        (None, Some(reply)) => {
            let json = [(CONTENT_TYPE, "application/json")];
            (json, reply.to_string()).into_response()
        }
        (Some(status), _) => StatusCode::from_u16(status)
            .expect("a status")
            .into_response(),
        (None, None) => (StatusCode::NOT_FOUND, json!({}).to_string()).into_response(),
    }
}
