//! Taking what is due.

use std::sync::Arc;
use std::time::Duration;

use redb::ReadTransaction;
use redb::ReadableDatabase as _;
use uuid::Uuid;

use super::claims::lock;
use super::record::Record;
use super::record::Unreadable;
use super::shared::Opened;
use super::shared::Shared;
use super::tables::Broken;
use super::tables::DUE;
use super::tables::MESSAGES;
use super::tables::Standing;
use crate::clock::millis;
use crate::store::Claim;
use crate::store::Taken;
use crate::store::Unavailable;

/// Who waits for the next due time looks again after so long at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What one look at a queue has found. What nobody takes out of it is given back.
pub(super) struct Catch {
    shared: Arc<Shared>,
    queue: String,
    taken: Vec<Taken>,
    unreadable: Vec<(Claim, Unreadable)>,
    /// When to look again where nothing was found, in milliseconds since the Unix epoch.
    pub(super) next: u64,
}

impl Catch {
    /// Takes what is due, as of now.
    pub(super) fn take(
        shared: Arc<Shared>,
        queue: String,
        most: usize,
    ) -> Result<Self, Unavailable> {
        let now = shared.clock.now();
        let mut catch = Self {
            queue,
            taken: Vec::new(),
            unreadable: Vec::new(),
            next: now + millis(LONGEST_WAIT),
            shared: Arc::clone(&shared),
        };
        let ledger = shared.ledger();
        let account = ledger.queues.get(&catch.queue);
        let paused = account.is_some_and(|account| account.paused.is_some());
        if !paused && most > 0 {
            shared.with_file(|opened| catch.look(opened, most, now))?;
        }
        Ok(catch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.unreadable.is_empty()
    }

    pub(super) fn into_taken(mut self) -> Vec<Taken> {
        std::mem::take(&mut self.taken)
    }

    pub(super) fn unreadable(&self) -> &[(Claim, Unreadable)] {
        &self.unreadable
    }

    fn look(&mut self, opened: &Opened, most: usize, now: u64) -> Result<(), Broken> {
        let (transaction, found) = self.claim(opened, most, now)?;
        let messages = transaction.open_table(MESSAGES)?;
        for (claim, (id, _, active_since)) in found {
            let bytes = messages.get(id)?;
            let record = match &bytes {
                Some(bytes) => Record::decode(id, bytes.value(), &self.shared.seal),
                None => Err(Unreadable::Damaged("it is not there".into())),
            };
            let read = record.and_then(|record| Ok((record.message()?, record.head.progress)));
            match read {
                Err(error) => self.unreadable.push((claim, error)),
                Ok((message, mut progress)) => {
                    progress.active_since = active_since;
                    self.taken.push(Taken {
                        claim,
                        message,
                        progress,
                    });
                }
            }
        }
        Ok(())
    }

    /// Claims are looked at together with what is due: what was settled in between is in neither.
    fn claim(
        &mut self,
        opened: &Opened,
        most: usize,
        now: u64,
    ) -> Result<(ReadTransaction, Vec<(Claim, Standing)>), Broken> {
        let queue = &*self.queue;
        let mut found = Vec::new();
        let mut claims = lock(&self.shared.claims);
        let transaction = opened.database.begin_read()?;
        let due = transaction.open_table(DUE)?;
        for entry in due.range((queue, 0, 0)..=(queue, u64::MAX, u64::MAX))? {
            let (key, standing) = entry?;
            let ((_, due, place), standing) = (key.value(), standing.value());
            let (id, line, _) = standing;
            if found.len() == most || self.shared.is_closed() {
                break;
            }
            if claims.is_taken(id) {
                continue;
            }
            if due > now {
                self.next = self.next.min(due);
                break;
            }
            let token = claims.take(id, queue, (due, place), line);
            let claim = Claim {
                id: Uuid::from_u128(id),
                queue: queue.to_owned(),
                token,
            };
            found.push((claim, standing));
        }
        drop(claims);
        let ids = found.iter().map(|(_, (id, ..))| *id);
        self.shared.bells.ring_messages(ids);
        Ok((transaction, found))
    }
}

impl Drop for Catch {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let mut claims = lock(&self.shared.claims);
        let unreadable = self.unreadable.iter().map(|(claim, _)| claim);
        let unused = self.taken.iter().map(|it| &it.claim).chain(unreadable);
        unused.clone().for_each(|claim| claims.give_back(claim));
        let ids = unused.map(|claim| claim.id.as_u128());
        drop(claims);
        self.shared.bells.ring_messages(ids);
        self.shared.bells.queue(&self.queue).notify_waiters();
    }
}
