//! The durable queue's stores: what all of them promise ([`suite`]), and what each has of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

pub(crate) mod brokers;
mod embedded;
mod nats;
mod rabbit;
pub(crate) mod suite;

/// How often: as the environment says, else so often.
fn rounds(variable: &str, otherwise: usize) -> usize {
    #[allow(
        clippy::disallowed_methods,
        reason = "how long a test runs is no configuration"
    )]
    let said = std::env::var(variable);
    said.map_or(otherwise, |said| said.parse().expect("a number of rounds"))
}
