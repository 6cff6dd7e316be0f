//! Connections to one address of an HTTP/1.1 service, kept alive.
//!
//! Owns which connection a request goes over: the one that was used last,
//! since its buffers are warm, or a new one. A request is sent once: only one
//! that is known never to have left goes over another connection. Knows
//! nothing of what is sent or answered.

use std::collections::VecDeque;
use std::error::Error;
use std::future::Ready;
use std::future::ready;
use std::io;
use std::iter::Once;
use std::iter::once;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::Uri;
use http::header::HOST;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

/// Connections that are idle longer are closed.
pub(super) const IDLE: Duration = Duration::from_secs(90);

type Sender = SendRequest<Full<Bytes>>;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    /// Time to establish a connection.
    connect: Duration,
    host: HeaderValue,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one used last is the last.
    connections: VecDeque<(Sender, Instant)>,
    /// Whether somebody looks after those that nobody uses any more.
    watched: bool,
}

/// The connection that a reply's body is still on its way over. Dropped before its end, it is closed.
pub(super) struct Lease {
    connection: Sender,
    pool: Pool,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    /// Nothing was sent.
    #[error("no connection")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// Something may have been sent.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl Pool {
    /// Dials nothing yet. The origin has a host.
    pub(super) fn new(address: SocketAddr, connect: Duration, origin: &Uri) -> Self {
        let host = origin.authority().map_or("", |it| it.as_str());
        Self(Arc::new(Shared {
            address,
            connect,
            // What stands in an address may stand in a header.
            host: HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("")),
            idle: Mutex::default(),
        }))
    }

    /// Sends a request whose address is its path and query.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), NoReply> {
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert_with(|| self.0.host.clone());
        while let Some(mut connection) = self.take() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(reply) => return Ok((reply, self.lease(connection))),
                // The service closed the connection at this very moment.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut connection = self.connect().await?;
        let reply = connection.send_request(request).await?;
        Ok((reply, self.lease(connection)))
    }

    fn lease(&self, connection: Sender) -> Lease {
        Lease {
            connection,
            pool: self.clone(),
        }
    }

    async fn connect(&self) -> Result<Sender, NoReply> {
        let stream = tokio::time::timeout(self.0.connect, TcpStream::connect(self.0.address)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(|error| NoReply::Unreachable(error.into()))?;
        // A request is one write: waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its sender, or when the service closes it; who waits for a reply is told why.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn take(&self) -> Option<Sender> {
        let (connection, _) = self.0.idle().connections.pop_back()?;
        Some(connection)
    }
}

impl Lease {
    /// The body was read to its end: the connection serves the next request.
    pub(super) fn finished(self) {
        let mut idle = self.pool.0.idle();
        let now = Instant::now();
        idle.connections.push_back((self.connection, now));
        if !idle.watched {
            idle.watched = true;
            tokio::spawn(watch(Arc::downgrade(&self.pool.0)));
        }
    }
}

impl Shared {
    /// The table is consistent between any two statements, so a panic elsewhere does no harm.
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what has been idle for too long; the next one that will be, when there is one.
    fn close_idle(&self) -> Option<Instant> {
        let mut idle = self.idle();
        let Some(deadline) = Instant::now().checked_sub(IDLE) else {
            return Some(Instant::now() + IDLE);
        };
        while let Some((_, since)) = idle.connections.front() {
            if *since > deadline {
                return Some(*since + IDLE);
            }
            idle.connections.pop_front();
        }
        idle.watched = false;
        None
    }
}

/// Knows one address, whatever it is asked.
#[derive(Debug, Clone)]
pub(super) struct Fixed(pub(super) SocketAddr);

impl Service<Name> for Fixed {
    type Response = Once<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Once<SocketAddr>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(once(self.0)))
    }
}

/// One for each pool that has idle connections.
async fn watch(pool: Weak<Shared>) {
    let mut next = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(next).await;
        let due = pool.upgrade().and_then(|pool| pool.close_idle());
        match due {
            Some(due) => next = due,
            None => return,
        }
    }
}
