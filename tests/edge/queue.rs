//! Queued mutations through the real binary: what is answered, what arrives, and what survives.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::lifecycle::until;
use crate::queue::brokers::Nats;
use crate::queue::brokers::RabbitMq;
use crate::queue::brokers::Redis;

const SUBGRAPH: &str = r#"extend schema @source(name: "mail", http: { baseURL: "{$env.MAIL_URL}" }, headers: [
  { name: "x-tenant", from: "x-tenant" }
  { name: "x-secret", value: "{$env.SECRET}" }
])
type Query { mails: Int @rest(GET: "/mails") }
type Mutation {
  send(to: ID!, n: Int = 0): Accepted! @rest(PUT: "/mails/{to}/{n}")
    @queue(name: "mail", key: "{to}", retry: { backoff: "10ms", maxBackoff: "50ms" })
  once(to: ID!, n: Int = 0): Accepted! @rest(PUT: "/once/{to}/{n}") @queue(name: "mail", dedupe: "{to}")
  draft(to: ID!): Int @rest(POST: "/drafts/{to}")
}
"#;

/// A service that writes down what comes, and answers as it is told.
struct Mail {
    address: SocketAddr,
    seen: Seen,
    server: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Seen {
    requests: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    /// For the next requests; 204 afterwards.
    statuses: Arc<Mutex<VecDeque<u16>>>,
    /// While it is true, requests are written down and not answered.
    held: watch::Sender<bool>,
}

impl Mail {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut mail = Self {
            address: listener.local_addr().expect("an address"),
            seen: Seen::default(),
            server: None,
        };
        mail.serve(listener);
        mail
    }

    /// Nobody listens there.
    async fn closed() -> Self {
        let mut mail = Self::open().await;
        mail.close().await;
        mail
    }

    async fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            drop(server.await);
        }
    }

    async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await;
        self.serve(listener.expect("the port is free still"));
    }

    fn serve(&mut self, listener: TcpListener) {
        let app = Router::new().fallback(answer).with_state(self.seen.clone());
        let serve = async move { axum::serve(listener, app).await.expect("it serves") };
        self.server = Some(tokio::spawn(serve));
    }

    fn answers(&self, statuses: &[u16]) {
        self.seen
            .statuses
            .lock()
            .expect("nobody panicked")
            .extend(statuses);
    }

    fn targets(&self) -> Vec<String> {
        let requests = self.seen.requests.lock().expect("nobody panicked");
        requests.iter().map(|(target, _)| target.clone()).collect()
    }

    fn header(&self, at: usize, name: &str) -> String {
        let requests = self.seen.requests.lock().expect("nobody panicked");
        let value = requests[at].1.get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    async fn has(&self, count: usize) {
        until(|| self.targets().len() >= count).await;
    }
}

async fn answer(State(seen): State<Seen>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    to_bytes(body, usize::MAX).await.expect("a body");
    let target = format!("{} {}", head.method, head.uri);
    seen.requests
        .lock()
        .expect("nobody panicked")
        .push((target, head.headers));
    let mut held = seen.held.subscribe();
    held.wait_for(|held| !held)
        .await
        .expect("the sender is here");
    let status = seen.statuses.lock().expect("nobody panicked").pop_front();
    StatusCode::from_u16(status.unwrap_or(204)).expect("a status")
}

fn folder(more: &str) -> Folder {
    let config = format!(
        "subgraphs: {{ mail: {{ schema: mail.graphql, env: [MAIL_URL, SECRET] }} }}\n\
         shutdown: {{ grace: 0s, drain: 5s }}\n{more}\n"
    );
    Folder::new(&[("mail.graphql", SUBGRAPH), ("switchboard.yaml", &config)])
}

async fn started(folder: &Folder, mail: &Mail) -> Gateway {
    let url = format!("http://{}", mail.address);
    let env = [("MAIL_URL", url.as_str()), ("SECRET", "s3cret")];
    Gateway::start(&folder.file("switchboard.yaml"), &env).await
}

async fn scene(more: &str) -> (Mail, Folder, Gateway) {
    let mail = Mail::open().await;
    let folder = folder(&format!("queue: {{ path: ./queue }}\n{more}"));
    let gateway = started(&folder, &mail).await;
    (mail, folder, gateway)
}

fn code(answer: &Json) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_queued_mutation_is_answered_and_delivered_afterwards() {
    let (mail, _folder, gateway) = scene("").await;
    let asked = gateway
        .post(&json!({ "query": "mutation { send(to: \"ada\") { id status acceptedAt duplicate } }" }))
        .header("x-tenant", "seven")
        .header("x-correlation-id", "corr-1");
    let answer = body(asked.send().await.expect("an answer")).await;
    let accepted = &answer["data"]["send"];
    assert_eq!(accepted["status"], "QUEUED", "{answer}");
    assert_eq!(accepted["duplicate"], false);
    mail.has(1).await;
    assert_eq!(mail.targets(), ["PUT /mails/ada/0"]);
    for (name, value) in [
        ("x-tenant", "seven"),
        ("x-secret", "s3cret"),
        ("x-correlation-id", "corr-1"),
        ("x-delivery-attempt", "1"),
        ("x-delivery-id", accepted["id"].as_str().expect("an id")),
    ] {
        assert_eq!(mail.header(0, name), value, "{name}");
    }
    assert_eq!(mail.header(0, "idempotency-key").len(), 32);
}

#[tokio::test]
async fn a_target_that_fails_is_asked_again_under_the_same_key() {
    let (mail, _folder, gateway) = scene("").await;
    mail.answers(&[503, 500, 429]);
    gateway.ask("mutation { send(to: \"ada\") { id } }").await;
    mail.has(4).await;
    let attempts: Vec<String> = (0..4)
        .map(|at| mail.header(at, "x-delivery-attempt"))
        .collect();
    assert_eq!(attempts, ["1", "2", "3", "4"]);
    let keys: Vec<String> = (0..4)
        .map(|at| mail.header(at, "idempotency-key"))
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn what_waits_survives_a_kill_and_arrives_in_order_once_its_service_is_there() {
    let mut mail = Mail::closed().await;
    let folder = folder("queue: { path: ./queue }");
    let gateway = started(&folder, &mail).await;
    for n in 0..20 {
        let query = format!("mutation {{ send(to: \"ada\", n: {n}) {{ id }} }}");
        let answer = gateway.ask(&query).await;
        assert!(answer["data"]["send"]["id"].is_string(), "{answer}");
    }
    // Dropped is killed.
    drop(gateway);
    mail.reopen().await;
    let _gateway = started(&folder, &mail).await;
    mail.has(20).await;
    let expected: Vec<String> = (0..20).map(|n| format!("PUT /mails/ada/{n}")).collect();
    assert_eq!(mail.targets(), expected);
}

#[tokio::test]
async fn a_moved_service_and_a_rotated_secret_hold_for_what_waits() {
    let gone = Mail::closed().await;
    let folder = folder("queue: { path: ./queue }");
    let mut gateway = started(&folder, &gone).await;
    gateway.ask("mutation { send(to: \"ada\") { id } }").await;
    gateway.terminate().await;
    assert_eq!(gateway.exit_code().await, Some(0));
    let stored = std::fs::read_dir(folder.file("queue")).expect("a directory");
    for file in stored {
        let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("s3cret") && !text.contains(&gone.address.to_string()));
    }
    let moved = Mail::open().await;
    let url = format!("http://{}", moved.address);
    let env = [("MAIL_URL", url.as_str()), ("SECRET", "rotated")];
    let _gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    moved.has(1).await;
    assert_eq!(moved.header(0, "x-secret"), "rotated");
}

#[tokio::test]
async fn a_duplicate_is_the_first_one_again_and_another_payload_a_conflict() {
    let (mail, _folder, gateway) = scene("").await;
    let first = gateway.ask("mutation { once(to: \"a\") { id } }").await;
    let again = gateway
        .ask("mutation { once(to: \"a\") { id duplicate } }")
        .await;
    assert_eq!(again["data"]["once"]["id"], first["data"]["once"]["id"]);
    assert_eq!(again["data"]["once"]["duplicate"], true);
    let other = gateway
        .ask("mutation { once(to: \"a\", n: 1) { id } }")
        .await;
    assert_eq!(code(&other), "CONFLICT");
    mail.has(1).await;
    gateway.ask("mutation { send(to: \"later\") { id } }").await;
    mail.has(2).await;
    assert_eq!(mail.targets(), ["PUT /once/a/0", "PUT /mails/later/0"]);
}

#[tokio::test]
async fn an_operation_that_is_queued_as_a_whole_is_accepted_as_a_whole_or_not_at_all() {
    let (mail, _folder, gateway) = scene("").await;
    gateway.ask("mutation { once(to: \"a\") { id } }").await;
    let refused = gateway
        .ask("mutation { one: send(to: \"x\") { id } two: once(to: \"a\", n: 1) { id } }")
        .await;
    assert_eq!(refused["data"], Json::Null);
    let unsendable = gateway
        .ask("mutation { one: send(to: \"x\") { id } two: send(to: \"..\") { id } }")
        .await;
    assert_eq!(unsendable["data"], Json::Null);
    gateway
        .ask("mutation { b: send(to: \"b\") { id } a: send(to: \"b\", n: 1) { id } }")
        .await;
    mail.has(3).await;
    let targets = mail.targets();
    assert_eq!(
        targets,
        ["PUT /once/a/0", "PUT /mails/b/0", "PUT /mails/b/1"]
    );
}

#[tokio::test]
async fn who_prefers_it_is_answered_202_where_nothing_else_was_asked() {
    let (_mail, _folder, gateway) = scene("").await;
    let status = async |query: &str, prefer: &str| {
        let asked = gateway
            .post(&json!({ "query": query }))
            .header("prefer", prefer);
        let response = asked.send().await.expect("an answer");
        let applied = response.headers().contains_key("preference-applied");
        (response.status().as_u16(), applied)
    };
    let queued = "mutation { send(to: \"a\") { id } }";
    assert_eq!(status(queued, "wait=5, Respond-Async").await, (202, true));
    assert_eq!(status(queued, "wait=5").await, (200, false));
    let mixed = "mutation { send(to: \"a\") { id } draft(to: \"a\") }";
    assert_eq!(status(mixed, "respond-async").await, (200, false));
    let refused = "mutation { send(to: \"..\") { id } }";
    assert_eq!(status(refused, "respond-async").await, (200, false));
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let mail = Mail::closed().await;
    let folder = folder("queue: { path: ./queue, limits: { messages: 2 } }");
    let gateway = started(&folder, &mail).await;
    for _ in 0..2 {
        let answer = gateway.ask("mutation { send(to: \"a\") { id } }").await;
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    let asked = gateway.post(&json!({ "query": "mutation { send(to: \"a\") { id } }" }));
    let response = asked.send().await.expect("an answer");
    assert!(response.headers().contains_key("retry-after"));
    let answer = body(response).await;
    assert_eq!(code(&answer), "QUEUE_FULL");
    assert_eq!(answer["errors"][0]["extensions"]["retryable"], true);
    assert!(
        answer["errors"][0]["extensions"]["retryAfterMs"].is_u64(),
        "{answer}"
    );
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_lets_go() {
    let (mail, folder, mut gateway) = scene("").await;
    let url = format!("http://{}", mail.address);
    let env = [("MAIL_URL", url.as_str()), ("SECRET", "s")];
    let hasty = "subgraphs: { mail: { schema: mail.graphql, env: [MAIL_URL, SECRET] } }\n\
                 queue: { path: ./queue, handover: 1ms }\n";
    folder.write("hasty.yaml", hasty);
    let config = folder.file("hasty.yaml");
    let config = config.to_string_lossy();
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--config",
        &config,
    ];
    let (exit, _, said) = run(&serve, &env).await;
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("QUEUE_NOT_OPEN") && said.contains("another process"),
        "{said}"
    );
    let patient = started(&folder, &mail);
    let handover = async {
        tokio::task::yield_now().await;
        gateway.terminate().await;
        gateway.exit_code().await
    };
    let (next, exit) = tokio::join!(patient, handover);
    assert_eq!(exit, Some(0));
    let answer = next.ask("mutation { send(to: \"a\") { id } }").await;
    assert!(answer.get("errors").is_none(), "{answer}");
}

#[tokio::test]
async fn several_gateways_do_not_keep_messages_each_for_itself() {
    let mail = Mail::open().await;
    let folder = folder("replicas: many\nidempotency: { mode: off }");
    let url = format!("http://{}", mail.address);
    let env = [("MAIL_URL", url.as_str()), ("SECRET", "s")];
    let config = folder.file("switchboard.yaml");
    let config = config.to_string_lossy();
    let (exit, _, said) = run(&["serve", "--config", &config], &env).await;
    assert_eq!(exit, 1);
    assert!(
        said.contains("LOCAL_STORE") && said.contains("broker"),
        "{said}"
    );
}

#[tokio::test]
async fn with_a_key_nothing_of_a_call_can_be_read_from_the_files() {
    let mail = Mail::closed().await;
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let folder = folder(&format!(
        "queue: {{ path: ./queue, encryption_key: \"{key}\" }}"
    ));
    let mut gateway = started(&folder, &mail).await;
    gateway
        .ask("mutation { send(to: \"somebody-special\") { id } }")
        .await;
    gateway.terminate().await;
    gateway.exit_code().await;
    for file in std::fs::read_dir(folder.file("queue")).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
        assert!(!bytes.windows(16).any(|part| part == b"somebody-special"));
    }
    folder.write(
        "switchboard.yaml",
        "subgraphs: { mail: { schema: mail.graphql, env: [MAIL_URL, SECRET] } }\nqueue: { path: ./queue, encryption_key: short }\n",
    );
    let config = folder.file("switchboard.yaml");
    let (exit, _, said) = run(&["check", "--config", &config.to_string_lossy()], &[]).await;
    assert_eq!(exit, 1);
    assert!(said.contains("queue.encryption_key"), "{said}");
}

#[tokio::test]
async fn a_delivery_that_is_under_way_is_finished_before_the_process_ends() {
    let (mail, folder, mut gateway) = scene("").await;
    mail.seen.held.send_replace(true);
    gateway.ask("mutation { send(to: \"a\") { id } }").await;
    mail.has(1).await;
    gateway.terminate().await;
    until(|| gateway.log().contains("draining")).await;
    mail.seen.held.send_replace(false);
    let ended = tokio::time::timeout(Duration::from_secs(10), gateway.exit_code()).await;
    assert_eq!(ended.expect("in time"), Some(0));
    let next = started(&folder, &mail).await;
    next.ask("mutation { send(to: \"b\") { id } }").await;
    mail.has(2).await;
    assert_eq!(mail.targets(), ["PUT /mails/a/0", "PUT /mails/b/0"]);
}

/// What `GET` of an operator's page answers, once it says so.
async fn operators(gateway: &Gateway, page: &str, says: impl Fn(&Json) -> bool) -> Json {
    let url = format!("{}{page}", gateway.admin);
    let waited = async {
        loop {
            let told = body(gateway.get(&url).await).await;
            if says(&told) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = tokio::time::timeout(super::PATIENCE, waited).await;
    told.unwrap_or_else(|_| panic!("{page} does not say so in time"))
}

async fn sent(gateway: &Gateway, to: &str) -> String {
    let query = format!("mutation {{ send(to: \"{to}\") {{ id }} }}");
    let answer = gateway.ask(&query).await;
    let id = answer["data"]["send"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn what_a_target_refuses_for_good_is_a_dead_letter_that_says_why() {
    let (mail, _folder, gateway) = scene("").await;
    for (status, code) in [
        (400, "BAD_USER_INPUT"),
        (404, "NOT_FOUND"),
        (409, "CONFLICT"),
        (410, "NOT_FOUND"),
        (413, "BAD_USER_INPUT"),
        (422, "BAD_USER_INPUT"),
    ] {
        mail.answers(&[status]);
        let id = sent(&gateway, &format!("s{status}")).await;
        let page = "/dead-letters?most=100";
        let is_there = |told: &Json| letter(told, &id).is_some();
        let told = operators(&gateway, page, is_there).await;
        let letter = letter(&told, &id).expect("a letter");
        assert_eq!(letter["reason"], "REFUSED", "{letter}");
        assert_eq!(letter["status"], "DEAD_LETTERED");
        assert_eq!(letter["attempts"], 1);
        for error in ["error", "first_error"] {
            assert_eq!(letter[error]["code"], code, "{letter}");
            assert_eq!(letter[error]["status"], status.to_string());
        }
        assert!(letter["request_id"].is_string() && letter["correlation_id"].is_string());
    }
    assert_eq!(mail.targets().len(), 6);
}

fn letter<'t>(told: &'t Json, id: &str) -> Option<&'t Json> {
    let mut letters = told["dead_letters"].as_array()?.iter();
    letters.find(|letter| letter["id"] == id)
}

#[tokio::test]
async fn what_a_target_cannot_do_now_is_tried_until_it_can() {
    let (mail, _folder, gateway) = scene("").await;
    for status in [408, 429, 500, 501, 502, 503, 504] {
        mail.answers(&[status]);
        let id = sent(&gateway, &format!("s{status}")).await;
        let page = format!("/deliveries/{id}");
        let told = operators(&gateway, &page, |told| told["status"] == "DELIVERED").await;
        assert_eq!(told["attempts"], 2, "{told}");
        assert_eq!(told["error"]["status"], status.to_string(), "{told}");
    }
}

#[tokio::test]
async fn refused_credentials_stop_the_deliveries_and_nothing_is_lost_or_counted() {
    for status in [401, 403] {
        let (mail, _folder, gateway) = scene("").await;
        mail.answers(&[status]);
        let id = sent(&gateway, "ada").await;
        let denied = |told: &Json| told["queues"][0]["here"]["sources"][0]["state"] == "denied";
        operators(&gateway, "/queues", denied).await;
        until(|| gateway.log().contains("queue.denied")).await;
        let other = sent(&gateway, "bob").await;
        assert_eq!(mail.targets().len(), 1);
        let resume = format!("{}/queues/mail/resume", gateway.admin);
        let resumed = reqwest::Client::new().post(resume).send().await;
        assert_eq!(resumed.expect("an answer").status(), 200);
        let page = format!("/deliveries/{other}");
        let told = operators(&gateway, &page, |told| told["status"] == "DELIVERED").await;
        assert_eq!(told["attempts"], 1, "{told}");
        // It waits for its own time, and no attempt was burnt.
        let told = operators(&gateway, &format!("/deliveries/{id}"), |_| true).await;
        assert_eq!(told["status"], "RETRYING", "{told}");
        assert_eq!(told["attempts"], 0, "{told}");
    }
}

#[tokio::test]
async fn a_target_that_hangs_is_given_up_at_its_timeout_and_asked_again() {
    let mail = Mail::open().await;
    let folder = folder("queue: { path: ./queue }\ntimeouts: { upstream: 100ms }");
    let gateway = started(&folder, &mail).await;
    mail.seen.held.send_replace(true);
    let id = sent(&gateway, "ada").await;
    mail.has(2).await;
    mail.seen.held.send_replace(false);
    let page = format!("/deliveries/{id}");
    let told = operators(&gateway, &page, |told| told["status"] == "DELIVERED").await;
    assert_eq!(told["error"]["code"], "UPSTREAM_TIMEOUT", "{told}");
}

#[tokio::test]
async fn an_unknown_or_malformed_id_is_told_apart() {
    let (_mail, _folder, gateway) = scene("").await;
    let status = async |id: &str| {
        let url = format!("{}/deliveries/{id}", gateway.admin);
        gateway.get(&url).await.status().as_u16()
    };
    assert_eq!(status("0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506").await, 404);
    assert_eq!(status("seven").await, 400);
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_it_is_queued() {
    let mail = Mail::closed().await;
    let folder = folder("queue: { path: ./queue, limits: { message: 1KiB } }");
    let gateway = started(&folder, &mail).await;
    let long = "x".repeat(2_000);
    let answer = gateway
        .ask(&format!("mutation {{ send(to: \"{long}\") {{ id }} }}"))
        .await;
    assert_eq!(code(&answer), "BAD_USER_INPUT", "{answer}");
    let told = operators(&gateway, "/queues", |_| true).await;
    assert_eq!(told["queues"][0]["waiting"], 0, "{told}");
}

#[tokio::test]
async fn dead_letters_are_put_back_by_the_command_line_and_their_numbers_are_told() {
    let (mail, _folder, gateway) = scene("").await;
    mail.answers(&[422]);
    let id = sent(&gateway, "ada").await;
    let page = "/dead-letters";
    operators(&gateway, page, |told| letter(told, &id).is_some()).await;
    let admin = ["--admin", &gateway.admin];
    let (exit, said, _) = run(&[&["queue", "dead-letters"][..], &admin].concat(), &[]).await;
    assert!(
        exit == 0 && said.contains(&id) && said.contains("REFUSED"),
        "{said}"
    );
    let (exit, said, _) = run(&[&["queue", "show", &id][..], &admin].concat(), &[]).await;
    assert!(exit == 0 && said.contains("/mails/ada/0"), "{said}");
    let metrics = gateway.get(&format!("{}/metrics", gateway.admin)).await;
    let metrics = metrics.text().await.expect("text");
    for line in [
        "switchboard_queue_messages{queue=\"mail\",state=\"dead\"} 1",
        "switchboard_queue_attempts_total{queue=\"mail\",outcome=\"refused\"} 1",
        "switchboard_queue_dead_total{queue=\"mail\",reason=\"REFUSED\"} 1",
        "switchboard_queue_lane_state{queue=\"mail\",source=\"mail\",state=\"flows\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let (exit, said, wrong) = run(&[&["queue", "retry", &id][..], &admin].concat(), &[]).await;
    assert_eq!(exit, 0, "{said}{wrong}");
    let page = format!("/deliveries/{id}");
    operators(&gateway, &page, |told| told["status"] == "DELIVERED").await;
    mail.has(2).await;
    assert_eq!(mail.targets(), ["PUT /mails/ada/0", "PUT /mails/ada/0"]);
}

/// A configuration over a broker.
fn on_nats(url: &str) -> Folder {
    folder(&format!(
        "replicas: many\nidempotency: {{ mode: off }}\nqueue: {{ nats: {{ url: \"{url}\", partitions: 4, durability: relaxed }}, limits: {{ bytes: 16MiB, messages: 10000 }} }}"
    ))
}

fn on_rabbit(broker: &RabbitMq, redis: &Redis, prefix: &str) -> Folder {
    let (url, redis) = (broker.url(), redis.url());
    folder(&format!(
        "replicas: many\nidempotency: {{ mode: off }}\nqueue: {{ rabbitmq: {{ url: \"{url}\", prefix: {prefix}, partitions: 2 }}, redis: {{ url: \"{redis}\" }} }}"
    ))
}

#[tokio::test]
async fn several_gateways_share_a_queue_on_nats_and_go_on_when_one_dies() {
    let broker = Nats::start().await;
    go_on_when_one_dies(on_nats(&broker.url())).await;
}

#[tokio::test]
async fn several_gateways_share_a_queue_on_rabbitmq_and_go_on_when_one_dies() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    go_on_when_one_dies(on_rabbit(&broker, &redis, "edge-share")).await;
}

async fn go_on_when_one_dies(folder: Folder) {
    let mut mail = Mail::closed().await;
    let (one, two) = tokio::join!(started(&folder, &mail), started(&folder, &mail));
    for n in 0..10 {
        let gateway = if n % 2 == 0 { &one } else { &two };
        let query = format!("mutation {{ send(to: \"ada\", n: {n}) {{ id }} }}");
        let answer = gateway.ask(&query).await;
        assert!(answer["data"]["send"]["id"].is_string(), "{answer}");
    }
    // Dropped is killed.
    drop(one);
    mail.reopen().await;
    let in_order = async {
        while mail.targets().len() < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let taken_over = tokio::time::timeout(Duration::from_secs(60), in_order).await;
    assert!(taken_over.is_ok(), "{:?}", mail.targets());
    let mut seen = mail.targets();
    // One that was under way when its gateway died may come twice, under one key.
    seen.dedup();
    let expected: Vec<String> = (0..10).map(|n| format!("PUT /mails/ada/{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_gateway_that_was_paused_while_it_sent_is_refused_on_nats() {
    let broker = Nats::start().await;
    wakes_up_late(on_nats(&broker.url())).await;
}

#[tokio::test]
async fn a_gateway_that_was_paused_while_it_sent_is_refused_on_rabbitmq() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    wakes_up_late(on_rabbit(&broker, &redis, "edge-pause")).await;
}

/// One stands still while it sends. Another owns the message then, and what the first says of it late is refused.
async fn wakes_up_late(folder: Folder) {
    let mail = Mail::open().await;
    mail.seen.held.send_replace(true);
    let paused = started(&folder, &mail).await;
    let id = sent(&paused, "ada").await;
    mail.has(1).await;
    paused.signal("STOP").await;
    let heir = started(&folder, &mail).await;
    let again = async {
        while mail.targets().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(60), again).await;
    assert!(again.is_ok(), "it is sent again: {}", heir.log());
    mail.seen.held.send_replace(false);
    let status = || async { followed(&heir, &id, None).await["status"].clone() };
    while status().await != "DELIVERED" {
        tokio::task::yield_now().await;
    }
    paused.signal("CONT").await;
    until(|| paused.log().contains("the message may be delivered twice")).await;
    assert_eq!(mail.targets().len(), 2);
    let [first, second] = [0, 1].map(|at| mail.header(at, "idempotency-key"));
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_broker_that_is_away_accepts_nothing_and_says_when_to_come_again() {
    let mut broker = Nats::start().await;
    let mail = Mail::open().await;
    let folder = on_nats(&broker.url());
    let gateway = started(&folder, &mail).await;
    sent(&gateway, "ada").await;
    mail.has(1).await;
    broker.kill().await;
    accepts_nothing(&gateway, &mail).await;
}

#[tokio::test]
async fn without_rabbitmq_or_without_its_redis_nothing_is_accepted() {
    let (mut broker, mut redis) = (RabbitMq::start().await, Redis::start().await);
    let mail = Mail::open().await;
    let folder = on_rabbit(&broker, &redis, "edge-away");
    let gateway = started(&folder, &mail).await;
    sent(&gateway, "ada").await;
    mail.has(1).await;
    redis.kill().await;
    accepts_nothing(&gateway, &mail).await;
    redis.run().await;
    broker.kill();
    accepts_nothing(&gateway, &mail).await;
}

async fn accepts_nothing(gateway: &Gateway, mail: &Mail) {
    let asked = gateway.post(&json!({ "query": "mutation { send(to: \"bob\") { id } }" }));
    let response = asked.send().await.expect("an answer");
    assert!(response.headers().contains_key("retry-after"));
    let answer = body(response).await;
    assert_eq!(code(&answer), "QUEUE_UNAVAILABLE", "{answer}");
    assert_eq!(mail.targets().len(), 1);
}

#[tokio::test]
async fn a_broker_that_is_less_safe_than_promised_keeps_the_gateway_from_starting() {
    let broker = Nats::start().await;
    let mail = Mail::open().await;
    let url = format!("http://{}", mail.address);
    let env = [("MAIL_URL", url.as_str()), ("SECRET", "s")];
    let folder = folder(&format!(
        "queue: {{ nats: {{ url: \"{}\" }} }}",
        broker.url()
    ));
    let config = folder.file("switchboard.yaml");
    let (exit, _, said) = run(&["serve", "--config", &config.to_string_lossy()], &env).await;
    assert_eq!(exit, 1);
    assert!(said.contains("QUEUE_NOT_OPEN"), "{said}");
    let (rabbit, redis) = (RabbitMq::shared().await, Redis::start().await);
    redis.may_evict().await;
    let evicts = on_rabbit(&rabbit, &redis, "edge-weak");
    let weak = evicts.file("switchboard.yaml");
    let (exit, _, said) = run(&["serve", "--config", &weak.to_string_lossy()], &env).await;
    assert_eq!(exit, 1);
    assert!(
        said.contains("QUEUE_NOT_OPEN") && said.contains("noeviction"),
        "{said}"
    );
    folder.write(
        "switchboard.yaml",
        "subgraphs: { mail: { schema: mail.graphql, env: [MAIL_URL, SECRET] } }\nqueue: { nats: { url: \"nats://127.0.0.1:1\", token: a, nkey: b } }\n",
    );
    let (exit, _, said) = run(&["check", "--config", &config.to_string_lossy()], &env).await;
    assert_eq!(exit, 1);
    assert!(said.contains("CONFIG_VALUE"), "{said}");
}

async fn followed(gateway: &Gateway, id: &str, key: Option<&str>) -> Json {
    let query = format!(
        "{{ delivery(id: \"{id}\") {{ status field queue attempts correlationId error {{ code }} }} }}"
    );
    let asked = gateway.post(&json!({ "query": query }));
    let asked = match key {
        Some(key) => asked.header("x-api-key", key),
        None => asked,
    };
    let answer = body(asked.send().await.expect("an answer")).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["delivery"].clone()
}

#[tokio::test]
async fn a_delivery_is_followed_by_whoever_holds_its_id_where_nobody_in_particular_made_it() {
    let (mail, _folder, gateway) = scene("").await;
    mail.answers(&[422]);
    let id = sent(&gateway, "ada").await;
    operators(&gateway, "/dead-letters", |told| {
        letter(told, &id).is_some()
    })
    .await;
    let told = followed(&gateway, &id, None).await;
    assert_eq!(told["status"], "DEAD_LETTERED", "{told}");
    assert_eq!(told["field"], "Mutation.send");
    assert_eq!(told["queue"], "mail");
    assert_eq!(told["attempts"], 1);
    assert_eq!(told["error"]["code"], "BAD_USER_INPUT");
    for unknown in ["0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506", "seven"] {
        assert_eq!(followed(&gateway, unknown, None).await, Json::Null);
    }
}

#[tokio::test]
async fn a_delivery_is_followed_by_the_caller_who_made_it_and_by_nobody_else() {
    let mail = Mail::open().await;
    let folder =
        folder("queue: { path: ./queue }\nauthentication: { api_keys: { file: keys.yaml } }");
    folder.write(
        "keys.yaml",
        &(super::caching::key("ada") + &super::caching::key("bob")),
    );
    let gateway = started(&folder, &mail).await;
    let asked = gateway
        .post(&json!({ "query": "mutation { send(to: \"ada\") { id } }" }))
        .header("x-api-key", "sbk_ada");
    let answer = body(asked.send().await.expect("an answer")).await;
    let id = answer["data"]["send"]["id"].as_str().expect("an id");
    assert_eq!(
        followed(&gateway, id, Some("sbk_ada")).await["field"],
        "Mutation.send"
    );
    assert_eq!(followed(&gateway, id, Some("sbk_bob")).await, Json::Null);
    assert_eq!(followed(&gateway, id, None).await, Json::Null);
}
