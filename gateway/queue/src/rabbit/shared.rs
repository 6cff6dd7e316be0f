//! What all parts of the store share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::clock::Clock;
use crate::message::Message;
use crate::partition::partition;
use crate::rabbit::broker::Broker;
use crate::rabbit::index::Index;
use crate::rabbit::names;
use crate::rabbit::names::Names;
use crate::rabbit::options::Options;
use crate::rabbit::stored::Belongs;
use crate::rabbit::stored::Card;
use crate::rabbit::work::Work;
use crate::seal::Seal;
use crate::store::Unavailable;

/// What all parts of the store share.
pub(super) struct Shared {
    pub(super) broker: Broker,
    pub(super) index: Index,
    pub(super) names: Names,
    pub(super) options: Options,
    pub(super) seal: Seal,
    pub(super) clock: Clock,
    /// This process among the others.
    pub(super) me: String,
    pub(super) work: Work,
    /// The partitions are to be looked through again.
    pub(super) balance: Notify,
    /// Messages of which something is different.
    pub(super) changed: broadcast::Sender<Uuid>,
    /// Messages that were refused though they may have been stored.
    pub(super) taken_back: mpsc::Sender<Uuid>,
    pub(super) closed: AtomicBool,
}

/// The store's parts hold each other.
pub(super) type Hold = Arc<Shared>;

impl Shared {
    /// Whether nothing more is taken or appended.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The line of a message, and the partition of that.
    pub(super) fn belongs(&self, message: &Message) -> Belongs {
        let key = message.key.as_deref();
        let line = self.seal.line(&message.queue, key, message.id);
        Belongs {
            partition: partition(&names::hex(line), self.options.partitions),
            line,
            keyed: message.key.is_some(),
        }
    }

    /// A caller's name: who reads it does not know who that is, where records are sealed.
    pub(super) fn caller(&self, caller: Option<&str>) -> String {
        caller.map_or_else(String::new, |caller| {
            names::hex(self.seal.line("caller", Some(caller), Uuid::nil()))
        })
    }

    /// Everything that is known of a message; none of what was not accepted.
    pub(super) async fn card(&self, id: Uuid) -> Result<Option<Card>, Unavailable> {
        let fields = self.index.step("card").arg(short(id)).ask().await?;
        Card::read(&self.seal, id, fields)
    }
}

/// An id as keys have it.
pub(super) fn short(id: Uuid) -> String {
    id.simple().to_string()
}
