//! Appending messages, as a whole or not at all.

use std::collections::HashMap;
use std::time::Duration;

use redb::ReadableTable as _;
use uuid::Uuid;

use super::change::Change;
use super::change::Stand;
use super::claims::lock;
use super::record::Head;
use super::record::Record;
use super::record::State;
use super::record::halves;
use super::tables::Broken;
use crate::message::Message;
use crate::store::Progress;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Status;

/// Before it is worth asking a full queue again.
const FULL: Duration = Duration::from_secs(5);

/// A message and its bytes as they are stored.
pub(super) struct Prepared {
    pub(super) message: Message,
    pub(super) content: Vec<u8>,
}

impl Prepared {
    pub(super) fn new(message: Message) -> Self {
        let content = message.encode();
        Self { message, content }
    }
}

/// What is to be done about one message.
enum Step {
    Append,
    Repeats(Receipt),
}

impl Change<'_> {
    pub(super) fn append(
        &mut self,
        messages: Vec<Prepared>,
    ) -> Result<Vec<Result<Receipt, Refused>>, Broken> {
        let steps = self.plan(&messages)?;
        if steps.iter().any(Result::is_err) {
            let refuse = |step: Result<Step, Refused>| Err(step.err().unwrap_or(Refused::NotAlone));
            return Ok(steps.into_iter().map(refuse).collect());
        }
        let mut answers = Vec::with_capacity(messages.len());
        for (prepared, step) in messages.into_iter().zip(steps) {
            answers.push(match step {
                Ok(Step::Append) => Ok(self.append_one(prepared)?),
                Ok(Step::Repeats(receipt)) => Ok(receipt),
                Err(refused) => Err(refused),
            });
        }
        Ok(answers)
    }

    fn plan(&self, messages: &[Prepared]) -> Result<Vec<Result<Step, Refused>>, Broken> {
        let (mut waiting, mut bytes) = self.ledger.totals();
        let mut batch = HashMap::new();
        let mut steps = Vec::with_capacity(messages.len());
        for prepared in messages {
            let step = self.plan_one(prepared, &mut batch)?;
            let step = match step {
                Ok(Step::Append) => {
                    waiting += 1;
                    bytes += prepared.content.len() as u64;
                    let fits = waiting <= self.limits.messages && bytes <= self.limits.bytes;
                    let full = Refused::Full { retry_after: FULL };
                    if fits { Ok(Step::Append) } else { Err(full) }
                }
                other => other,
            };
            steps.push(step);
        }
        Ok(steps)
    }

    fn plan_one<'m>(
        &self,
        prepared: &'m Prepared,
        batch: &mut HashMap<&'m str, &'m Message>,
    ) -> Result<Result<Step, Refused>, Broken> {
        let Prepared { message, content } = prepared;
        let (bytes, limit) = (content.len(), self.limits.message);
        if bytes > limit {
            return Ok(Err(Refused::TooLarge { bytes, limit }));
        }
        if let Some(receipt) = self.appended_before(message)? {
            return Ok(Ok(Step::Repeats(receipt)));
        }
        let Some(dedupe) = &message.dedupe else {
            return Ok(Ok(Step::Append));
        };
        let (id, fingerprint, accepted_at) = match batch.get(&*dedupe.key) {
            Some(earlier) => {
                let fingerprint = earlier.dedupe.as_ref().map(|it| it.fingerprint.clone());
                (earlier.id.as_u128(), fingerprint, earlier.accepted_at)
            }
            None => match self.remembered(&dedupe.key)? {
                Some((id, fingerprint, accepted_at)) => (id, Some(fingerprint), accepted_at),
                None => {
                    batch.insert(&dedupe.key, message);
                    return Ok(Ok(Step::Append));
                }
            },
        };
        if fingerprint.as_ref() != Some(&dedupe.fingerprint) {
            return Ok(Err(Refused::Conflict));
        }
        Ok(Ok(Step::Repeats(Receipt {
            id: Uuid::from_u128(id),
            status: self.present_status(id, batch.contains_key(&*dedupe.key))?,
            accepted_at,
            duplicate: true,
        })))
    }

    /// The same message, appended again by somebody who did not hear the answer.
    fn appended_before(&self, message: &Message) -> Result<Option<Receipt>, Broken> {
        let id = message.id.as_u128();
        if self.tables.messages.get(id)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Receipt {
            id: message.id,
            status: self.present_status(id, false)?,
            accepted_at: message.accepted_at,
            duplicate: true,
        }))
    }

    fn remembered(&self, key: &str) -> Result<Option<(u128, String, u64)>, Broken> {
        let Some(entry) = self.tables.dedupe.get(key)? else {
            return Ok(None);
        };
        let (id, fingerprint, accepted_at, until) = entry.value();
        Ok((until > self.now).then(|| (id, fingerprint.to_owned(), accepted_at)))
    }

    fn present_status(&self, id: u128, appended_now: bool) -> Result<Status, Broken> {
        if appended_now {
            return Ok(Status::Queued);
        }
        // A delivered message may be forgotten before its deduplication is; a dead letter takes
        // its deduplication along.
        let record = self.record(id)?;
        let taken = lock(self.claims).is_taken(id);
        Ok(record.map_or(Status::Delivered, |record| record.head.status(taken)))
    }

    fn append_one(&mut self, prepared: Prepared) -> Result<Receipt, Broken> {
        let Prepared { message, content } = prepared;
        let stand = self.stand_at_the_end(&message);
        let due = message.not_before.unwrap_or(0).max(message.accepted_at);
        let bytes = content.len() as u64;
        let mut record = Record {
            head: Head {
                queue: message.queue.clone(),
                line: stand.line.map(halves),
                place: stand.place,
                version: 0,
                state: State::Waiting { due },
                progress: Progress::default(),
                facts: None,
            },
            content: Some(content),
        };
        self.write(stand.id, &mut record)?;
        self.wait_at_the_end(&stand, (message.accepted_at, bytes), due)?;
        self.remember(&message)?;
        Ok(Receipt {
            id: message.id,
            status: Status::Queued,
            accepted_at: message.accepted_at,
            duplicate: false,
        })
    }

    /// Behind all others of its key.
    pub(super) fn stand_at_the_end(&mut self, message: &Message) -> Stand {
        let key = message.key.as_deref();
        let line = key.map(|_| self.seal.line(&message.queue, key, message.id));
        Stand {
            id: message.id.as_u128(),
            queue: message.queue.clone(),
            line: line.map(u128::from_be_bytes),
            place: self.ledger.place(),
        }
    }

    /// It is counted, and due where nothing stands before it.
    pub(super) fn wait_at_the_end(
        &mut self,
        stand: &Stand,
        (accepted_at, bytes): (u64, u64),
        due: u64,
    ) -> Result<(), Broken> {
        let at = (&*stand.queue, stand.place);
        self.tables.waiting.insert(at, (accepted_at, bytes))?;
        let account = self.ledger.of(&stand.queue);
        account.waiting += 1;
        account.bytes += bytes;
        if let Some(line) = stand.line {
            let first = self.is_first(line, stand.place)?;
            self.tables.lines.insert((line, stand.place), stand.id)?;
            if !first {
                return Ok(());
            }
        }
        self.make_due(stand, due, due)
    }

    pub(super) fn remember(&mut self, message: &Message) -> Result<(), Broken> {
        let Some(dedupe) = &message.dedupe else {
            return Ok(());
        };
        let until = message.accepted_at.saturating_add(dedupe.window);
        let id = message.id.as_u128();
        let remembered = (id, &*dedupe.fingerprint, message.accepted_at, until);
        self.tables.dedupe.insert(&*dedupe.key, remembered)?;
        self.tables.dedupe_until.insert((until, &*dedupe.key), ())?;
        Ok(())
    }

    /// What repeats this message is a message of its own again.
    pub(super) fn forget(&mut self, message: &Message) -> Result<(), Broken> {
        let Some(dedupe) = &message.dedupe else {
            return Ok(());
        };
        let remembered = self.tables.dedupe.get(&*dedupe.key)?;
        let remembered = remembered.map(|it| (it.value().0, it.value().3));
        if let Some((id, until)) = remembered
            && id == message.id.as_u128()
        {
            self.tables.dedupe.remove(&*dedupe.key)?;
            self.tables.dedupe_until.remove((until, &*dedupe.key))?;
        }
        Ok(())
    }
}
