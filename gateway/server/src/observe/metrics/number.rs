//! What is counted with: numbers that are added to without a lock.
//!
//! Owns how a number is kept. Every addition is one relaxed atomic
//! instruction: nothing is ordered by these numbers, and a scrape may see one
//! before the other.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// What it has counted; it begins anew.
    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// How many there were of each of a fixed list of kinds.
#[derive(Debug)]
pub(crate) struct Tally(Box<[Counter]>);

impl Tally {
    pub(super) fn of(kinds: usize) -> Self {
        Self((0..kinds).map(|_| Counter::default()).collect())
    }

    /// By the kind's place in its list.
    pub(crate) fn count(&self, place: usize) {
        self.add(place, 1);
    }

    pub(crate) fn add(&self, place: usize, more: u64) {
        if let Some(counter) = self.0.get(place) {
            counter.add(more);
        }
    }

    /// In the order of the list.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::get)
    }
}

/// How much of something there was each time.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds, inclusive, in ascending order.
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all of them.
    buckets: Box<[Counter]>,
    sum: Counter,
}

/// A histogram as it stood at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) bounds: &'static [u64],
    /// Of each bucket alone.
    pub(super) buckets: Vec<u64>,
    pub(super) sum: u64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Counter::default(),
        }
    }

    pub(crate) fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.count();
        }
        self.sum.add(value);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            bounds: self.bounds,
            buckets: self.buckets.iter().map(Counter::get).collect(),
            sum: self.sum.get(),
        }
    }
}

impl Counts {
    /// How often something was observed.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_under_the_first_bound_that_is_not_below_it() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(value);
        }
        let counts = histogram.counts();
        assert_eq!(counts.buckets, [2, 2, 2]);
        assert_eq!((counts.count(), counts.sum), (6, 1_062));
    }
}
