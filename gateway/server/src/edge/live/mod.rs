//! Operations that outlive a request: WebSockets and server-sent events.
//!
//! Owns the way from a request that wants more than one answer to whatever
//! answers it, and nothing of what an operation is. Each operation is charged,
//! limited and logged as a request of its own.

mod client;
mod conversation;
mod handshake;
mod operation;
mod origin;
mod socket;
mod sse;

use std::sync::Arc;

use axum::body::Body;
use http::Method;
use http::Version;
use http::header::UPGRADE;

use super::Request;
use super::connections::Stays;
use super::graphql::Arrival;
use super::negotiate;
use super::problem::Problem;
use crate::config::Cors;
use crate::pipeline::Gateway;

/// An answer without a known end.
type Answer = http::Response<Body>;

/// What a request wants beside one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A WebSocket.
    Socket,
    /// Server-sent events.
    Events,
}

/// What it wants; none where one answer will do, or this is off.
pub(super) fn wish(gateway: &Arc<Gateway>, request: &Request) -> Option<Wish> {
    let headers = request.headers();
    let wish = match headers.get(UPGRADE) {
        Some(protocol) if protocol.as_bytes().eq_ignore_ascii_case(b"websocket") => {
            let upgrades =
                *request.method() == Method::GET && request.version() == Version::HTTP_11;
            upgrades.then_some(Wish::Socket)
        }
        _ => negotiate::prefers_events(headers).then_some(Wish::Events),
    };
    wish.filter(|_| gateway.graph.load().settings.subscriptions.enabled)
}

/// A request that wants more than one answer.
pub(super) struct Opening<'r> {
    pub(super) arrival: Arrival<'r>,
    pub(super) stays: &'r Stays,
    pub(super) cors: Option<&'r Cors>,
}

impl Opening<'_> {
    pub(super) async fn open(self, wish: Wish, request: Request) -> Result<Answer, Problem> {
        match wish {
            Wish::Socket => handshake::open(self, request),
            Wish::Events => sse::open(self, request).await,
        }
    }
}
