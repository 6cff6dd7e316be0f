//! What a caller may not see, with the real binary: modes, refusals, and what operators read.

use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Scripted;
use super::scripted::THINGS;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;
const QUERY: &str = "query Named { thing(id: 1) { id name } count }";

/// `name` is for whoever is authenticated, `count` for those with a scope.
fn protected() -> String {
    THINGS
        .replace("name: String }", "name: String @authenticated }")
        .replace(
            "count: Int",
            "count: Int @requiresScopes(scopes: [[\"counts\"]])",
        )
}

fn folder(authorization: &str) -> Folder {
    let config = format!(
        "authorization: {authorization}\nsubgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL] }}\n"
    );
    Folder::new(&[
        ("switchboard.yaml", &config),
        ("things.graphql", &protected()),
    ])
}

async fn started(authorization: &str) -> (Scripted, Folder, Gateway) {
    let service = Scripted::open(THING).await;
    let folder = folder(authorization);
    let url = service.url();
    let env = [("THINGS_URL", url.as_str())];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (service, folder, gateway)
}

/// Codes and paths of the errors.
fn told(response: &Json) -> Json {
    let errors = response["errors"].as_array().into_iter().flatten();
    let told = errors.map(|it| json!([it["path"], it["extensions"]["code"]]));
    told.collect()
}

#[tokio::test]
async fn what_is_denied_is_null_by_default() {
    for config in [
        "{}",
        "{ mode: enforce, on_denied: null }",
        "{ on_denied: \"null\" }",
    ] {
        let (mut service, _folder, gateway) = started(config).await;
        let answer = gateway.ask(QUERY).await;
        assert_eq!(
            answer["data"],
            json!({ "thing": { "id": "1", "name": null }, "count": null })
        );
        let expected = json!([
            [["thing", "name"], "UNAUTHENTICATED"],
            [["count"], "UNAUTHENTICATED"]
        ]);
        assert_eq!(told(&answer), expected);
        assert_eq!(service.next().await.target, "GET /things/1");
        // The next request that the service sees is another one: nobody asked for the count.
        gateway.ask("{ things { id } }").await;
        assert_eq!(service.next().await.target, "GET /things");
    }
}

#[tokio::test]
async fn a_refusal_is_401_and_makes_no_call() {
    let (mut service, _folder, gateway) = started("{ on_denied: refuse }").await;
    let response = gateway.post(&json!({ "query": QUERY })).send().await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), 401);
    let answer = body(response).await;
    assert_eq!(answer.get("data"), None);
    assert_eq!(
        answer["errors"][0]["message"],
        "Thing.name needs a verified identity."
    );
    assert_eq!(
        answer["errors"][1]["message"],
        "Query.count needs the scope `counts`."
    );
    gateway.ask("{ things { id } }").await;
    assert_eq!(service.next().await.target, "GET /things");
}

#[tokio::test]
async fn what_is_only_measured_is_read_and_logged() {
    let (_service, _folder, gateway) = started("{ mode: measure, on_denied: refuse }").await;
    let answer = gateway
        .ask("query Named { thing(id: 1) { id name } }")
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "thing": { "id": "1", "name": "one" } } })
    );
    let log = gateway.log();
    assert!(log.contains("READ BY EVERYBODY"), "{log}");
    assert!(log.contains("would be denied"), "{log}");
    for word in [
        "Named",
        "UNAUTHENTICATED",
        "Thing.name needs a verified identity.",
    ] {
        assert!(log.contains(word), "{word} in {log}");
    }
}

#[tokio::test]
async fn whoever_turns_it_off_is_warned() {
    let (_service, _folder, gateway) = started("{ mode: off }").await;
    let answer = gateway.ask("{ thing(id: 1) { id name } }").await;
    assert_eq!(
        answer,
        json!({ "data": { "thing": { "id": "1", "name": "one" } } })
    );
    let log = gateway.log();
    assert!(
        log.contains("READ BY EVERYBODY") && !log.contains("would be denied"),
        "{log}"
    );
}

/// Two API keys, as `switchboard api-key new` would write them: one may see counts.
pub(super) const KEYS: &str = "
- { id: granted, hash: 92eaf108a212c3a204b1eb1445df8069bcd010f0cd2de9ea8c852f29edc3ce68, scopes: [names] }
- { id: denied, hash: 460c110111e5d13dfc58fcf6ed50587615e42e51c7ff70fa52fe38eb58eb715e, scopes: [other] }
";

#[tokio::test]
async fn identities_at_once_see_what_each_of_them_may_see() {
    let mut service = Scripted::closed(THING).await;
    let folder = Folder::new(&[
        (
            "switchboard.yaml",
            "authentication: { api_keys: { file: keys.yaml } }\nsubgraphs:\n  things: { schema: things.graphql, env: [THINGS_URL] }\n",
        ),
        ("keys.yaml", KEYS),
        (
            "things.graphql",
            &THINGS.replace(
                "name: String }",
                "name: String @requiresScopes(scopes: [[\"names\"]]) }",
            ),
        ),
    ]);
    let url = service.url();
    let env = [("THINGS_URL", url.as_str())];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    let query = json!({ "query": "{ thing(id: 1) { id name } }" });
    let asked = |key: Option<&str>| {
        let request = gateway.post(&query);
        let request = match key {
            Some(key) => request.header("x-api-key", key.to_owned()),
            None => request,
        };
        tokio::spawn(request.send())
    };
    let callers = [
        Some("granted-key"),
        Some("denied-key"),
        None,
        Some("granted-key"),
    ];
    let answers = callers.map(asked);
    assert_eq!(service.next().await.target, "GET /things/1");
    service.release(callers.len());
    let mut seen = Vec::new();
    for answer in answers {
        let answer = body(answer.await.expect("a task").expect("an answer")).await;
        seen.push(json!([answer["data"]["thing"]["name"], told(&answer)]));
    }
    let denied = |code: &str| json!([null, [[["thing", "name"], code]]]);
    assert_eq!(seen[0], json!(["one", []]));
    assert_eq!(seen[1], denied("FORBIDDEN"));
    assert_eq!(seen[2], denied("UNAUTHENTICATED"));
    assert_eq!(seen[3], json!(["one", []]));
}

#[tokio::test]
async fn explain_and_plan_say_what_is_demanded_and_where() {
    let folder = folder("{}");
    let config = folder.file("switchboard.yaml").display().to_string();
    let env = [("THINGS_URL", "http://127.0.0.1:1")];
    let (code, output, errors) = run(&["explain", "--config", &config, "Thing.name"], &env).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        output.contains("  demands @authenticated, says Thing.name at "),
        "{output}"
    );
    assert!(output.contains("things.graphql:15:"), "{output}");

    folder.write("operation.graphql", QUERY);
    let operation = folder.file("operation.graphql").display().to_string();
    let (code, output, errors) = run(&["plan", "--config", &config, &operation], &env).await;
    assert_eq!(code, 0, "{errors}");
    for line in [
        "Query.count from things: GET /count  if @requiresScopes(scopes: [[\"counts\"]])\n",
        "  @authenticated protects Thing.name\n",
        "  @requiresScopes(scopes: [[\"counts\"]]) protects Query.count\n",
    ] {
        assert!(output.contains(line), "{line} in {output}");
    }
}
