//! Whether this process takes a request now.
//!
//! Owns how many requests may run at once, who waits for room and for how
//! long, and what readiness says of it. The limit follows the delay of the
//! gateway itself (see `controller`), so a service that is slow takes room and
//! sheds nothing. A gateway with little to do pays two atomic operations a
//! request. Knows nothing of HTTP or GraphQL.

mod controller;

use std::pin::pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use controller::Controller;
use controller::Seen;

/// Between two looks at the gateway's own delay, while there is something to do.
const LOOK: Duration = Duration::from_millis(5);
/// And while there is nothing.
const IDLE: Duration = Duration::from_millis(50);
/// After a refusal, shedding goes on until nothing has been refused for this long.
const CALM: Duration = Duration::from_secs(1);

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether anything is shed at all.
    pub(crate) enabled: bool,
    /// The delay of the gateway itself above which it takes less.
    pub(crate) delay: Duration,
    /// Requests at once, however quick the gateway is: memory is bounded, too.
    pub(crate) most: usize,
    /// Requests at once, however slow it is.
    pub(crate) least: usize,
    /// How long a request may wait for room.
    pub(crate) wait: Duration,
    /// How long requests must have been refused before readiness says so.
    pub(crate) unready_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            delay: Duration::from_millis(20),
            most: 10_000,
            least: 16,
            wait: Duration::from_millis(10),
            unready_after: Duration::from_secs(5),
        }
    }
}

/// Whether whoever sends requests here should go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Requests have been refused for some time.
    Overloaded,
    /// The process is about to end.
    Draining,
}

/// No room, or none in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// The door.
pub(crate) struct Admission {
    settings: Settings,
    in_flight: AtomicUsize,
    /// Moved by [`Admission::watch`] alone.
    limit: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
    /// Told when the last one leaves, once somebody waits for that.
    emptied: Notify,
    ending: AtomicBool,
    /// Since the start.
    refused: AtomicU64,
    /// Nanoseconds that half of the requests take, as far as was observed under load; 0 where nothing was.
    service: AtomicU64,
    overloaded: AtomicBool,
    draining: AtomicBool,
}

/// How the door stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) in_flight: usize,
    /// How many may be at once; none where there is no limit.
    pub(crate) limit: Option<usize>,
    pub(crate) waiting: usize,
    /// Since the start.
    pub(crate) refused: u64,
}

/// A request that was let in; its room is free again once this is dropped, and whatever stays.
pub(crate) struct Admitted<'a> {
    door: &'a Arc<Admission>,
    /// When it came, while its time is of interest.
    timed: Option<Instant>,
    stays: OnceLock<Arc<Stays>>,
}

/// Work of a request that holds its room although nobody may wait for it any more.
pub(crate) struct Stays {
    door: Arc<Admission>,
    timed: Option<Instant>,
}

impl Admission {
    pub(crate) fn new(settings: Settings) -> Self {
        let most = match settings.enabled {
            true => settings.most,
            false => usize::MAX,
        };
        Self {
            settings,
            in_flight: AtomicUsize::new(0),
            limit: AtomicUsize::new(most),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            emptied: Notify::new(),
            ending: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            service: AtomicU64::new(0),
            overloaded: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Lets a request in, at once where there is room. Where there is too little, `time` says how
    /// long the request has, and what could not be answered in time is not begun.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        time: impl FnOnce() -> Duration,
    ) -> Result<Admitted<'_>, Overloaded> {
        if self.limit.load(SeqCst) >= self.settings.most
            && let Some(admitted) = self.enter()
        {
            return Ok(admitted);
        }
        let admitted = Box::pin(self.admit_under_load(time())).await;
        if admitted.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        admitted
    }

    async fn admit_under_load(
        self: &Arc<Self>,
        time: Duration,
    ) -> Result<Admitted<'_>, Overloaded> {
        let began = Instant::now();
        let service = Duration::from_nanos(self.service.load(Relaxed));
        let patience = time.checked_sub(service).ok_or(Overloaded)?;
        let waiting = Waiting::begin(self);
        let admitted = match self.enter() {
            Some(admitted) => Some(admitted),
            None if waiting.place >= self.limit.load(Relaxed) => None,
            None => {
                let until = began + patience.min(self.settings.wait);
                tokio::time::timeout_at(until, self.room()).await.ok()
            }
        };
        let mut admitted = admitted.ok_or(Overloaded)?;
        admitted.timed = Some(began);
        Ok(admitted)
    }

    fn enter(self: &Arc<Self>) -> Option<Admitted<'_>> {
        let limit = self.limit.load(SeqCst);
        let one_more = |running| (running < limit).then_some(running + 1);
        let entered = self.in_flight.fetch_update(SeqCst, SeqCst, one_more);
        entered.ok().map(|_| Admitted {
            door: self,
            timed: None,
            stays: OnceLock::new(),
        })
    }

    /// Room, once somebody has left it. Who comes just then may be quicker.
    async fn room(self: &Arc<Self>) -> Admitted<'_> {
        loop {
            let freed = self.freed.notified();
            if let Some(admitted) = self.enter() {
                return admitted;
            }
            freed.await;
        }
    }

    fn leave(&self, timed: Option<Instant>) {
        let before = self.in_flight.fetch_sub(1, SeqCst);
        if let Some(began) = timed {
            self.observe(began.elapsed());
        }
        if self.waiting.load(SeqCst) > 0 {
            self.freed.notify_one();
        }
        if before == 1 && self.ending.load(SeqCst) {
            self.emptied.notify_waiters();
        }
    }

    /// Returns when the last request has left, and all work that stays.
    pub(crate) async fn emptied(&self) {
        self.ending.store(true, SeqCst);
        loop {
            let mut emptied = pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.in_flight.load(SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Follows the gateway's delay. Never ends.
    pub(crate) async fn watch(&self) {
        if !self.settings.enabled {
            return std::future::pending().await;
        }
        let mut controller = Controller::new(&self.settings, Instant::now());
        let mut shedding = Shedding::default();
        loop {
            let busy = self.in_flight.load(Relaxed) > 0;
            let due = Instant::now() + if busy { LOOK } else { IDLE };
            tokio::time::sleep_until(due).await;
            // What is ready to run stands before this now: its time is what everybody waits for a turn.
            tokio::task::yield_now().await;
            let now = Instant::now();
            let seen = Seen {
                delay: now.saturating_duration_since(due),
                service: Duration::from_nanos(self.service.load(Relaxed)),
                running: self.in_flight.load(Relaxed),
            };
            self.move_to(controller.look(now, seen));
            let since = shedding.look(now, self.refused.load(Relaxed));
            let long = since.is_some_and(|since| since >= self.settings.unready_after);
            self.overloaded.store(long, Relaxed);
        }
    }

    fn move_to(&self, limit: usize) {
        let before = self.limit.swap(limit, SeqCst);
        for _ in before..limit.min(before + self.waiting.load(SeqCst)) {
            self.freed.notify_one();
        }
    }

    /// Says to everybody who asks that requests had better go elsewhere. They are answered all the same.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.draining.load(Relaxed) {
            return Readiness::Draining;
        }
        match self.overloaded.load(Relaxed) {
            true => Readiness::Overloaded,
            false => Readiness::Ready,
        }
    }

    /// For whoever looks.
    pub(crate) fn standing(&self) -> Standing {
        let limit = self.limit.load(Relaxed);
        Standing {
            in_flight: self.in_flight.load(Relaxed),
            limit: self.settings.enabled.then_some(limit),
            waiting: self.waiting.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    /// Moves towards the middle of what is observed: half of the requests take longer.
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let known = self.service.load(Relaxed);
        let next = match known {
            0 => took,
            known if took > known => known + known / 32 + 1,
            known => known - known / 32,
        };
        // Two at once may count as one.
        self.service.store(next, Relaxed);
    }
}

impl Admitted<'_> {
    /// The room, for work that goes on when the request is given up. It is one for all of them, and the request's own.
    pub(crate) fn stay(&self) -> Arc<Stays> {
        let stays = self.stays.get_or_init(|| {
            Arc::new(Stays {
                door: self.door.clone(),
                timed: self.timed,
            })
        });
        stays.clone()
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.stays.get().is_none() {
            self.door.leave(self.timed);
        }
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        self.door.leave(self.timed);
    }
}

/// One that waits, or is about to.
struct Waiting<'a> {
    door: &'a Admission,
    /// How many wait already.
    place: usize,
}

impl<'a> Waiting<'a> {
    fn begin(door: &'a Admission) -> Self {
        let place = door.waiting.fetch_add(1, SeqCst);
        Self { door, place }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.door.waiting.fetch_sub(1, SeqCst);
    }
}

/// For how long requests have been refused.
#[derive(Default)]
struct Shedding {
    refused: u64,
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Shedding {
    fn look(&mut self, now: Instant, refused: u64) -> Option<Duration> {
        if refused > self.refused {
            self.refused = refused;
            self.since.get_or_insert(now);
            self.last = Some(now);
        }
        if self.last.is_none_or(|last| now - last >= CALM) {
            self.since = None;
        }
        self.since.map(|since| now - since)
    }
}

#[cfg(test)]
mod tests;
