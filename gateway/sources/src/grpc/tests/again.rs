//! Attempts after the first, in gRPC's own ways.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use h2::Reason;
use tokio::net::TcpListener;

use super::super::testing::server::framed;
use super::*;

/// Answers so many calls with a status, then with a thing.
fn fails_first(times: usize, status: tonic::Status) -> Upstream {
    let count = AtomicUsize::new(0);
    answers(move || match count.fetch_add(1, Ordering::SeqCst) < times {
        true => Answer::Status(status.clone()),
        false => Answer::Messages(vec![thing(json!({ "text": "hello" }))]),
    })
}

fn header(call: &Call, name: &str) -> Option<String> {
    let value = call.headers.get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_unavailable_service_is_asked_again_and_told_how_often_it_was() {
    let upstream = fails_first(2, tonic::Status::unavailable("busy"));
    let fixture = Fixture::get(&upstream.url());
    assert_eq!(fixture.outcome().await.unwrap(), json!({ "text": "hello" }));
    let before = upstream
        .calls()
        .iter()
        .map(|call| header(call, "grpc-previous-rpc-attempts"))
        .collect::<Vec<_>>();
    assert_eq!(before, [None, Some("1".to_owned()), Some("2".to_owned())]);
    let calls = fixture.context.calls.unwrap().take();
    let statuses: Vec<_> = calls.iter().map(|call| &*call.status).collect();
    assert_eq!(statuses, ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
}

#[tokio::test]
async fn a_status_that_would_come_again_is_not_asked_for_again() {
    for code in (1..=16).map(tonic::Code::from_i32) {
        let upstream = fails_first(1, tonic::Status::new(code, "no"));
        let _ = Fixture::get(&upstream.url()).outcome().await;
        let again = code == tonic::Code::Unavailable;
        assert_eq!(upstream.calls().len(), 1 + usize::from(again), "{code:?}");
    }
}

#[tokio::test]
async fn a_service_that_pushes_back_is_obeyed() {
    let pushing = |value: &'static str| {
        let mut status = tonic::Status::unavailable("busy");
        let pushback = "grpc-retry-pushback-ms";
        status
            .metadata_mut()
            .insert(pushback, value.parse().unwrap());
        fails_first(1, status)
    };
    let upstream = pushing("60");
    let start = calls::now();
    assert!(Fixture::get(&upstream.url()).outcome().await.is_ok());
    assert!(calls::now() - start >= Duration::from_millis(60));
    let upstream = pushing("-1");
    assert!(Fixture::get(&upstream.url()).outcome().await.is_err());
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test]
async fn so_is_what_stands_before_the_service_and_asks_to_come_back_later() {
    for status in [429, 503] {
        let upstream = answers(move || Answer::Busy(status, "3600"));
        let error = Fixture::get(&upstream.url()).outcome().await.unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(3600)));
        assert_eq!(
            upstream.calls().len(),
            1,
            "{status}: later than anybody waits"
        );
        let first = AtomicUsize::new(0);
        let upstream = answers(move || match first.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::Busy(status, "0"),
            _ => Answer::Messages(vec![thing(json!({ "text": "hello" }))]),
        });
        assert!(Fixture::get(&upstream.url()).outcome().await.is_ok());
    }
}

#[tokio::test]
async fn mutations_are_asked_again_only_where_they_may_be_done_twice() {
    let upstream = fails_first(9, tonic::Status::unavailable("busy"));
    let fixture = Fixture::get(&upstream.url()).mutation();
    assert!(fixture.outcome().await.unwrap_err().outcome_unknown);
    assert_eq!(upstream.calls().len(), 1);
    let upstream = fails_first(1, tonic::Status::unavailable("busy"));
    let mut fixture = Fixture::get(&upstream.url()).mutation();
    fixture.resolver.policy.idempotent = true;
    assert!(fixture.outcome().await.is_ok());
    let keys: Vec<_> = upstream
        .calls()
        .iter()
        .map(|call| header(call, "idempotency-key").unwrap())
        .collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
}

/// Resets so many streams with this reason, then answers.
async fn resets_first(times: usize, reason: Reason) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    match seen.fetch_add(1, Ordering::SeqCst) < times {
                        true => respond.send_reset(reason),
                        false => answer(&mut respond),
                    }
                }
            });
        }
    });
    (url, count)
}

fn answer(respond: &mut h2::server::SendResponse<Bytes>) {
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut stream = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    let message = thing(json!({ "text": "hello" }));
    stream.send_data(framed(&message), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn a_refused_stream_was_certainly_not_looked_at() {
    let (url, seen) = resets_first(1, Reason::REFUSED_STREAM).await;
    let fixture = Fixture::get(&url);
    assert_eq!(fixture.outcome().await.unwrap(), json!({ "text": "hello" }));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    let calls = fixture.context.calls.unwrap().take();
    assert_eq!(calls[0].status, "unprocessed");
    let (url, _) = resets_first(9, Reason::REFUSED_STREAM).await;
    let error = Fixture::get(&url).mutation().outcome().await.unwrap_err();
    assert!(!error.outcome_unknown, "it has not happened");
    let (url, _) = resets_first(9, Reason::INTERNAL_ERROR).await;
    let error = Fixture::get(&url).mutation().outcome().await.unwrap_err();
    assert!(error.outcome_unknown, "it may have happened");
}
