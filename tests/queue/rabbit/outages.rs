//! Brokers and Redis that die: nothing that was accepted is lost, and nothing that was refused is delivered.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use queue::Rabbit as RabbitStore;
use queue::Store;
use queue::store::NotSettled;
use queue::store::Refused;
use queue::store::Settled;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::open;
use super::options;
use crate::queue::brokers::RabbitMq;
use crate::queue::brokers::Redis;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

fn is_away(answer: &Result<queue::store::Receipt, Refused>) -> bool {
    matches!(answer, Err(Refused::Unavailable { retry_after, .. }) if !retry_after.is_zero())
}

#[tokio::test]
async fn while_redis_is_away_appending_is_refused_and_what_is_in_hand_stays_there() {
    let (broker, mut redis) = (RabbitMq::shared().await, Redis::start().await);
    let store = Arc::new(open(options(&broker, &redis)).await);
    let id = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    redis.kill().await;
    let refused = append_all(&*store, vec![message("a")]).await.remove(0);
    assert!(is_away(&refused), "{refused:?}");
    let settled = soon(store.settle(taken.claim.clone(), Settled::Returned)).await;
    assert!(
        matches!(settled, Err(NotSettled::Unavailable(_))),
        "{settled:?}"
    );
    assert!(soon(store.find(id)).await.is_err());
    let taker = store.clone();
    let waiting = tokio::spawn(async move { take_one(&*taker, "a").await });
    // It knows nothing any more: what was in hand is anybody's.
    redis.run().await;
    let again = soon(waiting).await.unwrap();
    assert_eq!(again.claim.id, id);
    let late = soon(store.settle(taken.claim, Settled::Returned)).await;
    assert_eq!(late, Err(NotSettled::Lost));
    let delivered = Settled::Delivered(again.progress);
    soon(store.settle(again.claim, delivered)).await.unwrap();
}

/// What was accepted and what was delivered, under load.
#[derive(Default)]
struct Ledger {
    accepted: Mutex<BTreeMap<String, Vec<Uuid>>>,
    refused: Mutex<BTreeSet<Uuid>>,
    delivered: Mutex<BTreeMap<String, Vec<Uuid>>>,
}

impl Ledger {
    /// Appends to one key, one after the other, until so many were accepted.
    async fn append(&self, store: &RabbitStore, key: String, count: usize) {
        let mut accepted = Vec::new();
        while accepted.len() < count {
            let message = keyed("a", &key);
            let id = message.id;
            match store.append(vec![message]).await.remove(0) {
                Ok(_) => accepted.push(id),
                Err(Refused::Unavailable { .. }) => {
                    self.refused.lock().unwrap().insert(id);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
        self.accepted.lock().unwrap().insert(key, accepted);
    }

    /// Delivers whatever comes; the second delivery of the same is no news.
    async fn deliver(&self, store: &RabbitStore) {
        while let Ok(batch) = store.take("a", 16).await {
            for taken in batch {
                {
                    let key = taken.message.key.clone().unwrap();
                    let mut delivered = self.delivered.lock().unwrap();
                    let line = delivered.entry(key).or_default();
                    if !line.contains(&taken.claim.id) {
                        line.push(taken.claim.id);
                    }
                }
                // Where that cannot be said it is delivered again.
                let _ = store
                    .settle(taken.claim, Settled::Delivered(taken.progress))
                    .await;
            }
        }
    }

    fn count(&self) -> usize {
        self.delivered.lock().unwrap().values().map(Vec::len).sum()
    }

    fn check(&self) {
        let delivered = self.delivered.lock().unwrap();
        assert_eq!(
            *delivered,
            *self.accepted.lock().unwrap(),
            "in order, all of them"
        );
        let refused = self.refused.lock().unwrap();
        let mut all = delivered.values().flatten();
        assert!(all.all(|id| !refused.contains(id)), "what was refused");
    }
}

const KEYS: usize = 4;
const EACH: usize = 60;

/// Under load, with both of them killed in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_broker_and_a_redis_that_are_killed_lose_and_reorder_nothing() {
    let (mut broker, mut redis) = (RabbitMq::start().await, Redis::start().await);
    let store = Arc::new(open(options(&broker, &redis)).await);
    let ledger = Arc::new(Ledger::default());
    let mut clients = JoinSet::new();
    for key in 0..KEYS {
        let (store, ledger) = (store.clone(), ledger.clone());
        clients.spawn(async move { ledger.append(&store, format!("key-{key}"), EACH).await });
    }
    let deliveries = {
        let (store, ledger) = (store.clone(), ledger.clone());
        tokio::spawn(async move { ledger.deliver(&store).await })
    };
    let some = |count: usize| {
        let ledger = ledger.clone();
        async move {
            until("some are delivered", || {
                std::future::ready(ledger.count() >= count)
            })
            .await;
        }
    };
    some(KEYS * EACH / 4).await;
    redis.kill().await;
    redis.run().await;
    some(KEYS * EACH / 2).await;
    broker.kill();
    broker.run().await;
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    some(KEYS * EACH).await;
    deliveries.abort();
    ledger.check();
    let refused = append_all(&*store, vec![keyed("a", "last")])
        .await
        .remove(0);
    assert!(refused.is_ok(), "{refused:?}");
}
