//! What differs between protocols, and nothing else.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compose::model::Page;
use compose::model::Resolver;
use compose::model::Target;
use http::HeaderMap;
use http::HeaderValue;
use plan::cache::CachePolicy;
use plan::model::Prepared;
use plan::outbox::Deferred;
use plan::shape::ReplyShape;
use plan::source::Context;
use plan::source::Events;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::source::no_events;
use plan::tape::Tape;
use serde_json::Map;
use serde_json::Value as Json;

use crate::cache::CallKey;
use crate::cache::Kept;
use crate::calls::Status;
use crate::exchange::Reads;
use crate::failure::Failed;
use crate::page::Ask;
use crate::page::Facts;
use crate::render::Encodings;
use crate::render::Scope;
use crate::resilience::Verdict;
use crate::service::Link;
use crate::service::Service;

/// A fetch without its rows and its place for what was prepared: what building and judging calls needs.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The plan step.
    pub(crate) step: usize,
    /// The resolver.
    pub(crate) resolver: &'a Resolver,
    /// What a reply is decoded into; none where several steps share a call.
    pub(crate) shape: Option<&'a ReplyShape>,
    /// Where what is derived from the shape is kept; none where several steps share a call.
    pub(crate) prepared: Option<&'a Prepared>,
    /// The field's arguments.
    pub(crate) args: &'a Map<String, Json>,
    /// Those of fields below.
    pub(crate) below: &'a [Option<Json>],
    /// On whose behalf.
    pub(crate) context: &'a Context,
    /// What the schema says about keeping the reply.
    pub(crate) cache: CachePolicy,
    /// Whether its request asks the same source for something else at the same time.
    pub(crate) in_company: bool,
}

impl<'a> Job<'a> {
    /// The job of a fetch.
    pub(crate) fn of(fetch: &'a Fetch<'_>) -> Self {
        Self {
            step: fetch.step.id,
            resolver: fetch.resolver,
            shape: Some(fetch.shape),
            prepared: Some(fetch.prepared),
            args: &fetch.args,
            below: &fetch.below,
            context: fetch.context,
            cache: fetch.step.cache,
            in_company: fetch.step.in_company,
        }
    }

    /// What its expressions can name.
    pub(crate) fn scope(&self, rows: &'a [Row], encodings: &'a Encodings) -> Scope<'a> {
        Scope {
            args: self.args,
            rows,
            headers: &self.context.headers,
            claims: &self.context.claims,
            encodings,
        }
    }

    /// Whether the call changes something.
    pub(crate) fn is_mutation(&self) -> bool {
        matches!(self.resolver.target, Target::Root { mutation: true, .. })
    }

    /// Whether it changes something, and a second time something else.
    pub(crate) fn is_unmarked_mutation(&self) -> bool {
        self.is_mutation() && !self.resolver.policy.idempotent
    }

    /// Whether an identical call in flight may stand for this one.
    pub(crate) fn may_merge(&self) -> bool {
        self.context.merge_reads
            && self.resolver.policy.idempotent
            && !self.is_mutation()
            && self.context.rehearsal.is_none()
    }

    /// Keys of the batch, for whom it is written down.
    pub(crate) fn keys(&self, rows: usize) -> usize {
        self.resolver.batch.as_ref().map_or(0, |_| rows)
    }
}

/// What a call came to.
pub(crate) enum Answer<R> {
    /// A reply to decode.
    Reply(R),
    /// The value itself, since the status says it: null, or a type that stands for the failure.
    Instead(Tape),
}

/// What one attempt brought.
pub(crate) type Brought<P> = Result<<P as Protocol>::Raw, Failed>;

/// A call as people see it.
pub(crate) struct Shown<'c> {
    /// `GET`, or `gRPC`.
    pub(crate) method: &'c str,
    /// Path and query below the base address, or `package.Service/Method`.
    pub(crate) target: &'c str,
}

/// Building a call, making it, and reading its reply.
pub(crate) trait Protocol: Send + Sync + Sized + 'static {
    /// A call, rendered, without what goes with every call: everything that makes two calls the same, identity included. Cheap to clone.
    type Call: Clone + Eq + Hash + Send + Sync + 'static;
    /// What the service answered, whatever its status. Cheap to clone.
    type Raw: Clone + Send + Sync + 'static;
    /// A reply to decode; cheap to clone.
    type Reply: Clone + Send + Sync + 'static;
    /// What calls to one address go over.
    type Transport: Send + Sync + 'static;

    /// What sources of every kind have.
    fn service(&self) -> &Service;

    /// The way to it.
    fn link(&self) -> &Arc<Link<Self::Transport>>;

    /// Reads in flight.
    fn reads(&self) -> &Reads<Self>;

    /// Builds the call for some rows, with the parameters of a page.
    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Self::Call, SourceError>;

    /// Whether a call of several rows is too long to be made as one.
    fn is_too_long(&self, call: &Self::Call) -> bool;

    /// One attempt over one connection, without a bound in time.
    fn send(
        &self,
        transport: &Self::Transport,
        call: &Self::Call,
        with: With,
    ) -> impl Future<Output = Brought<Self>> + Send;

    /// What an attempt brings that is aborted with this HTTP status.
    fn aborted(&self, status: u16) -> Brought<Self>;

    /// What an answer says about the source, and about another attempt.
    fn verdict(&self, raw: &Self::Raw) -> Verdict;

    /// The status of an answer, as people know it.
    fn status(&self, raw: &Self::Raw) -> Status;

    /// Whether the service does not accept the credentials that it was sent.
    fn refuses_credentials(&self, raw: &Self::Raw) -> bool;

    /// Whether the caller may not see it, in the service's own words.
    fn denies(&self, raw: &Self::Raw) -> bool;

    /// Bytes of an answer.
    fn bytes(&self, raw: &Self::Raw) -> usize;

    /// Whether an answer is data, a value that its status stands for, or an error.
    fn judge(&self, job: &Job<'_>, raw: &Self::Raw) -> Result<Answer<Self::Reply>, SourceError>;

    /// How an answer came.
    fn travel(&self, _raw: &Self::Raw) -> Travel {
        Travel::Alone
    }

    /// What can be kept of an answer that carries what was asked for.
    fn keep(&self, raw: &Self::Raw) -> Option<Kept>;

    /// What was kept, as an answer again.
    fn kept(&self, kept: Kept) -> Option<Self::Raw>;

    /// What the service said about keeping its answer.
    fn caching<'r>(&self, raw: &'r Self::Raw) -> Option<&'r HeaderMap>;

    /// The headers of an answer, or what came before its messages, where clients are given any of it.
    fn metadata<'r>(&self, raw: &'r Self::Raw) -> Option<&'r HeaderMap>;

    /// What it is kept under.
    fn key(&self, call: &Self::Call) -> CallKey;

    /// A call as people see it.
    fn shown<'c>(&self, call: &'c Self::Call) -> Shown<'c>;

    /// The request's body as text, where it has one.
    fn body(&self, call: &Self::Call) -> Option<String>;

    /// What a paged reply says of itself.
    fn facts(&self, job: &Job<'_>, rule: &Page, reply: &Self::Reply) -> Result<Facts, SourceError>;

    /// Decodes a reply, or the pages of one list as one.
    fn decode(&self, fetch: &Fetch<'_>, replies: &[Self::Reply]) -> Result<Tape, SourceError>;

    /// Listens for the events of a root field of Subscription.
    fn events<'a>(&'a self, fetch: Fetch<'a>) -> Events<'a> {
        no_events(&fetch)
    }
    /// The call of a fetch that is to be made later, without what the configuration adds to it then.
    fn defer(&self, job: &Job<'_>, rows: &[Row]) -> Result<Deferred, SourceError>;

    /// A call that was to be made later, with what the configuration and the schema add now. The error is for the log.
    fn resume(&self, call: &Deferred, resolver: Option<&Resolver>) -> Result<Self::Call, String>;

    /// What is wrong with an answer of which nobody reads the data.
    fn refusal(&self, raw: &Self::Raw, resolver: Option<&Resolver>) -> Option<SourceError>;

    /// What can be done with single items of a batch's replies, where the protocol knows items as text.
    fn items(&self) -> Option<&dyn Items<Self::Reply>>;
}

/// How an answer came, where several calls may be sent as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Travel {
    /// It was asked for by itself, or first of all that were sent as one.
    Alone,
    /// With that to another call.
    Along,
    /// By itself, after all had been asked as one in vain: with what status.
    AfterAll(Status),
}

/// What goes with one attempt.
pub(crate) struct With {
    /// Ids and credentials: not for a rule to change.
    pub(crate) headers: HeaderMap,
    /// Where the call itself carries none.
    pub(crate) idempotency_key: Option<HeaderValue>,
    /// How long the service is told that it has.
    pub(crate) time: Duration,
    /// Whether that is what the caller has left, and less than an attempt's own time.
    pub(crate) cut: bool,
    /// Attempts before this one.
    pub(crate) before: u32,
}

impl With {
    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        Self {
            headers: self.headers.clone(),
            idempotency_key: self.idempotency_key.clone(),
            ..*self
        }
    }
}

/// Batches item by item.
pub(crate) trait Items<R>: Sync {
    /// The items of a reply's list, each with its key; none where the reply is not as it should be.
    fn split(&self, job: &Job<'_>, reply: &R) -> Option<Vec<(String, Bytes)>>;

    /// A reply of these items.
    fn join(&self, job: &Job<'_>, items: &[Bytes]) -> R;

    /// What the service said about keeping it.
    fn headers<'r>(&self, reply: &'r R) -> &'r HeaderMap;
}
