//! The section about calls that are made durable: `@queue`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::super::units::Size;
use super::super::units::Span;
use super::credentials::Secret;
use super::credentials::Tls;
use super::redis::Redis;

/// Calls that are made durable and delivered later. Opened where a subgraph file says `@queue`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Queue {
    /// The directory in which messages wait, relative to this file; unless they wait on `nats` or `rabbitmq`. Read when the process starts.
    pub(in crate::config) path: String,
    /// NATS JetStream, which many gateways share. Read when the process starts.
    pub(in crate::config) nats: Option<Nats>,
    /// RabbitMQ, which many gateways share, together with `redis`. Read when the process starts.
    pub(in crate::config) rabbitmq: Option<RabbitMq>,
    /// Where it is kept what is known of messages on RabbitMQ: it may be lost, and must not evict (`maxmemory-policy noeviction`).
    pub(in crate::config) redis: Option<Redis>,
    /// How long to wait at the start while another process still has that directory, as the one before does in a rolling restart.
    pub(in crate::config) handover: Span,
    /// With what stored messages are encrypted: 32 bytes in base64, from the environment.
    pub(in crate::config) encryption_key: Option<Secret>,
    /// How much may wait; more is refused.
    pub(in crate::config) limits: Limits,
    /// How long finished messages are kept.
    pub(in crate::config) retention: Retention,
    /// Stands before the names of the built-in types (`Accepted`, `Delivery`), where a graph has types of these names already.
    pub(in crate::config) types_prefix: String,
    /// Whether what identifies a client (`authorization`, cookies, keys) may be stored with a call.
    pub(in crate::config) capture_credentials: bool,
    /// Whoever has this scope in a token sees every delivery; else callers see their own alone.
    pub(in crate::config) follow_scope: Option<String>,
    /// How fast each queue delivers, by name.
    pub(in crate::config) queues: BTreeMap<String, Pace>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            path: "./data/queue".into(),
            nats: None,
            rabbitmq: None,
            redis: None,
            handover: Span::seconds(30),
            encryption_key: None,
            limits: Limits::default(),
            retention: Retention::default(),
            types_prefix: String::new(),
            capture_credentials: false,
            follow_scope: None,
            queues: BTreeMap::new(),
        }
    }
}

/// NATS JetStream, 2.9 or later.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Nats {
    /// `nats://host:port` or `tls://host:port`; one of a cluster suffices to find the others.
    pub(in crate::config) url: Servers,
    /// Names of streams and subjects begin with it: deployments that share brokers need one each.
    #[serde(default = "prefix")]
    pub(in crate::config) prefix: String,
    /// In how many parts each queue's work is shared between gateways. The streams remember it: another number is refused.
    #[serde(default = "partitions")]
    pub(in crate::config) partitions: NonZeroU32,
    /// What protects acknowledged messages.
    #[serde(default)]
    pub(in crate::config) durability: Durability,
    /// `http://host:port` of each server's monitoring, asked to confirm `sync-always`.
    #[serde(default)]
    pub(in crate::config) monitoring: Vec<String>,
    /// Who the gateway is: a user with a password, a token, the seed of an nkey, or a credentials file.
    #[serde(default)]
    pub(in crate::config) user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub(in crate::config) password: Option<Secret>,
    /// A token.
    #[serde(default)]
    pub(in crate::config) token: Option<Secret>,
    /// The seed of an nkey.
    #[serde(default)]
    pub(in crate::config) nkey: Option<Secret>,
    /// A file with a JWT and the seed of its nkey, relative to this one.
    #[serde(default)]
    pub(in crate::config) credentials_file: Option<String>,
    /// Whom to trust as a broker, and which certificate to show. Given, nothing is sent without TLS.
    #[serde(default)]
    pub(in crate::config) tls: Option<Tls>,
}

/// RabbitMQ, 3.10 or later. What is known of messages is kept in `queue.redis`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RabbitMq {
    /// `amqp://host:port/vhost` or `amqps://`; several of one cluster are tried one after the other.
    pub(in crate::config) url: Servers,
    /// Names of queues begin with it: deployments that share brokers need one each.
    #[serde(default = "prefix")]
    pub(in crate::config) prefix: String,
    /// In how many parts each queue's work is shared between gateways; each is two quorum queues. The brokers remember it: another number is refused.
    #[serde(default = "rabbit_partitions")]
    pub(in crate::config) partitions: NonZeroU32,
    /// Who the gateway is, where the address does not say so.
    #[serde(default)]
    pub(in crate::config) user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub(in crate::config) password: Option<Secret>,
    /// Whom to trust as a broker beside the machine's authorities, and which certificate to show. For `amqps://`.
    #[serde(default)]
    pub(in crate::config) tls: Option<Tls>,
}

fn rabbit_partitions() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(7)
}

fn prefix() -> String {
    "switchboard".into()
}

fn partitions() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(31)
}

/// One address, or several.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Servers {
    /// One.
    One(String),
    /// Several of one cluster.
    Several(Vec<String>),
}

/// What protects acknowledged messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Durability {
    /// Three replicas.
    #[default]
    Replicated,
    /// One server that writes to its disk before it acknowledges (`sync_interval: always`).
    SyncAlways,
    /// One server that does not: an outage of power may lose what was accepted last.
    Relaxed,
}

/// How much may wait.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// Messages, over all queues.
    pub(in crate::config) messages: u64,
    /// Bytes, over all queues.
    pub(in crate::config) bytes: Size,
    /// Bytes of one message.
    pub(in crate::config) message: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000_000,
            bytes: Size::kib(16 << 20),
            message: Size::kib(1024),
        }
    }
}

/// How long finished messages are kept.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Retention {
    /// Delivered ones.
    pub(in crate::config) delivered: Span,
    /// Dead letters.
    pub(in crate::config) dead: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            delivered: Span::seconds(24 * 3600),
            dead: Span::seconds(14 * 24 * 3600),
        }
    }
}

/// How fast one queue delivers.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Pace {
    /// Deliveries at once.
    pub(in crate::config) concurrency: NonZeroU32,
    /// Deliveries a second; as many as there are without it.
    pub(in crate::config) rate: Option<NonZeroU32>,
    /// Messages taken ahead; four for each delivery at once without it.
    pub(in crate::config) prefetch: Option<NonZeroU32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            concurrency: NonZeroU32::MIN.saturating_add(15),
            rate: None,
            prefetch: None,
        }
    }
}
