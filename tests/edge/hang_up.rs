//! Clients that go away: their queries are given up upstream, their mutations
//! are not, and nobody else notices.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::lifecycle::until;
use super::raw::Raw;
use super::raw::post;
use super::scripted::Scripted;

const QUERY: &str = r#"{"query":"{ thing(id: 1) { name } }"}"#;
const MUTATION: &str = r#"{"query":"mutation { rename(id: 1, name: \"x\") { id } }"}"#;
const THING: &str = r#"{ "id": 1, "name": "one" }"#;

async fn scene() -> (Scripted, Folder, Gateway) {
    let service = Scripted::closed(THING).await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    (service, folder, gateway)
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_the_call_of_its_query_along() {
    let (mut service, _folder, gateway) = scene().await;
    let mut client = Raw::connect(&gateway).await;
    client.send(post(QUERY).as_bytes()).await;
    service.next().await;
    assert_eq!(service.given_up(), 0);
    drop(client);
    until(|| service.given_up() == 1).await;
}

#[tokio::test]
async fn so_does_one_that_says_it_will_send_no_more() {
    let (mut service, _folder, gateway) = scene().await;
    let mut client = Raw::connect(&gateway).await;
    client.send(post(QUERY).as_bytes()).await;
    service.next().await;
    client.socket.shutdown().await.expect("half of it closes");
    until(|| service.given_up() == 1).await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn so_does_one_that_resets_its_stream() {
    let (mut service, _folder, gateway) = scene().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge();
    let client = client.build().expect("a client");
    let asked = client
        .post(&gateway.url)
        .header("content-type", "application/json")
        .body(QUERY);
    let asked = tokio::spawn(asked.send());
    service.next().await;
    asked.abort();
    until(|| service.given_up() == 1).await;
}

#[tokio::test]
async fn a_mutation_is_finished_although_its_client_hangs_up() {
    let (mut service, _folder, gateway) = scene().await;
    let mut client = Raw::connect(&gateway).await;
    client.send(post(MUTATION).as_bytes()).await;
    let arrival = service.next().await;
    assert_eq!(arrival.target, "PUT /things/1");
    drop(client);
    // What a later client's going away has caused, this one's would have caused too.
    let mut other = Raw::connect(&gateway).await;
    other.send(post(QUERY).as_bytes()).await;
    service.next().await;
    drop(other);
    until(|| service.given_up() == 1).await;
    service.release(1);
    until(|| service.answered() == 1).await;
    assert_eq!(service.given_up(), 1);
}

#[tokio::test]
async fn a_mutation_without_a_client_keeps_its_room_and_the_process_until_it_is_done() {
    let mut service = Scripted::closed(THING).await;
    let folder = service.folder("shutdown: { grace: 1ms }");
    let mut gateway = service.gateway(&folder).await;
    let mut client = Raw::connect(&gateway).await;
    client.send(post(MUTATION).as_bytes()).await;
    service.next().await;
    drop(client);
    // What a later client's going away has caused, this one's would have caused too.
    let mut other = Raw::connect(&gateway).await;
    other.send(post(QUERY).as_bytes()).await;
    service.next().await;
    drop(other);
    until(|| service.given_up() == 1).await;
    assert_eq!(in_flight(&gateway).await, "1");

    gateway.terminate().await;
    closed(&gateway).await;
    // Operators see the gateway as long as there is something to do.
    for _ in 0..50 {
        assert_eq!(in_flight(&gateway).await, "1");
    }
    service.release(1);
    assert_eq!(gateway.exit_code().await, Some(0));
    assert_eq!((service.answered(), service.given_up()), (1, 1));
}

/// How many requests hold a room.
async fn in_flight(gateway: &Gateway) -> String {
    let page = gateway.get(&format!("{}/metrics", gateway.admin)).await;
    let page = page.text().await.expect("a page");
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix("switchboard_requests_in_flight "));
    value.expect("it is told").to_owned()
}

/// Returns when no client is let in any more.
async fn closed(gateway: &Gateway) {
    let address = gateway.url.trim_start_matches("http://");
    let address = address.trim_end_matches("/graphql");
    let waited = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    let waited = tokio::time::timeout(super::PATIENCE, waited).await;
    waited.expect("it happens in time");
}

#[tokio::test]
async fn a_query_that_others_wait_for_goes_on_without_the_client_that_began_it() {
    let (mut service, _folder, gateway) = scene().await;
    let mut first = Raw::connect(&gateway).await;
    first.send(post(QUERY).as_bytes()).await;
    service.next().await;
    let second = gateway.post(&json!({ "query": "{ thing(id: 1) { name } }" }));
    let second = tokio::spawn(second.send());
    // A third, of another query, shows when the second has been let in.
    let mut third = Raw::connect(&gateway).await;
    third
        .send(post(r#"{"query":"{ things { id } }"}"#).as_bytes())
        .await;
    service.next().await;
    drop((first, third));
    until(|| service.given_up() == 1).await;
    service.release(10);
    let answer = second.await.expect("a task").expect("an answer");
    assert_eq!(body(answer).await["data"]["thing"]["name"], "one");
}
