//! What `settle`, `renew` and `close` promise.

use queue::store::Claim;
use queue::store::Limits;
use queue::store::NotSettled;
use queue::store::Refused;
use queue::store::Settled;
use queue::store::Status;

use super::Harness;
use super::append;
use super::append_all;
use super::gives_nothing;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::messages::tried;
use super::settle;
use super::soon;
use super::take_one;

pub(crate) async fn delivered_is_final(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    let before = now();
    let progress = tried(&taken.progress, "UPSTREAM_TIMEOUT");
    settle(&*store, taken.claim, Settled::Delivered(progress)).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    gives_nothing(&*store, "a").await;
    let delivery = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(delivery.status, Status::Delivered);
    assert_eq!(delivery.attempts, 1);
    assert!(delivery.delivered_at.is_some_and(|at| at >= before));
    assert_eq!(delivery.next_attempt_at, None);
}

pub(crate) async fn another_attempt_keeps_what_came_of_it(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    let mut progress = tried(&taken.progress, "UPSTREAM_TIMEOUT");
    progress.lived = 1_234;
    progress.denied = 2;
    let (settled, due) = (progress.clone(), now() + 300);
    let again = Settled::Again {
        progress: settled,
        due,
    };
    settle(&*store, taken.claim, again).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let delivery = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(delivery.status, Status::Retrying);
    assert_eq!(delivery.next_attempt_at, Some(due));
    assert_eq!(delivery.error, progress.last_error);
    let taken = take_one(&*store, "a").await;
    assert!(now() >= due);
    assert_eq!(taken.progress, progress);
    let delivery = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(delivery.status, Status::Delivering);
}

pub(crate) async fn what_was_taken_and_not_settled_is_taken_again(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let message = keyed("a", "k");
    append(&*store, message.clone()).await;
    append(&*store, keyed("a", "k")).await;
    take_one(&*store, "a").await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let taken = take_one(&*store, "a").await;
    assert_eq!(taken.message, message);
    assert_eq!(taken.progress.attempts, 0);
    gives_nothing(&*store, "a").await;
}

pub(crate) async fn a_claim_settles_once_and_no_other_message(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    let other = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    let foreign = Claim {
        id: other,
        ..taken.claim.clone()
    };
    let delivered = || Settled::Delivered(taken.progress.clone());
    let lost = soon(store.settle(foreign, delivered())).await;
    assert_eq!(lost, Err(NotSettled::Lost));
    settle(&*store, taken.claim.clone(), delivered()).await;
    let lost = soon(store.settle(taken.claim.clone(), delivered())).await;
    assert_eq!(lost, Err(NotSettled::Lost));
    assert_eq!(take_one(&*store, "a").await.claim.id, other);
}

pub(crate) async fn a_claim_does_not_outlive_its_process(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let lost = soon(store.settle(taken.claim, Settled::Delivered(taken.progress))).await;
    assert_eq!(lost, Err(NotSettled::Lost));
    assert_eq!(take_one(&*store, "a").await.claim.id, id);
}

pub(crate) async fn what_is_returned_is_there_at_once(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    append(&*store, keyed("a", "k")).await;
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Returned).await;
    let again = take_one(&*store, "a").await;
    assert_eq!(again.claim.id, first);
    assert_eq!(again.progress.attempts, 0);
}

pub(crate) async fn lost_claims_are_told(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    append(&*store, message("a")).await;
    let (kept, used) = (take_one(&*store, "a").await, take_one(&*store, "a").await);
    settle(
        &*store,
        used.claim.clone(),
        Settled::Delivered(used.progress),
    )
    .await;
    let claims = [kept.claim, used.claim.clone()];
    assert_eq!(soon(store.renew(&claims)).await, [used.claim]);
}

pub(crate) async fn closing_gives_back(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, message("a")).await.id;
    take_one(&*store, "a").await;
    soon(store.close()).await;
    let refused = append_all(&*store, vec![message("a")]).await.remove(0);
    assert!(matches!(refused, Err(Refused::Unavailable { .. })));
    assert!(soon(store.take("a", 1)).await.is_err());
    drop(store);
    let store = harness.open(Limits::default()).await;
    assert_eq!(take_one(&*store, "a").await.claim.id, id);
    gives_nothing(&*store, "a").await;
}
