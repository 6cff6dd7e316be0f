//! What is known of messages and queues, for those who ask. Changes nothing.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use uuid::Uuid;

use crate::message::Message;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::record::Known;
use crate::nats::record::opened;
use crate::nats::shared::Shared;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::Shown;
use crate::store::Unavailable;

/// Until what is known of a message is read again by those who wait for a change: what is told may be missed.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// What is known of a message, wherever it is, and the message itself, as it is stored.
struct Anywhere {
    known: Known,
    /// None where it waits: it lies at its position.
    stored: Option<bytes::Bytes>,
}

async fn anywhere(shared: &Shared, id: Uuid) -> Result<Option<Anywhere>, Unavailable> {
    if let Some(waiting) = waiting(shared, id).await? {
        return Ok(Some(waiting));
    }
    let elsewhere = match shared.done(id).await? {
        Some(done) => Some(done),
        None => shared.dead(id).await?,
    };
    match elsewhere {
        Some(record) => {
            let (known, stored) = shared.decode(id, &record.payload)?;
            let stored = Some(stored);
            Ok(Some(Anywhere { known, stored }))
        }
        // A dead letter that was put back while it was looked for.
        None => waiting(shared, id).await,
    }
}

async fn waiting(shared: &Shared, id: Uuid) -> Result<Option<Anywhere>, Unavailable> {
    let known = shared.known(id).await?;
    Ok(known.map(|(known, _)| Anywhere {
        known,
        stored: None,
    }))
}

/// What is known of one message.
pub(super) async fn find(shared: &Shared, id: Uuid) -> Result<Option<Delivery>, Unavailable> {
    let anywhere = anywhere(shared, id).await?;
    Ok(anywhere.and_then(|it| it.known.delivery(id)))
}

/// Waits until what is known of a message differs from this version.
pub(super) async fn changed(
    shared: &Shared,
    id: Uuid,
    since: u64,
) -> Result<Option<Delivery>, Unavailable> {
    let subject = shared.names.changed(id);
    let told = shared.broker.client().subscribe(subject).await;
    let mut told = told.map_err(|error| Unavailable(error.to_string()))?;
    loop {
        let found = find(shared, id).await?;
        if found.as_ref().is_none_or(|found| found.version != since) {
            return Ok(found);
        }
        // Whether it was told or not: it is read again.
        let _ = tokio::time::timeout(READ_AGAIN, told.next()).await;
    }
}

/// One message with everything that is stored of it.
pub(super) async fn show(shared: &Shared, id: Uuid) -> Result<Option<Shown>, Unavailable> {
    let Some(Anywhere { known, stored }) = anywhere(shared, id).await? else {
        return Ok(None);
    };
    let Some(delivery) = known.delivery(id) else {
        return Ok(None);
    };
    let stored = match stored {
        Some(stored) => Some(stored),
        None => {
            let stream = shared.names.waiting();
            let lying = shared.broker.get(&stream, known.position).await?;
            lying.map(|lying| lying.payload)
        }
    };
    let message: Option<Message> = stored.and_then(|it| opened(&shared.seal, id, &it).ok());
    Ok(Some(Shown {
        delivery,
        message,
        progress: known.progress,
    }))
}

/// How the queues stand.
pub(super) async fn depths(shared: &Shared) -> Result<Vec<Depth>, Unavailable> {
    let queues: Vec<String> = shared.view().queues().iter().cloned().collect();
    let stream = shared.names.waiting();
    let stream = shared.broker.context().get_stream_no_info(&stream).await;
    let stream = stream.map_err(|error| Unavailable(error.to_string()))?;
    let info = stream.get_info().await;
    let info = info.map_err(|error| Unavailable(error.to_string()))?;
    let average = info.state.bytes / info.state.messages.max(1);
    let depths = queues
        .into_iter()
        .map(|queue| depth(shared, queue, average));
    let mut depths = try_join_all(depths).await?;
    // What holds nothing is not told.
    depths.retain(|it| it.waiting > 0 || it.dead > 0 || it.paused.is_some());
    Ok(depths)
}

async fn depth(shared: &Shared, queue: String, average: u64) -> Result<Depth, Unavailable> {
    let (waiting, dead) = (shared.names.waiting(), shared.names.dead());
    let all = shared.names.queue(&queue);
    let lying = shared.broker.count(&waiting, &all).await?;
    let blocking = shared.names.dead_of(&queue, Some(true));
    let blocking = shared.broker.count(&dead, &blocking).await?;
    let gone = shared.names.dead_of(&queue, Some(false));
    let gone = shared.broker.count(&dead, &gone).await?;
    let oldest = match lying {
        0 => None,
        _ => shared.broker.next(&waiting, &all, 1).await?,
    };
    let paused = shared
        .view()
        .pauses(&queue)
        .and_then(|pauses| pauses.now.clone());
    Ok(Depth {
        queue,
        waiting: lying.saturating_sub(blocking),
        // Brokers know the bytes of all queues together.
        bytes: lying.saturating_mul(average),
        oldest: oldest.and_then(|oldest| names::header(&oldest.headers, names::ACCEPTED)),
        dead: blocking + gone,
        paused,
    })
}

/// The bucket of what was delivered, to be read through.
pub(super) fn delivered(shared: &Shared) -> (String, String) {
    let all = shared.names.key(Bucket::Done, ">");
    (shared.names.bucket(Bucket::Done), all)
}
