//! How long somebody waits for some work.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// The deadline of work: that of its only waiter, or the longest of all who wait.
#[derive(Debug, Clone)]
pub(crate) enum Until {
    /// Of one waiter.
    At(Instant),
    /// Of several.
    Longest(Longest),
}

/// The longest deadline of all who joined.
#[derive(Debug, Clone)]
pub(crate) struct Longest {
    first: Instant,
    /// Nanoseconds that others wait longer than the first.
    longer: Arc<AtomicU64>,
}

impl Longest {
    /// Of the first waiter.
    pub(crate) fn new(first: Instant) -> Self {
        Self {
            first,
            longer: Arc::default(),
        }
    }

    /// One more waits.
    pub(crate) fn extend(&self, deadline: Instant) {
        let longer = deadline.saturating_duration_since(self.first);
        let longer = u64::try_from(longer.as_nanos()).unwrap_or(u64::MAX);
        self.longer.fetch_max(longer, Ordering::Relaxed);
    }

    fn get(&self) -> Instant {
        self.first + Duration::from_nanos(self.longer.load(Ordering::Relaxed))
    }
}

impl Until {
    /// As it is now: others may join later.
    pub(crate) fn get(&self) -> Instant {
        match self {
            Self::At(deadline) => *deadline,
            Self::Longest(longest) => longest.get(),
        }
    }

    /// The result of some work, or none once the time is over: its own, or that of the last waiter.
    pub(crate) async fn bound<F: Future>(&self, own: Instant, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        loop {
            let end = own.min(self.get());
            match tokio::time::timeout_at(end.into(), &mut work).await {
                Ok(done) => return Some(done),
                // Somebody joined who waits longer.
                Err(_) if self.get() > end && end < own => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::now;

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_as_long_as_the_last_waiter_waits() {
        let start = now();
        let seconds = Duration::from_secs;
        let longest = Longest::new(start + seconds(1));
        let until = Until::Longest(longest.clone());
        longest.extend(start + seconds(3));
        longest.extend(start + seconds(2));
        let work = tokio::time::sleep(seconds(10));
        assert!(until.bound(start + seconds(60), work).await.is_none());
        assert_eq!(now() - start, seconds(3));
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_while_it_runs_makes_it_run_longer() {
        let start = now();
        let longest = Longest::new(start + Duration::from_secs(1));
        let until = Until::Longest(longest.clone());
        let work = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            longest.extend(start + Duration::from_secs(5));
            tokio::time::sleep(Duration::from_secs(3)).await;
        };
        let done = until.bound(start + Duration::from_secs(60), work).await;
        assert!(done.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_time_ends_it_whoever_waits() {
        let start = now();
        let until = Until::At(start + Duration::from_secs(60));
        let work = std::future::pending::<()>();
        let end = start + Duration::from_secs(2);
        assert!(until.bound(end, work).await.is_none());
        assert_eq!(now(), end);
    }
}
