//! What an outcome means for its message. Pure: one table.

use std::time::Duration;

use super::handler::Outcome;
use crate::clock::millis;
use crate::message::Message;
use crate::store::Failure;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Settled;

/// No target is believed that wants to be left alone for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The middle of what one waits that could not be sent.
const NOT_SENT: Duration = Duration::from_secs(1);
/// So many denials, while others were accepted, are the message's own fault.
const DENIALS: u32 = 3;

/// An attempt, as far as what follows depends on it.
#[derive(Debug)]
pub(super) struct Tried<'m> {
    pub(super) message: &'m Message,
    /// Before this attempt, but for its own time, which is brought up to now.
    pub(super) progress: Progress,
    /// It was made to see whether the target is well again: its failure burns no attempt.
    pub(super) probe: bool,
    /// Since it was last denied, others of its queue were accepted by its target.
    pub(super) others_accepted: bool,
    /// Milliseconds since the Unix epoch.
    pub(super) now: u64,
    /// From 0 up to 1.
    pub(super) chance: f64,
}

/// How the message is settled.
pub(super) fn meant(outcome: Outcome, tried: Tried<'_>) -> Settled {
    match outcome {
        Outcome::Delivered => Settled::Delivered(tried.counted()),
        Outcome::Again { failure, after, .. } => again(failure, after, tried),
        Outcome::Refused(failure) => Settled::Dead {
            progress: failed(tried.counted(), failure),
            reason: Reason::Refused,
        },
        Outcome::Denied(failure) => denied(failure, tried),
        Outcome::NotSent { failure, after } => not_sent(failure, after, tried),
    }
}

fn again(failure: Failure, after: Option<Duration>, tried: Tried<'_>) -> Settled {
    let retry = &tried.message.retry;
    let progress = match tried.probe {
        true => tried.progress.clone(),
        false => tried.counted(),
    };
    let exhausted = retry.attempts.is_some_and(|it| progress.attempts >= it);
    let backoff = retry.backoff_after(progress.attempts).mul_f64(tried.chance);
    let progress = failed(progress, failure);
    if exhausted && !tried.probe {
        let reason = Reason::Exhausted;
        return Settled::Dead { progress, reason };
    }
    Settled::Again {
        progress,
        due: tried.in_time(backoff.max(clamped(after))),
    }
}

/// How long its queue rests is decided elsewhere.
fn denied(failure: Failure, tried: Tried<'_>) -> Settled {
    let mut progress = failed(tried.progress.clone(), failure);
    if progress.denied == 0 || tried.others_accepted {
        progress.denied += 1;
    }
    if progress.denied >= DENIALS {
        let reason = Reason::Refused;
        return Settled::Dead { progress, reason };
    }
    Settled::Again {
        progress,
        due: tried.now,
    }
}

fn not_sent(failure: Failure, after: Option<Duration>, tried: Tried<'_>) -> Settled {
    let soon = NOT_SENT.mul_f64(0.5 + tried.chance);
    Settled::Again {
        progress: failed(tried.progress.clone(), failure),
        due: tried.in_time(soon.max(clamped(after))),
    }
}

fn clamped(after: Option<Duration>) -> Duration {
    after.unwrap_or_default().min(LONGEST)
}

fn failed(progress: Progress, failure: Failure) -> Progress {
    Progress {
        first_error: progress.first_error.or_else(|| Some(failure.clone())),
        last_error: Some(failure),
        ..progress
    }
}

impl Tried<'_> {
    /// With this attempt.
    fn counted(&self) -> Progress {
        Progress {
            attempts: self.progress.attempts.saturating_add(1),
            ..self.progress.clone()
        }
    }

    fn in_time(&self, wait: Duration) -> u64 {
        self.now.saturating_add(millis(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Retry;
    use crate::message::message;

    const NOW: u64 = 1_000_000;
    const DAY: u64 = 24 * 3_600_000;

    fn failure(code: &str) -> Failure {
        Failure {
            code: code.into(),
            message: "m".into(),
            status: "503".into(),
            internal: None,
            at: NOW,
        }
    }

    fn away(after: Option<u64>) -> Outcome {
        Outcome::Again {
            failure: failure("UPSTREAM_UNAVAILABLE"),
            after: after.map(Duration::from_millis),
            down: true,
        }
    }

    fn not_sent(after: Option<u64>) -> Outcome {
        Outcome::NotSent {
            failure: failure("CIRCUIT_OPEN"),
            after: after.map(Duration::from_millis),
        }
    }

    /// In a word: what, attempts, denials, and after how many milliseconds.
    fn told(settled: Settled) -> String {
        let counts = |it: &Progress| format!("attempts {} denied {}", it.attempts, it.denied);
        match settled {
            Settled::Delivered(it) => format!("delivered, {}", counts(&it)),
            Settled::Again { progress, due } => {
                format!("again in {}, {}", due - NOW, counts(&progress))
            }
            Settled::Dead { progress, reason } => {
                format!("{}, {}", reason.as_str(), counts(&progress))
            }
            Settled::Returned => "returned".into(),
        }
    }

    struct Case {
        attempts: u32,
        most: Option<u32>,
        denied: u32,
        probe: bool,
        others_accepted: bool,
        chance: f64,
    }

    const FRESH: Case = Case {
        attempts: 0,
        most: None,
        denied: 0,
        probe: false,
        others_accepted: false,
        chance: 1.0,
    };

    fn of(outcome: Outcome, case: Case) -> String {
        let message = Message {
            retry: Retry {
                attempts: case.most,
                ..Retry::default()
            },
            ..message(1)
        };
        let tried = Tried {
            message: &message,
            progress: Progress {
                attempts: case.attempts,
                denied: case.denied,
                ..Progress::default()
            },
            probe: case.probe,
            others_accepted: case.others_accepted,
            now: NOW,
            chance: case.chance,
        };
        told(meant(outcome, tried))
    }

    #[test]
    fn each_outcome_means_one_thing() {
        let denied = || Outcome::Denied(failure("FORBIDDEN"));
        let refused = || Outcome::Refused(failure("BAD_USER_INPUT"));
        #[rustfmt::skip]
        let table = [
            (Outcome::Delivered, FRESH, "delivered, attempts 1 denied 0"),
            (Outcome::Delivered, Case { attempts: 6, probe: true, ..FRESH }, "delivered, attempts 7 denied 0"),
            // Doubling, with full jitter, up to its cap.
            (away(None), FRESH, "again in 1000, attempts 1 denied 0"),
            (away(None), Case { chance: 0.25, ..FRESH }, "again in 250, attempts 1 denied 0"),
            (away(None), Case { attempts: 1, ..FRESH }, "again in 2000, attempts 2 denied 0"),
            (away(None), Case { attempts: 40, ..FRESH }, "again in 300000, attempts 41 denied 0"),
            // Never earlier than the target asks, however long the backoff, and no later than in a day.
            (away(Some(7_000)), Case { chance: 0.0, ..FRESH }, "again in 7000, attempts 1 denied 0"),
            (away(Some(10)), FRESH, "again in 1000, attempts 1 denied 0"),
            (away(Some(30 * DAY)), FRESH, "again in 86400000, attempts 1 denied 0"),
            // Used up.
            (away(None), Case { attempts: 2, most: Some(3), ..FRESH }, "EXHAUSTED, attempts 3 denied 0"),
            (away(None), Case { attempts: 1, most: Some(3), ..FRESH }, "again in 2000, attempts 2 denied 0"),
            // A probe burns none.
            (away(None), Case { attempts: 2, most: Some(3), probe: true, ..FRESH }, "again in 2000, attempts 2 denied 0"),
            (refused(), FRESH, "REFUSED, attempts 1 denied 0"),
            (refused(), Case { probe: true, ..FRESH }, "REFUSED, attempts 1 denied 0"),
            // Burns none, and is held against the message only where others were accepted since.
            (denied(), FRESH, "again in 0, attempts 0 denied 1"),
            (denied(), Case { denied: 1, ..FRESH }, "again in 0, attempts 0 denied 1"),
            (denied(), Case { denied: 1, others_accepted: true, ..FRESH }, "again in 0, attempts 0 denied 2"),
            (denied(), Case { denied: 2, ..FRESH }, "again in 0, attempts 0 denied 2"),
            (denied(), Case { denied: 2, others_accepted: true, ..FRESH }, "REFUSED, attempts 0 denied 3"),
            // Neither.
            (not_sent(None), FRESH, "again in 1500, attempts 0 denied 0"),
            (not_sent(None), Case { chance: 0.0, attempts: 2, most: Some(3), ..FRESH }, "again in 500, attempts 2 denied 0"),
            (not_sent(Some(9_000)), FRESH, "again in 9000, attempts 0 denied 0"),
        ];
        for (outcome, case, expected) in table {
            let what = format!("{outcome:?}");
            assert_eq!(of(outcome, case), expected, "{what}");
        }
    }

    #[test]
    fn the_first_failure_is_kept_and_the_last_is_replaced() {
        let first = failed(Progress::default(), failure("A"));
        let second = failed(first, failure("B"));
        assert_eq!(second.first_error.map(|it| it.code).as_deref(), Some("A"));
        assert_eq!(second.last_error.map(|it| it.code).as_deref(), Some("B"));
    }
}
