//! The same effect asked for again is not a second message.
//!
//! Owns the create-only records of deduplication values. The brokers' own
//! window of two minutes costs them memory for each message; a value is
//! remembered here for as long as its message says, as a key of a bucket.

use async_nats::HeaderMap;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::message;
use crate::message::Message;
use crate::nats::append::status_of;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::shared::Shared;
use crate::nats::streams;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Status;
use crate::store::Unavailable;

/// A deduplication value in use.
#[derive(Debug, Clone)]
pub(super) struct Dedupe {
    /// The message that has it.
    pub(super) id: Uuid,
    pub(super) accepted_at: u64,
    /// Another process had begun with it and not come to an end.
    pub(super) adopted: bool,
    key: String,
    stored: Stored,
    revision: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    id: Uuid,
    fingerprint: String,
    accepted_at: u64,
    /// Until when it is remembered, in milliseconds since the Unix epoch.
    until: u64,
    /// Its message was stored.
    confirmed: bool,
}

/// What came of claiming a value.
pub(super) enum Claimed {
    /// It was free.
    Ours(Dedupe),
    /// Somebody has begun with it: their message is published again, under their id.
    Adopted(Dedupe),
    /// Its message was accepted before.
    Known(Receipt),
}

/// What is to be done with a value that is in use.
enum Used {
    Answer(Claimed),
    /// It is free from now on.
    Void,
}

/// Claims the value of a message.
pub(super) async fn claim(
    shared: &Shared,
    message: &Message,
    wanted: &message::Dedupe,
) -> Result<Claimed, Refused> {
    let window = std::time::Duration::from_millis(wanted.window);
    streams::remember_for(shared, window).await.map_err(away)?;
    let key = shared.names.key(Bucket::Dedupe, &names::token(&wanted.key));
    let stored = Stored {
        id: message.id,
        fingerprint: wanted.fingerprint.clone(),
        accepted_at: message.accepted_at,
        until: message.accepted_at.saturating_add(wanted.window),
        confirmed: false,
    };
    let deadline = Instant::now() + shared.options.patience;
    let mut expected = 0;
    loop {
        match put(shared, &key, &stored, expected).await {
            Ok(revision) => {
                return Ok(Claimed::Ours(ours(key, stored, revision)));
            }
            Err(NotPut::Conflict | NotPut::Unknown(_)) => {}
            Err(error) => return Err(away(Unavailable(format!("{error:?}")))),
        }
        let there = read(shared, &key).await.map_err(away)?;
        match there {
            Some((other, revision)) if other.id == stored.id => {
                return Ok(Claimed::Ours(ours(key, stored, revision)));
            }
            Some((other, revision)) => match used(shared, &key, other, revision, wanted).await? {
                Used::Answer(claimed) => return Ok(claimed),
                Used::Void => expected = revision,
            },
            None => expected = 0,
        }
        if Instant::now() >= deadline {
            return Err(away(Unavailable("nobody answers".into())));
        }
    }
}

fn ours(key: String, stored: Stored, revision: u64) -> Dedupe {
    Dedupe {
        id: stored.id,
        accepted_at: stored.accepted_at,
        adopted: false,
        key,
        stored,
        revision,
    }
}

async fn used(
    shared: &Shared,
    key: &str,
    other: Stored,
    revision: u64,
    wanted: &message::Dedupe,
) -> Result<Used, Refused> {
    if other.until <= shared.now() {
        return Ok(Used::Void);
    }
    let status = status_of(shared, other.id).await?;
    if status.is_none() && !other.confirmed && is_refused(shared, other.id).await? {
        return Ok(Used::Void);
    }
    if other.fingerprint != wanted.fingerprint {
        return Err(Refused::Conflict);
    }
    if let Some(status) = status {
        return Ok(Used::Answer(Claimed::Known(again(&other, status))));
    }
    if other.confirmed {
        // Nothing is known of it any more: it was delivered or given up long ago.
        return Ok(Used::Answer(Claimed::Known(again(
            &other,
            Status::Delivered,
        ))));
    }
    Ok(Used::Answer(Claimed::Adopted(Dedupe {
        adopted: true,
        ..ours(key.into(), other, revision)
    })))
}

fn again(stored: &Stored, status: Status) -> Receipt {
    Receipt {
        id: stored.id,
        status,
        accepted_at: stored.accepted_at,
        duplicate: true,
    }
}

async fn is_refused(shared: &Shared, id: Uuid) -> Result<bool, Refused> {
    let known = shared.known(id).await.map_err(away)?;
    Ok(known.is_some_and(|(known, _)| known.is_final()))
}

/// The message of a value was stored. Where that is not said, whoever asks again finds out.
pub(super) async fn confirm(shared: &Shared, claim: &Dedupe) {
    let stored = Stored {
        confirmed: true,
        ..claim.stored.clone()
    };
    if let Err(error) = put(shared, &claim.key, &stored, claim.revision).await {
        tracing::debug!(?error, id = %claim.id, "a deduplication value was not confirmed");
    }
}

/// The message of a value was refused: it may be used by another.
pub(super) async fn release(shared: &Shared, claim: &Dedupe) {
    if claim.adopted {
        return;
    }
    let stream = shared.names.bucket(Bucket::Dedupe);
    if let Err(error) = shared.broker.delete(&stream, claim.revision).await {
        tracing::debug!(%error, id = %claim.id, "a deduplication value was not released");
    }
}

async fn put(shared: &Shared, key: &str, stored: &Stored, revision: u64) -> Result<u64, NotPut> {
    let payload = serde_json::to_vec(stored).unwrap_or_default();
    let put = shared.broker.put(
        key.to_owned(),
        HeaderMap::new(),
        payload.into(),
        Expect::Last(revision),
    );
    put.await
}

async fn read(shared: &Shared, key: &str) -> Result<Option<(Stored, u64)>, Unavailable> {
    let stream = shared.names.bucket(Bucket::Dedupe);
    let Some(there) = shared.broker.last(&stream, key).await? else {
        return Ok(None);
    };
    let stored = serde_json::from_slice(&there.payload)
        .map_err(|error| Unavailable(format!("{key}: {error}")))?;
    Ok(Some((stored, there.sequence)))
}

fn away(error: Unavailable) -> Refused {
    Refused::Unavailable {
        reason: error.0,
        retry_after: std::time::Duration::from_secs(2),
    }
}
