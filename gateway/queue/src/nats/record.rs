//! What is known of a message, as the buckets keep it.
//!
//! Owns the stored form and its seal, and how a caller sees it. What is known
//! of a message that waits is kept beside it and changes by compare-and-set:
//! that record decides, and everything else follows from it.

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use crate::message::DecodeError;
use crate::message::Message;
use crate::seal::Line;
use crate::seal::Seal;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Status;

/// The version that this release writes.
const VERSION: u32 = 1;
/// Characters that are kept of what a failure says.
const MOST_TEXT: usize = 1_000;
/// Bytes that a record may need beside its message: an id, names, two failures.
pub(super) const ROOM: usize = 32 * 1024;

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    v: u32,
    /// Grows with every change.
    pub(super) version: u64,
    /// Where the message lies in the stream of what waits. A copy of it elsewhere is none.
    pub(super) position: u64,
    pub(super) queue: String,
    pub(super) partition: u32,
    /// Of its key, where it has one.
    pub(super) line: Option<Uuid>,
    pub(super) field: String,
    pub(super) caller: Option<String>,
    pub(super) correlation_id: String,
    pub(super) request_id: String,
    pub(super) accepted_at: u64,
    pub(super) blocks: bool,
    /// It was a dead letter before, which may be there still.
    #[serde(default)]
    pub(super) retried: bool,
    pub(super) progress: Progress,
    pub(super) phase: Phase,
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It waits, and is due at this time.
    Waiting { due: u64 },
    /// It is in the hands of the partition's owner by this lease.
    Claimed { lease: u64 },
    /// Its target has it.
    Delivered { at: u64 },
    /// It was given up.
    Dead { reason: Reason, at: u64 },
    /// Its client was told that it was not accepted: it is never delivered.
    Refused { at: u64 },
}

impl Known {
    /// Of a message that lies there and has not been tried.
    pub(super) fn fresh(message: &Message, place: Place) -> Self {
        Self {
            v: VERSION,
            version: 1,
            position: place.position,
            queue: message.queue.clone(),
            partition: place.partition,
            line: place.line.map(Uuid::from_bytes),
            field: message.field.clone(),
            caller: message.caller.clone(),
            correlation_id: message.correlation_id.clone(),
            request_id: message.request_id.clone(),
            accepted_at: message.accepted_at,
            blocks: message.blocks,
            retried: false,
            progress: Progress::default(),
            phase: Phase::Waiting {
                due: message.not_before.unwrap_or(0),
            },
        }
    }

    /// Of a message that cannot be read.
    pub(super) fn unreadable(place: Place, queue: &str, labels: Labels) -> Self {
        Self {
            v: VERSION,
            version: 1,
            position: place.position,
            queue: queue.into(),
            partition: place.partition,
            line: place.line.map(Uuid::from_bytes),
            field: String::new(),
            caller: None,
            correlation_id: labels.correlation_id,
            request_id: labels.request_id,
            accepted_at: labels.accepted_at,
            blocks: false,
            retried: false,
            progress: Progress::default(),
            phase: Phase::Waiting { due: 0 },
        }
    }

    /// The same, changed.
    pub(super) fn with(&self, phase: Phase, progress: Progress) -> Self {
        Self {
            version: self.version + 1,
            phase,
            progress: shortened(progress),
            ..self.clone()
        }
    }

    /// A dead letter that was put back, there and due at this time, with a life of its own again.
    pub(super) fn put_back(&self, position: u64, due: u64) -> Self {
        Self {
            position,
            retried: true,
            ..self.with(Phase::Waiting { due }, Progress::default())
        }
    }

    /// The line of its key.
    pub(super) fn line(&self) -> Option<Line> {
        self.line.map(Uuid::into_bytes)
    }

    /// Whether nothing more will happen to it of itself.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.phase,
            Phase::Delivered { .. } | Phase::Dead { .. } | Phase::Refused { .. }
        )
    }

    /// As its caller sees it. None of what was refused.
    pub(super) fn delivery(&self, id: Uuid) -> Option<Delivery> {
        let status = match &self.phase {
            Phase::Waiting { .. } => self.progress.waiting_status(),
            Phase::Claimed { .. } => Status::Delivering,
            Phase::Delivered { .. } => Status::Delivered,
            Phase::Dead { reason, .. } => reason.status(),
            Phase::Refused { .. } => return None,
        };
        Some(Delivery {
            id,
            queue: self.queue.clone(),
            field: self.field.clone(),
            caller: self.caller.clone(),
            correlation_id: self.correlation_id.clone(),
            status,
            attempts: self.progress.attempts,
            accepted_at: self.accepted_at,
            next_attempt_at: match self.phase {
                Phase::Waiting { due } if status == Status::Retrying => Some(due),
                _ => None,
            },
            delivered_at: match self.phase {
                Phase::Delivered { at } => Some(at),
                _ => None,
            },
            error: self.progress.last_error.clone(),
            version: self.version,
        })
    }

    /// As operators see it, where it was given up.
    pub(super) fn dead_letter(&self, id: Uuid) -> Option<DeadLetter> {
        let Phase::Dead { reason, at } = self.phase else {
            return None;
        };
        Some(DeadLetter {
            delivery: self.delivery(id)?,
            reason,
            died_at: at,
            blocks: self.blocks,
            first_error: self.progress.first_error.clone(),
            request_id: self.request_id.clone(),
        })
    }

    /// As it is stored.
    pub(super) fn encode(&self, seal: &Seal, id: Uuid) -> Vec<u8> {
        // Keys are text, and memory can be written to.
        let json = serde_json::to_vec(self).unwrap_or_default();
        seal.seal(id, &json)
    }

    /// From what was stored.
    pub(super) fn decode(seal: &Seal, id: Uuid, stored: &[u8]) -> Result<Self, DecodeError> {
        let json = seal.open(id, stored)?;
        let known: Self = serde_json::from_slice(&json)?;
        if known.v > VERSION {
            return Err(DecodeError::Version(known.v));
        }
        Ok(known)
    }

    /// As it is stored together with the message, sealed as that was: in the done bucket and with the dead letters.
    pub(super) fn encode_with(&self, seal: &Seal, id: Uuid, message: &[u8]) -> Bytes {
        let known = self.encode(seal, id);
        let length = u32::try_from(known.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), &known[..], message].concat().into()
    }

    /// From what was stored together with the message; the message is empty where it was erased.
    pub(super) fn decode_with(
        seal: &Seal,
        id: Uuid,
        stored: &Bytes,
    ) -> Result<(Self, Bytes), DecodeError> {
        let short = || DecodeError::Sealed("it is too short");
        let (length, _) = stored.split_first_chunk().ok_or_else(short)?;
        let end = u32::from_be_bytes(*length) as usize;
        let end = end.checked_add(4).filter(|end| *end <= stored.len());
        let end = end.ok_or_else(short)?;
        let known = Self::decode(seal, id, &stored[4..end])?;
        Ok((known, stored.slice(end..)))
    }
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: u32,
    /// Of its key, where it has one.
    pub(super) line: Option<Line>,
    pub(super) position: u64,
}

/// What can be read of a message from outside.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    pub(super) correlation_id: String,
    pub(super) request_id: String,
    pub(super) accepted_at: u64,
}

/// A stored message.
pub(super) fn opened(seal: &Seal, id: Uuid, stored: &[u8]) -> Result<Message, DecodeError> {
    Message::decode(&seal.open(id, stored)?)
}

fn shortened(mut progress: Progress) -> Progress {
    let failures = [&mut progress.first_error, &mut progress.last_error];
    for failure in failures.into_iter().flatten() {
        shorten(&mut failure.message);
        shorten(&mut failure.status);
        if let Some(internal) = &mut failure.internal {
            shorten(internal);
        }
    }
    progress
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
    }
}
