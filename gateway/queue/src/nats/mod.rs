//! The queue on NATS JetStream, shared by many gateways. Start reading at [`Nats`].
//!
//! Owns how the contract of [`crate::store`] is kept there; docs/queue.md tells
//! operators of it, and docs/decisions/017-jetstream-store.md says why it is so.
//! Knows nothing of who delivers.
//!
//! - What waits lies in one stream, under a subject for each line. Nothing is
//!   deleted there but by sequence, after it was moved.
//! - What is known of a message lies in a bucket, and changes by compare-and-set:
//!   that record decides what a message is. Moving the message follows from it,
//!   and is done again by whoever finds it undone.
//! - A partition is owned by a lease; the owner keeps in memory where the lines
//!   begin (`lines.rs`), and nothing that would be lost with it.

mod append;
mod broker;
mod confirm;
mod control;
mod dedupe;
mod hand;
mod keep;
mod letters;
mod look;
mod names;
mod options;
mod pull;
mod record;
mod settle;
mod shared;
mod streams;
mod sweep;
mod take;
mod work;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

pub use options::Credentials;
pub use options::Durability;
pub use options::Options;
pub use options::Tls;

use crate::clock::Clock;
use crate::message::Message;
use crate::nats::broker::Broker;
use crate::nats::control::View;
use crate::nats::names::Names;
use crate::nats::shared::Shared;
use crate::nats::work::Work;
use crate::seal::Seal;
use crate::store::BoxFuture;
use crate::store::Claim;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::NotRetried;
use crate::store::NotSettled;
use crate::store::Paused;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Settled;
use crate::store::Shown;
use crate::store::Store;
use crate::store::Taken;
use crate::store::Unavailable;

/// Refused messages that wait to be taken back.
const TAKEN_BACK: usize = 100_000;

/// The queue on NATS JetStream.
pub struct Nats {
    shared: Arc<Shared>,
    /// They end with the store.
    tasks: Mutex<JoinSet<()>>,
}

/// The brokers are not as they must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl Nats {
    /// Connects, makes the streams where they are missing, and checks them.
    ///
    /// # Errors
    /// When the brokers cannot be reached, or are not as safe as was promised: says what to change.
    pub async fn connect(options: Options, seal: Seal) -> Result<Self, NotReady> {
        let names = Names::new(&options.prefix).map_err(NotReady)?;
        if options.durability == Durability::SyncAlways {
            for url in &options.monitoring {
                confirm::confirm(url).await.map_err(NotReady)?;
            }
        }
        let broker = Broker::connect(&options).await.map_err(NotReady)?;
        let prepared = streams::prepare(&broker, &names, &options, &seal).await;
        prepared.map_err(NotReady)?;
        let (taken_back, refused) = mpsc::channel(TAKEN_BACK);
        let shared = Arc::new(Shared {
            broker,
            names,
            remembered: Mutex::new(options.remembered),
            options,
            seal,
            clock: Clock::default(),
            me: Uuid::new_v4().simple().to_string(),
            work: Work::default(),
            view: Mutex::new(View::new()),
            balance: Notify::new(),
            news: AtomicBool::new(false),
            valid_until: Mutex::new(Instant::now()),
            next_sweep: Mutex::new(Instant::now()),
            closed: AtomicBool::new(false),
            taken_back,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(keep::listen(shared.clone()));
        tasks.spawn(keep::listen_for_lines(shared.clone()));
        tasks.spawn(keep::keep(shared.clone()));
        tasks.spawn(append::refuse(shared.clone(), refused));
        let store = Self {
            shared,
            tasks: Mutex::new(tasks),
        };
        keep::heard(&store.shared).await.map_err(NotReady)?;
        Ok(store)
    }

    fn end(&self) {
        let tasks = self.tasks.lock();
        tasks.unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.end();
        // Its readers hold what they read for.
        self.shared.work.abandon();
    }
}

impl Store for Nats {
    fn is_atomic(&self) -> bool {
        false
    }

    fn append(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, Refused>>> {
        Box::pin(append::append(&self.shared, messages))
    }

    fn take<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Taken>, Unavailable>> {
        Box::pin(take::take(&self.shared, queue, most))
    }

    fn settle(&self, claim: Claim, settled: Settled) -> BoxFuture<'_, Result<(), NotSettled>> {
        Box::pin(async move { settle::settle(&self.shared, &claim, settled).await })
    }

    fn renew<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Vec<Claim>> {
        let until = Instant::now() + self.shared.options.visibility;
        let work = &self.shared.work;
        let lost = claims
            .iter()
            .filter(|claim| !work.renew(claim.token, claim.id, until));
        Box::pin(std::future::ready(lost.cloned().collect()))
    }

    fn find(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(look::find(&self.shared, id))
    }

    fn changed(
        &self,
        id: Uuid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(look::changed(&self.shared, id, since))
    }

    fn dead_letters<'a>(
        &'a self,
        queue: Option<&'a str>,
        after: Option<Uuid>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, Unavailable>> {
        Box::pin(letters::dead_letters(&self.shared, queue, after, most))
    }

    fn show(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Shown>, Unavailable>> {
        Box::pin(look::show(&self.shared, id))
    }

    fn retry(&self, id: Uuid, force: bool) -> BoxFuture<'_, Result<(), NotRetried>> {
        Box::pin(letters::retry(&self.shared, id, force))
    }

    fn purge(&self, id: Uuid) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(letters::purge(&self.shared, id))
    }

    fn erase<'a>(&'a self, caller: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>> {
        Box::pin(letters::erase(&self.shared, caller))
    }

    fn set_paused<'a>(
        &'a self,
        queue: &'a str,
        paused: Option<Paused>,
    ) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(letters::set_paused(&self.shared, queue, paused))
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Unavailable>> {
        Box::pin(look::depths(&self.shared))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(sweep::sweep(&self.shared))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            keep::leave(&self.shared).await;
            self.end();
        })
    }
}
