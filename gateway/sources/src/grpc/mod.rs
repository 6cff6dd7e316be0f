//! Services that speak gRPC.
//!
//! Owns what is gRPC's own: a call's message and metadata, connections,
//! statuses, and decoding replies. What all protocols share lives beside this
//! room, and reaches it through [`Protocol`] alone.

mod call;
mod channel;
mod codec;
mod decode;
mod encode;
mod events;
mod mask;
mod reflect;
mod request;
mod status;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use compose::model::GrpcRequest;
use compose::model::Page;
use compose::model::Request;
use compose::model::Resolver;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::uri::PathAndQuery;
use plan::code::Code;
use plan::outbox::Deferred;
use plan::shape::Shape;
use plan::source::Events;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;
pub(crate) use tonic::transport::Channel as Connection;

use self::call::Failure;
pub(crate) use self::call::Incoming;
use self::call::Outgoing;
use self::call::Take;
use self::decode::Malformed;
use self::decode::PageReader;
use self::decode::Program;
use self::decode::is_wrapper;
use self::request::Rendered;
use self::request::Rules;
use self::status::Refusal;
use self::status::told_apart;
use crate::ConnectError;
use crate::cache::CallKey;
use crate::cache::Kept;
use crate::calls::Status;
use crate::exchange::Reads;
use crate::failure::Failed;
use crate::failure::fixed_text;
use crate::page::Ask;
use crate::page::Facts;
use crate::peers::Address;
use crate::peers::Resolve;
use crate::protocol::Answer;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::protocol::Shown;
use crate::protocol::With;
use crate::resilience::Verdict;
use crate::service::Link;
use crate::service::Service;

pub(crate) use self::channel::Dial;
pub use self::reflect::ReflectError;
pub use self::reflect::reflect;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A batch whose request is longer is split: servers take 4 MiB unless they are told otherwise.
const LONG_REQUEST: usize = 3 * 1024 * 1024;

/// One gRPC service.
pub(crate) struct Grpc {
    service: Service,
    link: Arc<Link<Connection>>,
    reads: Reads<Self>,
}

/// A call as the service sees it, without what goes with every call.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrpcCall {
    path: PathAndQuery,
    message: Bytes,
    metadata: Vec<(HeaderName, HeaderValue)>,
    take: Take,
}

impl GrpcCall {
    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|(name, value)| 64 + name.as_str().len() + value.len());
        self.message.len() + metadata.sum::<usize>()
    }
}

impl Grpc {
    /// Over a link that is there already, where it still fits. Dials nothing yet.
    pub(crate) fn new(
        service: Service,
        declared_url: &str,
        resolver: Arc<dyn Resolve>,
        old: Option<&Arc<Link<Connection>>>,
    ) -> Result<Self, ConnectError> {
        let Service { name, settings, .. } = &service;
        let url = settings.url.as_deref().unwrap_or(declared_url);
        let address = Address::parse(url).map_err(|bad| ConnectError::Url {
            source_name: name.to_string(),
            url: url.to_owned(),
            reason: bad.to_string(),
        })?;
        let link = match old.filter(|old| old.fits(url, settings)) {
            Some(old) => old.clone(),
            None => {
                let peers = channel::peers(address, settings.dial(), settings.peers(), resolver);
                Link::new(name, url, settings, peers)?
            }
        };
        Ok(Self {
            reads: Reads::<Self>::default(),
            service,
            link,
        })
    }
}

impl Protocol for Grpc {
    type Call = Arc<Rendered>;
    type Raw = Result<Incoming, Arc<Refusal>>;
    type Reply = Incoming;
    type Transport = Connection;

    fn service(&self) -> &Service {
        &self.service
    }

    fn link(&self) -> &Arc<Link<Connection>> {
        &self.link
    }

    fn reads(&self) -> &Reads<Self> {
        &self.reads
    }

    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Arc<Rendered>, SourceError> {
        let request = self.request(job.resolver)?;
        let scope = job.scope(rows, &self.service.encodings);
        let rules = Rules {
            configured: &self.service.settings.headers,
            source: &self.service.rules,
        };
        let address = self.link.peers.address();
        let rendered = request::render(request, job, &scope, ask, rules, address);
        match rendered {
            Ok(rendered) => Ok(Arc::new(rendered)),
            Err(error) => Err(error.of(&self.service.name)),
        }
    }

    fn is_too_long(&self, call: &Arc<Rendered>) -> bool {
        call.call.message.len() > LONG_REQUEST
    }

    async fn send(
        &self,
        transport: &Connection,
        call: &Arc<Rendered>,
        with: With,
    ) -> Result<Self::Raw, Failed> {
        let outgoing = Outgoing {
            path: call.call.path.clone(),
            metadata: metadata(&call.call.metadata, with),
            message: call.call.message.clone(),
            take: call.call.take,
            max_bytes: self.service.settings.max_reply_bytes,
            wants_metadata: !self.service.may_share(),
        };
        match call::call_on(transport.clone(), &outgoing).await {
            Ok(incoming) => Ok(Ok(incoming)),
            Err(failure) => {
                let refusal = told_apart(failure, &self.service.name)?;
                Ok(Err(Arc::new(refusal)))
            }
        }
    }

    fn aborted(&self, status: u16) -> Result<Self::Raw, Failed> {
        let refusal = told_apart(Failure::Http(status, None), &self.service.name)?;
        Ok(Err(Arc::new(refusal)))
    }

    fn verdict(&self, raw: &Self::Raw) -> Verdict {
        match raw {
            Ok(_) => Verdict::FINE,
            Err(refusal) => refusal.verdict,
        }
    }

    fn status(&self, raw: &Self::Raw) -> Status {
        match raw {
            Ok(_) => Status::Word("OK"),
            Err(refusal) => Status::Word(refusal.status),
        }
    }

    /// In gRPC's words or in HTTP's.
    fn refuses_credentials(&self, raw: &Self::Raw) -> bool {
        let code = raw.as_ref().err().map(|refusal| refusal.error.code);
        code == Some(Code::Unauthenticated)
    }

    fn denies(&self, raw: &Self::Raw) -> bool {
        let code = raw.as_ref().err().map(|refusal| refusal.error.code);
        matches!(code, Some(Code::Unauthenticated | Code::Forbidden))
    }

    fn bytes(&self, raw: &Self::Raw) -> usize {
        raw.as_ref().map_or(0, |incoming| incoming.bytes.len())
    }

    fn judge(&self, job: &Job<'_>, raw: &Self::Raw) -> Result<Answer<Incoming>, SourceError> {
        match raw {
            Ok(incoming) => Ok(Answer::Reply(incoming.clone())),
            Err(refusal) => self.refused(job, refusal).map(Answer::Instead),
        }
    }

    fn keep(&self, raw: &Self::Raw) -> Option<Kept> {
        raw.as_ref().ok().cloned().map(Kept::Grpc)
    }

    fn kept(&self, kept: Kept) -> Option<Self::Raw> {
        match kept {
            Kept::Grpc(incoming) => Some(Ok(incoming)),
            Kept::Http(_) | Kept::Items(_) => None,
        }
    }

    fn caching<'r>(&self, _: &'r Self::Raw) -> Option<&'r HeaderMap> {
        None
    }

    fn metadata<'r>(&self, raw: &'r Self::Raw) -> Option<&'r HeaderMap> {
        raw.as_ref().ok()?.metadata.as_deref()
    }

    fn key(&self, call: &Arc<Rendered>) -> CallKey {
        CallKey::Grpc(call.call.clone())
    }

    fn shown<'c>(&self, call: &'c Arc<Rendered>) -> Shown<'c> {
        Shown {
            method: request::VERB,
            target: &call.target,
        }
    }

    fn body(&self, call: &Arc<Rendered>) -> Option<String> {
        Some(call.json.to_string())
    }

    fn facts(&self, job: &Job<'_>, rule: &Page, reply: &Incoming) -> Result<Facts, SourceError> {
        let resolver = job.resolver;
        let output = self.request(resolver)?.method.output();
        let reader = PageReader::new(rule, &resolver.reply.unwrap, &output);
        reader
            .read(reply.bytes.clone())
            .map_err(|malformed| self.invalid(job, &malformed))
    }

    fn decode(&self, fetch: &Fetch<'_>, replies: &[Incoming]) -> Result<Tape, SourceError> {
        let request = self.request(fetch.resolver)?;
        let (bytes, messages) = together(replies);
        let tape = program(fetch, request).decode(bytes, &messages);
        tape.map_err(|malformed| self.invalid(&Job::of(fetch), &malformed))
    }

    fn events<'a>(&'a self, fetch: Fetch<'a>) -> Events<'a> {
        events::listen(self, fetch)
    }

    fn defer(&self, job: &Job<'_>, rows: &[Row]) -> Result<Deferred, SourceError> {
        let request = self.request(job.resolver)?;
        let Service {
            name,
            rules,
            encodings,
            ..
        } = &self.service;
        let scope = job.scope(rows, encodings);
        request::defer(name, request, rules, &scope).map_err(|error| error.of(name))
    }

    fn resume(&self, call: &Deferred, resolver: Option<&Resolver>) -> Result<Self::Call, String> {
        let request = resolver.and_then(|resolver| self.request(resolver).ok());
        let rules = Rules {
            configured: &self.service.settings.headers,
            source: &self.service.rules,
        };
        let scope = self.service.nobody();
        let address = self.link.peers.address();
        request::resume(call, request, rules, &scope, address).map(Arc::new)
    }

    fn refusal(&self, raw: &Self::Raw, resolver: Option<&Resolver>) -> Option<SourceError> {
        let refusal = raw.as_ref().err()?;
        let source = &self.service.errors;
        let own = resolver.map(|resolver| &resolver.policy.errors);
        Some(refusal.told(own.unwrap_or(source), source))
    }

    fn items(&self) -> Option<&dyn Items<Incoming>> {
        None
    }
}

/// What the rules say, and what goes with every call, which is not for a rule to change.
fn metadata(rules: &[(HeaderName, HeaderValue)], with: With) -> HeaderMap {
    let mut metadata = with.headers;
    metadata.insert(GRPC_TIMEOUT, timeout_header(with.time));
    if with.before > 0 {
        metadata.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(with.before));
    }
    obey(rules, &mut metadata);
    if let Some(key) = with.idempotency_key {
        metadata.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
    metadata
}

fn obey(rules: &[(HeaderName, HeaderValue)], metadata: &mut HeaderMap) {
    for (name, value) in rules.iter().cloned() {
        metadata.entry(name).or_insert(value);
    }
}

impl Grpc {
    /// Composition gives a gRPC source gRPC requests only.
    fn request<'r>(&self, resolver: &'r Resolver) -> Result<&'r GrpcRequest, SourceError> {
        match &resolver.request {
            Request::Grpc(request) => Ok(request),
            Request::Rest(_) | Request::Graphql(_) => {
                let code = Code::InternalError;
                Err(SourceError::new(code, &self.service.name, fixed_text(code))
                    .internal("the request for a gRPC source is none"))
            }
        }
    }

    /// The service said that all is well, and yet the reply cannot be read.
    fn invalid(&self, job: &Job<'_>, malformed: &Malformed) -> SourceError {
        let code = Code::UpstreamInvalidResponse;
        SourceError {
            outcome_unknown: job.is_unmarked_mutation(),
            ..SourceError::new(code, &self.service.name, fixed_text(code))
                .internal(malformed.to_string())
        }
    }

    /// What a refusal is to the graph: a type of it, a null, or an error.
    fn refused(&self, job: &Job<'_>, refusal: &Refusal) -> Result<Tape, SourceError> {
        if let Some(tape) = as_data(job, refusal) {
            return Ok(tape);
        }
        if is_null(job, refusal) {
            let mut tape = Tape::new(Bytes::new());
            tape.root = Value::Null;
            return Ok(tape);
        }
        Err(SourceError {
            outcome_unknown: job.is_unmarked_mutation() && refusal.maybe_done,
            ..refusal.told(&job.resolver.policy.errors, &self.service.errors)
        })
    }
}

/// At most eight digits and a unit: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn timeout_header(time: Duration) -> HeaderValue {
    let millis = time.as_micros().div_ceil(1_000).clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("1S"))
}

/// Made at a step's first reply and kept with its plan.
fn program(fetch: &Fetch<'_>, request: &GrpcRequest) -> Arc<Program> {
    let output = request.method.output();
    let make = || {
        // Each event of a subscription is a message of its own.
        let events = fetch.resolver.target.is_subscription();
        Arc::new(match request.method.is_server_streaming() && !events {
            true => Program::streamed(fetch.shape, &output),
            false => Program::unary(fetch.shape, &output),
        })
    };
    let kept = fetch.prepared.0.get_or_init(|| make()).clone();
    // Only this room prepares its own steps; were it otherwise, the step is prepared anew.
    kept.downcast().unwrap_or_else(|_| make())
}

/// One buffer with the messages of all replies.
fn together(replies: &[Incoming]) -> (Bytes, Vec<Range<usize>>) {
    if let [only] = replies {
        return (only.bytes.clone(), only.messages.clone());
    }
    let mut bytes = BytesMut::with_capacity(replies.iter().map(|reply| reply.bytes.len()).sum());
    let mut messages = Vec::new();
    for reply in replies {
        let start = bytes.len();
        bytes.extend_from_slice(&reply.bytes);
        messages.extend(
            reply
                .messages
                .iter()
                .map(|range| start + range.start..start + range.end),
        );
    }
    (bytes.freeze(), messages)
}

/// `@variant(status:)`
fn as_data(job: &Job<'_>, refusal: &Refusal) -> Option<Tape> {
    let Shape::Abstract(shape) = &job.shape?.root else {
        return None;
    };
    let status = decode::Status {
        number: refusal.number,
        name: refusal.status,
    };
    decode::decode_failure(shape, status, refusal.answer.as_ref()?)
}

/// One that was asked for alone may be missing.
fn is_null(job: &Job<'_>, refusal: &Refusal) -> bool {
    let resolver = job.resolver;
    let missing = refusal.answer.is_some() && refusal.error.code == Code::NotFound;
    missing
        && !job.is_mutation()
        && resolver.batch.is_none()
        && !resolver.policy.not_found_is_error
        && !resolver.reply.ty.is_non_null()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
