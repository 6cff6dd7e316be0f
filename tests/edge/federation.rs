//! Subgraphs that are GraphQL services of their own, by `subgraphs.NAME.url`.

use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
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
