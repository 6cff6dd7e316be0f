//! What operators and subgraph files say about failing services, and which of
//! them wins.
//!
//! Owns the defaults. A rule says what it has an opinion about; the nearest
//! opinion counts: the configuration's for this source, the subgraph file's,
//! the configuration's for all sources, the default.

use std::time::Duration;

use compose::model::Breaker;
use compose::model::Limits;
use compose::model::Retry;

use super::breaker::BreakerSettings;
use super::budget::BudgetSettings;
use super::bulkhead::BulkheadSettings;

/// What one place says. `None` leaves it to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResilienceRules {
    /// Attempts of one call, the first included.
    pub attempts: Option<u32>,
    /// The longest pause before the second attempt.
    pub backoff: Option<Duration>,
    /// The longest pause before any.
    pub max_backoff: Option<Duration>,
    /// The time of all attempts together.
    pub total: Option<Duration>,
    /// Statuses and words to try again on, instead of the default ones.
    pub on: Option<Vec<String>>,
    /// Repetitions as a share of the calls of the last ten seconds, 0 to 1.
    pub budget_ratio: Option<f64>,
    /// Repetitions a second on top.
    pub budget_per_second: Option<f64>,
    /// Whether there is a breaker.
    pub breaker: Option<bool>,
    /// The share of failures that opens it, above 0 and at most 1.
    pub failure_rate: Option<f64>,
    /// The share of slow calls that opens it, above 0 and at most 1.
    pub slow_call_rate: Option<f64>,
    /// What is slow; half of an attempt's time otherwise.
    pub slow_call: Option<Duration>,
    /// Calls in the window without which it does not open.
    pub minimum_calls: Option<u32>,
    /// How far back it looks.
    pub window: Option<Duration>,
    /// How long it stays open the first time; n times as long the nth time in a row.
    pub open: Option<Duration>,
    /// How long it stays open at most.
    pub longest_open: Option<Duration>,
    /// Calls that try whether the source is well again.
    pub probes: Option<u32>,
    /// Calls in flight.
    pub concurrency: Option<u32>,
    /// Calls that wait for one of these to end.
    pub queue: Option<u32>,
    /// Failures in a row that eject an address; 0 ejects none.
    pub eject_after: Option<u32>,
}

impl ResilienceRules {
    /// What a subgraph file says of a source.
    pub(crate) fn declared(limits: &Limits, retry: Option<&Retry>) -> Self {
        let breaker = limits.breaker.clone().unwrap_or_default();
        Self {
            concurrency: limits.concurrency,
            ..Self::of_retry(retry).or(Self::of_breaker(&breaker))
        }
    }

    pub(super) fn of_retry(retry: Option<&Retry>) -> Self {
        let Some(retry) = retry else {
            return Self::default();
        };
        Self {
            attempts: retry.attempts,
            backoff: retry.backoff,
            max_backoff: retry.max_backoff,
            total: retry.total,
            on: (!retry.on.is_empty()).then(|| retry.on.clone()),
            ..Self::default()
        }
    }

    fn of_breaker(breaker: &Breaker) -> Self {
        Self {
            failure_rate: breaker.failure_rate,
            slow_call_rate: breaker.slow_call_rate,
            slow_call: breaker.slow_call,
            minimum_calls: breaker.minimum_calls,
            window: breaker.window,
            open: breaker.open,
            probes: breaker.probes,
            ..Self::default()
        }
    }

    /// What is said here, and what the weaker one says of the rest.
    #[must_use]
    pub(crate) fn or(self, weaker: Self) -> Self {
        Self {
            attempts: self.attempts.or(weaker.attempts),
            backoff: self.backoff.or(weaker.backoff),
            max_backoff: self.max_backoff.or(weaker.max_backoff),
            total: self.total.or(weaker.total),
            on: self.on.or(weaker.on),
            budget_ratio: self.budget_ratio.or(weaker.budget_ratio),
            budget_per_second: self.budget_per_second.or(weaker.budget_per_second),
            breaker: self.breaker.or(weaker.breaker),
            failure_rate: self.failure_rate.or(weaker.failure_rate),
            slow_call_rate: self.slow_call_rate.or(weaker.slow_call_rate),
            slow_call: self.slow_call.or(weaker.slow_call),
            minimum_calls: self.minimum_calls.or(weaker.minimum_calls),
            window: self.window.or(weaker.window),
            open: self.open.or(weaker.open),
            longest_open: self.longest_open.or(weaker.longest_open),
            probes: self.probes.or(weaker.probes),
            concurrency: self.concurrency.or(weaker.concurrency),
            queue: self.queue.or(weaker.queue),
            eject_after: self.eject_after.or(weaker.eject_after),
        }
    }
}

/// The policy of one source, every place considered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resilience {
    pub(crate) retry: RetrySettings,
    pub(crate) budget: BudgetSettings,
    pub(crate) breaker: Option<BreakerSettings>,
    pub(crate) bulkhead: BulkheadSettings,
    pub(crate) eject_after: u32,
}

/// How often and how soon a call is tried again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RetrySettings {
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) total: Option<Duration>,
    pub(crate) on: Vec<String>,
}

impl Resilience {
    /// What was said, and the defaults.
    pub(crate) fn of(rules: ResilienceRules) -> Self {
        let concurrency = rules.concurrency.unwrap_or(1_000).max(1) as usize;
        Self {
            budget: BudgetSettings {
                ratio: rules.budget_ratio.unwrap_or(0.1),
                per_second: rules.budget_per_second.unwrap_or(3.0),
            },
            breaker: rules.breaker.unwrap_or(true).then(|| breaker(&rules)),
            bulkhead: BulkheadSettings {
                concurrency,
                queue: rules.queue.map_or(concurrency, |queue| queue as usize),
            },
            eject_after: rules.eject_after.unwrap_or(5),
            retry: RetrySettings {
                attempts: rules.attempts.unwrap_or(3).max(1),
                backoff: rules.backoff.unwrap_or(Duration::from_millis(50)),
                max_backoff: rules.max_backoff.unwrap_or(Duration::from_secs(1)),
                total: rules.total,
                on: rules.on.unwrap_or_default(),
            },
        }
    }
}

fn breaker(rules: &ResilienceRules) -> BreakerSettings {
    BreakerSettings {
        failure_rate: rules.failure_rate.unwrap_or(0.5),
        slow_call_rate: rules.slow_call_rate.unwrap_or(0.5),
        slow_call: rules.slow_call,
        minimum_calls: rules.minimum_calls.unwrap_or(20).max(1),
        window: rules.window.unwrap_or(Duration::from_secs(10)),
        open: rules.open.unwrap_or(Duration::from_secs(5)),
        longest: rules.longest_open.unwrap_or(Duration::from_secs(60)),
        probes: rules.probes.unwrap_or(1).max(1),
    }
}

impl RetrySettings {
    /// What an operation says on top of its source.
    pub(crate) fn with(&self, retry: Option<&Retry>) -> Self {
        let Some(retry) = retry else {
            return self.clone();
        };
        Self {
            attempts: retry.attempts.unwrap_or(self.attempts).max(1),
            backoff: retry.backoff.unwrap_or(self.backoff),
            max_backoff: retry.max_backoff.unwrap_or(self.max_backoff),
            total: retry.total.or(self.total),
            on: match retry.on.is_empty() {
                true => self.on.clone(),
                false => retry.on.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_opinion_counts() {
        let near = ResilienceRules {
            attempts: Some(1),
            ..ResilienceRules::default()
        };
        let declared = Retry {
            attempts: Some(4),
            backoff: Some(Duration::from_millis(7)),
            ..Retry::default()
        };
        let declared = ResilienceRules::declared(&Limits::default(), Some(&declared));
        let all = Resilience::of(near.or(declared));
        assert_eq!(all.retry.attempts, 1);
        assert_eq!(all.retry.backoff, Duration::from_millis(7));
        assert_eq!(all.retry.max_backoff, Duration::from_secs(1));
        let breaker = all.breaker.unwrap();
        assert_eq!((breaker.minimum_calls, breaker.probes), (20, 1));
    }

    #[test]
    fn an_operations_own_rule_comes_before_its_sources() {
        let usual = Resilience::of(ResilienceRules::default()).retry;
        let own = Retry {
            total: Some(Duration::from_secs(3)),
            on: vec!["500".to_owned()],
            ..Retry::default()
        };
        let both = usual.with(Some(&own));
        assert_eq!((both.attempts, both.total), (3, own.total));
        assert_eq!(both.on, own.on);
        assert_eq!(usual.with(None), usual);
    }

    #[test]
    fn a_breaker_can_be_off() {
        let off = ResilienceRules {
            breaker: Some(false),
            ..ResilienceRules::default()
        };
        assert_eq!(Resilience::of(off).breaker, None);
    }
}
