//! Connections to one gRPC service.
//!
//! Owns how one is made: HTTP/2, probed while calls are in flight, made anew
//! when the service goes away. Which address a call goes to is decided in
//! [`crate::peers`]. Knows nothing of messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::Tls;
use crate::peers::Address;
use crate::peers::Host;
use crate::peers::PeerSettings;
use crate::peers::Peers;
use crate::peers::Resolve;

/// Silence, while calls are in flight, after which the connection is probed.
const PING_AFTER: Duration = Duration::from_secs(20);
/// A probe unanswered this long means the connection is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for connections without calls, left to the operating system: servers refuse pings on idle connections.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// Room for one reply, so that flow control rarely delays it.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// Room for all replies on one connection.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Error details travel in headers.
const MAX_HEADERS: u32 = 64 * 1024;

/// The addresses of a service, one connection to each. Dials nothing yet.
pub(super) fn peers(
    address: Address,
    dial: Dial,
    settings: PeerSettings,
    resolver: Arc<dyn Resolve>,
) -> Arc<Peers<Channel>> {
    let make = move |host: &Host, at| connection(host, at, &dial).map_err(io::Error::other);
    Peers::new(address, settings, resolver, make)
}

/// Connects when it is first used.
fn connection(
    host: &Host,
    address: SocketAddr,
    dial: &Dial,
) -> Result<Channel, tonic::transport::Error> {
    let scheme = if host.tls { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
        .origin(host.origin.clone())
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))?
        .connect_timeout(dial.timeout)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .http2_keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADERS);
    if host.tls {
        let tls = dial.tls.for_grpc();
        let tls = tls.domain_name(&host.name).timeout(dial.timeout);
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint.connect_lazy())
}

/// How connections are made.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    /// Of one connection, its handshake included.
    pub(crate) timeout: Duration,
    pub(crate) tls: Tls,
}
