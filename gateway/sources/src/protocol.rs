//! What differs between protocols, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::Resolver;
use compose::model::Target;
use http::HeaderMap;
use plan::cache::CachePolicy;
use plan::shape::ReplyShape;
use plan::source::BoxFuture;
use plan::source::Context;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use serde_json::Map;
use serde_json::Value as Json;

use crate::cache::Cache;
use crate::page::Ask;
use crate::page::Facts;
use crate::render::Encodings;
use crate::render::Scope;

/// A fetch without its rows and its place for what was prepared: what building and judging calls needs.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The plan step.
    pub(crate) step: usize,
    /// The resolver.
    pub(crate) resolver: &'a Resolver,
    /// What a reply is decoded into; none where several steps share a call.
    pub(crate) shape: Option<&'a ReplyShape>,
    /// The field's arguments.
    pub(crate) args: &'a Map<String, Json>,
    /// On whose behalf.
    pub(crate) context: &'a Context,
    /// What the schema says about keeping the reply.
    pub(crate) cache: CachePolicy,
}

impl<'a> Job<'a> {
    /// The job of a fetch.
    pub(crate) fn of(fetch: &'a Fetch<'_>) -> Self {
        Self {
            step: fetch.step.id,
            resolver: fetch.resolver,
            shape: Some(fetch.shape),
            args: &fetch.args,
            context: fetch.context,
            cache: fetch.step.cache,
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

    /// Whether an identical call in flight may stand for this one.
    pub(crate) fn may_merge(&self) -> bool {
        self.context.merge_reads && self.resolver.policy.idempotent && !self.is_mutation()
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

/// Building a call, making it, and reading its reply.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// A call, rendered.
    type Call: Send;
    /// A reply, not yet decoded; cheap to clone.
    type Reply: Clone + Send + Sync + 'static;

    /// The source's name.
    fn service(&self) -> &Arc<str>;

    /// How values are spelled.
    fn encodings(&self) -> &Encodings;

    /// The source's own header rules.
    fn rules(&self) -> &[HeaderRule];

    /// Builds the call for some rows, with the parameters of a page.
    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Self::Call, SourceError>;

    /// Whether a call of several rows is too long to be made as one.
    fn is_too_long(&self, call: &Self::Call) -> bool;

    /// Makes the call, or joins an identical one in flight, and writes it down. Ends with the request's deadline.
    fn exchange<'a>(
        &'a self,
        job: &'a Job<'a>,
        call: Self::Call,
        keys: usize,
    ) -> BoxFuture<'a, Result<Answer<Self::Reply>, SourceError>>;

    /// What a paged reply says of itself.
    fn facts(&self, job: &Job<'_>, rule: &Page, reply: &Self::Reply) -> Result<Facts, SourceError>;

    /// Decodes a reply, or the pages of one list as one.
    fn decode(&self, fetch: &Fetch<'_>, replies: &[Self::Reply]) -> Result<Tape, SourceError>;

    /// Replies that are kept.
    fn cache(&self) -> &Cache;

    /// What can be done with single items of a batch's replies, where the protocol knows items as text.
    fn items(&self) -> Option<&dyn Items<Self::Reply>>;
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
