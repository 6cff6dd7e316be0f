//! Dead letters: put back, deleted, forgotten; and pausing of queues.

use std::time::Duration;

use redb::ReadableTable as _;
use uuid::Uuid;

use super::change::Change;
use super::change::Read;
use super::change::Stand;
use super::record::Record;
use super::record::State;
use super::tables::Broken;
use crate::clock::millis;
use crate::store::NotRetried;
use crate::store::Paused;
use crate::store::Progress;

/// What one transaction deletes at most: those who wait for it do not wait for long.
pub(super) const PORTION: usize = 1_000;

/// A dead letter.
struct Letter {
    stand: Stand,
    record: Record,
    died: u64,
    blocks: bool,
}

impl Letter {
    fn of(id: Uuid, record: Record) -> Option<Self> {
        let State::Dead { died, blocks, .. } = record.head.state else {
            return None;
        };
        let stand = Stand {
            id: id.as_u128(),
            queue: record.head.queue.clone(),
            line: record.head.line(),
            place: record.head.place,
        };
        Some(Self {
            stand,
            record,
            died,
            blocks,
        })
    }
}

impl Change<'_> {
    fn letter(&mut self, id: Uuid) -> Result<Option<Letter>, Broken> {
        match self.read(id.as_u128())? {
            None => Ok(None),
            Some(Read::Whole(record)) => Ok(Letter::of(id, *record)),
            Some(Read::Unreadable(_)) => self.unreadable_letter(id),
        }
    }

    /// Damaged while it lay with the dead letters: it is looked for among all of them.
    fn unreadable_letter(&mut self, id: Uuid) -> Result<Option<Letter>, Broken> {
        let mut found = None;
        for entry in self.tables.dead.iter()? {
            let (key, letter) = entry?;
            let (of, _, line, place, blocks) = letter.value();
            if of == id.as_u128() {
                let (queue, died) = key.value();
                let line = (line != 0).then_some(line);
                let queue = queue.to_owned();
                let id = of;
                let stand = Stand {
                    id,
                    queue,
                    line,
                    place,
                };
                found = Some((stand, died, blocks));
                break;
            }
        }
        let Some((stand, died, blocks)) = found else {
            return Ok(None);
        };
        Ok(Some(Letter {
            record: self.record_or_remains(&stand)?,
            stand,
            died,
            blocks,
        }))
    }

    pub(super) fn retry(
        &mut self,
        id: Uuid,
        force: bool,
    ) -> Result<Result<(), NotRetried>, Broken> {
        let Some(letter) = self.letter(id)? else {
            return Ok(Err(NotRetried::Unknown));
        };
        let Ok(message) = letter.record.message() else {
            return Ok(Err(NotRetried::Damaged));
        };
        if !force && self.has_moved_on(&letter)? {
            return Ok(Err(NotRetried::MovedOn));
        }
        let Letter {
            stand,
            mut record,
            died,
            blocks,
        } = letter;
        self.unbury(&stand, died)?;
        let stand = match blocks {
            // Its place in its line is still its own.
            true => stand,
            false => self.stand_at_the_end(&message),
        };
        let bytes = record.content.as_ref().map_or(0, Vec::len) as u64;
        record.head.place = stand.place;
        record.head.line = stand.line.map(super::record::halves);
        record.head.state = State::Waiting { due: self.now };
        record.head.progress = Progress::default();
        self.write(stand.id, &mut record)?;
        self.wait_at_the_end(&stand, (message.accepted_at, bytes), self.now)?;
        Ok(Ok(()))
    }

    fn has_moved_on(&self, letter: &Letter) -> Result<bool, Broken> {
        let (Some(line), false) = (letter.stand.line, letter.blocks) else {
            return Ok(false);
        };
        let place = letter.stand.place;
        let followed = (line, place + 1)..=(line, u64::MAX);
        let waits = self.tables.lines.range(followed)?.next().is_some();
        Ok(waits || self.tables.behind.get((line, place))?.is_none())
    }

    /// It is no dead letter any more.
    fn unbury(&mut self, stand: &Stand, died: u64) -> Result<(), Broken> {
        self.tables.dead.remove((&*stand.queue, died))?;
        let account = self.ledger.of(&stand.queue);
        account.dead = account.dead.saturating_sub(1);
        if let Some(line) = stand.line {
            self.tables.behind.remove((line, stand.place))?;
        }
        Ok(())
    }

    /// Whether there was such a dead letter.
    pub(super) fn purge(&mut self, id: Uuid) -> Result<bool, Broken> {
        let Some(letter) = self.letter(id)? else {
            return Ok(false);
        };
        if let Ok(message) = letter.record.message() {
            self.forget(&message)?;
        }
        self.unbury(&letter.stand, letter.died)?;
        self.tables.messages.remove(letter.stand.id)?;
        self.tables.damaged.remove(letter.stand.id)?;
        self.effects.messages.push(letter.stand.id);
        if letter.blocks {
            self.leave_line(&letter.stand)?;
        }
        Ok(true)
    }

    /// Deletes what these finished messages say; how many did.
    pub(super) fn erase(&mut self, ids: &[u128]) -> Result<u64, Broken> {
        let mut erased = 0;
        for id in ids {
            let Some(mut record) = self.record(*id)? else {
                continue;
            };
            match record.head.state {
                State::Waiting { .. } => continue,
                State::Dead { .. } => {
                    self.purge(Uuid::from_u128(*id))?;
                }
                State::Delivered { .. } => {
                    record.head.facts = Some(record.facts());
                    record.content = None;
                    self.write(*id, &mut record)?;
                }
            }
            erased += 1;
        }
        Ok(erased)
    }

    /// Deletes some of what was kept long enough; whether there is more.
    pub(super) fn sweep(&mut self) -> Result<bool, Broken> {
        let delivered = self.sweep_delivered()?;
        let dead = self.sweep_dead()?;
        let dedupe = self.sweep_dedupe()?;
        Ok(delivered || dead || dedupe)
    }

    fn kept_since(&self, kept: Duration) -> u64 {
        self.now.saturating_sub(millis(kept))
    }

    fn sweep_delivered(&mut self) -> Result<bool, Broken> {
        let before = (self.kept_since(self.limits.delivered), 0);
        let mut old = Vec::new();
        for entry in self.tables.delivered.range(..before)?.take(PORTION) {
            old.push(entry?.0.value());
        }
        for key in &old {
            self.tables.delivered.remove(*key)?;
            self.tables.messages.remove(key.1)?;
            self.effects.messages.push(key.1);
        }
        Ok(old.len() == PORTION)
    }

    fn sweep_dead(&mut self) -> Result<bool, Broken> {
        let before = self.kept_since(self.limits.dead);
        let queues = self.ledger.queues.keys().cloned().collect::<Vec<_>>();
        let mut old = Vec::new();
        for queue in &queues {
            let range = (&**queue, 0)..=(&**queue, u64::MAX);
            for entry in self.tables.dead.range(range)?.take(PORTION - old.len()) {
                let (id, died_at, ..) = entry?.1.value();
                if died_at >= before {
                    break;
                }
                old.push(Uuid::from_u128(id));
            }
        }
        for id in &old {
            self.purge(*id)?;
        }
        Ok(old.len() == PORTION)
    }

    fn sweep_dedupe(&mut self) -> Result<bool, Broken> {
        let mut old = Vec::new();
        for entry in self
            .tables
            .dedupe_until
            .range(..=(self.now, ""))?
            .take(PORTION)
        {
            let (entry, _) = entry?;
            let (until, key) = entry.value();
            old.push((until, key.to_owned()));
        }
        for (until, key) in &old {
            self.tables.dedupe_until.remove((*until, &**key))?;
            let current = self.tables.dedupe.get(&**key)?;
            let current = current.map(|it| it.value().3);
            if current == Some(*until) {
                self.tables.dedupe.remove(&**key)?;
            }
        }
        Ok(old.len() == PORTION)
    }

    pub(super) fn set_paused(&mut self, queue: &str, paused: Option<Paused>) {
        self.ledger.of(queue).paused = paused;
        self.effects.queues.insert(queue.to_owned());
    }
}
