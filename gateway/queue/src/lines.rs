//! Which messages of a partition are next. Start reading at [`Lines`].
//!
//! Owns the order within lines and their waiting, for stores whose messages lie
//! elsewhere, at positions that grow. Remembers of a line where its first
//! message lies and how far the line was seen, however many wait in it: one line
//! fills nothing but its own place. Knows neither messages nor brokers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::hash_map;

use crate::seal::Line;

/// The lines of one partition. Times are in milliseconds since the Unix epoch.
pub(crate) struct Lines {
    most: usize,
    lines: HashMap<Line, Place>,
    /// Those whose first message is due, by where it lies.
    ready: BTreeMap<u64, Line>,
    /// Those whose first message is not: when it will be, and where it lies.
    waiting: BTreeSet<(u64, u64, Line)>,
}

struct Place {
    /// Where the first message lies.
    head: u64,
    /// The last position that was seen of the line.
    last: u64,
    /// Since when the first message is the first.
    since: u64,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ready,
    Waiting(u64),
    /// In somebody's hands.
    Out,
}

/// The first message of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its line.
    pub(crate) line: Line,
    /// Where it lies.
    pub(crate) position: u64,
    /// Since when it is the first.
    pub(crate) since: u64,
}

/// A message that follows the first of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    /// Where it lies.
    pub(crate) position: u64,
    /// It is not due before.
    pub(crate) due: u64,
}

impl Lines {
    /// For at most so many lines.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// A message was seen; whether it is the first of its line. Positions come in ascending order;
    /// one that comes again changes nothing.
    pub(crate) fn arrived(&mut self, line: Line, next: Next, now: u64) -> bool {
        match self.lines.entry(line) {
            hash_map::Entry::Occupied(mut known) => {
                let last = &mut known.get_mut().last;
                *last = next.position.max(*last);
                false
            }
            hash_map::Entry::Vacant(free) => {
                free.insert(Place {
                    head: next.position,
                    last: next.position,
                    since: now,
                    phase: Phase::Out,
                });
                self.again(line, next.due, now);
                true
            }
        }
    }

    /// Whether no further line should be looked for until others are done.
    pub(crate) fn is_full(&self) -> bool {
        self.lines.len() >= self.most
    }

    /// Whether it is worth to look for further ones again, after it was full.
    pub(crate) fn has_room(&self) -> bool {
        self.lines.len() <= self.most / 4 * 3
    }

    /// When the next waiting line is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.waiting.first().map(|(due, ..)| *due)
    }

    /// Where the oldest message lies that is due.
    pub(crate) fn oldest(&mut self, now: u64) -> Option<u64> {
        self.wake(now);
        self.ready.first_key_value().map(|(position, _)| *position)
    }

    /// The oldest message that is due, into the caller's hands.
    pub(crate) fn take(&mut self, now: u64) -> Option<Head> {
        self.wake(now);
        let (position, line) = self.ready.pop_first()?;
        let place = self.lines.get_mut(&line)?;
        place.phase = Phase::Out;
        Some(Head {
            line,
            position,
            since: place.since,
        })
    }

    /// The first of this line is no longer in anybody's hands, and due at this time.
    pub(crate) fn again(&mut self, line: Line, due: u64, now: u64) {
        let Some(place) = self.lines.get_mut(&line) else {
            return;
        };
        if place.phase != Phase::Out {
            return;
        }
        if due <= now {
            place.phase = Phase::Ready;
            self.ready.insert(place.head, line);
        } else {
            place.phase = Phase::Waiting(due);
            self.waiting.insert((due, place.head, line));
        }
    }

    /// Somebody changed what this line waits for: its first message is looked at now.
    pub(crate) fn look(&mut self, line: Line, now: u64) {
        let Some(place) = self.lines.get_mut(&line) else {
            return;
        };
        if let Phase::Waiting(due) = place.phase {
            self.waiting.remove(&(due, place.head, line));
            place.phase = Phase::Out;
            self.again(line, now, now);
        }
    }

    /// How far the line of a message was seen, where others follow it.
    pub(crate) fn behind(&self, head: Head) -> Option<u64> {
        let place = self.lines.get(&head.line)?;
        (place.last > head.position).then_some(place.last)
    }

    /// A message that was taken is gone, and this one follows it, the line having been seen so far.
    /// False where more was seen meanwhile, so that what follows must be looked for again.
    pub(crate) fn gone(&mut self, head: Head, next: Option<Next>, seen: u64, now: u64) -> bool {
        let Some(place) = self.lines.get_mut(&head.line) else {
            return true;
        };
        if place.head != head.position {
            return true;
        }
        match next {
            Some(next) => {
                place.head = next.position;
                place.last = place.last.max(next.position);
                place.since = now;
                self.again(head.line, next.due, now);
                true
            }
            None if place.last > seen => false,
            None => {
                self.lines.remove(&head.line);
                true
            }
        }
    }

    fn wake(&mut self, now: u64) {
        while let Some(&(due, head, line)) = self.waiting.first() {
            if due > now {
                return;
            }
            self.waiting.pop_first();
            if let Some(place) = self.lines.get_mut(&line) {
                place.phase = Phase::Ready;
                self.ready.insert(head, line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Line = [1; 16];
    const B: Line = [2; 16];

    fn at(position: u64) -> Next {
        Next { position, due: 0 }
    }

    fn lines(arrivals: &[(Line, u64)]) -> Lines {
        let mut lines = Lines::new(4);
        for (line, position) in arrivals {
            lines.arrived(*line, at(*position), 0);
        }
        lines
    }

    fn positions(lines: &mut Lines, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| lines.take(now))
            .map(|head| head.position)
            .collect()
    }

    #[test]
    fn the_first_of_each_line_is_given_oldest_first() {
        let mut lines = lines(&[(A, 1), (A, 2), (B, 3), (B, 4)]);
        assert_eq!(lines.oldest(0), Some(1));
        assert_eq!(positions(&mut lines, 0), [1, 3]);
    }

    #[test]
    fn what_follows_is_given_once_the_first_is_gone() {
        let mut lines = lines(&[(A, 1), (A, 2)]);
        let first = lines.take(0).unwrap();
        assert_eq!(lines.behind(first), Some(2));
        assert_eq!(lines.take(0), None);
        assert!(lines.gone(first, Some(at(2)), 2, 9));
        let second = lines.take(9).unwrap();
        assert_eq!((second.position, second.since), (2, 9));
        assert_eq!(lines.behind(second), None);
        assert!(lines.gone(second, None, 2, 9));
        assert!(lines.lines.is_empty());
    }

    #[test]
    fn what_arrives_while_the_next_is_looked_for_is_not_forgotten() {
        let mut lines = lines(&[(A, 1)]);
        let first = lines.take(0).unwrap();
        lines.arrived(A, at(7), 0);
        assert!(!lines.gone(first, None, 1, 0), "more was seen");
        assert!(lines.gone(first, Some(at(7)), 7, 0));
        assert_eq!(positions(&mut lines, 0), [7]);
    }

    #[test]
    fn a_waiting_line_stays_at_its_head_and_stalls_no_other() {
        let mut lines = lines(&[(A, 1), (A, 2), (B, 3)]);
        lines.take(0).unwrap();
        lines.again(A, 100, 0);
        assert_eq!(positions(&mut lines, 99), [3]);
        assert_eq!(lines.next_due(), Some(100));
        assert_eq!(positions(&mut lines, 100), [1]);
    }

    #[test]
    fn a_line_fills_one_place_however_long_it_is() {
        let mut lines = Lines::new(2);
        for position in 0..100_000 {
            lines.arrived(A, at(position), 0);
        }
        assert!(!lines.is_full());
        lines.arrived(B, at(100_000), 0);
        assert!(lines.is_full());
        assert_eq!(positions(&mut lines, 0), [0, 100_000]);
    }

    #[test]
    fn a_message_of_the_future_waits_and_its_line_with_it() {
        let mut lines = Lines::new(4);
        let later = Next {
            position: 1,
            due: 50,
        };
        lines.arrived(A, later, 0);
        lines.arrived(A, at(2), 0);
        assert_eq!(lines.take(49), None);
        lines.look(A, 49);
        assert_eq!(positions(&mut lines, 49), [1], "somebody said to look");
    }

    #[test]
    fn what_is_seen_twice_is_there_once() {
        let mut lines = lines(&[(A, 1), (A, 1)]);
        assert_eq!(positions(&mut lines, 0), [1]);
    }
}
