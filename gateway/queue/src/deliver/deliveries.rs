//! All queues: whoever works on each, what operators say, and the end.
//!
//! Owns which queues are worked on: those that fields name, and those in which
//! something waits though no field names them any more. What operators said
//! through another process is read from the store within seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;

use super::desk::Desk;
use super::desk::LaneTold;
use super::handler::Handler;
use super::numbers::Numbers;
use super::settings::Settings;
use super::worker::work;
use crate::clock::Clock;
use crate::store::Depth;
use crate::store::Paused;
use crate::store::Store;
use crate::store::Unavailable;

/// How often the store is asked how its queues stand.
const LOOK: Duration = Duration::from_secs(5);
/// How often what was kept long enough is deleted.
const SWEEP: Duration = Duration::from_secs(60);

/// The deliveries of one process.
#[derive(Clone)]
pub struct Deliveries(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    handler: Arc<dyn Handler>,
    clock: Clock,
    state: Mutex<State>,
    /// The settings changed.
    configured: Notify,
    /// By when all must have ended.
    stop: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct State {
    settings: Settings,
    desks: BTreeMap<String, Arc<Desk>>,
    workers: JoinSet<()>,
    /// What operators said here so far: what the store said before is older.
    said: u64,
}

/// A queue as it is worked on here.
#[derive(Clone)]
pub struct Told {
    /// Its name.
    pub queue: String,
    /// What was counted.
    pub numbers: Arc<Numbers>,
    /// Where it is paused.
    pub paused: Option<Paused>,
    /// The sources that its messages went to so far.
    pub lanes: Vec<LaneTold>,
}

impl Deliveries {
    /// Begins to deliver, as soon as the store has said which queues are paused.
    pub fn start(
        store: Arc<dyn Store>,
        handler: Arc<dyn Handler>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        let inner = Arc::new(Inner {
            store,
            handler,
            clock,
            state: Mutex::new(State {
                settings,
                ..State::default()
            }),
            configured: Notify::new(),
            stop: watch::Sender::new(None),
        });
        tokio::spawn(inner.clone().watch());
        Self(inner)
    }

    /// Takes other settings, as after a reload. Queues that are named no longer go on with defaults.
    pub fn configure(&self, settings: Settings) {
        let mut state = self.0.state();
        for (queue, desk) in &state.desks {
            desk.configure(settings.of(queue));
        }
        state.settings = settings;
        drop(state);
        self.0.configured.notify_one();
    }

    /// Pauses a queue, for every process, until somebody lets it go on.
    ///
    /// # Errors
    /// When the store cannot keep that.
    pub async fn pause(&self, queue: &str, reason: &str) -> Result<(), Unavailable> {
        let paused = Paused {
            reason: reason.to_owned(),
            since: self.0.clock.now(),
            by_operator: true,
        };
        self.0.say(queue, Some(paused)).await
    }

    /// Lets a queue go on, whether an operator or a target that denied it held it up.
    ///
    /// # Errors
    /// When the store cannot keep that.
    pub async fn resume(&self, queue: &str) -> Result<(), Unavailable> {
        self.0.say(queue, None).await?;
        let desk = self.0.state().desks.get(queue).cloned();
        if let Some(desk) = desk {
            desk.reset_lanes();
        }
        Ok(())
    }

    /// The queues that are worked on here, by name.
    pub fn told(&self) -> Vec<Told> {
        let state = self.0.state();
        let told = |desk: &Arc<Desk>| Told {
            queue: desk.queue.clone(),
            numbers: desk.numbers.clone(),
            paused: desk.paused(),
            lanes: desk.lanes(),
        };
        state.desks.values().map(told).collect()
    }

    /// Takes nothing more, lets what is under way end until then, gives back the rest, and closes the store.
    pub async fn stop(&self, deadline: Instant) {
        self.0.stop.send_replace(Some(deadline));
        let mut workers = std::mem::take(&mut self.0.state().workers);
        while workers.join_next().await.is_some() {}
        self.0.store.close().await;
    }
}

impl Inner {
    async fn watch(self: Arc<Self>) {
        let mut stop = self.stop.subscribe();
        let mut look = tokio::time::interval(LOOK);
        let mut sweep = tokio::time::interval(SWEEP);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            let mut known = false;
            loop {
                tokio::select! {
                    _ = look.tick() => known |= self.look().await,
                    () = self.configured.notified(), if known => drop(self.look().await),
                    _ = sweep.tick(), if known => self.sweep().await,
                }
            }
        };
        tokio::select! {
            _ = stop.wait_for(Option::is_some) => {}
            () = work => {}
        }
    }

    /// Whether the store could say how its queues stand.
    async fn look(&self) -> bool {
        let said = self.state().said;
        match self.store.depths().await {
            Ok(depths) => {
                self.open(&depths);
                self.obey(&depths, said);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the store does not say how its queues stand");
                false
            }
        }
    }

    async fn sweep(&self) {
        if let Err(error) = self.store.sweep().await {
            tracing::warn!(%error, "what was kept long enough could not be deleted");
        }
    }

    /// Begins to work on what is named or waits, and is not worked on yet.
    fn open(&self, depths: &[Depth]) {
        let mut state = self.state();
        if self.stop.borrow().is_some() {
            return;
        }
        let waiting = depths.iter().filter(|depth| depth.waiting > 0);
        let waiting = waiting.map(|depth| depth.queue.clone());
        let named = state.settings.0.keys().cloned();
        let queues: Vec<String> = named.chain(waiting).collect();
        for queue in queues {
            if state.desks.contains_key(&queue) {
                continue;
            }
            let (store, handler) = (self.store.clone(), self.handler.clone());
            let desk = Arc::new(Desk::new(&queue, store, handler, self.clock));
            desk.configure(state.settings.of(&queue));
            desk.set_paused(paused(depths, &queue));
            state
                .workers
                .spawn(work(desk.clone(), self.stop.subscribe()));
            state.desks.insert(queue, desk);
        }
    }

    /// What was said through other processes, unless something was said here meanwhile.
    fn obey(&self, depths: &[Depth], said: u64) {
        let state = self.state();
        if state.said == said {
            for (queue, desk) in &state.desks {
                desk.set_paused(paused(depths, queue));
            }
        }
    }

    async fn say(&self, queue: &str, paused: Option<Paused>) -> Result<(), Unavailable> {
        self.state().said += 1;
        self.store.set_paused(queue, paused.clone()).await?;
        let mut state = self.state();
        state.said += 1;
        if let Some(desk) = state.desks.get(queue) {
            desk.set_paused(paused);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn paused(depths: &[Depth], queue: &str) -> Option<Paused> {
    let depth = depths.iter().find(|depth| depth.queue == queue);
    depth.and_then(|depth| depth.paused.clone())
}
