//! Where the buckets of one policy's keys stand, in bounded memory.
//!
//! Owns how many keys are kept and what happens when there are more. A bucket
//! that is full again is forgotten, which changes nothing for its key; one that
//! is not full is never forgotten, so nobody resets a quota by bringing many
//! keys. When all that are kept are in use, further keys share one bucket.
//! Knows nothing of quotas: governor decides, under the lock of one shard.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use tokio::time::Instant;

use crate::hashed::Hashed;

/// Few enough to be cheap, many enough that cores rarely meet.
const MAX_SHARDS: usize = 64;
/// Keys spread unevenly over shards: one with few of them would be full too early.
const MIN_SHARD: usize = 512;

/// A key of any length as 128 bits, worked out with secrets of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash(pub(super) u64, pub(super) u64);

/// The time since it was first asked for, as paused tests see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Elapsed(Arc<OnceLock<Instant>>);

/// The buckets of one policy.
#[derive(Clone)]
pub(super) struct Buckets(Arc<Shared>);

struct Shared {
    shards: Box<[Mutex<Shard>]>,
    per_shard: usize,
    /// Whoever comes when all that are kept are in use.
    others: Mutex<Option<Nanos>>,
    clock: Elapsed,
}

/// When each key's bucket is full again, since the clock's start.
#[derive(Default)]
struct Shard {
    full_at: HashMap<KeyHash, Nanos, BuildHasherDefault<Hashed>>,
    /// Before this none of them is full: looking for one would be in vain.
    sweep_at: u64,
}

impl Buckets {
    /// Room for about `keys` keys.
    pub(super) fn new(keys: usize, clock: Elapsed) -> Self {
        let shards = (keys / MIN_SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        Self(Arc::new(Shared {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            per_shard: keys.div_ceil(shards).max(1),
            others: Mutex::default(),
            clock,
        }))
    }

    /// When the key's bucket is full again; `None` where it is.
    pub(super) fn full_at(&self, key: &KeyHash) -> Option<Nanos> {
        let own = lock(self.shard(key)).full_at.get(key).copied();
        own.or_else(|| *lock(&self.0.others))
    }

    /// Gives back what a charge took.
    pub(super) fn give_back(&self, key: &KeyHash, time: Nanos) {
        let mut shard = lock(self.shard(key));
        match shard.full_at.get_mut(key) {
            Some(full_at) => {
                *full_at = full_at.saturating_sub(time);
                shard.sweep_at = 0;
            }
            None => {
                let mut others = lock(&self.0.others);
                *others = others.map(|full_at| full_at.saturating_sub(time));
            }
        }
    }

    /// How many keys are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.0.shards.iter();
        shards.map(|shard| lock(shard).full_at.len()).sum()
    }

    fn shard(&self, key: &KeyHash) -> &Mutex<Shard> {
        // The map inside spreads by the other half.
        &self.0.shards[key.1 as usize & (self.0.shards.len() - 1)]
    }
}

impl Shard {
    /// Whether one more key may be kept.
    fn has_room(&mut self, limit: usize, clock: &Elapsed) -> bool {
        if self.full_at.len() < limit {
            return true;
        }
        let now = clock.now().as_u64();
        if now < self.sweep_at {
            return false;
        }
        self.full_at.retain(|_, full_at| full_at.as_u64() > now);
        let soonest = self.full_at.values().map(|full_at| full_at.as_u64()).min();
        self.sweep_at = soonest.unwrap_or(0);
        self.full_at.len() < limit
    }
}

impl StateStore for Buckets {
    type Key = KeyHash;

    fn measure_and_replace<T, F, E>(&self, key: &KeyHash, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shared = &*self.0;
        let mut shard = lock(self.shard(key));
        if let Some(full_at) = shard.full_at.get_mut(key) {
            let (outcome, next) = decide(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        if shard.has_room(shared.per_shard, &shared.clock) {
            let (outcome, next) = decide(None)?;
            shard.full_at.insert(*key, next);
            return Ok(outcome);
        }
        drop(shard);
        let mut others = lock(&shared.others);
        let (outcome, next) = decide(*others)?;
        *others = Some(next);
        Ok(outcome)
    }
}

/// Governor's own arithmetic is all that runs under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It begins with its first reading: a limiter takes that as its own start, so both count from there.
impl Clock for Elapsed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let start = *self.0.get_or_init(Instant::now);
        Nanos::from(start.elapsed())
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}
