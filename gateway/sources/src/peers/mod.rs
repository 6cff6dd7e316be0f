//! The addresses of one service, and which of them a call goes to.
//!
//! Owns looking names up, again and again; the choice of the less busy of two
//! addresses; passing over those that cannot be connected to or fail in a row,
//! never more than half for failures; and the age of connections. What a
//! connection is, the protocol knows: here it is made by a closure. A service
//! that cannot be reached at start is no failure.

mod address;
mod health;
mod resolve;

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwap;
use rand::Rng as _;

use crate::calls;
pub(crate) use address::Address;
pub(crate) use address::Host;
use health::Health;
pub(crate) use resolve::Resolve;
pub(crate) use resolve::SystemResolver;

/// Names are looked up again when the last answer is older.
const LOOKUP_AGE: Duration = Duration::from_secs(30);
/// After a failure to connect they are looked up again, but no more often than this.
const LOOKUP_PAUSE: Duration = Duration::from_secs(1);

/// How addresses are treated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PeerSettings {
    /// Of one lookup.
    pub(crate) lookup: Duration,
    /// Failures in a row after which an address is passed over; 0 for never.
    pub(crate) eject_after: u32,
    /// Connections are made anew when they are older: a service that grew gets its share.
    pub(crate) max_age: Option<Duration>,
}

type Make<T> = Box<dyn Fn(&Host, SocketAddr) -> io::Result<T> + Send + Sync>;

/// The addresses of one service. `T` is what calls to one of them go over.
pub(crate) struct Peers<T> {
    address: Address,
    settings: PeerSettings,
    resolver: Arc<dyn Resolve>,
    make: Make<T>,
    known: ArcSwap<Known<T>>,
    /// Held by the one lookup that is under way; how the last one failed that did.
    lookup: tokio::sync::Mutex<Option<Arc<io::Error>>>,
    /// Lookups that have failed.
    failures: AtomicU64,
    origin: Instant,
}

/// What the last lookup gave.
struct Known<T> {
    peers: Vec<Arc<Peer<T>>>,
    looked_up: Option<Instant>,
}

struct Peer<T> {
    address: SocketAddr,
    host: usize,
    transport: T,
    made: Instant,
    health: Arc<Health>,
}

/// An address that a call goes to. Counted as busy while it is held.
pub(crate) struct Picked<T> {
    peer: Arc<Peer<T>>,
    /// Of the address's health, when the call began.
    era: u32,
}

impl<T> Picked<T> {
    fn new(peer: &Arc<Peer<T>>) -> Self {
        Self {
            era: peer.health.begins(),
            peer: peer.clone(),
        }
    }

    /// What the call goes over.
    pub(crate) fn transport(&self) -> &T {
        &self.peer.transport
    }

    /// Where it goes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.peer.address
    }
}

impl<T> Drop for Picked<T> {
    fn drop(&mut self) {
        self.peer.health.ends();
    }
}

impl<T: Send + Sync + 'static> Peers<T> {
    /// Dials nothing yet.
    pub(crate) fn new(
        address: Address,
        settings: PeerSettings,
        resolver: Arc<dyn Resolve>,
        make: impl Fn(&Host, SocketAddr) -> io::Result<T> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            settings,
            resolver,
            make: Box::new(make),
            known: ArcSwap::from_pointee(Known {
                peers: Vec::new(),
                looked_up: None,
            }),
            lookup: tokio::sync::Mutex::default(),
            failures: AtomicU64::new(0),
            origin: calls::now(),
        })
    }

    /// The service's address, as it was written.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The address for a call: of two, the one with fewer calls in flight. Those to avoid, and those passed over, only where there is no other.
    pub(crate) async fn pick(
        self: &Arc<Self>,
        now: Instant,
        avoid: &[SocketAddr],
    ) -> io::Result<Picked<T>> {
        let mut known = self.known.load();
        if known.peers.is_empty() {
            drop(known);
            self.look_up(None).await?;
            known = self.known.load();
        } else if is_older(known.looked_up, LOOKUP_AGE, now) {
            self.refresh(known.looked_up);
        }
        known
            .pick(now, avoid)
            .map(Picked::new)
            .ok_or_else(no_address)
    }

    /// Whether there is an address that is none of these.
    pub(crate) fn has_other(&self, than: &[SocketAddr]) -> bool {
        let known = self.known.load();
        known.peers.iter().any(|it| !than.contains(&it.address))
    }

    /// A call to it was answered as by a healthy service.
    pub(crate) fn well(&self, picked: &Picked<T>) {
        picked.peer.health.well(picked.era);
    }

    /// A call to it failed.
    pub(crate) fn failed(&self, picked: &Picked<T>, now: Instant) {
        let in_a_row = picked.peer.health.failed(picked.era);
        let limit = self.settings.eject_after;
        let known = self.known.load();
        if limit == 0 || in_a_row < limit || picked.peer.health.is_passed_over(now) {
            return;
        }
        // A service that fails at most of its addresses is the breaker's affair.
        if 2 * (known.passed_over(now) + 1) <= known.peers.len() {
            picked.peer.health.pass_over(now);
            tracing::warn!(target: "switchboard::upstream", address = %picked.peer.address, failures = in_a_row, "an address is passed over for a while");
        }
    }

    /// It could not be connected to: it is passed over for a while, and names are looked up again.
    pub(crate) fn unreachable(self: &Arc<Self>, picked: &Picked<T>, now: Instant) {
        picked.peer.health.pass_over(now);
        let seen = self.known.load().looked_up;
        if is_older(seen, LOOKUP_PAUSE, now) {
            self.refresh(seen);
        }
    }

    /// How many addresses are known, and how many of them are passed over.
    pub(crate) fn count(&self, now: Instant) -> (usize, usize) {
        let known = self.known.load();
        (known.peers.len(), known.passed_over(now))
    }

    /// Looks names up in the background; calls go on with what is known.
    fn refresh(self: &Arc<Self>, seen: Option<Instant>) {
        if self.lookup.try_lock().is_err() {
            return;
        }
        let peers = self.clone();
        tokio::spawn(async move {
            if let Err(error) = peers.look_up(seen).await {
                tracing::debug!(target: "switchboard::upstream", %error, "a name could not be looked up again");
            }
        });
    }

    /// Looks names up, unless somebody did since the caller saw the last answer. All who wait for a lookup share how it ends, a failure too: they do not each try again, one after the other.
    async fn look_up(&self, seen: Option<Instant>) -> io::Result<()> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut last = self.lookup.lock().await;
        let known = self.known.load_full();
        if known.looked_up != seen && !known.peers.is_empty() {
            return Ok(());
        }
        if let Some(failure) = &*last
            && self.failures.load(Ordering::Relaxed) != failures
        {
            return Err(io::Error::new(failure.kind(), failure.clone()));
        }
        let looked_up = self.look_up_now(&known).await;
        looked_up.map_err(|error| {
            let error = Arc::new(error);
            *last = Some(error.clone());
            self.failures.fetch_add(1, Ordering::Relaxed);
            io::Error::new(error.kind(), error)
        })
    }

    async fn look_up_now(&self, known: &Known<T>) -> io::Result<()> {
        let found = tokio::time::timeout(self.settings.lookup, self.resolve_all()).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let now = calls::now();
        let peers = match found {
            Ok(found) => self.peers_at(known, found, now)?,
            // Where names cannot be looked up, what was known is better than nothing; asked again after the usual time.
            Err(_) if !known.peers.is_empty() => known.peers.clone(),
            Err(error) => return Err(error),
        };
        self.known.store(Arc::new(Known {
            peers,
            looked_up: Some(now),
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
        match (found.is_empty(), failure) {
            (false, _) => Ok(found),
            (true, Some(error)) => Err(error),
            (true, None) => Err(no_address()),
        }
    }

    async fn resolve(&self, host: &Host) -> io::Result<Vec<SocketAddr>> {
        match host.name.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, host.port)]),
            Err(_) => self.resolver.resolve(&host.name, host.port).await,
        }
    }

    /// Those that were found; what is open to them stays, unless it is too old.
    fn peers_at(
        &self,
        known: &Known<T>,
        found: Vec<(usize, SocketAddr)>,
        now: Instant,
    ) -> io::Result<Vec<Arc<Peer<T>>>> {
        let peers = found.into_iter().map(|(host, address)| {
            let is = |known: &&Arc<Peer<T>>| (known.host, known.address) == (host, address);
            let open = known.peers.iter().find(is);
            let too_old = |peer: &Peer<T>| {
                let age = now.saturating_duration_since(peer.made);
                self.settings.max_age.is_some_and(|most| age >= most)
            };
            if let Some(open) = open.filter(|open| !too_old(open)) {
                return Ok(open.clone());
            }
            let health = open.map(|open| open.health.clone());
            Ok(Arc::new(Peer {
                address,
                host,
                transport: (self.make)(&self.address.hosts[host], address)?,
                made: now,
                health: health.unwrap_or_else(|| Arc::new(Health::new(self.origin))),
            }))
        });
        peers.collect()
    }
}

impl<T> Known<T> {
    fn pick(&self, now: Instant, avoid: &[SocketAddr]) -> Option<&Arc<Peer<T>>> {
        if let [only] = &self.peers[..] {
            return Some(only);
        }
        let is_new = |peer: &Peer<T>| !avoid.contains(&peer.address);
        let is_well = |peer: &Peer<T>| !peer.health.is_passed_over(now);
        self.less_busy(|peer| is_new(peer) && is_well(peer))
            .or_else(|| self.less_busy(is_new))
            .or_else(|| self.less_busy(is_well))
            .or_else(|| self.less_busy(|_| true))
    }

    /// The less busy of two of those that will do.
    fn less_busy(&self, will_do: impl Fn(&Peer<T>) -> bool) -> Option<&Arc<Peer<T>>> {
        let eligible = || self.peers.iter().filter(|peer| will_do(peer));
        let count = eligible().count();
        if count < 2 {
            return eligible().next();
        }
        let mut random = rand::rng();
        let first = random.random_range(0..count);
        let second = (first + random.random_range(1..count)) % count;
        let (one, other) = (eligible().nth(first)?, eligible().nth(second)?);
        match other.health.in_flight() < one.health.in_flight() {
            true => Some(other),
            false => Some(one),
        }
    }

    fn passed_over(&self, now: Instant) -> usize {
        let peers = self.peers.iter();
        peers.filter(|peer| peer.health.is_passed_over(now)).count()
    }
}

fn is_older(time: Option<Instant>, age: Duration, now: Instant) -> bool {
    time.is_none_or(|time| now.saturating_duration_since(time) >= age)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address")
}

#[cfg(test)]
mod tests;
