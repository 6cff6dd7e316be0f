//! What `take` promises.

use std::sync::Arc;
use std::time::Duration;

use queue::Message;
use queue::Store;
use queue::store::Limits;
use queue::store::Settled;
use queue::store::Taken;

use super::Harness;
use super::append;
use super::gives_nothing;
use super::messages::MINUTE;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::messages::tried;
use super::settle;
use super::soon;
use super::take;
use super::take_all;
use super::take_one;

pub(crate) async fn a_line_gives_its_first_until_it_is_settled(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let messages = [keyed("a", "k"), keyed("a", "k"), keyed("a", "k")];
    for message in &messages {
        append(&*store, message.clone()).await;
    }
    for message in &messages {
        let taken = take_one(&*store, "a").await;
        assert_eq!(taken.message, *message);
        gives_nothing(&*store, "a").await;
        deliver(&store, taken).await;
    }
}

pub(crate) async fn no_line_waits_for_another(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    for _ in 0..50 {
        append(&*store, keyed("a", "long")).await;
    }
    let others = [keyed("a", "short"), message("a"), message("a")];
    for message in &others {
        append(&*store, message.clone()).await;
    }
    let taken = take_all(&*store, "a", 4).await;
    let ids = taken.iter().map(|it| it.claim.id).collect::<Vec<_>>();
    assert!(others.iter().all(|it| ids.contains(&it.id)));
    append(&*store, keyed("b", "long")).await;
    take_one(&*store, "b").await;
}

pub(crate) async fn a_backoff_is_not_overtaken_by_its_own_line(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    append(&*store, keyed("a", "k")).await;
    let other = append(&*store, keyed("a", "other")).await.id;
    let taken = take_all(&*store, "a", 2).await;
    let waits = taken.into_iter().find(|it| it.claim.id == first).unwrap();
    let due = now() + 400;
    let progress = tried(&waits.progress, "UPSTREAM_UNAVAILABLE");
    settle(&*store, waits.claim, Settled::Again { progress, due }).await;
    gives_nothing(&*store, "a").await;
    let again = take_one(&*store, "a").await;
    assert!(now() >= due, "not before its time");
    assert_eq!(again.claim.id, first);
    assert_ne!(again.claim.id, other);
}

pub(crate) async fn order_is_kept_through_deaths_of_the_process(harness: &mut dyn Harness) {
    let mut store = harness.open(Limits::default()).await;
    let mut expected = Vec::new();
    let mut delivered = Vec::new();
    for round in 0..4 {
        for _ in 0..3 {
            let message = keyed("a", "k");
            expected.push(message.id);
            append(&*store, message).await;
        }
        for _ in 0..2 {
            let taken = take_one(&*store, "a").await;
            delivered.push(taken.claim.id);
            deliver(&store, taken).await;
        }
        if round % 2 == 0 {
            take_one(&*store, "a").await;
        }
        harness.kill(store).await;
        store = harness.open(Limits::default()).await;
    }
    while delivered.len() < expected.len() {
        let taken = take_one(&*store, "a").await;
        delivered.push(taken.claim.id);
        deliver(&store, taken).await;
    }
    assert_eq!(delivered, expected);
}

pub(crate) async fn what_is_not_due_holds_back_its_line_alone(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    // The queue is worked on already: owning it may take as long as the wait.
    append(&*store, message("a")).await;
    let first = take_one(&*store, "a").await;
    deliver(&store, first).await;
    let late = Message {
        not_before: Some(now() + 300),
        ..keyed("a", "k")
    };
    append(&*store, late.clone()).await;
    append(&*store, keyed("a", "k")).await;
    let free = append(&*store, message("a")).await.id;
    assert_eq!(take_one(&*store, "a").await.claim.id, free);
    let taken = take_one(&*store, "a").await;
    assert!(now() >= late.not_before.unwrap());
    assert_eq!(taken.message, late);
    // Its own time has not begun before.
    assert!(taken.progress.active_since >= late.not_before.unwrap());
}

pub(crate) async fn the_oldest_are_given_first_and_no_more_than_asked_for(
    harness: &mut dyn Harness,
) {
    let store = harness.open(Limits::default()).await;
    let mut ids = Vec::new();
    for age in (0..5).rev() {
        let message = Message {
            accepted_at: now() - MINUTE * age,
            ..message("a")
        };
        ids.push(append(&*store, message).await.id);
    }
    let mut taken = take(&*store, "a", 2).await;
    assert!(!taken.is_empty() && taken.len() <= 2);
    while taken.len() < 5 {
        let more = take(&*store, "a", 2).await;
        assert!(!more.is_empty() && more.len() <= 2);
        taken.extend(more);
    }
    let order = taken.iter().map(|it| it.claim.id).collect::<Vec<_>>();
    assert_eq!(order, ids);
}

pub(crate) async fn taking_waits_for_what_is_appended(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let taker = Arc::clone(&store);
    let taken = tokio::spawn(async move { take_one(&*taker, "a").await });
    append(&*store, message("b")).await;
    let id = append(&*store, message("a")).await.id;
    assert_eq!(soon(taken).await.unwrap().claim.id, id);
}

pub(crate) async fn a_dropped_taker_takes_nothing(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, message("a")).await.id;
    for micros in [0, 1, 10, 50, 100, 200, 500] {
        let hasty = Duration::from_micros(micros);
        if let Ok(taken) = tokio::time::timeout(hasty, store.take("a", 1)).await {
            let claim = taken.unwrap().remove(0).claim;
            settle(&*store, claim, Settled::Returned).await;
        }
    }
    assert_eq!(take_one(&*store, "a").await.claim.id, id);
}

async fn deliver(store: &Arc<dyn Store>, taken: Taken) {
    settle(&**store, taken.claim, Settled::Delivered(taken.progress)).await;
}
