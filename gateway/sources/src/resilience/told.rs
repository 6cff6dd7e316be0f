//! The policy of one resolver, for people: what holds, and who said it.

use compose::model::Resolver;
use compose::model::Source;
use compose::model::Target;

use super::breaker::BreakerSettings;
use super::settings::Resilience;
use super::settings::ResilienceRules;
use crate::SourcesConfig;

/// Who said something, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// The operation, in the subgraph file.
    Operation,
    /// The configuration, of this source.
    Configuration,
    /// The source, in the subgraph file.
    Source,
    /// The configuration, of all sources.
    Everywhere,
    /// Nobody: it is the default.
    Nobody,
}

/// One line of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it is about.
    pub name: &'static str,
    /// What holds.
    pub value: String,
    /// Who said it; where it has several parts, whoever is nearest.
    pub said: Said,
}

/// What happens around the calls of a resolver when its source fails.
pub fn explain(config: &SourcesConfig, source: &Source, resolver: &Resolver) -> Vec<Told> {
    let own = config.sources.get(&source.name);
    let own = own.map(|own| own.resilience.clone()).unwrap_or_default();
    let declared = ResilienceRules::declared(&source.limits, source.retry.as_ref());
    let operation = ResilienceRules::of_retry(resolver.policy.retry.as_ref());
    let voices = [
        (Said::Operation, operation),
        (Said::Configuration, own),
        (Said::Source, declared),
        (Said::Everywhere, config.resilience.clone()),
    ];
    let all = voices.iter().map(|(_, rules)| rules.clone());
    let all = all.reduce(ResilienceRules::or).unwrap_or_default();
    let explained = Explained {
        policy: Resilience::of(all),
        voices,
    };
    let mut lines = explained.attempts(resolver);
    lines.extend(explained.of_operation(resolver));
    lines.push(explained.breaker());
    lines.push(explained.seats());
    lines
}

struct Explained {
    voices: [(Said, ResilienceRules); 4],
    policy: Resilience,
}

impl Explained {
    /// The nearest who said any of it.
    fn said(&self, any: impl Fn(&ResilienceRules) -> bool) -> Said {
        let voice = self.voices.iter().find(|(_, rules)| any(rules));
        voice.map_or(Said::Nobody, |(said, _)| *said)
    }

    fn attempts(&self, resolver: &Resolver) -> Vec<Told> {
        let retry = &self.policy.retry;
        let told = |name, value, said| Told { name, value, said };
        if !resolver.policy.idempotent {
            let value = "1: it is never sent twice".to_owned();
            return vec![told("attempts", value, Said::Operation)];
        }
        let attempts = self.said(|it| it.attempts.is_some());
        let pause = self.said(|it| it.backoff.is_some() || it.max_backoff.is_some());
        let value = format!(
            "up to {:?} at random, twice as long each time, up to {:?}",
            retry.backoff, retry.max_backoff
        );
        let mut lines = vec![
            told("attempts", retry.attempts.to_string(), attempts),
            told("pause", value, pause),
        ];
        if let Some(total) = retry.total {
            let said = self.said(|it| it.total.is_some());
            lines.push(told("in all", format!("{total:?}"), said));
        }
        if !retry.on.is_empty() {
            let said = self.said(|it| it.on.is_some());
            lines.push(told("again on", retry.on.join(", "), said));
        }
        let budget = &self.policy.budget;
        let said = self.said(|it| it.budget_ratio.is_some() || it.budget_per_second.is_some());
        let value = format!(
            "{} % of the source's calls and {} a second",
            budget.ratio * 100.0,
            budget.per_second
        );
        lines.push(told("budget", value, said));
        lines
    }

    fn of_operation(&self, resolver: &Resolver) -> Vec<Told> {
        let policy = &resolver.policy;
        let mutates = matches!(resolver.target, Target::Root { mutation: true, .. });
        let mut lines = Vec::new();
        let mut add = |name, value| {
            lines.push(Told {
                name,
                value,
                said: Said::Operation,
            });
        };
        if mutates && policy.idempotent {
            add("key", "an Idempotency-Key for all attempts".to_owned());
        }
        if policy.hedge {
            add("hedge", "a second attempt at the observed p95".to_owned());
        }
        if let Some(oldest) = policy.stale_if_error {
            let value = format!("the last good reply, where it is no older than {oldest:?}");
            add("if it fails", value);
        }
        lines
    }

    fn breaker(&self) -> Told {
        let said = self.said(|it| {
            it.breaker.is_some()
                || it.failure_rate.is_some()
                || it.slow_call_rate.is_some()
                || it.slow_call.is_some()
                || it.minimum_calls.is_some()
                || it.window.is_some()
                || it.open.is_some()
                || it.longest_open.is_some()
                || it.probes.is_some()
        });
        let slow = |breaker: &BreakerSettings| match breaker.slow_call {
            Some(slow) => format!("{slow:?} and longer"),
            None => "half of an attempt's time and longer".to_owned(),
        };
        let value = match &self.policy.breaker {
            None => "none".to_owned(),
            Some(breaker) => format!(
                "opens at {} % failures or {} % slow calls ({}), of at least {} in {:?}, for {:?} up to {:?}",
                breaker.failure_rate * 100.0,
                breaker.slow_call_rate * 100.0,
                slow(breaker),
                breaker.minimum_calls,
                breaker.window,
                breaker.open,
                breaker.longest,
            ),
        };
        Told {
            name: "breaker",
            value,
            said,
        }
    }

    fn seats(&self) -> Told {
        let seats = &self.policy.bulkhead;
        Told {
            name: "in flight",
            value: format!("{} calls, and {} that wait", seats.concurrency, seats.queue),
            said: self.said(|it| it.concurrency.is_some() || it.queue.is_some()),
        }
    }
}
