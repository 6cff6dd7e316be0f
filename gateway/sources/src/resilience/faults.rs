//! Faults on purpose, around an attempt.
//!
//! Owns the dice and the pause. Everything outside an attempt takes them for
//! real: they are counted, repeated, and open breakers. What an abort looks
//! like is the protocol's.

use plan::rehearsal::Fault;

use super::Numbers;

/// What becomes of an attempt that meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Struck {
    /// It goes on, if later.
    Passes,
    /// This HTTP status is its answer: nothing is sent.
    Aborted(u16),
}

/// Throws the dice, and waits where the fault is a delay.
pub(crate) async fn strike(fault: &Fault, numbers: &Numbers) -> Struck {
    if rand::random::<f64>() * 100.0 >= fault.percentage {
        return Struck::Passes;
    }
    numbers.faults.one_more();
    tokio::time::sleep(fault.delay).await;
    fault.abort.map_or(Struck::Passes, Struck::Aborted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fault(percentage: f64) -> Fault {
        Fault {
            delay: Duration::from_millis(200),
            abort: Some(503),
            percentage,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_every_attempt_is_late_and_an_abort() {
        let (numbers, start) = (Numbers::default(), tokio::time::Instant::now());
        assert_eq!(strike(&fault(100.0), &numbers).await, Struck::Aborted(503));
        assert_eq!(start.elapsed(), Duration::from_millis(200));
        assert_eq!(numbers.faults.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_no_attempt_changes_nothing() {
        let (numbers, start) = (Numbers::default(), tokio::time::Instant::now());
        assert_eq!(strike(&fault(0.0), &numbers).await, Struck::Passes);
        assert!(start.elapsed().is_zero());
        assert_eq!(numbers.faults.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_attempts_meets_it() {
        let numbers = Numbers::default();
        for _ in 0..10_000 {
            strike(&fault(10.0), &numbers).await;
        }
        assert!((800..1_200).contains(&numbers.faults.get()));
    }
}
