//! How it went with a message that was taken.

use redb::ReadableTable as _;

use super::change::Change;
use super::change::Stand;
use super::claims::Held;
use super::record::Facts;
use super::record::Record;
use super::record::State;
use super::tables::Broken;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Settled;

impl Change<'_> {
    pub(super) fn settle(&mut self, id: u128, held: Held, settled: Settled) -> Result<(), Broken> {
        let due = held.due;
        let stand = Stand {
            id,
            queue: held.queue,
            line: (held.line != 0).then_some(held.line),
            place: held.place,
        };
        let mut record = self.record_or_remains(&stand)?;
        self.effects.released.push(id);
        match settled {
            Settled::Delivered(progress) => self.delivered(&stand, due, &mut record, progress),
            Settled::Again {
                progress,
                due: next,
            } => self.again(&stand, due, &mut record, (progress, next)),
            Settled::Dead { progress, reason } => {
                record.head.progress = progress;
                self.dead(&stand, due, &mut record, reason)
            }
            Settled::Returned => {
                self.effects.queues.insert(stand.queue.clone());
                self.write(id, &mut record)
            }
        }
    }

    fn delivered(
        &mut self,
        stand: &Stand,
        due: u64,
        record: &mut Record,
        progress: Progress,
    ) -> Result<(), Broken> {
        record.head.progress = progress;
        record.head.state = State::Delivered { at: self.now };
        self.tables.delivered.insert((self.now, stand.id), ())?;
        self.write(stand.id, record)?;
        self.move_on(stand)?;
        self.stop_waiting(stand, due)?;
        self.leave_line(stand)
    }

    /// Dead letters that stood before it cannot come after it without being told to.
    fn move_on(&mut self, stand: &Stand) -> Result<(), Broken> {
        let Some(line) = stand.line else {
            return Ok(());
        };
        let before = (line, 0)..(line, stand.place);
        self.tables.behind.retain_in(before, |_, _| false)?;
        Ok(())
    }

    fn again(
        &mut self,
        stand: &Stand,
        due: u64,
        record: &mut Record,
        (progress, next): (Progress, u64),
    ) -> Result<(), Broken> {
        record.head.state = State::Waiting { due: next };
        let active_since = progress.active_since;
        record.head.progress = progress;
        self.write(stand.id, record)?;
        self.tables.due.remove((&*stand.queue, due, stand.place))?;
        self.make_due(stand, next, active_since)
    }

    fn dead(
        &mut self,
        stand: &Stand,
        due: u64,
        record: &mut Record,
        reason: Reason,
    ) -> Result<(), Broken> {
        let asked = record.message().is_ok_and(|message| message.blocks);
        let blocks = asked && stand.line.is_some();
        if record.content.is_none() {
            record.head.facts.get_or_insert_with(Facts::default);
        }
        self.stop_waiting(stand, due)?;
        self.bury(stand, record, reason, blocks)?;
        match blocks {
            true => Ok(()),
            false => self.leave_line(stand),
        }
    }

    /// What was taken turned out to be no message: its line goes on without it.
    pub(super) fn quarantine(&mut self, id: u128, held: Held) -> Result<(), Broken> {
        let stand = Stand {
            id,
            queue: held.queue,
            line: (held.line != 0).then_some(held.line),
            place: held.place,
        };
        self.effects.released.push(id);
        self.bury_damaged(&stand, held.due)?;
        self.leave_line(&stand)
    }

    /// What was taken cannot be read by this process: it is left alone, and its line waits.
    pub(super) fn hold(&mut self, id: u128, held: Held) -> Result<(), Broken> {
        let key = (&*held.queue, held.due, held.place);
        let standing = self.tables.due.remove(key)?.map(|it| it.value());
        if let Some(standing) = standing {
            let stood = (&*held.queue, held.due, held.place, standing);
            self.tables.held.insert(id, stood)?;
        }
        self.effects.released.push(id);
        Ok(())
    }

    /// Another release or another key may be able to read what was held: some of it, from this id
    /// on. Where to go on.
    pub(super) fn unhold(&mut self, from: u128, most: usize) -> Result<Option<u128>, Broken> {
        let mut found = Vec::new();
        for entry in self.tables.held.range(from..)?.take(most) {
            let (id, stood) = entry?;
            let (queue, due, place, standing) = stood.value();
            found.push((id.value(), queue.to_owned(), due, place, standing));
        }
        let next = found.last().and_then(|(id, ..)| id.checked_add(1));
        let last = found.len() < most;
        for (id, queue, due, place, standing) in found {
            self.tables.held.remove(id)?;
            self.tables.due.insert((&*queue, due, place), standing)?;
            self.effects.queues.insert(queue);
        }
        Ok(next.filter(|_| !last))
    }
}
