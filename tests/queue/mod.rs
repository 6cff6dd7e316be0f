//! The durable queue's stores: what all of them promise ([`suite`]), and what each has of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

pub(crate) mod brokers;
mod embedded;
mod nats;
mod rabbit;
pub(crate) mod suite;

use crate::rounds;
