//! How long to wait before another attempt.
//!
//! Full jitter: any time up to a bound that doubles. Who failed together does
//! not come back together.
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>

use std::time::Duration;

use super::settings::RetrySettings;

/// The pause before the attempt after `number`, of which 0 is the first. What the service asks for is a minimum.
pub(crate) fn pause(settings: &RetrySettings, number: u32, asked: Option<Duration>) -> Duration {
    let doubled = settings.backoff.saturating_mul(1 << number.min(20));
    let bound = doubled.min(settings.max_backoff);
    asked.unwrap_or_default() + bound.mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RetrySettings {
        RetrySettings {
            attempts: 3,
            backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            total: None,
            on: Vec::new(),
        }
    }

    fn longest(number: u32, asked: Option<Duration>) -> Duration {
        let pauses = (0..500).map(|_| pause(&settings(), number, asked));
        pauses.max().unwrap_or_default()
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        for (number, bound) in [
            (0, 50),
            (1, 100),
            (2, 200),
            (4, 800),
            (5, 1_000),
            (99, 1_000),
        ] {
            let longest = longest(number, None);
            assert!(
                longest <= Duration::from_millis(bound),
                "{number}: {longest:?}"
            );
            assert!(
                longest > Duration::from_millis(bound) / 2,
                "{number}: {longest:?}"
            );
        }
    }

    #[test]
    fn no_pause_is_shorter_than_the_service_asks_for() {
        let asked = Duration::from_secs(2);
        for _ in 0..100 {
            assert!(pause(&settings(), 0, Some(asked)) >= asked);
        }
    }
}
