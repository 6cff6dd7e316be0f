//! A client's own deadline: answers in time with what has arrived, and
//! mutations that are refused, or unclear, rather than half done in silence.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::far;
use super::scripted::Scripted;

/// `slow` holds its requests, `quick` answers, `far` accepts connections and says nothing.
const CONFIG: &str = r#"
timeouts: { request_minimum: 50ms, upstream: 25s }
subgraphs:
  slow: { schema: slow.graphql, env: [SLOW_URL], sources: { slow: { min_deadline: 5s } } }
  quick: { schema: quick.graphql, env: [QUICK_URL] }
  far: { schema: far.graphql, env: [FAR_URL] }
"#;
const SLOW: &str = r#"
extend schema @source(name: "slow", http: { baseURL: "{$env.SLOW_URL}" }, minDeadline: "1h")
type Query { late(n: Int): Int @rest(GET: "/late") }
type Mutation {
  charge: Int @rest(POST: "/charge")
}
"#;
const QUICK: &str = r#"
extend schema @source(name: "quick", http: { baseURL: "{$env.QUICK_URL}" })
type Query { now: Int @rest(GET: "/now") }
type Mutation { note: Int @rest(POST: "/note") }
"#;
const FAR: &str = r#"
extend schema @source(name: "far", grpc: { url: "{$env.FAR_URL}", protos: ["far.proto"] })
type Query { away: Int @grpc(method: "far.Far/Get", request: {}, result: "n") }
type Mutation { send: Int @grpc(method: "far.Far/Get", request: {}, result: "n") }
"#;

/// A gateway over three services, of which two keep it waiting.
struct Scene {
    slow: Scripted,
    quick: Scripted,
    gateway: Gateway,
    _far: TcpListener,
    _folder: Folder,
}

impl Scene {
    async fn open() -> Self {
        let (slow, quick) = (Scripted::closed("1").await, Scripted::open("2").await);
        // The kernel accepts; nobody reads.
        let far = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let far_url = format!("http://{}", far.local_addr().expect("an address"));
        let folder = Folder::new(&[
            ("switchboard.yaml", CONFIG),
            ("slow.graphql", SLOW),
            ("quick.graphql", QUICK),
            ("far.graphql", FAR),
            ("far.proto", far::PROTO),
        ]);
        let (slow_url, quick_url) = (slow.url(), quick.url());
        let env = [
            ("SLOW_URL", &*slow_url),
            ("QUICK_URL", &*quick_url),
            ("FAR_URL", &*far_url),
        ];
        let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
        Self {
            slow,
            quick,
            gateway,
            _far: far,
            _folder: folder,
        }
    }

    /// The answer, and how long it took.
    async fn ask(&self, query: &str, header: (&str, &str)) -> (Json, Duration) {
        let asked = self.gateway.post(&json!({ "query": query }));
        let asked = asked.header(header.0, header.1);
        let began = Instant::now();
        let answer = asked.send().await.expect("an answer");
        let answer = body(answer).await;
        (answer, began.elapsed())
    }
}

fn codes(answer: &Json) -> Vec<&str> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    errors
        .map(|error| error["extensions"]["code"].as_str().unwrap_or("none"))
        .collect()
}

#[tokio::test]
async fn an_answer_comes_by_the_clients_deadline_with_what_has_arrived() {
    let scene = Scene::open().await;
    let mut late = Vec::new();
    let deadline = Duration::from_secs(1);
    for header in [("x-request-timeout-ms", "1000"), ("grpc-timeout", "1S")] {
        for _ in 0..5 {
            let (answer, took) = scene.ask("{ now late away }", header).await;
            let expected = json!({ "now": 2, "late": null, "away": null });
            assert_eq!(answer["data"], expected, "{answer}");
            let expected = ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"];
            assert_eq!(codes(&answer), expected, "{answer}");
            late.push(
                took.checked_sub(deadline)
                    .expect("no answer is given up early"),
            );
        }
    }
    // A machine that is busy with other things delays the gateway, its services and this client:
    // the best is what the gateway itself takes. How late most answers are is for the benchmarks.
    let best = late.iter().min().expect("ten answers");
    assert!(*best <= Duration::from_millis(25), "{late:?}");
}

#[tokio::test]
async fn a_client_cannot_ask_for_less_time_than_the_operator_grants() {
    let scene = Scene::open().await;
    let (answer, took) = scene.ask("{ late }", ("x-request-timeout-ms", "1")).await;
    assert_eq!(codes(&answer), ["DEADLINE_EXCEEDED"], "{answer}");
    assert!(took >= Duration::from_millis(50), "{took:?}");
}

#[tokio::test]
async fn a_client_in_a_hurry_does_not_wait_for_the_same_query_of_one_that_is_not() {
    let mut scene = Scene::open().await;
    let patient = scene.gateway.post(&json!({ "query": "{ now late }" }));
    let patient = tokio::spawn(patient.send());
    scene.slow.next().await;
    let (answer, took) = scene
        .ask("{ now late }", ("x-request-timeout-ms", "200"))
        .await;
    assert_eq!(
        answer["data"],
        json!({ "now": 2, "late": null }),
        "{answer}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    scene.slow.release(10);
    let answer = patient.await.expect("a task").expect("an answer");
    assert_eq!(
        body(answer).await,
        json!({ "data": { "now": 2, "late": 1 } })
    );
}

#[tokio::test]
async fn a_mutation_with_less_time_left_than_its_source_needs_is_not_begun() {
    let mut scene = Scene::open().await;
    let asked = scene
        .gateway
        .post(&json!({ "query": "mutation { note charge }" }))
        .header("x-request-timeout-ms", "4999");
    let refused = asked.send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    let refused = body(refused).await;
    assert_eq!(codes(&refused), ["DEADLINE_TOO_SHORT"], "{refused}");
    assert_eq!(refused.get("data"), None);
    let extensions = &refused["errors"][0]["extensions"];
    assert_eq!(extensions["requiredMs"], 5_000, "the configuration's");
    assert!(
        extensions["remainingMs"]
            .as_u64()
            .is_some_and(|ms| ms < 5_000)
    );
    assert_eq!(extensions.get("outcome"), None, "nothing was sent");
    assert_eq!(scene.slow.arrived(), [""; 0]);
    assert_eq!(scene.quick.arrived(), [""; 0]);

    // A field that is left out needs no time, and neither does a query.
    let query = "mutation($no: Boolean!) { note charge @include(if: $no) }";
    let asked = scene
        .gateway
        .post(&json!({ "query": query, "variables": { "no": false } }))
        .header("x-request-timeout-ms", "4999");
    let answer = body(asked.send().await.expect("an answer")).await;
    assert_eq!(answer, json!({ "data": { "note": 2 } }));
    scene.slow.release(1);
    let (answer, _) = scene
        .ask("{ late }", ("x-request-timeout-ms", "4999"))
        .await;
    assert_eq!(answer, json!({ "data": { "late": 1 } }));
    scene.slow.release(1);
    let (answer, _) = scene
        .ask("mutation { charge }", ("x-request-timeout-ms", "9000"))
        .await;
    assert_eq!(answer, json!({ "data": { "charge": 1 } }));
}

#[tokio::test]
async fn a_mutation_that_runs_into_the_deadline_says_that_nobody_knows_its_outcome() {
    let mut scene = Scene::open().await;
    scene.slow.arrived();
    let (answer, _) = scene
        .ask("mutation { send }", ("x-request-timeout-ms", "200"))
        .await;
    unknown(&answer, "send");
    let (answer, _) = scene
        .ask("mutation { charge }", ("x-request-timeout-ms", "5100"))
        .await;
    unknown(&answer, "charge");
    assert_eq!(scene.slow.arrived(), ["POST /charge"], "it is sent once");
}

fn unknown(answer: &Json, field: &str) {
    assert_eq!(answer["data"], json!({ field: null }), "{answer}");
    assert_eq!(codes(answer), ["DEADLINE_EXCEEDED"], "{answer}");
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["outcome"], "UNKNOWN", "{answer}");
    assert_eq!(extensions["retryable"], false, "{answer}");
}
