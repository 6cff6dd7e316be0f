//! Who the gateway is to its sources: tokens that end, and tokens that are refused.

use serde_json::Value as Json;
use serde_json::json;
use tokio::time::timeout;

use super::PATIENCE;
use super::binary::Folder;
use super::binary::Gateway;
use super::lifecycle::until;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

/// What a token endpoint answers.
fn token(name: &str, seconds: u32) -> String {
    json!({ "access_token": name, "token_type": "Bearer", "expires_in": seconds }).to_string()
}

/// A gateway whose service wants tokens of this endpoint.
async fn gateway(service: &Scripted, tokens: &Scripted) -> (Folder, Gateway) {
    let endpoint = format!("{}/token", tokens.url());
    let oauth = format!(
        "{{ token_url: \"{endpoint}\", client_id: gateway, client_secret: \"hunter2\", scopes: [read] }}"
    );
    let source = format!("things: {{ credentials: {{ oauth2: {oauth} }} }}");
    let config = format!(
        "subgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL], sources: {{ {source} }} }}\n"
    );
    let folder = Folder::new(&[
        ("switchboard.yaml", &config),
        ("things.graphql", super::scripted::THINGS),
    ]);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

/// The answer to one operation, and what its call showed.
async fn shown(gateway: &Gateway, service: &mut Scripted) -> (Json, String) {
    let answer = gateway.ask("{ thing(id: 1) { name } }").await;
    let arrival = service.next().await;
    let shown = arrival.headers["authorization"].to_str().expect("text");
    (answer, shown.to_owned())
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_without_a_call_that_fails() {
    let mut tokens = Scripted::open(&token("first", 1)).await;
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, &tokens).await;
    let (answer, first) = shown(&gateway, &mut service).await;
    assert_eq!(first, "Bearer first");
    let good = json!({ "data": { "thing": { "name": "one" } } });
    assert_eq!(answer, good);
    let asked = tokens.next().await;
    assert_eq!(asked.target, "POST /token");
    let who = asked.headers["authorization"].to_str().expect("text");
    assert_eq!(who, "Basic Z2F0ZXdheTpodW50ZXIy");

    tokens.reply(200, "application/json", &token("second", 3600));
    let renewed = async {
        loop {
            let (answer, shown) = shown(&gateway, &mut service).await;
            assert_eq!(answer, good);
            match shown.as_str() {
                "Bearer first" => {}
                "Bearer second" => return,
                other => panic!("{other}"),
            }
        }
    };
    timeout(PATIENCE, renewed).await.expect("a token in time");
    let (_, kept) = shown(&gateway, &mut service).await;
    assert_eq!(kept, "Bearer second");
    assert_eq!(tokens.arrived().len(), 1, "one fetch renewed it for all");
}

#[tokio::test]
async fn a_token_that_the_service_refuses_is_replaced_for_the_next_call() {
    let mut tokens = Scripted::open(&token("withdrawn", 3600)).await;
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, &tokens).await;
    service.reply(401, "application/json", "{}");
    let (answer, used) = shown(&gateway, &mut service).await;
    assert_eq!(used, "Bearer withdrawn");
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1));
    assert!(service.arrived().is_empty(), "that call fails");

    tokens.reply(200, "application/json", &token("fresh", 3600));
    service.reply(200, "application/json", THING);
    let (answer, used) = shown(&gateway, &mut service).await;
    assert_eq!(used, "Bearer fresh");
    assert_eq!(answer["data"]["thing"]["name"], "one");
    assert_eq!(tokens.arrived().len(), 2);
    assert!(!gateway.log().contains("hunter2"), "{}", gateway.log());
}

#[tokio::test]
async fn without_a_token_the_service_is_not_called_and_the_client_learns_no_reason() {
    let tokens = Scripted::open("{}").await;
    tokens.reply(
        400,
        "application/json",
        r#"{ "error": "invalid_client", "error_description": "hunter2 is wrong" }"#,
    );
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, &tokens).await;
    let answer = gateway.ask("{ thing(id: 1) { name } }").await;
    let told = &answer["errors"][0];
    assert_eq!(
        told["extensions"]["code"], "UPSTREAM_UNAVAILABLE",
        "{answer}"
    );
    let text = answer.to_string();
    assert!(!text.contains("token") && !text.contains("invalid_client"));
    assert!(service.arrived().is_empty());
    until(|| gateway.log().contains("invalid_client")).await;
    assert!(!gateway.log().contains("hunter2"), "{}", gateway.log());
}
