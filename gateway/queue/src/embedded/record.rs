//! What is stored of one message and of how it stands.
//!
//! Owns the bytes: a mark, a format, a checksum over the message's id and
//! everything behind it, and the sealed content. Knows no table.

use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use crate::message::DecodeError;
use crate::message::Message;
use crate::seal::Seal;
use crate::store::Delivery;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Status;

const MARK: &[u8; 3] = b"SWQ";
/// What this release writes.
const FORMAT: u8 = 1;
/// Mark, format, checksum.
const PREFIX: usize = 8;

/// One message and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) head: Head,
    /// The message as it was encoded; none once it was erased, or where it cannot be read.
    pub(super) content: Option<Vec<u8>>,
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) queue: String,
    /// Where its key's messages stand; none without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<(u64, u64)>,
    /// Its place among all messages.
    pub(super) place: u64,
    /// Grows whenever this is written.
    pub(super) version: u64,
    pub(super) state: State,
    #[serde(default)]
    pub(super) progress: Progress,
    /// What is known of it where there is no content to read it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) facts: Option<Facts>,
}

/// Where a message is. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Waiting {
        /// Not delivered before.
        due: u64,
    },
    Delivered {
        at: u64,
    },
    Dead {
        at: u64,
        reason: Reason,
        /// Its place among the dead letters.
        died: u64,
        /// It holds its line.
        blocks: bool,
    },
}

/// What a delivery shows of its message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) field: String,
    pub(super) caller: Option<String>,
    pub(super) correlation_id: String,
    pub(super) request_id: String,
    pub(super) accepted_at: u64,
}

/// Why there is no record in stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// They are not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// They are whole, but this process cannot read them: a later release wrote them, or they
    /// are sealed with another key.
    #[error("{0}")]
    Foreign(String),
}

impl Record {
    pub(super) fn encode(&self, id: u128, seal: &Seal) -> Vec<u8> {
        let head = serde_json::to_vec(&self.head).expect("memory can be written to");
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes();
        let content = self.content.as_deref().unwrap_or_default();
        let plain = [&length, &head[..], content].concat();
        let sealed = seal.seal(Uuid::from_u128(id), &plain);
        let checksum = checksum(id, FORMAT, &sealed).to_le_bytes();
        [MARK, &[FORMAT][..], &checksum, &sealed].concat()
    }

    pub(super) fn decode(id: u128, bytes: &[u8], seal: &Seal) -> Result<Self, Unreadable> {
        let damaged = |what: &str| Unreadable::Damaged(what.to_owned());
        if !is_whole(id, bytes) {
            return Err(damaged("its checksum differs"));
        }
        let (prefix, sealed) = bytes.split_at(PREFIX);
        let format = prefix[3];
        if format > FORMAT {
            let later = format!("its format is {format}, and this release reads up to {FORMAT}");
            return Err(Unreadable::Foreign(later));
        }
        let plain = seal
            .open(Uuid::from_u128(id), sealed)
            .map_err(|error| Unreadable::Foreign(error.to_string()))?;
        let (length, rest) = plain
            .split_first_chunk::<4>()
            .ok_or(damaged("it is too short"))?;
        let (head, content) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or(damaged("it is too short"))?;
        Ok(Self {
            head: serde_json::from_slice(head).map_err(|error| damaged(&error.to_string()))?,
            content: (!content.is_empty()).then(|| content.to_vec()),
        })
    }

    pub(super) fn message(&self) -> Result<Message, Unreadable> {
        let nothing = || Unreadable::Damaged("there is no content".to_owned());
        let content = self.content.as_deref().ok_or_else(nothing)?;
        Message::decode(content).map_err(|error| match error {
            DecodeError::Malformed(_) => Unreadable::Damaged(error.to_string()),
            DecodeError::Version(_) | DecodeError::Sealed(_) => {
                Unreadable::Foreign(error.to_string())
            }
        })
    }

    pub(super) fn facts(&self) -> Facts {
        match (&self.head.facts, self.message()) {
            (Some(facts), _) => facts.clone(),
            (None, Ok(message)) => Facts::of(&message),
            (None, Err(_)) => Facts::default(),
        }
    }

    /// As its caller sees it.
    pub(super) fn delivery(&self, id: u128, taken: bool) -> Delivery {
        let Facts {
            field,
            caller,
            correlation_id,
            request_id: _,
            accepted_at,
        } = self.facts();
        let status = self.head.status(taken);
        Delivery {
            id: Uuid::from_u128(id),
            queue: self.head.queue.clone(),
            field,
            caller,
            correlation_id,
            status,
            attempts: self.head.progress.attempts,
            accepted_at,
            next_attempt_at: match self.head.state {
                State::Waiting { due } if status == Status::Retrying => Some(due),
                _ => None,
            },
            delivered_at: match self.head.state {
                State::Delivered { at } => Some(at),
                _ => None,
            },
            error: self.head.progress.last_error.clone(),
            version: self.head.version * 2 + u64::from(taken),
        }
    }
}

impl Head {
    pub(super) fn status(&self, taken: bool) -> Status {
        match self.state {
            State::Waiting { .. } if taken => Status::Delivering,
            State::Waiting { .. } => self.progress.waiting_status(),
            State::Delivered { .. } => Status::Delivered,
            State::Dead { reason, .. } => reason.status(),
        }
    }

    pub(super) fn line(&self) -> Option<u128> {
        self.line
            .map(|(high, low)| u128::from(high) << 64 | u128::from(low))
    }
}

impl Facts {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            field: message.field.clone(),
            caller: message.caller.clone(),
            correlation_id: message.correlation_id.clone(),
            request_id: message.request_id.clone(),
            accepted_at: message.accepted_at,
        }
    }
}

/// A line as a head names it.
pub(super) fn halves(line: u128) -> (u64, u64) {
    ((line >> 64) as u64, line as u64)
}

/// Whether these bytes begin like a record.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    bytes.len() > PREFIX && bytes.starts_with(MARK)
}

/// Whether these bytes are what was written under this id.
pub(super) fn is_whole(id: u128, bytes: &[u8]) -> bool {
    is_marked(bytes) && checksum(id, bytes[3], &bytes[PREFIX..]).to_le_bytes() == bytes[4..PREFIX]
}

fn checksum(id: u128, format: u8, sealed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(&[format]);
    hasher.update(sealed);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u128 = 7;

    fn record() -> Record {
        Record {
            head: Head {
                queue: "email".into(),
                line: Some(halves(u128::MAX - 1)),
                place: 3,
                version: 4,
                state: State::Waiting { due: 5 },
                progress: Progress::default(),
                facts: None,
            },
            content: Some(br#"{"v":2}"#.to_vec()),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for seal in [Seal::none(), Seal::with_key(&[1; 32]).unwrap()] {
            let bytes = record().encode(ID, &seal);
            assert_eq!(Record::decode(ID, &bytes, &seal), Ok(record()));
            let line = record().head.line();
            assert_eq!(line, Some(u128::MAX - 1));
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_damage() {
        let bytes = record().encode(ID, &Seal::none());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = Record::decode(ID, &flipped, &Seal::none());
            assert!(matches!(read, Err(Unreadable::Damaged(_))), "bit {bit}");
        }
        for length in 0..bytes.len() {
            let read = Record::decode(ID, &bytes[..length], &Seal::none());
            assert!(matches!(read, Err(Unreadable::Damaged(_))));
        }
        let elsewhere = Record::decode(ID + 1, &bytes, &Seal::none());
        assert!(matches!(elsewhere, Err(Unreadable::Damaged(_))));
    }

    #[test]
    fn what_a_later_release_wrote_is_no_damage() {
        let later = record().message().unwrap_err();
        assert!(matches!(later, Unreadable::Foreign(_)), "{later}");
        let mut bytes = record().encode(ID, &Seal::none());
        bytes[3] = FORMAT + 1;
        let sum = checksum(ID, FORMAT + 1, &bytes[PREFIX..]).to_le_bytes();
        bytes[4..PREFIX].copy_from_slice(&sum);
        let later = Record::decode(ID, &bytes, &Seal::none()).unwrap_err();
        let said = "its format is 2, and this release reads up to 1";
        assert_eq!(later, Unreadable::Foreign(said.into()));
    }

    #[test]
    fn another_key_is_no_damage() {
        let bytes = record().encode(ID, &Seal::with_key(&[1; 32]).unwrap());
        for seal in [Seal::none(), Seal::with_key(&[2; 32]).unwrap()] {
            let read = Record::decode(ID, &bytes, &seal);
            assert!(matches!(read, Err(Unreadable::Foreign(_))));
        }
    }
}
