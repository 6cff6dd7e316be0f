//! Traces: which requests become one, what it holds, and that it costs no
//! request anything; one correlation id everywhere.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::mpsc;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::collector::Collector;
use super::collector::Seen;
use super::metrics;
use super::metrics::Samples;
use super::scripted::Scripted;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Scene {
    _folder: Folder,
    service: Scripted,
    collector: Collector,
    gateway: Gateway,
}

impl Scene {
    async fn start(config: &str) -> Self {
        let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
        let collector = Collector::start().await;
        let config = config.replace("COLLECTOR", &collector.url);
        let folder = service.folder(&config);
        let gateway = service.gateway(&folder).await;
        Self {
            _folder: folder,
            service,
            collector,
            gateway,
        }
    }

    async fn ask(&self, query: &str, parent: Option<&str>) -> Json {
        let asked = self.gateway.post(&json!({ "query": query }));
        let asked = match parent {
            Some(parent) => asked.header("traceparent", parent),
            None => asked,
        };
        body(asked.send().await.expect("an answer")).await
    }
}

#[tokio::test]
async fn a_sampled_request_is_a_trace_whose_calls_are_what_services_saw() {
    let mut scene = Scene::start(
        "tracing: { endpoint: COLLECTOR, sample: 0, headers: { x-tenant: acme }, attributes: { env: test } }",
    )
    .await;
    let request = scene
        .gateway
        .post(&json!({ "query": "query Thing { thing(id: 1) { name } }" }))
        .header("traceparent", PARENT)
        .header("tracestate", "a=1")
        .header("graphql-client-name", "shop-ios")
        .header("x-correlation-id", "checkout-1");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let upstream = scene.service.next().await;
    let sent = upstream.headers["traceparent"].to_str().expect("text");
    let received = scene.collector.next().await;
    assert_eq!(received.headers["content-type"], "application/x-protobuf");
    assert_eq!(received.headers["x-tenant"], "acme");
    assert_eq!(received.resource["service.name"], "switchboard");
    assert_eq!(received.resource["env"], "test");
    let root = received.named("query Thing");
    assert_eq!((root.kind, &*root.parent), (2, "00f067aa0ba902b7"));
    assert_eq!(root.says("switchboard.correlation_id"), "checkout-1");
    assert_eq!(root.says("switchboard.client.name"), "shop-ios");
    assert_eq!(root.says("graphql.operation.name"), "Thing");
    assert_eq!(root.says("http.response.status_code"), "200");
    assert_eq!(root.error, None);
    for stage in [
        "authenticate",
        "read",
        "charge",
        "plan",
        "admit",
        "execute",
        "write",
    ] {
        let span = received.named(stage);
        assert_eq!((span.kind, &span.parent), (1, &root.id), "{stage}");
        assert!(root.start <= span.start && span.end <= root.end, "{stage}");
    }
    assert_eq!(
        received.named("plan").says("switchboard.plan.cached"),
        "false"
    );
    let call = received.named("GET /things/{$args.id}");
    assert_eq!(
        (call.kind, &call.parent),
        (3, &received.named("execute").id)
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(sent, format!("00-{trace}-{}-01", call.id));
    assert!(received.spans.iter().all(|span| span.trace == trace));
    for (key, value) in [
        ("switchboard.source", "things"),
        ("switchboard.step", "0"),
        ("switchboard.attempt", "0"),
        ("switchboard.hedge", "false"),
        ("switchboard.breaker", "closed"),
        ("switchboard.batch.size", "0"),
        ("http.request.method", "GET"),
        ("url.path", "/things/1"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(call.says(key), value, "{key}");
    }
    let ids: BTreeSet<&str> = received.spans.iter().map(|span| &*span.id).collect();
    assert_eq!(ids.len(), received.spans.len());
}

#[tokio::test]
async fn the_caller_and_the_share_decide_what_is_sampled_and_calls_are_told() {
    let mut scene = Scene::start("tracing: { endpoint: COLLECTOR, sample: 1 }").await;
    let flags = async |scene: &mut Scene, parent: Option<&str>| {
        scene.ask("{ thing(id: 1) { name } }", parent).await;
        let upstream = scene.service.next().await;
        let sent = upstream.headers["traceparent"].to_str().expect("text");
        u8::from_str_radix(&sent[53..], 16).expect("flags") & 1
    };
    let unsampled = PARENT.replace("-01", "-00");
    assert_eq!(flags(&mut scene, Some(&unsampled)).await, 0);
    assert_eq!(flags(&mut scene, None).await, 1);
    let received = scene.collector.next().await;
    let root = received.named("query");
    assert_eq!(root.parent, "", "a trace that begins here");
    assert_ne!(root.trace, PARENT[3..35]);
    let mut off = Scene::start("tracing: { sample: 1 }").await;
    assert_eq!(
        flags(&mut off, Some(PARENT)).await,
        1,
        "passed on as it was"
    );
    assert!(off.collector.is_empty());
}

#[tokio::test]
async fn what_failed_is_marked_and_values_of_clients_are_not_repeated() {
    let mut scene = Scene::start("tracing: { endpoint: COLLECTOR, sample: 1 }").await;
    scene.service.reply(500, "application/json", "{}");
    scene.ask("query Broken { things { id } }", None).await;
    let received = scene.collector.next().await;
    let root = received.named("query Broken");
    assert_eq!(root.error.as_deref(), Some("UPSTREAM_ERROR"));
    assert_eq!(root.says("switchboard.errors"), "1");
    let call = received.named("GET /things");
    assert!(call.error.is_some());
    assert_eq!(call.says("http.response.status_code"), "500");
    scene.ask("query Invalid { no }", None).await;
    let received = scene.collector.next().await;
    let root = received.named("/graphql");
    assert_eq!(root.says("error.type"), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(root.error, None, "the client's fault is no failure of ours");
}

#[tokio::test]
async fn each_attempt_has_a_span_of_its_own_that_its_service_saw() {
    let mut scene = Scene::start("tracing: { endpoint: COLLECTOR, sample: 1 }").await;
    scene.service.reply(503, "application/json", "{}");
    scene.ask("query Again { things { id } }", None).await;
    let received = scene.collector.next().await;
    let attempts = received.spans.iter().filter(|span| span.kind == 3);
    let mut attempts: Vec<&Seen> = attempts.collect();
    attempts.sort_by_key(|span| span.start);
    assert!(attempts.len() > 1, "{received:#?}");
    for (number, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt.says("switchboard.attempt"), number.to_string());
        let resent = attempt.attributes.get("http.request.resend_count");
        assert_eq!(resent.is_some(), number > 0);
        let sent = scene.service.next().await;
        let sent = sent.headers["traceparent"].to_str().expect("text");
        assert_eq!(sent[36..52], attempt.id);
        assert!(attempt.error.is_some());
        assert_eq!(attempt.parent, received.named("execute").id);
    }
}

#[tokio::test]
async fn spans_are_sent_before_the_process_ends() {
    let mut scene = Scene::start("tracing: { endpoint: COLLECTOR, sample: 1 }").await;
    for _ in 0..20 {
        scene
            .ask("query Last { thing(id: 1) { name } }", None)
            .await;
    }
    scene.gateway.terminate().await;
    assert_eq!(scene.gateway.exit_code().await, Some(0));
    let mut roots = 0;
    while roots < 20 {
        let received = scene.collector.next().await;
        let root = |span: &&Seen| span.name == "query Last";
        roots += received.spans.iter().filter(root).count();
    }
    assert_eq!(roots, 20);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_answers() {
    // Nobody listens there.
    let config =
        "tracing: { endpoint: \"http://127.0.0.1:9\", sample: 1, queue: 3 }\nlog: { format: json }";
    let mut scene = Scene::start(config).await;
    for _ in 0..300 {
        let answer = scene.ask("{ thing(id: 1) { name } }", None).await;
        assert_eq!(answer, json!({ "data": { "thing": { "name": "one" } } }));
    }
    let dropped = async {
        loop {
            let samples = Samples::of(&metrics::page(&scene.gateway).await);
            let of = |reason| {
                let labels = format!("{{reason=\"{reason}\"}}");
                samples.get(&format!("switchboard_trace_spans_dropped_total{labels}"))
            };
            if of("failed") > 0.0 {
                return samples.get("switchboard_trace_spans_exported_total");
            }
        }
    };
    let exported = tokio::time::timeout(super::PATIENCE, dropped).await;
    assert_eq!(exported.expect("it is counted"), 0.0);
    assert!(scene.gateway.log().contains("spans cannot be sent"));
    scene.gateway.terminate().await;
    assert_eq!(scene.gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_slow_request_is_told_with_its_plan_and_without_what_the_client_sent() {
    let config = "slow_log: { above: 0ms }\nlog: { format: json }";
    let scene = Scene::start(config).await;
    let query = "query Slow($id: ID!) { thing(id: $id) { name } }";
    let asked = json!({ "query": query, "variables": { "id": "s3cret" } });
    let asked = scene.gateway.post(&asked);
    let asked = asked.header("x-correlation-id", "slow-1").send().await;
    assert_eq!(asked.expect("an answer").status(), 200);
    let slow = line(&scene.gateway, "a request was slow").await;
    assert_eq!(slow["level"], "WARN");
    assert_eq!(slow["operation"], "Slow");
    assert_eq!(slow["correlation_id"], "slow-1");
    let text = |key: &str| slow[key].as_str().unwrap_or_default().to_owned();
    assert!(text("plan").contains("Query.thing from things: GET /things/{$args.id}"));
    assert!(text("calls").starts_with("[0] things 200 attempt 0: "));
    assert!(text("stages").contains(", execute "), "{slow}");
    assert!(!slow.to_string().contains("s3cret"), "{slow}");
    let quick = Scene::start("slow_log: { above: 1h }\nlog: { format: json }").await;
    quick.ask("{ thing(id: 1) { name } }", None).await;
    assert!(!quick.gateway.log().contains("a request was slow"));
}

#[tokio::test]
async fn the_access_log_names_the_client_and_the_trace_and_takes_the_share_that_is_wanted() {
    let config = "access_log: true\nlog: { format: json }";
    let scene = Scene::start(config).await;
    let asked = scene.gateway.post(&json!({ "query": "{ count }" }));
    let asked = asked
        .header("traceparent", PARENT)
        .header("apollographql-client-name", "shop\tios")
        .header("apollographql-client-version", "7".repeat(200));
    asked.send().await.expect("an answer");
    let line = line(&scene.gateway, "request").await;
    assert_eq!(line["trace_id"], PARENT[3..35]);
    assert_eq!(line["client_name"], "shop?ios");
    assert_eq!(line["client_version"], "7".repeat(64));
    let some = Scene::start("access_log: { sample: 0.5 }\nlog: { format: json }").await;
    for _ in 0..200 {
        some.ask("{ count }", None).await;
    }
    let log = some.gateway.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("\"access\""))
        .count();
    assert!((50..150).contains(&lines), "{lines}");
}

/// The first line with this message.
async fn line(gateway: &Gateway, message: &str) -> Json {
    let found = async {
        loop {
            for line in gateway.log().lines() {
                let line: Json = serde_json::from_str(line).expect("a JSON log");
                if line["message"] == message {
                    return line;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(super::PATIENCE, found).await;
    found.expect("a line in time")
}

const PRICES: &str = r#"
extend schema @source(name: "prices", grpc: { url: "{$env.PRICES_URL}", protos: ["prices.proto"] })
type Query {
  price: Price @grpc(method: "shop.v1.Prices/Get")
}
type Price { amount: Int }
"#;
const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
message Ask {}
message Price { int32 amount = 1; }
service Prices { rpc Get(Ask) returns (Price); }
"#;

/// A gRPC service of one answer, which tells with what it was asked.
async fn prices() -> (String, mpsc::UnboundedReceiver<HeaderMap>) {
    let (asked, received) = mpsc::unbounded_channel();
    let routes = Router::new().fallback(price).with_state(asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

async fn price(
    State(asked): State<mpsc::UnboundedSender<HeaderMap>>,
    request: Request,
) -> Response {
    drop(asked.send(request.headers().clone()));
    // Uncompressed, two bytes: the field 1 is 42.
    let message = bytes::Bytes::from_static(&[0, 0, 0, 0, 2, 0x08, 42]);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    let frames = [Frame::data(message), Frame::trailers(trailers)];
    let frames = futures_util::stream::iter(frames.map(Ok::<_, std::convert::Infallible>));
    let response = Response::builder().header("content-type", "application/grpc");
    let body = Body::new(StreamBody::new(frames));
    response.body(body).expect("a response")
}

#[tokio::test]
async fn one_correlation_id_goes_everywhere() {
    let mut things = Scripted::open("{}").await;
    things.reply(503, "application/json", "{}");
    let (prices_url, mut priced) = prices().await;
    let mut collector = Collector::start().await;
    let config = format!(
        "log: {{ format: json, level: debug }}\naccess_log: true\nslow_log: {{ above: 0ms }}\n\
        tracing: {{ endpoint: \"{}\", sample: 1 }}\nsubgraphs:\n\
        \x20 things: {{ schema: things.graphql, env: [THINGS_URL] }}\n\
        \x20 prices: {{ schema: prices.graphql, env: [PRICES_URL] }}\n",
        collector.url
    );
    let folder = Folder::new(&[
        ("switchboard.yaml", &config),
        ("things.graphql", super::scripted::THINGS),
        ("prices.graphql", PRICES),
        ("prices.proto", PROTO),
    ]);
    let env = [("THINGS_URL", &*things.url()), ("PRICES_URL", &*prices_url)];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    let id = "checkout:42_a.b-c";
    let asked = gateway.post(&json!({ "query": "{ thing(id: 1) { name } price { amount } }" }));
    let asked = asked.header("x-correlation-id", id).send().await;
    let answer = asked.expect("an answer");
    assert_eq!(answer.headers()["x-correlation-id"], id);
    let request_id = answer.headers()["x-request-id"].clone();
    let request_id = request_id.to_str().expect("text");
    let answer = body(answer).await;
    assert_eq!(answer["data"]["price"]["amount"], 42);
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["correlationId"], id, "{answer}");
    assert_eq!(things.next().await.headers["x-correlation-id"], id);
    let metadata = priced.recv().await.expect("a call");
    assert_eq!(metadata["x-correlation-id"], id);
    let received = collector.next().await;
    let root = received.named("query");
    assert_eq!(root.says("switchboard.correlation_id"), id);
    assert_eq!(root.says("switchboard.request_id"), request_id);
    assert!(
        received
            .spans
            .iter()
            .any(|span| span.name == "shop.v1.Prices/Get")
    );
    line(&gateway, "a request was slow").await;
    let log = gateway.log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let ours: Vec<Json> = lines
        .filter(|line| line["request_id"] == request_id)
        .collect();
    let messages: BTreeSet<&str> = ours
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    for message in [
        "request",
        "a request was slow",
        "upstream call",
        "upstream call failed",
    ] {
        assert!(messages.contains(message), "{message}: {messages:?}");
    }
    assert!(
        ours.iter().all(|line| line["correlation_id"] == id),
        "{ours:#?}"
    );
}

#[tokio::test]
async fn a_correlation_id_that_is_none_is_replaced_everywhere() {
    let mut scene = Scene::start("tracing: { endpoint: COLLECTOR, sample: 1 }").await;
    let asked = scene
        .gateway
        .post(&json!({ "query": "{ thing(id: 1) { name } }" }));
    let asked = asked.header("x-correlation-id", "a b").send().await;
    let answer = asked.expect("an answer");
    let id = answer.headers()["x-correlation-id"].clone();
    assert_eq!(id, answer.headers()["x-request-id"]);
    assert_eq!(scene.service.next().await.headers["x-correlation-id"], id);
    let received = scene.collector.next().await;
    let root = received.named("query");
    assert_eq!(root.says("switchboard.correlation_id"), id);
}
