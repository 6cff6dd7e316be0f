//! How fast attempts of one queue begin.
//!
//! Owns an exact rate: starts are spread evenly over each second. What was not
//! used is not saved, but for what timers are late by.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// What may be caught up on: timers are no more exact.
const LATE: Duration = Duration::from_millis(10);

/// Says when the next attempt may begin.
#[derive(Debug)]
pub(super) struct Pacer {
    next: Instant,
}

impl Pacer {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
        }
    }

    /// Whether an attempt may begin now, or when one may.
    pub(super) fn free(&self, rate: Option<NonZeroU32>) -> Result<(), Instant> {
        match rate {
            Some(_) if self.next > Instant::now() => Err(self.next),
            Some(_) | None => Ok(()),
        }
    }

    /// An attempt begins.
    pub(super) fn begins(&mut self, rate: Option<NonZeroU32>) {
        let Some(rate) = rate else {
            return;
        };
        let now = Instant::now();
        let credit = now.checked_sub(LATE).unwrap_or(now);
        self.next = self.next.max(credit) + Duration::from_secs(1) / rate.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts within so many seconds, by whoever begins as soon as they may.
    async fn starts(rate: u32, seconds: u64) -> u32 {
        let mut pacer = Pacer::new();
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut started = 0;
        while Instant::now() < end {
            match pacer.free(NonZeroU32::new(rate)) {
                Ok(()) => {
                    pacer.begins(NonZeroU32::new(rate));
                    started += 1;
                }
                Err(next) => tokio::time::sleep_until(next).await,
            }
        }
        started
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_exact_whether_slow_or_fast() {
        assert_eq!(starts(2, 10).await, 20);
        assert_eq!(starts(100, 10).await, 1_000);
        let fast = starts(10_000, 10).await;
        assert!((99_900..=100_100).contains(&fast), "{fast}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_is_not_saved() {
        let mut pacer = Pacer::new();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let rate = NonZeroU32::new(10);
        assert!(pacer.free(rate).is_ok());
        pacer.begins(rate);
        assert!(pacer.free(rate).is_err());
        assert!(pacer.free(None).is_ok());
    }
}
