//! What the REST services share: reading parameters and bodies, and the plain refusal `{"error": "..."}`.
//!
//! Knows no table.

use std::{borrow::Cow, ops::RangeInclusive, sync::Arc};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::json;

/// How many ids one request may name.
const MOST_IDS: usize = 1000;

/// Why a request is refused, before a service has decided how to write that down.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    pub(crate) fn not_found(what: &str, id: u64) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.reason }))).into_response()
    }
}

/// A query string in its own order, repeated names included.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of a name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// Every value of a repeated name, sorted and without duplicates.
    pub(crate) fn ids(&self, name: &str) -> Result<Vec<u64>, Refusal> {
        let mut ids = self
            .all(name)
            .map(identifier)
            .collect::<Result<Vec<_>, _>>()?;
        if ids.len() > MOST_IDS {
            return Err(Refusal::bad_request(format!(
                "at most {MOST_IDS} values of {name}"
            )));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// A whole number inside `range`, or `default` when it is not given.
    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                Refusal::bad_request(format!(
                    "{name} must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }
}

/// An id as a path or a query writes it.
pub(crate) fn identifier(text: &str) -> Result<u64, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad_request(format!("`{text}` is not an id: ids are whole numbers")))
}

/// A JSON body. Text that is not JSON is 400, JSON of another shape is 422.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let status = if error.is_data() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::BAD_REQUEST
        };
        Refusal::new(status, error.to_string())
    })
}

/// An id that callers write as a number or as text.
pub(crate) fn lenient_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(id) => Ok(id),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// A table shared by a service's handlers.
pub(crate) type Shared<T> = Arc<std::sync::RwLock<T>>;

/// Makes a table shareable.
pub(crate) fn shared<T>(table: T) -> Shared<T> {
    Arc::new(std::sync::RwLock::new(table))
}

#[cfg(test)]
impl From<Vec<(String, String)>> for Parameters {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

/// One request to a service's routes, without a network; the status and the JSON of the reply.
#[cfg(test)]
pub(crate) async fn ask(
    routes: &axum::Router,
    method: &str,
    uri: &str,
    body: Option<serde_json::Value>,
) -> (u16, serde_json::Value) {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = axum::http::Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// The property names of one schema of an OpenAPI document.
#[cfg(test)]
pub(crate) fn properties(
    contract: &serde_json::Value,
    schema: &str,
) -> std::collections::BTreeSet<String> {
    keys(&contract["components"]["schemas"][schema]["properties"])
}

/// The property names of an object.
#[cfg(test)]
pub(crate) fn keys(object: &serde_json::Value) -> std::collections::BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}
