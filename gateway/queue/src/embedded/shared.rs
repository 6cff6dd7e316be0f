//! What the store's writer and its readers share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use redb::Database;

use super::blocks::Blocks;
use super::claims::Bells;
use super::claims::Claims;
use super::claims::lock;
use super::ledger::Ledger;
use super::tables::Broken;
use crate::clock::Clock;
use crate::seal::Seal;
use crate::store::Limits;
use crate::store::Unavailable;

/// An open file.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) blocks: Blocks,
}

/// What the store's writer and its readers share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) seal: Seal,
    pub(super) clock: Clock,
    pub(super) claims: Mutex<Claims>,
    pub(super) bells: Bells,
    pub(super) ledger: Mutex<Arc<Ledger>>,
    /// None while the file is closed.
    pub(super) opened: RwLock<Option<Opened>>,
    closed: AtomicBool,
    /// Why nothing can be written.
    trouble: Mutex<Option<String>>,
    /// That a message is left alone has been said.
    told_of_foreign: AtomicBool,
}

impl Shared {
    pub(super) fn new(limits: Limits, seal: Seal, opened: Opened, ledger: Ledger) -> Self {
        let clock = Clock::default();
        Self {
            limits,
            seal,
            clock,
            claims: Mutex::new(Claims::since(clock.now())),
            bells: Bells::default(),
            ledger: Mutex::new(Arc::new(ledger)),
            opened: RwLock::new(Some(opened)),
            closed: AtomicBool::new(false),
            trouble: Mutex::default(),
            told_of_foreign: AtomicBool::new(false),
        }
    }

    pub(super) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&lock(&self.ledger))
    }

    /// Works with the open file.
    pub(super) fn with_file<T>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, Broken>,
    ) -> Result<T, Unavailable> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = &*opened else {
            return Err(self.unavailable());
        };
        work(opened).map_err(|Broken(reason)| Unavailable(reason))
    }

    /// Closes the file, and opens another; who reads waits for it.
    pub(super) fn replace_file<E>(
        &self,
        open: impl FnOnce() -> Result<Opened, E>,
    ) -> Result<(), E> {
        let mut current = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        *current = None;
        *current = Some(open()?);
        Ok(())
    }

    pub(super) fn take_file(&self) -> Option<Opened> {
        let mut current = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        current.take()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        lock(&self.claims).clear();
        self.bells.ring_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether this is news.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut current = lock(&self.trouble);
        let news = *current != trouble;
        *current = trouble;
        news
    }

    pub(super) fn unavailable(&self) -> Unavailable {
        if self.is_closed() {
            return Unavailable("it is closed".into());
        }
        let trouble = lock(&self.trouble).clone();
        Unavailable(trouble.unwrap_or_else(|| "it could not be written".into()))
    }

    /// What became durable is known to all from now on.
    pub(super) fn publish(
        &self,
        ledger: Ledger,
        released: &[u128],
        queues: &BTreeSet<String>,
        messages: &[u128],
    ) {
        *lock(&self.ledger) = Arc::new(ledger);
        let mut queues = queues.clone();
        {
            let mut claims = lock(&self.claims);
            queues.extend(released.iter().filter_map(|id| claims.release(*id)));
        }
        self.bells.ring(&queues, messages);
    }

    /// Says once that there are messages that this process leaves alone.
    pub(super) fn tell_of_foreign(&self, id: uuid::Uuid, queue: &str, reason: &str) {
        if !self.told_of_foreign.swap(true, Ordering::AcqRel) {
            tracing::error!(%id, queue, reason, "a stored message cannot be read by this process and is left alone; its line waits, and there may be more of them");
        }
    }
}
