//! Where messages wait while the gateway is killed.

use crate::brokers::Nats;
use crate::brokers::RabbitMq;
use crate::brokers::Redis;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Embedded,
    Nats,
    Rabbitmq,
}

impl Kind {
    /// The longest that a process lives, in milliseconds.
    pub(crate) fn life(self) -> u64 {
        match self {
            Self::Embedded => 400,
            // Long enough for another to take over, and to be killed at that.
            Self::Nats | Self::Rabbitmq => 20_000,
        }
    }
}

/// A store, and the servers that it needs.
pub(crate) enum Store {
    Embedded,
    Nats(Nats),
    Rabbit(RabbitMq, Redis),
}

impl Store {
    pub(crate) async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Embedded => Self::Embedded,
            Kind::Nats => Self::Nats(Nats::start().await),
            Kind::Rabbitmq => Self::Rabbit(RabbitMq::start().await, Redis::start().await),
        }
    }

    /// As the gateway is told.
    pub(crate) fn settings(&self) -> String {
        match self {
            Self::Embedded => "path: ./queue".to_owned(),
            Self::Nats(server) => format!(
                "nats: {{ url: \"{}\", durability: relaxed }}, limits: {{ bytes: 1GiB }}",
                server.url()
            ),
            Self::Rabbit(server, redis) => format!(
                "rabbitmq: {{ url: \"{}\" }}, redis: {{ url: \"{}\" }}",
                server.url(),
                redis.url()
            ),
        }
    }

    /// Its broker is killed and started again. What is known in Redis is not lost here: that is another test's.
    pub(crate) async fn die_and_return(&mut self) {
        match self {
            Self::Embedded => {}
            Self::Nats(server) => {
                server.kill().await;
                server.run().await;
            }
            Self::Rabbit(server, _) => {
                server.kill();
                server.run().await;
            }
        }
    }
}
