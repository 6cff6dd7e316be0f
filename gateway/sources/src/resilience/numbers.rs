//! What is counted of a source, for whoever looks.
//!
//! Owns counters that only grow, and the form in which they are read. Counting
//! is an atomic addition; nothing is computed before somebody asks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::breaker::BreakerState;
use super::verdict::Outcome;

/// Upper bounds of the histogram of durations, in seconds; what is longer is in the last place.
pub const DURATIONS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Upper bounds of the histogram of batch sizes, in keys.
pub const BATCHES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// One source, as it is now and has been since the process began.
#[derive(Debug, Clone)]
pub struct SourceNumbers {
    /// The source's name.
    pub source: Arc<str>,
    /// Attempts by how they ended.
    pub attempts: Vec<(Outcome, u64)>,
    /// Attempts that reached the service, by duration.
    pub durations: Distribution,
    /// Keys of batched calls.
    pub batches: Distribution,
    /// Attempts after the first.
    pub retries: u64,
    /// Retries that the budget refused.
    pub retries_denied: u64,
    /// Repetitions that the budget would grant now.
    pub budget_left: f64,
    /// Second attempts beside slow ones.
    pub hedges: u64,
    /// Of these, those that were faster.
    pub hedges_won: u64,
    /// Reads that were answered by an identical one in flight.
    pub merged: u64,
    /// Reads that were answered by a kept reply.
    pub kept: u64,
    /// Reads that were answered by the last good reply, since the source failed.
    pub stale: u64,
    /// Calls in flight now.
    pub in_flight: usize,
    /// Calls that wait for a seat now.
    pub queued: usize,
    /// Calls for which there was no room in time.
    pub bulkhead_refused: u64,
    /// How the breaker stands.
    pub breaker: BreakerState,
    /// How often it has opened.
    pub breaker_openings: u64,
    /// Attempts that met a fault on purpose.
    pub faults: u64,
    /// Addresses that are known; 0 before the first call.
    pub addresses: usize,
    /// Of these, those that are passed over for now.
    pub ejected: usize,
}

/// How values are distributed.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// Upper bounds.
    pub bounds: &'static [f64],
    /// How many are in each place, not added up; the last has no bound.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: f64,
}

/// The counters of one source.
#[derive(Debug)]
pub(crate) struct Numbers {
    attempts: [AtomicU64; Outcome::ALL.len()],
    durations: Histogram<15>,
    batches: Histogram<10>,
    pub(crate) retries: Counter,
    pub(crate) retries_denied: Counter,
    pub(crate) hedges: Counter,
    pub(crate) hedges_won: Counter,
    pub(crate) merged: Counter,
    pub(crate) kept: Counter,
    pub(crate) stale: Counter,
    pub(crate) bulkhead_refused: Counter,
    pub(crate) faults: Counter,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            attempts: Default::default(),
            durations: Histogram::new(&DURATIONS),
            batches: Histogram::new(&BATCHES),
            retries: Counter::default(),
            retries_denied: Counter::default(),
            hedges: Counter::default(),
            hedges_won: Counter::default(),
            merged: Counter::default(),
            kept: Counter::default(),
            stale: Counter::default(),
            bulkhead_refused: Counter::default(),
            faults: Counter::default(),
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Numbers {
    /// An attempt has ended; how long it took, where something was sent.
    pub(crate) fn attempt(&self, outcome: Outcome, took: Option<Duration>) {
        self.attempts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took {
            self.durations
                .add(took.as_secs_f64(), took.as_micros() as u64);
        }
    }

    /// A batch of so many keys is asked for.
    pub(crate) fn batch(&self, keys: usize) {
        self.batches.add(keys as f64, keys as u64);
    }

    pub(crate) fn attempts(&self) -> Vec<(Outcome, u64)> {
        let count = |outcome: Outcome| self.attempts[outcome as usize].load(Ordering::Relaxed);
        Outcome::ALL.map(|it| (it, count(it))).into()
    }

    /// In seconds.
    pub(crate) fn durations(&self) -> Distribution {
        self.durations.read(1e-6)
    }

    /// In keys.
    pub(crate) fn batches(&self) -> Distribution {
        self.batches.read(1.0)
    }
}

#[derive(Debug)]
struct Histogram<const N: usize> {
    bounds: &'static [f64],
    counts: [AtomicU64; N],
    /// In units so small that whole numbers do.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// One place more than there are bounds.
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            sum: AtomicU64::new(0),
        }
    }

    fn add(&self, value: f64, units: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at.min(N - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(units, Ordering::Relaxed);
    }

    fn read(&self, unit: f64) -> Distribution {
        let counts = self.counts.iter();
        Distribution {
            bounds: self.bounds,
            counts: counts.map(|it| it.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 * unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_place_that_holds_it() {
        let numbers = Numbers::default();
        for micros in [500, 1_000, 1_001, 60_000_000] {
            numbers.attempt(Outcome::Ok, Some(Duration::from_micros(micros)));
        }
        numbers.attempt(Outcome::CircuitOpen, None);
        let durations = numbers.durations();
        assert_eq!(durations.counts.len(), DURATIONS.len() + 1);
        assert_eq!(&durations.counts[..3], [2, 1, 0]);
        assert_eq!(durations.counts.last(), Some(&1));
        assert!((durations.sum - 60.002_501).abs() < 1e-9);
        assert_eq!(numbers.attempts()[0], (Outcome::Ok, 4));
        assert_eq!(numbers.attempts()[8], (Outcome::CircuitOpen, 1));
    }

    #[test]
    fn batches_have_a_place_more_than_bounds() {
        let numbers = Numbers::default();
        for keys in [1, 2, 3, 501] {
            numbers.batch(keys);
        }
        let batches = numbers.batches();
        assert_eq!(batches.counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((batches.sum - 507.0).abs() < f64::EPSILON);
    }
}
