//! A disk that fails, and one that is full.

use std::sync::Arc;

use queue::Store;
use queue::store::Limits;
use queue::store::NotSettled;
use queue::store::Refused;
use queue::store::Settled;

use super::in_memory;
use super::medium::Failing;
use crate::queue::suite::Harness;
use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_what_was_refused_never_appears() {
    nothing_is_acknowledged_after(Failing::Sync).await;
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged_and_what_was_refused_never_appears() {
    nothing_is_acknowledged_after(Failing::Writes).await;
}

async fn nothing_is_acknowledged_after(failing: Failing) {
    let mut harness = in_memory(None);
    let store = harness.open(Limits::default()).await;
    let kept = append(&*store, message("a")).await.id;
    let taken = take_one(&*store, "a").await;
    harness.medium.fail(failing);
    assert_unavailable(&*store).await;
    // The disk seems to be well again, but what it holds is uncertain.
    harness.medium.fail(Failing::Nothing);
    assert_unavailable(&*store).await;
    let settled = soon(store.settle(taken.claim, Settled::Returned)).await;
    assert!(matches!(settled, Err(NotSettled::Unavailable(_))));
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    assert_eq!(take_one(&*store, "a").await.claim.id, kept);
    gives_nothing(&*store, "a").await;
}

#[tokio::test]
async fn a_sync_that_fails_anywhere_in_a_commit_leaves_nothing_of_it() {
    for syncs in 0..6 {
        let mut harness = in_memory(None);
        let store = harness.open(Limits::default()).await;
        append(&*store, message("a")).await;
        harness.medium.fail(Failing::SyncAfter(syncs));
        let mut accepted = 1;
        loop {
            match append_all(&*store, vec![message("a")]).await.remove(0) {
                Ok(_) => accepted += 1,
                Err(Refused::Unavailable { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        harness.kill(store).await;
        let store = harness.open(Limits::default()).await;
        let depths = soon(store.depths()).await.unwrap();
        assert_eq!(depths[0].waiting, accepted, "after {syncs} syncs");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room_and_forgets_nothing() {
    let mut harness = in_memory(None);
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    let second = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    harness.medium.fail(Failing::Full);
    assert_unavailable(&*store).await;
    assert_unavailable(&*store).await;
    harness.medium.fail(Failing::Nothing);
    let third = accepted_in_the_end(&store).await;
    // Who had a message in hand has it still.
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    for id in [second, third] {
        let taken = take_one(&*store, "a").await;
        assert_ne!(taken.claim.id, first);
        assert_eq!(taken.claim.id, id);
        settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    gives_nothing(&*store, "a").await;
}

async fn assert_unavailable(store: &dyn Store) {
    let refused = append_all(store, vec![message("a")]).await.remove(0);
    match refused {
        Err(Refused::Unavailable { retry_after, .. }) => assert!(!retry_after.is_zero()),
        other => panic!("{other:?}"),
    }
}

async fn accepted_in_the_end(store: &Arc<dyn Store>) -> uuid::Uuid {
    soon(async {
        loop {
            let message = keyed("a", "k");
            match store.append(vec![message]).await.remove(0) {
                Ok(receipt) => return receipt.id,
                Err(Refused::Unavailable { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await
}
