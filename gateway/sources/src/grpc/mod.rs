//! Services that speak gRPC.
//!
//! Owns a source behind the port: a fetch becomes calls, and their replies
//! become tapes. [`GrpcSource::chunk`] tells one call's story. What both
//! protocols share (rendering, batches, pages, merged reads, the call log)
//! lives beside this room, not in it.

mod call;
mod channel;
mod codec;
mod compiled;
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
use compose::model::GrpcRequest;
use compose::model::HeaderRule;
use compose::model::Request;
use compose::model::Source as Declared;
use compose::model::SourceKind;
use compose::model::Target;
use futures_util::future::join_all;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::uri::PathAndQuery;
use plan::code::Code;
use plan::shape::Shape;
use plan::source::BoxFuture;
use plan::source::Chunk;
use plan::source::Fetch;
use plan::source::Reply;
use plan::source::Row;
use plan::source::Source;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

use self::call::Failure;
use self::call::Incoming;
use self::call::Outgoing;
use self::call::Take;
use self::channel::Address;
use self::channel::Connections;
use self::channel::Resolve;
use self::compiled::Compiled;
use self::decode::Status;
use self::request::Rendered;
use self::status::Refusal;
use self::status::fixed_text;
use self::status::refusal;
use crate::ConnectError;
use crate::calls;
use crate::calls::Ended;
use crate::calls::Observed;
use crate::config::Settings;
use crate::merge_reads::MergeReads;
use crate::merge_reads::Work;
use crate::render::Encodings;
use crate::render::Scope;

use self::decode::is_wrapper;

pub(crate) use self::channel::SystemResolver;
pub use self::reflect::ReflectError;
pub use self::reflect::reflect;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// One gRPC service.
pub(crate) struct GrpcSource {
    name: Arc<str>,
    settings: Settings,
    rules: Vec<HeaderRule>,
    encodings: Arc<Encodings>,
    connections: Arc<Connections>,
    reads: MergeReads<ReadKey, Result<Incoming, Refusal>>,
}

/// Everything that makes two reads the same, identity included: what a claim or header changed, it changed here.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ReadKey {
    path: PathAndQuery,
    message: Bytes,
    metadata: Vec<(HeaderName, HeaderValue)>,
    take: Take,
    time: Duration,
    epoch: u64,
}

impl GrpcSource {
    /// Dials nothing yet.
    pub(crate) fn new(
        source: &Declared,
        settings: Settings,
        encodings: Arc<Encodings>,
        resolver: Arc<dyn Resolve>,
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
        Ok(Self {
            name: source.name.as_str().into(),
            rules: source.headers.clone(),
            connections: Connections::new(address, settings.connect_timeout, resolver),
            settings,
            encodings,
            reads: MergeReads::default(),
        })
    }
}

impl Source for GrpcSource {
    fn fetch<'a>(&'a self, fetch: Fetch<'a>) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let Request::Grpc(request) = &fetch.resolver.request else {
                let error = SourceError::new(
                    Code::InternalError,
                    &self.name,
                    fixed_text(Code::InternalError),
                );
                return Reply::one(fetch.rows.len(), Err(error));
            };
            let compiled = Compiled::of(&fetch, request, self.connections.address());
            let max = fetch
                .resolver
                .batch
                .as_ref()
                .map_or(1, |batch| batch.max.max(1));
            let chunks = (0..fetch.rows.len()).step_by(max).map(|start| {
                let rows = start..(start + max).min(fetch.rows.len());
                self.chunk(&fetch, request, &compiled, rows)
            });
            Reply {
                chunks: join_all(chunks).await,
            }
        })
    }
}

impl GrpcSource {
    /// One call, from its rows to its outcome.
    async fn chunk(
        &self,
        fetch: &Fetch<'_>,
        request: &GrpcRequest,
        compiled: &Compiled,
        rows: Range<usize>,
    ) -> Chunk {
        let outcome = self
            .outcome(fetch, request, compiled, &fetch.rows[rows.clone()])
            .await;
        Chunk {
            rows,
            outcome: outcome.map(|tape| vec![tape]),
        }
    }

    async fn outcome(
        &self,
        fetch: &Fetch<'_>,
        request: &GrpcRequest,
        compiled: &Compiled,
        rows: &[Row],
    ) -> Result<Tape, SourceError> {
        let scope = Scope::new(fetch, rows, &self.encodings);
        let rules = (&self.settings.headers, &self.rules[..]);
        let rendered = request::render(request, compiled, rules, &scope, &self.name)?;
        let incoming = self.exchange(fetch, compiled, &rendered, rows.len()).await;
        match incoming {
            Ok(incoming) => self.decode(compiled, incoming),
            Err(refusal) => refused(fetch, refusal),
        }
    }

    /// Makes the call, or joins one in flight, and writes it down.
    async fn exchange(
        &self,
        fetch: &Fetch<'_>,
        compiled: &Compiled,
        rendered: &Rendered,
        keys: usize,
    ) -> Result<Incoming, Refusal> {
        let start = calls::now();
        let (result, coalesced) = self.answer(fetch, compiled, rendered, start).await;
        let body = || rendered.json.to_string();
        let observed = Observed {
            context: fetch.context,
            step: fetch.step.id,
            source: &self.name,
            method: "gRPC",
            target: &compiled.target,
            body: Some(&body),
            keys: fetch.resolver.batch.as_ref().map_or(0, |_| keys),
        };
        let refusal = result.as_ref().err();
        observed.ended(
            start,
            &Ended {
                status: refusal.map_or("OK", |refusal| refusal.status),
                bytes: result.as_ref().map_or(0, |incoming| incoming.bytes.len()),
                error: refusal.map(|refusal| &refusal.error),
                coalesced,
            },
        );
        result
    }

    async fn answer(
        &self,
        fetch: &Fetch<'_>,
        compiled: &Compiled,
        rendered: &Rendered,
        start: Instant,
    ) -> (Result<Incoming, Refusal>, bool) {
        let limit = fetch
            .resolver
            .policy
            .timeout
            .unwrap_or(self.settings.timeout);
        let remaining = fetch.context.deadline.saturating_duration_since(start);
        if remaining.is_zero() {
            return (Err(self.out_of_time(false)), false);
        }
        let time = limit.min(remaining);
        let begin = || self.work(fetch, compiled, rendered, time);
        // Work that one caller's deadline cuts short is nobody else's.
        let shared = self.may_share(fetch) && limit <= remaining;
        let (work, coalesced): (Work<_>, bool) = match shared {
            true => {
                let joined = self
                    .reads
                    .join(read_key(fetch, compiled, rendered, time), begin);
                (Box::pin(joined.work), joined.follower)
            }
            false => (begin(), false),
        };
        let result = tokio::time::timeout(remaining, work).await;
        let result = match result {
            Ok(Err(refusal))
                if refusal.error.code == Code::UpstreamTimeout && time == remaining =>
            {
                Err(self.out_of_time(true))
            }
            Ok(result) => result,
            Err(_) => Err(self.out_of_time(true)),
        };
        (result, coalesced)
    }

    fn may_share(&self, fetch: &Fetch<'_>) -> bool {
        self.settings.merge_reads && fetch.context.merge_reads && !is_mutation(fetch)
    }

    /// The call itself, on its own: it may outlive the fetch that began it.
    fn work(
        &self,
        fetch: &Fetch<'_>,
        compiled: &Compiled,
        rendered: &Rendered,
        time: Duration,
    ) -> Work<Result<Incoming, Refusal>> {
        let mut metadata = rendered.metadata.clone();
        calls::propagate(fetch.context, &mut metadata);
        metadata.insert(GRPC_TIMEOUT, timeout_header(time));
        let outgoing = Outgoing {
            path: compiled.path.clone(),
            metadata,
            message: rendered.message.clone(),
            take: compiled.take,
            max_bytes: self.settings.max_reply_bytes,
        };
        let connections = self.connections.clone();
        let name = self.name.clone();
        Box::pin(async move {
            let called = tokio::time::timeout(time, call::call(&connections, &outgoing)).await;
            called
                .unwrap_or(Err(Failure::TimedOut))
                .map_err(|failure| refusal(failure, &name))
        })
    }

    fn decode(&self, compiled: &Compiled, incoming: Incoming) -> Result<Tape, SourceError> {
        let tape = compiled.program.decode(incoming.bytes, &incoming.messages);
        tape.map_err(|malformed| {
            let code = Code::UpstreamInvalidResponse;
            SourceError::new(code, &self.name, fixed_text(code)).internal(malformed.to_string())
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

fn read_key(
    fetch: &Fetch<'_>,
    compiled: &Compiled,
    rendered: &Rendered,
    time: Duration,
) -> ReadKey {
    let metadata = rendered.metadata.iter();
    ReadKey {
        path: compiled.path.clone(),
        message: rendered.message.clone(),
        metadata: metadata
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        take: compiled.take,
        time,
        epoch: fetch.context.epoch,
    }
}

/// At most eight digits and a unit: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn timeout_header(time: Duration) -> HeaderValue {
    let millis = time.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("1S"))
}

fn is_mutation(fetch: &Fetch<'_>) -> bool {
    matches!(fetch.resolver.target, Target::Root { mutation: true, .. })
}

/// What a refusal is to the graph: a type of it, a null, or an error.
fn refused(fetch: &Fetch<'_>, refusal: Refusal) -> Result<Tape, SourceError> {
    if let Some(tape) = as_data(fetch, &refusal) {
        return Ok(tape);
    }
    if is_null(fetch, &refusal) {
        let mut tape = Tape::new(Bytes::new());
        tape.root = Value::Null;
        return Ok(tape);
    }
    let policy = &fetch.resolver.policy;
    Err(SourceError {
        outcome_unknown: is_mutation(fetch) && !policy.idempotent && refusal.maybe_done,
        ..refusal.error
    })
}

/// `@variant(status:)`
fn as_data(fetch: &Fetch<'_>, refusal: &Refusal) -> Option<Tape> {
    let Shape::Abstract(shape) = &fetch.shape.root else {
        return None;
    };
    let status = Status {
        number: refusal.number,
        name: refusal.status,
    };
    decode::decode_failure(shape, status, refusal.answer.as_ref()?)
}

/// One that was asked for alone may be missing.
fn is_null(fetch: &Fetch<'_>, refusal: &Refusal) -> bool {
    let resolver = fetch.resolver;
    let missing = refusal.answer.is_some() && refusal.error.code == Code::NotFound;
    missing
        && resolver.batch.is_none()
        && !resolver.policy.not_found_is_error
        && !resolver.reply.ty.is_non_null()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
