//! Connections: accepting them, bounding them, and draining them at the end.
//!
//! Owns the stack between a socket and a route, outermost first: room for the
//! connection, TLS, header limits of the HTTP implementation, CORS and the ids
//! of a request, then the route. `/graphql` is one comparison; the rest goes
//! through the router.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::Version;
use http::header::CACHE_CONTROL;
use http::header::CONNECTION;
use http::header::CONTENT_SECURITY_POLICY;
use http::header::ORIGIN;
use http::header::REFERRER_POLICY;
use http::header::STRICT_TRANSPORT_SECURITY;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http_body_util::Either;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::Request;
use super::Response;
use super::admin::Guard;
use super::compress;
use super::connections::Bounds;
use super::connections::Connection;
use super::connections::Connections;
use super::connections::Stays;
use super::graphql;
use super::graphql::Arrival;
use super::ids::Ids;
use super::live;
use super::problem::Kind;
use super::problem::Pages;
use super::problem::Problem;
use super::socket::Socket;
use super::taken::Taken;
use super::tls::Tls;
use crate::config::ClientAddress;
use crate::config::Compression;
use crate::config::Cors;
use crate::config::HttpLimits;
use crate::deadline::until;
use crate::observe::log;
use crate::pipeline::Gateway;

/// As many as the HTTP/1 parser keeps without allocating.
const HEADERS: usize = 100;
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 250;
/// Streams that a client may open and reset before they were looked at.
const RESETS: usize = 20;
/// Streams that we may have to reset since the client broke a rule.
const FAULTS: usize = 100;

/// What answers on one port.
pub(crate) struct Server {
    /// Where `/graphql` is answered.
    pub(super) graphql: Option<Arc<Gateway>>,
    /// Everything else.
    pub(super) routes: Router,
    /// What problems refer to.
    pub(super) pages: Pages,
    /// Who is let in, where not everybody is.
    pub(super) guard: Option<Guard>,
    pub(super) cors: Option<Cors>,
    pub(super) compression: Option<Compression>,
    /// Over TLS only.
    pub(super) hsts: Option<HeaderValue>,
}

/// One port.
pub(crate) struct Port {
    pub(crate) server: Server,
    pub(crate) limits: HttpLimits,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whose connections are those of many clients.
    pub(crate) proxies: ClientAddress,
}

/// What all connections of a port share.
struct Shared {
    port: Port,
    http: auto::Builder<TokioExecutor>,
    connections: Arc<Connections>,
}

/// How far the process is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Whoever comes is answered, and told to go elsewhere with the next request.
    Leaving,
    /// Nobody is let in any more.
    Ending,
}

/// Serves until the process ends, then lets requests in flight go on for `drain`: mutations too, whose clients have gone.
pub(crate) async fn serve(
    listener: TcpListener,
    port: Port,
    mut phase: watch::Receiver<Phase>,
    drain: Duration,
) {
    let shared = Arc::new(Shared::new(port));
    let watcher = tokio::spawn(shared.clone().watch());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => shared.accept(socket, peer.ip().to_canonical()),
                Err(error) => refused(&error).await,
            },
            phase = next(&mut phase) => match phase {
                Phase::Serving => {}
                Phase::Leaving => shared.connections.leave(),
                Phase::Ending => break,
            },
        }
    }
    drop(listener);
    if until(Instant::now() + drain, shared.end()).await.is_none() {
        tracing::warn!("requests were still in flight when the time to drain ended");
    }
    watcher.abort();
}

/// The next phase, once it has come; the last where nobody is there to tell.
async fn next(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.changed().await {
        Ok(()) => *phase.borrow_and_update(),
        Err(_) => Phase::Ending,
    }
}

/// Out of file descriptors, say: taking a breath lets some be closed.
async fn refused(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

impl Shared {
    fn new(port: Port) -> Self {
        let limits = &port.limits;
        let bounds = Bounds {
            idle: limits.idle,
            head: limits.head_time,
            write: limits.write,
            all: limits.connections,
            per_address: limits.connections_per_address,
        };
        Self {
            http: protocol(limits),
            connections: Connections::new(bounds),
            port,
        }
    }

    /// Ends when the last connection has ended, and what was begun for those who did not wait for it.
    async fn end(&self) {
        self.connections.end().await;
        if let Some(gateway) = &self.port.server.graphql {
            gateway.admission.emptied().await;
        }
    }

    async fn watch(self: Arc<Self>) {
        let certificates = async {
            match &self.port.tls {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(self.connections.watch(), certificates);
    }

    fn accept(self: &Arc<Self>, socket: TcpStream, peer: IpAddr) {
        let counted = (!self.port.proxies.trusts(peer)).then_some(peer);
        match self.connections.open(counted) {
            Some(connection) => drop(tokio::spawn(
                self.clone().converse(socket, peer, connection),
            )),
            None => self.turn_away(&socket),
        }
    }

    /// Says so where that can be said without waiting.
    fn turn_away(&self, socket: &TcpStream) {
        tracing::debug!("a connection was turned away: there are too many");
        if self.port.tls.is_none() {
            let problem = Problem::new(Kind::Overloaded, "There are too many connections.");
            let told = self.port.server.pages.whole(problem);
            // As much as the socket takes at once; the client may be gone.
            let _ = socket.try_write(&told);
        }
    }

    async fn converse(self: Arc<Self>, socket: TcpStream, peer: IpAddr, connection: Connection) {
        // A response is one write: waiting for more to send would only delay it.
        let _ = socket.set_nodelay(true);
        match &self.port.tls {
            None => self.clone().talk(socket, peer, connection).await,
            Some(tls) => {
                if let Some(socket) = tls.accept(socket, self.port.limits.handshake).await {
                    Box::pin(self.clone().talk(socket, peer, connection)).await;
                }
            }
        }
    }

    async fn talk<S>(self: Arc<Self>, socket: S, peer: IpAddr, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = connection.pulse().clone();
        let socket = Socket::new(socket, pulse, self.port.server.pages.clone());
        let talk = Arc::new(Talk {
            shared: self.clone(),
            stays: connection.stays(),
            peer,
        });
        let service = service_fn(move |request| {
            let busy = Busy::begin(talk.clone(), &request);
            async move { Ok::<_, Infallible>(busy.answer(request).await) }
        });
        let socket = TokioIo::new(socket);
        let conversation = self.http.serve_connection_with_upgrades(socket, service);
        let ended = connection.run(conversation, |c| c.graceful_shutdown());
        match ended.await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "a connection ended early"),
            None => tracing::debug!("a connection was cut: the client kept us waiting"),
        }
    }
}

/// Timeouts of HTTP/1 are the connection's own: see `connections`.
fn protocol(limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    let head = limits.headers + limits.uri;
    http.http1()
        .header_read_timeout(None)
        .max_buf_size(head.max(8 * 1024));
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.write)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(FAULTS)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX));
    http
}

/// One connection's share in its requests.
struct Talk {
    shared: Arc<Shared>,
    stays: Stays,
    peer: IpAddr,
}

/// A request that is being answered.
struct Busy(Arc<Talk>);

impl Busy {
    fn begin(talk: Arc<Talk>, request: &Request) -> Self {
        let pulse = talk.stays.pulse();
        if request.version() == Version::HTTP_2 {
            pulse.multiplexes();
        }
        pulse.begins();
        Self(talk)
    }

    async fn answer(self, request: Request) -> http::Response<Taken<Answered>> {
        let Talk { shared, stays, .. } = &*self.0;
        let multiplexed = request.version() == Version::HTTP_2;
        let answer = shared.port.server.answer(&self.0, request).await;
        let owed = multiplexed.then(|| stays.pulse().owes());
        let mut answer = answer.map(|body| Taken::new(body, owed));
        let upgrades = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !multiplexed && !upgrades && shared.connections.is_leaving() {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.stays.pulse().ends();
    }
}

/// The body of a response of ours, or of one of the router's.
type Answered = Either<http_body_util::Full<bytes::Bytes>, Body>;
type Answer = http::Response<Answered>;

impl Server {
    async fn answer(&self, talk: &Talk, request: Request) -> Answer {
        let ids = Ids::of(request.headers());
        let preflight = self.cors.as_ref().and_then(|cors| cors.preflight(&request));
        if let Some(mut answer) = preflight {
            ids.stamp(answer.headers_mut());
            return answer.map(Either::Left);
        }
        let cors = self.cors.as_ref();
        let origin = cors.and_then(|_| request.headers().get(ORIGIN).cloned());
        let compression = self.compression.as_ref();
        let encoding = compression.and_then(|_| compress::accepted(request.headers()));
        let mut answer = log::on_behalf(ids.labels(), self.route(&ids, talk, request)).await;
        if let Some(compression) = compression {
            answer = Box::pin(compressed(compression, encoding, answer)).await;
        }
        let headers = answer.headers_mut();
        ids.stamp(headers);
        if let Some(cors) = cors {
            cors.stamp(origin.as_ref(), headers);
        }
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        answer
    }

    async fn route(&self, ids: &Ids, talk: &Talk, request: Request) -> Answer {
        let peer = talk.peer;
        if let Err(problem) = within(&talk.shared.port.limits, &request) {
            return self.refuse(problem, ids);
        }
        let asked = self.graphql.as_ref();
        let asked = asked.and_then(|gateway| Some((gateway, asked_at(gateway, &request)?)));
        match asked {
            Some((gateway, contract)) => {
                let arrival = Arrival {
                    gateway,
                    ids,
                    contract: contract.as_ref(),
                    peer,
                    received: Instant::now(),
                };
                if let Some(wish) = live::wish(gateway, &request) {
                    let open = live::Opening {
                        arrival,
                        stays: &talk.stays,
                        cors: self.cors.as_ref(),
                    };
                    // Boxed, so that requests that are answered once do not carry its room.
                    let opened = Box::pin(open.open(wish, request)).await;
                    return opened.map_or_else(
                        |problem| self.refuse(problem, ids),
                        |answer| answer.map(Either::Right),
                    );
                }
                match graphql::serve(arrival, request).await {
                    Ok(response) => response.map(Either::Left),
                    Err(problem) => self.refuse(problem, ids),
                }
            }
            _ => Box::pin(self.other(ids, peer, request)).await,
        }
    }

    async fn other(&self, ids: &Ids, peer: IpAddr, mut request: Request) -> Answer {
        if let Some(guard) = &self.guard {
            match guard.admit(peer, &request) {
                Ok(operator) => drop(request.extensions_mut().insert(operator)),
                Err(problem) => return self.refuse(problem, ids),
            }
        }
        let routed = self.routes.clone().oneshot(request.map(Body::new)).await;
        let mut routed = routed.unwrap_or_else(|never| match never {});
        if let Some(problem) = routed.extensions_mut().remove::<Problem>() {
            return self.refuse(problem, ids);
        }
        harmless(routed.headers_mut());
        routed.map(Either::Right)
    }

    fn refuse(&self, problem: Problem, ids: &Ids) -> Answer {
        self.pages.render(problem, ids).map(Either::Left)
    }
}

/// The part of the graph that is served at a path, none for the whole; none where no GraphQL is.
fn asked_at(gateway: &Gateway, request: &Request) -> Option<Option<Arc<str>>> {
    match request.uri().path().strip_prefix("/graphql")? {
        "" => Some(None),
        below => {
            let name = below.strip_prefix('/')?;
            gateway.graph.load().contract(name).map(Some)
        }
    }
}

/// What the HTTP implementation does not bound itself, or only for one version.
fn within(limits: &HttpLimits, request: &Request) -> Result<(), Problem> {
    let uri = request.uri().path_and_query();
    if uri.is_some_and(|uri| uri.as_str().len() > limits.uri) {
        let detail = format!("The address is longer than {} bytes.", limits.uri);
        return Err(Problem::new(Kind::UriTooLong, detail).member("limit", limits.uri));
    }
    if request.headers().len() > HEADERS {
        let detail = "At most 100 headers are accepted.";
        return Err(Problem::new(Kind::HeadersTooLarge, detail).member("limit", HEADERS));
    }
    Ok(())
}

/// Whatever a browser makes of it: no page of ours is framed, sniffed, kept or named to others, unless it says so.
fn harmless(headers: &mut HeaderMap) {
    let defaults: [(HeaderName, &'static str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// What the router answers is a page of the playground, which is not compressed.
async fn compressed(
    compression: &Compression,
    encoding: Option<compress::Encoding>,
    answer: Answer,
) -> Answer {
    let (head, body) = answer.into_parts();
    match body {
        Either::Left(whole) => {
            let whole = Response::from_parts(head, whole);
            compression.apply(encoding, whole).await.map(Either::Left)
        }
        routed => Answer::from_parts(head, routed),
    }
}
