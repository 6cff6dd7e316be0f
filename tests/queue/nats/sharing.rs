//! Several gateways over one deployment: who delivers what, and what happens when one goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use queue::Message;
use queue::Nats as NatsStore;
use queue::Store;
use queue::store::NotSettled;
use queue::store::Settled;
use queue::store::Taken;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::timeout;
use uuid::Uuid;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::Nats;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::soon;
use crate::queue::suite::take;
use crate::queue::suite::take_one;

/// Longer than a hundred thousand messages take to be read.
const PATIENCE: Duration = Duration::from_secs(60);

async fn deliver(store: &NatsStore, taken: Taken) -> Result<(), NotSettled> {
    let delivered = Settled::Delivered(taken.progress);
    soon(store.settle(taken.claim, delivered)).await
}

/// Delivers whatever comes, and says what; until nobody listens.
fn delivering(
    store: Arc<NatsStore>,
    name: usize,
    told: mpsc::UnboundedSender<(usize, Message)>,
) -> tokio::task::AbortHandle {
    let work = async move {
        while let Ok(batch) = store.take("a", 16).await {
            for taken in batch {
                let message = taken.message.clone();
                if deliver(&store, taken).await.is_ok() && told.send((name, message)).is_err() {
                    return;
                }
            }
        }
    };
    tokio::spawn(work).abort_handle()
}

#[tokio::test]
async fn two_gateways_share_the_work_and_no_message_is_delivered_twice() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
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
async fn when_a_gateway_dies_another_goes_on_where_it_was_and_the_late_answer_is_refused() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
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
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let id = append(&store, keyed("a", "k")).await.id;
    let late = take_one(&store, "a").await;
    // An owner by a later lease has taken it, and this process has heard of nothing.
    let mut known = raw.known(id).await;
    known["phase"] = json!({ "Claimed": { "lease": 1_000_000 } });
    raw.set_known(id, &known).await;
    assert_eq!(deliver(&store, late).await, Err(NotSettled::Lost));
    gives_nothing(&store, "a").await;
    assert_eq!(raw.known(id).await, known, "nothing was written");
}

#[tokio::test]
async fn a_gateway_that_hears_of_another_owner_lets_go_of_what_it_has_in_hand() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    append(&store, keyed("a", "k")).await;
    let late = take_one(&store, "a").await;
    for partition in 0..4 {
        let key = format!("$KV.test_control.lease.a.{partition}");
        raw.put(key, br#"{"owner":"somebody"}"#.to_vec()).await;
    }
    until("the claim is lost", || async {
        !store
            .renew(std::slice::from_ref(&late.claim))
            .await
            .is_empty()
    })
    .await;
    assert_eq!(deliver(&store, late).await, Err(NotSettled::Lost));
    // Somebody does not live: what was theirs is taken over.
    take_one(&store, "a").await;
}

#[tokio::test]
async fn a_gateway_that_leaves_gives_its_partitions_at_once() {
    let server = Nats::start().await;
    let mut options = options(&[server.url()]);
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
async fn a_hundred_thousand_of_one_key_stall_no_other() {
    const MANY: usize = 100_000;
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let head = append(&store, keyed("a", "long")).await.id;
    for _ in 0..20 {
        append(&store, keyed("a", "long")).await;
    }
    let lying = raw.all("queue").await.remove(0);
    raw.put_copies(&lying, MANY).await;
    // Behind them in their own partition, and in the others.
    let others: Vec<Uuid> = {
        let messages: Vec<Message> = (0..16).map(|n| keyed("a", &format!("short-{n}"))).collect();
        let ids = messages.iter().map(|message| message.id).collect();
        append_all(&store, messages).await;
        ids
    };
    // Longer than others may take: all of them are read before the last is found.
    let mut taken = Vec::new();
    while taken.len() < 17 {
        let more = timeout(PATIENCE, store.take("a", 17)).await;
        taken.extend(more.expect("in time").unwrap());
    }
    let ids: HashSet<Uuid> = taken.iter().map(|taken| taken.claim.id).collect();
    assert!(ids.contains(&head) && others.iter().all(|id| ids.contains(id)));
    // The long one goes on in order, read again one after the other.
    let first = taken.into_iter().find(|taken| taken.claim.id == head);
    deliver(&store, first.unwrap()).await.unwrap();
    let mut last = head;
    for _ in 0..20 {
        let mut next = take(&store, "a", 17).await;
        assert_eq!(next.len(), 1);
        assert!(next[0].claim.id > last, "in order");
        last = next[0].claim.id;
        deliver(&store, next.remove(0)).await.unwrap();
    }
}
