//! The time of day, as messages know it.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

/// The time of day, in the time that paused tests see.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at: Instant,
    day: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            day: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        millis(self.day + self.at.elapsed())
    }

    /// When it is so late.
    pub fn when(&self, time: u64) -> Instant {
        let since = Duration::from_millis(time).saturating_sub(self.day);
        self.at + since
    }
}

/// Whole milliseconds of a duration.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_goes_on_with_the_time_that_tests_see() {
        let clock = Clock::default();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), before + 90_000);
        let late = clock.when(before + 100_000) - Instant::now();
        assert!(late > Duration::from_secs(9) && late <= Duration::from_millis(10_001));
    }
}
