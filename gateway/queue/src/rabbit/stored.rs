//! What is known of a message and what is laid beside it, as it is stored.
//!
//! Owns both stored forms and their seal. Decides nothing.

use lapin::message::Delivery as Delivered;
use lapin::types::FieldTable;
use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use crate::message::DecodeError;
use crate::message::Message;
use crate::rabbit::names;
use crate::seal::Line;
use crate::seal::Seal;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Status;
use crate::store::Unavailable;

/// Characters that are kept of what a failure says.
const MOST_TEXT: usize = 1_000;

/// What is told of a message without what it says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Labels {
    pub(super) field: String,
    #[serde(default)]
    pub(super) caller: Option<String>,
    pub(super) correlation_id: String,
    pub(super) request_id: String,
}

impl Labels {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            field: message.field.clone(),
            caller: message.caller.clone(),
            correlation_id: message.correlation_id.clone(),
            request_id: message.request_id.clone(),
        }
    }
}

/// Everything that Redis knows of one message.
#[derive(Debug, Clone)]
pub(super) struct Card {
    pub(super) id: Uuid,
    pub(super) phase: Phase,
    pub(super) queue: String,
    pub(super) partition: u32,
    pub(super) line: String,
    pub(super) position: String,
    pub(super) copy_version: u64,
    version: u64,
    due: u64,
    pub(super) place: String,
    blocks: bool,
    accepted_at: u64,
    pub(super) labels: Labels,
    pub(super) progress: Progress,
    /// As it is stored; none where it was erased.
    pub(super) message: Option<Vec<u8>>,
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    Claimed,
    Delivered { at: u64 },
    Dead { reason: Reason, at: u64 },
}

impl Card {
    /// From what the index answers; none where nothing was accepted under this id.
    pub(super) fn read(
        seal: &Seal,
        id: Uuid,
        fields: Vec<Option<Vec<u8>>>,
    ) -> Result<Option<Self>, Unavailable> {
        let mut fields = fields.into_iter();
        let mut bytes = || fields.next().flatten();
        let mut text = || bytes().map(|it| String::from_utf8_lossy(&it).into_owned());
        let phase = text().unwrap_or_default();
        let [
            queue,
            partition,
            line,
            keyed,
            position,
            copy_version,
            version,
            due,
            at,
            why,
        ] = std::array::from_fn(|_| text().unwrap_or_default());
        let [place, blocks, accepted_at] = std::array::from_fn(|_| text().unwrap_or_default());
        let number = |text: &str| text.parse().unwrap_or(0);
        let phase = match &*phase {
            "W" => Phase::Waiting,
            "C" => Phase::Claimed,
            "D" => Phase::Delivered { at: number(&at) },
            "X" => Phase::Dead {
                reason: reason_of(&why),
                at: number(&at),
            },
            _ => return Ok(None),
        };
        let labels = opened(seal, id, bytes().unwrap_or_default())?;
        let progress = opened(seal, id, bytes().unwrap_or_default())?;
        Ok(Some(Self {
            id,
            phase,
            queue,
            partition: partition.parse().unwrap_or(0),
            line,
            position,
            copy_version: number(&copy_version),
            version: number(&version),
            due: number(&due),
            place,
            blocks: keyed == "1" && blocks == "1",
            accepted_at: number(&accepted_at),
            labels,
            progress,
            message: bytes(),
        }))
    }

    /// As its caller sees it.
    pub(super) fn delivery(&self) -> Delivery {
        let status = match self.phase {
            Phase::Waiting => self.progress.waiting_status(),
            Phase::Claimed => Status::Delivering,
            Phase::Delivered { .. } => Status::Delivered,
            Phase::Dead { reason, .. } => reason.status(),
        };
        Delivery {
            id: self.id,
            queue: self.queue.clone(),
            field: self.labels.field.clone(),
            caller: self.labels.caller.clone(),
            correlation_id: self.labels.correlation_id.clone(),
            status,
            attempts: self.progress.attempts,
            accepted_at: self.accepted_at,
            next_attempt_at: (status == Status::Retrying).then_some(self.due),
            delivered_at: match self.phase {
                Phase::Delivered { at } => Some(at),
                _ => None,
            },
            error: self.progress.last_error.clone(),
            version: self.version,
        }
    }

    /// As operators see it, where it was given up.
    pub(super) fn dead_letter(&self) -> Option<DeadLetter> {
        let Phase::Dead { reason, at } = self.phase else {
            return None;
        };
        Some(DeadLetter {
            delivery: self.delivery(),
            reason,
            died_at: at,
            blocks: self.blocks,
            first_error: self.progress.first_error.clone(),
            request_id: self.labels.request_id.clone(),
        })
    }
}

fn opened<T: Default + for<'a> Deserialize<'a>>(
    seal: &Seal,
    id: Uuid,
    stored: Vec<u8>,
) -> Result<T, Unavailable> {
    if stored.is_empty() {
        return Ok(T::default());
    }
    let read = seal
        .open(id, &stored)
        .and_then(|json| Ok(serde_json::from_slice(&json)?));
    read.map_err(|error| Unavailable(format!("what is known of {id}: {error}")))
}

/// As it is stored.
pub(super) fn sealed(seal: &Seal, id: Uuid, value: &impl Serialize) -> Vec<u8> {
    // Keys are text, and memory can be written to.
    let json = serde_json::to_vec(value).unwrap_or_default();
    seal.seal(id, &json)
}

/// What came of a message, shortened and sealed.
pub(super) fn sealed_progress(seal: &Seal, id: Uuid, progress: &Progress) -> Vec<u8> {
    let mut progress = progress.clone();
    let failures = [&mut progress.first_error, &mut progress.last_error];
    for failure in failures.into_iter().flatten() {
        shorten(&mut failure.message);
        shorten(&mut failure.status);
        if let Some(internal) = &mut failure.internal {
            shorten(internal);
        }
    }
    sealed(seal, id, &progress)
}

/// What came of a message, from what was stored.
pub(super) fn progress(seal: &Seal, id: Uuid, stored: Vec<u8>) -> Result<Progress, Unavailable> {
    opened(seal, id, stored)
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
    }
}

fn reason_of(text: &str) -> Reason {
    let all = [
        Reason::Refused,
        Reason::Exhausted,
        Reason::Expired,
        Reason::Damaged,
        Reason::Broker,
    ];
    let found = all.into_iter().find(|reason| reason.as_str() == text);
    found.unwrap_or(Reason::Broker)
}

/// What the vault holds beside a message: how it stood when it was laid there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Why and when it was given up, where it was.
    #[serde(default)]
    pub(super) dead: Option<(Reason, u64)>,
    #[serde(default)]
    pub(super) progress: Progress,
}

impl Stamp {
    /// With its message, sealed as that is.
    pub(super) fn with(&self, seal: &Seal, id: Uuid, message: &[u8]) -> Vec<u8> {
        let stamp = sealed(seal, id, self);
        let length = u32::try_from(stamp.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), &stamp[..], message].concat()
    }

    /// From what was stored with the message.
    pub(super) fn split(
        seal: &Seal,
        id: Uuid,
        stored: &[u8],
    ) -> Result<(Self, Vec<u8>), Unavailable> {
        let short = || Unavailable(format!("what the vault holds of {id} is too short"));
        let (length, rest) = stored.split_first_chunk().ok_or_else(short)?;
        let at = u32::from_be_bytes(*length) as usize;
        let (stamp, message) = rest.split_at_checked(at).ok_or_else(short)?;
        Ok((opened(seal, id, stamp.to_vec())?, message.to_vec()))
    }
}

/// What lies at the broker of a message, read from outside.
pub(super) struct Lying {
    pub(super) id: Uuid,
    pub(super) queue: String,
    pub(super) partition: u32,
    pub(super) line: Uuid,
    pub(super) position: u64,
    pub(super) version: u64,
    /// `main`, or the number of the copy in the vault.
    pub(super) place: String,
    pub(super) accepted_at: u64,
    pub(super) labels: Labels,
    pub(super) stored: Vec<u8>,
}

impl Lying {
    /// None where it bears no name of ours.
    pub(super) fn read(delivered: &Delivered) -> Option<Self> {
        let headers = delivered.properties.headers().as_ref()?;
        let id = names::header::<Uuid>(headers, names::ID)?;
        Some(Self {
            id,
            queue: names::header(headers, names::QUEUE)?,
            partition: names::header(headers, names::PARTITION)?,
            line: names::header(headers, names::LINE)?,
            position: names::header(headers, names::POSITION)?,
            version: names::header(headers, names::VERSION)?,
            place: names::header(headers, names::COPY).unwrap_or_else(|| names::MAIN.to_owned()),
            accepted_at: names::header(headers, names::ACCEPTED).unwrap_or(0),
            labels: Labels {
                correlation_id: names::header(headers, names::CORRELATION).unwrap_or_default(),
                request_id: names::header(headers, names::REQUEST).unwrap_or_default(),
                ..Labels::default()
            },
            stored: delivered.data.clone(),
        })
    }
}

/// Where a message belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belongs {
    pub(super) partition: u32,
    pub(super) line: Line,
    pub(super) keyed: bool,
}

/// What is written outside of a message.
pub(super) fn headers(
    message: &Outside<'_>,
    belongs: (u32, &str),
    position: &str,
    version: u64,
) -> FieldTable {
    let mut headers = FieldTable::default();
    names::put(&mut headers, names::ID, message.id);
    names::put(&mut headers, names::QUEUE, message.queue);
    names::put(&mut headers, names::PARTITION, belongs.0);
    names::put(&mut headers, names::LINE, belongs.1);
    names::put(&mut headers, names::POSITION, position);
    names::put(&mut headers, names::VERSION, version);
    names::put(&mut headers, names::ACCEPTED, message.accepted_at);
    let labels = message.labels;
    names::put(
        &mut headers,
        names::CORRELATION,
        names::safe(&labels.correlation_id),
    );
    names::put(
        &mut headers,
        names::REQUEST,
        names::safe(&labels.request_id),
    );
    if let Some(trace) = message.trace {
        names::put(&mut headers, names::TRACE, names::safe(trace));
    }
    headers
}

/// What may be read of a message from outside.
pub(super) struct Outside<'m> {
    pub(super) id: Uuid,
    pub(super) queue: &'m str,
    pub(super) accepted_at: u64,
    pub(super) labels: &'m Labels,
    pub(super) trace: Option<&'m str>,
}

impl Card {
    /// What may be read of it from outside.
    pub(super) fn outside(&self) -> Outside<'_> {
        Outside {
            id: self.id,
            queue: &self.queue,
            accepted_at: self.accepted_at,
            labels: &self.labels,
            trace: None,
        }
    }

    /// How it stands, for the vault.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            dead: match self.phase {
                Phase::Dead { reason, at } => Some((reason, at)),
                _ => None,
            },
            progress: self.progress.clone(),
        }
    }
}

/// A stored message.
pub(super) fn message(seal: &Seal, id: Uuid, stored: &[u8]) -> Result<Message, DecodeError> {
    Message::decode(&seal.open(id, stored)?)
}
