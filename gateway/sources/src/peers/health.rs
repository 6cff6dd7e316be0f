//! What is known of one address.
//!
//! Owns calls in flight and failures in a row. Shared by all transports to the
//! address, the old and the new.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// How long an address is passed over the first time; n times as long the nth time in a row.
pub(super) const PASS_OVER: Duration = Duration::from_secs(5);
/// Never longer.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Health {
    origin: Instant,
    in_flight: AtomicUsize,
    in_a_row: AtomicU32,
    /// Times that it was passed over in a row.
    times: AtomicU32,
    /// In milliseconds since the origin; 0 while it is not passed over.
    until: AtomicU64,
    /// Advanced each time that it is passed over: how a call ends that began before says nothing of it afterwards.
    era: AtomicU32,
}

impl Health {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            in_flight: AtomicUsize::new(0),
            in_a_row: AtomicU32::new(0),
            times: AtomicU32::new(0),
            until: AtomicU64::new(0),
            era: AtomicU32::new(0),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A call begins, in this era.
    pub(super) fn begins(&self) -> u32 {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.era.load(Ordering::Relaxed)
    }

    pub(super) fn ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_passed_over(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && self.millis(now) < until
    }

    /// It answered a call that began in this era.
    pub(super) fn well(&self, era: u32) {
        if self.era.load(Ordering::Relaxed) != era {
            return;
        }
        // Most calls find nothing to change, and share the line they read.
        if self.in_a_row.load(Ordering::Relaxed) != 0 || self.until.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
            self.times.store(0, Ordering::Relaxed);
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// It failed at a call that began in this era; how often in a row.
    pub(super) fn failed(&self, era: u32) -> u32 {
        if self.era.load(Ordering::Relaxed) != era {
            return 0;
        }
        self.in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// Nobody is sent to it for a while. One more failure afterwards is enough for the next time.
    pub(super) fn pass_over(&self, now: Instant) {
        if self.is_passed_over(now) {
            return;
        }
        self.era.fetch_add(1, Ordering::Relaxed);
        let times = self.times.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let until = now + PASS_OVER.saturating_mul(times).min(LONGEST);
        self.until.store(self.millis(until), Ordering::Relaxed);
    }

    fn millis(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.origin);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}
