//! What the edge lets in, what it refuses, and what its answers carry.

use reqwest::Method;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::raw::Raw;
use super::raw::post;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(config);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

fn request(method: Method, url: &str) -> reqwest::RequestBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .request(method, url)
}

fn header<'r>(response: &'r reqwest::Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn a_refusal_names_a_page_that_the_gateway_serves_and_repeats_no_host() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let mut raw = Raw::connect(&gateway).await;
    raw.send(b"POST /graphql HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\ncontent-length: 0\r\n\r\n")
        .await;
    let refused = raw.reply().await.expect("an answer");
    assert_eq!(refused.status, 415);
    assert!(!format!("{refused:?}").contains("evil"), "{refused:?}");
    let problem: serde_json::Value = serde_json::from_str(&refused.body).expect("JSON");
    let page = problem["type"].as_str().expect("an address");
    assert!(page.starts_with("http://localhost:"), "{page}");
    let page = page.replace("localhost", "127.0.0.1");
    let page = gateway.get(&page).await;
    assert_eq!(
        header(&page, "content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = page.text().await.expect("text");
    assert!(text.starts_with("# Unsupported media type\n"), "{text}");
}

#[tokio::test]
async fn what_the_parser_refuses_is_a_problem_too() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let long = format!(
        "GET /graphql HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!(
        "GET /graphql HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(101)
    );
    let uri = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(20_000));
    for (sent, status, slug) in [
        ("nonsense\r\n\r\n", 400, "malformed-request"),
        (&*long, 431, "headers-too-large"),
        (&*many, 431, "headers-too-large"),
        (&*uri, 414, "uri-too-long"),
    ] {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(sent.as_bytes()).await;
        let reply = raw.reply().await.expect("an answer");
        assert_eq!(reply.status, status, "{slug}");
        assert!(
            reply.body.contains(&format!("/problems/{slug}")),
            "{reply:?}"
        );
        assert!(reply.head.contains("x-request-id: "), "{reply:?}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_read_nothing_unless_they_are_named() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let asked = request(Method::OPTIONS, &gateway.url)
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST");
    let refused = asked.send().await.expect("an answer");
    assert_eq!(refused.status(), 405);
    assert_eq!(header(&refused, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn named_origins_are_answered_before_anything_else_and_read_refusals_too() {
    let service = Scripted::open(THING).await;
    let config = "cors: { origins: [\"https://*.example.com\"], credentials: true }";
    let (_folder, gateway) = gateway(&service, config).await;
    let ask = async |origin: &str| {
        let asked = request(Method::OPTIONS, &gateway.url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        asked.send().await.expect("an answer")
    };
    let allowed = ask("https://app.example.com").await;
    assert_eq!(allowed.status(), 204);
    assert_eq!(
        header(&allowed, "access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert_eq!(
        header(&allowed, "access-control-allow-credentials"),
        Some("true")
    );
    let evil = ask("https://evil.example").await;
    assert_eq!(header(&evil, "access-control-allow-origin"), None);
    assert_eq!(header(&evil, "vary"), Some("origin"));
    let refused = gateway
        .post(&json!([]))
        .header("origin", "https://app.example.com");
    let refused = refused.send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    assert_eq!(
        header(&refused, "access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert!(
        header(&refused, "access-control-expose-headers")
            .is_some_and(|names| names.contains("retry-after"))
    );
}

#[tokio::test]
async fn a_list_of_operations_is_refused_unless_the_operator_accepts_lists() {
    let service = Scripted::open(THING).await;
    let list = json!([{ "query": "{ __typename }" }]);
    let (_off, off) = gateway(&service, "").await;
    let refused = off.post(&list).send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    assert!(
        body(refused).await["type"]
            .as_str()
            .is_some_and(|page| page.ends_with("/batching-off"))
    );

    let (_on, on) = gateway(&service, "batching: { enabled: true, max: 3 }").await;
    let list = json!([
        { "query": "{ first: __typename }" },
        { "query": "{ nothing }" },
        { "query": "query($id: ID!) { thing(id: $id) { name } }", "variables": { "id": "1" } },
    ]);
    let answers = body(on.post(&list).send().await.expect("an answer")).await;
    assert_eq!(answers[0]["data"]["first"], "Query");
    assert_eq!(
        answers[1]["errors"][0]["extensions"]["code"],
        "GRAPHQL_VALIDATION_FAILED"
    );
    assert_eq!(answers[2]["data"]["thing"]["name"], "one");
    let many = json!([{}, {}, {}, {}]);
    assert_eq!(
        on.post(&many).send().await.expect("an answer").status(),
        413
    );
}

#[tokio::test]
async fn each_operation_of_a_list_is_charged() {
    let service = Scripted::open(THING).await;
    let config = "batching: { enabled: true }\n\
        rate_limits: [{ name: tight, key: \"$ip\", requests: 2, per: 1h }]\n";
    let (_folder, gateway) = gateway(&service, config).await;
    let query = json!({ "query": "{ __typename }" });
    let list = json!([query, query, query]);
    let answers = body(gateway.post(&list).send().await.expect("an answer")).await;
    let codes = answers.as_array().expect("a list").iter();
    let codes = codes.map(|answer| {
        answer["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or("none")
    });
    let mut codes: Vec<_> = codes.collect();
    codes.sort_unstable();
    assert_eq!(codes, ["QUOTA_EXCEEDED", "none", "none"]);
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_accept_it_when_that_is_turned_on() {
    let item = r#"{ "id": 1, "name": "one" }"#;
    let service = Scripted::open(&format!("[{}]", [item; 1_000].join(","))).await;
    let ask = async |gateway: &Gateway, accept: &str| {
        let mut raw = Raw::connect(gateway).await;
        let query = post(r#"{"query":"{ things { id } }"}"#);
        let accept = format!("host: gateway\r\naccept-encoding: {accept}\r\n");
        raw.send(query.replace("host: gateway\r\n", &accept).as_bytes())
            .await;
        raw.reply().await.expect("an answer").head
    };
    let (_off, off) = gateway(&service, "").await;
    let plain = ask(&off, "gzip, br, zstd").await;
    assert!(
        !plain.contains("content-encoding") && !plain.contains("vary"),
        "{plain}"
    );
    let (_on, on) = gateway(&service, "compression: { enabled: true }").await;
    for encoding in ["gzip", "br", "zstd"] {
        let head = ask(&on, encoding).await;
        assert!(
            head.contains(&format!("content-encoding: {encoding}\r\n")),
            "{head}"
        );
        assert!(head.contains("vary: accept-encoding\r\n"), "{head}");
    }
    let plain = ask(&on, "identity").await;
    assert!(!plain.contains("content-encoding"), "{plain}");
}

#[tokio::test]
async fn production_tells_nothing_of_the_schema() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let introspected = gateway.ask("{ __schema { types { name } } }").await;
    assert_eq!(
        introspected["errors"][0]["extensions"]["code"],
        "GRAPHQL_VALIDATION_FAILED"
    );
    assert_eq!(introspected.get("data"), None);
    let mistyped = gateway.ask("{ thin(id: 1) { name } }").await;
    assert!(!mistyped.to_string().contains("thing"), "{mistyped}");
    for path in ["playground", "playground/", "playground/index.html"] {
        let url = gateway.url.replace("graphql", path);
        assert_eq!(gateway.get(&url).await.status(), 404, "{path}");
    }
    let plan = json!({ "query": "{ thing(id: 1) { name } }", "extensions": { "switchboard": { "plan": true, "trace": true } } });
    let answered = body(gateway.post(&plan).send().await.expect("an answer")).await;
    assert_eq!(answered.get("extensions"), None);
}

#[tokio::test]
async fn the_draft_profile_tells_partial_answers_apart() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "http: { status_profile: draft }").await;
    let status = async |query: &str| {
        let asked = gateway.post(&json!({ "query": query })).send();
        asked.await.expect("an answer").status().as_u16()
    };
    assert_eq!(status("{ __typename }").await, 200);
    assert_eq!(status("{").await, 400);
    assert_eq!(status("{ nothing }").await, 422);
    service.reply(500, "application/json", "{}");
    assert_eq!(status("{ __typename thing(id: 2) { name } }").await, 294);
}

#[tokio::test]
async fn answers_are_not_sniffed_kept_or_framed() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let answers = [
        gateway
            .post(&json!({ "query": "{ __typename }" }))
            .send()
            .await
            .expect("an answer"),
        gateway
            .post(&json!({ "query": "{" }))
            .send()
            .await
            .expect("an answer"),
        gateway.post(&json!([])).send().await.expect("an answer"),
        gateway
            .get(&gateway.url.replace("graphql", "nothing"))
            .await,
        gateway.get(&gateway.url.replace("graphql", "health")).await,
        gateway
            .get(&format!("{}/health/ready", gateway.admin))
            .await,
    ];
    for answer in answers {
        assert_eq!(
            header(&answer, "x-content-type-options"),
            Some("nosniff"),
            "{answer:?}"
        );
        assert_eq!(
            header(&answer, "cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
        assert_eq!(
            header(&answer, "strict-transport-security"),
            None,
            "{answer:?}"
        );
        assert_eq!(header(&answer, "server"), None, "{answer:?}");
    }
    let page = gateway
        .get(&gateway.url.replace("graphql", "problems/"))
        .await;
    assert_eq!(
        header(&page, "content-security-policy"),
        Some("default-src 'none'; frame-ancestors 'none'")
    );
    assert_eq!(header(&page, "referrer-policy"), Some("no-referrer"));
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_is_known_by_its_own_address() {
    let service = Scripted::open(THING).await;
    let config = "access_log: true\nclient_address: { trusted_proxies: [127.0.0.0/8] }";
    let (_folder, gateway) = gateway(&service, config).await;
    let asked = gateway.post(&json!({ "query": "{ __typename }" }));
    let asked = asked.header("x-forwarded-for", "198.51.100.66, 192.0.2.7, 127.0.0.9");
    asked.send().await.expect("an answer");
    super::lifecycle::until(|| gateway.log().contains("\"client\":")).await;
    assert!(
        gateway.log().contains("\"client\":\"192.0.2.7\""),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn operators_show_a_token_and_what_they_do_is_written_down() {
    let service = Scripted::open(THING).await;
    let config = "log: { level: error }\nadmin: { tokens: { deploy: 0123456789abcdef } }";
    let (folder, gateway) = gateway(&service, config).await;
    let reload = async |token: &str, origin: Option<&str>| {
        let mut asked = request(Method::POST, &format!("{}/reload", gateway.admin));
        asked = asked.header("authorization", format!("Bearer {token}"));
        if let Some(origin) = origin {
            asked = asked.header("origin", origin);
        }
        asked.send().await.expect("an answer")
    };
    let refused = reload("0123456789abcdeg", None).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        header(&refused, "www-authenticate"),
        Some("Bearer realm=\"admin\"")
    );
    assert_eq!(
        reload("0123456789abcdef", Some("https://evil"))
            .await
            .status(),
        400
    );
    let done = reload("0123456789abcdef", None).await;
    assert_eq!(done.status(), 200);
    assert_eq!(body(done).await["status"], "reloaded");
    folder.write("things.graphql", "type Query { a: Sting }");
    let wrong = reload("0123456789abcdef", None).await;
    assert_eq!(wrong.status(), 422);
    let wrong = body(wrong).await;
    assert!(
        wrong["codes"]
            .as_array()
            .is_some_and(|codes| !codes.is_empty()),
        "{wrong}"
    );
    assert_eq!(
        gateway
            .get(&format!("{}/health/live", gateway.admin))
            .await
            .status(),
        200
    );
    let log = gateway.log();
    let audit: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"audit\""))
        .collect();
    let outcomes = ["unauthenticated", "unauthenticated", "done", "refused"];
    assert_eq!(audit.len(), outcomes.len(), "{log}");
    for (line, outcome) in audit.iter().zip(outcomes) {
        assert!(
            line.contains(&format!("\"outcome\":\"{outcome}\"")),
            "{line}"
        );
        assert!(!line.contains("0123456789abcde"), "{line}");
    }
    assert!(
        audit[2].contains("\"operator\":\"deploy\"") && audit[2].contains("127.0.0.1"),
        "{}",
        audit[2]
    );
}

#[tokio::test]
async fn a_gateway_whose_admin_port_is_open_to_others_does_not_start() {
    let service = Scripted::open(THING).await;
    let folder = service.folder("");
    let config = folder.file("switchboard.yaml");
    let arguments = [
        "serve",
        "--config",
        config.to_str().expect("a path"),
        "--admin-listen",
        "0.0.0.0:0",
    ];
    let (code, _, told) = run(&arguments, &[("THINGS_URL", "http://127.0.0.1:1")]).await;
    assert_eq!(code, 1);
    assert!(
        told.contains("OPEN_ADMIN_PORT") && told.contains("admin.tokens"),
        "{told}"
    );
}

#[tokio::test]
async fn a_body_that_is_compressed_is_not_read() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let mut raw = Raw::connect(&gateway).await;
    let sent = post("\x1f\u{b}").replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    raw.send(sent.as_bytes()).await;
    assert_eq!(raw.reply().await.expect("an answer").status, 415);
}
