//! Asking a subgraph for its schema: `{ _service { sdl } }`.
//!
//! Owns the question and what may be wrong with the answer. When it is asked, and what becomes of
//! a service that does not answer, is the caller's to know.
//! <https://www.apollographql.com/docs/graphos/reference/federation/subgraph-specific-fields#_service>

use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::AUTHORIZATION;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;

use crate::ConnectError;
use crate::config::SourcesConfig;
use crate::credentials::Bearer;
use crate::outbound::Outbound;
use crate::outbound::OutboundError;
use crate::outbound::OutboundSettings;

/// What one question may take.
const TIME: Duration = Duration::from_secs(10);

/// How much of a service's own words is repeated.
const MOST_WORDS: usize = 200;

/// Why a service's schema could not be had. The texts are for operators: they name addresses.
#[derive(Debug, thiserror::Error)]
pub enum NotDescribed {
    /// What the configuration says of it cannot be used.
    #[error("{0}")]
    Settings(String),
    /// No answer.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: OutboundError,
    },
    /// An answer in which there is no schema.
    #[error("{url} {what}")]
    Unusable {
        /// The address.
        url: String,
        /// What it answered instead.
        what: String,
    },
}

/// The schema of a subgraph, as its service tells it, with the headers, the credentials and the TLS
/// of the source that has the subgraph's name.
///
/// # Errors
/// Where no schema comes within ten seconds.
pub async fn described(
    config: &SourcesConfig,
    subgraph: &str,
    url: &str,
) -> Result<String, NotDescribed> {
    let own = config.sources.get(subgraph);
    let url = own.and_then(|own| own.url.as_deref()).unwrap_or(url);
    let unusable = |error: ConnectError| NotDescribed::Settings(error.to_string());
    let settings = config.before_the_graph(subgraph).map_err(unusable)?;
    let bearer = Bearer::new(&subgraph.into(), &settings).map_err(unusable)?;
    let mut headers = settings.headers.clone();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/graphql-response+json, application/json"),
    );
    let credentials = bearer.value().await;
    let credentials = credentials.map_err(|error| NotDescribed::Settings(error.message))?;
    if let Some(credentials) = credentials {
        headers.insert(AUTHORIZATION, credentials);
    }
    let unreachable = |reason| NotDescribed::Unreachable {
        url: url.to_owned(),
        reason,
    };
    let settings = OutboundSettings {
        connect_timeout: settings.connect_timeout,
        max_reply_bytes: settings.max_reply_bytes,
        tls: settings.tls,
    };
    let client = Outbound::new(url, &settings).map_err(unreachable)?;
    let question = json!({ "query": "{ _service { sdl } }" });
    let answer = client.post_json(&question, headers, Instant::now() + TIME);
    let (status, body) = answer.await.map_err(unreachable)?;
    let sdl = sdl(status, &body);
    sdl.map_err(|what| NotDescribed::Unusable {
        url: url.to_owned(),
        what,
    })
}

/// The schema in an answer, or what the answer is instead.
fn sdl(status: u16, body: &[u8]) -> Result<String, String> {
    let read: Option<Json> = serde_json::from_slice(body).ok();
    let read = read.unwrap_or_default();
    match &read["data"]["_service"]["sdl"] {
        Json::String(sdl) if !sdl.trim().is_empty() => return Ok(sdl.clone()),
        Json::String(_) => return Err("has an empty schema".into()),
        _ => {}
    }
    if let Some(said) = read["errors"][0]["message"].as_str() {
        let said: String = said.chars().take(MOST_WORDS).collect();
        return Err(format!("does not tell its schema: {said}"));
    }
    Err(match status == StatusCode::OK.as_u16() {
        true => "answers without `_service { sdl }`: is it a subgraph?".into(),
        false => format!("answers {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_a_schema_or_a_reason_why_it_does_not() {
        let said = |status, answer: &str| sdl(status, answer.as_bytes());
        let schema = r#"{ "data": { "_service": { "sdl": "type Query { a: Int }" } } }"#;
        assert_eq!(said(200, schema), Ok("type Query { a: Int }".into()));
        for (status, answer, why) in [
            (
                200,
                r#"{ "data": { "_service": { "sdl": " " } } }"#,
                "has an empty schema",
            ),
            (
                400,
                r#"{ "errors": [{ "message": "no field `_service`" }] }"#,
                "does not tell its schema: no field `_service`",
            ),
            (
                200,
                r#"{ "data": {} }"#,
                "answers without `_service { sdl }`: is it a subgraph?",
            ),
            (503, "<html>", "answers 503"),
        ] {
            assert_eq!(said(status, answer), Err(why.to_owned()));
        }
    }
}
