//! What `find`, `changed` and `show` promise.

use std::sync::Arc;

use queue::store::Limits;
use queue::store::NotRetried;
use queue::store::Settled;
use queue::store::Status;
use uuid::Uuid;

use super::Harness;
use super::append;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::messages::tried;
use super::settle;
use super::soon;
use super::take_one;

pub(crate) async fn each_step_is_news(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let message = message("a");
    let id = append(&*store, message.clone()).await.id;
    let queued = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(queued.status, Status::Queued);
    assert_eq!((queued.id, &*queued.queue), (id, "a"));
    assert_eq!(queued.field, message.field);
    assert_eq!(queued.caller, message.caller);
    assert_eq!(queued.correlation_id, message.correlation_id);
    assert_eq!(queued.accepted_at, message.accepted_at);

    let news = |since: u64| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { soon(store.changed(id, since)).await.unwrap().unwrap() })
    };
    let next = news(queued.version);
    let taken = take_one(&*store, "a").await;
    let delivering = next.await.unwrap();
    assert_eq!(delivering.status, Status::Delivering);

    let next = news(delivering.version);
    let (progress, due) = (tried(&taken.progress, "UPSTREAM_TIMEOUT"), now());
    settle(&*store, taken.claim, Settled::Again { progress, due }).await;
    let retrying = next.await.unwrap();
    assert_eq!((retrying.status, retrying.attempts), (Status::Retrying, 1));

    let taken = take_one(&*store, "a").await;
    let next = news(soon(store.find(id)).await.unwrap().unwrap().version);
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    let delivered = next.await.unwrap();
    assert_eq!(delivered.status, Status::Delivered);

    let versions = [&queued, &delivering, &retrying, &delivered].map(|it| it.version);
    assert!(
        versions.is_sorted_by(|one, next| one < next),
        "{versions:?}"
    );
    let late = soon(store.changed(id, queued.version)).await.unwrap();
    assert_eq!(late, Some(delivered));
}

pub(crate) async fn what_is_unknown_is_nothing(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    let id = Uuid::now_v7();
    assert_eq!(soon(store.find(id)).await.unwrap(), None);
    assert_eq!(soon(store.changed(id, 0)).await.unwrap(), None);
    assert_eq!(soon(store.show(id)).await.unwrap(), None);
    assert!(!soon(store.purge(id)).await.unwrap());
    assert_eq!(soon(store.retry(id, true)).await, Err(NotRetried::Unknown));
}

pub(crate) async fn everything_stored_is_shown(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let message = keyed("a", "k");
    append(&*store, message.clone()).await;
    let taken = take_one(&*store, "a").await;
    let progress = tried(&taken.progress, "UPSTREAM_TIMEOUT");
    let again = Settled::Again {
        progress: progress.clone(),
        due: now(),
    };
    settle(&*store, taken.claim, again).await;
    let shown = soon(store.show(message.id)).await.unwrap().unwrap();
    assert_eq!(shown.message, Some(message));
    assert_eq!(shown.progress, progress);
    assert_eq!(shown.delivery.status, Status::Retrying);
}
