//! What the store is told of its brokers.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::store::Limits;

/// Where the brokers are, and what is asked of them.
#[derive(Clone)]
pub struct Options {
    /// `nats://host:port` or `tls://host:port`; one suffices to find the others of a cluster.
    pub servers: Vec<String>,
    /// Names of streams and subjects begin with it: deployments that share brokers have one each.
    pub prefix: String,
    /// In how many parts each queue's work is shared. Streams remember it: another number is refused.
    pub partitions: NonZeroU32,
    /// What protects acknowledged messages.
    pub durability: Durability,
    /// `http://host:port` of each server's monitoring: asked to confirm what the operator says.
    pub monitoring: Vec<String>,
    /// Who the gateway is.
    pub credentials: Credentials,
    /// How the connection is protected.
    pub tls: Tls,
    /// How often this process says that it lives. Others take over what it owns after four times as long.
    pub heartbeat: Duration,
    /// How long a message may be in somebody's hands without being renewed.
    pub visibility: Duration,
    /// How long a publication is tried before its client is told that it failed.
    pub patience: Duration,
    /// How long a message whose publisher never confirmed it is left alone: that one may still take it back.
    pub grace: Duration,
    /// How long deduplication values are remembered at least.
    pub remembered: Duration,
    /// What is kept, and for how long.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            prefix: "switchboard".into(),
            partitions: const { NonZeroU32::new(32).unwrap() },
            durability: Durability::Replicated,
            monitoring: Vec::new(),
            credentials: Credentials::None,
            tls: Tls::default(),
            heartbeat: Duration::from_secs(2),
            visibility: Duration::from_secs(30),
            patience: Duration::from_secs(5),
            grace: Duration::from_secs(15),
            remembered: Duration::from_secs(24 * 3600),
            limits: Limits::default(),
        }
    }
}

/// What protects acknowledged messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Three replicas.
    Replicated,
    /// One replica, on a server that the operator runs with `sync_interval: always`.
    SyncAlways,
    /// One replica of a server that writes to its disk later: an outage of power may lose messages.
    Relaxed,
}

impl Durability {
    /// How many servers hold a message.
    pub(super) fn replicas(self) -> usize {
        match self {
            Durability::Replicated => 3,
            Durability::SyncAlways | Durability::Relaxed => 1,
        }
    }
}

/// Who the gateway is. No `Debug`: secrets are not for logs.
#[derive(Clone)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
    /// The text of a credentials file: a JWT and the seed of its nkey.
    Credentials(String),
}

/// How the connection is protected.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Nothing is sent without.
    pub required: bool,
    /// Authorities beside those of the machine.
    pub authorities: Option<PathBuf>,
    /// A certificate of our own, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}
