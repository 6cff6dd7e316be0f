//! The store on NATS JetStream: the suite of all stores, and what is particular to it. Against real servers.

mod checks;
mod outages;
mod raw;
mod sharing;
mod windows;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use queue::Nats as NatsStore;
use queue::Store;
use queue::nats::Durability;
use queue::nats::Options;
use queue::seal::Seal;
use queue::store::BoxFuture;
use queue::store::Limits;

use super::brokers::Nats;
use super::rounds;
use super::suite::Harness;
use super::suite::model;
use super::suite::model::Operation;

/// Servers keep the room free that a stream may take.
const ROOM: u64 = 1 << 30;

/// Of a store on these servers, quick to notice what is gone.
fn options(servers: &[String]) -> Options {
    Options {
        servers: servers.to_vec(),
        prefix: "test".into(),
        partitions: NonZeroU32::new(4).expect("four"),
        durability: Durability::Relaxed,
        heartbeat: Duration::from_millis(200),
        patience: Duration::from_secs(2),
        grace: Duration::from_millis(800),
        limits: Limits {
            bytes: ROOM,
            ..Limits::default()
        },
        ..Options::default()
    }
}

async fn open(options: Options) -> NatsStore {
    let opened = NatsStore::connect(options, Seal::none()).await;
    opened.expect("it opens")
}

/// One server, and one store after the other.
struct Alone {
    server: Nats,
    secret: Option<[u8; 32]>,
}

impl Harness for Alone {
    fn open(&mut self, limits: Limits) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async move {
            let seal = self.secret.map_or(Seal::none(), |secret| {
                Seal::with_key(&secret).expect("a secret of 32 bytes")
            });
            let limits = Limits {
                bytes: limits.bytes.min(ROOM),
                ..limits
            };
            let options = Options {
                limits,
                ..options(&[self.server.url()])
            };
            let opened = NatsStore::connect(options, seal).await.expect("it opens");
            Arc::new(opened) as Arc<dyn Store>
        })
    }

    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, ()> {
        drop(store);
        Box::pin(std::future::ready(()))
    }
}

async fn alone(secret: Option<[u8; 32]>) -> Alone {
    Alone {
        server: Nats::start().await,
        secret,
    }
}

mod plain {
    crate::queue::suite::suite!(crate::queue::nats::alone(None).await);
}

mod sealed {
    crate::queue::suite::suite!(crate::queue::nats::alone(Some([7; 32])).await);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: rounds("SWITCHBOARD_QUEUE_MODELS", 3) as u32,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_agree_with_a_plain_model(mut operations in model::operations(60)) {
        // What dies here is in its hands, for all that others know, until it was silent for a while.
        operations.retain(|operation| !matches!(operation, Operation::Kill));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { model::agree(&mut alone(None).await, &operations).await });
    }
}
