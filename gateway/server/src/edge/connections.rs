//! Every open connection: how many there may be, how long each may keep us waiting, and one way to end them.
//!
//! Owns the coarse clock. A timer for each wait would cost each request; here
//! a connection writes down what it waits for and since when, and one task
//! looks at all of them now and then. Timeouts are therefore late by at most
//! one look. Knows nothing of HTTP.

use std::collections::HashMap;
use std::future::Future;
use std::future::poll_fn;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::Instant;

/// A moment that does not come.
const NEVER: u64 = u64::MAX;

/// How long a client may keep us waiting, and how many may do so at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For its next request.
    pub(crate) idle: Duration,
    /// For the rest of a request's head, once it has begun to come.
    pub(crate) head: Duration,
    /// For it to take more of what it was answered.
    pub(crate) write: Duration,
    /// Connections.
    pub(crate) all: usize,
    /// Connections of one address; of one network of 64 bits for IPv6.
    pub(crate) per_address: usize,
}

/// All connections of one port.
pub(super) struct Connections {
    began: Instant,
    /// Milliseconds since then, as of the last look.
    now: AtomicU64,
    bounds: Bounds,
    /// Whoever is here had better go elsewhere.
    leaving: AtomicBool,
    stopping: AtomicBool,
    /// The same, for what does not look at its pulse.
    stopped: watch::Sender<bool>,
    open: Mutex<Open>,
    emptied: Notify,
}

#[derive(Default)]
struct Open {
    last: u64,
    connections: HashMap<u64, Arc<Pulse>>,
    by_address: HashMap<IpAddr, usize>,
}

/// What one connection waits for, and since when.
pub(super) struct Pulse {
    all: Arc<Connections>,
    waker: AtomicWaker,
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// When it was last of use: a request was answered, or a part of an answer taken.
    used: AtomicU64,
    /// When the head of a request began to come.
    head: AtomicU64,
    /// When the client stopped taking what is written.
    stalled: AtomicU64,
    /// Several requests share it: a head is no longer told from other bytes.
    multiplexed: AtomicBool,
    /// Answers that a multiplexed client has not taken whole, and since when it has taken none.
    owed: AtomicUsize,
    owed_since: AtomicU64,
    /// When it was told to end.
    ending: AtomicU64,
    cut: AtomicBool,
}

/// One open connection; no longer open once it and what outlasts it are dropped.
pub(super) struct Connection {
    place: Arc<Place>,
}

/// A connection's place among all.
struct Place {
    number: u64,
    /// Counted under this address.
    address: Option<IpAddr>,
    pulse: Arc<Pulse>,
}

/// What a request may leave behind it on its connection: a socket, or an answer without an end.
/// While one is there, the connection is not idle.
#[derive(Clone)]
pub(super) struct Stays {
    place: Arc<Place>,
}

/// What was left behind.
pub(super) struct Lasting {
    place: Arc<Place>,
    stopping: watch::Receiver<bool>,
}

impl Stays {
    pub(super) fn begin(&self) -> Lasting {
        let pulse = &self.place.pulse;
        pulse.begins();
        Lasting {
            stopping: pulse.all.stopped.subscribe(),
            place: self.place.clone(),
        }
    }

    /// For whoever tells what happens on the connection.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.place.pulse
    }
}

impl Lasting {
    /// Returns when all connections are told to end.
    pub(super) async fn told_to_end(&self) {
        let mut stopping = self.stopping.clone();
        // An error: nobody is left to tell.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Returns when the client has kept us waiting for too long. Only for who took the connection
    /// over: otherwise the connection itself is cut.
    pub(super) async fn cut(&self) {
        let pulse = &self.place.pulse;
        poll_fn(|cx| {
            pulse.waker.register(cx.waker());
            match pulse.cut.load(SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.place.pulse.ends();
    }
}

/// What a look at a connection brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stay,
    /// It may finish what it is doing.
    End,
    /// It has kept us waiting for too long.
    Cut,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            now: AtomicU64::new(0),
            bounds,
            leaving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stopped: watch::channel(false).0,
            open: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    /// Looks at all connections now and then. Never ends.
    pub(super) async fn watch(&self) {
        let Bounds {
            idle, head, write, ..
        } = self.bounds;
        let look = idle.min(head).min(write) / 8;
        let look = look.clamp(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            tokio::time::sleep(look).await;
            let now = millis(self.began.elapsed());
            self.now.store(now, Relaxed);
            for pulse in self.lock().connections.values() {
                pulse.judge(now);
            }
        }
    }

    /// A connection that was just accepted, or none where there is no room for it.
    /// Without an address it counts towards no address: a proxy's clients are many.
    pub(super) fn open(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Connection> {
        let address = address.map(network);
        let mut open = self.lock();
        if open.connections.len() >= self.bounds.all {
            return None;
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.bounds.per_address {
                return None;
            }
            *count += 1;
        }
        open.last += 1;
        let number = open.last;
        let pulse = Arc::new(Pulse::new(self.clone()));
        open.connections.insert(number, pulse.clone());
        let place = Place {
            number,
            address,
            pulse,
        };
        Some(Connection {
            place: Arc::new(place),
        })
    }

    /// Tells multiplexed connections to end, which no request is lost by. Others are told with
    /// their next answer: one that is closed while it is idle may have a request under way.
    pub(super) fn leave(&self) {
        self.leaving.store(true, SeqCst);
        for pulse in self.lock().connections.values() {
            pulse.waker.wake();
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// Tells all connections to end, and returns once they have.
    pub(super) async fn end(&self) {
        self.stopping.store(true, SeqCst);
        self.stopped.send_replace(true);
        for pulse in self.lock().connections.values() {
            pulse.waker.wake();
        }
        loop {
            let emptied = self.emptied.notified();
            if self.lock().connections.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that could panic runs under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has one address of an IPv6 network has all of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

impl Connection {
    /// For whoever tells what happens on it.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.place.pulse
    }

    /// For what its requests leave behind.
    pub(super) fn stays(&self) -> Stays {
        Stays {
            place: self.place.clone(),
        }
    }

    /// Runs the connection; `end` is called once when it is told to end. None where it was cut.
    pub(super) async fn run<C: Future>(
        self,
        connection: C,
        end: fn(Pin<&mut C>),
    ) -> Option<C::Output> {
        let mut connection = Box::pin(connection);
        let mut told = false;
        let pulse = &self.place.pulse;
        poll_fn(|cx| {
            // Before looking whether to stop, or being told could be missed.
            pulse.waker.register(cx.waker());
            if pulse.cut.load(SeqCst) {
                return Poll::Ready(None);
            }
            if !told && (pulse.is_to_end() || pulse.ending.load(SeqCst) != NEVER) {
                told = true;
                end(connection.as_mut());
            }
            connection.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let all = &self.pulse.all;
        let mut open = all.lock();
        open.connections.remove(&self.number);
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
        if open.connections.is_empty() {
            all.emptied.notify_waiters();
        }
    }
}

impl Pulse {
    fn new(all: Arc<Connections>) -> Self {
        Self {
            waker: AtomicWaker::new(),
            busy: AtomicUsize::new(0),
            used: AtomicU64::new(all.now.load(Relaxed)),
            head: AtomicU64::new(NEVER),
            stalled: AtomicU64::new(NEVER),
            multiplexed: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
            owed_since: AtomicU64::new(NEVER),
            ending: AtomicU64::new(NEVER),
            cut: AtomicBool::new(false),
            all,
        }
    }

    fn now(&self) -> u64 {
        self.all.now.load(Relaxed)
    }

    /// Since the process does.
    fn is_to_end(&self) -> bool {
        let all = &self.all;
        let leaves = all.leaving.load(SeqCst) && self.multiplexed.load(Relaxed);
        leaves || all.stopping.load(SeqCst)
    }

    /// The client sent something.
    pub(super) fn heard(&self) {
        let between = self.busy.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed);
        if between && self.head.load(Relaxed) == NEVER {
            self.head.store(self.now(), Relaxed);
        }
    }

    /// Requests share this connection from now on.
    pub(super) fn multiplexes(&self) {
        self.multiplexed.store(true, Relaxed);
        self.head.store(NEVER, Relaxed);
    }

    /// A request has arrived, and is being answered until `ends`.
    pub(super) fn begins(&self) {
        self.head.store(NEVER, Relaxed);
        self.busy.fetch_add(1, Relaxed);
    }

    pub(super) fn ends(&self) {
        self.used.store(self.now(), Relaxed);
        self.busy.fetch_sub(1, Relaxed);
    }

    /// The client took something.
    pub(super) fn wrote(&self) {
        self.used.store(self.now(), Relaxed);
        self.stalled.store(NEVER, Relaxed);
    }

    /// The client takes nothing just now.
    pub(super) fn stalls(&self) {
        if self.stalled.load(Relaxed) == NEVER {
            self.stalled.store(self.now(), Relaxed);
        }
    }

    /// An answer that is owed until it has been taken whole.
    pub(super) fn owes(self: &Arc<Self>) -> Owed {
        if self.owed.fetch_add(1, Relaxed) == 0 {
            self.owed_since.store(self.now(), Relaxed);
        }
        Owed(self.clone())
    }

    fn judge(&self, now: u64) {
        match self.verdict(now) {
            Verdict::Stay => return,
            Verdict::End => self.ending.store(now, SeqCst),
            Verdict::Cut => self.cut.store(true, SeqCst),
        }
        self.waker.wake();
    }

    fn verdict(&self, now: u64) -> Verdict {
        let Bounds {
            idle, head, write, ..
        } = self.all.bounds;
        let passed = |since: &AtomicU64, bound: Duration| {
            let since = since.load(Relaxed);
            since != NEVER && now.saturating_sub(since) >= millis(bound)
        };
        let waits = self.busy.load(Relaxed) == 0;
        let owed = self.owed.load(Relaxed) > 0;
        if passed(&self.stalled, write) || passed(&self.ending, write) && waits {
            return Verdict::Cut;
        }
        if owed && passed(&self.owed_since, write) || waits && passed(&self.head, head) {
            return Verdict::Cut;
        }
        let told = self.ending.load(SeqCst) != NEVER;
        match waits && !owed && !told && passed(&self.used, idle) {
            true => Verdict::End,
            false => Verdict::Stay,
        }
    }
}

/// A part of an answer that the client has not taken yet.
pub(super) struct Owed(Arc<Pulse>);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.owed_since.store(self.0.now(), Relaxed);
        self.0.owed.fetch_sub(1, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        idle: Duration::from_secs(60),
        head: Duration::from_secs(8),
        write: Duration::from_secs(16),
        all: 3,
        per_address: 2,
    };

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// Seconds after which a connection to which this happened is cut, or told to end.
    async fn ended(happens: impl FnOnce(&Arc<Pulse>)) -> (u64, bool) {
        let all = Connections::new(BOUNDS);
        let connection = all.open(None).unwrap();
        let pulse = connection.pulse().clone();
        happens(&pulse);
        let begun = Instant::now();
        let told = Arc::new(AtomicBool::new(false));
        let ends = connection.run(Talk(told.clone()), |talk| talk.0.store(true, SeqCst));
        tokio::select! {
            output = ends => assert_eq!(output.is_some(), told.load(SeqCst)),
            () = all.watch() => {}
        }
        (begun.elapsed().as_secs(), told.load(SeqCst))
    }

    /// Goes on until it is told to end.
    struct Talk(Arc<AtomicBool>);

    impl Future for Talk {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            match self.0.load(SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_told_to_end() {
        assert_eq!(ended(|_| {}).await, (60, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_whole_is_cut() {
        assert_eq!(ended(|pulse| pulse.heard()).await, (8, false));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_a_multiplexed_connection_are_no_head() {
        let frames = |pulse: &Arc<Pulse>| {
            pulse.multiplexes();
            pulse.heard();
        };
        assert_eq!(ended(frames).await, (60, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut() {
        assert_eq!(ended(|pulse| pulse.stalls()).await, (16, false));
        let owes = |pulse: &Arc<Pulse>| {
            pulse.multiplexes();
            std::mem::forget(pulse.owes());
        };
        assert_eq!(ended(owes).await, (16, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_being_answered_is_left_alone() {
        let all = Connections::new(BOUNDS);
        let connection = all.open(None).unwrap();
        connection.pulse().begins();
        assert_eq!(connection.pulse().verdict(10_000_000), Verdict::Stay);
        connection.pulse().ends();
        assert_eq!(connection.pulse().verdict(10_000_000), Verdict::End);
    }

    #[test]
    fn connections_are_counted_in_all_and_by_address() {
        let all = Connections::new(BOUNDS);
        let one = all.open(address("192.0.2.1")).unwrap();
        let two = all.open(address("192.0.2.1")).unwrap();
        assert!(all.open(address("192.0.2.1")).is_none());
        let three = all.open(address("192.0.2.2")).unwrap();
        assert!(all.open(address("192.0.2.3")).is_none());
        drop((one, three));
        assert!(all.open(address("192.0.2.1")).is_some());
        drop(two);
        assert!(all.lock().by_address.is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_proxies_as_none() {
        let all = Connections::new(BOUNDS);
        let _open = ["2001:db8::1", "2001:db8::2"].map(|text| all.open(address(text)).unwrap());
        assert!(all.open(address("2001:db8::3")).is_none());
        assert!(all.open(None).is_some());
    }

    #[tokio::test]
    async fn all_connections_are_told_to_end_and_waited_for() {
        let all = Connections::new(BOUNDS);
        let talks: Vec<_> = (0..3)
            .map(|_| {
                let end = |talk: Pin<&mut Talk>| talk.0.store(true, SeqCst);
                tokio::spawn(all.open(None).unwrap().run(Talk(Arc::default()), end))
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(all.lock().connections.len(), 3);
        all.end().await;
        for talk in talks {
            talk.await.unwrap();
        }
        assert!(all.lock().connections.is_empty());
    }
}
