//! What the store is told of its brokers and of its Redis.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::store::Limits;

/// Where the brokers are, and what is asked of them.
#[derive(Clone)]
pub struct Options {
    /// `amqp://host:port/vhost` or `amqps://`; tried one after the other.
    pub servers: Vec<String>,
    /// Who the gateway is, where the addresses do not say so.
    pub user: Option<(String, String)>,
    /// How connections are protected where they are `amqps://`.
    pub tls: Tls,
    /// The Redis of what is known: `redis://` or `rediss://`, with user and password.
    pub redis: String,
    /// For one call of Redis.
    pub redis_timeout: Duration,
    /// Names of queues and keys begin with it: deployments that share brokers have one each.
    pub prefix: String,
    /// In how many parts each queue's work is shared. The brokers remember it: another number is refused.
    pub partitions: NonZeroU32,
    /// How often this process says that it lives. Others take over what it owns after four times as long.
    pub heartbeat: Duration,
    /// How long a message may be in somebody's hands without being renewed.
    pub visibility: Duration,
    /// How long a publication is tried before its client is told that it failed.
    pub patience: Duration,
    /// How long a message whose publisher never confirmed it is left alone: that one may still take it back.
    pub grace: Duration,
    /// Messages of one partition that are held unacknowledged.
    pub window: u16,
    /// How long a message is held unacknowledged before it is parked: brokers close channels that hold one for too long.
    pub park_after: Duration,
    /// Copies in the vault of a partition that are of no use any more before it is gone through, at least.
    pub garbage: u64,
    /// What is kept, and for how long.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["amqp://127.0.0.1:5672/%2f".into()],
            user: None,
            tls: Tls::default(),
            redis: "redis://127.0.0.1:6379/".into(),
            redis_timeout: Duration::from_secs(1),
            prefix: "switchboard".into(),
            partitions: const { NonZeroU32::new(8).unwrap() },
            heartbeat: Duration::from_secs(2),
            visibility: Duration::from_secs(30),
            patience: Duration::from_secs(5),
            grace: Duration::from_secs(15),
            window: 256,
            park_after: Duration::from_secs(300),
            garbage: 1_000,
            limits: Limits::default(),
        }
    }
}

/// How a connection is protected. No `Debug`: a key is not for logs.
#[derive(Clone, Default)]
pub struct Tls {
    /// Authorities beside those of the machine, in PEM.
    pub authorities: Option<String>,
    /// A certificate of our own, and its key, in PEM.
    pub identity: Option<(String, String)>,
}
