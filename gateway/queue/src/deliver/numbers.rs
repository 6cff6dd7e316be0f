//! What is counted of each queue, for whoever asks.
//!
//! Owns the numbers; each is one relaxed atomic. Knows no format of metrics.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::handler::Outcome;
use crate::store::Reason;

/// Upper bounds of the histogram of attempts, in milliseconds.
pub const BOUNDS: [u64; 12] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];
/// What can come of an attempt; `cut` is one that a shutdown ended.
pub const OUTCOMES: [&str; 6] = ["delivered", "again", "refused", "denied", "not_sent", "cut"];
/// Why messages are given up.
pub const REASONS: [Reason; 5] = [
    Reason::Refused,
    Reason::Exhausted,
    Reason::Expired,
    Reason::Damaged,
    Reason::Broker,
];

/// Of one queue, since the process started.
#[derive(Debug, Default)]
pub struct Numbers {
    outcomes: [Count; OUTCOMES.len()],
    buckets: [Count; BOUNDS.len() + 1],
    millis: Count,
    dead: [Count; REASONS.len()],
    /// Attempts under way.
    pub in_flight: Count,
    /// Attempts that were not their message's first.
    pub retries: Count,
    /// Claims that were lost while a delivery ran: it may be made twice.
    pub lost: Count,
    /// Times that a target did not accept the gateway's credentials, and its deliveries were paused.
    pub denials: Count,
    /// Times that a target was found to be down, and left in peace.
    pub openings: Count,
    /// Messages put back untried.
    pub returned: Count,
}

/// A number.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// As it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

impl Numbers {
    /// Attempts that ended, in the order of [`OUTCOMES`].
    pub fn outcomes(&self) -> [u64; OUTCOMES.len()] {
        self.outcomes.each_ref().map(Count::get)
    }

    /// Attempts by how long they took: one number for each of [`BOUNDS`], not those below it, and one for what is above all.
    pub fn durations(&self) -> [u64; BOUNDS.len() + 1] {
        self.buckets.each_ref().map(Count::get)
    }

    /// All attempts together, in milliseconds.
    pub fn millis(&self) -> u64 {
        self.millis.get()
    }

    /// Messages that were given up here, in the order of [`REASONS`].
    pub fn dead(&self) -> [u64; REASONS.len()] {
        self.dead.each_ref().map(Count::get)
    }

    /// An attempt has ended, unless it was cut off.
    pub(super) fn ended(&self, outcome: Option<&Outcome>, took: Duration) {
        let place = match outcome {
            Some(Outcome::Delivered) => 0,
            Some(Outcome::Again { .. }) => 1,
            Some(Outcome::Refused(_)) => 2,
            Some(Outcome::Denied(_)) => 3,
            Some(Outcome::NotSent { .. }) => 4,
            None => 5,
        };
        self.outcomes[place].up();
        let took = crate::clock::millis(took);
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].up();
        self.millis.add(took);
    }

    pub(super) fn died(&self, reason: Reason) {
        let place = REASONS.iter().position(|it| *it == reason);
        if let Some(count) = place.and_then(|place| self.dead.get(place)) {
            count.up();
        }
    }
}
