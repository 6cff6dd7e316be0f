//! The vault of a partition: what is parked and what was given up, durably.
//!
//! Owns laying copies there and going through them. Nobody reads a vault for
//! what it says while Redis knows it; what is of no use any more is left behind
//! when the vault is gone through: what lives is laid behind a marker, until the
//! marker comes.

use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use uuid::Uuid;

use crate::rabbit::broker::within;
use crate::rabbit::names;
use crate::rabbit::read;
use crate::rabbit::read::Good;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::rabbit::stored::Lying;
use crate::store::Unavailable;

/// Copies that are read at once.
const WINDOW: u16 = 256;
/// How long a vault that is gone through may be silent.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Lays what is known of a message, and the message, into the vault of its partition; from there, unless it was moved
/// or is over. Whether it was done.
pub(super) async fn put(shared: &Shared, id: Uuid, from: &str) -> Result<bool, Unavailable> {
    let Some(card) = shared.card(id).await? else {
        // It was known a moment ago: whoever asks again finds out what has become of it.
        return Err(Unavailable(format!("nothing is known of {id} any more")));
    };
    let Some(message) = &card.message else {
        return Ok(false);
    };
    if card.place != from {
        return Ok(false);
    }
    let copy = Uuid::new_v4().simple().to_string();
    let belongs = (card.partition, &*card.line);
    let outside = card.outside();
    let mut headers = stored::headers(&outside, belongs, &card.position, card.copy_version);
    names::put(&mut headers, names::COPY, &copy);
    let payload = card.stamp().with(&shared.seal, id, message);
    let queue = shared.names.vault(&card.queue, card.partition);
    let declared = shared.broker.declare(&card.queue, card.partition);
    declared.await.map_err(Unavailable)?;
    shared.broker.publish(&queue, headers, &payload).await?;
    let step = shared
        .index
        .step("placed")
        .arg(short(id))
        .arg(card.copy_version)
        .arg(from)
        .arg(&copy);
    let placed: u8 = step.ask().await?;
    Ok(placed == 1)
}

/// A place up to which a queue is read: its own name, not to be taken for another's.
pub(super) async fn mark(shared: &Shared, queue: &str) -> Result<String, Unavailable> {
    let marker = Uuid::new_v4().simple().to_string();
    let mut headers = FieldTable::default();
    names::put(&mut headers, names::MARKER, &marker);
    shared.broker.publish(queue, headers, b"").await?;
    Ok(marker)
}

/// Goes through the vault of a partition: what Redis has lost of it is known again, and what is of no use is gone.
pub(super) async fn go_through(
    shared: &Shared,
    queue: &str,
    partition: u32,
) -> Result<(), Unavailable> {
    let channel = shared.broker.reader(WINDOW).await?;
    let gone_through = through(shared, queue, partition, &channel).await;
    // What was read and not acknowledged is there again.
    drop(within(channel.close(200, "".into())).await);
    gone_through
}

async fn through(
    shared: &Shared,
    queue: &str,
    partition: u32,
    channel: &Channel,
) -> Result<(), Unavailable> {
    let name = shared.names.vault(queue, partition);
    let consumer = channel.basic_consume(
        name.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = within(consumer).await.map_err(Unavailable)?;
    let marker = mark(shared, &name).await?;
    let mut live = 0_u64;
    loop {
        let next = tokio::time::timeout(SILENCE, consumer.next()).await;
        let delivered = match next {
            Ok(Some(Ok(delivered))) => delivered,
            Ok(Some(Err(error))) => return Err(Unavailable(error.to_string())),
            Ok(None) | Err(_) => return Err(Unavailable("the vault is silent".into())),
        };
        if let Some(lying) = Lying::read(&delivered) {
            live += u64::from(keep_on(shared, lying).await?);
        }
        let acked = channel.basic_ack(delivered.delivery_tag, BasicAckOptions::default());
        within(acked).await.map_err(Unavailable)?;
        if read::marker_of(&delivered).as_deref() == Some(&marker) {
            break;
        }
    }
    let step = shared.index.step("rotated").arg(partition).arg(queue);
    let _: u8 = step.arg(live).ask().await?;
    Ok(())
}

/// Lays a copy behind the marker, if it lives; whether it does.
async fn keep_on(shared: &Shared, lying: Lying) -> Result<bool, Unavailable> {
    let (id, place) = (lying.id, lying.place.clone());
    match read::good_for(shared, lying).await? {
        Good::Kept | Good::Buried => put(shared, id, &place).await,
        Good::Pending => Err(Unavailable(format!("{id} is about to change"))),
        Good::Nothing => Ok(false),
    }
}
