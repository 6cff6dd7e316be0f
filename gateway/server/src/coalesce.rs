//! Identical work in flight becomes one.
//!
//! Owns who leads, who follows, and what happens when the leader goes away:
//! its unfinished work goes on as a task of its own for as long as anyone
//! waits for it. Knows nothing of GraphQL; what may be shared is in the key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::deadline::until;
use crate::observe::log;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Sender<T> = Arc<watch::Sender<Option<T>>>;
type Shard<K, T> = Mutex<HashMap<K, Sender<T>, ahash::RandomState>>;

/// Few enough to be cheap, many enough that cores rarely meet.
const SHARDS: usize = 16;

/// Work in flight, by key.
pub(crate) struct Flights<K, T>(Arc<Shared<K, T>>);

struct Shared<K, T> {
    hasher: ahash::RandomState,
    shards: [Shard<K, T>; SHARDS],
}

/// How a result came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// This caller's own work.
    Leader,
    /// The work of another caller.
    Follower,
}

impl<K, T> Flights<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        let hasher = ahash::RandomState::new();
        let shards = std::array::from_fn(|_| Mutex::new(HashMap::with_hasher(hasher.clone())));
        Self(Arc::new(Shared { hasher, shards }))
    }

    /// The result of `work`, or of equal work that is in flight already.
    pub(crate) async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> (T, Role)
    where
        F: Future<Output = T> + Send + 'static,
    {
        loop {
            match self.0.enter(&key) {
                Place::Follow(result) => {
                    if let Some(value) = told(result).await {
                        return (value, Role::Follower);
                    }
                }
                Place::Lead(sender) => return self.lead(key, sender, work()).await,
            }
        }
    }

    /// The same, with an end to waiting for another caller's work: none is told then. Own work
    /// knows by itself when to end.
    pub(crate) async fn join_until<F>(
        &self,
        deadline: Instant,
        key: K,
        work: impl FnOnce() -> F,
    ) -> Option<(T, Role)>
    where
        F: Future<Output = T> + Send + 'static,
    {
        loop {
            match self.0.enter(&key) {
                Place::Follow(result) => {
                    if let Some(value) = until(deadline, told(result)).await? {
                        return Some((value, Role::Follower));
                    }
                }
                Place::Lead(sender) => return Some(self.lead(key, sender, work()).await),
            }
        }
    }

    async fn lead<F>(&self, key: K, sender: Sender<T>, work: F) -> (T, Role)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let lead = Lead {
            shared: self.0.clone(),
            key,
            sender,
            work: Some(Box::pin(work)),
        };
        (lead.run().await, Role::Leader)
    }
}

/// What another caller's work brings. None when it ended without a result, which only a panic does: then try again.
async fn told<T: Clone>(mut result: watch::Receiver<Option<T>>) -> Option<T> {
    let value = result.wait_for(Option::is_some).await.ok()?;
    value.clone()
}

enum Place<T> {
    Lead(Sender<T>),
    Follow(watch::Receiver<Option<T>>),
}

impl<K: Hash + Eq + Clone, T> Shared<K, T> {
    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Sender<T>, ahash::RandomState>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        // Nothing that could panic runs under the lock.
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, key: &K) -> Place<T> {
        match self.shard(key).entry(key.clone()) {
            Entry::Occupied(entry) => Place::Follow(entry.get().subscribe()),
            Entry::Vacant(entry) => {
                let sender = Arc::new(watch::Sender::new(None));
                entry.insert(sender.clone());
                Place::Lead(sender)
            }
        }
    }

    fn leave(&self, key: &K) {
        self.shard(key).remove(key);
    }

    /// Leaves unless someone waits; nobody can begin to wait in between.
    fn leave_if_alone(&self, key: &K, sender: &Sender<T>) -> bool {
        let mut shard = self.shard(key);
        let alone = sender.receiver_count() == 0;
        if alone {
            shard.remove(key);
        }
        alone
    }
}

/// Work that others may be waiting for.
struct Lead<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    shared: Arc<Shared<K, T>>,
    key: K,
    sender: Sender<T>,
    /// Gone once it has ended.
    work: Option<Work<T>>,
}

impl<K, T> Lead<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    async fn run(mut self) -> T {
        let value = match &mut self.work {
            Some(work) => work.await,
            None => unreachable!("work is taken only when it has ended"),
        };
        self.work = None;
        publish(&self.shared, &self.key, &self.sender, &value);
        value
    }
}

/// Who comes after this leads work of their own: what is finished may be older than they are.
fn publish<K: Hash + Eq + Clone, T: Clone>(
    shared: &Shared<K, T>,
    key: &K,
    sender: &Sender<T>,
    value: &T,
) {
    shared.leave(key);
    if sender.receiver_count() > 0 {
        sender.send_replace(Some(value.clone()));
    }
}

impl<K, T> Drop for Lead<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        if std::thread::panicking() {
            return self.shared.leave(&self.key);
        }
        if !self.shared.leave_if_alone(&self.key, &self.sender) {
            let (shared, key) = (self.shared.clone(), self.key.clone());
            let work = go_on(shared, key, self.sender.clone(), work);
            tokio::spawn(log::on_same_behalf(work));
        }
    }
}

/// Finishes work whose leader went away, for as long as anyone waits.
async fn go_on<K, T>(shared: Arc<Shared<K, T>>, key: K, sender: Sender<T>, mut work: Work<T>)
where
    K: Hash + Eq + Clone,
    T: Clone,
{
    loop {
        tokio::select! {
            value = &mut work => return publish(&shared, &key, &sender, &value),
            () = sender.closed() => {
                if shared.leave_if_alone(&key, &sender) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct Upstream {
        calls: AtomicUsize,
        ended: AtomicUsize,
        answer: Notify,
    }

    struct Call(Arc<Upstream>);

    impl Drop for Call {
        fn drop(&mut self) {
            self.0.ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Upstream {
        async fn call(self: Arc<Self>) -> usize {
            let call = Call(self.clone());
            let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            call.0.answer.notified().await;
            number
        }
    }

    struct Scene {
        flights: Arc<Flights<&'static str, usize>>,
        upstream: Arc<Upstream>,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                flights: Arc::new(Flights::new()),
                upstream: Arc::default(),
            }
        }

        fn ask(&self, key: &'static str) -> tokio::task::JoinHandle<(usize, Role)> {
            let (flights, upstream) = (self.flights.clone(), self.upstream.clone());
            tokio::spawn(async move { flights.join(key, || upstream.call()).await })
        }

        fn calls(&self) -> usize {
            self.upstream.calls.load(Ordering::SeqCst)
        }

        fn in_flight(&self) -> usize {
            let shards = self.flights.0.shards.iter();
            shards.map(|shard| shard.lock().unwrap().len()).sum()
        }
    }

    /// Lets every task run until it waits: the runtime of these tests has one thread.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn equal_work_in_flight_runs_once_and_other_work_on_its_own() {
        let scene = Scene::new();
        let (a, b, c) = (scene.ask("x"), scene.ask("x"), scene.ask("y"));
        settle().await;
        assert_eq!(scene.calls(), 2);
        scene.upstream.answer.notify_waiters();
        assert_eq!(a.await.unwrap(), (1, Role::Leader));
        assert_eq!(b.await.unwrap(), (1, Role::Follower));
        assert_eq!(c.await.unwrap(), (2, Role::Leader));
        assert_eq!(scene.in_flight(), 0);
    }

    #[tokio::test]
    async fn who_comes_after_the_end_starts_anew() {
        let scene = Scene::new();
        let first = scene.ask("x");
        settle().await;
        scene.upstream.answer.notify_waiters();
        assert_eq!(first.await.unwrap(), (1, Role::Leader));
        let second = scene.ask("x");
        settle().await;
        scene.upstream.answer.notify_waiters();
        assert_eq!(second.await.unwrap(), (2, Role::Leader));
    }

    #[tokio::test]
    async fn followers_outlive_a_leader_that_goes_away() {
        let scene = Scene::new();
        let leader = scene.ask("x");
        settle().await;
        let follower = scene.ask("x");
        settle().await;
        leader.abort();
        settle().await;
        let late = scene.ask("x");
        settle().await;
        assert_eq!(scene.calls(), 1);
        scene.upstream.answer.notify_waiters();
        assert_eq!(follower.await.unwrap(), (1, Role::Follower));
        assert_eq!(late.await.unwrap(), (1, Role::Follower));
        assert_eq!(scene.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_waits_no_longer_than_until_its_own_deadline() {
        let scene = Scene::new();
        let leader = scene.ask("x");
        settle().await;
        let soon = Instant::now() + Duration::from_millis(50);
        let joined = scene.flights.join_until(soon, "x", || async { 7 }).await;
        assert_eq!(joined, None);
        assert_eq!(Instant::now(), soon);
        scene.upstream.answer.notify_waiters();
        assert_eq!(leader.await.unwrap(), (1, Role::Leader));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped() {
        let scene = Scene::new();
        let (leader, follower) = (scene.ask("x"), scene.ask("x"));
        settle().await;
        leader.abort();
        settle().await;
        assert_eq!(scene.upstream.ended.load(Ordering::SeqCst), 0);
        follower.abort();
        settle().await;
        assert_eq!(scene.upstream.ended.load(Ordering::SeqCst), 1);
        assert_eq!(scene.in_flight(), 0);
    }

    #[tokio::test]
    async fn a_lonely_leader_that_goes_away_takes_its_work_along() {
        let scene = Scene::new();
        let leader = scene.ask("x");
        settle().await;
        leader.abort();
        settle().await;
        assert_eq!(scene.upstream.ended.load(Ordering::SeqCst), 1);
        assert_eq!(scene.in_flight(), 0);
    }

    #[tokio::test]
    async fn work_that_panics_fails_its_leader_only() {
        let flights: Arc<Flights<&str, usize>> = Arc::new(Flights::new());
        let gate = Arc::new(Notify::new());
        let leader = {
            let (flights, gate) = (flights.clone(), gate.clone());
            tokio::spawn(async move {
                let work = move || async move {
                    gate.notified().await;
                    panic!("on purpose")
                };
                flights.join("x", work).await
            })
        };
        settle().await;
        let follower = {
            let flights = flights.clone();
            tokio::spawn(async move { flights.join("x", || async { 7 }).await })
        };
        settle().await;
        gate.notify_one();
        assert!(leader.await.unwrap_err().is_panic());
        assert_eq!(follower.await.unwrap(), (7, Role::Leader));
    }
}
