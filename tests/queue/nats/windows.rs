//! A process may end between any two steps: what is found then, and what becomes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use queue::Message;
use queue::Store;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;
use serde_json::json;
use uuid::Uuid;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::Nats;
use crate::queue::brokers::until;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::MINUTE;
use crate::queue::suite::messages::deduplicated;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

async fn deliver(store: &dyn Store, queue: &str) -> Uuid {
    let taken = take_one(store, queue).await;
    let id = taken.claim.id;
    settle(store, taken.claim, Settled::Delivered(taken.progress)).await;
    id
}

#[tokio::test]
async fn a_message_that_its_publisher_never_confirmed_is_delivered_after_a_while() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let first = append(&store, keyed("a", "k")).await.id;
    let second = append(&store, keyed("a", "k")).await.id;
    // Its publisher has died between storing it and saying so.
    let record = raw.all("state").await.remove(0);
    raw.delete("state", record.sequence).await;
    assert_eq!(soon(store.find(first)).await.unwrap(), None);
    assert_eq!(deliver(&store, "a").await, first);
    assert_eq!(deliver(&store, "a").await, second);
    assert_eq!((raw.count("queue").await, raw.count("state").await), (0, 0));
}

#[tokio::test]
async fn a_message_that_was_refused_and_yet_stored_is_never_delivered() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let refused = append(&store, keyed("a", "k")).await.id;
    let next = append(&store, keyed("a", "k")).await.id;
    let mut known = raw.known(refused).await;
    known["phase"] = json!({ "Refused": { "at": 1 } });
    raw.set_known(refused, &known).await;
    assert_eq!(soon(store.find(refused)).await.unwrap(), None);
    assert_eq!(deliver(&store, "a").await, next);
    assert_eq!(raw.count("queue").await, 0);
}

#[tokio::test]
async fn a_claimed_value_whose_message_was_never_stored_is_adopted_by_a_retry() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    append(&store, deduplicated("a", "order-6", "x", MINUTE)).await;
    let mut sample = raw.all("dedupe").await.remove(0);
    // A process has claimed the value, and died before it stored the message.
    let id = Uuid::now_v7();
    let mut value: serde_json::Value = serde_json::from_slice(&sample.payload).unwrap();
    value["id"] = json!(id);
    value["confirmed"] = json!(false);
    sample.payload = serde_json::to_vec(&value).unwrap().into();
    let subject = sample.subject.replace("order-6", "order-7");
    raw.put(subject, sample.payload.to_vec()).await;
    let retry = append(&store, deduplicated("a", "order-7", "x", MINUTE)).await;
    assert_eq!((retry.id, retry.duplicate), (id, true));
    deliver(&store, "a").await;
    assert_eq!(deliver(&store, "a").await, id);
    let other = append_all(&store, vec![deduplicated("a", "order-7", "y", MINUTE)]).await;
    assert!(other[0].is_err(), "another payload is a conflict still");
}

#[tokio::test]
async fn a_retry_after_the_message_was_stored_and_not_confirmed_is_no_second_message() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let first = append(&store, deduplicated("a", "order-7", "x", MINUTE)).await;
    unconfirm(&raw).await;
    raw.delete("state", raw.all("state").await[0].sequence)
        .await;
    let retry = append(&store, deduplicated("a", "order-7", "x", MINUTE)).await;
    assert_eq!((retry.id, retry.duplicate), (first.id, true));
    // After two minutes the brokers do not know the publication again: a second copy is found, and goes.
    let copy = raw.all("queue").await.remove(0);
    raw.put_again(&copy).await;
    assert_eq!(raw.count("queue").await, 2);
    assert_eq!(deliver(&store, "a").await, first.id);
    gives_nothing(&store, "a").await;
    until("the copy is gone", || async {
        gives_nothing(&store, "a").await;
        raw.count("queue").await == 0
    })
    .await;
}

/// The deduplication value as it was before its message was confirmed.
async fn unconfirm(raw: &Raw) {
    let stored = raw.all("dedupe").await.remove(0);
    let mut value: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
    value["confirmed"] = json!(false);
    let value = serde_json::to_vec(&value).unwrap();
    raw.put(stored.subject.to_string(), value).await;
}

#[tokio::test]
async fn what_was_delivered_and_not_moved_is_moved_and_not_delivered_again() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let raw_options = options.clone();
    let store = open(options.clone()).await;
    let raw = Raw::connect(&raw_options).await;
    let first = append(&store, keyed("a", "k")).await.id;
    let second = append(&store, keyed("a", "k")).await.id;
    take_one(&store, "a").await;
    // The process has written that it was delivered, and nothing more.
    let mut known = raw.known(first).await;
    known["phase"] = json!({ "Delivered": { "at": 1_730_000_000_000_u64 } });
    raw.set_known(first, &known).await;
    drop(store);
    let store = open(options).await;
    assert_eq!(deliver(&store, "a").await, second);
    let found = soon(store.find(first)).await.unwrap().unwrap();
    assert_eq!(found.status, Status::Delivered);
    assert_eq!((raw.count("queue").await, raw.count("done").await), (0, 2));
}

#[tokio::test]
async fn what_was_given_up_and_not_moved_is_moved_once() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let id = append(&store, keyed("a", "k")).await.id;
    let lying = raw.all("queue").await.remove(0);
    let record = raw.all("state").await.remove(0);
    let taken = take_one(&store, "a").await;
    let dead = Settled::Dead {
        progress: taken.progress,
        reason: Reason::Refused,
    };
    settle(&store, taken.claim, dead).await;
    drop(store);
    // As if the process had died after it was laid with the dead letters, and before it was taken from the line.
    let position = raw.put_again(&lying).await;
    raw.put_again(&record).await;
    let mut known = raw.known(id).await;
    known["position"] = json!(position);
    known["phase"] = json!({ "Dead": { "reason": "REFUSED", "at": 1 } });
    known["version"] = json!(3);
    raw.set_known(id, &known).await;
    let store = open(options).await;
    let next = append(&store, keyed("a", "k")).await.id;
    assert_eq!(deliver(&store, "a").await, next);
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(raw.count("queue").await, 0);
}

#[tokio::test]
async fn what_cannot_be_read_goes_to_the_dead_letters_and_stalls_nothing() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let damaged = append(&store, keyed("a", "k")).await.id;
    let mut lying = raw.all("queue").await.remove(0);
    raw.delete("queue", lying.sequence).await;
    lying.payload = lying.payload.slice(..20);
    let position = raw.put_again(&lying).await;
    let mut known = raw.known(damaged).await;
    known["position"] = json!(position);
    raw.set_known(damaged, &known).await;
    let subject = lying.subject.to_string();
    raw.put(subject.clone(), b"somebody else's".to_vec()).await;
    let next = append(&store, keyed("a", "k")).await.id;
    assert_eq!(deliver(&store, "a").await, next);
    until("both are dead letters", || async {
        let letters = store.dead_letters(Some("a"), None, 10).await.unwrap();
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
        reasons == [Reason::Damaged, Reason::Damaged]
    })
    .await;
    let shown = soon(store.show(damaged)).await.unwrap().unwrap();
    assert_eq!(shown.message, None);
    assert!(soon(store.retry(damaged, true)).await.is_err());
    assert_eq!(raw.count("queue").await, 0);
}

#[tokio::test]
async fn a_message_of_a_later_release_is_left_alone() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let later = append(&store, keyed("a", "k")).await.id;
    let mut lying = raw.all("queue").await.remove(0);
    raw.delete("queue", lying.sequence).await;
    let text = String::from_utf8(lying.payload.to_vec()).unwrap();
    lying.payload = text.replace("\"v\":1", "\"v\":9").into_bytes().into();
    let position = raw.put_again(&lying).await;
    let mut known = raw.known(later).await;
    known["position"] = json!(position);
    raw.set_known(later, &known).await;
    let other = append(&store, message("a")).await.id;
    assert_eq!(deliver(&store, "a").await, other);
    gives_nothing(&store, "a").await;
    assert_eq!(raw.count("queue").await, 1);
}

#[tokio::test]
async fn a_lowered_limit_deletes_nothing() {
    let server = Nats::start().await;
    let mut options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let messages: Vec<Message> = (0..10).map(|_| message("a")).collect();
    for answer in append_all(&store, messages).await {
        answer.expect("it is accepted");
    }
    soon(store.close()).await;
    options.limits.messages = 5;
    let store = open(options).await;
    for _ in 0..10 {
        deliver(&store, "a").await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_put_back_before_it_was_taken_from_its_line_is_not_lost() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let store = open(options.clone()).await;
    let raw = Raw::connect(&options).await;
    let id = append(&store, keyed("a", "k")).await.id;
    let taken = take_one(&store, "a").await;
    let record = raw.known(id).await;
    let dead = Settled::Dead {
        progress: taken.progress,
        reason: Reason::Refused,
    };
    settle(&store, taken.claim, dead).await;
    // As it was for a moment: it lies with the dead letters, and its record says so, too.
    let mut known = record;
    known["phase"] = json!({ "Dead": { "reason": "REFUSED", "at": 1 } });
    known["version"] = json!(3);
    raw.set_known(id, &known).await;
    soon(store.retry(id, false)).await.unwrap();
    assert_eq!(deliver(&store, "a").await, id);
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert!(letters.is_empty());
}

#[tokio::test]
async fn a_taker_that_goes_away_takes_none_of_many() {
    let server = Nats::start().await;
    let store = open(options(&[server.url()])).await;
    let messages: Vec<Message> = (0..40).map(|_| message("a")).collect();
    let mut ids: BTreeSet<Uuid> = messages.iter().map(|message| message.id).collect();
    append_all(&store, messages).await;
    let kept = take_one(&store, "a").await;
    for millis in [1, 2, 4, 8, 12, 16, 24] {
        let hasty = Duration::from_millis(millis);
        if let Ok(taken) = tokio::time::timeout(hasty, store.take("a", 40)).await {
            for taken in taken.unwrap() {
                settle(&store, taken.claim, Settled::Returned).await;
            }
        }
    }
    let mut taken = Vec::new();
    while taken.len() < 39 {
        taken.extend(soon(store.take("a", 40)).await.unwrap());
    }
    ids.remove(&kept.claim.id);
    let found: BTreeSet<Uuid> = taken.iter().map(|taken| taken.claim.id).collect();
    assert_eq!(found, ids);
}
