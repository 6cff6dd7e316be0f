//! What the file says about sockets and subscriptions.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::units::Size;
use crate::config::units::Span;

/// Operations that are answered again and again, over WebSocket or server-sent events.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Subscriptions {
    /// Whether /graphql takes WebSockets and answers `Accept: text/event-stream`.
    pub(crate) enabled: bool,
    /// Whether WebSockets may speak the older protocol, `graphql-ws` of subscriptions-transport-ws, as well.
    pub(crate) legacy: bool,
    /// Operations of one socket at once.
    pub(crate) per_socket: usize,
    /// Subscriptions at once, of all clients together.
    pub(crate) open: usize,
    /// The longest message of a client.
    pub(crate) message: Size,
    /// The time in which a client says who it is (`connection_init`).
    pub(crate) init_timeout: Span,
    /// How often a silent client is asked whether it is there, and told that we are; at least 1s.
    pub(crate) keep_alive: Span,
    /// Responses of one subscription that may wait for its client.
    pub(crate) buffer: usize,
    /// What happens when as many wait.
    pub(crate) when_full: WhenFull,
    /// What becomes of what runs when another graph is put in service.
    pub(crate) on_reload: OnReload,
    /// Headers that the payload of `connection_init` may stand in for, beside those in which `authentication` looks for credentials. One that the handshake has is never replaced.
    pub(crate) init_headers: Vec<String>,
}

/// What happens when a client is slower than events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenFull {
    /// The source is read no faster than the client.
    Wait,
    /// The subscription ends with SUBSCRIBER_TOO_SLOW.
    End,
}

/// What becomes of what runs when another graph is put in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnReload {
    /// It goes on with the graph on which it began, and that graph's rules.
    Continue,
    /// Sockets and streams are ended so that clients come back at once: 1012, or the end of the stream.
    End,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            enabled: true,
            legacy: true,
            per_socket: 100,
            open: 10_000,
            message: Size::kib(1024),
            init_timeout: Span::seconds(3),
            keep_alive: Span::seconds(12),
            buffer: 16,
            when_full: WhenFull::Wait,
            on_reload: OnReload::Continue,
            init_headers: vec!["authorization".to_owned()],
        }
    }
}
