//! How many calls a second a source gets from this gateway, whoever asks.
//!
//! Owns one bucket for each source and who waits for it. A call passes after
//! identical reads were merged and batches gathered, so one token is one call
//! on the wire. Nothing is sent for a call that does not pass.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::InMemoryState;
use governor::state::NotKeyed;
use plan::code::Code;
use plan::source::SourceError;
use tokio::sync::Mutex;

use crate::calls;

/// What an operator or a subgraph file grants a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) per_second: NonZeroU32,
    /// Calls at once.
    pub(crate) burst: NonZeroU32,
    /// How long a call may wait for its turn.
    pub(crate) wait: Duration,
}

/// The way to a source; open where it has no limit. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate(Option<Arc<Limit>>);

struct Limit {
    limiter: Limiter,
    wait: Duration,
    service: Arc<str>,
    /// Who waits does so one after the other: one timer for all of them.
    turns: Mutex<()>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Now, NoOpMiddleware<Instant>>;

impl Gate {
    pub(crate) fn new(service: &Arc<str>, pace: Option<Pace>) -> Self {
        Self(pace.map(|pace| {
            let quota = Quota::per_second(pace.per_second).allow_burst(pace.burst);
            Arc::new(Limit {
                limiter: RateLimiter::direct_with_clock(quota, Now),
                wait: pace.wait,
                service: service.clone(),
                turns: Mutex::default(),
            })
        }))
    }

    /// Lets a call pass, at the latest by its deadline.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<(), SourceError> {
        match &self.0 {
            None => Ok(()),
            Some(limit) => limit.pass(deadline).await,
        }
    }
}

impl Limit {
    async fn pass(&self, deadline: Instant) -> Result<(), SourceError> {
        let Err(wait) = self.take() else {
            return Ok(());
        };
        let now = calls::now();
        let until = deadline.min(now + self.wait);
        if now + wait > until {
            return Err(self.refusal(wait));
        }
        let passed = tokio::time::timeout_at(until.into(), self.in_turn()).await;
        passed.map_err(|_| self.refusal(wait))
    }

    async fn in_turn(&self) {
        let _turn = self.turns.lock().await;
        while let Err(wait) = self.take() {
            tokio::time::sleep(wait).await;
        }
    }

    /// One token, or how long until there is one.
    fn take(&self) -> Result<(), Duration> {
        let taken = self.limiter.check();
        taken.map_err(|not_until| not_until.wait_time_from(calls::now()))
    }

    fn refusal(&self, wait: Duration) -> SourceError {
        let message = "The gateway makes no more calls to the service for now.";
        SourceError {
            // Whole milliseconds are told, and never too few.
            retry_after: Some(wait + Duration::from_millis(1)),
            ..SourceError::new(Code::RateLimited, &self.service, message)
        }
    }
}

/// The present, in the time that paused tests see.
#[derive(Debug, Clone)]
struct Now;

impl Clock for Now {
    type Instant = Instant;

    fn now(&self) -> Instant {
        calls::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(per_second: u32, burst: u32, wait: u64) -> Gate {
        let pace = Pace {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
            wait: Duration::from_millis(wait),
        };
        Gate::new(&"users".into(), Some(pace))
    }

    async fn pass(gate: &Gate, time: u64) -> Result<(), SourceError> {
        gate.pass(calls::now() + Duration::from_millis(time)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_above_the_limit_is_told_when_to_come_back() {
        let gate = gate(10, 2, 0);
        assert!(pass(&gate, 1_000).await.is_ok());
        assert!(pass(&gate, 1_000).await.is_ok());
        let refused = pass(&gate, 1_000).await.unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(101)));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(pass(&gate, 1_000).await.is_ok());
        assert!(pass(&gate, 1_000).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_as_long_as_it_may() {
        let gate = gate(10, 1, 250);
        let start = calls::now();
        let asked = (0..5).map(|_| pass(&gate, 1_000));
        let answers = futures_util::future::join_all(asked).await;
        let passed = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(passed, 3, "at 0, 100 and 200 ms");
        assert_eq!(calls::now() - start, Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_what_comes_after_the_deadline() {
        let gate = gate(10, 1, 10_000);
        assert!(pass(&gate, 50).await.is_ok());
        let start = calls::now();
        assert!(pass(&gate, 50).await.is_err());
        assert_eq!(calls::now(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn exactly_as_many_as_the_burst_pass_at_once() {
        let gate = gate(1, 7, 0);
        let asked = (0..100).map(|_| pass(&gate, 1_000));
        let answers = futures_util::future::join_all(asked).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 7);
    }

    #[tokio::test]
    async fn a_source_without_a_limit_is_open() {
        let gate = Gate::new(&"users".into(), None);
        for _ in 0..1_000 {
            assert!(pass(&gate, 0).await.is_ok());
        }
    }
}
