//! The port between the sources and whatever makes calls durable.
//!
//! Owns what one asks of the other: a call that was rendered and is to be made
//! later, and what the client is told in its place. `sources` renders calls and
//! makes them when their time has come; where they wait it does not know.

use std::fmt::Debug;
use std::sync::Arc;

use compose::model::QueueRule;

use crate::effects::Effect;
use crate::source::BoxFuture;
use crate::source::SourceError;

/// Where the queued calls of one request go.
pub trait Outbox: Send + Sync + Debug {
    /// Makes a call durable, and answers only then.
    fn put<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Accepted, SourceError>>;

    /// A call will not come: it could not be rendered.
    fn withdraw(&self, step: usize);
}

/// A call that is to be made later.
#[derive(Debug)]
pub struct Order<'a> {
    /// The plan step: calls of one operation are kept in the order of their steps.
    pub step: usize,
    /// The field that it answers: `Mutation.requestReview`.
    pub field: String,
    /// What the schema says of it.
    pub rule: &'a QueueRule,
    /// Calls of one key are made in order.
    pub key: Option<String>,
    /// The same text means the same effect.
    pub dedupe: Option<String>,
    /// What it is recognised by, where the client's request had an `Idempotency-Key`.
    pub effect: Option<Effect>,
    /// What makes two calls the same for `dedupe`: everything that the client gave.
    pub payload: Vec<u8>,
    /// The call.
    pub call: Deferred,
}

/// A call, rendered, without what the configuration adds when it is made: address, credentials and
/// headers that depend on nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// The source's name.
    pub source: Arc<str>,
    /// `POST` and so on; `gRPC`.
    pub verb: String,
    /// Path and query below the source's address, or `package.Service/Method`.
    pub target: String,
    /// Headers or metadata that depend on the client, by lower-case name; none takes one away that the configuration would add.
    pub headers: Vec<(String, Option<String>)>,
    /// As it is sent.
    pub body: Vec<u8>,
}

/// A call is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it is known by.
    pub id: String,
    /// `QUEUED` and so on; of a duplicate, that of the first.
    pub status: &'static str,
    /// As RFC 3339 writes it.
    pub accepted_at: String,
    /// It was accepted before, and nothing was added.
    pub duplicate: bool,
}
