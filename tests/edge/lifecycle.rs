//! Starting, draining, reloading.

use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::scripted::Scripted;
use super::scripted::THINGS;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_gateway_exits_with_zero() {
    let mut service = Scripted::closed(THING).await;
    let folder = service.folder("");
    let url = service.url();
    let mut gateway =
        Gateway::start(&folder.file("switchboard.yaml"), &[("THINGS_URL", &url)]).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = tokio::spawn(gateway.post(&query).send());
    service.next().await;
    gateway.terminate().await;
    service.release(1);
    let response = asked
        .await
        .expect("a task")
        .expect("an answer while draining");
    assert_eq!(body(response).await["data"]["thing"]["name"], "one");
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn an_unreachable_service_does_not_keep_the_rest_from_being_served() {
    let service = Scripted::open(THING).await;
    let dead = r#"
extend schema @source(name: "dead", http: { baseURL: "http://127.0.0.1:1" })
type Query { gone: Int @rest(GET: "/gone") }
"#;
    let config = "subgraphs:\n  things: { schema: things.graphql, env: [THINGS_URL] }\n  dead: { schema: dead.graphql }\n";
    let files = [
        ("switchboard.yaml", config),
        ("things.graphql", THINGS),
        ("dead.graphql", dead),
    ];
    let folder = Folder::new(&files);
    let url = service.url();
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &[("THINGS_URL", &url)]).await;

    let answer = gateway
        .ask("{ thing(id: 1) { name } gone again: gone }")
        .await;
    assert_eq!(
        answer["data"],
        json!({ "thing": { "name": "one" }, "gone": null, "again": null })
    );
    let errors = answer["errors"].as_array().expect("errors");
    let paths: Vec<_> = errors.iter().map(|error| error["path"].clone()).collect();
    assert_eq!(
        paths,
        [json!(["gone"]), json!(["again"])],
        "one error per null"
    );
    for error in errors {
        assert_eq!(error["extensions"]["code"], "UPSTREAM_UNAVAILABLE");
        assert_eq!(error["extensions"]["service"], "dead");
        assert!(
            !error.to_string().contains("127.0.0.1"),
            "no address leaves: {error}"
        );
    }

    let ready = gateway
        .get(&format!("{}/health/ready", gateway.admin))
        .await;
    assert_eq!(ready.status(), 200);
    let ready = ready.text().await.expect("a body");
    assert!(
        ready.contains("dead"),
        "readiness shows the source: {ready}"
    );
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_graph_and_says_why() {
    let service = Scripted::open(THING).await;
    let folder = service.folder("");
    let url = service.url();
    let config = folder.file("switchboard.yaml");
    let gateway = Gateway::start_with(&config, &[("THINGS_URL", &url)], &["--dev"]).await;

    folder.write(
        "things.graphql",
        &THINGS.replace("name: String }", "name: Sting }"),
    );
    until(|| gateway.log().contains("Sting")).await;
    assert_eq!(
        gateway.ask("{ thing(id: 1) { name } }").await["data"]["thing"]["name"],
        "one"
    );

    folder.write(
        "things.graphql",
        &THINGS.replace(
            "name: String }",
            "name: String label: String @map(from: \"name\") }",
        ),
    );
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    loop {
        let answer = gateway.ask("{ thing(id: 1) { label } }").await;
        if answer["data"]["thing"]["label"] == "one" {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{answer} {}",
            gateway.log()
        );
        tokio::task::yield_now().await;
    }
}

/// Waits for something that another process does; bounded, and as quick as it is.
pub(super) async fn until(mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, waited)
        .await
        .expect("it happens in time");
}
