//! Real servers in the place of a spec's services.
//!
//! Owns listening, and telling who was asked what in which order. What a reply looks like is `rest`'s, `grpc`'s and `graphql`'s.

mod barrier;
mod graphql;
mod grpc;
mod rest;
mod script;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use compose::model::Source;
use compose::model::SourceKind;
use http::Request;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

pub(crate) use barrier::Barriers;
pub(crate) use script::Script;

use super::document::Spec;

/// A reply that cannot be made: the connection breaks instead.
pub(crate) type Broken = Box<dyn std::error::Error + Send + Sync>;
type Reply = Response<UnsyncBoxBody<Bytes, Broken>>;

/// What every server of a spec writes down.
#[derive(Default)]
pub(crate) struct Log {
    calls: Mutex<Vec<String>>,
    problems: Mutex<Vec<String>>,
}

impl Log {
    fn call(&self, call: String) {
        self.calls.lock().expect("nobody panics with it").push(call);
    }

    fn problem(&self, problem: String) {
        self.problems
            .lock()
            .expect("nobody panics with it")
            .push(problem);
    }

    /// Every call in the order in which they arrived.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("nobody panics with it").clone()
    }

    /// Calls that nobody expected.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().expect("nobody panics with it").clone()
    }
}

/// A service's address, before anyone answers there.
pub(crate) struct Upstream {
    pub(crate) source: String,
    pub(crate) address: SocketAddr,
    /// None for a service that is down.
    listener: Option<TcpListener>,
}

impl Upstream {
    /// A port of its own; nobody listens on that of a service that is down.
    pub(crate) async fn bind(source: &str, down: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        Self {
            source: source.to_owned(),
            address,
            listener: (!down).then_some(listener),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers what the spec's `upstream` blocks say, until the runtime ends.
    pub(crate) fn serve(
        self,
        source: &Source,
        spec: &Spec,
        log: &Arc<Log>,
        barriers: &Arc<Barriers>,
    ) -> Arc<Script> {
        let script = Arc::new(Script::of(spec, &self.source));
        script.join(barriers);
        let answers = Arc::new(Answers {
            source: self.source,
            script: script.clone(),
            kind: source.kind.clone(),
            log: log.clone(),
            barriers: barriers.clone(),
        });
        if let Some(listener) = self.listener {
            tokio::spawn(accept(listener, answers));
        }
        script
    }
}

/// How one server answers.
struct Answers {
    source: String,
    script: Arc<Script>,
    kind: SourceKind,
    log: Arc<Log>,
    barriers: Arc<Barriers>,
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, answers.clone()));
    }
}

async fn connection(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request| answer(answers.clone(), request));
    let server = auto::Builder::new(TokioExecutor::new());
    // A connection that a spec breaks ends in an error, as it should.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(answers: Arc<Answers>, request: Request<Incoming>) -> Result<Reply, Broken> {
    match &answers.kind {
        SourceKind::Http { .. } => rest::answer(&answers, request).await,
        SourceKind::Grpc { pool, .. } => grpc::answer(&answers, pool, request).await,
        SourceKind::Graphql { .. } => graphql::answer(&answers, request).await,
    }
}
