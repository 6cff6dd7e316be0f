//! What tests of this room share: a graph over a local service that does as it
//! is told, and fetches of that graph's plans.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::Response;
use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::Supergraph;
use compose::model::Target;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use plan::Document;
use plan::OperationLimits;
use plan::Plan;
use plan::model::Variables;
use plan::outbox::Deferred;
use plan::shape::ReplyShape;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::Fetch;
use plan::source::KeyPart;
use plan::source::Reply;
use plan::source::Row;
use plan::source::SourceError;
use plan::source::Sources;
use plan::source::Stale;
use plan::source::TraceContext;
use plan::tape::Tape;
use plan::tape::Value;
use serde_json::Value as Json;
use serde_json::json;
use smallvec::smallvec;

use crate::ConnectedSources;
use crate::Label;
use crate::NotDelivered;
use crate::SourcesConfig;
use crate::calls::now;
use crate::connect;

/// A request as the service saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A local HTTP service.
pub(crate) struct Service {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    /// Serves until the test's runtime ends.
    pub(crate) async fn new<F, R>(answer: F) -> Self
    where
        F: Fn(Seen) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let handle = move |request: Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let request = read(request).await;
                log.lock().unwrap().push(request.clone());
                answer(request).await
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            url: url(address),
            seen,
        }
    }

    /// A service that always answers the same JSON.
    pub(crate) async fn json(body: Json) -> Self {
        Self::new(move |_| std::future::ready(reply(200, &body))).await
    }

    /// A service whose answer depends on the request's target alone.
    pub(crate) async fn of(answer: fn(&str) -> Json) -> Self {
        Self::new(move |seen| std::future::ready(reply(200, &answer(&seen.target)))).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.target).collect()
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn read(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) fn reply(status: u16, body: &Json) -> Response<Body> {
    typed(status, "application/json", body.to_string())
}

pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

/// A graph of one subgraph, over one address.
pub(crate) struct Graph {
    graph: Arc<Supergraph>,
    sources: ConnectedSources,
    pub(crate) context: Context,
}

impl Graph {
    /// `SERVICE` in the text is the service's address.
    pub(crate) fn new(sdl: &str, url: &str) -> Self {
        Self::configured(sdl, url, &SourcesConfig::default())
    }

    pub(crate) fn configured(sdl: &str, url: &str, config: &SourcesConfig) -> Self {
        Self::after(None, sdl, url, config)
    }

    /// The same graph or another, after this one.
    pub(crate) fn reloaded(&self, sdl: &str, url: &str, config: &SourcesConfig) -> Self {
        Self::after(Some(&self.sources), sdl, url, config)
    }

    fn after(
        before: Option<&ConnectedSources>,
        sdl: &str,
        url: &str,
        config: &SourcesConfig,
    ) -> Self {
        let files = SchemaFiles {
            subgraphs: vec![SubgraphFile {
                name: "test".to_owned(),
                file: "test.graphql".to_owned(),
                sdl: sdl.replace("SERVICE", url),
                ..SubgraphFile::default()
            }],
            ..SchemaFiles::default()
        };
        let graph = compose::compose(&files).unwrap_or_else(|errors| panic!("{errors:#?}"));
        Self {
            sources: connect(&graph, config, before).unwrap(),
            graph: Arc::new(graph),
            context: context(),
        }
    }

    pub(crate) fn plan(&self, operation: &str) -> Plan {
        let limits = OperationLimits::default();
        let document = Document::parse(self.graph.api(), operation, &limits)
            .unwrap_or_else(|refusal| panic!("{refusal:?}"));
        plan::plan(&self.graph, &document, None, &limits)
            .unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// Runs the operation's first step.
    pub(crate) async fn fetch(&self, operation: &str) -> Result<Json, SourceError> {
        let plan = self.plan(operation);
        self.fetch_in(&self.context, &plan).await
    }

    /// Runs a plan's first step for somebody.
    pub(crate) async fn fetch_in(
        &self,
        context: &Context,
        plan: &Plan,
    ) -> Result<Json, SourceError> {
        let reply = self.step(plan, 0, vec![Row::new()], context).await;
        whole(reply, &plan.steps()[0].shape)
    }

    /// What a client would read of the failure.
    pub(crate) async fn failure(&self, operation: &str) -> SourceError {
        self.fetch(operation).await.expect_err("the call fails")
    }

    /// Runs the operation's second step, a batch, for these IDs.
    pub(crate) async fn batch(&self, operation: &str, ids: &[&str]) -> Vec<Outcome> {
        self.batch_in(&self.context, operation, ids).await
    }

    pub(crate) async fn batch_in(
        &self,
        context: &Context,
        operation: &str,
        ids: &[&str],
    ) -> Vec<Outcome> {
        let plan = self.plan(operation);
        let reply = self.step(&plan, 1, rows(ids), context).await;
        outcomes(reply, &plan.steps()[1].shape)
    }

    pub(crate) async fn step(
        &self,
        plan: &Plan,
        index: usize,
        rows: Vec<Row>,
        context: &Context,
    ) -> Reply {
        let step = &plan.steps()[index];
        let resolver = self.graph.resolver(step.resolver);
        let fetch = Fetch {
            step,
            shape: &step.shape,
            prepared: &step.prepared,
            resolver,
            args: step.arguments(&Variables::default()),
            below: step.arguments_below(&Variables::default()),
            rows,
            context,
        };
        self.sources.source(resolver.source).fetch(fetch).await
    }

    /// Makes one attempt at a call that was handed over before, for this field of Mutation.
    pub(crate) async fn delivered(
        &self,
        call: &Deferred,
        field: Option<&str>,
        label: Label,
    ) -> Result<(), NotDelivered> {
        let resolver = self.graph.resolvers().iter().find(|resolver| {
            matches!(&resolver.target, Target::Root { field: own, .. } if Some(own.as_str()) == field)
        });
        let delivered = self.sources.deliver(&self.graph, call, resolver, label);
        delivered.await
    }

    pub(crate) fn sources(&self) -> &ConnectedSources {
        &self.sources
    }

    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.context.calls.as_ref().unwrap().take()
    }
}

pub(crate) fn rows(ids: &[&str]) -> Vec<Row> {
    let part = |id: &&str| smallvec![KeyPart::Text((*id).into())];
    ids.iter().map(part).collect()
}

/// A request that has plenty of time.
pub(crate) fn context() -> Context {
    let started = now();
    Context {
        correlation_id: "corr-1".into(),
        trace: TraceContext {
            trace_id: [7; 16],
            parent_id: [1; 8],
            flags: 1,
            state: Some("vendor=1".to_owned()),
        },
        deadline: started + Duration::from_secs(30),
        headers: HeaderMap::new(),
        claims: Json::Null.into(),
        epoch: 0,
        merge_reads: true,
        rehearsal: None,
        calls: Some(CallLog::new(started)),
        caching: None,
        principal: None,
        stale: Stale::default(),
        calls_left: Default::default(),
        propagated: Default::default(),
        outbox: None,
        effects: None,
    }
}

/// A request of somebody.
pub(crate) fn caller(name: &'static str) -> Context {
    let mut context = context();
    let header = HeaderName::from_static("authorization");
    context
        .headers
        .insert(header, HeaderValue::from_static(name));
    context.claims = json!({ "sub": name }).into();
    context
}

/// Rows and what came back for them, one text for each tape.
pub(crate) type Outcome = (std::ops::Range<usize>, Result<Vec<Json>, SourceError>);

fn outcomes(reply: Reply, shape: &ReplyShape) -> Vec<Outcome> {
    let chunks = reply.chunks.into_iter().map(|chunk| {
        let outcome = chunk
            .outcome
            .map(|tapes| tapes.iter().map(|tape| root(tape, shape)).collect());
        (chunk.rows, outcome)
    });
    chunks.collect()
}

fn whole(reply: Reply, shape: &ReplyShape) -> Result<Json, SourceError> {
    let mut outcomes = outcomes(reply, shape);
    assert_eq!(outcomes.len(), 1);
    let (_, outcome) = outcomes.remove(0);
    outcome.map(|mut tapes| {
        assert_eq!(tapes.len(), 1);
        tapes.remove(0)
    })
}

/// A tape as JSON: an object is the list of its slots that were filled.
fn root(tape: &Tape, shape: &ReplyShape) -> Json {
    Shown { tape, shape }.json(tape.root)
}

#[derive(Clone, Copy)]
struct Shown<'a> {
    tape: &'a Tape,
    shape: &'a ReplyShape,
}

impl Shown<'_> {
    fn json(self, value: Value) -> Json {
        match value {
            Value::Absent => "absent".into(),
            Value::Null => Json::Null,
            Value::Bool(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::UInt(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::Enum(index) => format!("enum {index}").into(),
            Value::Error(index) => {
                format!("error: {}", self.tape.value_error(index).message()).into()
            }
            Value::List { at, len } => {
                let items = self.tape.slots(at, len).iter();
                items.map(|item| self.json(*item)).collect()
            }
            Value::Object { at, layout } => {
                let slots = self.shape.layouts[layout as usize].slots;
                let filled = self
                    .tape
                    .slots(at, slots)
                    .iter()
                    .filter(|slot| **slot != Value::Absent);
                filled.map(|slot| self.json(*slot)).collect()
            }
            Value::RawJson { .. } | Value::OwnedJson { .. } => {
                serde_json::from_str(self.tape.str(value).unwrap()).unwrap()
            }
            text => self.tape.str(text).unwrap().into(),
        }
    }
}
