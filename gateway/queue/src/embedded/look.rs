//! Reading what is known, without taking it.

use redb::ReadTransaction;
use redb::ReadableDatabase as _;
use uuid::Uuid;

use super::claims::lock;
use super::ledger::Account;
use super::record::Head;
use super::record::Record;
use super::record::State;
use super::record::halves;
use super::shared::Opened;
use super::shared::Shared;
use super::tables::Broken;
use super::tables::DEAD;
use super::tables::HELD;
use super::tables::Letter;
use super::tables::MESSAGES;
use super::tables::WAITING;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Shown;
use crate::store::Unavailable;

/// Records that are read for one step of a search through all of them.
pub(super) const STEP: usize = 1_000;

impl Shared {
    pub(super) fn find(&self, id: Uuid) -> Result<Option<Delivery>, Unavailable> {
        let found = self.with_file(|opened| self.read_one(opened, id.as_u128()))?;
        Ok(found.map(|(record, taken)| record.delivery(id.as_u128(), taken)))
    }

    pub(super) fn show(&self, id: Uuid) -> Result<Option<Shown>, Unavailable> {
        let found = self.with_file(|opened| self.read_one(opened, id.as_u128()))?;
        Ok(found.map(|(record, taken)| Shown {
            delivery: record.delivery(id.as_u128(), taken),
            message: record.message().ok(),
            progress: record.head.progress,
        }))
    }

    /// The record, and whether it is in somebody's hands.
    fn read_one(&self, opened: &Opened, id: u128) -> Result<Option<(Record, bool)>, Broken> {
        let (transaction, taken) = {
            let claims = lock(&self.claims);
            (opened.database.begin_read()?, claims.is_taken(id))
        };
        let messages = transaction.open_table(MESSAGES)?;
        let Some(bytes) = messages.get(id)? else {
            return Ok(None);
        };
        Ok(Some(match Record::decode(id, bytes.value(), &self.seal) {
            Ok(record) => (record, taken),
            Err(_) => (unread(&transaction, id)?, taken),
        }))
    }

    pub(super) fn dead_letters(
        &self,
        queue: Option<&str>,
        after: Option<Uuid>,
        most: usize,
    ) -> Result<Vec<DeadLetter>, Unavailable> {
        let ledger = self.ledger();
        let of_queue = |name: &&String| queue.is_none_or(|queue| queue == **name);
        let queues = ledger.queues.keys().filter(of_queue);
        let queues = queues.map(String::as_str).collect::<Vec<_>>();
        self.with_file(|opened| {
            let transaction = opened.database.begin_read()?;
            let after = match after {
                Some(id) => self.died(&transaction, id.as_u128())?,
                None => None,
            };
            let letters = first_dead(&transaction, &queues, after.map_or(0, |at| at + 1), most)?;
            let messages = transaction.open_table(MESSAGES)?;
            let mut read = Vec::with_capacity(letters.len());
            for (queue, died, letter) in letters {
                let bytes = messages.get(letter.0)?;
                let record = bytes
                    .and_then(|it| Record::decode(letter.0, it.value(), &self.seal).ok())
                    .unwrap_or_else(|| dead_remains(queue, died, letter));
                read.push(dead_letter(&record, letter));
            }
            Ok(read)
        })
    }

    /// Its place among the dead, where it is one of them.
    fn died(&self, transaction: &ReadTransaction, id: u128) -> Result<Option<u64>, Broken> {
        let messages = transaction.open_table(MESSAGES)?;
        let bytes = messages.get(id)?;
        let record = bytes.and_then(|it| Record::decode(id, it.value(), &self.seal).ok());
        Ok(record.and_then(|record| match record.head.state {
            State::Dead { died, .. } => Some(died),
            State::Waiting { .. } | State::Delivered { .. } => None,
        }))
    }

    pub(super) fn depths(&self) -> Result<Vec<Depth>, Unavailable> {
        let ledger = self.ledger();
        self.with_file(|opened| {
            let transaction = opened.database.begin_read()?;
            let waiting = transaction.open_table(WAITING)?;
            let mut depths = Vec::with_capacity(ledger.queues.len());
            let told = |account: &Account| {
                account.waiting > 0 || account.dead > 0 || account.paused.is_some()
            };
            for (queue, account) in ledger.queues.iter().filter(|(_, it)| told(it)) {
                let range = (&**queue, 0)..=(&**queue, u64::MAX);
                let oldest = waiting.range(range)?.next().transpose()?;
                depths.push(Depth {
                    queue: queue.clone(),
                    waiting: account.waiting,
                    bytes: account.bytes,
                    oldest: oldest.map(|(_, it)| it.value().0),
                    dead: account.dead,
                    paused: account.paused.clone(),
                });
            }
            Ok(depths)
        })
    }

    /// Finished messages of a caller, among some from this id on; and where to go on.
    pub(super) fn finished_of(
        &self,
        caller: &str,
        from: u128,
    ) -> Result<(Vec<u128>, Option<u128>), Unavailable> {
        self.with_file(|opened| {
            let transaction = opened.database.begin_read()?;
            let messages = transaction.open_table(MESSAGES)?;
            let (mut found, mut read, mut last) = (Vec::new(), 0, None);
            for entry in messages.range(from..)?.take(STEP) {
                let (id, bytes) = entry?;
                (last, read) = (Some(id.value()), read + 1);
                let Ok(record) = Record::decode(id.value(), bytes.value(), &self.seal) else {
                    continue;
                };
                let waits = matches!(record.head.state, State::Waiting { .. });
                if !waits && record.facts().caller.as_deref() == Some(caller) {
                    found.push(id.value());
                }
            }
            let next = last
                .filter(|_| read == STEP)
                .and_then(|id| id.checked_add(1));
            Ok((found, next))
        })
    }
}

/// The first dead letters of these queues from this place on.
fn first_dead<'q>(
    transaction: &ReadTransaction,
    queues: &[&'q str],
    from: u64,
    most: usize,
) -> Result<Vec<(&'q str, u64, Letter)>, Broken> {
    let dead = transaction.open_table(DEAD)?;
    let mut letters = Vec::new();
    for queue in queues {
        for entry in dead.range((*queue, from)..=(*queue, u64::MAX))?.take(most) {
            let (key, letter) = entry?;
            letters.push((*queue, key.value().1, letter.value()));
        }
    }
    letters.sort_by_key(|(_, died, _)| *died);
    letters.truncate(most);
    Ok(letters)
}

fn dead_letter(record: &Record, (id, at, _, _, blocks): Letter) -> DeadLetter {
    let reason = match record.head.state {
        State::Dead { reason, .. } => reason,
        State::Waiting { .. } | State::Delivered { .. } => Reason::Damaged,
    };
    DeadLetter {
        delivery: record.delivery(id, false),
        reason,
        died_at: at,
        blocks,
        first_error: record.head.progress.first_error.clone(),
        request_id: record.facts().request_id,
    }
}

/// What is known of a dead letter that was damaged since.
fn dead_remains(queue: &str, died: u64, (_, at, line, place, blocks): Letter) -> Record {
    Record {
        head: Head {
            queue: queue.to_owned(),
            line: (line != 0).then(|| halves(line)),
            place,
            version: 0,
            state: State::Dead {
                at,
                reason: Reason::Damaged,
                died,
                blocks,
            },
            progress: Progress::default(),
            facts: None,
        },
        content: None,
    }
}

/// What is known of a message that this process cannot read: it waits.
fn unread(transaction: &ReadTransaction, id: u128) -> Result<Record, Broken> {
    let held = transaction.open_table(HELD)?;
    let held = held.get(id)?;
    let (queue, place) = held.map_or_else(Default::default, |it| {
        let (queue, _, place, _) = it.value();
        (queue.to_owned(), place)
    });
    Ok(Record {
        head: Head {
            queue,
            line: None,
            place,
            version: 0,
            state: State::Waiting { due: 0 },
            progress: Progress::default(),
            facts: None,
        },
        content: None,
    })
}
