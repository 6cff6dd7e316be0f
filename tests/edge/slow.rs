//! Clients that keep the gateway waiting, and those that are too many.

use super::binary::Folder;
use super::binary::Gateway;
use super::lifecycle::until;
use super::raw::Raw;
use super::raw::post;
use super::scripted::Scripted;

const QUERY: &str = r#"{"query":"{ __typename }"}"#;
const CUT: &str = "a connection was cut";

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(&format!("log: {{ level: debug }}\n{config}"));
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_are_given_up() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "timeouts: { headers: 200ms }").await;
    let mut slow = Raw::connect(&gateway).await;
    slow.send(b"POST /graphql HTTP/1.1\r\nhost: gateway\r\nx-a: ")
        .await;
    assert!(slow.rest().await.is_empty());
    until(|| gateway.log().contains(CUT)).await;
}

#[tokio::test]
async fn the_second_request_of_a_connection_is_not_waited_for_longer() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "timeouts: { headers: 200ms }").await;
    let mut slow = Raw::connect(&gateway).await;
    slow.send(post(QUERY).as_bytes()).await;
    assert_eq!(slow.reply().await.expect("an answer").status, 200);
    slow.send(b"POST /gr").await;
    assert!(slow.rest().await.is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_come_to_an_end_is_answered_with_408() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "timeouts: { body: 200ms }").await;
    let mut slow = Raw::connect(&gateway).await;
    let whole = post(QUERY);
    slow.send(&whole.as_bytes()[..whole.len() - 5]).await;
    let reply = slow.reply().await.expect("an answer");
    assert_eq!(reply.status, 408);
    assert!(
        reply.body.contains("/problems/request-timeout"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "timeouts: { idle: 200ms }").await;
    let mut silent = Raw::connect(&gateway).await;
    assert!(silent.rest().await.is_empty());
    let mut spoke = Raw::connect(&gateway).await;
    spoke.send(post(QUERY).as_bytes()).await;
    assert_eq!(spoke.reply().await.expect("an answer").status, 200);
    assert!(spoke.rest().await.is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let items = r#"{ "id": 1, "name": "a name that takes some room" },"#.repeat(200_000);
    let service = Scripted::open(&format!("[{}]", items.trim_end_matches(','))).await;
    let (_folder, gateway) = gateway(&service, "timeouts: { write: 300ms }").await;
    let mut deaf = Raw::connect_narrow(&gateway).await;
    deaf.send(post(r#"{"query":"{ things { id name } }"}"#).as_bytes())
        .await;
    until(|| gateway.log().contains(CUT)).await;
    assert!(deaf.reply().await.is_none(), "the answer is not whole");
    assert_eq!(
        gateway.ask("{ __typename }").await["data"]["__typename"],
        "Query"
    );
}

#[tokio::test]
async fn more_connections_than_one_address_may_have_are_told_so() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway) = gateway(&service, "limits: { connections_per_address: 2 }").await;
    let mut kept = [Raw::connect(&gateway).await, Raw::connect(&gateway).await];
    for raw in &mut kept {
        raw.send(post(QUERY).as_bytes()).await;
        assert_eq!(raw.reply().await.expect("an answer").status, 200);
    }
    let mut third = Raw::connect(&gateway).await;
    let reply = third.reply().await.expect("an answer");
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("/problems/overloaded"), "{reply:?}");
    drop(kept);
    loop {
        let mut next = Raw::connect(&gateway).await;
        next.send(post(QUERY).as_bytes()).await;
        if next.reply().await.is_some_and(|reply| reply.status == 200) {
            break;
        }
    }
}
