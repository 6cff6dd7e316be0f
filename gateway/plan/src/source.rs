//! The port between the executor and the sources.
//!
//! Owns what one asks of the other: a fetch for one step, and a reply decoded
//! into the step's shape. `execute` calls it, `sources` implements it; neither
//! knows the other.

use std::future::Future;
use std::ops::Deref;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use compose::model::Resolver;
use compose::model::SourceId;
use futures_core::Stream;
use serde_json::Map;
use serde_json::Value as Json;
use smallvec::SmallVec;

use crate::cache::Caching;
use crate::code::Code;
use crate::effects::Effects;
use crate::model::Prepared;
use crate::model::Step;
use crate::outbox::Outbox;
use crate::propagated::Propagated;
use crate::rehearsal::Rehearsal;
use crate::shape::ReplyShape;
use crate::tape::Tape;

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The events of a subscription, each decoded into the step's shape. Nothing follows an error.
/// Read no faster than events are answered, so that a source is never far ahead; dropping it ends
/// the subscription at the service.
pub type Events<'a> = Pin<Box<dyn Stream<Item = Result<Tape, SourceError>> + Send + 'a>>;

/// Every source of a graph.
pub trait Sources: Send + Sync {
    /// The source with this id.
    fn source(&self, id: SourceId) -> &dyn Source;
}

/// A service that answers fetches.
pub trait Source: Send + Sync {
    /// Makes the calls of one fetch and decodes what comes back.
    ///
    /// Never fails as a whole: each chunk has its own outcome, and every row
    /// belongs to exactly one chunk. Dropping the future cancels the calls.
    fn fetch<'a>(&'a self, fetch: Fetch<'a>) -> BoxFuture<'a, Reply>;

    /// Listens for the events of a root field of Subscription: each tape's root is the field's
    /// value. The deadline of the fetch's context bounds no event. Without a row.
    fn subscribe<'a>(&'a self, fetch: Fetch<'a>) -> Events<'a> {
        no_events(&fetch)
    }
}

/// What a source says that is asked for events and has none.
pub fn no_events(fetch: &Fetch<'_>) -> Events<'static> {
    let service: Arc<str> = Arc::default();
    let message = "The service has no events.";
    let error = SourceError::new(Code::InternalError, &service, message);
    let internal = format!("{}: its source brings no events", fetch.resolver.place);
    Box::pin(Only(Some(error.internal(internal))))
}

/// A stream of one error.
struct Only(Option<SourceError>);

impl Stream for Only {
    type Item = Result<Tape, SourceError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// What the executor wants of a source.
pub struct Fetch<'a> {
    /// The step, for its place in the plan.
    pub step: &'a Step,
    /// What the reply is decoded into.
    pub shape: &'a ReplyShape,
    /// Where the source keeps what it derives from the shape.
    pub prepared: &'a Prepared,
    /// The resolver to run.
    pub resolver: &'a Resolver,
    /// The field's arguments, coerced, by GraphQL name; empty for entities.
    pub args: Map<String, Json>,
    /// Arguments of fields of the reply, by index into [`Step::below`]; none where one was not given.
    pub below: Vec<Option<Json>>,
    /// The distinct parents' inputs, in the order of [`Resolver::inputs`]. One empty row for a root field; exactly one row where the resolver has no batch.
    pub rows: Vec<Row>,
    /// The request on whose behalf this is.
    pub context: &'a Context,
}

/// One parent's inputs, in the order of [`Resolver::inputs`].
pub type Row = SmallVec<[KeyPart; 1]>;

/// One input of one parent, with the JSON type that it arrived with.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyPart {
    /// Null or absent. Never in a key; possible in other `$this` inputs.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A number.
    Float(f64),
    /// Text, an enum's GraphQL name included.
    Text(Box<str>),
    /// A list or custom scalar.
    Json(Box<Json>),
    /// What is sent of the parent beside its inputs: the last part of its row.
    Representation(Box<Map<String, Json>>),
}

/// What came back for one fetch.
#[derive(Debug, Default)]
pub struct Reply {
    /// One entry for each upstream call (or chain of pages).
    pub chunks: Vec<Chunk>,
}

impl Reply {
    /// A reply of one chunk for all rows.
    pub fn one(rows: usize, outcome: Result<Vec<Tape>, SourceError>) -> Self {
        Self {
            chunks: vec![Chunk {
                rows: 0..rows,
                outcome,
            }],
        }
    }
}

/// The outcome for some of the rows.
#[derive(Debug)]
pub struct Chunk {
    /// Which rows of the fetch it answers.
    pub rows: Range<usize>,
    /// The decoded replies. For a batch, each tape's root is a list of items and there is one tape per page. Otherwise exactly one tape, whose root is the field's value.
    pub outcome: Result<Vec<Tape>, SourceError>,
}

/// A failed call: what the client may read apart from what must never leave the process.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceError {
    /// The code.
    pub code: Code,
    /// What the client may read.
    pub message: String,
    /// What only the log may say.
    pub internal: Option<String>,
    /// The source's name.
    pub service: Arc<str>,
    /// RFC 9457 members that the client may read.
    pub problem: Option<Box<Map<String, Json>>>,
    /// How long upstream asked to wait.
    pub retry_after: Option<Duration>,
    /// A mutation that may or may not have happened.
    pub outcome_unknown: bool,
    /// What the schema's `errors:` make of it.
    pub mapped: Option<Box<Mapped>>,
}

/// What a schema says of a failure in its own words: `errors: { codes: …, extensions: … }`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapped {
    /// A code that is none of our table; the class, and with it the HTTP status, stays that of [`SourceError::code`].
    pub code: Option<String>,
    /// Members of the error's extensions.
    pub extensions: Map<String, Json>,
}

impl Mapped {
    /// None where the schema says nothing.
    pub fn of(code: Option<&str>, extensions: Map<String, Json>) -> Option<Box<Self>> {
        let says = code.is_some() || !extensions.is_empty();
        says.then(|| {
            Box::new(Self {
                code: code.map(str::to_owned),
                extensions,
            })
        })
    }
}

impl SourceError {
    /// An error with the code's fixed text.
    pub fn new(code: Code, service: &Arc<str>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            internal: None,
            service: service.clone(),
            problem: None,
            retry_after: None,
            outcome_unknown: false,
            mapped: None,
        }
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn internal(mut self, detail: impl Into<String>) -> Self {
        self.internal = Some(detail.into());
        self
    }
}

/// The request on whose behalf calls are made.
#[derive(Debug)]
pub struct Context {
    /// A label: sent on every call, decides nothing.
    pub correlation_id: Arc<str>,
    /// The W3C trace this request belongs to.
    pub trace: TraceContext,
    /// No call starts after it, and none outlives it.
    pub deadline: Instant,
    /// The client's headers, for mappings that name them.
    pub headers: http::HeaderMap,
    /// The verified claims of the caller; null without an identity.
    pub claims: Claims,
    /// Advanced by every finished mutation: reads of different epochs are never merged.
    pub epoch: u64,
    /// Whether identical reads in flight may be merged.
    pub merge_reads: bool,
    /// What goes wrong on purpose, for this request alone.
    pub rehearsal: Option<Arc<Rehearsal>>,
    /// Where calls are written down, when someone wants to see them.
    pub calls: Option<CallLog>,
    /// What may be kept and taken from what is kept; none where nothing may.
    pub caching: Option<Caching>,
    /// Who asks, in a form that nobody else shares; none for those who gave no credentials, and where no reply is ever kept.
    pub principal: Option<Arc<[u8]>>,
    /// What was answered although it is old.
    pub stale: Stale,
    /// How many calls it may still cause.
    pub calls_left: CallsLeft,
    /// Headers of answers that its client is given.
    pub propagated: Propagated,
    /// Where its queued calls go; none where the plan has none.
    pub outbox: Option<Arc<dyn Outbox>>,
    /// What a mutation's calls are recognised by; none where its client gave no key.
    pub effects: Option<Arc<dyn Effects>>,
}

/// How many calls a request may still cause, whatever they are for: calls that find their reply
/// elsewhere count, further attempts at one call do not.
#[derive(Debug)]
pub struct CallsLeft {
    most: u32,
    left: AtomicU32,
}

impl CallsLeft {
    /// So many from now on.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            left: AtomicU32::new(most),
        }
    }

    /// As many again, for work that is done for several requests at once.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.most)
    }

    /// One call; false where there is none left.
    pub fn take(&self) -> bool {
        let fewer = |left: u32| left.checked_sub(1);
        self.left.fetch_update(Relaxed, Relaxed, fewer).is_ok()
    }

    /// How many there were.
    pub fn most(&self) -> u32 {
        self.most
    }
}

/// As good as without end.
impl Default for CallsLeft {
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}

/// What was answered although it is old, since its source failed.
#[derive(Debug, Default)]
pub struct Stale(Mutex<Vec<StaleAnswer>>);

/// One source that failed, and the age of what it had answered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleAnswer {
    /// The source's name.
    pub source: Arc<str>,
    /// Since it was answered; of several replies, the oldest's.
    pub age: Duration,
}

impl Stale {
    /// A reply of this age was answered.
    pub fn answered(&self, source: &Arc<str>, age: Duration) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.iter_mut().find(|it| it.source == *source) {
            Some(known) => known.age = known.age.max(age),
            None => answers.push(StaleAnswer {
                source: source.clone(),
                age,
            }),
        }
    }

    /// All of them, one for each source.
    pub fn answers(&self) -> Vec<StaleAnswer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.clone()
    }
}

/// The verified claims of a caller; null without an identity. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Claims(Option<Arc<Json>>);

impl From<Json> for Claims {
    fn from(claims: Json) -> Self {
        Self((!claims.is_null()).then(|| Arc::new(claims)))
    }
}

impl Deref for Claims {
    type Target = Json;

    fn deref(&self) -> &Json {
        self.0.as_deref().unwrap_or(&Json::Null)
    }
}

/// A W3C trace context, to be propagated with a new parent id per call.
#[derive(Debug, Clone, Default)]
pub struct TraceContext {
    /// 16 bytes.
    pub trace_id: [u8; 16],
    /// The client's span; 8 bytes. Zeros where the trace begins here.
    pub parent_id: [u8; 8],
    /// Trace flags.
    pub flags: u8,
    /// `tracestate`, passed on as it is.
    pub state: Option<String>,
}

/// Every attempt at an upstream call of one request, in the order in which they ended.
/// A clone is the same log.
#[derive(Debug, Clone)]
pub struct CallLog {
    /// When the request began: times are relative to it.
    pub started: Instant,
    calls: Arc<Mutex<Vec<CallRecord>>>,
}

impl CallLog {
    /// An empty log.
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            calls: Arc::default(),
        }
    }

    /// Writes a call down.
    pub fn push(&self, call: CallRecord) {
        if let Ok(mut calls) = self.calls.lock() {
            calls.push(call);
        }
    }

    /// What is written down so far; it stays there.
    pub fn records(&self) -> Vec<CallRecord> {
        self.calls
            .lock()
            .map(|calls| calls.clone())
            .unwrap_or_default()
    }

    /// What was written down.
    pub fn take(&self) -> Vec<CallRecord> {
        self.calls
            .lock()
            .map(|mut calls| std::mem::take(&mut *calls))
            .unwrap_or_default()
    }
}

/// One attempt at an upstream call, as the playground, traces and tests see it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// The plan step.
    pub step: usize,
    /// The source's name.
    pub source: Arc<str>,
    /// `GET`, or `gRPC`.
    pub method: String,
    /// Path and query below the base address, or `package.Service/Method`.
    pub target: String,
    /// The request body: JSON text, for tests and developers.
    pub body: Option<String>,
    /// Since the request began.
    pub start: Duration,
    /// Since the request began.
    pub end: Duration,
    /// HTTP status or gRPC code; a word where there was none.
    pub status: String,
    /// Keys in the batch; 0 without one.
    pub keys: usize,
    /// Bytes of the reply.
    pub bytes: usize,
    /// What went wrong.
    pub error: Option<String>,
    /// The reply of an identical call in flight was used; nothing was sent.
    pub coalesced: bool,
    /// Which attempt it was; 0 is the first.
    pub attempt: u32,
    /// A second attempt beside one that took long.
    pub hedge: bool,
    /// The parent id that went with it, as the service saw it; zeros where nothing was sent.
    pub span: [u8; 8],
    /// How the breaker towards the source stood when it began: `closed`, `half-open` or `open`.
    pub breaker: &'static str,
}
