//! An HTTP/2 server that says of a call that it did not look at it, or goes
//! away: the call is made again, a mutation too, since nothing was done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use proxy::Fault;
use proxy::Proxy;
use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::binary::Folder;
use super::binary::Gateway;

const SCHEMA: &str = r#"
extend schema @source(name: "stock", grpc: { url: "{$env.STOCK_URL}", protos: ["stock.proto"] })
type Query { ready: Stock @grpc(method: "shop.v1.StockService/Get") }
type Mutation {
  take: Stock @grpc(method: "shop.v1.StockService/Take", idempotent: true)
  once: Stock @grpc(method: "shop.v1.StockService/Take")
}
type Stock { quantity: Int }
"#;

const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
service StockService { rpc Get(Asked) returns (Stock); rpc Take(Asked) returns (Stock); }
message Asked {}
message Stock { int32 quantity = 1; }
"#;

/// What becomes of the first call; all others are answered.
#[derive(Debug, Clone, Copy)]
enum First {
    /// RST_STREAM with REFUSED_STREAM.
    Refused,
    /// RST_STREAM with INTERNAL_ERROR: nobody knows what was done.
    Broken,
    /// An answer, like all others.
    Answered,
}

async fn serve(first: First) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, first, counted.clone()));
        }
    });
    (address, calls)
}

async fn connection(stream: TcpStream, first: First, calls: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        match (calls.fetch_add(1, Ordering::SeqCst), first) {
            (0, First::Refused) => respond.send_reset(Reason::REFUSED_STREAM),
            (0, First::Broken) => respond.send_reset(Reason::INTERNAL_ERROR),
            _ => answer(respond),
        }
    }
}

/// Seven pieces.
fn answer(mut respond: SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc");
    let head = head.body(()).expect("a head");
    let mut body = respond.send_response(head, false).expect("it can be sent");
    let message = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 7]);
    body.send_data(message, false).expect("it can be sent");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    body.send_trailers(trailers).expect("it can be sent");
}

async fn gateway(address: SocketAddr) -> (Folder, Gateway) {
    let config = "resilience: { retry: { attempts: 5, backoff: 300ms } }\nsubgraphs: { stock: { schema: stock.graphql, env: [STOCK_URL] } }\n";
    let folder = Folder::new(&[
        ("switchboard.yaml", config),
        ("stock.graphql", SCHEMA),
        ("stock.proto", PROTO),
    ]);
    let url = format!("http://{address}");
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &[("STOCK_URL", &url)]).await;
    (folder, gateway)
}

#[tokio::test]
async fn a_call_that_the_service_refused_to_look_at_is_made_again() {
    for query in ["{ ready { quantity } }", "mutation { take { quantity } }"] {
        let (address, calls) = serve(First::Refused).await;
        let (_folder, gateway) = gateway(address).await;
        let answer = gateway.ask(query).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        assert_eq!(calls.load(Ordering::SeqCst), 2, "{query}");
    }
}

#[tokio::test]
async fn a_read_whose_stream_breaks_is_made_again() {
    let (address, calls) = serve(First::Broken).await;
    let (_folder, gateway) = gateway(address).await;
    let answer = gateway.ask("{ ready { quantity } }").await;
    assert_eq!(answer, json!({ "data": { "ready": { "quantity": 7 } } }));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_call_that_came_too_late_for_a_service_that_goes_away_is_made_again() {
    let (address, _) = serve(First::Answered).await;
    let proxy = Proxy::before(address).await.expect("a proxy");
    let (_folder, gateway) = gateway(proxy.address()).await;
    proxy.set(Fault::GoAway { taken: false }).await;
    let asked = gateway.ask("mutation { take { quantity } }");
    let stays = async {
        super::until(async || proxy.counts().requests > 0).await;
        proxy.set(Fault::None).await;
    };
    let (answer, ()) = tokio::join!(asked, stays);
    assert_eq!(answer, json!({ "data": { "take": { "quantity": 7 } } }));
}

#[tokio::test]
async fn of_an_unmarked_mutation_nobody_knows_where_the_service_went_away_with_it() {
    let (address, _) = serve(First::Answered).await;
    let proxy = Proxy::before(address).await.expect("a proxy");
    let (_folder, gateway) = gateway(proxy.address()).await;
    for (taken, outcome) in [(true, json!("UNKNOWN")), (false, Json::Null)] {
        proxy.set(Fault::GoAway { taken }).await;
        let before = proxy.counts().requests;
        let answer = gateway.ask("mutation { once { quantity } }").await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(extensions["outcome"], outcome, "taken: {taken}: {answer}");
        assert_eq!(proxy.counts().requests - before, 1, "taken: {taken}");
    }
}
