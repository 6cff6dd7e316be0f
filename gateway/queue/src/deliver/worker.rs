//! Whoever works on one queue: takes messages, holds them, sends them on.
//!
//! Owns how many are in our hands and how many are attempted at once, the
//! rate, and that claims are kept while they are held. What is done with each
//! message is `desk`'s to say.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::attempt::Event;
use super::attempt::Hold;
use super::attempt::deliver;
use super::attempt::lost;
use super::attempt::settle;
use super::desk::Desk;
use super::desk::Gate;
use super::desk::Step;
use super::pace::Pacer;
use crate::store::BoxFuture;
use crate::store::Claim;
use crate::store::Settled;
use crate::store::Taken;
use crate::store::Unavailable;

/// How often claims are renewed: well within the time that stores keep them for.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long one waits for a store that could not answer.
const AWAY: Duration = Duration::from_secs(1);
/// How long one waits for others of a queue, after all that were taken had to wait for their targets.
const PARKED: Duration = Duration::from_millis(250);
/// What is left for settling when the time to stop is over.
const GRACE: Duration = Duration::from_secs(2);

/// What comes next to a worker.
enum Next {
    /// Something may have changed.
    Look,
    Event(Event),
    Taken(Result<Vec<Taken>, Unavailable>),
    Renewal,
    Renewed(Vec<Claim>),
}

struct Worker {
    desk: Arc<Desk>,
    pacer: Pacer,
    /// Taken, and not begun.
    buffer: VecDeque<Taken>,
    /// Taken again while an attempt still runs whose claim was lost.
    repeated: Vec<Taken>,
    /// All in our hands, and whether they are lost.
    held: HashMap<Claim, Arc<AtomicBool>>,
    /// Attempts under way.
    running: HashSet<Uuid>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    cut: watch::Sender<bool>,
    /// Nothing is taken before.
    rest: Option<Instant>,
    /// When whatever still runs is cut off.
    stop: Option<Instant>,
    /// The store could not answer when it was asked last.
    away: bool,
}

/// Works on a queue until it is told to stop, by when it must have.
pub(super) async fn work(desk: Arc<Desk>, mut stop: watch::Receiver<Option<Instant>>) {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut worker = Worker::new(desk.clone(), sender);
    let mut taking: Option<BoxFuture<'_, _>> = None;
    let mut renewing: Option<BoxFuture<'_, _>> = None;
    let mut renewal = tokio::time::interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gate = Gate::Open;
    loop {
        worker.stop = worker.stop.or(*stop.borrow_and_update());
        let paced = worker.begin();
        let now = worker.gate();
        let wanted = worker.wants(now);
        if gate != now || wanted.is_none() {
            taking = None;
        }
        if let (Some(most), None) = (wanted, &taking) {
            taking = Some(desk.store.take(&desk.queue, most));
        }
        gate = now;
        if worker.is_done() {
            return;
        }
        let next = tokio::select! {
            biased;
            _ = stop.changed(), if worker.stop.is_none() => Next::Look,
            () = desk.woken.notified() => Next::Look,
            Some(event) = events.recv() => Next::Event(event),
            taken = some(&mut taking) => { taking = None; Next::Taken(taken) }
            lost = some(&mut renewing) => { renewing = None; Next::Renewed(lost) }
            _ = renewal.tick(), if renewing.is_none() => Next::Renewal,
            () = until(worker.wake(paced, gate)) => Next::Look,
        };
        match next {
            Next::Look => {}
            Next::Event(event) => worker.told(event),
            Next::Taken(taken) => worker.took(taken),
            Next::Renewed(claims) => worker.lost(&claims),
            Next::Renewal if worker.held.is_empty() => {}
            Next::Renewal => {
                let (desk, claims) = (&desk, worker.claims());
                renewing = Some(Box::pin(async move { desk.store.renew(&claims).await }));
            }
        }
    }
}

impl Worker {
    fn new(desk: Arc<Desk>, events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            desk,
            pacer: Pacer::new(),
            buffer: VecDeque::new(),
            repeated: Vec::new(),
            held: HashMap::new(),
            running: HashSet::new(),
            tasks: JoinSet::new(),
            events,
            cut: watch::Sender::new(false),
            rest: None,
            stop: None,
            away: false,
        }
    }

    fn gate(&self) -> Gate {
        match self.stop {
            Some(_) => Gate::Shut(None),
            None => self.desk.gate(),
        }
    }

    /// Begins what may begin now; when more may, as far as the rate says.
    fn begin(&mut self) -> Option<Instant> {
        while self.tasks.try_join_next().is_some() {}
        if let Gate::Shut(_) = self.gate() {
            self.give_back();
        }
        let settings = self.desk.settings();
        let (mut sent, mut parked) = (false, false);
        while self.running.len() < settings.attempts() && !self.buffer.is_empty() {
            if let Err(next) = self.pacer.free(settings.per_second) {
                return Some(next);
            }
            let Some(taken) = self.buffer.pop_front() else {
                break;
            };
            match self.desk.judge(&taken.message, &taken.progress) {
                Step::Send { progress, probe } => {
                    sent = true;
                    self.pacer.begins(settings.per_second);
                    self.running.insert(taken.claim.id);
                    let hold = self.hold(taken.claim);
                    self.tasks
                        .spawn(deliver(hold, taken.message, progress, probe));
                }
                Step::Settle(settled) => {
                    parked |= matches!(settled, Settled::Again { .. });
                    self.settle(taken.claim, settled);
                }
            }
        }
        if parked && !sent {
            self.rest = Some(Instant::now() + PARKED);
        }
        None
    }

    /// How many to take, if any.
    fn wants(&mut self, gate: Gate) -> Option<usize> {
        let settings = self.desk.settings();
        let room = settings.held().saturating_sub(self.held.len());
        let rests = self.rest.is_some_and(|rest| rest > Instant::now());
        if rests || room == 0 || self.buffer.len() >= settings.attempts() {
            return None;
        }
        match gate {
            Gate::Open => Some(room),
            Gate::One => Some(1),
            Gate::Shut(_) => None,
        }
    }

    /// When to look again, though nothing happens.
    fn wake(&mut self, paced: Option<Instant>, gate: Gate) -> Option<Instant> {
        let now = Instant::now();
        self.rest = self.rest.filter(|rest| *rest > now);
        let gate = match gate {
            Gate::Shut(at) => at.map(|at| self.desk.clock.when(at)),
            Gate::Open | Gate::One => None,
        };
        let times = [paced, gate, self.rest, self.stop];
        times.into_iter().flatten().min()
    }

    /// All is settled, or the time to stop is over for good.
    fn is_done(&mut self) -> bool {
        let Some(stop) = self.stop else {
            return false;
        };
        if stop > Instant::now() {
            return self.held.is_empty();
        }
        let was_cut = self.cut.send_replace(true);
        if !was_cut {
            self.stop = Some(Instant::now() + GRACE);
        }
        was_cut || self.held.is_empty()
    }

    fn took(&mut self, taken: Result<Vec<Taken>, Unavailable>) {
        let queue = &self.desk.queue;
        match taken {
            Ok(taken) => {
                if std::mem::take(&mut self.away) {
                    tracing::info!(queue, "the store of the queue answers again");
                }
                for taken in taken {
                    self.keep(taken);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::error!(%error, queue, "nothing can be taken from the queue");
                }
                self.rest = Some(Instant::now() + AWAY);
            }
        }
    }

    fn keep(&mut self, taken: Taken) {
        self.held.insert(taken.claim.clone(), Arc::default());
        match self.running.contains(&taken.claim.id) {
            true => self.repeated.push(taken),
            false => self.buffer.push_back(taken),
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Ended(claim) => {
                self.running.remove(&claim.id);
                let repeated = self.repeated.extract_if(.., |it| it.claim.id == claim.id);
                self.buffer.extend(repeated);
            }
            Event::Settled(claim) => drop(self.held.remove(&claim)),
        }
    }

    fn claims(&self) -> Vec<Claim> {
        self.held.keys().cloned().collect()
    }

    /// These are others' now: what has not begun is forgotten, and what runs will not be settled.
    fn lost(&mut self, claims: &[Claim]) {
        for claim in claims {
            let waits = |taken: &Taken| taken.claim == *claim;
            if self.buffer.iter().chain(&self.repeated).any(waits) {
                self.buffer.retain(|taken| !waits(taken));
                self.repeated.retain(|taken| !waits(taken));
                self.held.remove(claim);
            } else if let Some(flag) = self.held.get(claim) {
                lost(&self.desk, claim, flag);
            }
        }
    }

    /// What has not begun is not ours any more.
    fn give_back(&mut self) {
        let waiting: Vec<_> = self
            .buffer
            .drain(..)
            .chain(self.repeated.drain(..))
            .collect();
        for taken in waiting {
            self.settle(taken.claim, Settled::Returned);
        }
    }

    fn settle(&mut self, claim: Claim, settled: Settled) {
        let hold = self.hold(claim);
        self.tasks.spawn(settle(hold, settled));
    }

    fn hold(&mut self, claim: Claim) -> Hold {
        let lost = self.held.entry(claim.clone()).or_default().clone();
        Hold {
            desk: self.desk.clone(),
            claim,
            lost,
            cut: self.cut.subscribe(),
            events: self.events.clone(),
        }
    }
}

/// What comes of it, where there is one.
async fn some<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
