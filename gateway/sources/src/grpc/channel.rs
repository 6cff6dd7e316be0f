//! Connections to one gRPC service.
//!
//! Owns its addresses: one HTTP/2 connection each, used in turn, since a
//! single connection would pin a single server. Names are looked up when the
//! first call is made, again from time to time, and after a failure to
//! connect; a service that cannot be reached at start is no failure. Knows
//! nothing of messages.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use http::uri::Scheme;
use plan::source::BoxFuture;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::Tls;

/// Names are looked up again when the last answer is older.
const LOOKUP_AGE: Duration = Duration::from_secs(30);
/// After a failure to connect they are looked up again, but no more often than this.
const LOOKUP_PAUSE: Duration = Duration::from_secs(1);
/// An address that could not be connected to is passed over this long while others can.
const PASS_OVER: Duration = Duration::from_secs(5);
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

/// Where a host's addresses come from.
pub(crate) trait Resolve: Send + Sync {
    /// The addresses of a host, with this port.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// An address that is none: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadUrl(String);

/// One host of a service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    /// Scheme and authority, as the server sees them.
    origin: Uri,
    name: String,
    port: u16,
    tls: bool,
}

/// A service's address as it was written: one host or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    hosts: Vec<Host>,
    /// What stands before each method's path.
    prefix: String,
}

impl Address {
    /// `http://host:port`, `https://host`, or several joined by commas.
    pub(crate) fn parse(url: &str) -> Result<Self, BadUrl> {
        let mut scheme = "http".to_owned();
        let mut address = Self {
            hosts: Vec::new(),
            prefix: String::new(),
        };
        for part in url
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (own, rest) = part.split_once("://").unwrap_or((&scheme, part));
            let uri = format!("{own}://{rest}")
                .parse::<Uri>()
                .map_err(|error| BadUrl(error.to_string()))?;
            scheme = own.to_owned();
            address.prefix = uri.path().trim_end_matches('/').to_owned();
            address.hosts.push(Host::new(&uri)?);
        }
        match address.hosts.is_empty() {
            true => Err(BadUrl("it is empty".to_owned())),
            false => Ok(address),
        }
    }

    /// A method's path: `package.Service/Method` behind the address's own path.
    pub(crate) fn path(&self, method: &str) -> String {
        format!("{}/{method}", self.prefix)
    }
}

impl Host {
    fn new(uri: &Uri) -> Result<Self, BadUrl> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(BadUrl("the scheme is neither http nor https".to_owned())),
        };
        let no_host = || BadUrl("it names no host".to_owned());
        let authority = uri.authority().ok_or_else(no_host)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl(
                "a user name or password in an address is not sent".to_owned(),
            ));
        }
        let name = authority.host().trim_matches(['[', ']']);
        if name.is_empty() {
            return Err(no_host());
        }
        let scheme = if tls { "https" } else { "http" };
        let origin = format!("{scheme}://{authority}").parse();
        Ok(Self {
            origin: origin.map_err(|_| no_host())?,
            name: name.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
        })
    }

    fn connection(
        &self,
        address: SocketAddr,
        dial: &Dial,
    ) -> Result<Channel, tonic::transport::Error> {
        let scheme = if self.tls { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .origin(self.origin.clone())
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(dial.timeout)
            .tcp_keepalive(Some(TCP_KEEPALIVE))
            .http2_keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(MAX_HEADERS);
        if self.tls {
            let tls = dial.tls.for_grpc();
            let tls = tls.domain_name(&self.name).timeout(dial.timeout);
            endpoint = endpoint.tls_config(tls)?;
        }
        Ok(endpoint.connect_lazy())
    }
}

/// How connections are made.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    /// Of one connection, its handshake included.
    pub(crate) timeout: Duration,
    pub(crate) tls: Tls,
}

impl Dial {
    /// With nothing special about certificates.
    pub(super) fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            tls: Tls::default(),
        }
    }
}

/// One address and the connection to it.
pub(crate) struct Connection {
    address: SocketAddr,
    host: usize,
    channel: Channel,
    failed: Mutex<Option<Instant>>,
}

impl Connection {
    /// A handle for one call. Connects when it is first used.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn failed_lately(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < PASS_OVER)
    }

    fn note(&self, failed: Option<Instant>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

/// What the last lookup gave.
#[derive(Default)]
struct Known {
    connections: Vec<Arc<Connection>>,
    looked_up: Option<Instant>,
}

/// The connections of one service.
pub(crate) struct Connections {
    address: Address,
    dial: Dial,
    resolver: Arc<dyn Resolve>,
    known: ArcSwap<Known>,
    turn: AtomicUsize,
    /// Held by the one lookup that is under way.
    lookup: tokio::sync::Mutex<()>,
}

impl Connections {
    /// Dials nothing yet.
    pub(crate) fn new(address: Address, dial: Dial, resolver: Arc<dyn Resolve>) -> Arc<Self> {
        Arc::new(Self {
            address,
            dial,
            resolver,
            known: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            lookup: tokio::sync::Mutex::new(()),
        })
    }

    /// The service's address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The connections to try for one call, best first: whose turn it is, then the others; those that failed lately last.
    pub(crate) async fn in_turn(self: &Arc<Self>) -> io::Result<Vec<Arc<Connection>>> {
        let mut known = self.known.load_full();
        if known.connections.is_empty() {
            self.look_up(None).await?;
            known = self.known.load_full();
        } else if known.looked_up.is_none_or(|at| at.elapsed() >= LOOKUP_AGE) {
            self.refresh(known.looked_up);
        }
        let count = known.connections.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = (0..count).map(|offset| known.connections[(first + offset) % count].clone());
        let mut turn: Vec<_> = turn.collect();
        turn.sort_by_key(|connection| connection.failed_lately());
        Ok(turn)
    }

    /// Notes that a connection could not be made: it is passed over for a while, and names are looked up again.
    pub(crate) fn could_not_connect(self: &Arc<Self>, connection: &Connection) {
        connection.note(Some(Instant::now()));
        let seen = self.known.load().looked_up;
        if seen.is_none_or(|at| at.elapsed() >= LOOKUP_PAUSE) {
            self.refresh(seen);
        }
    }

    /// Notes that a connection was made.
    pub(crate) fn connected(&self, connection: &Connection) {
        if connection.failed_lately() {
            connection.note(None);
        }
    }

    /// Looks names up in the background; calls go on with what is known.
    fn refresh(self: &Arc<Self>, seen: Option<Instant>) {
        let connections = self.clone();
        tokio::spawn(async move {
            if let Err(error) = connections.look_up(seen).await {
                tracing::debug!(target: "switchboard::upstream", %error, "a name could not be looked up again");
            }
        });
    }

    /// Looks names up, unless somebody did since the caller saw the last answer.
    async fn look_up(&self, seen: Option<Instant>) -> io::Result<()> {
        let _under_way = self.lookup.lock().await;
        let known = self.known.load_full();
        if known.looked_up != seen && !known.connections.is_empty() {
            return Ok(());
        }
        let found = tokio::time::timeout(self.dial.timeout, self.resolve_all()).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let connections = self.connect(&known, found)?;
        self.known.store(Arc::new(Known {
            connections,
            looked_up: Some(Instant::now()),
        }));
        Ok(())
    }

    /// Every address of every host. A host that has none now does not take the others away.
    async fn resolve_all(&self) -> io::Result<Vec<(usize, SocketAddr)>> {
        let mut found = Vec::new();
        let mut failure = None;
        for (at, host) in self.address.hosts.iter().enumerate() {
            match self.resolve(host).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|address| (at, address))),
                Err(error) => failure = Some(error),
            }
        }
        found.sort();
        found.dedup();
        match failure {
            Some(error) if found.is_empty() => Err(error),
            None if found.is_empty() => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the host has no address",
            )),
            _ => Ok(found),
        }
    }

    async fn resolve(&self, host: &Host) -> io::Result<Vec<SocketAddr>> {
        match host.name.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, host.port)]),
            Err(_) => self.resolver.resolve(&host.name, host.port).await,
        }
    }

    /// Connections to the addresses that were found; those that are open stay.
    fn connect(
        &self,
        known: &Known,
        found: Vec<(usize, SocketAddr)>,
    ) -> io::Result<Vec<Arc<Connection>>> {
        let connections = found.into_iter().map(|(host, address)| {
            let is = |known: &&Arc<Connection>| (known.host, known.address) == (host, address);
            if let Some(open) = known.connections.iter().find(is) {
                return Ok(open.clone());
            }
            let channel = self.address.hosts[host].connection(address, &self.dial);
            Ok(Arc::new(Connection {
                address,
                host,
                channel: channel.map_err(io::Error::other)?,
                failed: Mutex::new(None),
            }))
        });
        connections.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what the test says at the time.
    struct Names(Mutex<Vec<SocketAddr>>, AtomicUsize);

    impl Names {
        fn new(ports: &[u16]) -> Arc<Self> {
            let names = Self(Mutex::default(), AtomicUsize::new(0));
            names.say(ports);
            Arc::new(names)
        }

        fn say(&self, ports: &[u16]) {
            let addresses = ports
                .iter()
                .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)));
            *self.0.lock().unwrap() = addresses.collect();
        }

        fn asked(&self) -> usize {
            self.1.load(Ordering::SeqCst)
        }
    }

    impl Resolve for Names {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            let addresses = self.0.lock().unwrap().clone();
            Box::pin(async move { Ok(addresses) })
        }
    }

    fn connections(url: &str, names: &Arc<Names>) -> Arc<Connections> {
        let address = Address::parse(url).unwrap();
        Connections::new(address, Dial::within(Duration::from_secs(2)), names.clone())
    }

    async fn ports(connections: &Arc<Connections>) -> Vec<u16> {
        let turn = connections.in_turn().await.unwrap();
        turn.iter()
            .map(|connection| connection.address.port())
            .collect()
    }

    /// Lets a lookup in the background come to its end.
    async fn settle(connections: &Connections) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        drop(connections.lookup.lock().await);
    }

    #[test]
    fn an_address_is_one_host_or_several() {
        let one = Address::parse("https://api.example.com/grpc/").unwrap();
        assert_eq!((one.hosts[0].port, one.hosts[0].tls), (443, true));
        assert_eq!(one.path("a.B/C"), "/grpc/a.B/C");
        let several = Address::parse("http://one:50051, two:50052,http://[::1]:1").unwrap();
        let hosts: Vec<_> = several
            .hosts
            .iter()
            .map(|host| (host.name.as_str(), host.port))
            .collect();
        assert_eq!(hosts, [("one", 50051), ("two", 50052), ("::1", 1)]);
        assert_eq!(Address::parse("localhost:9").unwrap().hosts[0].port, 9);
        for bad in [
            "",
            " ,",
            "ftp://x",
            "http://",
            "http://user:secret@host",
            "http://a b",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let names = Names::new(&[1, 2]);
        let connections = connections("http://service:50051", &names);
        assert_eq!(
            names.asked(),
            0,
            "nothing is looked up before the first call"
        );
        assert_eq!(ports(&connections).await, [1, 2]);
        assert_eq!(ports(&connections).await, [2, 1]);
        assert_eq!(names.asked(), 1);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let names = Names::new(&[]);
        let connections = connections("http://127.0.0.1:7,http://[::1]:8", &names);
        assert_eq!(ports(&connections).await, [7, 8]);
        assert_eq!(names.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_looked_up_again_after_a_while_and_open_connections_stay() {
        let names = Names::new(&[1, 2]);
        let connections = connections("http://service:50051", &names);
        let before = connections.in_turn().await.unwrap();
        names.say(&[2, 3]);
        tokio::time::advance(LOOKUP_AGE).await;
        ports(&connections).await;
        settle(&connections).await;
        let after = connections.in_turn().await.unwrap();
        let mut ports: Vec<_> = after
            .iter()
            .map(|connection| connection.address.port())
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, [2, 3]);
        let kept = after
            .iter()
            .find(|connection| connection.address.port() == 2)
            .unwrap();
        assert!(
            before
                .iter()
                .any(|connection| Arc::ptr_eq(connection, kept))
        );
        assert_eq!(names.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_to_connect_passes_the_address_over_and_looks_names_up() {
        let names = Names::new(&[1, 2]);
        let connections = connections("http://service:50051", &names);
        let turn = connections.in_turn().await.unwrap();
        tokio::time::advance(LOOKUP_PAUSE).await;
        for _ in 0..3 {
            connections.could_not_connect(&turn[0]);
            settle(&connections).await;
        }
        assert_eq!(names.asked(), 2, "once, however many calls fail");
        for _ in 0..3 {
            assert_eq!(
                ports(&connections).await,
                [2, 1],
                "the one that failed comes last"
            );
        }
        tokio::time::advance(PASS_OVER).await;
        let mut first: Vec<_> = vec![ports(&connections).await[0], ports(&connections).await[0]];
        first.sort_unstable();
        assert_eq!(first, [1, 2], "after a while it is tried again");
    }

    #[tokio::test]
    async fn a_name_without_an_address_fails_the_call_and_is_asked_for_again() {
        let names = Names::new(&[]);
        let connections = connections("http://service:50051", &names);
        assert!(connections.in_turn().await.is_err());
        names.say(&[4]);
        assert_eq!(ports(&connections).await, [4]);
    }
}
