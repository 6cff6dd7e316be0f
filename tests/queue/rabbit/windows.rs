//! A process may end between any two steps, and Redis may forget what it knew: what is found then, and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::Rabbit as RabbitStore;
use queue::Store;
use queue::rabbit::Options;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;
use tokio::time::Instant;
use uuid::Uuid;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::RabbitMq;
use crate::queue::brokers::Redis;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::MINUTE;
use crate::queue::suite::messages::blocking;
use crate::queue::suite::messages::deduplicated;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::messages::now;
use crate::queue::suite::messages::tried;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

/// A deployment of one test.
struct Place {
    _broker: std::sync::Arc<RabbitMq>,
    redis: Redis,
    options: Options,
}

impl Place {
    async fn new() -> Self {
        let (broker, redis) = (RabbitMq::shared().await, Redis::start().await);
        Self {
            options: options(&broker, &redis),
            _broker: broker,
            redis,
        }
    }

    async fn open(&self) -> RabbitStore {
        open(self.options.clone()).await
    }

    async fn raw(&self) -> Raw {
        Raw::connect(&self.options).await
    }

    /// Redis starts again, and knows nothing.
    async fn forget(&mut self) {
        self.redis.kill().await;
        self.redis.run().await;
    }
}

async fn deliver(store: &dyn Store, queue: &str) -> Uuid {
    let taken = take_one(store, queue).await;
    let id = taken.claim.id;
    settle(store, taken.claim, Settled::Delivered(taken.progress)).await;
    id
}

async fn dies(store: &dyn Store, queue: &str) -> Uuid {
    let taken = take_one(store, queue).await;
    let id = taken.claim.id;
    let dead = Settled::Dead {
        progress: tried(&taken.progress, "UPSTREAM_ERROR"),
        reason: Reason::Refused,
    };
    settle(store, taken.claim, dead).await;
    id
}

/// Everything that lies there was read, and was acknowledged: it does not come back when its reader goes.
async fn nothing_is_left(store: &RabbitStore, raw: &Raw) {
    until("it is read", || async { raw.ready("q", "a").await == 0 }).await;
    soon(store.close()).await;
    assert_eq!(raw.ready("q", "a").await, 0);
}

#[tokio::test]
async fn a_message_that_redis_does_not_know_is_delivered() {
    let place = Place::new().await;
    let (store, raw) = (place.open().await, place.raw().await);
    let first = append(&store, keyed("a", "k")).await.id;
    raw.forget_all().await;
    assert_eq!(soon(store.find(first)).await.unwrap(), None);
    let second = append(&store, keyed("a", "k")).await.id;
    assert_eq!(deliver(&store, "a").await, first);
    assert_eq!(deliver(&store, "a").await, second);
}

#[tokio::test]
async fn a_message_that_its_publisher_never_confirmed_is_delivered_after_a_while() {
    let place = Place::new().await;
    let (store, raw) = (place.open().await, place.raw().await);
    let id = append(&store, keyed("a", "k")).await.id;
    // Its publisher has died before it could say that the brokers have it.
    raw.begin_only(id).await;
    assert_eq!(soon(store.find(id)).await.unwrap(), None);
    let began = Instant::now();
    let next = append(&store, keyed("a", "k")).await.id;
    assert_eq!(deliver(&store, "a").await, id);
    assert_eq!(deliver(&store, "a").await, next, "it was not overtaken");
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "its publisher had time"
    );
}

#[tokio::test]
async fn a_claimed_value_whose_message_was_never_stored_is_adopted_by_a_retry() {
    let place = Place::new().await;
    let (store, raw) = (place.open().await, place.raw().await);
    let first = append(&store, deduplicated("a", "order-7", "x", MINUTE)).await;
    // As if its publisher had died before the brokers had it.
    raw.drain("q", "a").await;
    raw.begin_only(first.id).await;
    let retry = append(&store, deduplicated("a", "order-7", "x", MINUTE)).await;
    assert_eq!((retry.id, retry.duplicate), (first.id, true));
    assert_eq!(deliver(&store, "a").await, first.id);
    gives_nothing(&store, "a").await;
    let other = append_all(&store, vec![deduplicated("a", "order-7", "y", MINUTE)]).await;
    assert!(other[0].is_err(), "another payload is a conflict still");
}

#[tokio::test]
async fn what_was_stored_twice_is_one() {
    let place = Place::new().await;
    let (store, raw) = (place.open().await, place.raw().await);
    let first = append(&store, keyed("a", "k")).await.id;
    for (partition, copy) in raw.drain("q", "a").await {
        raw.put("q", "a", partition, &copy).await;
        raw.put("q", "a", partition, &copy).await;
    }
    let second = append(&store, keyed("a", "k")).await.id;
    assert_eq!(deliver(&store, "a").await, first);
    assert_eq!(deliver(&store, "a").await, second);
    gives_nothing(&store, "a").await;
    nothing_is_left(&store, &raw).await;
}

#[tokio::test]
async fn a_message_that_was_refused_and_yet_stored_is_never_delivered() {
    let place = Place::new().await;
    let (store, raw) = (place.open().await, place.raw().await);
    let refused = append(&store, keyed("a", "k")).await.id;
    let next = append(&store, keyed("a", "k")).await.id;
    raw.refuse(refused).await;
    assert_eq!(soon(store.find(refused)).await.unwrap(), None);
    assert_eq!(deliver(&store, "a").await, next);
    gives_nothing(&store, "a").await;
    nothing_is_left(&store, &raw).await;
}

#[tokio::test]
async fn what_was_delivered_and_not_acknowledged_is_not_delivered_again() {
    let place = Place::new().await;
    let store = place.open().await;
    let first = append(&store, keyed("a", "k")).await.id;
    let second = append(&store, keyed("a", "k")).await.id;
    let raw = place.raw().await;
    let lying = raw.drain("q", "a").await;
    assert_eq!(deliver(&store, "a").await, first);
    drop(store);
    for (partition, copy) in &lying {
        raw.put("q", "a", *partition, copy).await;
    }
    let store = place.open().await;
    assert_eq!(deliver(&store, "a").await, second);
    gives_nothing(&store, "a").await;
    let found = soon(store.find(first)).await.unwrap().unwrap();
    assert_eq!(found.status, Status::Delivered);
    nothing_is_left(&store, &raw).await;
}

#[tokio::test]
async fn what_was_given_up_and_not_laid_into_the_vault_is_laid_there() {
    let place = Place::new().await;
    let store = place.open().await;
    let id = append(&store, keyed("a", "k")).await.id;
    let raw = place.raw().await;
    let lying = raw.drain("q", "a").await;
    assert_eq!(dies(&store, "a").await, id);
    // The process has died before it had laid it there.
    drop(store);
    raw.drain("v", "a").await;
    raw.set_field(id, "place", "main").await;
    for (partition, copy) in &lying {
        raw.put("q", "a", *partition, copy).await;
    }
    let store = place.open().await;
    gives_nothing(&store, "a").await;
    until("it lies in the vault", || async {
        raw.ready("v", "a").await == 1
    })
    .await;
    soon(store.retry(id, false)).await.unwrap();
    assert_eq!(deliver(&store, "a").await, id);
}

#[tokio::test]
async fn a_dead_letter_that_was_put_back_at_the_brokers_alone_is_put_back() {
    let place = Place::new().await;
    let store = place.open().await;
    let id = append(&store, keyed("a", "k")).await.id;
    dies(&store, "a").await;
    let raw = place.raw().await;
    drop(store);
    // Its operator's gateway has died between the two.
    let (partition, copy) = raw.put_back("a").await;
    raw.put("q", "a", partition, &copy).await;
    let store = place.open().await;
    assert_eq!(deliver(&store, "a").await, id);
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert!(letters.is_empty());
}

#[tokio::test]
async fn what_redis_forgets_is_read_again_and_delivered_in_order() {
    let mut place = Place::new().await;
    let store = place.open().await;
    let mut expected: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for number in 0..60 {
        let key = format!("key-{}", number % 6);
        let id = append(&store, keyed("a", &key)).await.id;
        expected.entry(key).or_default().push(id);
    }
    let dead = append(&store, message("a")).await.id;
    let blocks = append(&store, blocking("b", "k")).await.id;
    let blocked = append(&store, keyed("b", "k")).await.id;
    for _ in 0..10 {
        let taken = take_one(&store, "a").await;
        let line = expected.get_mut(taken.message.key.as_deref().unwrap());
        line.unwrap().retain(|id| *id != taken.claim.id);
        settle(&store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    assert_eq!(dies(&store, "b").await, blocks);
    place.forget().await;
    // What is accepted meanwhile comes behind.
    for key in ["key-0", "key-3"] {
        let id = until_accepted(&store, key).await;
        expected.get_mut(key).unwrap().push(id);
    }
    let mut came: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for _ in 0..53 {
        let taken = take_one(&store, "a").await;
        match &taken.message.key {
            Some(key) => came.entry(key.clone()).or_default().push(taken.claim.id),
            None => assert_eq!(taken.claim.id, dead),
        }
        settle(&store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    assert_eq!(came, expected);
    gives_nothing(&store, "a").await;
    // The one that blocks its line does still.
    gives_nothing(&store, "b").await;
    let letters = soon(store.dead_letters(Some("b"), None, 10)).await.unwrap();
    assert_eq!(letters[0].delivery.id, blocks);
    assert_eq!(letters[0].reason, Reason::Refused);
    assert_eq!(letters[0].delivery.attempts, 1, "written beside it");
    soon(store.retry(blocks, false)).await.unwrap();
    assert_eq!(deliver(&store, "b").await, blocks);
    assert_eq!(deliver(&store, "b").await, blocked);
}

async fn until_accepted(store: &RabbitStore, key: &str) -> Uuid {
    let accepted = async {
        loop {
            let message = keyed("a", key);
            let id = message.id;
            if store.append(vec![message]).await.remove(0).is_ok() {
                return id;
            }
        }
    };
    soon(accepted).await
}

#[tokio::test]
async fn a_long_line_is_parked_and_stalls_nobody_and_goes_on_in_order() {
    let mut place = Place::new().await;
    place.options.window = 16;
    let store = place.open().await;
    let mut long = Vec::new();
    for _ in 0..100 {
        long.push(append(&store, keyed("a", "long")).await.id);
    }
    let taken = take_one(&store, "a").await;
    let again = Settled::Again {
        progress: tried(&taken.progress, "UPSTREAM_UNAVAILABLE"),
        due: now() + 10 * MINUTE,
    };
    settle(&store, taken.claim, again).await;
    let raw = place.raw().await;
    until("much of the long line is parked", || async {
        raw.ready("v", "a").await >= 40
    })
    .await;
    for number in 0..10 {
        let id = append(&store, keyed("a", &format!("short-{number}")))
            .await
            .id;
        assert_eq!(deliver(&store, "a").await, id);
    }
    // All of it is at the brokers, whatever Redis knows.
    place.forget().await;
    let mut came = Vec::new();
    while came.len() < 100 {
        let taken = take_one(&store, "a").await;
        if taken.message.key.as_deref() == Some("long") {
            came.push(taken.claim.id);
        }
        settle(&store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    assert_eq!(came, long);
    // The vault is gone through when nothing of it is of use any more.
    drop(store);
    place.options.garbage = 10;
    let _store = {
        let store = place.open().await;
        gives_nothing(&store, "a").await;
        store
    };
    until("the vault is empty", || async {
        raw.ready("v", "a").await == 0
    })
    .await;
}

#[tokio::test]
async fn what_was_purged_is_gone_from_the_brokers_as_well() {
    let place = Place::new().await;
    let store = place.open().await;
    let id = append(&store, message("a")).await.id;
    dies(&store, "a").await;
    let raw = place.raw().await;
    assert_eq!(raw.ready("v", "a").await, 1);
    assert!(soon(store.purge(id)).await.unwrap());
    until("it is gone", || async { raw.ready("v", "a").await == 0 }).await;
    assert_eq!(soon(store.find(id)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_somebody_elses_goes_to_the_dead_letters_and_stalls_nothing() {
    let place = Place::new().await;
    let store = place.open().await;
    let id = append(&store, keyed("a", "k")).await.id;
    let raw = place.raw().await;
    let foreign = super::raw::Lying {
        properties: lapin::BasicProperties::default(),
        data: b"somebody else's".to_vec(),
    };
    let partition = raw.field(id, "p").await.parse().unwrap();
    raw.put("q", "a", partition, &foreign).await;
    deliver(&store, "a").await;
    until("it is a dead letter", || async {
        let letters = store.dead_letters(Some("a"), None, 10).await.unwrap();
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
        reasons == [Reason::Damaged]
    })
    .await;
}

#[tokio::test]
async fn a_message_that_was_in_hand_whenever_its_gateway_died_is_given_up() {
    let place = Place::new().await;
    let store = place.open().await;
    let poison = append(&store, keyed("a", "k")).await.id;
    let next = append(&store, keyed("a", "k")).await.id;
    let raw = place.raw().await;
    raw.set_field(poison, "crashes", "20").await;
    assert_eq!(deliver(&store, "a").await, next);
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert_eq!(letters[0].delivery.id, poison);
    assert_eq!(letters[0].reason, Reason::Broker);
}
