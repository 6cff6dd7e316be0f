//! What an operator decides about durable calls, and what of it the graph adds.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use queue::deliver::QueueSettings;
use queue::deliver::Settings;
use queue::nats::Options;
use queue::rabbit;
use queue::store::Limits;
use sources::Secret;

use crate::graph::Graph;

/// What an operator decides about durable calls.
#[derive(Debug, Clone)]
pub(crate) struct DurableSettings {
    pub(crate) store: StoreSettings,
    /// Whether other gateways serve the same graph, which must not keep messages each for itself.
    pub(crate) several: bool,
    pub(crate) limits: Limits,
    /// 32 bytes in base64, with which what is stored is encrypted.
    pub(crate) key: Option<Secret>,
    /// Stands before the names of the built-in types.
    pub(crate) prefix: String,
    /// Whether what identifies a client may be stored.
    pub(crate) captures_credentials: bool,
    /// Whoever has it sees every delivery.
    pub(crate) follow_scope: Option<String>,
    /// By the queue's name; others have the usual ones.
    pub(crate) queues: BTreeMap<String, Pace>,
}

/// Where messages wait.
#[derive(Clone)]
pub(crate) enum StoreSettings {
    /// In a file of this process.
    Embedded {
        /// The directory.
        path: PathBuf,
        /// How long to wait for another process to let go of it.
        handover: Duration,
    },
    /// On NATS JetStream.
    Nats(Box<Options>),
    /// On RabbitMQ, and what is known of it in Redis.
    Rabbit(Box<rabbit::Options>),
}

impl StoreSettings {
    /// Where that is: a store is opened once, and another place needs another process.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Embedded { path, .. } => path.display().to_string(),
            Self::Nats(options) => format!("{} {}", options.servers.join(","), options.prefix),
            Self::Rabbit(options) => {
                format!("{} {}", without_users(&options.servers), options.prefix)
            }
        }
    }
}

/// Addresses of brokers may hold a password.
fn without_users(servers: &[String]) -> String {
    let places = servers.iter().map(|server| {
        let place = server.rsplit_once('@').map(|(_, place)| place);
        place.unwrap_or(server)
    });
    places.collect::<Vec<_>>().join(",")
}

/// Without secrets.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// How fast a queue delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Deliveries at once.
    pub(crate) concurrency: usize,
    /// Deliveries a second.
    pub(crate) rate: Option<NonZeroU32>,
    /// Messages taken ahead.
    pub(crate) prefetch: Option<usize>,
}

/// Every queue that a field of the graph names, and those of the operator's.
pub(super) fn of(graph: &Graph) -> Settings {
    let paced = |(name, pace): (&String, &Pace)| (name.clone(), worked_on(*pace));
    let mut queues: BTreeMap<String, QueueSettings> =
        graph.settings.queue.queues.iter().map(paced).collect();
    for resolver in graph.supergraph.resolvers() {
        if let Some(rule) = &resolver.queue {
            let source = &graph.supergraph.source(resolver.source).name;
            let queue = queues.entry(rule.name.clone()).or_default();
            queue.sources.insert(source.clone());
        }
    }
    Settings(queues)
}

fn worked_on(pace: Pace) -> QueueSettings {
    QueueSettings {
        concurrency: pace.concurrency,
        per_second: pace.rate,
        prefetch: pace.prefetch,
        ..QueueSettings::default()
    }
}
