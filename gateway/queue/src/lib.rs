//! Deliveries that outlive a request.
//!
//! Owns what is stored of a delivery, where it waits, when it is attempted and
//! what becomes of it. Knows nothing of GraphQL or of the HTTP edge, nor how a
//! target is reached: whoever embeds it hands it a [`deliver::Handler`].
//!
//! What is stored is the source's name, what is called there, the body and the
//! values taken from the client. Address and credentials are not: they are
//! applied at each delivery, so that a rotated secret or a moved service does
//! no harm to what waits.
//!
//! Messages of one key are delivered in order. A queue has a fixed number of
//! partitions; a key belongs to one of them by a hash that never changes, and a
//! partition has one owner at a time. The owner holds many unacknowledged
//! messages and parks those of a waiting key durably, so that one key's backoff
//! stalls no other.

pub mod clock;
pub mod deliver;
pub mod embedded;
pub mod keys;
mod lines;
pub mod message;
pub mod nats;
mod operate;
mod partition;
mod pauses;
#[cfg(any(test, feature = "testing"))]
pub mod plain;
pub mod rabbit;
pub mod redis;
pub mod seal;
mod share;
pub mod store;

pub use embedded::Embedded;
pub use message::Message;
pub use nats::Nats;
pub use operate::Queue;
pub use operate::Retried;
pub use operate::Standing;
pub use operate::Which;
pub use partition::partition;
pub use rabbit::Rabbit;
pub use store::Store;
