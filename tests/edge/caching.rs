//! Replies that are kept: what answers say of it, whose they are, and how they are taken away.

use reqwest::Response;
use ring::digest;
use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

const SDL: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" })
type Query {
  thing(id: ID!): Thing @rest(GET: "/things/{id}")
  mine: Thing @rest(GET: "/mine") @cacheControl(scope: PRIVATE)
  claimed: Thing @rest(GET: "/of/{$claims.sub}")
  silent: Other @rest(GET: "/silent")
}
type Mutation {
  rename(id: ID!, name: String!): Thing @rest(PUT: "/things/{id}")
}
type Thing @cacheControl(maxAge: 60) { id: ID! name: String }
type Other { id: ID! }
"#;

const CONFIG: &str = r#"
log: { level: error }
admin: { tokens: { deploy: 0123456789abcdef } }
authentication: { api_keys: { file: keys.yaml } }
subgraphs:
  things: { schema: things.graphql, env: [THINGS_URL] }
"#;

/// An entry of a file of API keys: `sbk_` and the id is the key.
pub(super) fn key(id: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("sbk_{id}").as_bytes());
    let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let hash: String = hash.collect();
    format!("- {{ id: {id}, hash: {hash}, claims: {{ sub: {id} }} }}\n")
}

async fn gateway(service: &Scripted, more: &str) -> (Folder, Gateway) {
    let folder = Folder::new(&[
        ("switchboard.yaml", &format!("{CONFIG}{more}\n")),
        ("things.graphql", SDL),
        ("keys.yaml", &(key("ada") + &key("bob"))),
    ]);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

async fn ask(gateway: &Gateway, who: Option<&str>, query: &str) -> Response {
    let mut asked = gateway.post(&json!({ "query": query }));
    if let Some(who) = who {
        asked = asked.header("x-api-key", format!("sbk_{who}"));
    }
    asked.send().await.expect("an answer")
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.build().expect("a client")
}

/// `Cache-Control`, and whether there is an `Age`.
fn told(response: &Response) -> (String, bool) {
    let control = response.headers()["cache-control"].to_str();
    let control = control.expect("text").to_owned();
    (control, response.headers().contains_key("age"))
}

async fn purge(gateway: &Gateway, token: &str, what: Json) -> Response {
    let asked = client().post(format!("{}/cache/purge", gateway.admin));
    let asked = asked.header("authorization", format!("Bearer {token}"));
    let asked = asked.header("content-type", "application/json");
    asked
        .body(what.to_string())
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn an_answer_says_how_long_it_is_good_and_is_given_again_without_a_call() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let query = "{ thing(id: 1) { name } }";
    let first = ask(&gateway, None, query).await;
    assert_eq!(told(&first), ("max-age=60, public".into(), true));
    assert_eq!(first.headers()["age"], "0");
    let second = ask(&gateway, None, query).await;
    let (control, age) = told(&second);
    assert!(control.ends_with(", public") && age, "{control}");
    let expected = json!({ "data": { "thing": { "name": "one" } } });
    assert_eq!(body(second).await, expected);
    // Another document, the same call.
    ask(&gateway, None, "{ again: thing(id: 1) { id name } }").await;
    assert_eq!(service.arrived(), ["GET /things/1"]);
    let get = format!("{}?query=%7Bthing(id%3A1)%7Bid%7D%7D", gateway.url);
    let get = client().get(get).header("graphql-require-preflight", "1");
    let get = get.send().await.expect("an answer");
    assert!(told(&get).0.ends_with(", public"));
    assert!(service.arrived().is_empty());
}

#[tokio::test]
async fn what_may_not_be_kept_says_so() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let never = ("no-store".to_owned(), false);
    for query in ["{ silent { id } }", "{ thing(id: 1) { id } silent { id } }"] {
        assert_eq!(told(&ask(&gateway, None, query).await), never, "{query}");
    }
    service.reply(503, "text/plain", "down");
    let failed = ask(&gateway, None, "{ thing(id: 2) { id } }").await;
    assert_eq!(told(&failed), never);
    service.reply(404, "application/problem+json", "{}");
    let missing = ask(&gateway, None, "{ thing(id: 3) { id } }").await;
    assert_eq!(told(&missing), never);
    service.arrived();
    ask(&gateway, None, "{ thing(id: 3) { id } }").await;
    assert_eq!(service.arrived(), ["GET /things/3"]);
}

#[tokio::test]
async fn two_callers_share_nothing_that_is_private_or_made_from_who_they_are() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    for who in [Some("ada"), Some("bob"), Some("ada"), Some("bob"), None] {
        let answer = ask(&gateway, who, "{ mine { id } }").await;
        assert!(told(&answer).0.ends_with(", private"), "{who:?}");
    }
    assert_eq!(service.arrived(), ["GET /mine"; 3]);
    for who in ["ada", "bob", "bob", "ada"] {
        let answer = ask(&gateway, Some(who), "{ claimed { id } }").await;
        assert!(told(&answer).0.ends_with(", private"), "{who:?}");
    }
    assert_eq!(service.arrived(), ["GET /of/ada", "GET /of/bob"]);
    // What is for everybody is, but an answer to somebody is theirs.
    for (who, scope) in [
        (Some("ada"), "private"),
        (Some("bob"), "private"),
        (None, "public"),
    ] {
        let answer = ask(&gateway, who, "{ thing(id: 1) { id } }").await;
        assert!(told(&answer).0.ends_with(scope), "{who:?}");
    }
    assert_eq!(service.arrived(), ["GET /things/1"]);
}

#[tokio::test]
async fn two_callers_at_once_are_two_calls_where_it_is_private_or_theirs() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let query = "{ claimed { id } }";
    let arrive = async {
        let mut targets = [service.next().await.target, service.next().await.target];
        targets.sort();
        service.release(2);
        targets
    };
    let (_, _, targets) = tokio::join!(
        ask(&gateway, Some("ada"), query),
        ask(&gateway, Some("bob"), query),
        arrive
    );
    assert_eq!(targets, ["GET /of/ada", "GET /of/bob"]);
    for who in ["ada", "bob"] {
        ask(&gateway, Some(who), query).await;
    }
    assert!(service.arrived().is_empty());
}

#[tokio::test]
async fn reads_see_what_a_mutation_wrote() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let query = "{ thing(id: 1) { name } }";
    ask(&gateway, None, query).await;
    service.reply(200, "application/json", r#"{ "id": 1, "name": "two" }"#);
    let rename = "mutation { rename(id: 1, name: \"two\") { id } }";
    let renamed = ask(&gateway, None, rename).await;
    assert_eq!(told(&renamed).0, "no-store");
    let after = ask(&gateway, None, query).await;
    assert_eq!(body(after).await["data"]["thing"]["name"], "two");
    assert_eq!(
        service.arrived(),
        ["GET /things/1", "PUT /things/1", "GET /things/1"]
    );
}

#[tokio::test]
async fn an_operator_takes_replies_away_and_it_is_written_down() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let query = "{ thing(id: 1) { name } }";
    let token = "0123456789abcdef";
    for (what, purged) in [
        (json!({ "type": "Thing" }), 1),
        (json!({ "type": "Thing", "key": { "id": "1" } }), 1),
        (json!({ "type": "Other" }), 0),
        (json!({ "source": "things" }), 1),
        (json!({ "all": true }), 1),
    ] {
        ask(&gateway, None, query).await;
        service.arrived();
        let answer = purge(&gateway, token, what.clone()).await;
        assert_eq!(body(answer).await, json!({ "purged": purged }), "{what}");
        ask(&gateway, None, query).await;
        assert_eq!(service.arrived().len(), purged, "{what}");
    }
    for (token, what, status) in [
        ("wrong", json!({ "all": true }), 401),
        (token, json!({ "type": "Thong" }), 400),
        (token, json!({ "source": "thongs" }), 400),
        (token, json!({}), 400),
    ] {
        assert_eq!(purge(&gateway, token, what).await.status(), status);
    }
    let log = gateway.log();
    assert!(
        log.contains("purge type Thing") && log.contains("deploy"),
        "{log}"
    );
}

#[tokio::test]
async fn switched_off_nothing_is_kept_and_nothing_is_said() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "cache: { enabled: false }").await;
    for _ in 0..2 {
        let answer = ask(&gateway, None, "{ thing(id: 1) { name } }").await;
        assert_eq!(told(&answer).0, "no-store");
    }
    assert_eq!(service.arrived().len(), 2);
}
