//! When a queue was paused: the time of what waits stands still meanwhile.
//!
//! Owns its stored form, for stores that several processes share. Knows nothing
//! of where it is kept.

use serde::Deserialize;
use serde::Serialize;

use crate::store::Paused;

/// When a queue was paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pauses {
    /// Where it is paused.
    pub(crate) now: Option<Paused>,
    /// When it was: from and until, in milliseconds since the Unix epoch. The last ones.
    #[serde(default)]
    pub(crate) past: Vec<(u64, u64)>,
}

impl Pauses {
    /// How many pauses are remembered for messages that wait through them.
    const REMEMBERED: usize = 200;

    /// Paused, or let go on, at this time.
    pub(crate) fn set(mut self, paused: Option<Paused>, now: u64) -> Self {
        match (self.now.take(), paused) {
            // Nothing but an operator lets go on what an operator paused.
            (Some(before), Some(after)) if before.by_operator && !after.by_operator => {
                self.now = Some(before);
            }
            // Paused it was already: since then.
            (Some(before), Some(after)) => {
                let since = before.since.min(after.since);
                self.now = Some(Paused { since, ..after });
            }
            (None, after) => self.now = after,
            (Some(before), None) => self.past.push((before.since, now.max(before.since))),
        }
        let surplus = self.past.len().saturating_sub(Self::REMEMBERED);
        self.past.drain(..surplus);
        self
    }

    /// A time since when something runs, moved on by the pauses that came after it.
    pub(crate) fn moved_on(&self, since: u64) -> u64 {
        self.past
            .iter()
            .filter(|(_, until)| *until > since)
            .map(|(from, until)| until - from.max(&since))
            .fold(since, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(since: u64, by_operator: bool) -> Option<Paused> {
        Some(Paused {
            reason: "credentials".into(),
            since,
            by_operator,
        })
    }

    #[test]
    fn time_stands_still_during_pauses() {
        let pauses = Pauses::default().set(paused(10, false), 10).set(None, 30);
        let pauses = pauses.set(paused(50, false), 50).set(None, 55);
        assert_eq!(pauses.moved_on(0), 25);
        assert_eq!(pauses.moved_on(20), 35);
        assert_eq!(pauses.moved_on(52), 55);
        assert_eq!(pauses.moved_on(60), 60);
    }

    #[test]
    fn what_an_operator_paused_stays_paused_for_all_but_an_operator() {
        let pauses = Pauses::default().set(paused(10, true), 10);
        let pauses = pauses.set(paused(20, false), 20);
        assert!(
            pauses
                .now
                .as_ref()
                .is_some_and(|now| now.by_operator && now.since == 10)
        );
        assert_eq!(pauses.set(None, 30).now, None);
    }

    #[test]
    fn pauses_are_remembered_up_to_a_number() {
        let many = (0..1_000).fold(Pauses::default(), |pauses, at| {
            pauses
                .set(paused(at * 2, false), at * 2)
                .set(None, at * 2 + 1)
        });
        assert_eq!(many.past.len(), Pauses::REMEMBERED);
    }
}
