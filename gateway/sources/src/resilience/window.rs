//! What happened in the last while, counted exactly.
//!
//! Owns a ring of parts, each with its own counts: what is older than the
//! window is gone whole, and no burst hides in an average.

use std::time::Duration;
use std::time::Instant;

const PARTS: usize = 10;

/// Calls of some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
    pub(super) retries: u32,
}

/// Counts of the last while.
#[derive(Debug)]
pub(super) struct Window {
    part: Duration,
    origin: Instant,
    /// The newest part, counted from the origin.
    newest: u64,
    parts: [Counts; PARTS],
    sum: Counts,
}

impl Window {
    /// Empty, and as long as this.
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        let part = (length / PARTS as u32).max(Duration::from_millis(1));
        Self {
            part,
            origin: now,
            newest: 0,
            parts: [Counts::default(); PARTS],
            sum: Counts::default(),
        }
    }

    /// Adds what happened now.
    pub(super) fn add(&mut self, now: Instant, more: Counts) {
        self.advance(now);
        let at = (self.newest % PARTS as u64) as usize;
        self.parts[at].add(more);
        self.sum.add(more);
    }

    /// Everything that the window still holds.
    pub(super) fn sum(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.sum
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.parts = [Counts::default(); PARTS];
        self.sum = Counts::default();
    }

    /// The parts that the present has left behind are empty again.
    fn advance(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.origin);
        let current = (since.as_nanos() / self.part.as_nanos()) as u64;
        let passed = current.saturating_sub(self.newest);
        for step in 1..=passed.min(PARTS as u64) {
            let at = ((self.newest + step) % PARTS as u64) as usize;
            self.sum.take(std::mem::take(&mut self.parts[at]));
        }
        self.newest = self.newest.max(current);
    }
}

impl Counts {
    fn add(&mut self, more: Counts) {
        self.calls += more.calls;
        self.failures += more.failures;
        self.slow += more.slow;
        self.retries += more.retries;
    }

    fn take(&mut self, gone: Counts) {
        self.calls -= gone.calls;
        self.failures -= gone.failures;
        self.slow -= gone.slow;
        self.retries -= gone.retries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::now;

    const CALL: Counts = Counts {
        calls: 1,
        failures: 0,
        slow: 0,
        retries: 0,
    };

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let start = now();
        let mut window = Window::new(Duration::from_secs(10), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        window.add(at(0), CALL);
        window.add(at(5), CALL);
        assert_eq!(window.sum(at(9)).calls, 2);
        assert_eq!(window.sum(at(10)).calls, 1);
        assert_eq!(window.sum(at(14)).calls, 1);
        assert_eq!(window.sum(at(15)).calls, 0);
        window.add(at(1_000), CALL);
        assert_eq!(window.sum(at(1_000)).calls, 1);
        assert_eq!(window.sum(at(5_000)), Counts::default());
    }

    #[test]
    fn the_sum_is_that_of_its_parts_whatever_the_times() {
        let start = now();
        let mut window = Window::new(Duration::from_millis(100), start);
        let mut time = start;
        for step in 0..1_000_u64 {
            time += Duration::from_micros(step * 7_919 % 23_000);
            window.add(time, CALL);
            let parts: u32 = window.parts.iter().map(|part| part.calls).sum();
            assert_eq!(window.sum.calls, parts);
        }
    }
}
