//! What this process works on: the partitions it owns, and what it has in hand.
//!
//! Owns the memory of it, and nothing that is stored. Bounded: see [`MOST_LINES`].

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::lines::Head;
use crate::lines::Lines;
use crate::lines::Next;
use crate::nats::record::Known;
use crate::seal::Line;

/// Lines that wait in one partition and are remembered: about 150 bytes each. A partition is read on when some are done.
const MOST_LINES: usize = 8_192;

/// Takers are told after so many messages that a partition was read on.
const UNSAID: u32 = 256;
/// How long the reading of what was there at first is waited for at most, so that the oldest is given first.
const AT_FIRST: Duration = Duration::from_secs(1);
/// How long what this process has appended itself is waited for at most.
const EXPECTED: Duration = Duration::from_millis(200);

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
struct Part {
    lease: u64,
    lines: Lines,
    /// How far it was read.
    read_to: u64,
    /// Everything that was there has been read.
    caught_up: bool,
    /// Since when it is this process's.
    owned: Instant,
    /// Messages that were read since takers were told of any.
    unsaid: u32,
    /// What this process has appended itself will be read in a moment: the position, and until when that is waited for.
    expected: Option<(u64, Instant)>,
    /// Lines that have lost a message to the dead letters, and the last message that was delivered since.
    fallen: HashMap<Line, Uuid>,
    /// Messages in hand.
    out: usize,
    /// It is given to another when nothing is in hand any more, or then.
    leaving: Option<Instant>,
    /// There is room for further lines again.
    room: Arc<Notify>,
    reader: Option<AbortHandle>,
}

impl Part {
    /// Up to where nothing can be missing any more; what lies behind waits, so that the oldest is given first.
    fn certain_to(&self) -> u64 {
        let expected = self
            .expected
            .is_some_and(|(position, until)| position > self.read_to && until > Instant::now());
        // However much there is to read: after a while, what is known is given.
        let reads = !self.caught_up && !self.lines.is_full() && self.owned.elapsed() < AT_FIRST;
        if expected || reads {
            self.read_to
        } else {
            u64::MAX
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// A partition by a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) queue: String,
    pub(super) partition: u32,
    pub(super) lease: u64,
}

/// A message that was taken.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) owned: Owned,
    pub(super) head: Head,
    /// What is known of it, and the revision of that: another one is another's.
    pub(super) known: Known,
    pub(super) revision: u64,
    /// As it is stored.
    pub(super) stored: Bytes,
    /// Until when nobody has to renew it.
    pub(super) until: Instant,
}

/// How this process stands to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) lease: u64,
    pub(super) leaving: Option<Instant>,
    pub(super) out: usize,
}

impl Work {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part<T>(&self, owned: &Owned, change: impl FnOnce(&mut Part, &Notify) -> T) -> Option<T> {
        let mut inner = self.lock();
        let queue = inner.queues.get_mut(&owned.queue)?;
        let part = queue.parts.get_mut(&owned.partition)?;
        (part.lease == owned.lease).then(|| change(part, &queue.signal))
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

    /// Wakes those who take from any queue.
    pub(super) fn wake_all(&self) {
        for queue in self.lock().queues.values() {
            queue.signal.notify_waiters();
        }
    }

    /// How this process stands to a partition.
    pub(super) fn standing(&self, queue: &str, partition: u32) -> Option<Standing> {
        let inner = self.lock();
        let part = inner.queues.get(queue)?.parts.get(&partition)?;
        Some(Standing {
            lease: part.lease,
            leaving: part.leaving,
            out: part.out,
        })
    }

    /// A partition is this process's.
    pub(super) fn own(&self, owned: &Owned) {
        let part = Part {
            lease: owned.lease,
            lines: Lines::new(MOST_LINES),
            read_to: 0,
            caught_up: false,
            owned: Instant::now(),
            unsaid: 0,
            expected: None,
            fallen: HashMap::new(),
            out: 0,
            leaving: None,
            room: Arc::new(Notify::new()),
            reader: None,
        };
        let mut inner = self.lock();
        let queue = inner.queues.entry(owned.queue.clone()).or_default();
        queue.parts.insert(owned.partition, part);
    }

    /// Who reads a partition; ended when it is lost.
    pub(super) fn read_by(&self, owned: &Owned, reader: AbortHandle) {
        if self
            .part(owned, |part, _| part.reader = Some(reader.clone()))
            .is_none()
        {
            reader.abort();
        }
    }

    /// A partition is no longer this process's, nor what it has in hand of it.
    pub(super) fn disown(&self, owned: &Owned) {
        let mut inner = self.lock();
        if let Some(queue) = inner.queues.get_mut(&owned.queue)
            && queue
                .parts
                .get(&owned.partition)
                .is_some_and(|part| part.lease == owned.lease)
        {
            queue.parts.remove(&owned.partition);
        }
        inner.held.retain(|_, held| held.owned != *owned);
    }

    /// A partition of which nothing is in hand is no longer this process's; false where something is.
    pub(super) fn disown_idle(&self, owned: &Owned) -> bool {
        let mut inner = self.lock();
        let parts = inner.queues.get_mut(&owned.queue).map(|it| &mut it.parts);
        let Some(parts) = parts else {
            return true;
        };
        let owned = parts
            .get(&owned.partition)
            .filter(|part| part.lease == owned.lease)
            .map(|part| (owned.partition, part.out));
        if let Some((partition, 0)) = owned {
            parts.remove(&partition);
        }
        owned.is_none_or(|(_, out)| out == 0)
    }

    /// A partition is given to another by then, or is kept after all.
    pub(super) fn set_leaving(&self, owned: &Owned, leaving: Option<Instant>) {
        self.part(owned, |part, signal| {
            part.leaving = leaving;
            signal.notify_waiters();
        });
    }

    /// Everything is let go: what is in hand, and by which leases partitions were owned.
    pub(super) fn abandon(&self) -> (Vec<Held>, Vec<Owned>) {
        let mut inner = self.lock();
        let held = inner.held.drain().map(|(_, held)| held).collect();
        let mut owned = Vec::new();
        for (name, queue) in &mut inner.queues {
            for (partition, part) in std::mem::take(&mut queue.parts) {
                owned.push(Owned {
                    queue: name.clone(),
                    partition,
                    lease: part.lease,
                });
            }
            queue.signal.notify_waiters();
        }
        (held, owned)
    }

    /// Lines of a partition that have lost a message to the dead letters.
    pub(super) fn set_fallen(&self, owned: &Owned, fallen: HashMap<Line, Uuid>) {
        self.part(owned, |part, _| part.fallen = fallen);
    }

    /// A line has lost a message to the dead letters.
    pub(super) fn fell(&self, owned: &Owned, line: Line) {
        self.part(owned, |part, _| {
            part.fallen.entry(line).or_insert(Uuid::nil());
        });
    }

    /// Whether a line must be marked as one that has moved on past a dead letter, since this was delivered.
    pub(super) fn moves_on(&self, owned: &Owned, line: Line, id: Uuid) -> bool {
        let last = self.part(owned, |part, _| part.fallen.get(&line).copied());
        last.flatten().is_some_and(|last| last < id)
    }

    /// A line was marked so.
    pub(super) fn moved_on(&self, owned: &Owned, line: Line, id: Uuid) {
        self.part(owned, |part, _| {
            part.fallen.insert(line, id);
        });
    }

    /// Nothing more is there than was read, for now.
    pub(super) fn caught_up(&self, owned: &Owned) {
        self.part(owned, |part, signal| {
            part.caught_up = true;
            signal.notify_waiters();
        });
    }

    /// This process has appended a message.
    pub(super) fn expect(&self, queue: &str, partition: u32, position: u64) {
        let mut inner = self.lock();
        let queue = inner.queues.get_mut(queue);
        if let Some(part) = queue.and_then(|queue| queue.parts.get_mut(&partition)) {
            // One that did not come in time is not waited for again, nor are those behind it.
            let comes = part.expected.is_none_or(|(last, _)| last <= part.read_to);
            if comes {
                part.expected = Some((position, Instant::now() + EXPECTED));
            }
        }
    }

    /// A message was seen. Where there is no room for more, what to wait for before reading on.
    pub(super) fn arrived(
        &self,
        owned: &Owned,
        line: Line,
        next: Next,
        now: u64,
    ) -> Option<Arc<Notify>> {
        self.part(owned, |part, signal| {
            part.read_to = part.read_to.max(next.position);
            let is_first = part.lines.arrived(line, next, now);
            // Others may wait for this partition to be read as far as theirs.
            part.unsaid += 1;
            if is_first || part.unsaid >= UNSAID {
                part.unsaid = 0;
                signal.notify_waiters();
            }
            part.lines.is_full().then(|| part.room.clone())
        })?
    }

    /// Whether a partition may be read on.
    pub(super) fn has_room(&self, owned: &Owned) -> bool {
        self.part(owned, |part, _| part.lines.has_room())
            .unwrap_or(true)
    }

    /// The oldest messages of a queue that are due and the first of their lines, into the caller's hands.
    pub(super) fn heads(&self, queue: &str, most: usize, now: u64) -> Vec<(Owned, Head)> {
        let mut inner = self.lock();
        let Some(known) = inner.queues.get_mut(queue) else {
            return Vec::new();
        };
        let mut heads = Vec::new();
        let certain_to = known.parts.values().map(Part::certain_to).min();
        while heads.len() < most {
            let oldest = known
                .parts
                .iter_mut()
                .filter(|(_, part)| part.leaving.is_none())
                .filter_map(|(number, part)| Some((part.lines.oldest(now)?, *number)))
                .filter(|(position, _)| certain_to.is_none_or(|to| *position <= to))
                .min();
            let Some((_, partition)) = oldest else {
                break;
            };
            let Some(part) = known.parts.get_mut(&partition) else {
                break;
            };
            let Some(head) = part.lines.take(now) else {
                break;
            };
            part.out += 1;
            let owned = Owned {
                queue: queue.into(),
                partition,
                lease: part.lease,
            };
            heads.push((owned, head));
        }
        heads
    }

    /// When something of a queue is due.
    pub(super) fn next_due(&self, queue: &str) -> Option<u64> {
        let inner = self.lock();
        let parts = inner.queues.get(queue)?.parts.values();
        parts.filter_map(|part| part.lines.next_due()).min()
    }

    /// Whether something of a queue is held back until others were read.
    pub(super) fn holds_back(&self, queue: &str) -> bool {
        let inner = self.lock();
        let parts = inner.queues.get(queue).map(|queue| &queue.parts);
        parts.is_some_and(|parts| parts.values().any(|part| part.certain_to() < u64::MAX))
    }

    /// A message that was in hand is at the head of its line again, due at this time.
    pub(super) fn again(&self, owned: &Owned, head: Head, due: u64, now: u64) {
        self.part(owned, |part, signal| {
            part.out = part.out.saturating_sub(1);
            part.lines.again(head.line, due, now);
            signal.notify_waiters();
        });
    }

    /// How far the line of a message was seen, where others follow it.
    pub(super) fn behind(&self, owned: &Owned, head: Head) -> Option<u64> {
        self.part(owned, |part, _| part.lines.behind(head))?
    }

    /// A message that was in hand is gone, and this one follows it, the line having been seen so far.
    /// False where more was seen meanwhile.
    pub(super) fn gone(
        &self,
        owned: &Owned,
        head: Head,
        next: Option<Next>,
        seen: u64,
        now: u64,
    ) -> bool {
        let done = self.part(owned, |part, signal| {
            let done = part.lines.gone(head, next, seen, now);
            if done {
                part.out = part.out.saturating_sub(1);
                signal.notify_waiters();
                if part.lines.has_room() {
                    part.room.notify_one();
                }
            }
            done
        });
        done.unwrap_or(true)
    }

    /// Somebody says that a line should be looked at.
    pub(super) fn look(&self, queue: &str, partition: u32, line: Line, now: u64) {
        let mut inner = self.lock();
        if let Some(known) = inner.queues.get_mut(queue)
            && let Some(part) = known.parts.get_mut(&partition)
        {
            part.lines.look(line, now);
            known.signal.notify_waiters();
        }
    }

    /// A message is in its taker's hands; what it is known by, where its partition is owned still.
    pub(super) fn hold(&self, held: Held) -> Option<u64> {
        self.part(&held.owned, |_, _| ())?;
        let mut inner = self.lock();
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

    /// It stays there until then; false where it is lost.
    pub(super) fn renew(&self, token: u64, id: Uuid, until: Instant) -> bool {
        let mut inner = self.lock();
        let held = inner.held.get_mut(&token).filter(|held| held.id == id);
        held.map(|held| held.until = until).is_some()
    }

    /// What nobody has renewed in time is lost to its holder, and at the head of its line again.
    pub(super) fn expire(&self, now: u64) {
        let expired: Vec<u64> = {
            let inner = self.lock();
            let over = inner
                .held
                .iter()
                .filter(|(_, it)| it.until <= Instant::now());
            over.map(|(token, _)| *token).collect()
        };
        for token in expired {
            if let Some(held) = self.release(token) {
                self.again(&held.owned, held.head, now, now);
            }
        }
    }

    /// It is no longer.
    pub(super) fn release(&self, token: u64) -> Option<Held> {
        self.lock().held.remove(&token)
    }
}
