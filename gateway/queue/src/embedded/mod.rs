//! The store that needs nothing but a directory. Start reading at [`Embedded`].
//!
//! Owns one file, [redb](https://www.redb.org)'s tables on checked blocks, that
//! one process has at a time. All that wants to be written together becomes one
//! synced transaction of one thread (`writer`); the changes themselves are in
//! `append`, `settle` and `dead`. Who has a message in hand is known in memory
//! alone (`claims`), so that after a crash nobody has. Knows nothing of who
//! delivers.
//!
//! What the file must survive is in `blocks`: everything but the loss of the
//! disk. What each table is for is in `tables`.

mod append;
mod blocks;
mod change;
mod claims;
mod compact;
mod dead;
mod disk;
mod file;
mod keys;
mod leaf;
mod ledger;
mod look;
mod rebuild;
mod record;
mod salvage;
mod settle;
mod shared;
mod tables;
mod take;
#[cfg(test)]
mod versions;
mod writer;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use self::append::Prepared;
use self::change::Change;
use self::claims::lock;
use self::disk::Contents;
use self::disk::Directory;
pub use self::disk::Disk;
pub use self::disk::FileDisk;
pub use self::file::OpenError;
use self::file::Place;
pub use self::keys::EmbeddedKeys;
use self::ledger::Ledger;
use self::record::Unreadable;
pub use self::salvage::Salvaged;
use self::shared::Shared;
use self::tables::Broken;
use self::tables::Tables;
use self::take::Catch;
use self::writer::Changes;
use crate::clock::Clock;
use crate::message::Message;
use crate::seal::Seal;
use crate::store::BoxFuture;
use crate::store::Claim;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::Limits;
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

/// Before a store that could not write is worth asking again.
const UNAVAILABLE: Duration = Duration::from_secs(5);
/// Between two looks whether another process has let go of the directory.
const HAND_OVER: Duration = Duration::from_millis(20);

/// Messages in one file of this machine.
pub struct Embedded {
    shared: Arc<Shared>,
    changes: Changes,
}

impl Embedded {
    /// Over a directory, which is made where there is none. Blocks.
    ///
    /// # Errors
    /// When another process has it, or when what it holds cannot be read.
    pub fn open(directory: &Path, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        let place = lock_directory(directory, Contents::Messages)?;
        place.make()?;
        Self::start(place, limits, seal)
    }

    /// As [`Embedded::open`], but while another process has it, waits for so long.
    ///
    /// # Errors
    /// When another process has it still, or when what it holds cannot be read.
    pub async fn open_within(
        directory: &Path,
        limits: Limits,
        seal: Seal,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        let until = Instant::now() + patience;
        let place = loop {
            match lock_directory(directory, Contents::Messages) {
                Err(OpenError::InUse(_)) if Instant::now() < until => {
                    tokio::time::sleep(HAND_OVER).await;
                }
                locked => break locked?,
            }
        };
        let directory = directory.to_path_buf();
        let opened = tokio::task::spawn_blocking(move || {
            place.make()?;
            Self::start(place, limits, seal)
        });
        opened.await.unwrap_or_else(|error| {
            Err(OpenError::Io {
                file: directory,
                error: std::io::Error::other(error),
            })
        })
    }

    /// Over bytes of which nobody else knows. Blocks.
    ///
    /// # Errors
    /// When what they hold cannot be read.
    pub fn open_on(disk: Arc<dyn Disk>, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        Self::start(Place::Disk(disk), limits, seal)
    }

    /// Makes a file of the messages that can be read of a damaged one, which is kept beside it.
    /// Blocks, for as long as reading the file takes.
    ///
    /// Dead letters keep all they had. What was lost is everything that stands in no message:
    /// pauses, and that a value was used for deduplication by a message that is deleted already. A
    /// message whose last version was lost comes back as an earlier one, and may be delivered again.
    ///
    /// # Errors
    /// When another process has the directory, there is no room for another file, or the messages
    /// are sealed with another key. The damaged file is where it was, then.
    pub fn salvage(directory: &Path, seal: &Seal) -> Result<Salvaged, OpenError> {
        let place = lock_directory(directory, Contents::Messages)?;
        salvage::salvage(&place, seal, Clock::default().now())
    }

    fn start(place: Place, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        let opened = place.open()?;
        let broken = |Broken(reason)| place.damaged(reason);
        file::upgrade(&opened.database, &seal).map_err(broken)?;
        let ledger = read_ledger(&opened).map_err(broken)?;
        let shared = Arc::new(Shared::new(limits, seal, opened, ledger));
        let file = place.file();
        let changes = writer::start(&shared, place);
        let changes = changes.map_err(|error| OpenError::Io { file, error })?;
        Ok(Self { shared, changes })
    }

    /// Reads in a thread that may wait for the disk.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Shared) -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let shared = Arc::clone(&self.shared);
        let looked = tokio::task::spawn_blocking(move || look(&shared)).await;
        looked.unwrap_or_else(|error| Err(Unavailable(error.to_string())))
    }

    /// Takes what is due now; messages that cannot be read are put out of the way.
    async fn take_now(&self, queue: &str, most: usize) -> Result<Catch, Unavailable> {
        let shared = Arc::clone(&self.shared);
        let queue = queue.to_owned();
        let caught = tokio::task::spawn_blocking(move || Catch::take(shared, queue, most));
        let catch = caught.await;
        let catch = catch.unwrap_or_else(|error| Err(Unavailable(error.to_string())))?;
        for (claim, why) in catch.unreadable() {
            self.put_aside(claim, why).await?;
        }
        Ok(catch)
    }

    async fn put_aside(&self, claim: &Claim, why: &Unreadable) -> Result<(), Unavailable> {
        if let Unreadable::Foreign(reason) = why {
            self.shared.tell_of_foreign(claim.id, &claim.queue, reason);
        }
        let (claim, damaged) = (claim.clone(), matches!(why, Unreadable::Damaged(_)));
        let make = move |change: &mut Change<'_>| {
            let id = claim.id.as_u128();
            let held = lock(change.claims).settle(&claim);
            match held {
                None => Ok(()),
                Some(held) if damaged => change.quarantine(id, held),
                Some(held) => change.hold(id, held),
            }
        };
        self.changes.make(make).await
    }

    async fn wait_and_take(&self, queue: &str, most: usize) -> Result<Vec<Taken>, Unavailable> {
        let bell = self.shared.bells.queue(queue);
        loop {
            let mut rings = std::pin::pin!(bell.notified());
            // From here on nothing is missed.
            rings.as_mut().enable();
            if self.shared.is_closed() {
                return Err(self.shared.unavailable());
            }
            let catch = self.take_now(queue, most).await?;
            if !catch.is_empty() {
                let taken = catch.into_taken();
                if taken.is_empty() {
                    continue;
                }
                return Ok(taken);
            }
            let next = self.shared.clock.when(catch.next);
            tokio::select! {
                () = rings => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }
}

fn lock_directory(path: &Path, contents: Contents) -> Result<Place, OpenError> {
    let locked = Directory::lock(path, contents).map_err(|error| OpenError::Io {
        file: path.to_path_buf(),
        error,
    })?;
    let in_use = || OpenError::InUse(PathBuf::from(path));
    locked.map(Place::Directory).ok_or_else(in_use)
}

fn read_ledger(opened: &shared::Opened) -> Result<Ledger, Broken> {
    let transaction = tables::begin(&opened.database)?;
    let ledger = Ledger::read(&Tables::open(&transaction)?)?;
    transaction.abort()?;
    Ok(ledger)
}

impl Store for Embedded {
    fn is_atomic(&self) -> bool {
        true
    }

    fn append(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, Refused>>> {
        Box::pin(async move {
            let count = messages.len();
            let prepared = messages.into_iter().map(Prepared::new).collect();
            let appended = self.changes.make(|change| change.append(prepared)).await;
            appended.unwrap_or_else(|Unavailable(reason)| {
                let refused = Refused::Unavailable {
                    reason,
                    retry_after: UNAVAILABLE,
                };
                vec![Err(refused); count]
            })
        })
    }

    fn take<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Taken>, Unavailable>> {
        Box::pin(self.wait_and_take(queue, most))
    }

    fn settle(&self, claim: Claim, settled: Settled) -> BoxFuture<'_, Result<(), NotSettled>> {
        Box::pin(async move {
            let make = move |change: &mut Change<'_>| {
                let held = lock(change.claims).settle(&claim);
                let Some(held) = held else {
                    return Ok(Err(NotSettled::Lost));
                };
                change.settle(claim.id.as_u128(), held, settled).map(Ok)
            };
            self.changes.make(make).await?
        })
    }

    fn renew<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Vec<Claim>> {
        let known = lock(&self.shared.claims);
        let lost = claims.iter().filter(|claim| !known.is_held(claim));
        let lost = lost.cloned().collect();
        Box::pin(std::future::ready(lost))
    }

    fn find(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(self.look(move |shared| shared.find(id)))
    }

    fn changed(
        &self,
        id: Uuid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(async move {
            loop {
                let mut rings = std::pin::pin!(self.shared.bells.message(id.as_u128()).notified());
                rings.as_mut().enable();
                let found = self.find(id).await?;
                if found.as_ref().is_none_or(|found| found.version != since) {
                    return Ok(found);
                }
                rings.await;
            }
        })
    }

    fn dead_letters<'a>(
        &'a self,
        queue: Option<&'a str>,
        after: Option<Uuid>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, Unavailable>> {
        let queue = queue.map(str::to_owned);
        Box::pin(self.look(move |shared| shared.dead_letters(queue.as_deref(), after, most)))
    }

    fn show(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Shown>, Unavailable>> {
        Box::pin(self.look(move |shared| shared.show(id)))
    }

    fn retry(&self, id: Uuid, force: bool) -> BoxFuture<'_, Result<(), NotRetried>> {
        Box::pin(async move {
            let retried = self.changes.make(move |change| change.retry(id, force));
            retried.await?
        })
    }

    fn purge(&self, id: Uuid) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(self.changes.make(move |change| change.purge(id)))
    }

    fn erase<'a>(&'a self, caller: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>> {
        Box::pin(async move {
            let (mut erased, mut next) = (0, Some(0));
            while let Some(from) = next {
                let caller = caller.to_owned();
                let found = self.look(move |shared| shared.finished_of(&caller, from));
                let (ids, rest) = found.await?;
                next = rest;
                if !ids.is_empty() {
                    erased += self.changes.make(move |change| change.erase(&ids)).await?;
                }
            }
            Ok(erased)
        })
    }

    fn set_paused<'a>(
        &'a self,
        queue: &'a str,
        paused: Option<Paused>,
    ) -> BoxFuture<'a, Result<(), Unavailable>> {
        let queue = queue.to_owned();
        Box::pin(self.changes.make(move |change| {
            change.set_paused(&queue, paused);
            Ok(())
        }))
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Unavailable>> {
        Box::pin(self.look(Shared::depths))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            while self.changes.make(|change| change.sweep()).await? {}
            self.changes.compact().await;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.close();
            self.changes.close().await;
        })
    }
}
