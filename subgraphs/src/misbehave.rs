//! What a misbehaving service answers, in each protocol.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tonic::Status;

use crate::serve::Protocol;

/// A refusal that a retry may cure.
pub(crate) fn fail(protocol: Protocol) -> Response {
    match protocol {
        Protocol::Rest => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "error": "out of order" })),
        )
            .into_response(),
        Protocol::Grpc => Status::unavailable("out of order").into_http(),
    }
}

/// A reply that claims success and breaks the contract: each kind in turn.
pub(crate) fn malform(protocol: Protocol) -> Response {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let even = TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    match (protocol, even) {
        (Protocol::Rest, true) => Html("<html><body>It works!</body></html>").into_response(),
        (Protocol::Rest, false) => {
            // A list where an object stands, and no objects where a list does: nothing that might mean "there is none".
            Json(json!(["unexpected", 1, [true]])).into_response()
        }
        (Protocol::Grpc, true) => garbage_message(),
        (Protocol::Grpc, false) => Status::internal("the row could not be read").into_http(),
    }
}

/// A well-framed gRPC message of bytes that no message type can read, and status OK after it.
fn garbage_message() -> Response {
    let frame = Bytes::from_static(&[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]);
    let trailers =
        HeaderMap::from_iter([(Status::GRPC_STATUS.clone(), HeaderValue::from_static("0"))]);
    let body = Full::new(frame).with_trailers(async { Some(Ok(trailers)) });
    (
        [(header::CONTENT_TYPE, "application/grpc")],
        Body::new(body),
    )
        .into_response()
}

/// The first half of the true reply, then a broken connection (HTTP/1.1) or a reset stream (HTTP/2).
pub(crate) async fn truncate(protocol: Protocol, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return fail(protocol);
    };
    if protocol == Protocol::Rest {
        // Without the length, a client over HTTP/1.1 could take the half for the whole.
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    let half = stream::iter([Ok(bytes.slice(..bytes.len() / 2))]);
    // The pause of one poll lets the first half reach the client before the break does.
    let rest = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(head, Body::from_stream(half.chain(rest)))
}
