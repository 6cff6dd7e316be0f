//! One write transaction, and what all changes within it share.
//!
//! Owns how a message comes to the head of its line, how it leaves it, and how
//! its record is read and rewritten. What is told to others once the
//! transaction is durable is collected here.

use std::collections::BTreeSet;
use std::sync::Mutex;

use redb::ReadableTable as _;
use uuid::Uuid;

use super::claims::Claims;
use super::ledger::Ledger;
use super::record::Head;
use super::record::Record;
use super::record::State;
use super::record::Unreadable;
use super::tables::Broken;
use super::tables::Standing;
use super::tables::Tables;
use crate::seal::Seal;
use crate::store::Limits;
use crate::store::Progress;
use crate::store::Reason;

/// One write transaction.
pub(super) struct Change<'t> {
    pub(super) tables: Tables<'t>,
    pub(super) ledger: Ledger,
    pub(super) claims: &'t Mutex<Claims>,
    pub(super) seal: &'t Seal,
    pub(super) limits: &'t Limits,
    /// Milliseconds since the Unix epoch, when what is changed now was asked for.
    pub(super) now: u64,
    pub(super) effects: Effects,
}

/// What is told once the transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Messages that are in nobody's hands any more.
    pub(super) released: Vec<u128>,
    /// Queues in which there may be something to take.
    pub(super) queues: BTreeSet<String>,
    /// Messages that stand otherwise than before.
    pub(super) messages: Vec<u128>,
}

/// Where a message stands in its queue and in its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stand {
    pub(super) id: u128,
    pub(super) queue: String,
    pub(super) line: Option<u128>,
    pub(super) place: u64,
}

/// What was read of a message, whether or not all of it can be.
pub(super) enum Read {
    Whole(Box<Record>),
    Unreadable(Unreadable),
}

impl Change<'_> {
    pub(super) fn read(&self, id: u128) -> Result<Option<Read>, Broken> {
        let Some(bytes) = self.tables.messages.get(id)? else {
            return Ok(None);
        };
        Ok(Some(match Record::decode(id, bytes.value(), self.seal) {
            Ok(record) => Read::Whole(Box::new(record)),
            Err(error) => Read::Unreadable(error),
        }))
    }

    /// The record; none where there is none that can be read.
    pub(super) fn record(&self, id: u128) -> Result<Option<Record>, Broken> {
        Ok(match self.read(id)? {
            Some(Read::Whole(record)) => Some(*record),
            Some(Read::Unreadable(_)) | None => None,
        })
    }

    pub(super) fn write(&mut self, id: u128, record: &mut Record) -> Result<(), Broken> {
        record.head.version += 1;
        let bytes = record.encode(id, self.seal);
        self.tables.messages.insert(id, &*bytes)?;
        self.effects.messages.push(id);
        Ok(())
    }

    /// The record of a message that stands there; what cannot be read of it is set aside, and
    /// what is known otherwise goes on.
    pub(super) fn record_or_remains(&mut self, stand: &Stand) -> Result<Record, Broken> {
        let read = self.read(stand.id)?;
        if let Some(Read::Whole(record)) = read {
            return Ok(*record);
        }
        let bytes = self.tables.messages.get(stand.id)?;
        let bytes = bytes.map(|bytes| bytes.value().to_vec());
        if let Some(bytes) = bytes {
            self.tables.damaged.insert(stand.id, &*bytes)?;
        }
        Ok(Record {
            head: Head {
                queue: stand.queue.clone(),
                line: stand.line.map(super::record::halves),
                place: stand.place,
                // Its last version is lost; whoever waits for news has seen a lower one.
                version: self.now,
                state: State::Waiting { due: 0 },
                progress: Progress::default(),
                facts: Some(super::record::Facts::default()),
            },
            content: None,
        })
    }

    /// Whether nothing stands before this place in the line.
    pub(super) fn is_first(&self, line: u128, place: u64) -> Result<bool, Broken> {
        let first = self.tables.lines.range((line, 0)..)?.next().transpose()?;
        Ok(first.is_none_or(|(key, _)| {
            let (found, at) = key.value();
            found != line || at >= place
        }))
    }

    /// It is the first of its line, and may be taken when it is due.
    pub(super) fn make_due(
        &mut self,
        stand: &Stand,
        due: u64,
        active_since: u64,
    ) -> Result<(), Broken> {
        let line = stand.line.unwrap_or(0);
        let standing: Standing = (stand.id, line, active_since);
        let key = (&*stand.queue, due, stand.place);
        self.tables.due.insert(key, standing)?;
        self.effects.queues.insert(stand.queue.clone());
        Ok(())
    }

    /// It waits no more: neither in the count nor among what is due.
    pub(super) fn stop_waiting(&mut self, stand: &Stand, due: u64) -> Result<(), Broken> {
        let queue = &*stand.queue;
        self.tables.due.remove((queue, due, stand.place))?;
        let waited = self.tables.waiting.remove((queue, stand.place))?;
        let waited = waited.map(|it| it.value());
        if let Some((_, bytes)) = waited {
            let account = self.ledger.of(queue);
            account.waiting = account.waiting.saturating_sub(1);
            account.bytes = account.bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// It leaves its line, and the next one comes to the head.
    pub(super) fn leave_line(&mut self, stand: &Stand) -> Result<(), Broken> {
        let Some(line) = stand.line else {
            return Ok(());
        };
        self.tables.lines.remove((line, stand.place))?;
        self.promote(&stand.queue, line)
    }

    /// Makes the first of a line due. Damaged ones on the way are given up.
    fn promote(&mut self, queue: &str, line: u128) -> Result<(), Broken> {
        while let Some((place, id)) = self.first_of(line)? {
            let stand = Stand {
                id,
                queue: queue.to_owned(),
                line: Some(line),
                place,
            };
            let now = self.now;
            match self.read(id)? {
                Some(Read::Whole(record)) => {
                    let State::Waiting { due } = record.head.state else {
                        return Ok(());
                    };
                    return self.make_due(&stand, due.max(now), due.max(now));
                }
                Some(Read::Unreadable(Unreadable::Foreign(_))) => {
                    return self.make_due(&stand, now, now);
                }
                Some(Read::Unreadable(Unreadable::Damaged(_))) | None => {
                    self.tables.lines.remove((line, place))?;
                    self.bury_damaged(&stand, 0)?;
                }
            }
        }
        Ok(())
    }

    fn first_of(&self, line: u128) -> Result<Option<(u64, u128)>, Broken> {
        let first = self
            .tables
            .lines
            .range((line, 0)..=(line, u64::MAX))?
            .next();
        let Some((key, id)) = first.transpose()? else {
            return Ok(None);
        };
        Ok(Some((key.value().1, id.value())))
    }

    /// A message of which nothing can be read goes to the dead letters; its line must have gone on.
    pub(super) fn bury_damaged(&mut self, stand: &Stand, due: u64) -> Result<(), Broken> {
        let id = Uuid::from_u128(stand.id);
        tracing::error!(%id, queue = stand.queue, "a stored message is damaged and cannot be delivered: it lies with the dead letters");
        let mut record = self.record_or_remains(stand)?;
        self.stop_waiting(stand, due)?;
        self.bury(stand, &mut record, Reason::Damaged, false)
    }

    /// It lies with the dead letters.
    pub(super) fn bury(
        &mut self,
        stand: &Stand,
        record: &mut Record,
        reason: Reason,
        blocks: bool,
    ) -> Result<(), Broken> {
        let died = self.ledger.place();
        record.head.state = State::Dead {
            at: self.now,
            reason,
            died,
            blocks,
        };
        let line = stand.line.unwrap_or(0);
        let letter = (stand.id, self.now, line, stand.place, blocks);
        self.tables.dead.insert((&*stand.queue, died), letter)?;
        self.ledger.of(&stand.queue).dead += 1;
        if let (Some(line), false) = (stand.line, blocks) {
            self.tables.behind.insert((line, stand.place), stand.id)?;
        }
        self.write(stand.id, record)
    }
}
