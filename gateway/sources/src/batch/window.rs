//! A short wait in which the parents of several client requests gather for one
//! call: `batch: { window: "2ms" }`.
//!
//! Owns who gathers with whom, by a key that must hold everything but the
//! parents themselves. The shared work is driven by whoever waits, as in
//! [`crate::merge_reads`]: a caller that goes away harms nobody. It has the
//! time of the one who waits longest.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::Shared;
use futures_util::future::WeakShared;
use plan::source::Row;
use tokio::sync::Notify;

use crate::calls;
use crate::merge_reads::Joined;
use crate::merge_reads::Work;

/// Windows that are open.
pub(crate) struct Windows<K, V: Clone>(Arc<Mutex<Table<K, V>>>);

struct Table<K, V: Clone> {
    open: HashMap<K, Open<V>, ahash::RandomState>,
    next: u64,
}

struct Open<V: Clone> {
    id: u64,
    rows: Vec<Row>,
    seen: HashSet<String>,
    /// The longest of all who joined.
    deadline: Instant,
    full: Arc<Notify>,
    work: WeakShared<Work<V>>,
}

impl<V: Clone> Open<V> {
    fn add(&mut self, asked: Asked<'_>, max: usize) {
        self.deadline = self.deadline.max(asked.deadline);
        for row in asked.rows {
            if self.seen.insert(row_id(row)) {
                self.rows.push(row.clone());
            }
        }
        if self.rows.len() >= max {
            self.full.notify_one();
        }
    }
}

/// What makes two rows one key: values of one type and text.
pub(crate) fn row_id(row: &Row) -> String {
    format!("{row:?}")
}

impl<K, V: Clone> Default for Windows<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Table {
            open: HashMap::default(),
            next: 0,
        })))
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) rows: &'a [Row],
    /// How long it waits.
    pub(crate) deadline: Instant,
}

/// When a window closes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Close {
    /// After this time,
    pub(crate) after: Duration,
    /// or as soon as so many rows have gathered.
    pub(crate) at: usize,
}

impl<K, V> Windows<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Adds rows to the window that is open for the key, or opens one. `run` gets what has gathered, and the longest deadline of those who wait for it.
    pub(crate) fn join(
        &self,
        key: K,
        asked: Asked<'_>,
        close: Close,
        run: impl FnOnce(Vec<Row>, Instant) -> Work<V> + Send + 'static,
    ) -> Joined<V> {
        let mut table = lock(&self.0);
        if let Some(open) = table.open.get_mut(&key)
            && let Some(work) = open.work.upgrade()
        {
            open.add(asked, close.at);
            return Joined {
                work,
                follower: true,
            };
        }
        let work = self.open(&mut table, key, asked, close, run);
        Joined {
            work,
            follower: false,
        }
    }

    fn open(
        &self,
        table: &mut Table<K, V>,
        key: K,
        asked: Asked<'_>,
        close: Close,
        run: impl FnOnce(Vec<Row>, Instant) -> Work<V> + Send + 'static,
    ) -> Shared<Work<V>> {
        let id = table.next;
        table.next += 1;
        let full = Arc::new(Notify::new());
        let gate = Gate {
            table: self.0.clone(),
            key: key.clone(),
            id,
        };
        let work = gathered(gate, full.clone(), close.after, run).shared();
        if let Some(weak) = work.downgrade() {
            let mut open = Open {
                id,
                rows: Vec::new(),
                seen: HashSet::new(),
                deadline: asked.deadline,
                full,
                work: weak,
            };
            open.add(asked, close.at);
            table.open.insert(key, open);
        }
        work
    }
}

fn gathered<K, V>(
    gate: Gate<K, V>,
    full: Arc<Notify>,
    after: Duration,
    run: impl FnOnce(Vec<Row>, Instant) -> Work<V> + Send + 'static,
) -> Work<V>
where
    K: Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    Box::pin(async move {
        tokio::select! {
            () = tokio::time::sleep(after) => {}
            () = full.notified() => {}
        }
        let (rows, deadline) = gate.close();
        run(rows, deadline).await
    })
}

/// Closes its window, also when nobody waits any longer.
struct Gate<K: Eq + Hash, V: Clone> {
    table: Arc<Mutex<Table<K, V>>>,
    key: K,
    id: u64,
}

impl<K: Eq + Hash, V: Clone> Gate<K, V> {
    fn close(self) -> (Vec<Row>, Instant) {
        match self.take() {
            Some(open) => (open.rows, open.deadline),
            None => (Vec::new(), calls::now()),
        }
    }

    /// Another window may have opened for the key after the last waiter of this one left.
    fn take(&self) -> Option<Open<V>> {
        let mut table = lock(&self.table);
        match table.open.get(&self.key) {
            Some(open) if open.id == self.id => table.open.remove(&self.key),
            _ => None,
        }
    }
}

impl<K: Eq + Hash, V: Clone> Drop for Gate<K, V> {
    fn drop(&mut self) {
        self.take();
    }
}

/// The table is consistent between any two statements, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use plan::source::KeyPart;
    use smallvec::smallvec;

    use super::*;

    type Keys = Arc<Vec<Row>>;

    fn row(id: i64) -> Row {
        smallvec![KeyPart::Int(id)]
    }

    fn asked(rows: &[Row]) -> Asked<'_> {
        Asked {
            rows,
            deadline: calls::now() + Duration::from_secs(1),
        }
    }

    fn echo(rows: Vec<Row>, _: Instant) -> Work<Keys> {
        Box::pin(async move { Arc::new(rows) })
    }

    const CLOSE: Close = Close {
        after: Duration::from_millis(5),
        at: 100,
    };

    #[tokio::test(start_paused = true)]
    async fn rows_of_one_key_gather_and_a_row_is_asked_for_once() {
        let windows = Windows::default();
        let started = calls::now();
        let first = windows.join("a", asked(&[row(1), row(2)]), CLOSE, echo);
        let second = windows.join("a", asked(&[row(2), row(3)]), CLOSE, |_, _| unreachable!());
        let other = windows.join("b", asked(&[row(9)]), CLOSE, echo);
        let (first, second, other) = tokio::join!(first.work, second.work, other.work);
        assert_eq!(*first, [row(1), row(2), row(3)]);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*other, [row(9)]);
        assert_eq!(calls::now() - started, Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_does_not_wait() {
        let windows = Windows::default();
        let started = calls::now();
        let close = Close { at: 2, ..CLOSE };
        let work = windows
            .join("a", asked(&[row(1), row(2)]), close, echo)
            .work;
        assert_eq!(work.await.len(), 2);
        assert_eq!(calls::now() - started, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_after_the_window_opens_another() {
        let windows = Windows::default();
        assert_eq!(
            *windows.join("a", asked(&[row(1)]), CLOSE, echo).work.await,
            [row(1)]
        );
        let second = windows.join("a", asked(&[row(2)]), CLOSE, echo);
        assert!(!second.follower);
        assert_eq!(*second.work.await, [row(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_goes_away_does_not_harm_the_others() {
        let windows = Windows::default();
        let leader = windows.join("a", asked(&[row(1)]), CLOSE, echo);
        let follower = windows.join("a", asked(&[row(2)]), CLOSE, |_, _| unreachable!());
        drop(leader);
        assert_eq!(*follower.work.await, [row(1), row(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_everybody_left_is_closed() {
        let windows = Windows::<_, Keys>::default();
        drop(windows.join("a", asked(&[row(1)]), CLOSE, |_, _| unreachable!()));
        assert!(lock(&windows.0).open.is_empty());
        let again = windows.join("a", asked(&[row(2)]), CLOSE, echo);
        assert_eq!(*again.work.await, [row(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_has_the_time_of_the_one_who_waits_longest() {
        let windows = Windows::default();
        let at = |seconds| calls::now() + Duration::from_secs(seconds);
        let longest = at(3);
        let join = |deadline| {
            let rows = &[row(1)];
            let run = |_, deadline| -> Work<Instant> { Box::pin(async move { deadline }) };
            windows.join("a", Asked { rows, deadline }, CLOSE, run)
        };
        let [first, _second, _third] = [at(2), longest, at(1)].map(join);
        assert_eq!(first.work.await, longest);
    }
}
