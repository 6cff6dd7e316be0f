//! The one thread that writes.
//!
//! Owns group commit: all that waits to be written becomes one transaction, and
//! nobody is answered before it is durable. Owns what a failure to write means.

use std::sync::Arc;
use std::time::Duration;

use redb::WriteTransaction;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::blocks::Failure;
use super::change::Change;
use super::change::Effects;
use super::claims::lock;
use super::compact;
use super::file::Place;
use super::ledger::Ledger;
use super::shared::Shared;
use super::tables;
use super::tables::Broken;
use super::tables::Tables;
use crate::store::Unavailable;

/// Changes in one transaction.
const GROUP: usize = 512;
/// Messages that could not be read before and are looked at again, in one transaction.
const UNHELD: usize = 256;
/// Between two attempts to open a file that was closed since the disk was full.
const REOPEN: Duration = Duration::from_millis(250);

/// Tells who asked, once it is durable.
type Done = Box<dyn FnOnce() + Send>;
type Work = Box<dyn FnOnce(&mut Change<'_>) -> Result<Done, Broken> + Send>;

enum Job {
    Change(Work),
    Compact(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// How others reach the writer.
#[derive(Clone)]
pub(super) struct Changes {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

impl Changes {
    /// Makes a change, and answers when it is durable.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let now = self.shared.clock.now();
        let work: Work = Box::new(move |change| {
            change.now = now;
            let value = work(change)?;
            // Who does not wait for the answer any more does not need it.
            Ok(Box::new(move || drop(answer.send(value))))
        });
        let unavailable = |_| self.shared.unavailable();
        if self.shared.is_closed() || self.jobs.send(Job::Change(work)).await.is_err() {
            return Err(self.shared.unavailable());
        }
        answered.await.map_err(unavailable)
    }

    /// Gives back room where much of it is unused; answers when that is done or not worth it.
    pub(super) async fn compact(&self) {
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Compact(answer)).await.is_ok() {
            // An error says that the store is closed meanwhile.
            let _ = answered.await;
        }
    }

    /// Answers when the file is closed.
    pub(super) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Close(answer)).await.is_ok() {
            // An error says that it is closed, too.
            let _ = answered.await;
        }
    }
}

/// Starts the thread; it ends when it is told to close, or when nobody is left to tell it anything.
pub(super) fn start(shared: &Arc<Shared>, place: Place) -> std::io::Result<Changes> {
    let (jobs, waiting) = mpsc::channel(GROUP * 2);
    let writer = Writer {
        shared: Arc::clone(shared),
        place,
        unhold: Some(0),
        give_up: false,
        reopened: None,
    };
    std::thread::Builder::new()
        .name("queue-writer".into())
        .spawn(move || writer.run(waiting))?;
    Ok(Changes {
        jobs,
        shared: Arc::clone(shared),
    })
}

struct Writer {
    shared: Arc<Shared>,
    place: Place,
    /// From where on messages that could not be read before are looked at again.
    unhold: Option<u128>,
    /// The disk has failed: nothing is written any more.
    give_up: bool,
    reopened: Option<Instant>,
}

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut rest = None;
        let closing = loop {
            let mut group = Vec::new();
            let first = match self.unhold {
                Some(_) => None,
                None => jobs.blocking_recv(),
            };
            let is_over = first.is_none() && self.unhold.is_none();
            let more = std::iter::from_fn(|| jobs.try_recv().ok());
            for job in first.into_iter().chain(more) {
                match job {
                    Job::Change(work) => group.push(work),
                    other => rest = Some(other),
                }
                if rest.is_some() || group.len() == GROUP {
                    break;
                }
            }
            self.write(group);
            match rest.take() {
                Some(Job::Close(answer)) => break Some(answer),
                Some(Job::Compact(answer)) => self.compact(answer),
                Some(Job::Change(_)) | None => {}
            }
            if is_over {
                break None;
            }
        };
        self.shared.close();
        jobs.close();
        drop(self.shared.take_file());
        drop(self.place);
        if let Some(answer) = closing {
            let _ = answer.send(());
        }
    }

    fn compact(&mut self, done: oneshot::Sender<()>) {
        let Place::Directory(directory) = &self.place else {
            return;
        };
        if self.give_up {
            return;
        }
        let copied = self
            .shared
            .with_file(|opened| compact::copy(directory, &opened.database));
        match copied {
            Ok(false) => {}
            Ok(true) => {
                let replaced = self.shared.replace_file(|| {
                    directory.replace().map_err(|error| self.place.io(error))?;
                    self.place.open()
                });
                if let Err(error) = replaced {
                    self.shared.set_trouble(Some(error.to_string()));
                    tracing::error!(%error, "the queue could not go on with its compacted file");
                }
            }
            Err(Unavailable(reason)) => {
                tracing::warn!(reason, "the queue's file could not be compacted");
            }
        }
        let _ = done.send(());
    }

    fn write(&mut self, group: Vec<Work>) {
        if group.is_empty() && self.unhold.is_none() {
            return;
        }
        if self.give_up || !self.is_open() {
            self.unhold = None;
            return;
        }
        let mut ledger = (*self.shared.ledger()).clone();
        let mut effects = Effects::default();
        match self.commit(group, &mut ledger, &mut effects) {
            Ok(answers) => {
                let Effects {
                    released,
                    queues,
                    messages,
                } = effects;
                self.shared.set_trouble(None);
                self.shared.publish(ledger, &released, &queues, &messages);
                answers.into_iter().for_each(|answer| answer());
            }
            Err(error) => {
                let mut claims = lock(&self.shared.claims);
                effects.released.iter().for_each(|id| claims.unsettle(*id));
                drop(claims);
                self.unhold = None;
                self.failed(&error);
            }
        }
    }

    fn commit(
        &mut self,
        group: Vec<Work>,
        ledger: &mut Ledger,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, Broken> {
        let shared = Arc::clone(&self.shared);
        let written = shared.with_file(|opened| {
            let transaction = tables::begin(&opened.database)?;
            let answers = self.change(&transaction, group, ledger, effects)?;
            transaction.commit()?;
            Ok(answers)
        });
        written.map_err(|Unavailable(reason)| Broken(reason))
    }

    fn change(
        &mut self,
        transaction: &WriteTransaction,
        group: Vec<Work>,
        ledger: &mut Ledger,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, Broken> {
        let mut change = Change {
            tables: Tables::open(transaction)?,
            ledger: std::mem::take(ledger),
            claims: &self.shared.claims,
            seal: &self.shared.seal,
            limits: &self.shared.limits,
            now: self.shared.clock.now(),
            effects: Effects::default(),
        };
        let answers = change.make_all(group, &mut self.unhold);
        *effects = std::mem::take(&mut change.effects);
        let answers = answers?;
        change.ledger.write(&mut change.tables)?;
        *ledger = change.ledger;
        Ok(answers)
    }

    fn failed(&mut self, error: &Broken) {
        let failure = self.shared.with_file(|opened| Ok(opened.blocks.failure()));
        let file = self.place.file();
        let file = file.display();
        match failure.ok().flatten() {
            Some((Failure::Full, reason)) => {
                if self.shared.set_trouble(Some(reason.clone())) {
                    tracing::error!(%file, reason, "the queue's disk is full: nothing is accepted until there is room");
                }
                self.reopen();
            }
            Some((Failure::Broken, reason)) => {
                tracing::error!(%file, reason, "the queue's disk has failed, and what it holds of the last writes is uncertain: nothing more is accepted or settled; restart once it is repaired");
                self.give_up(reason);
            }
            Some((Failure::Damaged, reason)) => {
                tracing::error!(%file, reason, "the queue's file is damaged: nothing more is accepted or settled; what is whole in it can be salvaged: docs/queue.md");
                self.give_up(reason);
            }
            None => {
                if self.shared.set_trouble(Some(error.to_string())) {
                    tracing::error!(%file, reason = error.0, "the queue cannot write");
                }
            }
        }
    }

    fn give_up(&mut self, reason: String) {
        self.shared.set_trouble(Some(reason));
        self.give_up = true;
    }

    fn is_open(&mut self) -> bool {
        let open = self.shared.with_file(|_| Ok(())).is_ok();
        let now = Instant::now();
        let lately = self.reopened.is_some_and(|at| now - at < REOPEN);
        open || (!lately && self.reopen())
    }

    /// After a full disk: nothing is uncertain, but redb wants to begin anew.
    fn reopen(&mut self) -> bool {
        self.reopened = Some(Instant::now());
        match self.shared.replace_file(|| self.place.open()) {
            Ok(()) => {
                self.shared.bells.ring_all();
                true
            }
            Err(error) => {
                self.shared.set_trouble(Some(error.to_string()));
                false
            }
        }
    }
}

impl Change<'_> {
    fn make_all(
        &mut self,
        group: Vec<Work>,
        unhold: &mut Option<u128>,
    ) -> Result<Vec<Done>, Broken> {
        let mut answers = Vec::with_capacity(group.len());
        for work in group {
            answers.push(work(self)?);
        }
        if let Some(from) = *unhold {
            *unhold = self.unhold(from, UNHELD)?;
        }
        Ok(answers)
    }
}
