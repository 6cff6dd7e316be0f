//! The attack table: hostile inputs, and what the real binary makes of each.
//!
//! A row is what is sent over one connection, the status that comes back (0
//! where the connection is closed without one) and, where there is one, a part
//! of the answer. Each row is answered in time, no answer tells what is inside,
//! what the process holds does not grow, and afterwards an honest query is
//! answered.

use std::time::Duration;

use tokio::time::Instant;

use super::floods::most_memory;
use super::raw::Raw;
use super::raw::Reply;
use super::raw::post;
use super::scripted::Scripted;

/// Generous: the binary under test is not optimised, and tests run beside each other.
const TIME: Duration = Duration::from_secs(5);
/// All rows together, in KiB: one body of 1 MiB is the most that is read at once.
const MEMORY: u64 = 96 * 1024;

/// One hostile input.
struct Attack {
    name: String,
    sent: Vec<u8>,
    status: u16,
    part: &'static str,
}

fn attack(name: &str, sent: impl Into<Vec<u8>>, status: u16, part: &'static str) -> Attack {
    Attack {
        name: name.into(),
        sent: sent.into(),
        status,
        part,
    }
}

#[tokio::test]
async fn hostile_inputs_are_answered_in_time_and_in_bounded_memory() {
    let service = Scripted::open("{}").await;
    let folder = service.folder("timeouts: { headers: 1s, body: 1s, idle: 2s }");
    let gateway = service.gateway(&folder).await;
    gateway.ask("{ __typename }").await;
    let before = most_memory(&gateway);
    let attacks = all();
    assert!(attacks.len() >= 100, "{} rows", attacks.len());
    let mut wrong = Vec::new();
    for attack in &attacks {
        let begun = Instant::now();
        let mut raw = Raw::connect(&gateway).await;
        raw.send(&attack.sent).await;
        let reply = raw.reply().await;
        if let Some(why) = judge(attack, reply.as_ref(), begun.elapsed()) {
            wrong.push(format!("{}: {why}", attack.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let grown = most_memory(&gateway).saturating_sub(before);
    assert!(grown < MEMORY, "it grew by {grown} KiB");
    let honest = gateway.ask("{ __typename }").await;
    assert_eq!(honest["data"]["__typename"], "Query");
}

/// What is wrong with the answer to an attack.
fn judge(attack: &Attack, reply: Option<&Reply>, took: Duration) -> Option<String> {
    let status = reply.map_or(0, |reply| reply.status);
    let told = reply
        .map(|reply| format!("{}{}", reply.head, reply.body))
        .unwrap_or_default();
    let short: String = told.chars().take(600).collect();
    if status != attack.status {
        return Some(format!("{status} instead of {}: {short}", attack.status));
    }
    if !told.contains(attack.part) {
        return Some(format!("lacks `{}`: {short}", attack.part));
    }
    if ["127.0.0.1", "panicked", ".rs:", "RUST_BACKTRACE"]
        .iter()
        .any(|inside| told.contains(inside))
    {
        return Some(format!("tells what is inside: {short}"));
    }
    (took > TIME).then(|| format!("took {took:?}"))
}

fn all() -> Vec<Attack> {
    let tables = [
        framing(),
        headers(),
        addresses(),
        bodies(),
        documents(),
        variables(),
        cross_site(),
    ];
    tables.into_iter().flatten().collect()
}

const BAD: &str = "/problems/malformed-request";

fn framing() -> Vec<Attack> {
    let rows = [
        ("nonsense", "nonsense\r\n\r\n", 400),
        ("a NUL in the method", "GE\0T / HTTP/1.1\r\n\r\n", 400),
        ("no version", "GET /graphql\r\n\r\n", 400),
        (
            "a version that is none",
            "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
            400,
        ),
        (
            "another protocol",
            "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
            400,
        ),
        (
            "a space before the colon",
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            400,
        ),
        (
            "a header without a name",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
            400,
        ),
        (
            "a header without a colon",
            "GET / HTTP/1.1\r\nhost a\r\n\r\n",
            400,
        ),
        (
            "a NUL in a header",
            "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
            400,
        ),
        (
            "a folded header",
            "GET / HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
            400,
        ),
        (
            "a length that is none",
            "POST /graphql HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            400,
        ),
        (
            "a negative length",
            "POST /graphql HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            400,
        ),
        (
            "a length with a sign",
            "POST /graphql HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
            400,
        ),
        (
            "two lengths",
            "POST /graphql HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            400,
        ),
        (
            "an overflowing length",
            "POST /graphql HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            400,
        ),
        (
            "an encoding that is unknown",
            "POST /graphql HTTP/1.1\r\ntransfer-encoding: cow\r\n\r\n",
            400,
        ),
        (
            "chunked, but not last",
            "POST /graphql HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            400,
        ),
    ];
    rows.map(|(name, sent, status)| attack(name, sent, status, BAD))
        .into()
}

fn json_post(headers: &str, body: &str) -> String {
    post(body).replacen(
        "host: gateway\r\n",
        &format!("host: gateway\r\n{headers}"),
        1,
    )
}

fn headers() -> Vec<Attack> {
    let query = r#"{"query":"{ __typename }"}"#;
    let typed = |value: &str| json_post("", query).replace("application/json", value);
    let mut rows = vec![
        attack(
            "101 headers",
            format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)),
            431,
            "/problems/headers-too-large",
        ),
        attack(
            "10,000 headers",
            format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000)),
            431,
            "/problems/headers-too-large",
        ),
        attack(
            "a header of 1 MiB",
            format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)),
            431,
            "/problems/headers-too-large",
        ),
        attack(
            "a name of 100 KB",
            format!("GET / HTTP/1.1\r\n{}: y\r\n\r\n", "x".repeat(100_000)),
            431,
            "/problems/headers-too-large",
        ),
        attack(
            "a correlation id with quotes",
            json_post("x-correlation-id: \"}{\"\r\n", query),
            200,
            "\"__typename\":\"Query\"",
        ),
        attack(
            "a trace that is none",
            json_post("traceparent: 00-zz-zz-zz\r\n", query),
            200,
            "\"__typename\":\"Query\"",
        ),
        attack(
            "an upgrade",
            json_post("upgrade: websocket\r\nconnection: upgrade\r\n", query),
            200,
            "\"__typename\":\"Query\"",
        ),
        attack(
            "a poisoned host",
            json_post("x-forwarded-host: evil\r\n", "[]"),
            400,
            "http://localhost:",
        ),
        attack(
            "an endless Accept",
            json_post(&format!("accept: {}\r\n", "a/b,".repeat(5_000)), query),
            406,
            "/problems/not-acceptable",
        ),
        attack(
            "Accept of something else",
            json_post("accept: text/html\r\n", query),
            406,
            "/problems/not-acceptable",
        ),
    ];
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-7",
        "application/graphql",
        "application/xml",
        "text/plain; application/json",
        "application/json, text/plain",
    ] {
        rows.push(attack(
            value,
            typed(value),
            415,
            "/problems/unsupported-media-type",
        ));
    }
    for method in [
        "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "BREW",
    ] {
        let sent = json_post("", query).replacen("POST", method, 1);
        rows.push(attack(method, sent, 405, "allow: GET, POST"));
    }
    rows
}

fn addresses() -> Vec<Attack> {
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: a\r\ngraphql-require-preflight: 1\r\n\r\n")
    };
    let mut rows = vec![
        attack(
            "an address of 20 KB",
            get(&format!("/{}", "x".repeat(20_000))),
            414,
            "/problems/uri-too-long",
        ),
        attack(
            "a query string of 20 KB",
            get(&format!("/graphql?query={}", "x".repeat(20_000))),
            414,
            "/problems/uri-too-long",
        ),
        attack("GET without a query", get("/graphql"), 400, BAD),
        attack(
            "GET with broken escapes",
            get("/graphql?query=%zz"),
            200,
            "GRAPHQL_PARSE_FAILED",
        ),
        attack(
            "GET with variables that are none",
            get("/graphql?query=%7Ba%7D&variables=%5B%5D"),
            400,
            BAD,
        ),
        attack(
            "GET with deep variables",
            get(&format!(
                "/graphql?query=%7Ba%7D&variables={}",
                "%5B".repeat(100)
            )),
            400,
            "64 levels",
        ),
        attack(
            "GET with query twice",
            get("/graphql?query=a&query=b"),
            400,
            BAD,
        ),
        attack(
            "a mutation over GET",
            get("/graphql?query=mutation%7Brename(id:1,name:%22a%22)%7Bid%7D%7D"),
            405,
            "allow: POST",
        ),
    ];
    for path in [
        "/",
        "/graphql/",
        "//graphql",
        "/GRAPHQL",
        "/../etc/passwd",
        "/playground",
        "/playground/../../Cargo.toml",
        "/playground/%2e%2e/x",
        "/problems/..%2f..%2fREADME",
        "/problems/no-such",
        "/metrics",
        "/reload",
        "/admin",
        "/.env",
        "/.git/config",
    ] {
        rows.push(attack(path, get(path), 404, "/problems/not-found"));
    }
    rows
}

fn bodies() -> Vec<Attack> {
    let announced = |length: usize| {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{{"
        )
    };
    let chunked = |body: &str| {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        )
    };
    let mut rows = vec![
        attack(
            "2 GiB announced",
            announced(2 << 30),
            413,
            "/problems/body-too-large",
        ),
        attack(
            "one byte too many announced",
            announced((1 << 20) + 1),
            413,
            "/problems/body-too-large",
        ),
        attack(
            "a body that stops",
            announced(100),
            408,
            "/problems/request-timeout",
        ),
        attack(
            "chunks without end",
            chunked("1000\r\n"),
            408,
            "/problems/request-timeout",
        ),
        attack("a chunk whose size is none", chunked("xyz\r\n"), 400, BAD),
        attack(
            "a chunk of 2^64 bytes",
            chunked("fffffffffffffffff\r\n"),
            400,
            BAD,
        ),
        attack(
            "JSON a million levels deep",
            post(&"[".repeat(1_000_000)),
            400,
            "batching-off",
        ),
        attack(
            "an object a hundred thousand levels deep",
            post(&r#"{"a":"#.repeat(100_000)),
            400,
            "64 levels",
        ),
        attack(
            "a string of a megabyte that does not end",
            post(&format!("{{\"query\":\"{}", "x".repeat(1_000_000))),
            400,
            BAD,
        ),
        attack(
            "a list of operations",
            post(r#"[{"query":"{__typename}"}]"#),
            400,
            "batching-off",
        ),
        attack(
            "a hundred thousand operations",
            post(&format!("[{}{{}}]", "{},".repeat(100_000))),
            400,
            "batching-off",
        ),
        attack(
            "a hundred thousand members",
            post(&format!(
                "{{{}\"query\":\"{{__typename}}\"}}",
                "\"a\":1,".repeat(100_000)
            )),
            200,
            "\"Query\"",
        ),
    ];
    for body in [
        "",
        " ",
        "null",
        "0",
        "true",
        "\"{a}\"",
        "{",
        "{}",
        "{]",
        "{\"query\":}",
        "{\"query\":1}",
        "{\"query\":null}",
        "{\"query\":[\"{a}\"]}",
        "{\"query\":{\"a\":1}}",
        "{\"query\":\"{a}\"",
        "{\"query\":\"{a}\"}}",
        "{'query':'{a}'}",
        "{\"query\":\"\\ud800\"}",
        "{\"query\":\"\\x\"}",
        "{\"query\":\"{a}\",\"variables\":[]}",
        "{\"query\":\"{a}\",\"variables\":1e999}",
        "{\"query\":\"{a}\",\"operationName\":{}}",
        "{\"query\":\"{a}\",\"extensions\":[]}",
    ] {
        rows.push(attack(body, post(body), 400, BAD));
    }
    let mut latin = post("{\"query\":\"_\"}").into_bytes();
    let at = latin.len() - 3;
    latin[at] = 0xff;
    rows.push(attack("a body that is not UTF-8", latin, 400, BAD));
    rows
}

/// GraphQL refusals are 400 only where the client accepts their own media type.
fn graphql(document: &str, variables: &str) -> String {
    let body = format!(
        "{{\"query\":{},\"variables\":{variables}}}",
        serde_json::Value::from(document)
    );
    json_post("accept: application/graphql-response+json\r\n", &body)
}

fn documents() -> Vec<Attack> {
    let doubling = |levels: usize| {
        let mut text = String::from("{ ...F0 }");
        for level in 0..levels {
            let next = level + 1;
            text.push_str(&format!(
                " fragment F{level} on Query {{ ...F{next} ...F{next} }}"
            ));
        }
        format!("{text} fragment F{levels} on Query {{ __typename }}")
    };
    let aliases = (0..2_000)
        .map(|n| format!("a{n}: __typename "))
        .collect::<String>();
    let conflicts = (0..400)
        .map(|n| format!("a: thing(id: {n}) {{ id }} "))
        .collect::<String>();
    let rows: [(&str, String); 23] = [
        ("an empty document", String::new()),
        ("a comment", "# nothing".into()),
        ("a bracket that does not close", "{".into()),
        ("a hundred thousand brackets", "{".repeat(100_000)),
        (
            "ten thousand levels",
            format!("{}a{}", "{a".repeat(5_000), "}".repeat(5_000)),
        ),
        ("a NUL", "{ a\0 }".into()),
        ("half a string", "{ thing(id: \"".into()),
        ("half a block string", "{ thing(id: \"\"\"".into()),
        ("an unknown field", "{ nothing }".into()),
        (
            "an unknown argument",
            "{ thing(id: 1, x: 2) { id } }".into(),
        ),
        ("introspection", "{ __schema { types { name } } }".into()),
        (
            "deep introspection",
            format!(
                "{{ __schema {}{} }}",
                "{ types { fields { type ".repeat(10),
                "} } }".repeat(10)
            ),
        ),
        ("two thousand aliases", format!("{{ {aliases} }}")),
        ("conflicting fields", format!("{{ {conflicts} }}")),
        (
            "a fragment that spreads itself",
            "{ ...A } fragment A on Query { ...A }".into(),
        ),
        (
            "fragments that spread each other",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".into(),
        ),
        ("a fragment that is not there", "{ ...Nothing }".into()),
        ("a fragment on nothing", "{ ... on Nothing { a } }".into()),
        (
            "twenty thousand characters",
            format!("{{ __typename }} #{}", "x".repeat(20_000)),
        ),
        (
            "five thousand tokens",
            format!("{{ {} }}", "a ".repeat(5_000)),
        ),
        (
            "a thousand directives",
            format!("{{ __typename {} }}", "@skip(if: false) ".repeat(500)),
        ),
        ("a subscription", "subscription { a }".into()),
        ("a schema", "type Query { a: Int }".into()),
    ];
    let mut table: Vec<Attack> = rows
        .into_iter()
        .map(|(name, document)| attack(name, graphql(&document, "{}"), 400, "\"errors\""))
        .collect();
    let number = format!("{{ thing(id: {}) {{ name }} }}", "9".repeat(14_000));
    table.push(attack(
        "a number of 14,000 digits",
        graphql(&number, "{}"),
        200,
        "\"data\"",
    ));
    // Fragments are looked at once, however often they are spread: this is an honest answer.
    table.push(attack(
        "sixty levels of doubling fragments",
        graphql(&doubling(60), "{}"),
        200,
        "\"Query\"",
    ));
    table.push(attack(
        "eight levels of doubling fragments",
        graphql(&doubling(8), "{}"),
        200,
        "\"Query\"",
    ));
    table
}

fn variables() -> Vec<Attack> {
    let ask = |variables: &str| graphql("query($id: ID!) { thing(id: $id) { id } }", variables);
    [
        ("no variable where one is needed", "{}"),
        ("null where none may be", "{\"id\":null}"),
        ("an object for an id", "{\"id\":{}}"),
        ("a list for an id", "{\"id\":[]}"),
        ("a fraction for an id", "{\"id\":1.5}"),
        ("a boolean for an id", "{\"id\":true}"),
    ]
    .map(|(name, variables)| attack(name, ask(variables), 400, "BAD_USER_INPUT"))
    .into()
}

fn cross_site() -> Vec<Attack> {
    let get = |headers: &str| {
        format!("GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
    };
    [
        ("a link", ""),
        (
            "an image",
            "sec-fetch-mode: no-cors\r\nsec-fetch-site: cross-site\r\n",
        ),
        (
            "a form",
            "sec-fetch-mode: navigate\r\norigin: https://evil\r\n",
        ),
        (
            "a script of another origin",
            "sec-fetch-mode: cors\r\norigin: https://evil\r\n",
        ),
        (
            "a script of the same site",
            "sec-fetch-mode: cors\r\nsec-fetch-site: same-site\r\n",
        ),
        ("a page that names no origin", "origin: null\r\n"),
    ]
    .map(|(name, headers)| attack(name, get(headers), 400, "/problems/cross-site-request"))
    .into()
}
