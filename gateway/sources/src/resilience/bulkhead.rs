//! How many calls a source has in flight from this gateway, and how many wait.
//!
//! Owns the seats of one source and a bounded queue for them: a source that
//! hangs holds its own seats, and nobody else's time or memory.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::TryAcquireError;

/// How much there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BulkheadSettings {
    /// Calls in flight.
    pub(crate) concurrency: usize,
    /// Calls that wait.
    pub(crate) queue: usize,
}

#[derive(Debug)]
pub(crate) struct Bulkhead {
    settings: BulkheadSettings,
    seats: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Held while a call is in flight.
#[derive(Debug)]
pub(crate) struct Seat {
    _seat: OwnedSemaphorePermit,
}

/// Why a call has no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seatless {
    /// As many wait as may.
    Full,
    /// It waited until its deadline.
    Late,
}

impl Bulkhead {
    pub(crate) fn new(settings: BulkheadSettings) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(settings.concurrency)),
            waiting: AtomicUsize::new(0),
            settings,
        }
    }

    /// A seat, at the latest by the deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Seat, Seatless> {
        match self.seats.clone().try_acquire_owned() {
            Ok(seat) => Ok(Seat { _seat: seat }),
            Err(TryAcquireError::NoPermits) => self.wait(deadline).await,
            Err(TryAcquireError::Closed) => Err(Seatless::Full),
        }
    }

    /// First come, first served.
    async fn wait(&self, deadline: Instant) -> Result<Seat, Seatless> {
        let place = Place::take(self).ok_or(Seatless::Full)?;
        let seat = self.seats.clone().acquire_owned();
        let seat = tokio::time::timeout_at(deadline.into(), seat).await;
        drop(place);
        match seat {
            Ok(Ok(seat)) => Ok(Seat { _seat: seat }),
            Ok(Err(_)) => Err(Seatless::Full),
            Err(_) => Err(Seatless::Late),
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.settings.concurrency - self.seats.available_permits()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A place in the queue, given back however waiting ends.
struct Place<'b>(&'b Bulkhead);

impl<'b> Place<'b> {
    fn take(bulkhead: &'b Bulkhead) -> Option<Self> {
        let before = bulkhead.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(bulkhead);
        (before < bulkhead.settings.queue).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::calls::now;

    fn bulkhead(concurrency: usize, queue: usize) -> Bulkhead {
        Bulkhead::new(BulkheadSettings { concurrency, queue })
    }

    fn soon() -> Instant {
        now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_there_are_seats_pass_and_the_queue_is_bounded() {
        let bulkhead = bulkhead(2, 1);
        let first = bulkhead.enter(soon()).await.unwrap();
        let _second = bulkhead.enter(soon()).await.unwrap();
        let mut third = Box::pin(bulkhead.enter(soon()));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (2, 1));
        assert_eq!(bulkhead.enter(soon()).await.unwrap_err(), Seatless::Full);
        drop(first);
        assert!(third.await.is_ok());
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_until_the_deadline() {
        let bulkhead = bulkhead(1, 10);
        let _seat = bulkhead.enter(soon()).await.unwrap();
        let start = now();
        assert_eq!(bulkhead.enter(soon()).await.unwrap_err(), Seatless::Late);
        assert_eq!(now() - start, Duration::from_secs(1));
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_leaves_its_place_to_others() {
        let bulkhead = bulkhead(1, 1);
        let _seat = bulkhead.enter(soon()).await.unwrap();
        let mut gone = Box::pin(bulkhead.enter(soon()));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        assert_eq!(bulkhead.waiting(), 0);
    }
}
