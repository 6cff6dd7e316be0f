//! Several gateways over one deployment: who delivers what, and what happens when one goes.

use std::collections::HashSet;
use std::sync::Arc;

use queue::Message;
use queue::Rabbit as RabbitStore;
use queue::Store;
use queue::store::NotSettled;
use queue::store::Settled;
use queue::store::Taken;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::RabbitMq;
use crate::queue::brokers::Redis;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

async fn deliver(store: &RabbitStore, taken: Taken) -> Result<(), NotSettled> {
    let delivered = Settled::Delivered(taken.progress);
    soon(store.settle(taken.claim, delivered)).await
}

/// Delivers whatever comes, and says what; until nobody listens.
fn delivering(store: Arc<RabbitStore>, name: usize, told: mpsc::UnboundedSender<(usize, Message)>) {
    tokio::spawn(async move {
        while let Ok(batch) = store.take("a", 16).await {
            for taken in batch {
                let message = taken.message.clone();
                if deliver(&store, taken).await.is_ok() && told.send((name, message)).is_err() {
                    return;
                }
            }
        }
    });
}

#[tokio::test]
async fn two_gateways_share_the_work_and_no_message_is_delivered_twice() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    let stores = [open(options.clone()).await, open(options).await].map(Arc::new);
    let (told, mut deliveries) = mpsc::unbounded_channel();
    for (name, store) in stores.iter().enumerate() {
        delivering(store.clone(), name, told.clone());
    }
    let mut by = HashSet::new();
    let mut seen = HashSet::new();
    // Until both have delivered: the second joins while the first works.
    while by.len() < 2 {
        let messages: Vec<Message> = (0..20).map(|_| message("a")).collect();
        append_all(&*stores[0], messages).await;
        for _ in 0..20 {
            let (name, message) = soon(deliveries.recv()).await.unwrap();
            by.insert(name);
            assert!(seen.insert(message.id), "delivered once");
        }
    }
}

#[tokio::test]
async fn when_a_gateway_dies_another_goes_on_where_it_was() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    let dying = open(options.clone()).await;
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.push(append(&dying, keyed("a", "k")).await.id);
    }
    let first = take_one(&dying, "a").await;
    deliver(&dying, first).await.unwrap();
    let second = take_one(&dying, "a").await;
    assert_eq!(second.claim.id, expected[1]);
    let heir = open(options).await;
    drop(dying);
    let mut delivered = vec![expected[0]];
    while delivered.len() < 6 {
        let taken = take_one(&heir, "a").await;
        delivered.push(taken.claim.id);
        deliver(&heir, taken).await.unwrap();
    }
    assert_eq!(delivered, expected, "in order, the second again");
}

#[tokio::test]
async fn a_claim_that_another_has_taken_over_settles_nothing_whatever_its_holder_believes() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let id = append(&store, keyed("a", "k")).await.id;
    let late = take_one(&store, "a").await;
    // Another owner has it in hand, and this process has heard of nothing.
    raw.set_field(id, "tok", "another's").await;
    let kept = [late.claim.clone()];
    assert_eq!(soon(store.renew(&kept)).await, kept);
    assert_eq!(deliver(&store, late).await, Err(NotSettled::Lost));
    assert_eq!(
        raw.field(id, "ph").await,
        "C",
        "it is in that one's hands still"
    );
}

#[tokio::test]
async fn a_gateway_that_leaves_gives_its_partitions_at_once() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let mut options = options(&broker, &redis);
    // Nobody is thought dead within this test.
    options.heartbeat = std::time::Duration::from_secs(5);
    let leaving = open(options.clone()).await;
    let id = append(&leaving, keyed("a", "k")).await.id;
    take_one(&leaving, "a").await;
    let heir = open(options).await;
    let began = Instant::now();
    let (taken, ()) = tokio::join!(take_one(&heir, "a"), leaving.close());
    assert_eq!(taken.claim.id, id);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn one_that_joins_gets_its_share_when_what_is_in_hand_was_settled() {
    let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
    let options = options(&broker, &redis);
    let first = open(options.clone()).await;
    let messages: Vec<Message> = (0..40).map(|_| message("a")).collect();
    append_all(&first, messages).await;
    let held = take_one(&first, "a").await;
    let second = open(options).await;
    deliver(&first, held).await.unwrap();
    let taken = take_one(&second, "a").await;
    deliver(&second, taken).await.unwrap();
    until("all of them are delivered once", || async {
        for store in [&first, &second] {
            let batch =
                tokio::time::timeout(std::time::Duration::from_millis(50), store.take("a", 8));
            if let Ok(batch) = batch.await {
                for taken in batch.unwrap() {
                    deliver(store, taken).await.unwrap();
                }
            }
        }
        first.depths().await.unwrap().is_empty()
    })
    .await;
}
