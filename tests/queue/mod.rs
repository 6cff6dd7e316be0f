//! The durable queue's stores: what all of them promise ([`suite`]), and what each has of its own.

mod embedded;
pub(crate) mod suite;
