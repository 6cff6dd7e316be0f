//! What an operation may be and may cost, through the real binary.

use std::time::Instant;

use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Scripted;

const THREE: &str =
    r#"[{ "id": 1, "name": "a" }, { "id": 2, "name": "b" }, { "id": 3, "name": "c" }]"#;

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(config);
    let gateway = start(&folder, service).await;
    (folder, gateway)
}

async fn start(folder: &Folder, service: &Scripted) -> Gateway {
    service.gateway(folder).await
}

fn error(answer: &Json) -> (&str, &str) {
    let error = &answer["errors"][0];
    (
        error["extensions"]["code"].as_str().unwrap_or_default(),
        error["message"].as_str().unwrap_or_default(),
    )
}

#[tokio::test]
async fn each_limit_has_its_own_code_and_says_what_is_allowed() {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let config = "limits: { characters: 200, tokens: 40, nesting: 6, operations: 1, depth: 2, introspection_depth: 3, \
                  root_fields: 2, aliases: 1, directives: 1, variables: 1, input_nesting: 1 }\ndev: { introspection: true }";
    let (_folder, gateway) = gateway(&service, config).await;
    let long = format!("{{ thing(id: 1) {{ name }} }} # {}", "x".repeat(200));
    let many = "{ thing(id: 1) { ".to_owned() + &"id ".repeat(45) + "} }";
    let cases = [
        (&*long, "DOCUMENT_TOO_LARGE", "at most 200"),
        (&many, "TOO_MANY_TOKENS", "at most 40"),
        (
            "{ thing(id: [[[[[1]]]]]) { name } }",
            "DOCUMENT_TOO_NESTED",
            "at most 6",
        ),
        (
            "query A { count } query B { count }",
            "TOO_MANY_OPERATIONS",
            "at most 1",
        ),
        (
            "{ __schema { types { fields { name } } } }",
            "INTROSPECTION_TOO_DEEP",
            "4 fields deep",
        ),
        (
            "{ count thing(id: 1) { id } things { id } }",
            "TOO_MANY_ROOT_FIELDS",
            "3 root fields",
        ),
        ("{ a: count b: count }", "TOO_MANY_ALIASES", "2 aliases"),
        (
            "{ count @skip(if: false) @include(if: true) }",
            "TOO_MANY_DIRECTIVES",
            "2 directives",
        ),
        (
            "query($a: ID! $b: ID!) { thing(id: $a) { id } }",
            "TOO_MANY_VARIABLES",
            "2 variables",
        ),
        (
            "{ thing(id: [[1]]) { name } }",
            "INPUT_TOO_NESTED",
            "2 lists and objects",
        ),
    ];
    for (query, code, words) in cases {
        let response = gateway.post(&json!({ "query": query })).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 400, "{query}");
        let answer = body(response).await;
        let (found, message) = error(&answer);
        assert_eq!(found, code, "{query}: {message}");
        assert!(message.contains(words), "{query}: {message}");
        assert!(
            answer["errors"][0]["extensions"]["limit"].is_u64(),
            "{answer}"
        );
    }
    let variables =
        json!({ "query": "query($a: ID!) { thing(id: $a) { id } }", "variables": { "a": [[1]] } });
    let answer = body(gateway.post(&variables).send().await.expect("an answer")).await;
    assert_eq!(error(&answer).0, "INPUT_TOO_NESTED");
    let fine = gateway.ask("{ thing(id: 1) { name } count }").await;
    assert!(fine["errors"][0]["extensions"]["code"] != "OPERATION_TOO_DEEP");
}

#[tokio::test]
async fn depth_is_counted_through_fragments() {
    let sdl = super::scripted::THINGS.replace(
        "type Thing { id: ID! name: String }",
        "type Thing { id: ID! name: String part: Thing }",
    );
    let service = Scripted::open("{}").await;
    let folder = service.folder("limits: { depth: 2 }");
    folder.write("things.graphql", &sdl);
    let gateway = start(&folder, &service).await;
    let query = "{ thing(id: 1) { ...F } } fragment F on Thing { part { id } }";
    let answer = gateway.ask(query).await;
    assert_eq!(
        error(&answer),
        (
            "OPERATION_TOO_DEEP",
            "The operation is 3 fields deep, and at most 2 are allowed."
        )
    );
}

#[tokio::test]
async fn what_is_measured_is_told_once_and_refuses_nothing() {
    let service = Scripted::open("3").await;
    let config = "limits: { aliases: { max: 1, mode: measure }, cost: measure }";
    let (_folder, gateway) = gateway(&service, config).await;
    for _ in 0..3 {
        let answer = gateway.ask("query Twice { a: count b: count }").await;
        assert_eq!(answer, json!({ "data": { "a": 3, "b": 3 } }));
    }
    let log = gateway.log();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("aliases"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    for word in ["Twice", "measured", "hash"] {
        assert!(told[0].contains(word), "{}", told[0]);
    }
}

#[tokio::test]
async fn what_costs_too_much_is_refused_before_any_call() {
    let mut service = Scripted::open(THREE).await;
    let (_folder, gateway) = gateway(&service, "limits: { cost: 15 }").await;
    let answer = gateway.ask("{ a: things { id } b: things { id } }").await;
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "COST_LIMIT_EXCEEDED");
    assert_eq!(
        (&extensions["requested"], &extensions["limit"]),
        (&json!(20), &json!(15))
    );
    assert!(
        error(&answer).1.contains("costs 20, and at most 15"),
        "{answer}"
    );
    gateway.ask("{ things { id } }").await;
    assert_eq!(service.next().await.target, "GET /things");
}

#[tokio::test]
async fn an_application_author_reads_the_cost_beside_the_answer() {
    let service = Scripted::open(THREE).await;
    let (_folder, gateway) = gateway(&service, "").await;
    let query = "{ things { id } }";
    let expected = json!({ "cost": { "requested": 10, "actual": 3, "limit": 5000 } });
    let asked = json!({ "query": query, "extensions": { "cost": true } });
    let answer = body(gateway.post(&asked).send().await.expect("an answer")).await;
    assert_eq!(answer["extensions"], expected);
    let by_header = gateway.post(&json!({ "query": query }));
    let by_header = by_header.header("x-switchboard-cost", "1").send().await;
    assert_eq!(
        body(by_header.expect("an answer")).await["extensions"],
        expected
    );
    assert_eq!(gateway.ask(query).await["extensions"], Json::Null);
}

#[tokio::test]
async fn an_operator_may_keep_costs_to_himself() {
    let service = Scripted::open(THREE).await;
    let (_folder, gateway) = gateway(&service, "cost: { expose: false }").await;
    let asked = json!({ "query": "{ things { id } }", "extensions": { "cost": true } });
    let answer = body(gateway.post(&asked).send().await.expect("an answer")).await;
    assert_eq!(answer["extensions"], Json::Null);
}

#[tokio::test]
async fn an_answer_longer_than_was_charged_is_withheld_where_the_operator_wants_it() {
    let service = Scripted::open(THREE).await;
    let (_folder, gateway) = gateway(&service, "cost: { list_size: 2, longer: error }").await;
    let answer = gateway.ask("{ things { id } }").await;
    assert_eq!(answer["data"], Json::Null);
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "COST_UNDERESTIMATED");
    assert_eq!(
        (&extensions["requested"], &extensions["actual"]),
        (&json!(2), &json!(3))
    );
}

#[tokio::test]
async fn a_source_has_a_budget_of_its_own() {
    let service = Scripted::open(THREE).await;
    let folder = service.folder("");
    folder.write(
        "switchboard.yaml",
        "subgraphs:\n  things: { schema: things.graphql, env: [THINGS_URL], sources: { things: { cost: { max: 9 } } } }\n",
    );
    let gateway = start(&folder, &service).await;
    let answer = gateway.ask("{ things { id } }").await;
    let (code, message) = error(&answer);
    assert_eq!(code, "COST_LIMIT_EXCEEDED");
    assert!(
        message.contains("\"things\" answers costs 10, and at most 9"),
        "{message}"
    );
}

#[tokio::test]
async fn the_commands_print_weights_and_costs() {
    let sdl = super::scripted::THINGS.replace(
        "@rest(GET: \"/things\")",
        "@rest(GET: \"/things\") @cost(weight: 3) @listSize(assumedSize: 7)",
    );
    let service = Scripted::open("[]").await;
    let folder = service.folder("");
    folder.write("things.graphql", &sdl);
    folder.write("operation.graphql", "{ things { id } }");
    let config = folder.file("switchboard.yaml").display().to_string();
    let operation = folder.file("operation.graphql").display().to_string();
    let env = [("THINGS_URL", "http://127.0.0.1:1")];
    let (code, printed, errors) = run(&["compose", "--config", &config], &env).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        printed.contains("things: [Thing!] @cost(weight: \"3\") @listSize(assumedSize: 7)"),
        "{printed}"
    );
    let (code, printed, errors) = run(&["plan", "--config", &config, &operation], &env).await;
    assert_eq!(code, 0, "{errors}");
    assert!(printed.contains("cost: 21"), "{printed}");
}

#[tokio::test]
#[allow(
    clippy::print_stdout,
    reason = "the figure is what the test is read for"
)]
async fn json_a_million_levels_deep_is_refused_at_once() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "").await;
    gateway.ask("{ count }").await;
    let bomb = "[".repeat(1_000_000);
    let bomb = format!("{{\"query\":\"{{a}}\",\"variables\":{{\"x\":{bomb}");
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let request = gateway.post(&Json::Null).body(bomb.clone());
        let began = now();
        let response = request.send().await.expect("an answer");
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e3);
        assert!([400, 413].contains(&response.status().as_u16()));
    }
    let bound = if cfg!(debug_assertions) { 100.0 } else { 5.0 };
    println!("JSON a million levels deep: {fastest:.1} ms, a megabyte's transport included");
    assert!(fastest < bound, "{fastest} ms");
}

#[allow(clippy::disallowed_methods, reason = "the time of another process")]
fn now() -> Instant {
    Instant::now()
}
