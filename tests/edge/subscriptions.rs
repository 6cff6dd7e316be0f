//! Subscriptions from a client's socket to a service's stream, and back.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use futures_util::StreamExt as _;
use serde_json::Value as Json;
use serde_json::json;
use tonic::Status;

use super::PATIENCE;
use super::binary::Gateway;
use super::binary::body;
use super::identity::keys;
use super::identity::token_until;
use super::ticker::Ticker;
use super::websocket::Came;
use super::websocket::WebSocket;

const CHANGED: &str = "subscription Changes { changed(id: 7) { quantity } }";

async fn gateway(ticker: &Ticker, config: &str) -> (super::binary::Folder, Gateway) {
    let folder = ticker.folder(config);
    let gateway = ticker.gateway(&folder).await;
    (folder, gateway)
}

fn quantity(quantity: i32) -> Json {
    json!({ "data": { "changed": { "quantity": quantity } } })
}

fn next(id: &str, payload: Json) -> Json {
    json!({ "id": id, "type": "next", "payload": payload })
}

fn complete(id: &str) -> Json {
    json!({ "id": id, "type": "complete" })
}

/// Polls until it holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = async { while !holds().await {} };
    tokio::time::timeout(PATIENCE, waited)
        .await
        .expect("in time");
}

async fn metric(gateway: &Gateway, name: &str) -> Option<String> {
    let page = gateway.get(&format!("{}/metrics", gateway.admin)).await;
    let page = page.text().await.expect("text");
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.map(str::to_owned)
}

// --- graphql-transport-ws ---------------------------------------------------

#[tokio::test]
async fn events_come_in_order_each_with_what_is_true_then() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "").await;
    let mut socket = WebSocket::ready(&gateway).await;
    let query = "subscription { changed(id: 7) { quantity now { quantity } } }";
    socket.subscribe("a", query).await;
    let watch = ticker.watch().await;
    assert_eq!(watch.product, "7");
    for event in 1..=3 {
        watch.tick(event * 10).await;
        let changed = json!({ "quantity": event * 10, "now": { "quantity": event } });
        socket
            .hears(next("a", json!({ "data": { "changed": changed } })))
            .await;
    }
    assert_eq!(ticker.asked(), 3);
    drop(watch);
    socket.hears(complete("a")).await;
}

#[tokio::test]
async fn whoever_completes_ends_the_stream_at_the_service() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "access_log: { enabled: true }").await;
    let mut socket = WebSocket::ready(&gateway).await;
    socket.subscribe("a", CHANGED).await;
    let watch = ticker.watch().await;
    watch.tick(1).await;
    socket.hears(next("a", quantity(1))).await;
    assert_eq!(
        metric(&gateway, "switchboard_subscriptions_open")
            .await
            .as_deref(),
        Some("1")
    );
    assert_eq!(
        metric(&gateway, "switchboard_sockets_open")
            .await
            .as_deref(),
        Some("1")
    );
    socket.say(&complete("a")).await;
    watch.abandoned().await;
    until(async || {
        metric(&gateway, "switchboard_subscriptions_open")
            .await
            .as_deref()
            == Some("0")
    })
    .await;
    assert_eq!(
        metric(&gateway, "switchboard_subscription_events_total")
            .await
            .as_deref(),
        Some("1")
    );
    until(async || gateway.log().contains("\"kind\":\"subscription\"")).await;
    let log = gateway.log();
    assert!(
        log.contains("\"operation\":\"Changes\"") && log.contains("\"events\":1"),
        "{log}"
    );

    // The id is free again, and a socket that is gone ends what runs over it.
    socket.subscribe("a", CHANGED).await;
    let watch = ticker.watch().await;
    drop(socket);
    watch.abandoned().await;
    until(async || {
        metric(&gateway, "switchboard_sockets_open")
            .await
            .as_deref()
            == Some("0")
    })
    .await;
}

#[tokio::test]
async fn queries_and_mutations_go_over_the_socket_beside_subscriptions() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "").await;
    let mut socket = WebSocket::ready(&gateway).await;
    socket.subscribe("s", CHANGED).await;
    let watch = ticker.watch().await;
    for (id, query, field) in [
        ("q", "{ stock(id: 1) { id } }", "stock"),
        ("m", "mutation { count(id: 1) { id } }", "count"),
    ] {
        socket.subscribe(id, query).await;
        socket
            .hears(next(id, json!({ "data": { field: { "id": "1" } } })))
            .await;
        socket.hears(complete(id)).await;
    }
    watch.tick(5).await;
    socket.hears(next("s", quantity(5))).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_operation_is_its_error_and_no_ones_else() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "").await;
    let mut socket = WebSocket::ready(&gateway).await;
    for (query, code) in [
        (
            "subscription { changed(id: 1) { nothing } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { a: changed(id: 1) { id } b: changed(id: 1) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        (
            "subscription($id: ID!) { changed(id: $id) { id } }",
            "BAD_USER_INPUT",
        ),
    ] {
        socket.subscribe("x", query).await;
        let errors = socket.payload("error", "x").await;
        assert_eq!(errors[0]["extensions"]["code"], code, "{errors}");
    }
    let labelled = json!({ "query": CHANGED, "extensions": { "correlationId": "order-7" } });
    socket
        .say(&json!({ "id": "s", "type": "subscribe", "payload": labelled }))
        .await;
    let watch = ticker.watch().await;
    watch.tick(1).await;
    socket.hears(next("s", quantity(1))).await;
    watch.fail(Status::unavailable("node 3 is gone")).await;
    let errors = socket.payload("error", "s").await;
    assert_eq!(errors[0]["path"], json!(["changed"]));
    assert_eq!(errors[0]["extensions"]["code"], "UPSTREAM_UNAVAILABLE");
    assert_eq!(errors[0]["extensions"]["correlationId"], "order-7");
    socket.subscribe("s", "{ stock(id: 1) { id } }").await;
    socket.payload("next", "s").await;
}

#[tokio::test]
async fn each_breach_of_the_protocol_closes_with_its_code() {
    let mut ticker = Ticker::start().await;
    let config = "subscriptions: { init_timeout: 300ms, message: 4KiB, per_socket: 1 }";
    let (_folder, gateway) = gateway(&ticker, config).await;
    let fresh = async || WebSocket::open(&gateway, "graphql-transport-ws", "").await;

    let mut silent = fresh().await;
    let timeout = Came::Closed(4408, "Connection initialisation timeout".to_owned());
    assert_eq!(silent.next().await, timeout);
    let mut hasty = fresh().await;
    hasty.subscribe("1", CHANGED).await;
    assert_eq!(
        hasty.next().await,
        Came::Closed(4401, "Unauthorized".to_owned())
    );
    for text in ["no json", "[]", r#"{"type":"start","id":"1","payload":{}}"#] {
        let mut wrong = fresh().await;
        wrong.say_text(text).await;
        assert_eq!(wrong.closed().await, 4400, "{text}");
    }
    let mut binary = fresh().await;
    binary.say_bytes(br#"{"type":"connection_init"}"#).await;
    assert_eq!(binary.closed().await, 4400);
    let mut twice = WebSocket::ready(&gateway).await;
    twice.say(&json!({ "type": "connection_init" })).await;
    let twice = twice.next().await;
    assert_eq!(
        twice,
        Came::Closed(4429, "Too many initialisation requests".to_owned())
    );
    let mut odd = WebSocket::ready(&gateway).await;
    odd.say(&json!({ "id": "1", "type": "subscribe", "payload": { "variables": {} } }))
        .await;
    assert_eq!(odd.closed().await, 4400);
    let mut long = WebSocket::ready(&gateway).await;
    long.subscribe("1", &"#".repeat(5_000)).await;
    assert_eq!(long.closed().await, 1009);

    let mut socket = WebSocket::ready(&gateway).await;
    socket.subscribe("1", CHANGED).await;
    let watch = ticker.watch().await;
    socket.subscribe("2", CHANGED).await;
    let errors = socket.payload("error", "2").await;
    assert_eq!(errors[0]["extensions"]["code"], "TOO_MANY_SUBSCRIPTIONS");
    socket.subscribe("1", CHANGED).await;
    let reason = "Subscriber for 1 already exists".to_owned();
    assert_eq!(socket.next().await, Came::Closed(4409, reason));
    watch.abandoned().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_given_up() {
    let ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "subscriptions: { keep_alive: 1s }").await;
    let mut silent = WebSocket::ready(&gateway).await;
    silent.answers_pings = false;
    assert_eq!(silent.next().await, Came::Lost);
    assert_eq!(silent.pings, 2);
    let mut pings = WebSocket::ready(&gateway).await;
    pings
        .say(&json!({ "type": "ping", "payload": { "n": 1 } }))
        .await;
    pings
        .hears(json!({ "type": "pong", "payload": { "n": 1 } }))
        .await;
}

#[tokio::test]
async fn a_slow_client_holds_up_nobody_else_and_is_told_why_it_ends() {
    let mut ticker = Ticker::start().await;
    let config = "subscriptions: { buffer: 2, when_full: end }";
    let (_folder, gateway) = gateway(&ticker, config).await;
    let (mut slow, mut quick) = (
        WebSocket::ready(&gateway).await,
        WebSocket::ready(&gateway).await,
    );
    slow.subscribe(
        "s",
        "subscription { changed(id: 7) { quantity warehouse } }",
    )
    .await;
    let watch = ticker.watch().await;
    let much = "x".repeat(256 * 1024);
    // Nobody reads: until the gateway has had enough of it.
    let mut sent = 0;
    while watch.try_tick(sent + 1, &much).await {
        sent += 1;
    }
    quick.subscribe("q", "{ stock(id: 1) { id } }").await;
    quick.payload("next", "q").await;
    let mut seen = 0;
    let errors = loop {
        match slow.next().await {
            Came::Message(message) if message["type"] == "next" => {
                seen += 1;
                assert_eq!(message["payload"]["data"]["changed"]["quantity"], seen);
            }
            Came::Message(message) => break message["payload"].clone(),
            other => panic!("{other:?} after {seen}"),
        }
    };
    assert_eq!(errors[0]["extensions"]["code"], "SUBSCRIBER_TOO_SLOW");
    assert!(seen > 0 && seen <= sent, "{seen} of {sent}");
}

#[tokio::test]
async fn a_client_that_reads_late_gets_everything_where_the_source_waits_for_it() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "subscriptions: { buffer: 1 }").await;
    let mut socket = WebSocket::ready(&gateway).await;
    socket
        .subscribe(
            "s",
            "subscription { changed(id: 7) { quantity warehouse } }",
        )
        .await;
    let watch = ticker.watch().await;
    let sends = tokio::spawn(async move {
        let much = "x".repeat(256 * 1024);
        for event in 1..=100 {
            watch.tick_of(event, &much).await;
        }
    });
    for event in 1..=100 {
        let told = socket.payload("next", "s").await;
        assert_eq!(told["data"]["changed"]["quantity"], event);
    }
    socket.hears(complete("s")).await;
    sends.await.expect("all are taken");
}

// --- The older protocol -----------------------------------------------------

#[tokio::test]
async fn the_older_protocol_is_spoken_too_unless_it_is_turned_off() {
    let mut ticker = Ticker::start().await;
    let (_folder, both) = gateway(&ticker, "").await;
    let mut socket = WebSocket::open(&both, "graphql-ws", "").await;
    socket
        .say(&json!({ "type": "connection_init", "payload": {} }))
        .await;
    socket.hears(json!({ "type": "connection_ack" })).await;
    socket.hears(json!({ "type": "ka" })).await;
    socket
        .say(&json!({ "id": "1", "type": "start", "payload": { "query": CHANGED } }))
        .await;
    let watch = ticker.watch().await;
    watch.tick(4).await;
    socket
        .hears(json!({ "id": "1", "type": "data", "payload": quantity(4) }))
        .await;
    socket.say(&json!({ "id": "1", "type": "stop" })).await;
    socket.hears(complete("1")).await;
    watch.abandoned().await;
    socket.say(&json!({ "type": "connection_terminate" })).await;
    assert_eq!(socket.closed().await, 1000);

    let (_folder, newer) = gateway(&ticker, "subscriptions: { legacy: false }").await;
    let (_, head) = WebSocket::try_open(&newer, "graphql-ws", "").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

// --- Who may ----------------------------------------------------------------

#[tokio::test]
async fn pages_of_foreign_origins_open_no_socket_unless_cors_allows_it() {
    let ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "cors: { origins: [\"https://app.example\"] }").await;
    let open = async |origin: &str| {
        let origin = format!("origin: {origin}\r\n");
        let protocol = "graphql-transport-ws";
        let (_, head) = WebSocket::try_open(&gateway, protocol, &origin).await;
        head[9..12].to_owned()
    };
    assert_eq!(open("https://evil.example").await, "400");
    assert_eq!(open("null").await, "400");
    assert_eq!(open("https://gateway.example").await, "101");
    assert_eq!(open("https://app.example").await, "101");
}

const VERIFIED: &str = r#"
authentication:
  required: true
  jwt: { issuers: [{ issuer: "https://id", audiences: [api], algorithms: [HS256], leeway: 0s, jwks: { file: keys.json } }] }
"#;

async fn verifying(ticker: &Ticker) -> (super::binary::Folder, Gateway) {
    let folder = ticker.folder(VERIFIED);
    folder.write("keys.json", &keys());
    let gateway = ticker.gateway(&folder).await;
    (folder, gateway)
}

fn in_seconds(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs() + seconds
}

async fn init(gateway: &Gateway, protocol: &str, payload: Json) -> WebSocket {
    let mut socket = WebSocket::open(gateway, protocol, "").await;
    socket
        .say(&json!({ "type": "connection_init", "payload": payload }))
        .await;
    socket
}

#[tokio::test]
async fn credentials_come_with_the_first_message_and_go_where_headers_go() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = verifying(&ticker).await;
    let forbidden = Came::Closed(4403, "Forbidden".to_owned());
    for payload in [json!({}), json!({ "authorization": "Bearer forged" })] {
        let mut socket = init(&gateway, "graphql-transport-ws", payload).await;
        assert_eq!(socket.next().await, forbidden);
    }
    let mut older = init(&gateway, "graphql-ws", json!({})).await;
    let told = json!({ "type": "connection_error", "payload": { "message": "Forbidden" } });
    older.hears(told).await;
    assert_eq!(older.next().await, forbidden);

    let bearer = format!("Bearer {}", token_until("ada", in_seconds(3600)));
    let mut socket = init(
        &gateway,
        "graphql-transport-ws",
        json!({ "Authorization": bearer }),
    )
    .await;
    socket.hears(json!({ "type": "connection_ack" })).await;
    socket.subscribe("1", CHANGED).await;
    assert_eq!(ticker.watch().await.authorization, Some(bearer));
}

#[tokio::test]
async fn a_token_that_expires_ends_its_socket_and_its_streams() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = verifying(&ticker).await;
    let bearer = format!("Bearer {}", token_until("ada", in_seconds(3)));
    let mut socket = init(
        &gateway,
        "graphql-transport-ws",
        json!({ "authorization": bearer }),
    )
    .await;
    socket.hears(json!({ "type": "connection_ack" })).await;
    socket.subscribe("1", CHANGED).await;
    let watch = ticker.watch().await;
    let stream = events(&gateway, CHANGED)
        .header("authorization", &bearer)
        .send();
    let stream = stream.await.expect("an answer");
    assert_eq!(stream.status(), 200);
    assert_eq!(
        socket.next().await,
        Came::Closed(4403, "Forbidden".to_owned())
    );
    watch.abandoned().await;
    let text = stream.text().await.expect("text");
    assert!(
        text.contains("UNAUTHENTICATED") && text.ends_with("event: complete\ndata:\n\n"),
        "{text}"
    );
}

#[tokio::test]
async fn each_operation_of_a_socket_is_charged() {
    let ticker = Ticker::start().await;
    let config = "rate_limits: [{ name: all, key: \"$ip\", requests: 2, per: 1h, burst: 2 }]";
    let (_folder, gateway) = gateway(&ticker, config).await;
    let mut socket = WebSocket::ready(&gateway).await;
    for id in ["1", "2"] {
        socket.subscribe(id, "{ stock(id: 1) { id } }").await;
        socket.payload("next", id).await;
        socket.hears(complete(id)).await;
    }
    socket.subscribe("3", "{ stock(id: 1) { id } }").await;
    let errors = socket.payload("error", "3").await;
    assert_eq!(
        errors[0]["extensions"]["code"], "QUOTA_EXCEEDED",
        "{errors}"
    );
    let refused = events(&gateway, CHANGED).send().await.expect("an answer");
    assert_eq!(refused.status(), 429);
}

// --- Server-sent events -----------------------------------------------------

fn events(gateway: &Gateway, query: &str) -> reqwest::RequestBuilder {
    let asked = gateway.post(&json!({ "query": query }));
    let (client, request) = asked.build_split();
    let mut request = request.expect("a request");
    let accept = "text/event-stream".parse().expect("a value");
    request.headers_mut().insert("accept", accept);
    reqwest::RequestBuilder::from_parts(client, request)
}

/// Parts of a stream, each up to its empty line.
struct Parts {
    response: reqwest::Response,
    read: String,
}

impl Parts {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let media = &response.headers()["content-type"];
        assert_eq!(media, "text/event-stream; charset=utf-8");
        Self {
            response,
            read: String::new(),
        }
    }

    /// The next part that is no heartbeat; none at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.read.split_once("\n\n") {
                let part = part.to_owned();
                self.read = rest.to_owned();
                if part != ":" {
                    return Some(part);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("in time").ok().flatten()?;
            self.read
                .push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

#[tokio::test]
async fn events_are_streamed_to_those_who_accept_them() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "subscriptions: { keep_alive: 1s }").await;
    let (mut parts, watch) = tokio::join!(Parts::of(events(&gateway, CHANGED)), ticker.watch());
    for event in [1, 2] {
        watch.tick(event).await;
        let expected = format!("event: next\ndata: {}", quantity(event));
        assert_eq!(parts.next().await, Some(expected));
    }
    drop(watch);
    assert_eq!(
        parts.next().await.as_deref(),
        Some("event: complete\ndata:")
    );
    assert_eq!(parts.next().await, None);

    let url = format!(
        "{}?query=subscription%7Bchanged(id:9)%7Bid%7D%7D",
        gateway.url
    );
    let asked = gateway.request(&url).header("accept", "text/event-stream");
    let asked = asked.header("graphql-require-preflight", "1");
    let (parts, watch) = tokio::join!(Parts::of(asked), ticker.watch());
    assert_eq!(watch.product, "9");
    drop(parts);
    watch.abandoned().await;
}

#[tokio::test]
async fn a_silent_stream_is_kept_open_by_comments() {
    let mut ticker = Ticker::start().await;
    let config = "subscriptions: { keep_alive: 1s }\ntimeouts: { idle: 2s }";
    let (_folder, gateway) = gateway(&ticker, config).await;
    let (parts, watch) = tokio::join!(Parts::of(events(&gateway, CHANGED)), ticker.watch());
    let mut chunks = parts.response.bytes_stream();
    // One at the beginning, and then one a second: longer than any connection may be idle.
    for _ in 0..5 {
        let chunk = tokio::time::timeout(PATIENCE, chunks.next())
            .await
            .expect("in time");
        assert_eq!(&chunk.expect("it goes on").expect("bytes")[..], b":\n\n");
    }
    watch.tick(1).await;
    let chunk = chunks.next().await.expect("it goes on").expect("bytes");
    assert!(chunk.starts_with(b"event: next"), "{chunk:?}");
}

#[tokio::test]
async fn over_events_anything_is_answered_and_what_is_refused_is_told_there() {
    let ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "").await;
    for query in [
        "{ stock(id: 1) { id } }",
        "mutation { count(id: 1) { id } }",
    ] {
        let mut parts = Parts::of(events(&gateway, query)).await;
        let told = parts.next().await.expect("an event");
        assert!(told.starts_with("event: next\ndata: {\"data\":{"), "{told}");
        assert_eq!(
            parts.next().await.as_deref(),
            Some("event: complete\ndata:")
        );
    }
    let mut parts = Parts::of(events(&gateway, "subscription { nothing }")).await;
    let told = parts.next().await.expect("an event");
    assert!(told.contains("GRAPHQL_VALIDATION_FAILED"), "{told}");
    assert_eq!(
        parts.next().await.as_deref(),
        Some("event: complete\ndata:")
    );

    let get = |query: &str| {
        let url = format!("{}?query={query}", gateway.url);
        gateway.request(&url).header("accept", "text/event-stream")
    };
    let mutation =
        get("mutation%7Bcount(id:1)%7Bid%7D%7D").header("graphql-require-preflight", "1");
    assert_eq!(mutation.send().await.expect("an answer").status(), 405);
    let foreign =
        get("subscription%7Bchanged(id:1)%7Bid%7D%7D").header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.expect("an answer").status(), 400);
    let malformed = events(&gateway, "")
        .body("no json")
        .send()
        .await
        .expect("an answer");
    assert_eq!(malformed.status(), 400);
    // Who accepts JSON rather is answered as ever.
    let plain = gateway.ask(CHANGED).await;
    let message = plain["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("text/event-stream"), "{message}");
}

// --- The end ----------------------------------------------------------------

#[tokio::test]
async fn when_the_process_ends_sockets_are_told_and_streams_end_so_that_clients_come_back() {
    let mut ticker = Ticker::start().await;
    let (_folder, mut gateway) = gateway(&ticker, "shutdown: { grace: 100ms, drain: 20s }").await;
    let mut socket = WebSocket::ready(&gateway).await;
    socket.subscribe("1", CHANGED).await;
    let watch = ticker.watch().await;
    let (mut parts, other) = tokio::join!(Parts::of(events(&gateway, CHANGED)), ticker.watch());
    gateway.terminate().await;
    assert_eq!(
        socket.next().await,
        Came::Closed(1001, "Going away".to_owned())
    );
    assert_eq!(parts.next().await, None);
    watch.abandoned().await;
    other.abandoned().await;
    drop(socket);
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_reload_lets_what_runs_go_on_or_ends_it_as_the_operator_says() {
    let mut ticker = Ticker::start().await;
    for (on_reload, ends) in [("continue", false), ("end", true)] {
        let config = format!("subscriptions: {{ on_reload: {on_reload} }}");
        let (_folder, gateway) = gateway(&ticker, &config).await;
        let mut socket = WebSocket::ready(&gateway).await;
        socket.subscribe("1", CHANGED).await;
        let watch = ticker.watch().await;
        let (mut parts, other) = tokio::join!(Parts::of(events(&gateway, CHANGED)), ticker.watch());
        let operator = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let reload = operator
            .post(format!("{}/reload", gateway.admin))
            .send()
            .await;
        assert_eq!(body(reload.expect("an answer")).await["status"], "reloaded");
        if ends {
            assert_eq!(socket.closed().await, 1012);
            assert_eq!(parts.next().await, None);
            watch.abandoned().await;
            other.abandoned().await;
        } else {
            watch.tick(8).await;
            socket.hears(next("1", quantity(8))).await;
            other.tick(9).await;
            let told = parts.next().await.expect("an event");
            assert!(told.contains("9"), "{told}");
        }
    }
}

#[tokio::test]
async fn turned_off_there_are_neither_sockets_nor_streams() {
    let ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "subscriptions: { enabled: false }").await;
    let (_, head) = WebSocket::try_open(&gateway, "graphql-transport-ws", "").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let refused = events(&gateway, CHANGED).send().await.expect("an answer");
    assert_eq!(refused.status(), 406);
}

#[tokio::test]
async fn subscriptions_of_all_clients_are_bounded() {
    let mut ticker = Ticker::start().await;
    let (_folder, gateway) = gateway(&ticker, "subscriptions: { open: 1 }").await;
    let mut socket = WebSocket::ready(&gateway).await;
    socket.subscribe("1", CHANGED).await;
    let watch = ticker.watch().await;
    let mut parts = Parts::of(events(&gateway, CHANGED)).await;
    let told = parts.next().await.expect("an event");
    assert!(told.contains("TOO_MANY_SUBSCRIPTIONS"), "{told}");
    socket.say(&complete("1")).await;
    watch.abandoned().await;
    until(async || {
        metric(&gateway, "switchboard_subscriptions_open")
            .await
            .as_deref()
            == Some("0")
    })
    .await;
    let (_parts, _watch) = tokio::join!(Parts::of(events(&gateway, CHANGED)), ticker.watch());
}
