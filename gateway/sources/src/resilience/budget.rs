//! How much a source may be asked again, whoever asks.
//!
//! Owns one count for each source, shared by all requests: retries and hedges
//! are a share of real traffic and a few more a second, over ten seconds. A
//! service that fails altogether gets little more than its ordinary traffic.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use super::window::Counts;
use super::window::Window;

const WINDOW: Duration = Duration::from_secs(10);

/// What may be repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BudgetSettings {
    /// The share of calls, 0 to 1.
    pub(crate) ratio: f64,
    /// As many a second on top.
    pub(crate) per_second: f64,
}

#[derive(Debug)]
pub(crate) struct Budget {
    settings: BudgetSettings,
    window: Mutex<Window>,
}

impl Budget {
    pub(crate) fn new(settings: BudgetSettings, now: Instant) -> Self {
        Self {
            settings,
            window: Mutex::new(Window::new(WINDOW, now)),
        }
    }

    /// A call on somebody's behalf: a share of one more repetition.
    pub(crate) fn called(&self, now: Instant) {
        let call = Counts {
            calls: 1,
            ..Counts::default()
        };
        self.with(|window| window.add(now, call));
    }

    /// Takes one repetition, where one is left.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let retry = Counts {
            retries: 1,
            ..Counts::default()
        };
        self.with(|window| {
            let granted = self.left_of(window.sum(now)) >= 1.0;
            if granted {
                window.add(now, retry);
            }
            granted
        })
    }

    /// Repetitions that are left.
    pub(crate) fn left(&self, now: Instant) -> f64 {
        let counts = self.with(|window| window.sum(now));
        self.left_of(counts).max(0.0)
    }

    fn left_of(&self, counts: Counts) -> f64 {
        let share = self.settings.ratio * f64::from(counts.calls);
        let floor = self.settings.per_second * WINDOW.as_secs_f64();
        share + floor - f64::from(counts.retries)
    }

    /// The window is consistent between any two statements, so a panic elsewhere does no harm.
    fn with<T>(&self, act: impl FnOnce(&mut Window) -> T) -> T {
        act(&mut self.window.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::now;

    const USUAL: BudgetSettings = BudgetSettings {
        ratio: 0.1,
        per_second: 3.0,
    };

    fn taken(budget: &Budget, now: Instant) -> usize {
        std::iter::repeat_with(|| budget.take(now))
            .take_while(|taken| *taken)
            .count()
    }

    #[test]
    fn a_tenth_of_the_traffic_and_three_a_second_are_repeated_and_no_more() {
        let now = crate::calls::now();
        let budget = Budget::new(USUAL, now);
        assert_eq!(taken(&budget, now), 30);
        (0..500).for_each(|_| budget.called(now));
        assert_eq!(taken(&budget, now), 50);
        assert!(budget.left(now) < 1.0);
    }

    #[test]
    fn what_was_taken_comes_back_with_time_and_never_adds_up() {
        let start = now();
        let budget = Budget::new(USUAL, start);
        assert_eq!(taken(&budget, start), 30);
        assert_eq!(taken(&budget, start + Duration::from_secs(9)), 0);
        assert_eq!(taken(&budget, start + Duration::from_secs(10)), 30);
        assert_eq!(taken(&budget, start + Duration::from_secs(1_000)), 30);
    }

    #[test]
    fn a_budget_of_nothing_grants_nothing() {
        let now = crate::calls::now();
        let none = BudgetSettings {
            ratio: 0.0,
            per_second: 0.0,
        };
        let budget = Budget::new(none, now);
        (0..500).for_each(|_| budget.called(now));
        assert!(!budget.take(now));
    }

    #[test]
    fn an_outage_of_a_minute_costs_a_tenth_and_three_a_second() {
        let start = now();
        let budget = Budget::new(USUAL, start);
        let (mut calls, mut repeats) = (0_u32, 0_u32);
        for tick in 0..6_000 {
            let now = start + Duration::from_millis(10 * tick);
            budget.called(now);
            calls += 1;
            // Each call fails, and would be repeated twice.
            repeats += u32::from(budget.take(now)) + u32::from(budget.take(now));
        }
        let most = f64::from(calls) * 0.1 + 3.0 * 60.0 + 30.0;
        assert!(f64::from(repeats) <= most, "{repeats} of {most}");
        assert!(repeats > 500);
    }
}
