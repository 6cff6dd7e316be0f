//! The way from one queue to one source: open to all, or left in peace.
//!
//! Owns the deliveries' breaker and what follows a denial. Both close the lane
//! for a while and then try one message; what is tried tells how it goes on.
//! Only failures of several different messages say that a target is down, and
//! a message that just failed is tried after the others: one alone can neither
//! close a lane nor keep it closed.

use std::collections::HashMap;
use std::collections::VecDeque;

use uuid::Uuid;

use super::life::Stalls;

/// So many different messages in a row, and none that was delivered.
const ROW: usize = 5;
/// Different messages in the window; fewer say nothing of a rate.
const FEWEST: usize = 20;
/// Of the window.
const LATEST: usize = 200;
/// Milliseconds of the window.
const WINDOW: u64 = 60_000;
/// Milliseconds that a target that is down is left in peace; n times as long the nth time in a row.
const PEACE: u64 = 5_000;
const LONGEST_PEACE: u64 = 60_000;
/// Milliseconds until it is tried whether a denied queue is accepted again; doubled each time.
const DENIED: u64 = 30_000;
const LONGEST_DENIED: u64 = 300_000;
/// Until the next probe, where one could not be sent.
const UNSENT: u64 = 1_000;
/// By how much a message that was not delivered comes after the others that wait for the same lane.
pub(super) const BEHIND: u64 = 2_000;

/// What an attempt says of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It looked at the message and took or refused it.
    Accepts,
    /// It answers, and had something to say against this one.
    Answers,
    /// It was not reached, or does not work.
    Down,
    /// It does not accept who asks.
    Denies,
    /// Nothing.
    None,
}

/// Whether a message may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Like all others.
    Free,
    /// To see whether the target is well again.
    Probe,
    /// No earlier than this, in milliseconds since the Unix epoch.
    Wait(u64),
}

/// What changed with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The target is down, and is left in peace.
    Opened,
    /// The target does not accept who asks.
    Denied,
    /// It goes on.
    Closed,
}

/// How a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneState {
    /// Messages flow.
    Flows,
    /// The target is down: it is left in peace.
    Down,
    /// The target does not accept the gateway's credentials.
    Denied,
}

impl LaneState {
    /// `flows`, `down` or `denied`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Down => "down",
            Self::Denied => "denied",
        }
    }
}

/// Of one queue to one source.
#[derive(Debug, Default)]
pub(super) struct Lane {
    closed: Option<Closed>,
    /// How often it was closed since messages flowed last.
    times: u32,
    /// Different messages that failed since one was delivered.
    row: Vec<Uuid>,
    window: VecDeque<Ended>,
    /// Messages that the target accepted.
    accepted: u64,
    /// How many those were when a message was denied last; of messages that wait still.
    denials: HashMap<Uuid, u64>,
    pub(super) stalls: Stalls,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    denied: bool,
    until: u64,
    probing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    id: Uuid,
    at: u64,
    failed: bool,
}

impl Lane {
    /// Whether one may be sent now. A probe must be followed by its sign.
    pub(super) fn admit(&mut self, now: u64) -> Admission {
        match &mut self.closed {
            None => Admission::Free,
            Some(closed) if closed.probing => Admission::Wait(now.max(closed.until) + BEHIND),
            Some(closed) if closed.until > now => Admission::Wait(closed.until),
            Some(closed) => {
                closed.probing = true;
                Admission::Probe
            }
        }
    }

    /// When one may be tried: none while one is, and at once where all may.
    pub(super) fn free_at(&self) -> Option<u64> {
        match &self.closed {
            None => Some(0),
            Some(closed) if closed.probing => None,
            Some(closed) => Some(closed.until),
        }
    }

    /// When a message that was just tried may be again.
    pub(super) fn behind(&self) -> Option<u64> {
        self.closed.map(|closed| closed.until + BEHIND)
    }

    pub(super) fn state(&self) -> LaneState {
        match self.closed {
            None => LaneState::Flows,
            Some(Closed { denied: true, .. }) => LaneState::Denied,
            Some(_) => LaneState::Down,
        }
    }

    /// Whether others were accepted since this one was denied last.
    pub(super) fn accepted_since(&self, denied: Uuid) -> bool {
        self.accepted > self.denials.get(&denied).copied().unwrap_or(0)
    }

    /// A message left the queue.
    pub(super) fn forget(&mut self, id: Uuid) {
        self.denials.remove(&id);
    }

    /// An operator says that it goes on.
    pub(super) fn reset(&mut self, now: u64) {
        self.flow(now);
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, id: Uuid, probe: bool, sign: Sign, now: u64) -> Change {
        match sign {
            Sign::Accepts => self.accepted += 1,
            Sign::Denies => drop(self.denials.insert(id, self.accepted)),
            Sign::Answers | Sign::Down | Sign::None => {}
        }
        match self.closed {
            Some(closed) if probe => self.probed(closed, sign, now),
            // It began before the lane was closed.
            Some(_) => Change::None,
            None => self.flowed(id, sign, now),
        }
    }

    fn probed(&mut self, closed: Closed, sign: Sign, now: u64) -> Change {
        match (sign, closed.denied) {
            (Sign::Accepts, _) | (Sign::Answers, false) => {
                self.flow(now);
                Change::Closed
            }
            (Sign::Denies, _) => self.close(true, now),
            (Sign::Down, false) => self.close(false, now),
            // Neither says anything of credentials.
            (Sign::Down | Sign::Answers, true) => {
                self.wait(true, wait(true, self.times), now);
                Change::None
            }
            (Sign::None, denied) => {
                self.wait(denied, UNSENT, now);
                Change::None
            }
        }
    }

    fn flowed(&mut self, id: Uuid, sign: Sign, now: u64) -> Change {
        match sign {
            Sign::Denies => return self.close(true, now),
            Sign::Answers | Sign::None => return Change::None,
            Sign::Accepts => self.row.clear(),
            Sign::Down if self.row.contains(&id) => {}
            Sign::Down => self.row.push(id),
        }
        let failed = sign == Sign::Down;
        self.note(Ended {
            id,
            at: now,
            failed,
        });
        match failed && (self.row.len() >= ROW || self.mostly_fails(now)) {
            true => self.close(false, now),
            false => Change::None,
        }
    }

    fn note(&mut self, ended: Ended) {
        if self.window.len() == LATEST {
            self.window.pop_front();
        }
        self.window.push_back(ended);
    }

    /// Of different messages, by what each came to last.
    fn mostly_fails(&self, now: u64) -> bool {
        let recent = self.window.iter().filter(|it| it.at + WINDOW > now);
        let last: HashMap<Uuid, bool> = recent.map(|it| (it.id, it.failed)).collect();
        let failed = last.values().filter(|failed| **failed).count();
        last.len() >= FEWEST && 2 * failed >= last.len()
    }

    fn close(&mut self, denied: bool, now: u64) -> Change {
        self.times = match self.closed {
            Some(closed) if closed.denied == denied => self.times.saturating_add(1),
            _ => 1,
        };
        self.wait(denied, wait(denied, self.times), now);
        self.stalls.stop(now);
        match denied {
            true => Change::Denied,
            false => Change::Opened,
        }
    }

    fn wait(&mut self, denied: bool, wait: u64, now: u64) {
        self.closed = Some(Closed {
            denied,
            until: now.saturating_add(wait),
            probing: false,
        });
    }

    fn flow(&mut self, now: u64) {
        self.closed = None;
        self.times = 0;
        self.row.clear();
        self.window.clear();
        self.stalls.go_on(now);
    }
}

/// The nth time in a row, in milliseconds.
fn wait(denied: bool, times: u32) -> u64 {
    match denied {
        false => (PEACE * u64::from(times)).min(LONGEST_PEACE),
        true => (DENIED << times.saturating_sub(1).min(16)).min(LONGEST_DENIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// One attempt of a message at an open lane.
    fn ends(lane: &mut Lane, number: u128, sign: Sign) -> Change {
        assert_eq!(lane.admit(1), Admission::Free);
        lane.ended(id(number), false, sign, 1)
    }

    fn down() -> Lane {
        let mut lane = Lane::default();
        for number in 0..4 {
            assert_eq!(ends(&mut lane, number, Sign::Down), Change::None);
        }
        assert_eq!(ends(&mut lane, 4, Sign::Down), Change::Opened);
        lane
    }

    /// Fails each probe so many times; how long each wait was.
    fn waits(lane: &mut Lane, sign: Sign, times: usize) -> Vec<u64> {
        let mut now = 1;
        let mut waits = Vec::new();
        for number in 0..times {
            let Admission::Wait(until) = lane.admit(now) else {
                panic!("it is not closed");
            };
            waits.push((until - now) / 1_000);
            now = until;
            assert_eq!(lane.admit(now), Admission::Probe);
            lane.ended(id(number as u128), true, sign, now);
        }
        waits
    }

    #[test]
    fn five_different_messages_in_a_row_open_it() {
        assert_eq!(down().state(), LaneState::Down);
    }

    #[test]
    fn one_message_opens_nothing_however_often_it_fails() {
        let mut lane = Lane::default();
        for _ in 0..1_000 {
            assert_eq!(ends(&mut lane, 1, Sign::Down), Change::None);
        }
        for number in 2..5 {
            assert_eq!(ends(&mut lane, number, Sign::Down), Change::None);
        }
        // One that arrives ends the row.
        assert_eq!(ends(&mut lane, 9, Sign::Accepts), Change::None);
        assert_eq!(ends(&mut lane, 5, Sign::Down), Change::None);
    }

    #[test]
    fn half_of_twenty_different_messages_open_it_though_others_arrive() {
        let mut lane = Lane::default();
        for number in 0..19 {
            let sign = match number % 2 {
                0 => Sign::Accepts,
                _ => Sign::Down,
            };
            assert_eq!(ends(&mut lane, number, sign), Change::None);
        }
        assert_eq!(ends(&mut lane, 20, Sign::Down), Change::Opened);
    }

    #[test]
    fn what_says_nothing_of_the_target_is_not_counted() {
        let mut lane = Lane::default();
        for number in 0..100 {
            assert_eq!(ends(&mut lane, number, Sign::Answers), Change::None);
            assert_eq!(ends(&mut lane, number, Sign::None), Change::None);
        }
    }

    #[test]
    fn it_is_left_in_peace_for_longer_each_time_and_then_one_tries() {
        let mut lane = down();
        let waited = waits(&mut lane, Sign::Down, 14);
        assert_eq!(
            waited,
            [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60]
        );
        let Admission::Wait(until) = lane.admit(1) else {
            panic!("it is closed");
        };
        assert_eq!(lane.admit(until), Admission::Probe);
        assert_eq!(lane.admit(until), Admission::Wait(until + BEHIND));
        let closed = lane.ended(id(1), true, Sign::Answers, until);
        assert_eq!(closed, Change::Closed);
        assert_eq!(lane.admit(until), Admission::Free);
        let open = ends(&mut lane, 1, Sign::Down);
        assert_eq!(open, Change::None, "it begins anew");
    }

    #[test]
    fn a_denial_closes_it_at_once_and_only_what_is_accepted_opens_it() {
        let mut lane = Lane::default();
        assert_eq!(ends(&mut lane, 1, Sign::Denies), Change::Denied);
        assert_eq!(
            waits(&mut lane, Sign::Denies, 6),
            [30, 60, 120, 240, 300, 300]
        );
        let mut lane = Lane::default();
        ends(&mut lane, 1, Sign::Denies);
        assert_eq!(waits(&mut lane, Sign::Down, 2), [30, 30]);
        assert_eq!(waits(&mut lane, Sign::None, 1), [90]);
        assert_eq!(lane.state(), LaneState::Denied);
        let now = 1_000_000;
        assert_eq!(lane.admit(now), Admission::Probe);
        assert_eq!(lane.ended(id(2), true, Sign::Accepts, now), Change::Closed);
    }

    #[test]
    fn a_probe_that_could_not_be_sent_is_soon_followed_by_another() {
        let mut lane = down();
        assert_eq!(lane.admit(10_000), Admission::Probe);
        lane.ended(id(1), true, Sign::None, 10_000);
        assert_eq!(lane.admit(10_000), Admission::Wait(11_000));
    }

    #[test]
    fn what_began_before_it_was_closed_changes_nothing() {
        let mut lane = down();
        assert_eq!(lane.ended(id(9), false, Sign::Accepts, 2), Change::None);
        assert_eq!(lane.ended(id(9), false, Sign::Denies, 2), Change::None);
        assert_eq!(lane.state(), LaneState::Down);
    }

    #[test]
    fn it_is_known_whether_others_were_accepted_since_a_denial() {
        let mut lane = Lane::default();
        assert!(!lane.accepted_since(id(1)));
        ends(&mut lane, 2, Sign::Accepts);
        assert!(lane.accepted_since(id(1)));
        ends(&mut lane, 1, Sign::Denies);
        assert!(!lane.accepted_since(id(1)));
        lane.reset(2);
        ends(&mut lane, 3, Sign::Accepts);
        assert!(lane.accepted_since(id(1)));
        lane.forget(id(1));
        assert!(lane.denials.is_empty());
    }
}
