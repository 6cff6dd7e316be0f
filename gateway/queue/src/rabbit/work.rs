//! What this process works on: the partitions it owns, and what it has in hand.
//!
//! Owns the memory of it, and nothing that is stored.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// How long the reading of what was there at first is waited for at most, so that the oldest is given first.
const AT_FIRST: Duration = Duration::from_secs(1);

/// What this process works on.
#[derive(Default)]
pub(super) struct Work {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queues: HashMap<String, Queue>,
    held: HashMap<u64, Held>,
    last_token: u64,
}

#[derive(Default)]
struct Queue {
    parts: BTreeMap<u32, Part>,
    /// Something may be there to take.
    signal: Arc<Notify>,
}

/// A partition that this process owns.
pub(super) struct Part {
    pub(super) queue: String,
    pub(super) partition: u32,
    /// Tells its owners apart.
    pub(super) fence: String,
    /// Since when.
    pub(super) since: Instant,
    /// It is given to another when nothing is in hand any more, or then.
    pub(super) leaving: Option<Instant>,
    /// Who reads it is told here what is over.
    pub(super) over: mpsc::UnboundedSender<Uuid>,
    /// Ends when `over` is dropped.
    pub(super) reader: JoinHandle<()>,
}

/// Partitions from which may be taken.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Number and fence of each.
    pub(super) fences: Vec<(u32, String)>,
    /// Some were not owned a moment ago, and may have to be read first.
    pub(super) are_new: bool,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) queue: String,
    pub(super) partition: u32,
    /// What Redis knows this claim by.
    pub(super) token: String,
}

/// How this process stands to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) fence: String,
    pub(super) leaving: Option<Instant>,
    pub(super) out: usize,
}

impl Work {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue is delivered from now on; whether that is new. And what tells that there may be something.
    pub(super) fn serve(&self, queue: &str) -> (bool, Arc<Notify>) {
        let mut inner = self.lock();
        if let Some(known) = inner.queues.get(queue) {
            return (false, known.signal.clone());
        }
        let known = inner.queues.entry(queue.into()).or_default();
        (true, known.signal.clone())
    }

    /// The queues that this process delivers.
    pub(super) fn queues(&self) -> Vec<String> {
        self.lock().queues.keys().cloned().collect()
    }

    /// There may be something to take.
    pub(super) fn wake(&self, queue: &str) {
        if let Some(known) = self.lock().queues.get(queue) {
            known.signal.notify_waiters();
        }
    }

    /// Wakes those who take from any queue.
    pub(super) fn wake_all(&self) {
        for queue in self.lock().queues.values() {
            queue.signal.notify_waiters();
        }
    }

    /// The partitions of a queue from which this process may take.
    pub(super) fn parts(&self, queue: &str) -> Parts {
        let inner = self.lock();
        let mut parts = Parts::default();
        let Some(known) = inner.queues.get(queue) else {
            return parts;
        };
        for part in known.parts.values().filter(|it| it.leaving.is_none()) {
            parts.fences.push((part.partition, part.fence.clone()));
            parts.are_new |= part.since.elapsed() < AT_FIRST;
        }
        parts
    }

    /// How this process stands to a partition.
    pub(super) fn standing(&self, queue: &str, partition: u32) -> Option<Standing> {
        let inner = self.lock();
        let part = inner.queues.get(queue)?.parts.get(&partition)?;
        let is_here = |held: &&Held| held.queue == queue && held.partition == partition;
        Some(Standing {
            fence: part.fence.clone(),
            leaving: part.leaving,
            out: inner.held.values().filter(is_here).count(),
        })
    }

    /// Partitions are this process's.
    pub(super) fn own(&self, parts: Vec<Part>) {
        let mut inner = self.lock();
        for part in parts {
            let known = inner.queues.entry(part.queue.clone()).or_default();
            known.parts.insert(part.partition, part);
            known.signal.notify_waiters();
        }
    }

    /// A partition is no longer this process's, nor what it has in hand of it.
    pub(super) fn disown(&self, queue: &str, partition: u32) -> Option<Part> {
        let mut inner = self.lock();
        inner
            .held
            .retain(|_, held| held.queue != queue || held.partition != partition);
        inner.queues.get_mut(queue)?.parts.remove(&partition)
    }

    /// A partition is given to another by then, or is kept after all.
    pub(super) fn set_leaving(&self, queue: &str, partition: u32, leaving: Option<Instant>) {
        let mut inner = self.lock();
        let Some(known) = inner.queues.get_mut(queue) else {
            return;
        };
        if let Some(part) = known.parts.get_mut(&partition) {
            part.leaving = leaving;
        }
        known.signal.notify_waiters();
    }

    /// Everything is let go: what is in hand, and the partitions.
    pub(super) fn abandon(&self) -> (Vec<Held>, Vec<Part>) {
        let mut inner = self.lock();
        let held = inner.held.drain().map(|(_, held)| held).collect();
        let mut owned = Vec::new();
        for queue in inner.queues.values_mut() {
            owned.extend(std::mem::take(&mut queue.parts).into_values());
            queue.signal.notify_waiters();
        }
        (held, owned)
    }

    /// A message is over: whoever reads its partition acknowledges it.
    pub(super) fn over(&self, queue: &str, partition: u32, id: Uuid) {
        let inner = self.lock();
        let part = inner
            .queues
            .get(queue)
            .and_then(|it| it.parts.get(&partition));
        if let Some(part) = part {
            // A reader that has ended finds it over when the partition is read again.
            let _ = part.over.send(id);
        }
    }

    /// A message is in its taker's hands; what it is known by, where its partition is owned still.
    pub(super) fn hold(&self, held: Held) -> Option<u64> {
        let mut inner = self.lock();
        let queue = inner.queues.get(&held.queue)?;
        queue.parts.get(&held.partition)?;
        inner.last_token += 1;
        let token = inner.last_token;
        inner.held.insert(token, held);
        Some(token)
    }

    /// What is in somebody's hands.
    pub(super) fn held(&self, token: u64, id: Uuid) -> Option<Held> {
        let held = self.lock().held.get(&token).cloned();
        held.filter(|held| held.id == id)
    }

    /// It is no longer.
    pub(super) fn release(&self, token: u64) {
        self.lock().held.remove(&token);
    }
}
