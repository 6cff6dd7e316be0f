//! `Idempotency-Key` through the real binary: one effect for each key, and the same answer again.

use futures_util::future::join_all;
use http::StatusCode;
use reqwest::RequestBuilder;
use reqwest::Response;
use ring::digest;
use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::lifecycle::until;
use super::rate_limits::redis;
use super::scripted::Scripted;

const SDL: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" })
type Query { thing(id: ID!): Charge @rest(GET: "/things/{id}") }
type Mutation {
  charge(id: ID!, cents: Int = 1): Charge @rest(POST: "/charges/{id}")
  put(id: ID!, cents: Int = 1): Charge @rest(PUT: "/charges/{id}", idempotent: true, retry: { attempts: 1 })
}
type Charge { id: ID! name: String secret: String @requiresScopes(scopes: [["money"]]) }
"#;
const CHARGE: &str = r#"{ "id": 1, "name": "one", "secret": "s" }"#;
const ONE: &str = "mutation { charge(id: 1) { id name } }";
const AGAIN: &str = "mutation { put(id: 1) { id } }";

/// Ada and Bob have API keys; `scopes` are Ada's.
fn keys(scopes: &str) -> String {
    let line = |id: &str, scopes: &str| {
        let hash = digest::digest(&digest::SHA256, format!("sbk_{id}").as_bytes());
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        let hash: String = hash.collect();
        format!("- {{ id: {id}, hash: {hash}, scopes: [{scopes}] }}\n")
    };
    line("ada", scopes) + &line("bob", "")
}

fn folder(config: &str) -> Folder {
    let config = format!(
        "authentication: {{ api_keys: {{ file: keys.yaml }} }}\n\
         shutdown: {{ grace: 0s }}\n\
         subgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL] }}\n{config}\n"
    );
    Folder::new(&[
        ("switchboard.yaml", &config),
        ("things.graphql", SDL),
        ("keys.yaml", &keys("money")),
    ])
}

async fn started(folder: &Folder, service: &Scripted) -> Gateway {
    let env = [("THINGS_URL", &*service.url())];
    Gateway::start(&folder.file("switchboard.yaml"), &env).await
}

async fn scene(config: &str) -> (Scripted, Folder, Gateway) {
    let service = Scripted::open(CHARGE).await;
    let folder = folder(config);
    let gateway = started(&folder, &service).await;
    (service, folder, gateway)
}

/// Ada's request.
fn keyed(gateway: &Gateway, query: &str, key: &str) -> RequestBuilder {
    let request = gateway.post(&json!({ "query": query }));
    request
        .header("x-api-key", "sbk_ada")
        .header("idempotency-key", key)
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

async fn ada(gateway: &Gateway, query: &str, key: &str) -> Response {
    send(keyed(gateway, query, key)).await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

fn is_replayed(response: &Response) -> bool {
    header(response, "idempotency-replayed") == "true"
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    let kind = body["type"].as_str().unwrap_or_else(|| panic!("{body}"));
    let slug = kind.rsplit('/').next().expect("a slug");
    (status, slug.to_owned())
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    let code = &body["errors"][0]["extensions"]["code"];
    let code = code.as_str().unwrap_or_else(|| panic!("{body}"));
    (status, code.to_owned())
}

#[tokio::test]
async fn a_key_that_comes_again_is_answered_with_the_same_bytes() {
    let (mut service, _folder, gateway) = scene("").await;
    let first = ada(&gateway, ONE, "\"k-1\"").await;
    assert!(!is_replayed(&first));
    let status = first.status();
    let first = first.bytes().await.expect("a body");
    service.reply(200, "application/json", r#"{ "id": 2, "name": "two" }"#);
    for key in ["\"k-1\"", "k-1"] {
        let again = ada(&gateway, ONE, key).await;
        assert!(is_replayed(&again), "{again:?}");
        assert_eq!(again.status(), status);
        assert_eq!(again.bytes().await.expect("a body"), first);
    }
    assert_eq!(service.arrived(), ["POST /charges/1"]);
    let other = ada(&gateway, ONE, "k-2").await;
    assert!(!is_replayed(&other));
    assert_ne!(other.bytes().await.expect("a body"), first);
}

#[tokio::test]
async fn errors_are_part_of_the_answer_where_something_was_sent() {
    let (mut service, _folder, gateway) = scene("").await;
    service.reply(500, "text/plain", "no");
    let first = ada(&gateway, ONE, "k").await.bytes().await.expect("a body");
    assert!(first.windows(7).any(|it| it == b"UNKNOWN"), "{first:?}");
    service.reply(200, "application/json", CHARGE);
    let again = ada(&gateway, ONE, "k").await;
    assert!(is_replayed(&again));
    assert_eq!(again.bytes().await.expect("a body"), first);
    assert_eq!(service.arrived().len(), 1);
}

#[tokio::test]
async fn what_is_being_done_is_answered_with_a_conflict() {
    let mut service = Scripted::closed(CHARGE).await;
    let folder = folder("");
    let gateway = started(&folder, &service).await;
    let first = tokio::spawn(keyed(&gateway, ONE, "k").send());
    service.next().await;
    let others = join_all((0..10).map(|_| ada(&gateway, ONE, "k"))).await;
    for other in others {
        assert_eq!(header(&other, "retry-after"), "1");
        let told = problem(other).await;
        assert_eq!(told, (409, "idempotency-key-in-flight".to_owned()));
    }
    service.release(1);
    let first = first.await.expect("a task").expect("an answer");
    assert_eq!(body(first).await["data"]["charge"]["name"], "one");
    assert!(is_replayed(&ada(&gateway, ONE, "k").await));
    assert_eq!(service.arrived().len(), 0);
}

#[tokio::test]
async fn a_key_names_one_mutation_of_one_caller() {
    let (mut service, _folder, gateway) = scene("").await;
    let variables = |order: [&str; 2]| {
        let [a, b] = order.map(|name| format!("\"{name}\":1"));
        let query = "mutation M($id: ID!, $cents: Int) { charge(id: $id, cents: $cents) { id } }";
        let text = format!(r#"{{"query":"{query}","variables":{{{a},{b}}}}}"#);
        let text: Json = serde_json::from_str(&text).expect("JSON");
        let request = gateway.post(&text).header("x-api-key", "sbk_ada");
        request.header("idempotency-key", "v")
    };
    assert!(!is_replayed(&send(variables(["id", "cents"])).await));
    assert!(is_replayed(&send(variables(["cents", "id"])).await));
    service.arrived();

    ada(&gateway, ONE, "k").await;
    let changed = ada(&gateway, "mutation { charge(id: 2) { id name } }", "k").await;
    let told = problem(changed).await;
    assert_eq!(told, (422, "reused-idempotency-key".to_owned()));
    let request = gateway.post(&json!({ "query": "mutation { charge(id: 3) { id } }" }));
    let request = request.header("x-api-key", "sbk_bob");
    let bobs = send(request.header("idempotency-key", "k")).await;
    assert!(!is_replayed(&bobs) && bobs.status().is_success());
    assert_eq!(service.arrived(), ["POST /charges/1", "POST /charges/3"]);
}

#[tokio::test]
async fn an_anonymous_caller_gets_no_replay_and_its_service_the_same_key() {
    let (mut service, _folder, gateway) = scene("").await;
    for _ in 0..2 {
        let request = gateway.post(&json!({ "query": AGAIN }));
        let answer = send(request.header("idempotency-key", "k")).await;
        assert!(!is_replayed(&answer) && answer.status().is_success());
    }
    let upstream = [service.next().await, service.next().await];
    let upstream = upstream.map(|it| it.headers["idempotency-key"].clone());
    assert_eq!(upstream[0], upstream[1]);
    assert_ne!(upstream[0], "\"k\"");
    let request = gateway.post(&json!({ "query": "mutation { put(id: 2) { id } }" }));
    send(request.header("idempotency-key", "k")).await;
    assert_ne!(service.next().await.headers["idempotency-key"], upstream[0]);
}

#[tokio::test]
async fn two_aliases_are_two_effects_which_keep_their_keys() {
    let (mut service, _folder, gateway) = scene("").await;
    let query = "mutation { a: put(id: 1) { id } b: put(id: 1) { id } }";
    ada(&gateway, query, "k").await;
    let mut upstream = async || service.next().await.headers["idempotency-key"].clone();
    let [a, b] = [upstream().await, upstream().await];
    assert_ne!(a, b);
    assert_eq!(a.len(), 34, "a quoted hash: {a:?}");
}

#[tokio::test]
async fn answers_survive_a_restart() {
    let (mut service, folder, mut gateway) = scene("").await;
    let first = ada(&gateway, ONE, "k").await.bytes().await.expect("a body");
    gateway.terminate().await;
    assert_eq!(gateway.exit_code().await, Some(0));
    let gateway = started(&folder, &service).await;
    let again = ada(&gateway, ONE, "k").await;
    assert!(is_replayed(&again));
    assert_eq!(again.bytes().await.expect("a body"), first);
    assert_eq!(service.arrived().len(), 1);
}

#[tokio::test]
async fn after_a_kill_in_the_middle_only_what_may_be_repeated_is_done_again() {
    let mut service = Scripted::closed(CHARGE).await;
    let folder = folder("");
    let gateway = started(&folder, &service).await;
    let mut upstream = Vec::new();
    for (query, key) in [(ONE, "unmarked"), (AGAIN, "marked")] {
        drop(tokio::spawn(keyed(&gateway, query, key).send()));
        upstream.push(service.next().await.headers);
    }
    // Dropped is killed.
    drop(gateway);
    service.release(10);
    let gateway = started(&folder, &service).await;
    let told = code(ada(&gateway, ONE, "unmarked").await).await;
    assert_eq!(told, (409, "OUTCOME_UNKNOWN".to_owned()));
    let done = ada(&gateway, AGAIN, "marked").await;
    assert!(!is_replayed(&done));
    assert_eq!(body(done).await["data"]["put"]["id"], "1");
    let again = service.next().await;
    assert_eq!(again.target, "PUT /charges/1");
    let key = |headers: &http::HeaderMap| headers["idempotency-key"].clone();
    assert_eq!(key(&again.headers), key(&upstream[1]));
    assert!(is_replayed(&ada(&gateway, AGAIN, "marked").await));
    assert_eq!(service.arrived().len(), 0);
}

#[tokio::test]
async fn nothing_is_kept_of_what_was_not_sent() {
    let (mut service, folder, gateway) = scene("").await;
    let wrong = ada(&gateway, "mutation { charge(id: 1) { nothing } }", "k").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(!is_replayed(&ada(&gateway, ONE, "k").await));
    drop(gateway);

    // Nobody listens there: no call is connected, and then the breaker is open.
    let env = [("THINGS_URL", "http://127.0.0.1:1")];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    let mut told = Vec::new();
    for n in 0..40 {
        let query = format!("mutation {{ charge(id: {n}) {{ id }} }}");
        let answer = ada(&gateway, &query, "k-other").await;
        assert!(!is_replayed(&answer));
        told.push(code(answer).await.1);
    }
    assert_eq!(told[0], "UPSTREAM_UNAVAILABLE");
    assert_eq!(told[39], "CIRCUIT_OPEN");
    assert_eq!(service.arrived().len(), 1);
}

#[tokio::test]
async fn what_a_caller_may_not_see_any_more_is_not_answered_again() {
    let (mut service, folder, mut gateway) = scene("").await;
    let query = "mutation { charge(id: 1) { id secret } }";
    let first = body(ada(&gateway, query, "k").await).await;
    assert_eq!(first["data"]["charge"]["secret"], "s");
    ada(&gateway, ONE, "open").await;
    gateway.terminate().await;
    gateway.exit_code().await;
    folder.write("keys.yaml", &keys(""));
    let gateway = started(&folder, &service).await;
    let told = code(ada(&gateway, query, "k").await).await;
    assert_eq!(told, (403, "FORBIDDEN".to_owned()));
    assert!(is_replayed(&ada(&gateway, ONE, "open").await));
    assert_eq!(service.arrived().len(), 2);
}

#[tokio::test]
async fn a_mutation_whose_client_has_gone_is_finished_and_kept() {
    let mut service = Scripted::closed(CHARGE).await;
    let folder = folder("");
    let gateway = started(&folder, &service).await;
    let first = tokio::spawn(keyed(&gateway, ONE, "k").send());
    service.next().await;
    first.abort();
    service.release(1);
    until(|| service.answered() == 1).await;
    let again = loop {
        let again = ada(&gateway, ONE, "k").await;
        if again.status() != StatusCode::CONFLICT {
            break again;
        }
    };
    assert!(is_replayed(&again));
    assert_eq!(body(again).await["data"]["charge"]["name"], "one");
    assert_eq!(service.given_up(), 0);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_on_mutations_alone() {
    let (mut service, _folder, gateway) = scene("batching: { enabled: true }").await;
    let told = problem(ada(&gateway, ONE, "\"half").await).await;
    assert_eq!(told, (400, "malformed-idempotency-key".to_owned()));
    let long = "k".repeat(256);
    let told = problem(ada(&gateway, ONE, &long).await).await;
    assert_eq!(told, (400, "malformed-idempotency-key".to_owned()));
    assert!(service.arrived().is_empty());
    let query = ada(&gateway, "{ thing(id: 1) { id } }", "\"half").await;
    assert_eq!(body(query).await["data"]["thing"]["id"], "1");
    service.arrived();
    let list = gateway.post(&json!([{ "query": ONE }, { "query": ONE }]));
    let list = send(list.header("idempotency-key", "k")).await;
    let told = problem(list).await;
    assert_eq!(told, (400, "malformed-idempotency-key".to_owned()));
    assert!(service.arrived().is_empty());
}

#[tokio::test]
async fn keys_are_required_optional_or_ignored() {
    let (mut service, folder, gateway) = scene("idempotency: { mode: required }").await;
    let told = problem(send(gateway.post(&json!({ "query": ONE }))).await).await;
    assert_eq!(told, (400, "missing-idempotency-key".to_owned()));
    assert!(service.arrived().is_empty());
    gateway.ask("{ thing(id: 1) { id } }").await;
    assert!(ada(&gateway, ONE, "k").await.status().is_success());
    assert!(folder.file("data/queue/idempotency.redb").exists());
    drop(gateway);

    let (mut service, folder, gateway) = scene("idempotency: { mode: off }").await;
    for _ in 0..2 {
        let answer = ada(&gateway, ONE, "\"half").await;
        assert!(!is_replayed(&answer) && answer.status().is_success());
    }
    assert_eq!(service.arrived().len(), 2);
    assert!(!folder.file("data").exists());
}

#[tokio::test]
async fn the_file_is_opened_for_the_first_key_that_comes() {
    let (_service, folder, gateway) = scene("").await;
    gateway.ask(ONE).await;
    assert!(!folder.file("data").exists());
    ada(&gateway, ONE, "k").await;
    assert!(folder.file("data/queue/idempotency.redb").exists());
}

#[tokio::test]
async fn two_gateways_over_one_redis_have_one_effect_and_none_without_it() {
    let mut service = Scripted::closed(CHARGE).await;
    let folder = folder(
        "replicas: many\n\
         idempotency: { store: { redis: { url: \"redis+unix://${SOCKET}\", timeout: 10s } } }",
    );
    let mut redis = redis(&folder).await;
    let socket = folder.file("redis.sock");
    let socket = socket.to_str().expect("text");
    let url = service.url();
    let env = [("THINGS_URL", url.as_str()), ("SOCKET", socket)];
    let config = folder.file("switchboard.yaml");
    let one = Gateway::start(&config, &env).await;
    let two = Gateway::start(&config, &env).await;
    let first = tokio::spawn(keyed(&one, ONE, "k").send());
    service.next().await;
    let told = problem(ada(&two, ONE, "k").await).await;
    assert_eq!(told, (409, "idempotency-key-in-flight".to_owned()));
    service.release(10);
    let first = first.await.expect("a task").expect("an answer");
    let first = first.bytes().await.expect("a body");
    let again = ada(&two, ONE, "k").await;
    assert!(is_replayed(&again));
    assert_eq!(again.bytes().await.expect("a body"), first);
    redis.kill().await.expect("Redis stops");
    let away = ada(&one, ONE, "another").await;
    assert_eq!(header(&away, "retry-after"), "5");
    let told = problem(away).await;
    assert_eq!(told, (503, "idempotency-unavailable".to_owned()));
    assert!(service.arrived().is_empty());
    assert!(one.ask(ONE).await["data"]["charge"]["id"].is_string());
}

/// `IDEMPOTENCY_RACES` requests, ten for each key at once: as many effects as there are keys.
#[tokio::test]
async fn racing_keys_have_one_effect_each() {
    const AT_ONCE: usize = 50;
    const KEYS: usize = 5;
    let all = std::env::var_os("IDEMPOTENCY_RACES");
    let all = all.map_or(Some(2_000), |it| it.to_str()?.parse::<usize>().ok());
    let all = all.expect("IDEMPOTENCY_RACES is a number");
    let config = "log: { level: error }\nadmission: { enabled: false }";
    let (mut service, _folder, gateway) = scene(config).await;
    let gateway = &gateway;
    let one = async |key: usize| {
        let query = format!("mutation {{ charge(id: {key}) {{ id }} }}");
        let answer = ada(gateway, &query, &format!("k-{key}")).await;
        let status = answer.status();
        let is_known = status.is_success() || status == StatusCode::CONFLICT;
        assert!(is_known, "{answer:?}");
        usize::from(status.is_success() && !is_replayed(&answer))
    };
    let mut effects = vec![0; all / AT_ONCE * KEYS];
    for round in 0..all / AT_ONCE {
        let keys = (0..AT_ONCE).map(|turn| round * KEYS + turn % KEYS);
        let did = join_all(keys.clone().map(one)).await;
        for (key, did) in keys.zip(did) {
            effects[key] += did;
        }
    }
    assert!(effects.iter().all(|times| *times == 1), "{effects:?}");
    let arrived = service.arrived();
    let distinct: std::collections::BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(
        (arrived.len(), distinct.len()),
        (effects.len(), effects.len())
    );
}
