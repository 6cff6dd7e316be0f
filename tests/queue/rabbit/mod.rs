//! The store on RabbitMQ and Redis: the suite of all stores, and what is particular to it. Against real servers.

mod checks;
mod outages;
mod raw;
mod sharing;
mod windows;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use queue::Rabbit as RabbitStore;
use queue::Store;
use queue::rabbit::Options;
use queue::seal::Seal;
use queue::store::BoxFuture;
use queue::store::Limits;

use super::brokers::RabbitMq;
use super::brokers::Redis;
use super::rounds;
use super::suite::Harness;
use super::suite::model;
use super::suite::model::Operation;

/// Names of this test alone.
fn prefix() -> String {
    format!("test-{:x}", rand::random::<u32>())
}

/// Of a store on these servers, quick to notice what is gone.
fn options(broker: &RabbitMq, redis: &Redis) -> Options {
    Options {
        servers: vec![broker.url()],
        redis: redis.url(),
        prefix: prefix(),
        partitions: NonZeroU32::new(2).expect("two"),
        heartbeat: Duration::from_millis(200),
        patience: Duration::from_secs(2),
        grace: Duration::from_millis(800),
        ..Options::default()
    }
}

async fn open(options: Options) -> RabbitStore {
    let opened = RabbitStore::connect(options, Seal::none()).await;
    opened.expect("it opens")
}

/// One broker, one Redis, and one store after the other.
struct Alone {
    /// It runs as long as somebody has it.
    _broker: Arc<RabbitMq>,
    _redis: Redis,
    options: Options,
    secret: Option<[u8; 32]>,
}

impl Harness for Alone {
    fn open(&mut self, limits: Limits) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async move {
            let seal = self.secret.map_or(Seal::none(), |secret| {
                Seal::with_key(&secret).expect("a secret of 32 bytes")
            });
            let options = Options {
                limits,
                ..self.options.clone()
            };
            let opened = RabbitStore::connect(options, seal).await;
            Arc::new(opened.expect("it opens")) as Arc<dyn Store>
        })
    }

    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, ()> {
        drop(store);
        Box::pin(std::future::ready(()))
    }
}

async fn alone(secret: Option<[u8; 32]>) -> Alone {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    Alone {
        options: options(&broker, &redis),
        _broker: broker,
        _redis: redis,
        secret,
    }
}

mod plain {
    crate::queue::suite::suite!(crate::queue::rabbit::alone(None).await);
}

mod sealed {
    crate::queue::suite::suite!(crate::queue::rabbit::alone(Some([7; 32])).await);
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
