//! A GraphQL service: operations matched by their exact text and variables.

use http::Request;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;

use super::Answers;
use super::Broken;
use super::Reply;
use super::rest;
use super::rest::Call;

/// What every client sends: <https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    query: String,
    operation_name: String,
    variables: Map<String, Json>,
}

/// Answers one operation; one that nobody expected with 599.
pub(super) async fn answer(answers: &Answers, request: Request<Incoming>) -> Result<Reply, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let header = |name| head.headers.get(name).and_then(|it| it.to_str().ok());
    let accepts = header(ACCEPT).unwrap_or_default();
    if head.method != "POST"
        || header(CONTENT_TYPE) != Some("application/json")
        || !accepts.starts_with("application/graphql-response+json")
    {
        answers.log.problem(format!("no GraphQL request: {head:?}"));
    }
    let body: Body = serde_json::from_slice(&body)?;
    let named = format!(" {}", body.operation_name);
    if !body.query.contains(&named) {
        answers
            .log
            .problem(format!("the operation has another name:{named}"));
    }
    let call = Call {
        request: body.query,
        headers: head.headers,
        body: (!body.variables.is_empty()).then_some(Json::Object(body.variables)),
    };
    rest::respond(answers, &call).await
}
