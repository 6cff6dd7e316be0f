//! What is said over a socket, and what follows from it: two protocols as pure state machines.
//!
//! Owns every rule of `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>) and of
//! the older `graphql-ws`
//! (<https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md>).
//! Knows nothing of sockets, time or operations: it is told what happens, and
//! answers with what is to be done.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use serde_json::value::RawValue;

use super::operation::Told;
use crate::edge::problem::Kind;

/// Bytes of the reason of a close frame.
const REASON: usize = 123;

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `graphql-transport-ws`
    TransportWs,
    /// `graphql-ws` of subscriptions-transport-ws.
    Legacy,
}

impl Dialect {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Dialect::TransportWs, Dialect::Legacy]
            .into_iter()
            .find(|dialect| dialect.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Dialect::TransportWs => "graphql-transport-ws",
            Dialect::Legacy => "graphql-ws",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    Send(String),
    /// Find out whose credentials these are, and say what came of it.
    Verify(Map<String, Json>),
    /// Run an operation.
    Begin {
        id: String,
        payload: String,
    },
    /// Let an operation go.
    Stop(String),
    Close(Close),
}

/// How a socket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Close {
    /// The client has said that it has finished.
    pub(super) const NORMAL: u16 = 1000;
    /// The process ends: come back, and find another.
    pub(super) const GOING_AWAY: u16 = 1001;
    /// More than is read.
    pub(super) const TOO_BIG: u16 = 1009;
    /// Another graph is in service: come back.
    pub(super) const RESTART: u16 = 1012;
    /// Nobody can say now whose credentials these are.
    pub(super) const TRY_AGAIN: u16 = 1013;
    const BAD_REQUEST: u16 = 4400;
    const UNAUTHORIZED: u16 = 4401;
    const FORBIDDEN: u16 = 4403;
    const INIT_TIMEOUT: u16 = 4408;
    const ID_IN_USE: u16 = 4409;
    const TOO_MANY_INITS: u16 = 4429;

    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let end = (0..=REASON.min(reason.len())).rev();
        let end = end.into_iter().find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or_default());
        Self { code, reason }
    }

    /// Credentials that are good no longer, or never were.
    pub(super) fn forbidden() -> Self {
        Self::new(Self::FORBIDDEN, "Forbidden")
    }

    pub(super) fn init_timeout() -> Self {
        Self::new(Self::INIT_TIMEOUT, "Connection initialisation timeout")
    }
}

/// A message as either protocol writes it.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'m, str>,
    #[serde(borrow)]
    id: Option<Cow<'m, str>>,
    #[serde(borrow)]
    payload: Option<&'m RawValue>,
}

impl<'m> Message<'m> {
    fn parse(text: &'m str) -> Result<Self, String> {
        // A derived implementation would take a list for an object.
        if !text.trim_start().starts_with('{') {
            return Err("a message is a JSON object".to_owned());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// An id that names an operation.
    fn named(&self) -> Result<String, String> {
        match self.id.as_deref() {
            None | Some("") => Err(format!("`{}` needs an `id`", self.kind)),
            Some(id) => Ok(id.to_owned()),
        }
    }

    /// The payload, where it is an object or absent.
    fn object(&self) -> Result<Option<Map<String, Json>>, String> {
        let parse = |payload: &RawValue| serde_json::from_str(payload.get());
        let parsed = self.payload.map(parse).transpose();
        parsed.map_err(|_| format!("the payload of `{}` is an object", self.kind))
    }

    /// The payload of an operation, as it was written.
    fn operation(&self) -> Result<String, String> {
        let payload = self.payload.map(RawValue::get);
        match payload.filter(|payload| payload.starts_with('{')) {
            Some(payload) => Ok(payload.to_owned()),
            None => Err(format!(
                "`{}` needs a payload, which is an object",
                self.kind
            )),
        }
    }
}

/// One socket's conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    dialect: Dialect,
    /// `connection_init` has come.
    begun: bool,
    /// And was acknowledged.
    ready: bool,
    running: HashSet<String>,
    /// Operations at once.
    most: usize,
}

impl Conversation {
    pub(super) fn new(dialect: Dialect, most: usize) -> Self {
        Self {
            dialect,
            begun: false,
            ready: false,
            running: HashSet::new(),
            most,
        }
    }

    /// Whether the client has said who it is.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// The client said this.
    pub(super) fn hears(&mut self, text: &str) -> Vec<Act> {
        let heard = Message::parse(text).and_then(|message| match self.dialect {
            Dialect::TransportWs => self.transport_ws(&message),
            Dialect::Legacy => self.legacy(&message),
        });
        heard.unwrap_or_else(|wrong| match self.dialect {
            Dialect::TransportWs => close(Close::BAD_REQUEST, format!("Invalid message: {wrong}")),
            // The client is told, and goes on.
            Dialect::Legacy => vec![Act::Send(connection_error(&wrong))],
        })
    }

    fn transport_ws(&mut self, message: &Message<'_>) -> Result<Vec<Act>, String> {
        Ok(match &*message.kind {
            "connection_init" if self.begun => {
                close(Close::TOO_MANY_INITS, "Too many initialisation requests")
            }
            "connection_init" => self.init(message.object()?),
            "ping" => {
                message.object()?;
                vec![Act::Send(pong(message.payload))]
            }
            "pong" => {
                message.object()?;
                Vec::new()
            }
            "subscribe" => {
                let (id, payload) = (message.named()?, message.operation()?);
                if !self.ready {
                    return Ok(close(Close::UNAUTHORIZED, "Unauthorized"));
                }
                if self.running.contains(&id) {
                    let reason = format!("Subscriber for {id} already exists");
                    return Ok(close(Close::ID_IN_USE, reason));
                }
                self.begin(id, payload)
            }
            "complete" => {
                let id = message.named()?;
                match self.running.remove(&id) {
                    true => vec![Act::Stop(id)],
                    // It may have completed meanwhile.
                    false => Vec::new(),
                }
            }
            other => return Err(format!("there is no type `{other}`")),
        })
    }

    fn legacy(&mut self, message: &Message<'_>) -> Result<Vec<Act>, String> {
        Ok(match &*message.kind {
            "connection_init" if self.begun => Vec::new(),
            "connection_init" => self.init(message.object()?),
            "start" => {
                let (id, payload) = (message.named()?, message.operation()?);
                if !self.ready {
                    return Ok(close(Close::UNAUTHORIZED, "Unauthorized"));
                }
                // Whoever starts an id again has forgotten the first one.
                let mut acts = match self.running.remove(&id) {
                    true => vec![Act::Stop(id.clone())],
                    false => Vec::new(),
                };
                acts.extend(self.begin(id, payload));
                acts
            }
            "stop" => {
                let id = message.named()?;
                match self.running.remove(&id) {
                    true => vec![
                        Act::Stop(id.clone()),
                        Act::Send(plain("complete", Some(&id))),
                    ],
                    false => Vec::new(),
                }
            }
            "connection_terminate" => close(Close::NORMAL, ""),
            other => return Err(format!("there is no type `{other}`")),
        })
    }

    fn init(&mut self, payload: Option<Map<String, Json>>) -> Vec<Act> {
        self.begun = true;
        vec![Act::Verify(payload.unwrap_or_default())]
    }

    fn begin(&mut self, id: String, payload: String) -> Vec<Act> {
        if self.running.len() >= self.most {
            return vec![Act::Send(self.error(&id, vec![too_many(self.most)]))];
        }
        self.running.insert(id.clone());
        vec![Act::Begin { id, payload }]
    }

    /// The credentials are good.
    pub(super) fn accepts(&mut self) -> Vec<Act> {
        self.ready = true;
        let ack = Act::Send(plain("connection_ack", None));
        [Some(ack), self.keep_alive()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// They are not.
    pub(super) fn rejects(&self, why: Close) -> Vec<Act> {
        let told = match self.dialect {
            Dialect::TransportWs => None,
            Dialect::Legacy => Some(Act::Send(connection_error(&why.reason))),
        };
        told.into_iter().chain([Act::Close(why)]).collect()
    }

    /// What tells a client that we are there, beside the pings of WebSocket itself.
    pub(super) fn keep_alive(&self) -> Option<Act> {
        let says_so = self.dialect == Dialect::Legacy && self.ready;
        says_so.then(|| Act::Send(plain("ka", None)))
    }

    /// An operation has told something; nothing for its end.
    pub(super) fn tells(&mut self, id: &str, told: Option<Told>) -> Vec<Act> {
        if !self.running.contains(id) {
            return Vec::new();
        }
        match told {
            Some(Told::Begun) => Vec::new(),
            Some(Told::Next(body)) => vec![Act::Send(self.next(id, &body))],
            Some(Told::Failed(body)) => self.fails(id, &body),
            Some(Told::Problem(problem, _)) if self.is_malformed(problem.kind()) => close(
                Close::BAD_REQUEST,
                format!("Invalid message: {}", problem.detail()),
            ),
            Some(Told::Problem(problem, correlation_id)) => {
                self.fails(id, &problem.into_graphql(&correlation_id))
            }
            None => {
                self.running.remove(id);
                vec![Act::Send(plain("complete", Some(id)))]
            }
        }
    }

    /// The payload was not in the form that the protocol demands.
    fn is_malformed(&self, kind: Kind) -> bool {
        self.dialect == Dialect::TransportWs && kind == Kind::MalformedRequest
    }

    fn next(&self, id: &str, body: &[u8]) -> String {
        let kind = match self.dialect {
            Dialect::TransportWs => "next",
            Dialect::Legacy => "data",
        };
        with_payload(kind, id, &String::from_utf8_lossy(body))
    }

    fn fails(&mut self, id: &str, body: &[u8]) -> Vec<Act> {
        self.running.remove(id);
        let mut response: Map<String, Json> = serde_json::from_slice(body).unwrap_or_default();
        let errors = match response.remove("errors") {
            Some(Json::Array(errors)) => errors,
            _ => Vec::new(),
        };
        vec![Act::Stop(id.to_owned()), Act::Send(self.error(id, errors))]
    }

    /// Of the older protocol an error message carries one error only.
    fn error(&self, id: &str, errors: Vec<Json>) -> String {
        let payload = match self.dialect {
            Dialect::TransportWs => Json::Array(errors),
            Dialect::Legacy => errors.into_iter().next().unwrap_or_default(),
        };
        with_payload("error", id, &payload.to_string())
    }
}

fn close(code: u16, reason: impl Into<String>) -> Vec<Act> {
    vec![Act::Close(Close::new(code, reason))]
}

fn too_many(most: usize) -> Json {
    json!({
        "message": format!("The socket has {most} operations open already."),
        "extensions": { "code": "TOO_MANY_SUBSCRIPTIONS", "limit": most, "retryable": true },
    })
}

fn plain(kind: &str, id: Option<&str>) -> String {
    match id {
        Some(id) => json!({ "id": id, "type": kind }).to_string(),
        None => json!({ "type": kind }).to_string(),
    }
}

/// The payload is JSON already.
fn with_payload(kind: &str, id: &str, payload: &str) -> String {
    format!(
        "{{\"id\":{},\"type\":\"{kind}\",\"payload\":{payload}}}",
        Json::from(id)
    )
}

fn pong(payload: Option<&RawValue>) -> String {
    match payload {
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{}}}", payload.get()),
        None => plain("pong", None),
    }
}

fn connection_error(message: &str) -> String {
    json!({ "type": "connection_error", "payload": { "message": message } }).to_string()
}

#[cfg(test)]
mod tests;
