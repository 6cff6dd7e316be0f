//! A line in the log now and then, however often something happens.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

/// Lines are at least this many milliseconds apart.
const APART: u64 = 1_000;

/// Something that happens often.
pub(super) struct Notice {
    start: Instant,
    /// When the next line may be written, in milliseconds since `start`.
    next: AtomicU64,
    untold: AtomicU64,
}

impl Notice {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            next: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// How often it has happened since the last line, where it is time for one.
    pub(super) fn happened(&self) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = now.saturating_add(APART);
        let order = Ordering::Relaxed;
        let due = now >= next
            && self
                .next
                .compare_exchange(next, after, order, order)
                .is_ok();
        due.then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_a_second_counts_what_happened_in_between() {
        let notice = Notice::new();
        assert_eq!(notice.happened(), Some(1));
        assert_eq!(notice.happened(), None);
        assert_eq!(notice.happened(), None);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(notice.happened(), Some(3));
    }
}
