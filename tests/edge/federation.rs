//! Subgraphs that are GraphQL services of their own, by `subgraphs.NAME.url`.

use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Scripted;

const SUBGRAPH: &str = "type Query { count: Int }";

#[tokio::test]
async fn a_service_is_a_subgraph_by_its_schema_and_its_address() {
    let mut service = Scripted::open(r#"{ "data": { "count": 7 } }"#).await;
    let config = "subgraphs: { things: { schema: things.graphql, url: \"${THINGS}/graphql\" } }";
    let folder = Folder::new(&[("switchboard.yaml", config), ("things.graphql", SUBGRAPH)]);
    let env = [("THINGS", &*service.url())];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    let answer = gateway.ask("{ count }").await;
    assert_eq!(answer["data"], json!({ "count": 7 }));
    assert_eq!(service.next().await.target, "POST /graphql");
}

#[tokio::test]
async fn an_address_that_is_none_is_told_by_its_key() {
    let config = "subgraphs: { things: { schema: things.graphql, url: \"things:80\" } }";
    let folder = Folder::new(&[("switchboard.yaml", config), ("things.graphql", SUBGRAPH)]);
    let config = folder.file("switchboard.yaml");
    let config = config.to_str().expect("a path");
    let (code, _, errors) = run(&["check", "--config", config], &[]).await;
    assert_eq!(code, 1);
    let told = "subgraphs.things.url: `things:80` is no absolute address";
    assert!(errors.contains(told), "{errors}");
}

const OLD: &str = "type Query { count: Int }";
const NEW: &str = r#"
extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@override"])
type Query { count: Int @override(from: "old", label: "moved") }
"#;
const MOVING: &str = r#"
subgraphs:
  old: { schema: old.graphql, url: "${OLD}" }
  new: { schema: new.graphql, url: "${NEW}" }
override_labels: { moved: 50 }
"#;

fn moving() -> Folder {
    Folder::new(&[
        ("switchboard.yaml", MOVING),
        ("old.graphql", OLD),
        ("new.graphql", NEW),
    ])
}

#[tokio::test]
async fn a_field_is_moved_for_a_share_of_the_requests_and_for_the_same_ones_again() {
    let old = Scripted::open(r#"{ "data": { "count": 1 } }"#).await;
    let new = Scripted::open(r#"{ "data": { "count": 2 } }"#).await;
    let (old_url, new_url) = (old.url(), new.url());
    let folder = moving();
    let env = [("OLD", &*old_url), ("NEW", &*new_url)];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    let ask = |id: String| {
        let asked = gateway.post(&json!({ "query": "{ count }" }));
        async move {
            let answer = asked.header("x-correlation-id", id).send().await;
            let answer = body(answer.expect("an answer")).await;
            answer["data"]["count"].as_u64().expect("a number")
        }
    };
    let mut counts = Vec::new();
    for request in 0..100 {
        counts.push(ask(format!("request-{request}")).await);
    }
    let moved = counts.iter().filter(|count| **count == 2).count();
    assert!((30..70).contains(&moved), "{counts:?}");
    for (request, count) in counts.iter().enumerate().take(20) {
        assert_eq!(ask(format!("request-{request}")).await, *count);
    }
}

#[tokio::test]
async fn the_plan_is_printed_for_labels_that_are_named() {
    let folder = moving();
    folder.write("operation.graphql", "{ count }");
    let operation = folder.file("operation.graphql");
    let config = folder.file("switchboard.yaml");
    let file = ["--config", config.to_str().expect("a path")];
    let env = [("OLD", "http://old"), ("NEW", "http://new")];
    let operation = operation.to_str().expect("a path");
    let plan = async |labels: &[&str]| {
        let arguments = [&["plan", operation], &file[..], labels].concat();
        run(&arguments, &env).await
    };
    let (_, before, _) = plan(&[]).await;
    assert!(before.contains("old"), "{before}");
    let (_, after, _) = plan(&["--label", "moved"]).await;
    assert!(after.contains("new") && !after.contains("old"), "{after}");
    let (code, _, errors) = plan(&["--label", "mvoed"]).await;
    assert_eq!(code, 1);
    let told = "--label mvoed: the graph's labels are moved";
    assert!(errors.contains(told), "{errors}");
}

/// What a service that tells its schema answers, whatever it is asked.
const TELLING: &str =
    r#"{ "data": { "_service": { "sdl": "type Query { count: Int }" }, "count": 7 } }"#;

#[tokio::test]
async fn a_service_tells_its_schema_which_is_kept_for_a_start_without_it() {
    let service = Scripted::open(TELLING).await;
    let config = r#"
subgraphs: { things: { url: "${THINGS}" } }
"#;
    let folder = Folder::new(&[("switchboard.yaml", config)]);
    let file = folder.file("switchboard.yaml");
    let url = service.url();
    let env = [("THINGS", &*url)];
    let gateway = Gateway::start(&file, &env).await;
    assert_eq!(
        gateway.ask("{ count }").await["data"],
        json!({ "count": 7 })
    );
    drop(gateway);

    service.reply(503, "text/plain", "away");
    let gateway = Gateway::start(&file, &env).await;
    let answer = gateway.ask("{ count }").await;
    let code = &answer["errors"][0]["extensions"]["code"];
    assert_eq!(code, "UPSTREAM_UNAVAILABLE", "{answer}");
    drop(gateway);

    std::fs::remove_dir_all(folder.file("data")).expect("it was kept");
    let config = ["check", "--config", file.to_str().expect("a path")];
    let (code, _, errors) = run(&config, &env).await;
    assert_eq!(code, 1);
    assert!(errors.contains("SUBGRAPH_UNREACHABLE"), "{errors}");
    let told = "the subgraph `things` did not tell its schema: ";
    assert!(errors.contains(told), "{errors}");
}

#[tokio::test]
async fn a_service_is_asked_for_its_schema_as_it_is_asked_for_data() {
    let mut service = Scripted::open(TELLING).await;
    let config = r#"
subgraphs:
  things:
    url: "http://elsewhere.invalid"
    keep: ""
    sources: { things: { url: "${THINGS}/graphql", headers: { x-known: "yes" } } }
"#;
    let folder = Folder::new(&[("switchboard.yaml", config)]);
    let file = folder.file("switchboard.yaml");
    let url = service.url();
    let config = ["check", "--config", file.to_str().expect("a path")];
    let (code, _, errors) = run(&config, &[("THINGS", &*url)]).await;
    assert_eq!(code, 0, "{errors}");
    let asked = service.next().await;
    assert_eq!(asked.target, "POST /graphql");
    assert_eq!(asked.headers["x-known"], "yes");
    assert!(!folder.file("data").exists(), "nothing is kept");
}

#[tokio::test]
async fn a_subgraph_without_a_schema_or_a_service_is_refused() {
    for (subgraph, told) in [
        (
            "{}",
            "subgraphs.things: there is neither `schema` nor `url`",
        ),
        (
            "{ schema: things.graphql, keep: kept.graphql }",
            "subgraphs.things.keep: the schema is in a file already",
        ),
    ] {
        let config = format!("subgraphs: {{ things: {subgraph} }}");
        let folder = Folder::new(&[("switchboard.yaml", &config)]);
        let config = folder.file("switchboard.yaml");
        let config = config.to_str().expect("a path");
        let (code, _, errors) = run(&["check", "--config", config], &[]).await;
        assert_eq!(code, 1);
        assert!(errors.contains(told), "{errors}");
    }
}
