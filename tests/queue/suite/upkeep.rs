//! Pausing, counting, forgetting.

use std::sync::Arc;
use std::time::Duration;

use queue::Message;
use queue::Store;
use queue::store::Depth;
use queue::store::Limits;
use queue::store::Paused;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;

use super::Harness;
use super::append;
use super::gives_nothing;
use super::messages::MINUTE;
use super::messages::blocking;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::settle;
use super::soon;
use super::take_one;

pub(crate) async fn a_paused_queue_gives_nothing_until_it_goes_on(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    soon(store.set_paused("a", Some(pause()))).await.unwrap();
    gives_nothing(&*store, "a").await;
    append(&*store, message("b")).await;
    take_one(&*store, "b").await;
    let taker = Arc::clone(&store);
    let taken = tokio::spawn(async move { take_one(&*taker, "a").await });
    soon(store.set_paused("a", None)).await.unwrap();
    soon(taken).await.unwrap();
}

pub(crate) async fn a_pause_outlives_its_process(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    let pause = pause();
    soon(store.set_paused("a", Some(pause.clone())))
        .await
        .unwrap();
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    gives_nothing(&*store, "a").await;
    assert_eq!(depth(&*store, "a").await.paused, Some(pause));
    soon(store.set_paused("a", None)).await.unwrap();
    assert_eq!(depth(&*store, "a").await.paused, None);
    take_one(&*store, "a").await;
}

pub(crate) async fn depths_count_what_is_there(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let old = Message {
        accepted_at: now() - MINUTE,
        ..keyed("a", "k")
    };
    let bytes = old.encode().len() as u64;
    append(&*store, old.clone()).await;
    append(&*store, keyed("a", "k")).await;
    append(&*store, message("b")).await;
    let a = depth(&*store, "a").await;
    assert_eq!((a.waiting, a.oldest, a.dead), (2, Some(old.accepted_at), 0));
    assert!(a.bytes >= bytes, "{} bytes of {bytes}", a.bytes);
    let taken = take_one(&*store, "a").await;
    assert_eq!(depth(&*store, "a").await.waiting, 2);
    let (progress, reason) = (taken.progress, Reason::Refused);
    settle(&*store, taken.claim, Settled::Dead { progress, reason }).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let a = depth(&*store, "a").await;
    assert_eq!((a.waiting, a.dead), (1, 1));
    assert!(a.oldest.is_some_and(|it| it > old.accepted_at));
    let taken = take_one(&*store, "b").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let depths = soon(store.depths()).await.unwrap();
    let told = depths.iter().map(|it| &*it.queue).collect::<Vec<_>>();
    assert_eq!(told, ["a"], "what holds nothing is not told");
}

pub(crate) async fn what_was_kept_long_enough_is_swept(harness: &mut dyn Harness) {
    let limits = Limits {
        delivered: Duration::ZERO,
        dead: Duration::ZERO,
        ..Limits::default()
    };
    let store = harness.open(limits).await;
    let delivered = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let dead = append(&*store, blocking("a", "k")).await.id;
    let next = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    let (progress, reason) = (taken.progress, Reason::Refused);
    settle(&*store, taken.claim, Settled::Dead { progress, reason }).await;
    let waiting = append(&*store, message("b")).await.id;
    // What is as old as may be is kept still.
    while now() <= last_change(&*store, dead).await {
        tokio::task::yield_now().await;
    }
    soon(store.sweep()).await.unwrap();
    assert_eq!(soon(store.find(delivered)).await.unwrap(), None);
    assert_eq!(soon(store.find(dead)).await.unwrap(), None);
    assert!(soon(store.find(waiting)).await.unwrap().is_some());
    assert_eq!(soon(store.dead_letters(None, None, 10)).await.unwrap(), []);
    assert_eq!(take_one(&*store, "a").await.claim.id, next);
}

pub(crate) async fn what_is_kept_is_not_swept(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let delivered = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let waiting = append(&*store, message("a")).await.id;
    soon(store.sweep()).await.unwrap();
    for id in [delivered, waiting] {
        assert!(soon(store.find(id)).await.unwrap().is_some());
    }
}

pub(crate) async fn a_caller_is_erased(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let of = |caller: &str| Message {
        caller: Some(caller.into()),
        ..message("a")
    };
    let delivered = append(&*store, of("ada")).await.id;
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let dead = append(&*store, of("ada")).await.id;
    let taken = take_one(&*store, "a").await;
    let (progress, reason) = (taken.progress, Reason::Refused);
    settle(&*store, taken.claim, Settled::Dead { progress, reason }).await;
    let others = append(&*store, of("bob")).await.id;
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let waiting = append(&*store, of("ada")).await.id;

    assert_eq!(soon(store.erase("ada")).await.unwrap(), 2);
    let shown = soon(store.show(delivered)).await.unwrap().unwrap();
    assert_eq!(shown.message, None);
    assert_eq!(shown.delivery.status, Status::Delivered);
    assert_eq!(soon(store.show(dead)).await.unwrap(), None);
    let shown = soon(store.show(others)).await.unwrap().unwrap();
    assert!(shown.message.is_some());
    assert_eq!(take_one(&*store, "a").await.claim.id, waiting);
}

fn pause() -> Paused {
    Paused {
        reason: "the target refuses the credentials".into(),
        since: now(),
        by_operator: false,
    }
}

async fn depth(store: &dyn Store, queue: &str) -> Depth {
    let depths = soon(store.depths()).await.unwrap();
    let found = depths.into_iter().find(|it| it.queue == queue);
    found.expect("the queue is known")
}

async fn last_change(store: &dyn Store, dead: uuid::Uuid) -> u64 {
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    let letter = letters.iter().find(|it| it.delivery.id == dead);
    letter.map_or(0, |it| it.died_at)
}
