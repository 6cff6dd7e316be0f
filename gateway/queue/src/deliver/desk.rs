//! What everybody shares who works on one queue.
//!
//! Owns whether the queue is paused, its lanes and its numbers, and puts them
//! together into one answer for each message: send it, or what else. Knows
//! nothing of tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;

use super::handler::Handler;
use super::handler::Outcome;
use super::lane::Admission;
use super::lane::Change;
use super::lane::Lane;
use super::lane::LaneState;
use super::lane::Sign;
use super::life::Stalls;
use super::life::lived;
use super::meaning::Tried;
use super::meaning::meant;
use super::numbers::Numbers;
use super::settings::QueueSettings;
use crate::clock::Clock;
use crate::message::Message;
use crate::store::Paused;
use crate::store::Progress;
use crate::store::Settled;
use crate::store::Store;

/// One queue, as it is worked on.
pub(super) struct Desk {
    pub(super) queue: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) clock: Clock,
    pub(super) numbers: Arc<Numbers>,
    /// Its worker looks again.
    pub(super) woken: Notify,
    state: Mutex<State>,
}

struct State {
    settings: Arc<QueueSettings>,
    paused: Option<Paused>,
    stalls: Stalls,
    /// By source.
    lanes: BTreeMap<String, Lane>,
}

/// What may be taken from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// As much as there is room for.
    Open,
    /// One, to try a target with.
    One,
    /// Nothing until then, in milliseconds since the Unix epoch, or until something changes.
    Shut(Option<u64>),
}

/// What is done with a message that was taken.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Its progress has its own time up to now.
    Send { progress: Progress, probe: bool },
    /// Without an attempt.
    Settle(Settled),
}

/// A lane as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneTold {
    /// The source's name.
    pub source: String,
    /// How it stands.
    pub state: LaneState,
    /// When a message is tried next, in milliseconds since the Unix epoch; none where one is being tried, or all flow.
    pub next_try_at: Option<u64>,
}

impl Desk {
    pub(super) fn new(
        queue: &str,
        store: Arc<dyn Store>,
        handler: Arc<dyn Handler>,
        clock: Clock,
    ) -> Self {
        Self {
            queue: queue.to_owned(),
            store,
            handler,
            clock,
            numbers: Arc::default(),
            woken: Notify::new(),
            state: Mutex::new(State {
                settings: Arc::default(),
                paused: None,
                stalls: Stalls::default(),
                lanes: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn settings(&self) -> Arc<QueueSettings> {
        self.state().settings.clone()
    }

    pub(super) fn configure(&self, settings: QueueSettings) {
        let mut state = self.state();
        if *state.settings != settings {
            state.settings = Arc::new(settings);
            self.woken.notify_one();
        }
    }

    pub(super) fn paused(&self) -> Option<Paused> {
        self.state().paused.clone()
    }

    pub(super) fn set_paused(&self, paused: Option<Paused>) {
        let mut state = self.state();
        if state.paused == paused {
            return;
        }
        match &paused {
            Some(paused) => state.stalls.stop(paused.since),
            None => state.stalls.go_on(self.clock.now()),
        }
        state.paused = paused;
        self.woken.notify_one();
    }

    /// An operator says that its targets work again.
    pub(super) fn reset_lanes(&self) {
        let now = self.clock.now();
        for lane in self.state().lanes.values_mut() {
            lane.reset(now);
        }
        self.woken.notify_one();
    }

    pub(super) fn lanes(&self) -> Vec<LaneTold> {
        let told = |(source, lane): (&String, &Lane)| LaneTold {
            source: source.clone(),
            state: lane.state(),
            next_try_at: lane.free_at().filter(|at| *at > 0),
        };
        self.state().lanes.iter().map(told).collect()
    }

    pub(super) fn gate(&self) -> Gate {
        self.state().gate(self.clock.now())
    }

    /// What is done now with one that was taken. Whoever sends it must say how it went.
    pub(super) fn judge(&self, message: &Message, progress: &Progress) -> Step {
        let now = self.clock.now();
        let state = &mut *self.state();
        let gate = state.gate(now);
        if state.paused.is_some() {
            return Step::Settle(Settled::Returned);
        }
        let lane = state.lanes.entry(message.source.clone()).or_default();
        let progress = lived(message, progress, [&state.stalls, &lane.stalls], now);
        if progress.lived >= message.ttl {
            let reason = crate::store::Reason::Expired;
            return Step::Settle(Settled::Dead { progress, reason });
        }
        match (lane.admit(now), gate) {
            (Admission::Free, _) => Step::Send {
                progress,
                probe: false,
            },
            (Admission::Probe, _) => Step::Send {
                progress,
                probe: true,
            },
            // Nothing is taken meanwhile.
            (Admission::Wait(_), Gate::Shut(_)) => Step::Settle(Settled::Returned),
            (Admission::Wait(due), _) => Step::Settle(parked(progress, due)),
        }
    }

    /// An attempt has ended: what it means for its message and for those after it. None where it was cut off.
    pub(super) fn ended(
        &self,
        message: &Message,
        progress: &Progress,
        probe: bool,
        outcome: Option<Outcome>,
    ) -> (Settled, Change) {
        let now = self.clock.now();
        let state = &mut *self.state();
        let lane = state.lanes.entry(message.source.clone()).or_default();
        let Some(outcome) = outcome else {
            let change = lane.ended(message.id, probe, Sign::None, now);
            return (Settled::Returned, change);
        };
        let sign = sign(&outcome);
        let tried = Tried {
            message,
            progress: lived(message, progress, [&state.stalls, &lane.stalls], now),
            probe,
            others_accepted: lane.accepted_since(message.id),
            now,
            chance: rand::random(),
        };
        let mut settled = meant(outcome, tried);
        let sign = match (&settled, sign) {
            // The message is at fault, not who sends it.
            (Settled::Dead { .. }, Sign::Denies) => Sign::None,
            (_, sign) => sign,
        };
        let change = lane.ended(message.id, probe, sign, now);
        match &mut settled {
            Settled::Again { due, .. } => *due = lane.behind().map_or(*due, |it| it.max(*due)),
            Settled::Delivered(_) | Settled::Dead { .. } => lane.forget(message.id),
            Settled::Returned => {}
        }
        if change != Change::None {
            self.woken.notify_one();
        }
        (settled, change)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn gate(&self, now: u64) -> Gate {
        if self.paused.is_some() {
            return Gate::Shut(None);
        }
        let sources = self.settings.sources.iter();
        let lanes = sources.map(|source| self.lanes.get(source));
        let mut next = None;
        for lane in lanes.clone() {
            match lane.filter(|lane| lane.state() != LaneState::Flows) {
                None => return Gate::Open,
                Some(lane) => next = next.into_iter().chain(lane.free_at()).min(),
            }
        }
        match (lanes.len(), next) {
            (0, _) => Gate::Open,
            (_, Some(at)) if at <= now => Gate::One,
            (_, next) => Gate::Shut(next),
        }
    }
}

/// Untouched; its own time goes on when it is due.
fn parked(progress: Progress, due: u64) -> Settled {
    Settled::Again {
        progress: Progress {
            active_since: due,
            ..progress
        },
        due,
    }
}

fn sign(outcome: &Outcome) -> Sign {
    match outcome {
        Outcome::Delivered | Outcome::Refused(_) => Sign::Accepts,
        Outcome::Again { down: true, .. } => Sign::Down,
        Outcome::Again { down: false, .. } => Sign::Answers,
        Outcome::Denied(_) => Sign::Denies,
        Outcome::NotSent { .. } => Sign::None,
    }
}
