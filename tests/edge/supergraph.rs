//! A supergraph at an address: polled, replaced, kept.

use serde_json::json;

use super::PATIENCE;
use super::binary::Folder;
use super::binary::Gateway;
use super::scripted::Scripted;

/// A supergraph over the service of things.
fn supergraph(field: &str) -> String {
    format!(
        r#"schema @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
             @join__directive(graphs: [THINGS], name: "source", args: {{ name: "things", http: {{ baseURL: "{{$env.THINGS_URL}}" }} }})
             {{ query: Query }}
           enum join__Graph {{ THINGS @join__graph(name: "things", url: "") }}
           type Query @join__type(graph: THINGS) {{
             {field}: Int @join__directive(graphs: [THINGS], name: "rest", args: {{ GET: "/count" }})
           }}"#
    )
}

const CONFIG: &str = "supergraph: { url: \"${REGISTRY}/graph\", poll: 50ms, keep: kept/supergraph.graphql, env: [THINGS_URL], headers: { authorization: Bearer t } }";

/// A gateway whose supergraph is at an address.
async fn gateway(folder: &Folder, registry: &str, service: &Scripted) -> Gateway {
    let env = [("REGISTRY", registry), ("THINGS_URL", &service.url())];
    Gateway::start(&folder.file("switchboard.yaml"), &env).await
}

/// Asks until the answer is the one that is waited for.
async fn until_answered(gateway: &Gateway, query: &str, wanted: &serde_json::Value) {
    let waited = async {
        while gateway.ask(query).await["data"] != *wanted {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waited).await;
    assert!(in_time.is_ok(), "{}", gateway.log());
}

#[tokio::test]
async fn a_polled_supergraph_is_replaced_and_a_wrong_or_absent_one_changes_nothing() {
    let service = Scripted::open("7").await;
    let mut registry = Scripted::open("").await;
    registry.reply(200, "text/plain", &supergraph("count"));
    let folder = Folder::new(&[("switchboard.yaml", CONFIG)]);
    let gateway = gateway(&folder, &registry.url(), &service).await;
    assert_eq!(
        gateway.ask("{ count }").await["data"],
        json!({ "count": 7 })
    );
    assert_eq!(registry.next().await.headers["authorization"], "Bearer t");
    registry.reply(200, "text/plain", &supergraph("again"));
    until_answered(&gateway, "{ again }", &json!({ "again": 7 })).await;
    registry.reply(200, "text/plain", "type Query { wrong: Int }");
    let failed = |outcome: &str, text: &str| {
        let line = format!("switchboard_supergraph_polls_total{{outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|it| it.strip_prefix(&line));
        line.is_some_and(|count| count != "0")
    };
    registry.reply(503, "text/plain", "");
    let metrics = format!("{}/metrics", gateway.admin);
    let waited = async {
        loop {
            let page = gateway.get(&metrics).await.text().await.expect("a page");
            if failed("failed", &page) && failed("changed", &page) {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waited).await;
    assert!(in_time.is_ok(), "{}", gateway.log());
    assert_eq!(
        gateway.ask("{ again }").await["data"],
        json!({ "again": 7 })
    );
}

#[tokio::test]
async fn a_start_without_the_address_serves_what_was_kept() {
    let service = Scripted::open("7").await;
    let registry = Scripted::open("").await;
    registry.reply(200, "text/plain", &supergraph("count"));
    let folder = Folder::new(&[("switchboard.yaml", CONFIG)]);
    drop(gateway(&folder, &registry.url(), &service).await);
    registry.reply(503, "text/plain", "");
    let again = gateway(&folder, &registry.url(), &service).await;
    assert_eq!(again.ask("{ count }").await["data"], json!({ "count": 7 }));
    assert!(again.log().contains("last good copy"), "{}", again.log());
}
