//! Nothing of one caller is ever answered to another, and reads see earlier writes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::hmac;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Arrival;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn gateway(service: &Scripted) -> (Folder, Gateway) {
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
    ID.token(who)
}

/// A token of the issuer `https://id`, signed with [`keys`]; good until so many seconds after 1970.
pub(super) fn token_until(who: &str, end: u64) -> String {
    ID.token_until(who, end)
}

/// What verifies these tokens.
pub(super) fn keys() -> String {
    ID.keys()
}

/// Who signs tokens.
#[derive(Clone, Copy)]
pub(super) struct Issuer {
    name: &'static str,
    secret: [u8; 32],
}

const ID: Issuer = Issuer {
    name: "https://id",
    secret: [7; 32],
};

/// Two, whose keys have the same name.
pub(super) const ISSUERS: [Issuer; 2] = [
    ID,
    Issuer {
        name: "https://partner",
        secret: [9; 32],
    },
];

impl Issuer {
    /// A token for somebody, good until long after these tests.
    pub(super) fn token(self, who: &str) -> String {
        self.token_until(who, 4_000_000_000)
    }

    fn token_until(self, who: &str, end: u64) -> String {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({ "iss": self.name, "aud": "api", "sub": who, "exp": end });
        let message = format!(
            "{}.{}",
            part(json!({ "alg": "HS256", "kid": "k" })),
            part(claims)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// What verifies its tokens.
    fn keys(self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        json!({ "keys": [{ "kty": "oct", "kid": "k", "k": secret }] }).to_string()
    }
}

async fn verifying(service: &Scripted) -> (Folder, Gateway) {
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
    let folder = Folder::new(&files);
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

// --- Several issuers, and keys from the command line ------------------------

/// A gateway that takes tokens of both [`ISSUERS`].
pub(super) async fn two_issuers(service: &Scripted, more: &str) -> (Folder, Gateway) {
    let issuer = |issuer: Issuer, file: &str| {
        let name = issuer.name;
        format!(
            "{{ issuer: \"{name}\", audiences: [api], algorithms: [HS256], jwks: {{ file: {file} }} }}"
        )
    };
    let config = format!(
        "{more}\nauthentication: {{ jwt: {{ issuers: [{}, {}] }} }}\n\
         subgraphs: {{ things: {{ schema: things.graphql, env: [THINGS_URL] }} }}\n",
        issuer(ISSUERS[0], "id.json"),
        issuer(ISSUERS[1], "partner.json"),
    );
    let folder = Folder::new(&[
        ("switchboard.yaml", &config),
        ("things.graphql", OWN),
        ("id.json", &ISSUERS[0].keys()),
        ("partner.json", &ISSUERS[1].keys()),
    ]);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

#[tokio::test]
async fn tokens_of_two_issuers_are_each_verified_with_the_keys_of_their_own() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = two_issuers(&service, "").await;
    let query = json!({ "query": "{ mine { name } }" });
    for (issuer, who) in [(ISSUERS[0], "alice"), (ISSUERS[1], "bob")] {
        let answer = gateway.post(&query).bearer_auth(issuer.token(who)).send();
        let answer = body(answer.await.expect("an answer")).await;
        assert_eq!(answer, json!({ "data": { "mine": { "name": "one" } } }));
        assert_eq!(service.next().await.target, format!("GET /of/{who}"));
    }
    // The other's name on one's own signature: the names of both keys are the same.
    let [id, partner] = ISSUERS;
    for (name, secret) in [
        (id.name, partner.secret),
        (partner.name, id.secret),
        ("https://nobody", id.secret),
    ] {
        let forged = Issuer { name, secret }.token("alice");
        let answer = gateway.post(&query).bearer_auth(forged).send().await;
        assert_eq!(answer.expect("an answer").status(), 401, "{name}");
    }
    assert!(service.arrived().is_empty(), "nobody was asked for these");
}

const SCOPED: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" })
type Query {
  shared: Thing @rest(GET: "/shared") @requiresScopes(scopes: [["read"]])
}
type Thing { id: ID! name: String }
"#;

/// What `switchboard api-key new` prints: the key, and all of it, which may stand in the file.
async fn new_key(arguments: &[&str]) -> (String, String) {
    let (code, told, wrong) = run(&[&["api-key", "new"], arguments].concat(), &[]).await;
    assert_eq!((code, wrong.as_str()), (0, ""));
    let key = told.lines().find_map(|line| line.strip_prefix("# sbk_"));
    let key = format!("sbk_{}", key.expect("a key"));
    assert_eq!(told.matches(&key).count(), 1, "shown once: {told}");
    (key, told)
}

#[tokio::test]
async fn a_key_made_on_the_command_line_lets_its_caller_in_and_no_further_than_its_scopes() {
    let (reader, told_reader) = new_key(&["--id", "mobile: \"app\"", "--scope", "read"]).await;
    let (other, told_other) = new_key(&["--id", "kiosk"]).await;
    assert_ne!(reader, other);
    let config = "authentication: { required: true, api_keys: { file: keys.yaml } }\n\
                  subgraphs: { things: { schema: things.graphql, env: [THINGS_URL] } }\n";
    let folder = Folder::new(&[
        ("switchboard.yaml", config),
        ("things.graphql", SCOPED),
        ("keys.yaml", &format!("{told_reader}{told_other}")),
    ]);
    let mut service = Scripted::open(THING).await;
    let gateway = service.gateway(&folder).await;
    let ask = async |key: &str| {
        let asked = gateway.post(&json!({ "query": "{ shared { name } }" }));
        asked
            .header("x-api-key", key)
            .send()
            .await
            .expect("an answer")
    };
    let served = ask(&reader).await;
    assert_eq!(served.status(), 200);
    assert_eq!(
        body(served).await,
        json!({ "data": { "shared": { "name": "one" } } })
    );
    assert_eq!(service.next().await.target, "GET /shared");
    let denied = body(ask(&other).await).await;
    assert_eq!(denied["data"]["shared"], json!(null), "{denied}");
    assert_eq!(denied["errors"].as_array().map(Vec::len), Some(1));
    let mut wrong = reader.clone();
    wrong.pop();
    assert_eq!(ask(&wrong).await.status(), 401);
    assert!(service.arrived().is_empty());
}
