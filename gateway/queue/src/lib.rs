//! Deliveries that outlive a request.
//!
//! Owns what is stored of a delivery, its serialisation, and which partition
//! its key belongs to. Knows nothing of GraphQL or of the HTTP edge.
//!
//! What is stored is the source's name, the path or method, the body and the
//! values taken from the client. Address and credentials are not: they are
//! applied at each delivery, so that a rotated secret or a moved service does
//! no harm to what waits.
//!
//! Messages of one key are delivered in order. A queue has a fixed number of
//! partitions; a key belongs to one of them by a hash that never changes, and a
//! partition has one owner at a time. The owner holds many unacknowledged
//! messages and parks those of a waiting key durably, so that one key's backoff
//! stalls no other.

mod message;
mod partition;

pub use message::Call;
pub use message::DecodeError;
pub use message::Message;
pub use partition::partition;
