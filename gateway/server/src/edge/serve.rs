//! Connections: accepting them, bounding them, and draining them at the end.
//!
//! Owns the stack between a socket and a route, outermost first: header limits
//! and timeouts of the HTTP implementation, the ids of a request and the span
//! that carries them, then the route. `/graphql` is one comparison; the rest
//! goes through the router.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::Either;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::Request;
use super::connections::Connection;
use super::connections::Connections;
use super::graphql;
use super::graphql::Arrival;
use super::ids::Ids;
use super::problem::Kind;
use super::problem::Pages;
use super::problem::Problem;
use crate::config::HttpLimits;
use crate::deadline::until;
use crate::observe::log;
use crate::pipeline::Gateway;

/// As many as the HTTP/1 parser keeps without allocating.
const HEADERS: usize = 100;
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 250;

/// What answers on one port.
pub(crate) struct Server {
    /// Where `/graphql` is answered.
    pub(super) graphql: Option<Arc<Gateway>>,
    /// Everything else.
    pub(super) routes: Router,
    /// What problems refer to.
    pub(super) pages: Pages,
}

/// Serves until `stop` turns true, then lets requests in flight go on for `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Server,
    limits: HttpLimits,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let server = Arc::new(server);
    let connections = Connections::new(limits.idle);
    let clock = connections.clone();
    let clock = tokio::spawn(async move { clock.watch().await });
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let connection = connections.open();
                    converse(socket, peer.ip().to_canonical(), &server, &limits, connection);
                }
                Err(error) => refused(&error).await,
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(listener);
    if until(Instant::now() + drain, connections.end())
        .await
        .is_none()
    {
        tracing::warn!("requests were still in flight when the time to drain ended");
    }
    clock.abort();
}

/// Out of file descriptors, say: taking a breath lets some be closed.
async fn refused(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn converse(
    socket: TcpStream,
    peer: IpAddr,
    server: &Arc<Server>,
    limits: &HttpLimits,
    connection: Connection,
) {
    // A response is one write: waiting for more to send would only delay it.
    let _ = socket.set_nodelay(true);
    let (server, speaks) = (server.clone(), connection.speaks());
    let service = service_fn(move |request| {
        speaks();
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(peer, request).await) }
    });
    let http = protocol(limits, &connection);
    let conversation = http
        .serve_connection(TokioIo::new(socket), service)
        .into_owned();
    tokio::spawn(async move {
        let ended = connection.run(conversation, |c| c.graceful_shutdown());
        if let Some(Err(error)) = ended.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

fn protocol(limits: &HttpLimits, connection: &Connection) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(connection.timer())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.headers.max(8 * 1024));
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.headers).unwrap_or(u32::MAX));
    http
}

/// A response of ours, or one of the router's.
type Answer = http::Response<Either<Full<Bytes>, Body>>;

impl Server {
    async fn answer(&self, peer: IpAddr, request: Request) -> Answer {
        let ids = Ids::of(request.headers());
        let mut answer = log::on_behalf(ids.labels(), self.route(&ids, peer, request)).await;
        ids.stamp(answer.headers_mut());
        answer
    }

    async fn route(&self, ids: &Ids, peer: IpAddr, request: Request) -> Answer {
        // HTTP/1 is refused by its parser; HTTP/2 is bounded in bytes only.
        if request.headers().len() > HEADERS {
            return self.refuse(too_many_headers(), ids);
        }
        match &self.graphql {
            Some(gateway) if request.uri().path() == "/graphql" => {
                let arrival = Arrival {
                    gateway,
                    ids,
                    peer,
                    received: Instant::now(),
                };
                match graphql::serve(arrival, request).await {
                    Ok(response) => response.map(Either::Left),
                    Err(problem) => self.refuse(problem, ids),
                }
            }
            _ => Box::pin(self.other(ids, request)).await,
        }
    }

    async fn other(&self, ids: &Ids, request: Request) -> Answer {
        let routed = self.routes.clone().oneshot(request.map(Body::new)).await;
        let mut routed = routed.unwrap_or_else(|never| match never {});
        match routed.extensions_mut().remove::<Problem>() {
            Some(problem) => self.refuse(problem, ids),
            None => routed.map(Either::Right),
        }
    }

    fn refuse(&self, problem: Problem, ids: &Ids) -> Answer {
        self.pages.render(problem, ids).map(Either::Left)
    }
}

fn too_many_headers() -> Problem {
    Problem::new(Kind::HeadersTooLarge, "At most 100 headers are accepted.")
}
