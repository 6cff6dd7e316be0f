//! Calls to GraphQL services, seen by the services.

use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use http::HeaderValue;
use plan::cache::Caching;
use plan::code::Code;
use plan::source::BoxFuture;
use serde_json::Value as Json;
use serde_json::json;

use crate::ConnectError;
use crate::LocalRequest;
use crate::LocalService;
use crate::SourcesConfig;
use crate::connect;
use crate::testing::Graph;
use crate::testing::Seen;
use crate::testing::Service;
use crate::testing::caller;
use crate::testing::context;
use crate::testing::reply;

const SHOP: &str = r#"
    extend schema @source(name: "shop", graphql: { url: "SERVICE/graphql" }, headers: [{ name: "authorization", from: "authorization" }], retry: { backoff: "1ms" })
    type Query {
      user(id: ID!): User @graphql
      kept(id: ID!): User @graphql(field: "user") @cacheControl(maxAge: 60)
      stale(id: ID!): User @graphql(field: "user", staleIfError: "5m", retry: { attempts: 1 })
      users: [User] @graphql @listSize(assumedSize: 3)
    }
    type Mutation { add(name: String): User @graphql }
    type User { id: ID! name: String first(of: Int): String friend: Friend @map(from: { id: "friendId" }) label: String @map(from: "nick ?? name") }
    type Friend @key(fields: "id") @graphql(field: "friends", args: { ids: "$batch.id" }) { id: ID! name: String }
"#;
const USER: &str = "{ user(id: 1) { name } }";

/// Answers these in turn, the first first; with a user when there are no more.
async fn scripted(answers: Vec<(u16, Json)>) -> Service {
    let script = Arc::new(Mutex::new(answers.into_iter().rev().collect::<Vec<_>>()));
    Service::new(move |_| {
        let next = script.lock().unwrap().pop();
        let (status, body) = next.unwrap_or((200, user("Ada")));
        std::future::ready(reply(status, &body))
    })
    .await
}

fn user(name: &str) -> Json {
    json!({ "data": { "user": { "id": "1", "name": name } } })
}

fn body(seen: &Seen) -> Json {
    serde_json::from_str(&seen.body).unwrap()
}

#[tokio::test]
async fn an_operation_is_posted_with_its_variables_and_what_goes_with_every_call() {
    let service = scripted(vec![]).await;
    let graph = Graph::new(SHOP, &service.url);
    let plan = graph.plan("{ user(id: \"x\\\"y\") { name first(of: 3) } }");
    graph.fetch_in(&caller("ada"), &plan).await.unwrap();
    let seen = &service.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/graphql"));
    assert_eq!(
        body(seen),
        json!({
            "query": "query Query_user($id: ID!, $first_of: Int) { user(id: $id) { name first(of: $first_of) } }",
            "operationName": "Query_user",
            "variables": { "id": "x\"y", "first_of": 3 },
        })
    );
    let header = |name| seen.header(name).unwrap_or_default();
    assert_eq!(
        header("accept"),
        "application/graphql-response+json, application/json;q=0.9"
    );
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("authorization"), "ada");
    assert_eq!(header("x-correlation-id"), "corr-1");
    assert!(header("traceparent").starts_with("00-07070707070707070707070707070707-"));
    assert_eq!(header("tracestate"), "vendor=1");
    let time: u64 = header("x-request-timeout-ms").parse().unwrap();
    assert!(time <= 10_000, "{time}");
}

#[tokio::test]
async fn the_text_is_written_once_for_each_plan() {
    let service = scripted(vec![]).await;
    let graph = Graph::new(SHOP, &service.url);
    let plan = graph.plan(USER);
    let prepared = &plan.steps()[0].prepared.0;
    assert!(prepared.get().is_none());
    graph.fetch_in(&context(), &plan).await.unwrap();
    let first = prepared.get().cloned().unwrap();
    graph.fetch_in(&context(), &plan).await.unwrap();
    assert!(Arc::ptr_eq(&first, prepared.get().unwrap()));
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_mutation_never() {
    let service = scripted(vec![(503, json!({}))]).await;
    let graph = Graph::new(SHOP, &service.url);
    assert_eq!(graph.fetch(USER).await.unwrap(), json!(["Ada"]));
    assert_eq!(service.seen().len(), 2);
    let service = scripted(vec![(503, json!({}))]).await;
    let graph = Graph::new(SHOP, &service.url);
    let error = graph.failure("mutation { add { id } }").await;
    assert_eq!(error.code, Code::UpstreamUnavailable);
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn identical_reads_of_one_identity_are_one_call() {
    let service = scripted(vec![]).await;
    let graph = Graph::new(SHOP, &service.url);
    let (plan, other) = (graph.plan(USER), graph.plan("{ user(id: 2) { name } }"));
    let (ada, bob) = (caller("ada"), caller("bob"));
    let fetched = tokio::join!(
        graph.fetch_in(&ada, &plan),
        graph.fetch_in(&ada, &plan),
        graph.fetch_in(&bob, &plan),
        graph.fetch_in(&ada, &other),
    );
    assert!(fetched.0.is_ok() && fetched.1.is_ok() && fetched.2.is_ok() && fetched.3.is_ok());
    let mut seen: Vec<_> = service.seen();
    seen.sort_by_key(|seen| seen.header("authorization").map(str::to_owned));
    let said = seen.iter().map(|seen| {
        let id = body(seen)["variables"]["id"].clone();
        (seen.header("authorization").unwrap().to_owned(), id)
    });
    let mut said: Vec<_> = said.map(|(who, id)| format!("{who} {id}")).collect();
    said.sort();
    assert_eq!(said, ["ada \"1\"", "ada \"2\"", "bob \"1\""]);
}

fn keeping() -> plan::source::Context {
    let mut context = context();
    context.caching = Some(Caching::default());
    context
}

#[tokio::test]
async fn a_reply_is_kept_where_the_schema_says_so_and_never_with_an_error() {
    let partial = json!({ "data": { "user": { "name": null } }, "errors": [{ "message": "x", "path": ["user", "name"] }] });
    let service = scripted(vec![(200, partial)]).await;
    let graph = Graph::new(SHOP, &service.url);
    let plan = graph.plan("{ kept(id: 1) { name } }");
    let context = keeping();
    let fetched = graph.fetch_in(&context, &plan).await.unwrap();
    assert_eq!(fetched, json!(["error: The service failed."]));
    for _ in 0..3 {
        let fetched = graph.fetch_in(&context, &plan).await.unwrap();
        assert_eq!(fetched, json!(["Ada"]));
    }
    assert_eq!(service.seen().len(), 2);
}

#[tokio::test]
async fn the_last_good_reply_stands_for_a_response_without_data_but_for_no_denial() {
    let broken = |code: &str| {
        let error = json!({ "message": "no", "extensions": { "code": code } });
        (200, json!({ "data": null, "errors": [error] }))
    };
    let service = scripted(vec![
        (200, user("Ada")),
        broken("INTERNAL_SERVER_ERROR"),
        broken("FORBIDDEN"),
    ])
    .await;
    let graph = Graph::new(SHOP, &service.url);
    let plan = graph.plan("{ stale(id: 1) { name } }");
    let context = keeping();
    assert_eq!(graph.fetch_in(&context, &plan).await, Ok(json!(["Ada"])));
    assert_eq!(graph.fetch_in(&context, &plan).await, Ok(json!(["Ada"])));
    assert_eq!(context.stale.answers().len(), 1);
    let denied = graph.fetch_in(&context, &plan).await.unwrap_err();
    assert_eq!((denied.code, &*denied.message), (Code::Forbidden, "no"));
}

#[tokio::test]
async fn an_error_stands_at_everything_that_is_made_from_its_null() {
    let answer = |errors: Json| {
        let user = json!({ "id": "1", "nick": null, "name": null, "friendId": null });
        (200, json!({ "data": { "user": user }, "errors": errors }))
    };
    let at = |path: Json| json!([{ "message": "m", "path": path, "extensions": { "code": "NOT_FOUND" } }]);
    let service = scripted(vec![
        answer(at(json!(["user", "friendId"]))),
        answer(at(json!(["user", "name"]))),
    ])
    .await;
    let graph = Graph::new(SHOP, &service.url);
    let reference = graph.fetch("{ user(id: 1) { friend { id } } }").await;
    let reference = reference.unwrap().to_string();
    assert!(reference.starts_with("[\"error: m\""), "{reference}");
    let label = graph.fetch("{ user(id: 1) { label } }").await.unwrap();
    assert_eq!(label[0], "error: m");
}

#[tokio::test]
async fn codes_tell_whose_words_may_pass() {
    let cases = [
        ("BAD_USER_INPUT", Code::BadUserInput, "secret"),
        ("UNAUTHENTICATED", Code::Unauthenticated, "secret"),
        ("FORBIDDEN", Code::Forbidden, "secret"),
        ("NOT_FOUND", Code::NotFound, "secret"),
        ("CONFLICT", Code::Conflict, "secret"),
        ("RATE_LIMITED", Code::RateLimited, "secret"),
        (
            "INTERNAL_SERVER_ERROR",
            Code::UpstreamError,
            "The service failed.",
        ),
        ("SOLD_OUT", Code::UpstreamError, "The service failed."),
        (
            "GRAPHQL_VALIDATION_FAILED",
            Code::UpstreamInvalidResponse,
            "The service's answer is not as declared.",
        ),
    ];
    for (stated, code, message) in cases {
        let error = json!({ "message": "secret", "extensions": { "code": stated } });
        let service = scripted(vec![(200, json!({ "errors": [error] }))]).await;
        let graph = Graph::new(SHOP, &service.url);
        let failed = graph.failure(USER).await;
        assert_eq!((failed.code, &*failed.message), (code, message), "{stated}");
    }
}

#[tokio::test]
async fn what_is_no_response_is_never_null() {
    for (status, body) in [
        (200, json!([])),
        (200, json!({})),
        (200, json!({ "data": null })),
        (200, json!({ "data": {} })),
        (200, json!({ "data": 3 })),
        (200, json!({ "errors": [] })),
        (404, json!({})),
    ] {
        let service = scripted(vec![(status, body.clone())]).await;
        let graph = Graph::new(SHOP, &service.url);
        let said = match graph.fetch(USER).await {
            Ok(value) => value.to_string(),
            Err(error) => error.code.as_str().to_owned(),
        };
        assert!(
            said == "UPSTREAM_INVALID_RESPONSE" || said.starts_with("\"error: expected"),
            "{body}: {said}"
        );
    }
    let service = scripted(vec![(200, json!({ "errors": "many" }))]).await;
    let graph = Graph::new(SHOP, &service.url);
    assert_eq!(graph.failure(USER).await.code, Code::UpstreamError);
}

/// Answers who asked for what.
struct Mirror;

impl LocalService for Mirror {
    fn answer(&self, request: LocalRequest) -> BoxFuture<'_, Bytes> {
        let name = format!(
            "{} {} for {}",
            request.operation_name, request.variables["id"], request.caller.claims["sub"]
        );
        assert!(request.query.starts_with("query Query_user($id: ID!)"));
        assert!(request.caller.headers.contains_key("authorization"));
        assert_eq!(&*request.caller.correlation_id, "corr-1");
        let body = json!({ "data": { "user": { "name": name } } });
        Box::pin(async move { body.to_string().into() })
    }
}

fn within() -> SourcesConfig {
    let mut config = SourcesConfig::default();
    config.local.serve("shop", Arc::new(Mirror));
    config
}

fn local() -> String {
    SHOP.replace("SERVICE/graphql", "local:")
}

#[tokio::test]
async fn a_service_within_this_process_is_told_who_asks() {
    let graph = Graph::configured(&local(), "", &within());
    let plan = graph.plan(USER);
    let (ada, bob) = (caller("ada"), caller("bob"));
    let both = tokio::join!(graph.fetch_in(&ada, &plan), graph.fetch_in(&bob, &plan));
    assert_eq!(both.0, Ok(json!(["Query_user \"1\" for \"ada\""])));
    assert_eq!(both.1, Ok(json!(["Query_user \"1\" for \"bob\""])));
    let calls = ada.calls.as_ref().unwrap().take();
    assert_eq!(
        (&*calls[0].method, &*calls[0].target, &*calls[0].status),
        ("GraphQL", "query Query_user", "200")
    );
}

#[test]
fn callers_of_a_service_within_this_process_are_never_taken_for_one_another() {
    let of = |name| super::LocalCaller::of(&caller(name));
    assert_eq!(of("ada"), of("ada"));
    assert_ne!(of("ada"), of("bob"));
    let mut header = caller("ada");
    let value = HeaderValue::from_static("t1");
    header.headers.insert("x-tenant", value);
    assert_ne!(super::LocalCaller::of(&header), of("ada"));
    let mut principal = caller("ada");
    principal.principal = Some(Arc::from(&b"key 7"[..]));
    assert_ne!(super::LocalCaller::of(&principal), of("ada"));
}

#[test]
fn a_source_that_this_gateway_should_serve_and_does_not_is_named() {
    let files = compose::SchemaFiles {
        subgraphs: vec![compose::SubgraphFile {
            name: "own".to_owned(),
            file: "own.graphql".to_owned(),
            sdl: local(),
            ..compose::SubgraphFile::default()
        }],
        ..compose::SchemaFiles::default()
    };
    let graph = compose::compose(&files).unwrap_or_else(|errors| panic!("{errors}"));
    let error = connect(&graph, &SourcesConfig::default(), None).err();
    assert!(matches!(error, Some(ConnectError::Url { .. })), "{error:?}");
}
