//! The queue on RabbitMQ and Redis, shared by many gateways. Start reading at [`Rabbit`].
//!
//! Owns how the contract of [`crate::store`] is kept there; docs/queue.md tells
//! operators of it, and docs/decisions/020-rabbitmq-store.md says why it is so.
//! Knows nothing of who delivers.
//!
//! - Every message that is not over lies in a quorum queue: where it arrived, or
//!   in the vault of its partition. Place and line are written on it.
//! - What is known of it (how it stands, its line, who has it in hand) is in
//!   Redis, which may lose all of that: it is read again from the brokers.
//! - A partition has one owner, by a lease in Redis and as the one reader of its
//!   queue. Whoever has lost either gets no message of it and settles none.

mod append;
mod broker;
mod index;
mod letters;
mod look;
mod names;
mod options;
mod own;
mod read;
mod shared;
mod stored;
mod take;
mod vault;
mod work;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

pub use options::Options;
pub use options::Tls;

use crate::clock::Clock;
use crate::message::Message;
use crate::rabbit::broker::Broker;
use crate::rabbit::index::Index;
use crate::rabbit::names::Names;
use crate::rabbit::shared::Shared;
use crate::rabbit::work::Work;
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
/// Changes that those who follow messages may be behind.
const CHANGES: usize = 4_096;

/// The queue on RabbitMQ and Redis.
pub struct Rabbit {
    shared: Arc<Shared>,
    /// They end with the store.
    tasks: Mutex<JoinSet<()>>,
}

/// Brokers or Redis are not as they must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl Rabbit {
    /// Connects, makes what is missing, and checks what is there.
    ///
    /// # Errors
    /// When brokers or Redis cannot be reached, or are not as safe as they must be: says what to change.
    pub async fn connect(options: Options, seal: Seal) -> Result<Self, NotReady> {
        let names = Names::new(&options.prefix).map_err(NotReady)?;
        let index = Index::new(&options.redis, options.redis_timeout, names.keys());
        let index = index.map_err(NotReady)?;
        index.check().await.map_err(NotReady)?;
        let broker = Broker::new(options.clone(), names.clone());
        let mark = seal.line("what it is sealed with", Some(""), Uuid::nil());
        let mark = Uuid::from_bytes(mark).as_u64_pair().0;
        broker.prepare(mark).await.map_err(NotReady)?;
        let listening = index.listen(&names.news()).await;
        let listening = listening.map_err(|trouble| NotReady(Unavailable::from(trouble).0))?;
        let (taken_back, refused) = mpsc::channel(TAKEN_BACK);
        let shared = Arc::new(Shared {
            broker,
            index,
            names,
            options,
            seal,
            clock: Clock::default(),
            me: Uuid::new_v4().simple().to_string(),
            work: Work::default(),
            balance: Notify::new(),
            changed: broadcast::channel(CHANGES).0,
            taken_back,
            closed: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(own::listen(shared.clone(), Some(listening)));
        tasks.spawn(own::keep(shared.clone()));
        tasks.spawn(append::refuse(shared.clone(), refused));
        tasks.spawn(read::read_given_up(shared.clone()));
        Ok(Self {
            shared,
            tasks: Mutex::new(tasks),
        })
    }

    fn end(&self) {
        let tasks = self.tasks.lock();
        tasks.unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.end();
        for part in self.shared.work.abandon().1 {
            part.reader.abort();
        }
    }
}

impl Store for Rabbit {
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
        Box::pin(async move { take::settle(&self.shared, &claim, settled).await })
    }

    fn renew<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Vec<Claim>> {
        Box::pin(take::renew(&self.shared, claims))
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
        Box::pin(look::dead_letters(&self.shared, queue, after, most))
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
        Box::pin(letters::sweep(&self.shared))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.closed.store(true, Ordering::Release);
            own::leave(&self.shared).await;
            self.end();
        })
    }
}
