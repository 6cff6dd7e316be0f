//! What a client above a rate limit is answered, and that exactly as many pass as the limit says.

use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Scripted;
use super::tls::Authority;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(config);
    let url = service.url();
    let config = folder.file("switchboard.yaml");
    let gateway = Gateway::start(&config, &[("THINGS_URL", &url)]).await;
    (folder, gateway)
}

fn query() -> Json {
    json!({ "query": "{ thing(id: 1) { name } }" })
}

async fn send(gateway: &Gateway, request: &Json) -> Response {
    gateway.post(request).send().await.expect("an answer")
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_refusal_says_what_was_exceeded_and_when_to_come_back() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, requests: 1, per: 1m, burst: 2 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    for _ in 0..2 {
        let answer = send(&gateway, &query()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "ratelimit"), "");
    }
    let refused = send(&gateway, &query()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    assert_eq!(header(&refused, "ratelimit-policy"), r#""slow";q=1;w=60"#);
    let after: u64 = header(&refused, "retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    let limit = header(&refused, "ratelimit").to_owned();
    assert_eq!(limit, format!(r#""slow";r=0;t={after}"#));
    let problem = body(refused).await;
    assert!(
        problem["type"]
            .as_str()
            .expect("a type")
            .ends_with("/problems/quota-exceeded")
    );
    assert_eq!(problem["violated-policies"], json!(["slow"]));
}

#[tokio::test]
async fn everybody_is_told_how_the_bucket_stands_where_that_is_configured() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: open, requests: 60, per: 1m, headers: always }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    let answer = send(&gateway, &query()).await;
    assert_eq!(header(&answer, "ratelimit"), r#""open";r=59;t=1"#);
    assert_eq!(header(&answer, "ratelimit-policy"), r#""open";q=60;w=60"#);
    let invalid = send(&gateway, &json!({ "query": "{ nothing }" })).await;
    assert_eq!(invalid.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(&invalid, "ratelimit"), r#""open";r=58;t=2"#);
}

#[tokio::test]
async fn a_bad_document_costs_as_much_as_a_good_one() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, requests: 1, per: 1h, burst: 2 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    for _ in 0..2 {
        let invalid = send(&gateway, &json!({ "query": "{ never closed" })).await;
        assert_eq!(invalid.status(), StatusCode::BAD_REQUEST);
    }
    let refused = send(&gateway, &query()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_is_no_graphql_request_costs_as_much_too() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, requests: 1, per: 1h, burst: 2 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    for expected in [400, 400, 429] {
        let malformed = gateway.post(&query()).body("no JSON");
        let answer = malformed.send().await.expect("an answer");
        assert_eq!(answer.status(), expected);
    }
}

#[tokio::test]
async fn exactly_as_many_parallel_requests_pass_as_the_bucket_holds_followers_included() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, key: $ip, requests: 1, per: 1h, burst: 7 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    let request = query();
    let asked = (0..50).map(|_| gateway.post(&request).send());
    let answers = futures_util::future::join_all(asked).await;
    let statuses = answers
        .into_iter()
        .map(|answer| answer.expect("an answer").status());
    assert_eq!(
        statuses.filter(|status| *status == StatusCode::OK).count(),
        7
    );
}

#[tokio::test]
async fn each_root_field_of_a_mutation_counts() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, requests: 1, per: 1h, burst: 12 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    let renames = |count: usize| {
        let fields = (0..count).map(|n| format!("a{n}: rename(id: 1, name: \"one\") {{ id }}"));
        json!({ "query": format!("mutation {{ {} }}", fields.collect::<Vec<_>>().join(" ")) })
    };
    assert_eq!(send(&gateway, &renames(10)).await.status(), StatusCode::OK);
    let refused = send(&gateway, &renames(3)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_no_bucket_ever_holds_is_not_a_quota_to_wait_for() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: slow, requests: 1, per: 1h, burst: 3 }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    let fields = (0..4).map(|n| format!("a{n}: rename(id: 1, name: \"one\") {{ id }}"));
    let query = format!("mutation {{ {} }}", fields.collect::<Vec<_>>().join(" "));
    let refused = send(&gateway, &json!({ "query": query })).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(&refused, "retry-after"), "");
    let problem = body(refused).await;
    assert_eq!(problem["code"], "COST_ABOVE_BURST");
    assert_eq!(problem["violated-policies"], json!(["slow"]));
}

#[tokio::test]
async fn a_limit_in_cost_counts_what_an_operation_may_bring() {
    let service = Scripted::open(THING).await;
    let limit = "rate_limits: [{ name: points, cost: 1, per: 1h, burst: 9, headers: always }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    let refused = send(&gateway, &json!({ "query": "{ things { name } }" })).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "a list is ten");
    assert_eq!(body(refused).await["code"], "COST_ABOVE_BURST");
    let invalid = send(&gateway, &json!({ "query": "{ nothing }" })).await;
    assert_eq!(
        header(&invalid, "ratelimit"),
        "",
        "a bad document has no cost"
    );
    for left in (0..9).rev() {
        let answer = send(&gateway, &query()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let told = header(&answer, "ratelimit").to_owned();
        assert!(told.starts_with(&format!("\"points\";r={left};")), "{told}");
    }
    let refused = send(&gateway, &query()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_buckets_of_their_own() {
    let service = Scripted::open(THING).await;
    let config = "client_address: { trusted_proxies: [127.0.0.1] }\n\
        rate_limits: [{ name: slow, key: $ip, requests: 1, per: 1h }]";
    let (_folder, gateway) = gateway(&service, config).await;
    let request = query();
    let from = async |address: &str| {
        let asked = gateway.post(&request).header("x-forwarded-for", address);
        asked.send().await.expect("an answer").status()
    };
    assert_eq!(from("192.0.2.1").await, StatusCode::OK);
    assert_eq!(from("192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(from("192.0.2.2").await, StatusCode::OK);
    assert_eq!(from("2001:db8::1").await, StatusCode::OK);
    let neighbour = from("2001:db8::2").await;
    assert_eq!(neighbour, StatusCode::TOO_MANY_REQUESTS, "one /64");
}

#[tokio::test]
async fn a_header_that_a_client_writes_leads_to_no_other_bucket() {
    let service = Scripted::open(THING).await;
    let key = "\"$apiKey.id ?? $claims.sub ?? $ip\"";
    let limit = format!("rate_limits: [{{ name: slow, key: {key}, requests: 1, per: 1h }}]");
    let (_folder, gateway) = gateway(&service, &limit).await;
    assert_eq!(send(&gateway, &query()).await.status(), StatusCode::OK);
    let request = query();
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.9"),
        ("forwarded", "for=192.0.2.9"),
        ("authorization", "Bearer made-up"),
        ("x-api-key", "made-up"),
    ] {
        let asked = gateway.post(&request).header(name, value).send();
        let status = asked.await.expect("an answer").status();
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
}

#[tokio::test]
async fn a_limit_that_is_measured_refuses_nobody_and_says_so_in_the_log() {
    let service = Scripted::open(THING).await;
    let limit =
        "rate_limits: [{ name: seen, requests: 1, per: 1h, mode: measure, headers: always }]";
    let (_folder, gateway) = gateway(&service, limit).await;
    for _ in 0..3 {
        assert_eq!(send(&gateway, &query()).await.status(), StatusCode::OK);
    }
    logged(&gateway, "only measured").await;
}

#[tokio::test]
async fn a_reload_fills_nobodys_bucket() {
    let service = Scripted::open(THING).await;
    let limit = "dev: { hot_reload: true }\nrate_limits: [{ name: slow, requests: 1, per: 1h }]";
    let (folder, gateway) = gateway(&service, limit).await;
    assert_eq!(send(&gateway, &query()).await.status(), StatusCode::OK);
    let graph = super::scripted::THINGS.replace("count: Int", "number: Int");
    folder.write("things.graphql", &graph);
    logged(&gateway, "a new graph is in service").await;
    let refused = send(&gateway, &query()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// Waits for a line of the log.
async fn logged(gateway: &Gateway, line: &str) {
    let log = async {
        while !gateway.log().contains(line) {
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(super::PATIENCE, log).await;
    told.expect("a line of the log");
}

#[tokio::test]
async fn a_key_that_a_client_can_vary_does_not_start() {
    let service = Scripted::open(THING).await;
    let key = "$request.headers.x-user";
    let limit = format!("rate_limits: [{{ name: slow, key: {key}, requests: 1, per: 1h }}]");
    let folder = service.folder(&limit);
    let config = folder.file("switchboard.yaml");
    let config = config.to_str().expect("text");
    let url = service.url();
    let (code, _, told) = run(&["check", "--config", config], &[("THINGS_URL", &url)]).await;
    assert_eq!(code, 1);
    assert!(told.contains("whatever a client writes"), "{told}");
}

#[tokio::test]
async fn a_source_gets_no_more_calls_than_its_limit_says() {
    let mut service = Scripted::open(THING).await;
    let folder = service.folder("");
    let source = "sources: { things: { requests_per_second: 1 } }";
    let config = format!(
        "subgraphs: {{ things: {{ schema: things.graphql, env: [THINGS_URL], {source} }} }}"
    );
    folder.write("paced.yaml", &config);
    let url = service.url();
    let gateway = Gateway::start(&folder.file("paced.yaml"), &[("THINGS_URL", &url)]).await;
    let both = json!({ "query": "{ one: thing(id: 1) { id } two: thing(id: 2) { id } }" });
    let answer = body(send(&gateway, &both).await).await;
    let told = &answer["errors"][0]["extensions"];
    assert_eq!(told["code"], "RATE_LIMITED", "{answer}");
    let wait = told["retryAfterMs"].as_u64();
    assert!(wait.is_some_and(|wait| wait > 0), "{answer}");
    service.next().await;
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1));
}

/// A `redis-server` on a socket of the folder.
pub(super) async fn redis(folder: &Folder) -> tokio::process::Child {
    let socket = folder.file("redis.sock");
    let process = tokio::process::Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let process = process.expect("redis-server is needed: sudo apt-get install redis-server");
    let listens = async {
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let listens = tokio::time::timeout(super::PATIENCE, listens).await;
    listens.expect("Redis listens in time");
    process
}

#[tokio::test]
async fn two_gateways_over_one_redis_let_exactly_as_many_pass_as_the_limit_says() {
    let service = Scripted::open(THING).await;
    let folder = service.folder(
        "rate_limits: [{ name: shared, requests: 1, per: 1h, burst: 20 }]\n\
         rate_limit_store: { redis: { url: \"redis+unix://${SOCKET}\", timeout: 10s, on_failure: closed } }",
    );
    let mut redis = redis(&folder).await;
    let socket = folder.file("redis.sock");
    let socket = socket.to_str().expect("text");
    let url = service.url();
    let env = [("THINGS_URL", url.as_str()), ("SOCKET", socket)];
    let config = folder.file("switchboard.yaml");
    let gateways = [
        Gateway::start(&config, &env).await,
        Gateway::start(&config, &env).await,
    ];
    let request = query();
    let asked = (0..60).map(|n| gateways[n % 2].post(&request).send());
    let answers = futures_util::future::join_all(asked).await;
    let statuses = answers
        .into_iter()
        .map(|answer| answer.expect("an answer").status());
    assert_eq!(
        statuses.filter(|status| *status == StatusCode::OK).count(),
        20
    );
    redis.kill().await.expect("Redis stops");
    let away = send(&gateways[0], &request).await;
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&away, "retry-after"), "1");
}

/// A `redis-server` that speaks TLS only, with a certificate of the folder. Its port.
async fn redis_over_tls(folder: &Folder) -> (tokio::process::Child, u16) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let process = tokio::process::Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"])
        .arg("--tls-cert-file")
        .arg(folder.file("cert.pem"))
        .arg("--tls-key-file")
        .arg(folder.file("key.pem"))
        .arg("--tls-ca-cert-file")
        .arg(folder.file("ca.pem"))
        .args(["--requirepass", "sesame"])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let process = process.expect("redis-server is needed: sudo apt-get install redis-server");
    let listens = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    let listens = tokio::time::timeout(super::PATIENCE, listens).await;
    listens.expect("Redis listens in time");
    (process, port)
}

#[tokio::test]
async fn redis_is_spoken_to_over_tls_and_only_where_the_machine_trusts_its_certificate() {
    let service = Scripted::open(THING).await;
    let folder = service.folder(
        "rate_limits: [{ name: shared, requests: 1, per: 1h, burst: 2 }]\n\
         rate_limit_store: { redis: { url: \"rediss://:sesame@127.0.0.1:${PORT}\", timeout: 10s, on_failure: closed } }",
    );
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    folder.write("cert.pem", &certificate);
    folder.write("key.pem", &key);
    folder.write("ca.pem", &authority.pem());
    folder.write("other.pem", &Authority::new().pem());
    let (_redis, port) = redis_over_tls(&folder).await;
    let (url, port) = (service.url(), port.to_string());
    // What the machine trusts.
    let gateway = async |roots: &str| {
        let roots = folder.file(roots);
        let roots = roots.to_str().expect("text");
        let env = [
            ("THINGS_URL", &*url),
            ("PORT", &*port),
            ("SSL_CERT_FILE", roots),
        ];
        Gateway::start(&folder.file("switchboard.yaml"), &env).await
    };
    let (first, second) = (gateway("ca.pem").await, gateway("ca.pem").await);
    for (gateway, status) in [(&first, 200), (&second, 200), (&first, 429), (&second, 429)] {
        assert_eq!(send(gateway, &query()).await.status(), status);
    }
    let strange = gateway("other.pem").await;
    let refused = send(&strange, &query()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!strange.log().contains("sesame"), "{}", strange.log());
}

#[tokio::test]
async fn people_of_one_name_and_two_issuers_have_buckets_of_their_own() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = super::identity::two_issuers(
        &service,
        "rate_limits: [{ name: slow, key: $claims.sub, requests: 1, per: 1h, burst: 1 }]",
    )
    .await;
    let [id, partner] = super::identity::ISSUERS.map(|issuer| issuer.token("alice"));
    for (token, status) in [(&id, 200), (&id, 429), (&partner, 200), (&partner, 429)] {
        let asked = gateway.post(&json!({ "query": "{ shared { name } }" }));
        let answer = asked.bearer_auth(token).send().await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
}
