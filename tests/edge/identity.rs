//! Nothing of one caller is ever answered to another, and reads see earlier writes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::hmac;
use serde_json::json;

use super::binary::Gateway;
use super::binary::body;
use super::scripted::Arrival;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn gateway(service: &Scripted) -> (super::binary::Folder, Gateway) {
    let folder = service.folder("");
    let env = [("THINGS_URL", service.url())];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (folder, gateway)
}

#[tokio::test]
async fn identical_queries_in_flight_of_one_identity_are_one_call() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = |id: &str| {
        gateway
            .post(&query)
            .header("x-correlation-id", id.to_owned())
            .send()
    };
    let (first, second) = (asked("first"), asked("second"));
    let released = async {
        service.next().await;
        // Both are on their way before the first is answered, or the second makes a call of its own.
        service.release(2);
    };
    let (first, second, ()) = tokio::join!(first, second, released);
    for (response, id) in [(first, "first"), (second, "second")] {
        let response = response.expect("an answer");
        assert_eq!(response.headers()["x-correlation-id"], id);
        assert_eq!(
            body(response).await,
            json!({ "data": { "thing": { "name": "one" } } })
        );
    }
}

#[tokio::test]
async fn two_identities_never_share_a_call() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = |who: &'static str| gateway.post(&query).header("authorization", who).send();
    let both_arrive = async {
        let arrivals = [service.next().await, service.next().await];
        service.release(2);
        arrivals.map(|arrival| arrival.headers["authorization"].to_str().map(str::to_owned))
    };
    let (_, _, seen) = tokio::join!(asked("alice"), asked("bob"), both_arrive);
    let mut seen: Vec<String> = seen.into_iter().flatten().collect();
    seen.sort();
    assert_eq!(seen, ["alice", "bob"]);
}

#[tokio::test]
async fn a_query_never_joins_work_that_began_before_a_mutation_was_answered() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let rename = json!({ "query": "mutation { rename(id: 1, name: \"two\") { id } }" });

    let early = tokio::spawn(gateway.post(&query).send());
    assert_eq!(service.next().await.target, "GET /things/1");
    let mutation = tokio::spawn(gateway.post(&rename).send());
    assert_eq!(service.next().await.target, "PUT /things/1");
    // The gate is first in, first out: the early read is let through first, then the mutation.
    service.release(2);
    mutation.await.expect("a task").expect("an answer");
    early.await.expect("a task").expect("an answer");

    let late = tokio::spawn(gateway.post(&query).send());
    assert_eq!(
        service.next().await.target,
        "GET /things/1",
        "a call of its own"
    );
    service.release(1);
    late.await.expect("a task").expect("an answer");
}

#[tokio::test]
async fn the_correlation_id_goes_everywhere_and_the_request_id_is_ours() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = gateway
        .post(&query)
        .header("x-correlation-id", "order-7:retry.2");
    let response = request
        .header("x-request-id", "mine")
        .header("traceparent", trace)
        .send();
    let response = response.await.expect("an answer");
    assert_eq!(response.headers()["x-correlation-id"], "order-7:retry.2");
    assert_ne!(response.headers()["x-request-id"], "mine");

    let arrival = service.next().await;
    assert_eq!(arrival.headers["x-correlation-id"], "order-7:retry.2");
    let parent = arrival.headers["traceparent"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{parent}"
    );
    assert!(
        !parent.contains("b7ad6b7169203331"),
        "a new parent id: {parent}"
    );
}

#[tokio::test]
async fn a_correlation_id_that_is_no_label_is_replaced() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    for bad in ["has space", "semi;colon", &"x".repeat(129)] {
        let response = gateway
            .post(&query)
            .header("x-correlation-id", bad)
            .send()
            .await;
        let response = response.expect("an answer");
        let made = response.headers()["x-correlation-id"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_ne!(made, bad);
        assert_eq!(
            service.next().await.headers["x-correlation-id"],
            made.as_str()
        );
    }
}

// --- Verified callers -------------------------------------------------------

const OWN: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" })
type Query {
  mine: Thing @rest(GET: "/of/{$claims.sub}")
  forwarded: Thing @rest(GET: "/forwarded", headers: [{ name: "authorization", from: "authorization" }])
  shared: Thing @rest(GET: "/shared")
}
type Thing { id: ID! name: String }
"#;

const AUTHENTICATION: &str = r#"
authentication:
  jwt: { issuers: [{ issuer: "https://id", audiences: [api], algorithms: [HS256], jwks: { file: keys.json } }] }
  api_keys: { file: keys.yaml }
subgraphs:
  things: { schema: things.graphql, env: [THINGS_URL] }
"#;

/// A token for somebody, good until long after these tests.
fn token(who: &str) -> String {
    token_until(who, 4_000_000_000)
}

/// A token of the issuer `https://id`, signed with [`keys`]; good until so many seconds after 1970.
pub(super) fn token_until(who: &str, end: u64) -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({ "iss": "https://id", "aud": "api", "sub": who, "exp": end });
    let message = format!(
        "{}.{}",
        part(json!({ "alg": "HS256", "kid": "k" })),
        part(claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// What verifies these tokens.
pub(super) fn keys() -> String {
    let secret = URL_SAFE_NO_PAD.encode([7; 32]);
    json!({ "keys": [{ "kty": "oct", "kid": "k", "k": secret }] }).to_string()
}

async fn verifying(service: &Scripted) -> (super::binary::Folder, Gateway) {
    let keys = keys();
    let hash = digest::digest(&digest::SHA256, b"sbk_carol");
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let files = [
        ("switchboard.yaml", AUTHENTICATION),
        ("things.graphql", OWN),
        ("keys.json", &keys),
        (
            "keys.yaml",
            &format!("- {{ id: carol, hash: {hash}, claims: {{ sub: carol }} }}"),
        ),
    ];
    let folder = super::binary::Folder::new(&files);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

/// Alice and Bob with tokens and Carol with an API key ask the same at once, while the service holds what arrives.
async fn all_ask(service: &mut Scripted, gateway: &Gateway, query: &str) -> Vec<Arrival> {
    let query = json!({ "query": query });
    let bearer = |who| format!("Bearer {}", token(who));
    let alice = gateway
        .post(&query)
        .header("authorization", bearer("alice"));
    let bob = gateway.post(&query).header("authorization", bearer("bob"));
    let carol = gateway.post(&query).header("x-api-key", "sbk_carol");
    let three_arrive = async {
        let arrivals = vec![
            service.next().await,
            service.next().await,
            service.next().await,
        ];
        service.release(3);
        arrivals
    };
    let (alice, bob, carol, arrivals) =
        tokio::join!(alice.send(), bob.send(), carol.send(), three_arrive);
    for answer in [alice, bob, carol] {
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    arrivals
}

#[tokio::test]
async fn what_is_made_from_a_claim_is_made_for_each_caller() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = verifying(&service).await;
    let arrivals = all_ask(&mut service, &gateway, "{ mine { name } }").await;
    let mut targets: Vec<_> = arrivals.into_iter().map(|arrival| arrival.target).collect();
    targets.sort();
    assert_eq!(targets, ["GET /of/alice", "GET /of/bob", "GET /of/carol"]);
}

#[tokio::test]
async fn what_forwards_credentials_is_called_for_each_caller() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = verifying(&service).await;
    let arrivals = all_ask(&mut service, &gateway, "{ forwarded { name } }").await;
    let sent = |arrival: &Arrival| arrival.headers.get("authorization").cloned();
    let mut sent: Vec<_> = arrivals.iter().map(sent).collect();
    sent.sort_by_key(|value| value.as_ref().map(|value| value.as_bytes().to_vec()));
    sent.dedup();
    assert_eq!(sent.len(), 3, "two tokens, and nothing");
    assert!(sent[0].is_none());
}

#[tokio::test]
async fn what_uses_nothing_of_the_caller_is_shared_by_all() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = verifying(&service).await;
    let query = json!({ "query": "{ shared { name } }" });
    let alice = gateway.post(&query).bearer_auth(token("alice"));
    let carol = gateway.post(&query).header("x-api-key", "sbk_carol");
    let released = async {
        service.next().await;
        // Enough for two, should the second come too late to share.
        service.release(2);
    };
    let (alice, carol, ()) = tokio::join!(alice.send(), carol.send(), released);
    for answer in [alice, carol] {
        let answer = body(answer.expect("an answer")).await;
        assert_eq!(answer, json!({ "data": { "shared": { "name": "one" } } }));
    }
}

#[tokio::test]
async fn a_wrong_credential_is_refused_before_any_call_and_never_logged() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = verifying(&service).await;
    let query = json!({ "query": "{ shared { name } }" });
    let forged = format!("{}x", token("mallory"));
    let refused = gateway
        .post(&query)
        .bearer_auth(&forged)
        .send()
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        challenge.starts_with("Bearer error=\"invalid_token\""),
        "{challenge}"
    );
    let problem = body(refused).await;
    let kind = problem["type"].as_str().expect("a type");
    assert!(kind.ends_with("/problems/unauthenticated"), "{problem}");
    let wrong = gateway
        .post(&query)
        .header("x-api-key", "sbk_mallory")
        .send();
    assert_eq!(wrong.await.expect("an answer").status(), 401);
    let anonymous = gateway.post(&query).send().await.expect("an answer");
    assert_eq!(anonymous.status(), 200);
    assert_eq!(service.next().await.target, "GET /shared");
    let log = gateway.log();
    assert!(
        !log.contains(&forged) && !log.contains("sbk_mallory"),
        "{log}"
    );
}
