//! The start: what is refused, and what it says to change.

use std::num::NonZeroU32;

use queue::Rabbit as RabbitStore;
use queue::Store;
use queue::rabbit::Options;
use queue::seal::Seal;
use queue::store::Refused;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::RabbitMq;
use crate::queue::brokers::Redis;
use crate::queue::suite::append_all;
use crate::queue::suite::messages::message;

async fn refusal(options: Options, seal: Seal) -> String {
    let connected = RabbitStore::connect(options, seal).await;
    connected.err().expect("it is refused").to_string()
}

#[tokio::test]
async fn a_queue_that_is_weaker_than_promised_is_refused() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let weak = options(&broker, &redis);
    let raw = Raw::connect(&weak).await;
    let name = format!("{}.given-up", weak.prefix);
    raw.declare(&name, &[("x-queue-type", "classic")]).await;
    let refused = refusal(weak, Seal::none()).await;
    assert!(
        refused.contains("is not as safe as it must be") && refused.contains(&name),
        "{refused}"
    );
    // A queue of messages: what needs it is refused, and nothing is kept anywhere less safe.
    let drops = options(&broker, &redis);
    let store = open(drops.clone()).await;
    let raw = Raw::connect(&drops).await;
    for partition in 0..2 {
        let name = raw.name("q", "a", partition);
        let arguments = [("x-queue-type", "quorum"), ("x-overflow", "drop-head")];
        raw.declare(&name, &arguments).await;
    }
    let answer = append_all(&store, vec![message("a")]).await.remove(0);
    assert!(
        matches!(&answer, Err(Refused::Unavailable { reason, .. }) if reason.contains("as safe as")),
        "{answer:?}"
    );
    assert_eq!(store.depths().await.unwrap(), [], "its room is given back");
}

#[tokio::test]
async fn another_number_of_partitions_or_another_key_is_refused() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    open(options.clone()).await;
    let other = Options {
        partitions: NonZeroU32::new(8).unwrap(),
        ..options.clone()
    };
    let refused = refusal(other, Seal::none()).await;
    assert!(
        refused.contains("another number of partitions than 8"),
        "{refused}"
    );
    let refused = refusal(options, Seal::with_key(&[7; 32]).unwrap()).await;
    assert!(refused.contains("sealed with another key"), "{refused}");
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    open(options.clone()).await;
    redis.may_evict().await;
    let refused = refusal(options, Seal::none()).await;
    assert!(refused.contains("must be noeviction"), "{refused}");
}

#[tokio::test]
async fn nobody_answers_where_there_is_no_broker_or_no_redis() {
    let (broker, mut redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    let nowhere = Options {
        servers: vec!["amqp://guest:guest@127.0.0.1:1/%2f".into()],
        ..options.clone()
    };
    let refused = refusal(nowhere, Seal::none()).await;
    assert!(
        refused.starts_with("cannot connect to 127.0.0.1:1"),
        "{refused}"
    );
    let stranger = Options {
        user: Some(("gateway".into(), "s3cret".into())),
        ..options.clone()
    };
    let refused = refusal(stranger, Seal::none()).await;
    assert!(refused.contains("ACCESS_REFUSED"), "{refused}");
    assert!(!refused.contains("s3cret"), "{refused}");
    redis.kill().await;
    let refused = refusal(options, Seal::none()).await;
    assert!(refused.starts_with("Redis: "), "{refused}");
}
