//! Services that speak gRPC.
//!
//! Owns what is gRPC's own: a call's message and metadata, connections,
//! statuses, and decoding replies. [`Grpc::exchange`] tells one call's story.
//! What all protocols share lives beside this room, and reaches it through
//! [`Protocol`] alone.

mod call;
mod channel;
mod codec;
mod decode;
mod encode;
mod mask;
mod reflect;
mod request;
mod status;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;
use compose::model::Errors;
use compose::model::GrpcRequest;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::Source;
use compose::model::SourceKind;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::uri::PathAndQuery;
use plan::code::Code;
use plan::shape::Shape;
use plan::source::BoxFuture;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

use self::call::Failure;
pub(crate) use self::call::Incoming;
use self::call::Outgoing;
use self::call::Take;
use self::channel::Address;
use self::channel::Connections;
use self::channel::Resolve;
use self::decode::Malformed;
use self::decode::PageReader;
use self::decode::Program;
use self::decode::Status;
use self::decode::is_wrapper;
use self::request::Rendered;
use self::request::Rules;
use self::status::Refusal;
use self::status::refusal;
use crate::ConnectError;
use crate::cache::Cache;
use crate::cache::CallKey;
use crate::cache::Kept;
use crate::cache::Refresh;
use crate::calls;
use crate::calls::Ended;
use crate::calls::How;
use crate::calls::Observed;
use crate::config::Settings;
use crate::credentials::Bearer;
use crate::failure::fixed_text;
use crate::gate::Gate;
use crate::merge_reads::MergeReads;
use crate::merge_reads::Work;
use crate::page::Ask;
use crate::page::Facts;
use crate::protocol::Answer;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::render::Encodings;

pub(crate) use self::channel::Dial;
pub(crate) use self::channel::SystemResolver;
pub use self::reflect::ReflectError;
pub use self::reflect::reflect;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A batch whose request is longer is split: servers take 4 MiB unless they are told otherwise.
const LONG_REQUEST: usize = 3 * 1024 * 1024;

/// One gRPC service.
pub(crate) struct Grpc {
    name: Arc<str>,
    settings: Settings,
    rules: Vec<HeaderRule>,
    errors: Errors,
    encodings: Arc<Encodings>,
    connections: Arc<Connections>,
    gate: Gate,
    bearer: Bearer,
    reads: MergeReads<ReadKey, Result<Incoming, Refusal>>,
    cache: Cache,
}

/// How a call ended.
struct End<'a> {
    result: &'a Result<Incoming, Refusal>,
    /// What the client gets, where it is an error.
    error: Option<&'a SourceError>,
    how: How,
}

/// Everything that makes two reads the same, identity included: what a claim or header changed, it changed here.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ReadKey {
    call: Arc<GrpcCall>,
    time: Duration,
    epoch: u64,
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
    fn of(call: &Rendered) -> Arc<Self> {
        let metadata = call.metadata.iter();
        Arc::new(Self {
            path: call.path.clone(),
            message: call.message.clone(),
            metadata: metadata
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            take: call.take,
        })
    }

    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|(name, value)| 64 + name.as_str().len() + value.len());
        self.message.len() + metadata.sum::<usize>()
    }
}

impl Grpc {
    /// Dials nothing yet.
    pub(crate) fn new(
        source: &Source,
        settings: Settings,
        encodings: Arc<Encodings>,
        resolver: Arc<dyn Resolve>,
        cache: Cache,
    ) -> Result<Self, ConnectError> {
        let declared = match &source.kind {
            SourceKind::Grpc { url, .. } | SourceKind::Http { base_url: url, .. } => url,
        };
        let url = settings.url.as_ref().unwrap_or(declared);
        let address = Address::parse(url).map_err(|bad| ConnectError::Url {
            source_name: source.name.clone(),
            url: url.clone(),
            reason: bad.to_string(),
        })?;
        let name: Arc<str> = source.name.as_str().into();
        Ok(Self {
            gate: Gate::new(&name, settings.pace),
            bearer: Bearer::new(&name, &settings)?,
            name,
            rules: source.headers.clone(),
            errors: source.errors.clone(),
            connections: Connections::new(address, settings.dial(), resolver),
            settings,
            encodings,
            reads: MergeReads::default(),
            cache,
        })
    }
}

impl Protocol for Grpc {
    type Call = Rendered;
    type Reply = Incoming;

    fn service(&self) -> &Arc<str> {
        &self.name
    }

    fn encodings(&self) -> &Encodings {
        &self.encodings
    }

    fn rules(&self) -> &[HeaderRule] {
        &self.rules
    }

    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Rendered, SourceError> {
        let request = self.request(job.resolver)?;
        let scope = job.scope(rows, &self.encodings);
        let rules = Rules {
            configured: &self.settings.headers,
            source: &self.rules,
        };
        let rendered =
            request::render(request, job, &scope, ask, rules, self.connections.address());
        rendered.map_err(|error| error.of(&self.name))
    }

    fn is_too_long(&self, call: &Rendered) -> bool {
        call.message.len() > LONG_REQUEST
    }

    /// Makes the call, or joins one in flight, and writes it down.
    fn exchange<'a>(
        &'a self,
        job: &'a Job<'a>,
        call: Rendered,
        keys: usize,
    ) -> BoxFuture<'a, Result<Answer<Incoming>, SourceError>> {
        Box::pin(async move {
            let start = calls::now();
            let (result, how) = self.answer(job, &call, start).await;
            let answer = match &result {
                Ok(incoming) => Ok(Answer::Reply(incoming.clone())),
                Err(refusal) => self.refused(job, refusal).map(Answer::Instead),
            };
            let end = End {
                result: &result,
                error: answer.as_ref().err(),
                how,
            };
            self.write_down(job, &call, keys, start, end);
            answer
        })
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

    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn items(&self) -> Option<&dyn Items<Incoming>> {
        None
    }
}

impl Grpc {
    /// Composition gives a gRPC source gRPC requests only.
    fn request<'r>(&self, resolver: &'r Resolver) -> Result<&'r GrpcRequest, SourceError> {
        match &resolver.request {
            Request::Grpc(request) => Ok(request),
            Request::Rest(_) => {
                let code = Code::InternalError;
                Err(SourceError::new(code, &self.name, fixed_text(code))
                    .internal("a REST request for a gRPC source"))
            }
        }
    }

    /// The reply: one that was kept, where anybody allows it, or one that comes.
    async fn answer(
        &self,
        job: &Job<'_>,
        call: &Rendered,
        start: Instant,
    ) -> (Result<Incoming, Refusal>, How) {
        let Some(asking) = self.cache.asking(job) else {
            return self.called(job, call, start).await;
        };
        let key = CallKey::Grpc(GrpcCall::of(call));
        if let Some(found) = asking.find(&key)
            && let Kept::Grpc(incoming) = found.kept
        {
            if let Some(refresh) = found.refresh {
                self.refresh(refresh, key, job, call);
            }
            return (Ok(incoming), How::Kept);
        }
        let ticket = asking.ticket();
        let (result, how) = self.called(job, call, start).await;
        match &result {
            Ok(incoming) => {
                asking.came(&ticket, None);
                if how == How::Called {
                    ticket.store(key, Kept::Grpc(incoming.clone()), None);
                }
            }
            Err(_) => asking.lost(),
        }
        (result, how)
    }

    /// The reply, and whether it is that of a call that somebody else began.
    async fn called(
        &self,
        job: &Job<'_>,
        call: &Rendered,
        start: Instant,
    ) -> (Result<Incoming, Refusal>, How) {
        let limit = job.resolver.policy.timeout.unwrap_or(self.settings.timeout);
        let remaining = job.context.deadline.saturating_duration_since(start);
        if remaining.is_zero() {
            return (Err(self.out_of_time(false)), How::Called);
        }
        // Work that one caller's deadline cuts short is nobody else's.
        let shared = self.settings.merge_reads && job.may_merge() && limit <= remaining;
        let time = limit.min(remaining);
        let begin = || self.work(job, call, time);
        let (work, how): (Work<_>, How) = match shared {
            true => {
                let key = ReadKey {
                    call: GrpcCall::of(call),
                    time,
                    epoch: job.context.epoch,
                };
                let joined = self.reads.join(key, begin);
                (Box::pin(joined.work), How::joined(joined.follower))
            }
            false => (begin(), How::Called),
        };
        let result = match tokio::time::timeout(remaining, work).await {
            Ok(Err(refusal)) if refusal.is_timeout() && time == remaining => {
                Err(self.out_of_time(true))
            }
            Ok(result) => result,
            Err(_) => Err(self.out_of_time(true)),
        };
        (result, how)
    }

    /// Fetches a reply anew that was answered already, in its own time and on nobody's behalf.
    fn refresh(&self, refresh: Refresh, key: CallKey, job: &Job<'_>, call: &Rendered) {
        let time = job.resolver.policy.timeout.unwrap_or(self.settings.timeout);
        let metadata = call.metadata.clone();
        let work = self.attempt(call, metadata, time, calls::now() + time);
        tokio::spawn(async move {
            if let Ok(incoming) = work.await {
                refresh.ticket.store(key, Kept::Grpc(incoming), None);
            }
        });
    }

    /// The call itself, on its own: it may outlive the fetch that began it.
    fn work(
        &self,
        job: &Job<'_>,
        call: &Rendered,
        time: Duration,
    ) -> Work<Result<Incoming, Refusal>> {
        let mut metadata = call.metadata.clone();
        calls::propagate(job.context, &mut metadata);
        self.attempt(call, metadata, time, job.context.deadline)
    }

    /// Waits for its turn no longer than `patience`.
    fn attempt(
        &self,
        call: &Rendered,
        mut metadata: HeaderMap,
        time: Duration,
        patience: Instant,
    ) -> Work<Result<Incoming, Refusal>> {
        metadata.insert(GRPC_TIMEOUT, timeout_header(time));
        let mut outgoing = Outgoing {
            path: call.path.clone(),
            metadata,
            message: call.message.clone(),
            take: call.take,
            max_bytes: self.settings.max_reply_bytes,
        };
        let connections = self.connections.clone();
        let name = self.name.clone();
        let gate = self.gate.clone();
        let bearer = self.bearer.clone();
        Box::pin(async move {
            gate.pass(patience).await.map_err(Refusal::limited)?;
            let signed = bearer.sign(&mut outgoing.metadata).await;
            signed.map_err(Refusal::without_credentials)?;
            let called = tokio::time::timeout(time, call::call(&connections, &outgoing)).await;
            if called.as_ref().is_ok_and(is_unauthenticated) {
                bearer.refused(bearer.sent(&outgoing.metadata).as_ref());
            }
            called
                .unwrap_or(Err(Failure::TimedOut))
                .map_err(|failure| refusal(failure, &name))
        })
    }

    fn write_down(
        &self,
        job: &Job<'_>,
        call: &Rendered,
        keys: usize,
        start: Instant,
        end: End<'_>,
    ) {
        let body = || call.json.to_string();
        let observed = Observed {
            context: job.context,
            step: job.step,
            source: &self.name,
            method: "gRPC",
            target: &call.target,
            body: Some(&body),
            keys,
        };
        let ended = Ended {
            status: match end.result {
                Err(refusal) => refusal.status,
                Ok(_) if end.how == How::Kept => calls::KEPT,
                Ok(_) => "OK",
            },
            bytes: end
                .result
                .as_ref()
                .map_or(0, |incoming| incoming.bytes.len()),
            error: end.error,
            coalesced: end.how != How::Called,
        };
        observed.ended(start, &ended);
    }

    /// The service said that all is well, and yet the reply cannot be read.
    fn invalid(&self, job: &Job<'_>, malformed: &Malformed) -> SourceError {
        let code = Code::UpstreamInvalidResponse;
        SourceError {
            outcome_unknown: is_unmarked_mutation(job),
            ..SourceError::new(code, &self.name, fixed_text(code)).internal(malformed.to_string())
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
            outcome_unknown: is_unmarked_mutation(job) && refusal.maybe_done,
            ..refusal.told(&job.resolver.policy.errors, &self.errors)
        })
    }

    fn out_of_time(&self, sent: bool) -> Refusal {
        let code = Code::DeadlineExceeded;
        Refusal {
            error: SourceError::new(code, &self.name, fixed_text(code)),
            status: "DEADLINE",
            number: tonic::Code::DeadlineExceeded as i64,
            answer: None,
            maybe_done: sent,
        }
    }
}

/// At most eight digits and a unit: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn timeout_header(time: Duration) -> HeaderValue {
    let millis = time.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("1S"))
}

/// Made at a step's first reply and kept with its plan.
fn program(fetch: &Fetch<'_>, request: &GrpcRequest) -> Arc<Program> {
    let output = request.method.output();
    let make = || {
        Arc::new(match request.method.is_server_streaming() {
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

/// In gRPC's words or in HTTP's.
fn is_unauthenticated(called: &Result<Incoming, Failure>) -> bool {
    match called {
        Err(Failure::Status(status)) => status.code() == tonic::Code::Unauthenticated,
        Err(Failure::Http(status)) => *status == 401,
        _ => false,
    }
}

fn is_unmarked_mutation(job: &Job<'_>) -> bool {
    job.is_mutation() && !job.resolver.policy.idempotent
}

/// `@variant(status:)`
fn as_data(job: &Job<'_>, refusal: &Refusal) -> Option<Tape> {
    let Shape::Abstract(shape) = &job.shape?.root else {
        return None;
    };
    let status = Status {
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
