//! After a failure, silence: a dead store must not slow each request.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

/// How long nobody asks after a failure; then one request tries.
const SILENCE: Duration = Duration::from_secs(1);

/// Closed while it is 0, else open until then, in milliseconds since `start`.
pub(super) struct Breaker {
    start: Instant,
    open_until: AtomicU64,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            open_until: AtomicU64::new(0),
        }
    }

    /// Whether to try. After the silence one caller is let through, and the others after it answered.
    pub(super) fn lets_through(&self) -> bool {
        let open_until = self.open_until.load(Ordering::Acquire);
        if open_until == 0 {
            return true;
        }
        if self.now() < open_until {
            return false;
        }
        let next = self.after_silence();
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let claimed = self
            .open_until
            .compare_exchange(open_until, next, order.0, order.1);
        claimed.is_ok()
    }

    pub(super) fn succeeded(&self) {
        // Only written where it changes something: every request comes by here.
        if self.open_until.load(Ordering::Relaxed) != 0 {
            self.open_until.store(0, Ordering::Release);
        }
    }

    /// Whether this is the first failure in a row.
    pub(super) fn failed(&self) -> bool {
        let next = self.after_silence();
        self.open_until.swap(next, Ordering::AcqRel) == 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn after_silence(&self) -> u64 {
        self.now().saturating_add(SILENCE.as_millis() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_nobody_asks_for_a_second_and_then_one_does() {
        let breaker = Breaker::new();
        assert!(breaker.lets_through());
        assert!(breaker.failed());
        assert!(!breaker.failed(), "it is open already");
        assert!(!breaker.lets_through());
        tokio::time::advance(SILENCE).await;
        assert!(breaker.lets_through());
        assert!(!breaker.lets_through(), "one probe at a time");
        breaker.succeeded();
        assert!(breaker.lets_through());
    }
}
