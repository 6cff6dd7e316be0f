//! Policies, decided by a service of the operator's: one question for each request, and nothing shown without an answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::PATIENCE;
use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::scripted::Scripted;
use super::scripted::THINGS;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

/// A policy service that says what a test wants, and tells what it was asked.
struct Decider {
    url: String,
    asked: mpsc::UnboundedReceiver<(HeaderMap, Json)>,
}

#[derive(Clone)]
struct Script {
    /// Each answers one question, the last one always.
    answers: Arc<Mutex<VecDeque<Says>>>,
    asked: mpsc::UnboundedSender<(HeaderMap, Json)>,
}

#[derive(Clone)]
enum Says {
    Body(u16, String),
    Nothing,
}

impl Says {
    fn granted(policies: &[&str]) -> Self {
        Self::Body(200, json!({ "granted": policies }).to_string())
    }
}

impl Decider {
    async fn start(answers: impl IntoIterator<Item = Says>) -> Self {
        let (tell, asked) = mpsc::unbounded_channel();
        let script = Script {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: tell,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let url = format!("http://{}/decide", listener.local_addr().expect("bound"));
        let routes = Router::new().fallback(decide).with_state(script);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, asked }
    }

    /// The next question.
    async fn next(&mut self) -> (HeaderMap, Json) {
        let question = timeout(PATIENCE, self.asked.recv()).await;
        question.expect("a question in time").expect("it runs")
    }

    fn was_asked_again(&mut self) -> bool {
        self.asked.try_recv().is_ok()
    }
}

async fn decide(
    State(script): State<Script>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let question = serde_json::from_str(&body).expect("a question is JSON");
    drop(script.asked.send((headers, question)));
    let answer = {
        let mut answers = script.answers.lock().expect("answers");
        match answers.len() {
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        }
    };
    match answer {
        Some(Says::Body(status, text)) => (StatusCode::from_u16(status).expect("a status"), text),
        _ => std::future::pending().await,
    }
}

async fn started(service: &Scripted, decider: &Decider, more: &str) -> (Folder, Gateway) {
    let sdl = THINGS
        .replace(
            "name: String }",
            "name: String @policy(policies: [[\"names\"]]) }",
        )
        .replace(
            "count: Int",
            "count: Int @policy(policies: [[\"counts\", \"staff\"], [\"all\"]])",
        );
    let config = format!(
        "authorization: {{ policy: {{ url: \"{}\"{more} }} }}\n\
         subgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL] }}\n",
        decider.url
    );
    let folder = Folder::new(&[("switchboard.yaml", &config), ("things.graphql", &sdl)]);
    let url = service.url();
    let env = [("THINGS_URL", url.as_str())];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (folder, gateway)
}

const BOTH: &str = "query Both { thing(id: 1) { id name } count }";

fn codes(answer: &Json) -> Vec<&str> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    errors
        .filter_map(|it| it["extensions"]["code"].as_str())
        .collect()
}

#[tokio::test]
async fn one_question_names_every_policy_and_tells_who_asks() {
    let service = Scripted::open(THING).await;
    let mut decider = Decider::start([Says::granted(&["names", "counts"])]).await;
    let headers = ", headers: { authorization: \"Bearer secret\" }";
    let (_folder, gateway) = started(&service, &decider, headers).await;
    let request = gateway.post(&json!({ "query": BOTH }));
    let response = request.header("x-correlation-id", "who-7").send().await;
    let answer = body(response.expect("an answer")).await;
    assert_eq!(
        answer["data"],
        json!({ "thing": { "id": "1", "name": "one" }, "count": null })
    );
    assert_eq!(codes(&answer), ["UNAUTHENTICATED"]);
    let (headers, question) = decider.next().await;
    assert_eq!(
        question,
        json!({
            "policies": ["all", "counts", "names", "staff"],
            "claims": null, "apiKey": null, "operationName": "Both",
        })
    );
    assert_eq!(headers["authorization"], "Bearer secret");
    assert_eq!(headers["x-correlation-id"], "who-7");
    assert!(!decider.was_asked_again());
}

#[tokio::test]
async fn an_operation_without_policies_asks_nobody() {
    let service = Scripted::open(THING).await;
    let mut decider = Decider::start([Says::granted(&[])]).await;
    let (_folder, gateway) = started(&service, &decider, "").await;
    let answer = gateway.ask("{ thing(id: 1) { id } }").await;
    assert_eq!(answer, json!({ "data": { "thing": { "id": "1" } } }));
    assert!(!decider.was_asked_again());
}

#[tokio::test]
async fn whatever_is_no_decision_denies_for_now() {
    let too_long = format!("{{\"granted\":[\"{}\"]}}", "x".repeat(300 * 1024));
    let answers = [
        Says::Nothing,
        Says::Body(500, json!({ "granted": ["names"] }).to_string()),
        Says::Body(204, String::new()),
        Says::Body(200, "granted".into()),
        Says::Body(200, json!({ "granted": "names" }).to_string()),
        Says::Body(200, json!({}).to_string()),
        Says::Body(200, too_long),
    ];
    for says in answers {
        let service = Scripted::open(THING).await;
        let decider = Decider::start([says]).await;
        let (_folder, gateway) = started(&service, &decider, ", timeout: 200ms").await;
        let answer = gateway.ask("{ thing(id: 1) { id name } }").await;
        assert_eq!(
            answer["data"],
            json!({ "thing": { "id": "1", "name": null } })
        );
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "AUTHORIZATION_UNAVAILABLE");
        assert_eq!(error["extensions"]["retryable"], true);
        assert!(!error.to_string().contains(&decider.url), "{error}");
        let log = gateway.log();
        assert!(log.contains("the policy service gave no decision"), "{log}");
    }
}

#[tokio::test]
async fn nobody_there_denies_unless_the_operator_wants_otherwise() {
    let service = Scripted::open(THING).await;
    let mut decider = Decider::start([]).await;
    decider.url = "http://127.0.0.1:1/decide".into();
    let (_folder, gateway) = started(&service, &decider, "").await;
    let query = "{ thing(id: 1) { id name } }";
    assert_eq!(
        codes(&gateway.ask(query).await),
        ["AUTHORIZATION_UNAVAILABLE"]
    );
    let (_folder, gateway) = started(&service, &decider, ", on_failure: allow").await;
    assert_eq!(gateway.ask(query).await["data"]["thing"]["name"], "one");
    assert!(
        gateway.log().contains("on_failure is allow"),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn a_decision_is_kept_as_long_as_the_operator_says() {
    let service = Scripted::open(THING).await;
    let query = "{ thing(id: 1) { id name } }";
    for (cache, questions) in [("", 2), (", cache: 1h", 1)] {
        let answers = [Says::granted(&["names"]), Says::granted(&[])];
        let mut decider = Decider::start(answers).await;
        let (_folder, gateway) = started(&service, &decider, cache).await;
        let first = gateway.ask(query).await;
        let second = gateway.ask(query).await;
        assert_eq!(first["data"]["thing"]["name"], "one");
        let expected = if questions == 1 {
            json!("one")
        } else {
            json!(null)
        };
        assert_eq!(second["data"]["thing"]["name"], expected);
        // Another policy of the same caller is asked for on its own.
        gateway.ask("{ count }").await;
        for _ in 0..questions {
            assert_eq!(decider.next().await.1["policies"], json!(["names"]));
        }
        assert_eq!(
            decider.next().await.1["policies"],
            json!(["all", "counts", "staff"])
        );
    }
}

#[tokio::test]
async fn callers_of_whom_different_things_were_decided_share_nothing() {
    let mut service = Scripted::closed(THING).await;
    let answers = [Says::granted(&["names"]), Says::granted(&[])];
    let mut decider = Decider::start(answers).await;
    let (_folder, gateway) = started(&service, &decider, "").await;
    let query = json!({ "query": "{ thing(id: 1) { id name } }" });
    let granted = tokio::spawn(gateway.post(&query).send());
    assert_eq!(service.next().await.target, "GET /things/1");
    decider.next().await;
    let denied = tokio::spawn(gateway.post(&query).send());
    decider.next().await;
    // The reads of both may be one call, since both may make it; their answers may not be one.
    service.release(2);
    let answers = [granted, denied]
        .map(|task| async { body(task.await.expect("a task").expect("an answer")).await });
    let [granted, denied] = answers;
    assert_eq!(granted.await["data"]["thing"]["name"], "one");
    assert_eq!(denied.await["data"]["thing"]["name"], json!(null));
}
