//! Header rules of the configuration, the same for REST and gRPC, and what
//! callers with different headers never share.

use reqwest::header::HeaderMap;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::far;
use super::scripted::Scripted;

const CONFIG: &str = r#"
headers:
  request:
    - { forward: X-Tenant }
    - { forward: x-a, as: x-b }
    - { set: x-env, value: live }
    - { forward: x-dropped }
    - { forward: x-own }
    - { set: x-kept, value: "for all" }
  sources:
    plain: { request: [{ remove: x-dropped }, { set: x-kept, value: "for one" }] }
    rpc: { request: [{ remove: x-dropped }, { set: x-kept, value: "for one" }] }
subgraphs:
  plain: { schema: plain.graphql, env: [URL], sources: { plain: { headers: { x-env: static, x-secret: s3 } } } }
  rpc: { schema: rpc.graphql, env: [URL], sources: { rpc: { headers: { x-env: static, x-secret: s3 } } } }
"#;
const PLAIN: &str = r#"
extend schema @source(name: "plain", http: { baseURL: "{$env.URL}" }, headers: [{ name: "x-own", value: "file" }])
type Query { plain: Int @rest(GET: "/plain") }
"#;
const RPC: &str = r#"
extend schema @source(name: "rpc", grpc: { url: "{$env.URL}", protos: ["far.proto"] }, headers: [{ name: "x-own", value: "file" }])
type Query { rpc: Int @grpc(method: "far.Far/Get", request: {}, result: "n") }
"#;

/// What a client sends, and what a service of any kind is to see of it.
const SENT: [(&str, &str); 7] = [
    ("x-tenant", "acme"),
    ("x-a", "alpha"),
    ("x-env", "forged"),
    ("x-dropped", "d"),
    ("x-own", "client"),
    ("x-unlisted", "u"),
    ("authorization", "Bearer secret"),
];
const SEEN: [(&str, Option<&str>); 10] = [
    ("x-tenant", Some("acme")),
    ("x-b", Some("alpha")),
    ("x-a", None),
    ("x-env", Some("live")),
    ("x-dropped", None),
    ("x-own", Some("file")),
    ("x-kept", Some("for one")),
    ("x-secret", Some("s3")),
    ("x-unlisted", None),
    ("authorization", None),
];

#[tokio::test]
async fn every_kind_of_service_sees_what_the_rules_say_and_nothing_else() {
    let mut service = Scripted::open("1").await;
    let folder = Folder::new(&[
        ("switchboard.yaml", CONFIG),
        ("plain.graphql", PLAIN),
        ("rpc.graphql", RPC),
        ("far.proto", far::PROTO),
    ]);
    let url = service.url();
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &[("URL", &url)]).await;
    for (field, target) in [("plain", "GET /plain"), ("rpc", "POST ")] {
        let mut asked = gateway.post(&json!({ "query": format!("{{ {field} }}") }));
        for (name, value) in SENT {
            asked = asked.header(name, value);
        }
        asked.send().await.expect("an answer");
        let arrival = service.next().await;
        assert!(arrival.target.starts_with(target), "{}", arrival.target);
        for (name, value) in SEEN {
            assert_eq!(one(&arrival.headers, name), value, "{field}: {name}");
        }
    }
}

fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    assert!(values.next().is_none(), "{name} is sent twice");
    value.to_str().ok()
}

const TENANTS: &str = r#"
headers: { request: [{ forward: x-tenant }] }
subgraphs:
  things: { schema: things.graphql, env: [THINGS_URL] }
"#;
const THINGS: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" })
type Query {
  shared: Int @rest(GET: "/shared")
  kept: Int @rest(GET: "/kept") @cacheControl(maxAge: 60)
}
"#;

async fn tenants(json: &str) -> (Scripted, Folder, Gateway) {
    let service = Scripted::closed(json).await;
    let folder = Folder::new(&[("switchboard.yaml", TENANTS), ("things.graphql", THINGS)]);
    let gateway = service.gateway(&folder).await;
    (service, folder, gateway)
}

#[tokio::test]
async fn callers_share_work_in_flight_only_where_what_is_forwarded_is_the_same() {
    let (mut service, _folder, gateway) = tenants("1").await;
    let ask = |tenant: &str| {
        let asked = gateway.post(&json!({ "query": "{ shared }" }));
        tokio::spawn(asked.header("x-tenant", tenant).send())
    };
    let first = ask("acme");
    assert_eq!(one(&service.next().await.headers, "x-tenant"), Some("acme"));
    let same = ask("acme");
    let other = ask("other");
    assert_eq!(
        one(&service.next().await.headers, "x-tenant"),
        Some("other")
    );
    service.release(10);
    for asked in [first, same, other] {
        let answer = asked.await.expect("a task").expect("an answer");
        assert_eq!(body(answer).await, json!({ "data": { "shared": 1 } }));
    }
}

#[tokio::test]
async fn replies_are_kept_apart_for_callers_whose_forwarded_headers_differ() {
    let (mut service, _folder, gateway) = tenants("1").await;
    service.release(10);
    let ask = async |tenant: &str| {
        let asked = gateway.post(&json!({ "query": "{ kept }" }));
        let answer = asked.header("x-tenant", tenant).send().await;
        body(answer.expect("an answer")).await
    };
    let expected = json!({ "data": { "kept": 1 } });
    for (tenant, called) in [("acme", 1), ("other", 1), ("acme", 0), ("other", 0)] {
        assert_eq!(ask(tenant).await, expected);
        assert_eq!(service.arrived().len(), called, "{tenant}");
    }
}

#[tokio::test]
async fn an_operation_makes_no_more_calls_than_it_may() {
    let mut service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let folder = service.folder("limits: { upstream_calls: 3 }");
    let gateway = service.gateway(&folder).await;
    let fields = (1..=5).map(|n| format!("t{n}: thing(id: {n}) {{ name }}"));
    let query = format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "));
    let answer = gateway.ask(&query).await;
    let data = answer["data"].as_object().expect("data");
    assert_eq!(
        data.values().filter(|it| !it.is_null()).count(),
        3,
        "{answer}"
    );
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 2, "{answer}");
    for error in errors {
        assert_eq!(error["extensions"]["code"], "FANOUT_EXCEEDED", "{answer}");
    }
    assert_eq!(service.arrived().len(), 3);
    let again = gateway.ask("{ thing(id: 9) { name } }").await;
    assert_eq!(again["data"]["thing"]["name"], "one", "each has its own");
}

const ANSWERS: &str = r#"
headers:
  response:
    - { propagate: Set-Cookie }
    - { propagate: Cache-Control }
    - { propagate: x-first }
    - { propagate: x-last, merge: last }
  sources:
    two: { response: [{ propagate: x-two }] }
subgraphs:
  one: { schema: one.graphql, env: [ONE_URL] }
  two: { schema: two.graphql, env: [TWO_URL] }
"#;
const ONE: &str = r#"
extend schema @source(name: "one", http: { baseURL: "{$env.ONE_URL}" })
type Query { one: Int @rest(GET: "/one") @cacheControl(maxAge: 60) }
"#;
const TWO: &str = r#"
extend schema @source(name: "two", http: { baseURL: "{$env.TWO_URL}" })
type Query { two: Int @rest(GET: "/two") }
"#;

async fn answering() -> (Scripted, Scripted, Folder, Gateway) {
    let (one, two) = (Scripted::closed("1").await, Scripted::closed("2").await);
    one.reply_headers(&[
        ("set-cookie", "a=1"),
        ("set-cookie", "b=1"),
        ("cache-control", "public, max-age=60"),
        ("x-first", "one"),
        ("x-last", "one"),
        ("x-two", "one"),
        ("x-unlisted", "u"),
    ]);
    two.reply_headers(&[
        ("set-cookie", "c=1"),
        ("cache-control", "private, max-age=30"),
        ("x-first", "two"),
        ("x-last", "two"),
        ("x-two", "two"),
    ]);
    let folder = Folder::new(&[
        ("switchboard.yaml", ANSWERS),
        ("one.graphql", ONE),
        ("two.graphql", TWO),
    ]);
    let (one_url, two_url) = (one.url(), two.url());
    let env = [("ONE_URL", &*one_url), ("TWO_URL", &*two_url)];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (one, two, folder, gateway)
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().expect("text")).collect()
}

#[tokio::test]
async fn a_client_is_given_the_headers_that_are_named_in_the_order_of_the_plan() {
    let (mut one, mut two, _folder, gateway) = answering().await;
    let asked = gateway.post(&json!({ "query": "{ one two }" }));
    let asked = tokio::spawn(asked.send());
    one.next().await;
    two.next().await;
    // The later one answers first.
    two.release(1);
    super::lifecycle::until(|| two.answered() == 1).await;
    one.release(1);
    let answer = asked.await.expect("a task").expect("an answer");
    let headers = answer.headers();
    assert_eq!(all(headers, "set-cookie"), ["a=1", "b=1", "c=1"]);
    assert_eq!(all(headers, "cache-control"), ["max-age=30, private"]);
    assert_eq!(all(headers, "x-first"), ["one"]);
    assert_eq!(all(headers, "x-last"), ["two"]);
    assert_eq!(all(headers, "x-two"), ["two"], "of that source alone");
    assert_eq!(all(headers, "x-unlisted"), [""; 0]);
}

#[tokio::test]
async fn what_brings_a_cookie_is_shared_with_nobody() {
    let (mut one, _two, _folder, gateway) = answering().await;
    let ask = || {
        let asked = gateway.post(&json!({ "query": "{ one }" }));
        tokio::spawn(asked.send())
    };
    // The same query at once, of clients that nothing tells apart: each has a call of its own.
    let (first, second) = (ask(), ask());
    one.next().await;
    one.next().await;
    one.release(3);
    for asked in [first, second] {
        let answer = asked.await.expect("a task").expect("an answer");
        assert_eq!(all(answer.headers(), "set-cookie"), ["a=1", "b=1"]);
        assert_eq!(
            all(answer.headers(), "cache-control"),
            ["max-age=60, private"]
        );
        assert_eq!(all(answer.headers(), "age"), [""; 0]);
    }
    // Nor is it kept, although the schema would have it so.
    let third = ask().await.expect("a task").expect("an answer");
    assert_eq!(all(third.headers(), "set-cookie"), ["a=1", "b=1"]);
    assert_eq!(one.answered(), 3);
}

#[tokio::test]
async fn an_answer_with_errors_is_never_kept_whatever_its_services_say() {
    let (one, two, _folder, gateway) = answering().await;
    one.release(1);
    two.release(1);
    two.reply(500, "application/json", "{}");
    let asked = gateway.post(&json!({ "query": "{ one two }" }));
    let answer = asked.send().await.expect("an answer");
    assert_eq!(all(answer.headers(), "cache-control"), ["no-store"]);
    let cookies = ["a=1", "b=1"];
    assert_eq!(
        all(answer.headers(), "set-cookie"),
        cookies,
        "not of failures"
    );
}
