//! Nothing of one caller is ever answered to another, and reads see earlier writes.

use serde_json::json;

use super::binary::Gateway;
use super::binary::body;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn gateway(service: &Scripted) -> (super::binary::Folder, Gateway) {
    let folder = service.folder("");
    let env = [("THINGS_URL", service.url())];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (folder, gateway)
}

#[tokio::test]
async fn identical_queries_in_flight_of_one_identity_are_one_call() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = |id: &str| {
        gateway
            .post(&query)
            .header("x-correlation-id", id.to_owned())
            .send()
    };
    let (first, second) = (asked("first"), asked("second"));
    let released = async {
        service.next().await;
        // Both are on their way before the first is answered, or the second makes a call of its own.
        service.release(2);
    };
    let (first, second, ()) = tokio::join!(first, second, released);
    for (response, id) in [(first, "first"), (second, "second")] {
        let response = response.expect("an answer");
        assert_eq!(response.headers()["x-correlation-id"], id);
        assert_eq!(
            body(response).await,
            json!({ "data": { "thing": { "name": "one" } } })
        );
    }
}

#[tokio::test]
async fn two_identities_never_share_a_call() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let asked = |who: &'static str| gateway.post(&query).header("authorization", who).send();
    let both_arrive = async {
        let arrivals = [service.next().await, service.next().await];
        service.release(2);
        arrivals.map(|arrival| arrival.headers["authorization"].to_str().map(str::to_owned))
    };
    let (_, _, seen) = tokio::join!(asked("alice"), asked("bob"), both_arrive);
    let mut seen: Vec<String> = seen.into_iter().flatten().collect();
    seen.sort();
    assert_eq!(seen, ["alice", "bob"]);
}

#[tokio::test]
async fn a_query_never_joins_work_that_began_before_a_mutation_was_answered() {
    let mut service = Scripted::closed(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let rename = json!({ "query": "mutation { rename(id: 1, name: \"two\") { id } }" });

    let early = tokio::spawn(gateway.post(&query).send());
    assert_eq!(service.next().await.target, "GET /things/1");
    let mutation = tokio::spawn(gateway.post(&rename).send());
    assert_eq!(service.next().await.target, "PUT /things/1");
    // The gate is first in, first out: the early read is let through first, then the mutation.
    service.release(2);
    mutation.await.expect("a task").expect("an answer");
    early.await.expect("a task").expect("an answer");

    let late = tokio::spawn(gateway.post(&query).send());
    assert_eq!(
        service.next().await.target,
        "GET /things/1",
        "a call of its own"
    );
    service.release(1);
    late.await.expect("a task").expect("an answer");
}

#[tokio::test]
async fn the_correlation_id_goes_everywhere_and_the_request_id_is_ours() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = gateway
        .post(&query)
        .header("x-correlation-id", "order-7:retry.2");
    let response = request
        .header("x-request-id", "mine")
        .header("traceparent", trace)
        .send();
    let response = response.await.expect("an answer");
    assert_eq!(response.headers()["x-correlation-id"], "order-7:retry.2");
    assert_ne!(response.headers()["x-request-id"], "mine");

    let arrival = service.next().await;
    assert_eq!(arrival.headers["x-correlation-id"], "order-7:retry.2");
    let parent = arrival.headers["traceparent"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{parent}"
    );
    assert!(
        !parent.contains("b7ad6b7169203331"),
        "a new parent id: {parent}"
    );
}

#[tokio::test]
async fn a_correlation_id_that_is_no_label_is_replaced() {
    let mut service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service).await;
    let query = json!({ "query": "{ thing(id: 1) { name } }" });
    for bad in ["has space", "semi;colon", &"x".repeat(129)] {
        let response = gateway
            .post(&query)
            .header("x-correlation-id", bad)
            .send()
            .await;
        let response = response.expect("an answer");
        let made = response.headers()["x-correlation-id"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_ne!(made, bad);
        assert_eq!(
            service.next().await.headers["x-correlation-id"],
            made.as_str()
        );
    }
}
