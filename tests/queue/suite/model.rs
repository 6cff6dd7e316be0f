//! Random operations on a store, and on a plain model of it: they agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use queue::Message;
use queue::Store;
use queue::store::Claim;
use queue::store::Limits;
use queue::store::NotRetried;
use queue::store::NotSettled;
use queue::store::Paused;
use queue::store::Progress;
use queue::store::Reason;
use queue::store::Refused;
use queue::store::Settled;
use queue::store::Status;
use uuid::Uuid;

use super::Harness;
use super::append_all;
use super::messages::MINUTE;
use super::messages::deduplicated;
use super::messages::message;
use super::messages::now;
use super::messages::tried;
use super::soon;
use super::take;

const QUEUES: [&str; 2] = ["a", "b"];
const KEYS: [Option<&str>; 3] = [None, Some("k"), Some("l")];

/// One operation; numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Append {
        queue: usize,
        key: usize,
        blocks: bool,
        /// Which value, and which payload.
        dedupe: Option<(u8, u8)>,
    },
    Take {
        queue: usize,
        most: usize,
    },
    Settle {
        which: usize,
        how: How,
    },
    Retry {
        which: usize,
        force: bool,
    },
    Purge {
        which: usize,
    },
    Pause {
        queue: usize,
        paused: bool,
    },
    Kill,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    Delivered,
    Again,
    Dead,
    Returned,
}

pub(crate) fn operations(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    let append = (0..2_usize, 0..3_usize, any::<bool>(), dedupe());
    let append = append.prop_map(|(queue, key, blocks, dedupe)| Operation::Append {
        queue,
        key,
        blocks,
        dedupe,
    });
    let take = (0..2_usize, 1..4_usize).prop_map(|(queue, most)| Operation::Take { queue, most });
    let how = prop_oneof![
        3 => Just(How::Delivered),
        2 => Just(How::Again),
        3 => Just(How::Dead),
        1 => Just(How::Returned),
    ];
    let settle = (any::<usize>(), how).prop_map(|(which, how)| Operation::Settle { which, how });
    let retry = (any::<usize>(), any::<bool>());
    let retry = retry.prop_map(|(which, force)| Operation::Retry { which, force });
    let purge = any::<usize>().prop_map(|which| Operation::Purge { which });
    let pause = (0..2_usize, any::<bool>());
    let pause = pause.prop_map(|(queue, paused)| Operation::Pause { queue, paused });
    let operation = prop_oneof![
        8 => append,
        8 => take,
        8 => settle,
        2 => retry,
        1 => purge,
        1 => pause,
        1 => Just(Operation::Kill),
    ];
    prop::collection::vec(operation, 1..most)
}

fn dedupe() -> impl Strategy<Value = Option<(u8, u8)>> {
    prop_oneof![3 => Just(None), 1 => (0..2_u8, 0..2_u8).prop_map(Some)]
}

/// Runs the operations on both; they must agree at every step and in the end.
pub(crate) async fn agree(harness: &mut dyn Harness, operations: &[Operation]) {
    let store = harness.open(Limits::default()).await;
    let mut both = Both {
        store,
        model: Model::default(),
        hands: Vec::new(),
    };
    for operation in operations {
        if let Operation::Kill = operation {
            harness.kill(both.store).await;
            both.store = harness.open(Limits::default()).await;
            both.model.forget_claims();
        } else {
            both.apply(operation).await;
        }
        both.compare().await;
    }
}

struct Both {
    store: Arc<dyn Store>,
    model: Model,
    /// All claims that were ever given, and what came with them.
    hands: Vec<(Claim, Progress)>,
}

#[derive(Default)]
struct Model {
    /// In the order of their lines: one that is put back at the end gets a new place.
    messages: BTreeMap<u64, Entry>,
    deduplicated: BTreeMap<(usize, u8), (Uuid, u8)>,
    next: u64,
    dead: Vec<Uuid>,
    paused: [bool; 2],
}

#[derive(Debug, Clone)]
struct Entry {
    message: Message,
    queue: usize,
    state: State,
    attempts: u32,
    failed: bool,
    /// A later one of its key was delivered since it died.
    left_behind: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Taken(u64),
    Delivered,
    Dead { blocks: bool },
}

impl Both {
    async fn apply(&mut self, operation: &Operation) {
        match operation.clone() {
            Operation::Append {
                queue,
                key,
                blocks,
                dedupe,
            } => self.append(queue, KEYS[key], blocks, dedupe).await,
            Operation::Take { queue, most } => self.take(queue, most).await,
            Operation::Settle { which, how } => self.settle(which, how).await,
            Operation::Retry { which, force } => self.retry(which, force).await,
            Operation::Purge { which } => self.purge(which).await,
            Operation::Pause { queue, paused } => {
                let pause = paused.then(|| Paused {
                    reason: "a test".into(),
                    since: now(),
                    by_operator: true,
                });
                let done = soon(self.store.set_paused(QUEUES[queue], pause)).await;
                done.expect("it is paused");
                self.model.paused[queue] = paused;
            }
            Operation::Kill => {}
        }
    }

    async fn append(
        &mut self,
        queue: usize,
        key: Option<&str>,
        blocks: bool,
        dedupe: Option<(u8, u8)>,
    ) {
        let name = QUEUES[queue];
        let base = match dedupe {
            None => message(name),
            Some((key, payload)) => {
                deduplicated(name, &key.to_string(), &payload.to_string(), 60 * MINUTE)
            }
        };
        let message = Message {
            key: key.map(str::to_owned),
            blocks,
            ..base
        };
        let answer = append_all(&*self.store, vec![message.clone()])
            .await
            .remove(0);
        let earlier = dedupe.and_then(|(value, _)| self.model.deduplicated.get(&(queue, value)));
        match (earlier, dedupe) {
            (Some((id, payload)), Some((_, same))) if *payload == same => {
                let receipt = answer.expect("it is a duplicate");
                assert!(receipt.duplicate);
                assert_eq!(receipt.id, *id);
                assert_eq!(Some(receipt.status), self.model.status(*id));
            }
            (Some(_), _) => assert_eq!(answer, Err(Refused::Conflict)),
            (None, _) => {
                let receipt = answer.expect("it is accepted");
                assert!(!receipt.duplicate);
                if let Some((value, payload)) = dedupe {
                    let first = (message.id, payload);
                    self.model.deduplicated.insert((queue, value), first);
                }
                self.model.append(message, queue);
            }
        }
    }

    async fn take(&mut self, queue: usize, most: usize) {
        let ready = self.model.ready(queue);
        if ready.is_empty() {
            return;
        }
        let taken = take(&*self.store, QUEUES[queue], most).await;
        assert!(!taken.is_empty() && taken.len() <= most);
        for taken in taken {
            let place = self.model.place(taken.claim.id).expect("it is known");
            assert!(ready.contains(&place), "it was not the first of its line");
            let entry = self.model.entry(place);
            assert_eq!(taken.message, entry.message);
            assert_eq!(taken.progress.attempts, entry.attempts);
            entry.state = State::Taken(taken.claim.token);
            self.hands.push((taken.claim, taken.progress));
        }
    }

    async fn settle(&mut self, which: usize, how: How) {
        if self.hands.is_empty() {
            return;
        }
        let (claim, progress) = self.hands[which % self.hands.len()].clone();
        let settled = match how {
            How::Delivered => Settled::Delivered(progress.clone()),
            How::Again => Settled::Again {
                progress: tried(&progress, "UPSTREAM_TIMEOUT"),
                due: now(),
            },
            How::Dead => Settled::Dead {
                progress: progress.clone(),
                reason: Reason::Refused,
            },
            How::Returned => Settled::Returned,
        };
        let done = soon(self.store.settle(claim.clone(), settled)).await;
        let place = self.model.place(claim.id);
        let held = place.filter(|it| self.model.messages[it].state == State::Taken(claim.token));
        match held {
            None => assert_eq!(done, Err(NotSettled::Lost)),
            Some(place) => {
                assert_eq!(done, Ok(()));
                self.model.settle(place, how);
            }
        }
    }

    async fn retry(&mut self, which: usize, force: bool) {
        let Some(id) = self.model.any(which) else {
            return;
        };
        let done = soon(self.store.retry(id, force)).await;
        assert_eq!(done, self.model.retry(id, force));
    }

    async fn purge(&mut self, which: usize) {
        let Some(id) = self.model.any(which) else {
            return;
        };
        let done = soon(self.store.purge(id)).await;
        assert_eq!(done, Ok(self.model.purge(id)));
    }

    async fn compare(&self) {
        for entry in self.model.messages.values() {
            let id = entry.message.id;
            let found = soon(self.store.find(id)).await.unwrap().unwrap();
            assert_eq!(Some(found.status), self.model.status(id), "{entry:?}");
            assert_eq!(found.attempts, entry.attempts);
        }
        let letters = soon(self.store.dead_letters(None, None, 1_000)).await;
        let letters = letters.unwrap();
        let dead = letters.iter().map(|it| it.delivery.id);
        assert_eq!(dead.collect::<Vec<_>>(), self.model.dead);
        let depths = soon(self.store.depths()).await.unwrap();
        for (queue, name) in QUEUES.iter().enumerate() {
            let depth = depths.iter().find(|it| it.queue == *name);
            let of_queue = self.model.messages.values().filter(|it| it.queue == queue);
            let waiting = of_queue.clone().filter(|it| it.waits()).count();
            let dead = of_queue.filter(|it| it.is_dead()).count();
            let counted = depth.map_or((0, 0, false), |depth| {
                (depth.waiting, depth.dead, depth.paused.is_some())
            });
            let expected = (waiting as u64, dead as u64, self.model.paused[queue]);
            assert_eq!(counted, expected);
        }
    }
}

impl Entry {
    fn waits(&self) -> bool {
        matches!(self.state, State::Waiting | State::Taken(_))
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead { .. })
    }

    fn is_of(&self, other: &Entry) -> bool {
        self.message.key.is_some()
            && (self.queue, &self.message.key) == (other.queue, &other.message.key)
    }
}

impl Model {
    fn append(&mut self, message: Message, queue: usize) {
        let entry = Entry {
            message,
            queue,
            state: State::Waiting,
            attempts: 0,
            failed: false,
            left_behind: false,
        };
        self.messages.insert(self.next, entry);
        self.next += 1;
    }

    fn place(&self, id: Uuid) -> Option<u64> {
        let found = self.messages.iter().find(|(_, it)| it.message.id == id);
        found.map(|(place, _)| *place)
    }

    fn entry(&mut self, place: u64) -> &mut Entry {
        self.messages.get_mut(&place).expect("it is there")
    }

    fn any(&self, which: usize) -> Option<Uuid> {
        let count = self.messages.len();
        let entry = self.messages.values().nth(which.checked_rem(count)?);
        entry.map(|entry| entry.message.id)
    }

    fn status(&self, id: Uuid) -> Option<Status> {
        let entry = self.messages.values().find(|it| it.message.id == id)?;
        Some(match entry.state {
            State::Waiting if entry.failed => Status::Retrying,
            State::Waiting => Status::Queued,
            State::Taken(_) => Status::Delivering,
            State::Delivered => Status::Delivered,
            State::Dead { .. } => Status::DeadLettered,
        })
    }

    /// The first of their lines.
    fn ready(&self, queue: usize) -> Vec<u64> {
        if self.paused[queue] {
            return Vec::new();
        }
        let waits = |entry: &Entry| entry.queue == queue && entry.state == State::Waiting;
        let is_first = |place: u64, entry: &Entry| {
            let mut before = self.messages.range(..place);
            let holds = |it: &Entry| it.waits() || it.state == State::Dead { blocks: true };
            !before.any(|(_, it)| it.is_of(entry) && holds(it))
        };
        let waiting = self.messages.iter().filter(|(_, it)| waits(it));
        let first = waiting.filter(|(place, it)| is_first(**place, it));
        first.map(|(place, _)| *place).collect()
    }

    fn settle(&mut self, place: u64, how: How) {
        let entry = self.entry(place).clone();
        let changed = self.entry(place);
        match how {
            How::Returned => changed.state = State::Waiting,
            How::Again => {
                changed.state = State::Waiting;
                changed.attempts += 1;
                changed.failed = true;
            }
            How::Delivered => {
                changed.state = State::Delivered;
                for (_, earlier) in self.messages.range_mut(..place) {
                    earlier.left_behind |= earlier.is_of(&entry) && earlier.is_dead();
                }
            }
            How::Dead => {
                let blocks = entry.message.blocks && entry.message.key.is_some();
                changed.state = State::Dead { blocks };
                self.dead.push(entry.message.id);
            }
        }
    }

    fn retry(&mut self, id: Uuid, force: bool) -> Result<(), NotRetried> {
        let place = self.place(id).ok_or(NotRetried::Unknown)?;
        let entry = self.messages[&place].clone();
        let State::Dead { blocks } = entry.state else {
            return Err(NotRetried::Unknown);
        };
        let mut later = self.messages.range(place + 1..);
        let followed = later.any(|(_, it)| {
            it.is_of(&entry) && (it.waits() || it.state == State::Dead { blocks: true })
        });
        if !force && !blocks && (followed || entry.left_behind) {
            return Err(NotRetried::MovedOn);
        }
        self.dead.retain(|dead| *dead != id);
        self.messages.remove(&place);
        let again = Entry {
            state: State::Waiting,
            attempts: 0,
            failed: false,
            left_behind: false,
            ..entry
        };
        let place = match blocks {
            true => place,
            false => self.next,
        };
        self.next += 1;
        self.messages.insert(place, again);
        Ok(())
    }

    fn purge(&mut self, id: Uuid) -> bool {
        let Some(place) = self.place(id).filter(|it| self.messages[it].is_dead()) else {
            return false;
        };
        self.messages.remove(&place);
        self.dead.retain(|dead| *dead != id);
        self.deduplicated.retain(|_, (first, _)| *first != id);
        true
    }

    fn forget_claims(&mut self) {
        for entry in self.messages.values_mut() {
            if let State::Taken(_) = entry.state {
                entry.state = State::Waiting;
            }
        }
    }
}
