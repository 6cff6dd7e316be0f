//! What the gateway does about services that fail: what it repeats and what it
//! never does, whom it leaves in peace, and what it answers meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use proxy::Fault;
use proxy::Proxy;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;

use super::binary;
use super::binary::Folder;
use super::binary::Gateway;

const SCHEMA: &str = r#"
extend schema @source(name: "things", http: { baseURL: "{$env.THINGS_URL}" }, headers: [{ name: "authorization", from: "authorization" }])
type Query {
  thing(id: ID!): Thing @rest(GET: "/things/{id}")
  rates: [Int!] @rest(GET: "/rates", staleIfError: "5m")
  slow: Int @rest(GET: "/slow", hedge: true)
}
type Mutation {
  once(name: String!): Thing @rest(PUT: "/once/{name}")
  again(name: String!): Thing @rest(POST: "/again/{name}", idempotent: true)
}
type Thing { id: ID! }
"#;

/// A service that says what a test wants, and remembers what it was asked.
struct Things {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    asked: Mutex<Vec<(String, HeaderMap, Instant)>>,
    answer: Mutex<Answer>,
}

type Answer = Box<dyn Fn(usize) -> (u16, &'static str, Duration) + Send>;

impl Things {
    async fn open() -> Self {
        let shared = Arc::new(Shared {
            asked: Mutex::default(),
            answer: Mutex::new(Box::new(|_| (200, r#"{ "id": 1 }"#, Duration::ZERO))),
        });
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, shared }
    }

    /// What it says from now on to the first, second, … request.
    fn says(&self, answer: impl Fn(usize) -> (u16, &'static str, Duration) + Send + 'static) {
        self.shared.asked.lock().expect("nobody panics").clear();
        *self.shared.answer.lock().expect("nobody panics") = Box::new(answer);
    }

    /// The requests since then, with their idempotency keys.
    fn asked(&self) -> Vec<(String, Option<String>)> {
        let asked = self.shared.asked.lock().expect("nobody panics");
        let key = |headers: &HeaderMap| {
            let key = headers.get("idempotency-key")?;
            Some(key.to_str().expect("text").to_owned())
        };
        asked
            .iter()
            .map(|(target, headers, _)| (target.clone(), key(headers)))
            .collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let number = {
        let mut asked = shared.asked.lock().expect("nobody panics");
        asked.push((
            format!("{} {}", request.method(), request.uri()),
            request.headers().clone(),
            Instant::now(),
        ));
        asked.len()
    };
    let (status, body, after) = (shared.answer.lock().expect("nobody panics"))(number);
    tokio::time::sleep(after).await;
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response.body(Body::from(body)).expect("a response")
}

/// A gateway over addresses of the service.
async fn gateway(urls: &str, config: &str) -> (Folder, Gateway) {
    let config = format!(
        "timeouts: {{ request: 3s, upstream: 1s, connect: 300ms }}\ncoalesce: {{ operations: false, reads: false }}\n{config}\nsubgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL] }}\n"
    );
    let folder = Folder::new(&[("switchboard.yaml", &config), ("things.graphql", SCHEMA)]);
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &[("THINGS_URL", urls)]).await;
    (folder, gateway)
}

async fn over(things: &Things) -> (Folder, Gateway) {
    gateway(&format!("http://{}", things.address), "").await
}

async fn ask_as(gateway: &Gateway, query: &str, token: &str) -> Json {
    let request = gateway.post(&json!({ "query": query }));
    let request = request.header("authorization", token);
    binary::body(request.send().await.expect("an answer")).await
}

fn code(answer: &Json) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

#[tokio::test]
async fn an_unmarked_mutation_is_never_sent_twice_and_says_that_nobody_knows() {
    let things = Things::open().await;
    let (_folder, gateway) = over(&things).await;
    for status in [500, 502, 503, 504, 429] {
        things.says(move |_| (status, "{}", Duration::ZERO));
        let answer = gateway.ask("mutation { once(name: \"a\") { id } }").await;
        assert_eq!(
            things.asked(),
            [("PUT /once/a".to_owned(), None)],
            "{status}: {answer}"
        );
    }
    things.says(|_| (200, r#"{ "id": 1 }"#, Duration::from_secs(60)));
    let answer = gateway.ask("mutation { once(name: \"a\") { id } }").await;
    assert_eq!(
        answer["errors"][0]["extensions"]["outcome"], "UNKNOWN",
        "{answer}"
    );
    assert_eq!(
        answer["errors"][0]["extensions"]["retryable"], false,
        "{answer}"
    );
    assert_eq!(things.asked().len(), 1);
}

#[tokio::test]
async fn an_unmarked_mutation_whose_connection_breaks_is_never_sent_twice() {
    let things = Things::open().await;
    let proxy = Proxy::before(things.address).await.expect("a proxy");
    let (_folder, gateway) = gateway(&proxy.url(), "").await;
    for fault in [Fault::Reset, Fault::Truncate { after: 20 }, Fault::Garbage] {
        proxy.set(fault).await;
        let before = proxy.counts().requests;
        let answer = gateway.ask("mutation { once(name: \"a\") { id } }").await;
        assert_eq!(proxy.counts().requests - before, 1, "{fault:?}: {answer}");
        assert_eq!(
            answer["errors"][0]["extensions"]["outcome"], "UNKNOWN",
            "{fault:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_idempotent_mutation_carries_one_key_on_every_attempt() {
    let things = Things::open().await;
    let (_folder, gateway) = over(&things).await;
    things.says(|number| match number {
        1 | 2 => (503, "{}", Duration::ZERO),
        _ => (200, r#"{ "id": 1 }"#, Duration::ZERO),
    });
    let answer = gateway.ask("mutation { again(name: \"a\") { id } }").await;
    assert_eq!(answer, json!({ "data": { "again": { "id": "1" } } }));
    let asked = things.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let key = asked[0].1.clone().expect("a key");
    assert!(
        asked.iter().all(|(_, own)| own.as_ref() == Some(&key)),
        "{asked:?}"
    );
    gateway.ask("mutation { again(name: \"a\") { id } }").await;
    let other = things.asked().last().and_then(|(_, key)| key.clone());
    assert_ne!(other, Some(key), "another call has another key");
}

#[tokio::test]
async fn an_outage_grows_the_traffic_of_a_service_by_a_tenth_and_three_a_second() {
    let things = Things::open().await;
    let config = "resilience: { breaker: { enabled: false } }";
    let (_folder, gateway) = gateway(&format!("http://{}", things.address), config).await;
    things.says(|_| (503, "{}", Duration::ZERO));
    let started = Instant::now();
    const CALLS: usize = 300;
    for _ in 0..CALLS {
        let answer = gateway.ask("{ thing(id: 1) { id } }").await;
        assert_eq!(code(&answer), "UPSTREAM_UNAVAILABLE", "{answer}");
    }
    // The budget begins with what three a second make in its ten seconds.
    let seconds = started.elapsed().as_secs() as usize + 11;
    let most = CALLS + CALLS / 10 + 3 * seconds;
    let asked = things.asked().len();
    assert!(asked <= most, "{asked} of {most} in {seconds} s");
    assert!(asked > CALLS, "there are some retries");
}

#[tokio::test]
async fn a_breaker_leaves_a_failing_service_in_peace_and_one_probe_finds_it_well() {
    let things = Things::open().await;
    let config = "resilience: { retry: { attempts: 1 }, breaker: { minimum_calls: 5, open: 1s } }";
    let (_folder, gateway) = gateway(&format!("http://{}", things.address), config).await;
    things.says(|_| (503, "{}", Duration::ZERO));
    for _ in 0..5 {
        gateway.ask("{ thing(id: 1) { id } }").await;
    }
    let open = gateway.ask("{ __typename thing(id: 1) { id } }").await;
    assert_eq!(code(&open), "CIRCUIT_OPEN", "{open}");
    assert_eq!(open["data"]["__typename"], "Query");
    assert_eq!(things.asked().len(), 5, "nothing is sent while it is open");
    // Held back, so that all who come meanwhile find one probe under way.
    things.says(|_| (200, r#"{ "id": 1 }"#, Duration::from_millis(300)));
    super::until(async || {
        let many = (0..4).map(|_| gateway.ask("{ thing(id: 1) { id } }"));
        let answers = futures_util::future::join_all(many).await;
        assert!(things.asked().len() <= 1 || answers.iter().all(|it| it.get("errors").is_none()));
        answers.iter().any(|answer| answer.get("errors").is_none())
    })
    .await;
    assert_eq!(things.asked().len(), 1, "one probe");
    let answer = gateway.ask("{ thing(id: 1) { id } }").await;
    assert_eq!(answer["data"]["thing"]["id"], "1", "{answer}");
}

#[tokio::test]
async fn clients_do_not_notice_that_one_of_two_addresses_dies() {
    let things = Things::open().await;
    let one = Proxy::before(things.address).await.expect("a proxy");
    let two = Proxy::before(things.address).await.expect("a proxy");
    let (_folder, gateway) = gateway(&format!("{},{}", one.url(), two.url()), "").await;
    for _ in 0..20 {
        assert_eq!(
            gateway.ask("{ thing(id: 1) { id } }").await["data"]["thing"]["id"],
            "1"
        );
    }
    assert!(
        one.counts().requests > 0 && two.counts().requests > 0,
        "both are used"
    );
    for fault in [Fault::Refuse, Fault::Reset] {
        one.set(fault).await;
        for _ in 0..40 {
            let answer = gateway.ask("{ thing(id: 1) { id } }").await;
            assert_eq!(answer.get("errors"), None, "{fault:?}: {answer}");
        }
        one.set(Fault::None).await;
    }
}

#[tokio::test]
async fn a_hedge_wins_over_a_call_that_takes_long() {
    let things = Things::open().await;
    let (_folder, gateway) = over(&things).await;
    things.says(|_| (200, "1", Duration::from_millis(5)));
    for _ in 0..40 {
        assert_eq!(gateway.ask("{ slow }").await["data"]["slow"], 1);
    }
    things.says(|number| match number {
        1 => (200, "1", Duration::from_millis(900)),
        _ => (200, "2", Duration::ZERO),
    });
    let started = Instant::now();
    let answer = gateway.ask("{ slow }").await;
    assert_eq!(answer, json!({ "data": { "slow": 2 } }));
    assert!(
        started.elapsed() < Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(things.asked().len(), 2);
}

#[tokio::test]
async fn the_last_good_answer_stands_for_one_that_fails_and_never_after_a_refusal() {
    let things = Things::open().await;
    let (_folder, gateway) = over(&things).await;
    let (good, down, denied) = (
        |_| (200, "[1, 2]", Duration::ZERO),
        |_| (503, "{}", Duration::ZERO),
        |_| (403, "{}", Duration::ZERO),
    );
    things.says(down);
    assert_eq!(
        code(&ask_as(&gateway, "{ rates }", "Bearer a").await),
        "UPSTREAM_UNAVAILABLE"
    );
    things.says(good);
    ask_as(&gateway, "{ rates }", "Bearer a").await;
    things.says(down);
    let stale = ask_as(&gateway, "{ rates }", "Bearer a").await;
    assert_eq!(stale["data"]["rates"], json!([1, 2]), "{stale}");
    assert_eq!(
        stale["extensions"]["stale"][0]["service"], "things",
        "{stale}"
    );
    let other = ask_as(&gateway, "{ rates }", "Bearer b").await;
    assert_eq!(
        code(&other),
        "UPSTREAM_UNAVAILABLE",
        "another identity: {other}"
    );
    things.says(denied);
    assert_eq!(
        code(&ask_as(&gateway, "{ rates }", "Bearer a").await),
        "FORBIDDEN"
    );
    things.says(down);
    let after = ask_as(&gateway, "{ rates }", "Bearer a").await;
    assert_eq!(
        code(&after),
        "UPSTREAM_UNAVAILABLE",
        "after a refusal: {after}"
    );
}

#[tokio::test]
async fn no_answer_is_later_than_its_deadline_and_nothing_is_sent_after_it() {
    let things = Things::open().await;
    let (_folder, gateway) = over(&things).await;
    const TIME: Duration = Duration::from_millis(200);
    things.says(|_| (503, "{}", Duration::from_millis(80)));
    let mut begun = Vec::new();
    for id in 0..10 {
        let query = format!("{{ thing(id: {id}) {{ id }} }}");
        let request = gateway.post(&json!({ "query": query }));
        let request = request.header("x-request-timeout-ms", TIME.as_millis().to_string());
        begun.push(Instant::now());
        request.send().await.expect("an answer");
        let took = begun.last().expect("it began").elapsed();
        // A busy machine takes its time, too.
        assert!(took < TIME + Duration::from_millis(25 + 150), "{took:?}");
    }
    for (target, _, arrived) in things.shared.asked.lock().expect("nobody panics").iter() {
        let id = target
            .rsplit('/')
            .next()
            .and_then(|id| id.parse::<usize>().ok());
        let after = *arrived - begun[id.expect("an id")];
        assert!(after < TIME + Duration::from_millis(25), "{after:?}");
    }
}
