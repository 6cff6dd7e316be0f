//! A TCP proxy that stands before a service and misbehaves on purpose.
//!
//! Owns what can go wrong with a connection ([`Fault`]), switchable while it
//! runs, and counts what comes through. Knows of protocols only what counting
//! calls and saying GOAWAY needs; knows neither gateway nor services.

mod connection;
mod count;
mod frames;
mod port;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use port::Port;

/// How long [`Proxy::set`] waits for open connections to end.
const SETTLED: Duration = Duration::from_secs(2);

/// What goes wrong. A fault meets open connections too, as soon as it is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass as they come.
    None,
    /// Nobody listens; open connections are reset.
    Refuse,
    /// A connection is reset as soon as something is asked over it.
    Reset,
    /// Connections are taken, and nothing is ever answered. What was asked goes through when the fault ends.
    BlackHole,
    /// Connections are taken and closed.
    Close,
    /// Replies come in pieces of so many bytes, one each interval.
    Drip {
        /// Bytes of a piece.
        bytes: usize,
        /// The interval.
        every: Duration,
    },
    /// After so many bytes of replies on a connection it is closed.
    Truncate {
        /// Bytes that pass.
        after: usize,
    },
    /// What is asked is answered with bytes of no protocol.
    Garbage,
    /// Replies are late.
    Delay(Duration),
    /// Connections that were open are silent from now on, whatever follows; new ones pass.
    HalfOpen,
    /// HTTP/2: each call is answered with GOAWAY, and the connection closed. Anything else is closed.
    GoAway {
        /// Whether the call was taken, as far as GOAWAY tells.
        taken: bool,
    },
}

impl Fault {
    /// Whether no connection survives it.
    fn ends_connections(self) -> bool {
        matches!(self, Self::Refuse | Self::Close)
    }
}

/// A fault, and which of all that were switched on it is.
#[derive(Debug, Clone, Copy)]
struct Switched {
    fault: Fault,
    number: u64,
    /// The last one that silenced all connections before it.
    silenced: u64,
}

/// What came through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were taken.
    pub connections: u64,
    /// Calls that arrived: HTTP/1 requests and HTTP/2 streams.
    pub requests: u64,
    /// Bytes from clients.
    pub bytes_up: u64,
    /// Bytes to clients.
    pub bytes_down: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    fault: watch::Sender<Switched>,
    /// Whether somebody listens at the port.
    listens: watch::Sender<bool>,
    open: watch::Sender<usize>,
    counters: Counters,
}

/// A running proxy. It ends with the value, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, before a service.
    ///
    /// # Errors
    /// Where the machine has no free port.
    pub async fn before(upstream: SocketAddr) -> io::Result<Self> {
        let port = Port::take()?;
        let address = port.address();
        let nothing = Switched {
            fault: Fault::None,
            number: 0,
            silenced: 0,
        };
        let shared = Arc::new(Shared {
            upstream,
            fault: watch::Sender::new(nothing),
            listens: watch::Sender::new(false),
            open: watch::Sender::new(0),
            counters: Counters::default(),
        });
        let task = tokio::spawn(serve(shared.clone(), port));
        let proxy = Self {
            address,
            shared,
            task,
        };
        proxy.settled(Fault::None).await;
        Ok(proxy)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as `http://127.0.0.1:4101`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes wrong this way from now on. What the fault ends has ended when this returns.
    pub async fn set(&self, fault: Fault) {
        self.shared.fault.send_modify(|switched| {
            switched.fault = fault;
            switched.number += 1;
            if fault == Fault::HalfOpen {
                switched.silenced = switched.number;
            }
        });
        self.settled(fault).await;
    }

    /// What came through so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&counters.connections),
            requests: read(&counters.requests),
            bytes_up: read(&counters.bytes_up),
            bytes_down: read(&counters.bytes_down),
        }
    }

    async fn settled(&self, fault: Fault) {
        let mut listens = self.shared.listens.subscribe();
        let wanted = fault != Fault::Refuse;
        // The other end of both channels lives in `self`.
        drop(listens.wait_for(|listens| *listens == wanted).await);
        if fault.ends_connections() {
            let mut open = self.shared.open.subscribe();
            // Under load there may always be one more.
            drop(tokio::time::timeout(SETTLED, open.wait_for(|open| *open == 0)).await);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens while the fault lets it, and serves what comes.
async fn serve(shared: Arc<Shared>, port: Port) {
    let mut fault = shared.fault.subscribe();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        if fault
            .wait_for(|it| it.fault != Fault::Refuse)
            .await
            .is_err()
        {
            return;
        }
        // The port is kept: nobody else listens there.
        let Ok(listener) = port.listen() else { return };
        shared.listens.send_replace(true);
        while let Some(stream) = accepted(&listener, &mut fault).await {
            shared.counters.connections.fetch_add(1, Ordering::Relaxed);
            connections.spawn(connection::serve(shared.clone(), stream));
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        shared.listens.send_replace(false);
    }
}

/// The next connection; none as soon as nobody shall listen.
async fn accepted(
    listener: &TcpListener,
    fault: &mut watch::Receiver<Switched>,
) -> Option<tokio::net::TcpStream> {
    loop {
        tokio::select! {
            biased;
            _ = fault.wait_for(|it| it.fault == Fault::Refuse) => return None,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                return Some(stream);
            },
        }
    }
}
