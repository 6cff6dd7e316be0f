//! Parts of the graph at paths of their own.

use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::scripted::Scripted;
use super::scripted::THINGS;

const CONTRACT: &str =
    "contracts: { public: { exclude: [internal] } }\ndev: { introspection: true }";

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(config);
    let tagged = THINGS.replace("count: Int", "count: Int @tag(name: \"internal\")");
    folder.write("things.graphql", &tagged);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

/// What a path answers to an operation.
async fn asked(gateway: &Gateway, path: &str, query: &str) -> (u16, Json) {
    let request = gateway.post(&json!({ "query": query }));
    let mut request = request.build().expect("a request");
    request.url_mut().set_path(path);
    let response = reqwest::Client::new()
        .execute(request)
        .await
        .expect("an answer");
    (response.status().as_u16(), body(response).await)
}

#[tokio::test]
async fn a_contract_hides_what_it_leaves_out_and_the_whole_graph_does_not() {
    let service = Scripted::open("7").await;
    let (_folder, gateway) = gateway(&service, CONTRACT).await;
    for _ in 0..2 {
        let (status, whole) = asked(&gateway, "/graphql", "{ count }").await;
        assert_eq!((status, &whole["data"]["count"]), (200, &json!(7)));
        let (status, part) = asked(&gateway, "/graphql/public", "{ count }").await;
        assert_eq!(status, 400, "{part}");
        assert_eq!(
            part["errors"][0]["extensions"]["code"],
            "GRAPHQL_VALIDATION_FAILED"
        );
    }
    let fields = "{ __schema { queryType { fields { name } } } }";
    let (_, part) = asked(&gateway, "/graphql/public", fields).await;
    let names = &part["data"]["__schema"]["queryType"]["fields"];
    assert_eq!(names, &json!([{ "name": "thing" }, { "name": "things" }]));
    assert_eq!(asked(&gateway, "/graphql/other", "{ count }").await.0, 404);
    assert_eq!(asked(&gateway, "/graphql/", "{ count }").await.0, 404);
    assert_eq!(asked(&gateway, "/graphqlpublic", "{ count }").await.0, 404);
}

#[tokio::test]
async fn without_the_full_graph_only_contracts_are_served() {
    let service = Scripted::open(r#"[{ "id": 1 }]"#).await;
    let config = format!("full_graph: false\n{CONTRACT}");
    let (_folder, gateway) = gateway(&service, &config).await;
    assert_eq!(
        asked(&gateway, "/graphql", "{ things { id } }").await.0,
        404
    );
    let (status, part) = asked(&gateway, "/graphql/public", "{ things { id } }").await;
    assert_eq!(
        (status, &part["data"]["things"][0]["id"]),
        (200, &json!("1"))
    );
}
