//! Starting, draining, reloading.

use std::sync::Arc;

use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::raw::Raw;
use super::raw::post;
use super::scripted::Scripted;
use super::scripted::THINGS;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_gateway_exits_with_zero() {
    let mut service = Scripted::closed(THING).await;
    let folder = service.folder("shutdown: { grace: 100ms }");
    let mut gateway = service.gateway(&folder).await;
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

/// Waits until readiness says so.
async fn until_draining(gateway: &Gateway) {
    let ready = format!("{}/health/ready", gateway.admin);
    let waited = async {
        loop {
            let answer = gateway.get(&ready).await;
            if answer.status() == 503 {
                return body(answer).await;
            }
        }
    };
    let told = tokio::time::timeout(super::PATIENCE, waited).await;
    assert_eq!(told.expect("it says so in time")["status"], "draining");
}

#[tokio::test]
async fn after_sigterm_requests_are_still_answered_for_a_while_and_sent_elsewhere() {
    let service = Scripted::open(THING).await;
    let folder = service.folder("shutdown: { grace: 3s }");
    let mut gateway = service.gateway(&folder).await;
    let query = post(r#"{"query":"{ thing(id: 1) { name } }"}"#);
    let mut kept = Raw::connect(&gateway).await;
    kept.send(query.as_bytes()).await;
    let before = kept.reply().await.expect("an answer");
    assert!(!before.head.contains("connection: close"), "{before:?}");

    gateway.terminate().await;
    until_draining(&gateway).await;
    let streams = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge();
    let streams = streams.build().expect("a client");
    for raw in [&mut kept, &mut Raw::connect(&gateway).await] {
        raw.send(query.as_bytes()).await;
        let answer = raw.reply().await.expect("an answer while draining");
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("connection: close"), "{answer:?}");
        assert!(raw.rest().await.is_empty());
        let streamed = streams
            .post(&gateway.url)
            .header("content-type", "application/json")
            .body(r#"{"query":"{ thing(id: 1) { name } }"}"#);
        let streamed = streamed.send().await.expect("an answer while draining");
        assert_eq!(streamed.status(), 200);
    }
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut service = Scripted::closed(THING).await;
    let folder = service.folder("shutdown: { grace: 10m, drain: 10m }");
    let mut gateway = service.gateway(&folder).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = tokio::spawn(gateway.post(&query).send());
    service.next().await;
    gateway.terminate().await;
    until_draining(&gateway).await;
    gateway.terminate().await;
    assert_eq!(gateway.exit_code().await, Some(0));
    assert!(asked.await.expect("a task").is_err());
}

#[tokio::test]
async fn at_a_terminal_nobody_waits_for_others_to_go_elsewhere() {
    let service = Scripted::open(THING).await;
    let folder = service.folder("shutdown: { grace: 10m }");
    let mut gateway = service.gateway(&folder).await;
    gateway.signal("INT").await;
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_request_in_flight_is_finished_on_the_graph_that_it_began_on() {
    let mut service = Scripted::closed(THING).await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let old = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = tokio::spawn(gateway.post(&old).send());
    service.next().await;

    let renamed = "title: String @map(from: \"name\") }";
    folder.write("things.graphql", &THINGS.replace("name: String }", renamed));
    gateway.signal("HUP").await;
    until(|| gateway.log().contains("a new graph is in service")).await;
    let refused = gateway.ask("{ thing(id: 1) { name } }").await;
    let code = &refused["errors"][0]["extensions"]["code"];
    assert_eq!(code, "GRAPHQL_VALIDATION_FAILED", "{refused}");

    service.release(2);
    let answer = asked.await.expect("a task").expect("an answer");
    assert_eq!(body(answer).await["data"]["thing"]["name"], "one");
    let answer = gateway.ask("{ thing(id: 1) { title } }").await;
    assert_eq!(answer["data"]["thing"]["title"], "one");
}

/// A thousand where somebody asks for them: `RELOADS=1000`.
#[tokio::test]
async fn no_request_fails_because_the_graph_is_replaced() {
    let reloads = std::env::var_os("RELOADS");
    let reloads = reloads.and_then(|n| n.to_str()?.parse::<usize>().ok());
    let reloads = reloads.unwrap_or(50);
    let service = Scripted::open(THING).await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let gateway = Arc::new(gateway);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(keep_asking(gateway.clone(), stopped.clone())))
        .collect();
    let operator = reqwest::Client::builder().no_proxy().build();
    let operator = operator.expect("a client");
    for round in 0..reloads {
        let more = format!("name: String more{}: String }}", round % 2);
        folder.write("things.graphql", &THINGS.replace("name: String }", &more));
        let reload = operator.post(format!("{}/reload", gateway.admin)).send();
        assert_eq!(reload.await.expect("an answer").status(), 200);
    }
    stop.send_replace(true);
    let mut answered = 0;
    for client in clients {
        answered += client.await.expect("no request fails");
    }
    assert!(answered >= reloads, "{answered}");
}

/// Asks until it is told to stop; how often.
async fn keep_asking(gateway: Arc<Gateway>, stop: tokio::sync::watch::Receiver<bool>) -> usize {
    let mut asked = 0;
    while !*stop.borrow() {
        let answer = gateway.ask("{ thing(id: 1) { name } }").await;
        let expected = json!({ "data": { "thing": { "name": "one" } } });
        assert_eq!(answer, expected);
        asked += 1;
    }
    asked
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
    let gateway = service.gateway(&folder).await;

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
