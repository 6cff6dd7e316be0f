//! Brokers that die: nothing that was accepted is lost, and nothing that was refused is delivered.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use queue::Nats as NatsStore;
use queue::Store;
use queue::nats::Durability;
use queue::nats::Options;
use queue::store::Refused;
use queue::store::Settled;
use queue::store::Status;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::open;
use super::options;
use crate::queue::brokers::Nats;
use crate::queue::brokers::NatsCluster;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

#[tokio::test]
async fn while_the_broker_is_away_appending_is_refused_and_taking_waits() {
    let mut server = Nats::start().await;
    let store = Arc::new(open(options(&[server.url()])).await);
    let id = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    server.kill().await;
    let refused = append_all(&*store, vec![message("a")]).await.remove(0);
    assert!(
        matches!(&refused, Err(Refused::Unavailable { retry_after, .. }) if !retry_after.is_zero()),
        "{refused:?}"
    );
    let settled = soon(store.settle(taken.claim.clone(), Settled::Returned)).await;
    assert!(
        matches!(settled, Err(queue::store::NotSettled::Unavailable(_))),
        "{settled:?}"
    );
    assert!(soon(store.find(id)).await.is_err());
    let taker = store.clone();
    let waiting = tokio::spawn(async move { take_one(&*taker, "a").await });
    server.run().await;
    // What was in hand is in hand still.
    let returned = || async {
        store
            .settle(taken.claim.clone(), Settled::Returned)
            .await
            .is_ok()
    };
    until("it is settled", returned).await;
    let again = soon(waiting).await.unwrap();
    assert_eq!(again.claim.id, id);
    let delivered = Settled::Delivered(again.progress);
    soon(store.settle(again.claim, delivered)).await.unwrap();
    // What was refused is not there, or goes.
    until("nothing waits", || async {
        gives_nothing(&*store, "a").await;
        let depths = store.depths().await.unwrap();
        depths.iter().all(|depth| depth.waiting == 0)
    })
    .await;
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
    async fn append(&self, store: &NatsStore, key: String, count: usize) {
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
    async fn deliver(&self, store: &NatsStore) {
        loop {
            let Ok(batch) = store.take("a", 16).await else {
                return;
            };
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

    fn delivered(&self) -> usize {
        self.delivered.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Lost none, invented none, in order.
    fn check(&self) {
        let accepted = self.accepted.lock().unwrap();
        let delivered = self.delivered.lock().unwrap();
        assert_eq!(*accepted, *delivered);
    }
}

const KEYS: usize = 8;
const EACH: usize = 40;

/// Load while something happens to the brokers; everything arrives.
async fn under_load(store: Arc<NatsStore>, happens: impl Future<Output = ()>) {
    let ledger = Arc::new(Ledger::default());
    let mut appending = JoinSet::new();
    for key in 0..KEYS {
        let (ledger, store) = (ledger.clone(), store.clone());
        appending.spawn(async move { ledger.append(&store, format!("key-{key}"), EACH).await });
    }
    let mut delivering = JoinSet::new();
    delivering.spawn({
        let (ledger, store) = (ledger.clone(), store.clone());
        async move { ledger.deliver(&store).await }
    });
    until("some were delivered", || async {
        ledger.delivered() > KEYS
    })
    .await;
    happens.await;
    tokio::time::timeout(Duration::from_secs(60), appending.join_all())
        .await
        .expect("all are accepted at last");
    until("all were delivered", || async {
        ledger.delivered() >= KEYS * EACH
    })
    .await;
    until("nothing waits", || async {
        let depths = store.depths().await;
        depths.is_ok_and(|depths| depths.iter().all(|it| it.queue != "a" || it.waiting == 0))
    })
    .await;
    ledger.check();
    let refused = std::mem::take(&mut *ledger.refused.lock().unwrap());
    for id in refused {
        assert_eq!(store.find(id).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_under_load_loses_and_invents_nothing() {
    let mut server = Nats::start().await;
    let options = Options {
        visibility: Duration::from_secs(2),
        ..options(&[server.url()])
    };
    let store = Arc::new(open(options).await);
    under_load(store, async {
        for _ in 0..3 {
            server.kill().await;
            server.run().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_goes_on_when_one_dies() {
    let mut cluster = NatsCluster::start().await;
    let options = Options {
        durability: Durability::Replicated,
        patience: Duration::from_secs(10),
        visibility: Duration::from_secs(2),
        ..options(&cluster.urls())
    };
    let store = Arc::new(open(options).await);
    let id = append(&*store, message("b")).await.id;
    under_load(store.clone(), async { cluster.servers[0].kill().await }).await;
    let found = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(found.status, Status::Queued);
    cluster.servers[0].run().await;
    append(&*store, message("b")).await;
}
