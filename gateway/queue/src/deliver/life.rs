//! A message's own time, which its `ttl` is measured in.
//!
//! Owns when that clock runs: from the moment at which the message comes to
//! the head of its line (and not before its `delay` is over), except while its
//! queue is paused or its target is left in peace. Time that no gateway runs
//! counts. What is remembered of pauses is bounded and ends with the process;
//! what is forgotten counts as time that ran.

use std::collections::VecDeque;

use crate::message::Message;
use crate::store::Progress;

/// Pauses that are remembered. Messages older than the oldest of them waited through all of it.
const REMEMBERED: usize = 64;

/// When something stood still, in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    since: Option<u64>,
    over: VecDeque<(u64, u64)>,
}

impl Stalls {
    /// It stands still, since then.
    pub(super) fn stop(&mut self, since: u64) {
        self.since.get_or_insert(since);
    }

    /// It goes on.
    pub(super) fn go_on(&mut self, now: u64) {
        if let Some(since) = self.since.take() {
            if self.over.len() == REMEMBERED {
                self.over.pop_front();
            }
            self.over.push_back((since, now));
        }
    }

    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let lasting = self.since.map(|since| (since, to));
        let all = self.over.iter().copied().chain(lasting);
        all.map(move |(begin, end)| (begin.max(from), end.min(to)))
            .filter(|(begin, end)| begin < end)
    }
}

/// What came of a message so far, with its own time brought up to now.
pub(super) fn lived(
    message: &Message,
    progress: &Progress,
    stalls: [&Stalls; 2],
    now: u64,
) -> Progress {
    let since = match progress.active_since {
        // Its store has not said.
        0 => now,
        since => since.max(message.not_before.unwrap_or(0)),
    };
    Progress {
        lived: progress.lived.saturating_add(ran(since, now, stalls)),
        active_since: now.max(since),
        ..progress.clone()
    }
}

/// Of the time between, what is not covered by any stall.
fn ran(from: u64, to: u64, stalls: [&Stalls; 2]) -> u64 {
    let stood = stalls.iter().flat_map(|stalls| stalls.between(from, to));
    let mut stood: Vec<_> = stood.collect();
    stood.sort_unstable();
    let mut ran = 0;
    let mut at = from;
    for (begin, end) in stood {
        ran += begin.saturating_sub(at);
        at = at.max(end);
    }
    ran + to.saturating_sub(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::message;

    fn stalls(over: &[(u64, u64)], since: Option<u64>) -> Stalls {
        Stalls {
            since,
            over: over.iter().copied().collect(),
        }
    }

    #[test]
    fn time_that_anything_stood_still_does_not_count_and_none_is_left_out_twice() {
        let queue = stalls(&[(5, 10), (20, 40)], None);
        let lane = stalls(&[(30, 50)], Some(90));
        for (from, to, expected) in [
            (0, 5, 5),
            (0, 10, 5),
            (7, 12, 2),
            (0, 60, 25),
            (0, 100, 55),
            (95, 100, 0),
            (100, 60, 0),
        ] {
            assert_eq!(ran(from, to, [&queue, &lane]), expected, "{from} to {to}");
        }
    }

    #[test]
    fn the_clock_starts_when_its_delay_is_over_and_goes_on_where_it_stopped() {
        let none = Stalls::default();
        let delayed = Message {
            not_before: Some(1_000),
            ..message(1)
        };
        let progress = Progress {
            lived: 7,
            active_since: 100,
            ..Progress::default()
        };
        let at = |now| lived(&delayed, &progress, [&none, &none], now);
        assert_eq!((at(900).lived, at(900).active_since), (7, 1_000));
        assert_eq!((at(1_500).lived, at(1_500).active_since), (507, 1_500));
    }

    #[test]
    fn a_stop_while_it_stands_is_no_second_one_and_memory_is_bounded() {
        let mut stalls = Stalls::default();
        for round in 0..200 {
            stalls.stop(round * 10);
            stalls.stop(round * 10 + 3);
            stalls.go_on(round * 10 + 5);
            stalls.go_on(round * 10 + 7);
        }
        assert_eq!(stalls.over.len(), REMEMBERED);
        assert_eq!(stalls.over.back(), Some(&(1_990, 1_995)));
    }
}
