//! Identical reads in flight become one call.
//!
//! Owns the table of reads in flight. A key must hold everything that makes
//! two calls the same, identity included; this module trusts it. The shared
//! work is driven by whoever waits: when the first caller goes away another
//! carries on, and when all are gone the work stops. Knows nothing of protocols.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::Shared;
use futures_util::future::WeakShared;

use crate::exchange::Longest;

/// Work of which anybody may wait for the result.
pub(crate) type Work<V> = Pin<Box<dyn Future<Output = V> + Send>>;

/// Reads in flight, by what makes them the same.
pub(crate) struct MergeReads<K, V: Clone>(Arc<Mutex<Table<K, V>>>);

struct Table<K, V: Clone> {
    in_flight: HashMap<K, Entry<V>, ahash::RandomState>,
    next: u64,
}

struct Entry<V: Clone> {
    id: u64,
    work: WeakShared<Work<V>>,
    /// How long somebody waits for it.
    until: Longest,
}

/// A place in some work.
pub(crate) struct Joined<V: Clone> {
    /// The result, for whoever waits.
    pub(crate) work: Shared<Work<V>>,
    /// Whether the work was begun by somebody else.
    pub(crate) follower: bool,
}

impl<K, V: Clone> Default for MergeReads<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Table {
            in_flight: HashMap::default(),
            next: 0,
        })))
    }
}

impl<K, V> MergeReads<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the work in flight for the key, or begins it. It goes on until the last waiter's deadline.
    pub(crate) fn join(
        &self,
        key: K,
        deadline: Instant,
        begin: impl FnOnce(Longest) -> Work<V>,
    ) -> Joined<V> {
        let mut table = lock(&self.0);
        let entry = table.in_flight.get(&key);
        let in_flight = entry.and_then(|entry| Some((entry.work.upgrade()?, &entry.until)));
        if let Some((work, until)) = in_flight {
            until.extend(deadline);
            return Joined {
                work,
                follower: true,
            };
        }
        let id = table.next;
        table.next += 1;
        let entered = Entered {
            table: self.0.clone(),
            key: key.clone(),
            id,
        };
        let until = Longest::new(deadline);
        let work = leave_at_end(begin(until.clone()), entered).shared();
        if let Some(work) = work.downgrade() {
            table.in_flight.insert(key, Entry { id, work, until });
        }
        Joined {
            work,
            follower: false,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.0).in_flight.len()
    }
}

/// The entry goes before the result is seen: who comes after that begins anew.
fn leave_at_end<K, V>(work: Work<V>, entered: Entered<K, V>) -> Work<V>
where
    K: Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    Box::pin(async move {
        let result = work.await;
        drop(entered);
        result
    })
}

/// Takes the entry away when the work ends, or when all who waited are gone.
struct Entered<K: Eq + Hash, V: Clone> {
    table: Arc<Mutex<Table<K, V>>>,
    key: K,
    id: u64,
}

impl<K: Eq + Hash, V: Clone> Drop for Entered<K, V> {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        // Somebody may have begun anew for the key between the last waiter's leaving and this.
        if table
            .in_flight
            .get(&self.key)
            .is_some_and(|entry| entry.id == self.id)
        {
            table.in_flight.remove(&self.key);
        }
    }
}

/// The table is consistent between any two statements, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use tokio::sync::oneshot;

    use super::*;

    fn later() -> Instant {
        crate::calls::now() + std::time::Duration::from_secs(60)
    }

    fn counted(begun: &Arc<AtomicUsize>, answer: oneshot::Receiver<u32>) -> Work<u32> {
        let begun = begun.clone();
        Box::pin(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            answer.await.unwrap_or(0)
        })
    }

    #[tokio::test]
    async fn a_second_read_waits_for_the_first() {
        let reads = MergeReads::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (answer, receive) = oneshot::channel();
        let first = reads.join("key", later(), |_| counted(&begun, receive));
        let second = reads.join("key", later(), |_| unreachable!("the first is in flight"));
        assert!(!first.follower);
        assert!(second.follower);
        answer.send(7).unwrap();
        assert_eq!(tokio::join!(first.work, second.work), (7, 7));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert_eq!(reads.len(), 0);
    }

    #[tokio::test]
    async fn another_key_is_another_read() {
        let reads = MergeReads::default();
        let one = reads.join("one", later(), |_| Box::pin(async { 1 }));
        let two = reads.join("two", later(), |_| Box::pin(async { 2 }));
        assert_eq!(tokio::join!(one.work, two.work), (1, 2));
    }

    #[tokio::test]
    async fn a_follower_carries_on_when_the_leader_goes_away() {
        let reads = MergeReads::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (answer, receive) = oneshot::channel();
        let leader = tokio::spawn(
            reads
                .join("key", later(), |_| counted(&begun, receive))
                .work,
        );
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let follower = tokio::spawn(reads.join("key", later(), |_| unreachable!()).work);
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        answer.send(9).unwrap();
        assert_eq!(follower.await.unwrap(), 9);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_stops() {
        let reads = MergeReads::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (answer, receive) = oneshot::channel::<u32>();
        drop(reads.join("key", later(), |_| counted(&begun, receive)));
        assert!(answer.is_closed());
        assert_eq!(reads.len(), 0);
        let again = reads.join("key", later(), |_| Box::pin(async { 3 }));
        assert!(!again.follower);
        assert_eq!(again.work.await, 3);
    }

    #[tokio::test]
    async fn who_comes_after_the_answer_reads_anew() {
        let reads = MergeReads::default();
        let first = reads.join("key", later(), |_| Box::pin(async { 1 }));
        assert_eq!(first.work.clone().await, 1);
        let second = reads.join("key", later(), |_| Box::pin(async { 2 }));
        assert_eq!(second.work.await, 2);
    }
}
