//! Which messages are in somebody's hands. In memory alone: after a crash none is.
//!
//! Also who waits: for something to take, or for news of a message.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;

use crate::store::Claim;

/// News are told to all who wait for one of as many: their number does not grow with the messages.
const BELLS: usize = 256;

/// A message in somebody's hands, and where it stands in the table of what is due.
#[derive(Debug, Clone)]
pub(super) struct Held {
    token: u64,
    /// It is being written how it went.
    settling: bool,
    pub(super) queue: String,
    pub(super) due: u64,
    pub(super) place: u64,
    pub(super) line: u128,
}

/// All messages in somebody's hands.
#[derive(Debug)]
pub(super) struct Claims {
    held: HashMap<u128, Held>,
    last_token: u64,
}

impl Claims {
    /// No claim of an earlier process is one of these: their tokens begin with the time.
    pub(super) fn since(now: u64) -> Self {
        Self {
            held: HashMap::new(),
            last_token: now << 20,
        }
    }

    pub(super) fn is_taken(&self, id: u128) -> bool {
        self.held.contains_key(&id)
    }

    pub(super) fn take(&mut self, id: u128, queue: &str, at: (u64, u64), line: u128) -> u64 {
        self.last_token += 1;
        let held = Held {
            token: self.last_token,
            settling: false,
            queue: queue.to_owned(),
            due: at.0,
            place: at.1,
            line,
        };
        self.held.insert(id, held);
        self.last_token
    }

    pub(super) fn is_held(&self, claim: &Claim) -> bool {
        let held = self.held.get(&claim.id.as_u128());
        held.is_some_and(|held| held.token == claim.token && held.queue == claim.queue)
    }

    /// Nobody else settles it from now on.
    pub(super) fn settle(&mut self, claim: &Claim) -> Option<Held> {
        if !self.is_held(claim) {
            return None;
        }
        let held = self.held.get_mut(&claim.id.as_u128())?;
        let first = !std::mem::replace(&mut held.settling, true);
        first.then(|| held.clone())
    }

    /// It was not written.
    pub(super) fn unsettle(&mut self, id: u128) {
        if let Some(held) = self.held.get_mut(&id) {
            held.settling = false;
        }
    }

    pub(super) fn release(&mut self, id: u128) -> Option<String> {
        self.held.remove(&id).map(|held| held.queue)
    }

    /// Gives back what nobody has received.
    pub(super) fn give_back(&mut self, claim: &Claim) {
        let id = claim.id.as_u128();
        let unused = |held: &Held| held.token == claim.token && !held.settling;
        if self.held.get(&id).is_some_and(unused) {
            self.held.remove(&id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
    }
}

/// Who waits for what.
#[derive(Debug)]
pub(super) struct Bells {
    queues: Mutex<HashMap<String, Arc<Notify>>>,
    messages: Vec<Notify>,
}

impl Default for Bells {
    fn default() -> Self {
        Self {
            queues: Mutex::default(),
            messages: (0..BELLS).map(|_| Notify::new()).collect(),
        }
    }
}

impl Bells {
    pub(super) fn queue(&self, queue: &str) -> Arc<Notify> {
        let mut queues = lock(&self.queues);
        if let Some(bell) = queues.get(queue) {
            return Arc::clone(bell);
        }
        Arc::clone(queues.entry(queue.to_owned()).or_default())
    }

    pub(super) fn message(&self, id: u128) -> &Notify {
        &self.messages[(id % BELLS as u128) as usize]
    }

    pub(super) fn ring(&self, queues: &BTreeSet<String>, messages: &[u128]) {
        let waiting = lock(&self.queues);
        for bell in queues.iter().filter_map(|queue| waiting.get(queue)) {
            bell.notify_waiters();
        }
        drop(waiting);
        self.ring_messages(messages.iter().copied());
    }

    pub(super) fn ring_messages(&self, ids: impl Iterator<Item = u128>) {
        ids.for_each(|id| self.message(id).notify_waiters());
    }

    pub(super) fn ring_all(&self) {
        let waiting = lock(&self.queues);
        waiting.values().for_each(|bell| bell.notify_waiters());
        self.messages.iter().for_each(Notify::notify_waiters);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
