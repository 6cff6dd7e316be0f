//! What happens when services fail.

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use sources::ResilienceRules;

use crate::config::file::resilience::Resilience;
use crate::config::problem::only;
use crate::config::units::Span;

/// The rules, where they make sense. `section` is how messages name them.
pub(super) fn rules(section: &str, said: &Resilience) -> Result<ResilienceRules, Diagnostics> {
    let Resilience {
        retry,
        retry_budget,
        breaker,
        ..
    } = said;
    let share = "a share lies between 0 and 1";
    check(
        section,
        "retry_budget.ratio",
        retry_budget.ratio,
        share,
        |it| (0.0..=1.0).contains(&it),
    )?;
    for (key, rate) in [
        ("breaker.failure_rate", breaker.failure_rate),
        ("breaker.slow_call_rate", breaker.slow_call_rate),
    ] {
        // At none of the calls it would always be open.
        let rule = "a rate is above 0 and at most 1";
        check(section, key, rate, rule, |it| it > 0.0 && it <= 1.0)?;
    }
    let per_second = retry_budget.per_second;
    let positive = "it is a number, and not below 0";
    check(
        section,
        "retry_budget.per_second",
        per_second,
        positive,
        |it| it.is_finite() && it >= 0.0,
    )?;
    let span = |span: Option<Span>| span.map(|span| span.0);
    Ok(ResilienceRules {
        attempts: retry.attempts,
        backoff: span(retry.backoff),
        max_backoff: span(retry.max_backoff),
        total: span(retry.total),
        on: retry.on.clone(),
        budget_ratio: retry_budget.ratio,
        budget_per_second: retry_budget.per_second,
        breaker: breaker.enabled,
        failure_rate: breaker.failure_rate,
        slow_call_rate: breaker.slow_call_rate,
        slow_call: span(breaker.slow_call),
        minimum_calls: breaker.minimum_calls,
        window: span(breaker.window),
        open: span(breaker.open),
        longest_open: span(breaker.longest_open),
        probes: breaker.probes,
        concurrency: said.concurrency,
        queue: said.queue,
        eject_after: said.eject_after,
    })
}

fn check(
    section: &str,
    key: &str,
    value: Option<f64>,
    rule: &str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), Diagnostics> {
    match value {
        Some(value) if !holds(value) => Err(only(Diagnostic::error(
            "CONFIG_VALUE",
            format!("{section}.{key}: {value} is out of range: {rule}"),
        ))),
        _ => Ok(()),
    }
}
