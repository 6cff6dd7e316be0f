//! What keeps a failing service from taking others with it.
//!
//! Owns one policy for all kinds of sources: the breaker, the budget of
//! repetitions, the seats and the numbers of one source, and what an attempt
//! says about it. Knows nothing of protocols or of what is sent; the order of
//! things is told in [`crate::exchange`].

mod backoff;
mod breaker;
mod budget;
mod bulkhead;
mod faults;
mod latency;
mod numbers;
mod settings;
mod told;
mod verdict;
mod window;

use std::sync::Arc;
use std::time::Instant;

use crate::calls;

pub(crate) use backoff::pause;
pub(crate) use breaker::Breaker;
pub use breaker::BreakerState;
pub(crate) use breaker::Passage;
pub(crate) use budget::Budget;
pub(crate) use bulkhead::Bulkhead;
pub(crate) use bulkhead::Seat;
pub(crate) use bulkhead::Seatless;
pub(crate) use faults::Struck;
pub(crate) use faults::strike;
pub(crate) use latency::Latency;
pub use numbers::BATCHES;
pub use numbers::DURATIONS;
pub use numbers::Distribution;
pub(crate) use numbers::Numbers;
pub use numbers::SourceNumbers;
pub(crate) use settings::Resilience;
pub use settings::ResilienceRules;
pub(crate) use settings::RetrySettings;
pub use told::Said;
pub use told::Told;
pub use told::explain;
pub(crate) use verdict::Again;
pub(crate) use verdict::Health;
pub use verdict::Outcome;
pub(crate) use verdict::Verdict;

/// What is known of one source's health, shared by all requests.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) budget: Budget,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) numbers: Numbers,
}

impl Guard {
    /// Of a source of which nothing is known yet.
    pub(crate) fn new(service: &Arc<str>, policy: &Resilience) -> Self {
        let now = calls::now();
        Self {
            breaker: Breaker::new(service, policy.breaker, now),
            budget: Budget::new(policy.budget, now),
            bulkhead: Bulkhead::new(policy.bulkhead),
            numbers: Numbers::default(),
        }
    }

    /// An attempt for which something was sent has ended.
    pub(crate) fn ended(&self, passage: Passage, verdict: &Verdict, now: Instant) {
        let took = passage.took(now);
        passage.ended(verdict.health, now);
        self.numbers.attempt(verdict.outcome, Some(took));
    }
}
