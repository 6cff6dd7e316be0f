//! What is promised of messages that were given up.

use queue::Message;
use queue::Store;
use queue::store::DeadLetter;
use queue::store::Limits;
use queue::store::NotRetried;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;
use uuid::Uuid;

use super::Harness;
use super::append;
use super::gives_nothing;
use super::messages::blocking;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::messages::tried;
use super::settle;
use super::soon;
use super::take_one;

pub(crate) async fn a_dead_letter_keeps_what_is_known_and_lets_its_line_go_on(
    harness: &mut dyn Harness,
) {
    let store = harness.open(Limits::default()).await;
    let message = keyed("a", "k");
    append(&*store, message.clone()).await;
    let next = append(&*store, keyed("a", "k")).await.id;
    let before = now();
    let taken = take_one(&*store, "a").await;
    let progress = tried(&tried(&taken.progress, "FIRST"), "LAST");
    let dead = Settled::Dead {
        progress: progress.clone(),
        reason: Reason::Exhausted,
    };
    settle(&*store, taken.claim, dead).await;
    assert_eq!(take_one(&*store, "a").await.claim.id, next);
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let letter = letters(&*store, None).await.remove(0);
    assert_eq!(letter.delivery.id, message.id);
    assert_eq!(letter.delivery.status, Status::DeadLettered);
    assert_eq!(letter.delivery.attempts, 2);
    assert_eq!(letter.delivery.correlation_id, message.correlation_id);
    assert_eq!(letter.request_id, message.request_id);
    assert_eq!(letter.reason, Reason::Exhausted);
    assert_eq!(letter.first_error, progress.first_error);
    assert_eq!(letter.delivery.error, progress.last_error);
    assert!(letter.died_at >= before && !letter.blocks);
    let shown = soon(store.show(message.id)).await.unwrap().unwrap();
    assert_eq!(shown.message, Some(message));
}

pub(crate) async fn time_that_is_over_is_a_status_of_its_own(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let id = append(&*store, message("a")).await.id;
    die(&*store, "a", Reason::Expired).await;
    let delivery = soon(store.find(id)).await.unwrap().unwrap();
    assert_eq!(delivery.status, Status::Expired);
}

pub(crate) async fn a_blocking_one_holds_its_line_until_it_is_retried(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, blocking("a", "k")).await.id;
    let second = append(&*store, blocking("a", "k")).await.id;
    die(&*store, "a", Reason::Refused).await;
    append(&*store, blocking("a", "k")).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    gives_nothing(&*store, "a").await;
    assert!(letters(&*store, None).await.remove(0).blocks);
    soon(store.retry(first, false)).await.unwrap();
    assert_eq!(letters(&*store, None).await, []);
    for id in [first, second] {
        let taken = take_one(&*store, "a").await;
        assert_eq!(taken.claim.id, id);
        settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
}

pub(crate) async fn a_blocking_one_holds_its_line_until_it_is_purged(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, blocking("a", "k")).await.id;
    let second = append(&*store, keyed("a", "k")).await.id;
    die(&*store, "a", Reason::Refused).await;
    gives_nothing(&*store, "a").await;
    assert!(soon(store.purge(first)).await.unwrap());
    assert_eq!(take_one(&*store, "a").await.claim.id, second);
    assert_eq!(soon(store.find(first)).await.unwrap(), None);
    assert!(!soon(store.purge(first)).await.unwrap());
}

pub(crate) async fn a_retried_one_goes_to_the_end_with_a_new_life(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    let taken = take_one(&*store, "a").await;
    let dead = Settled::Dead {
        progress: tried(&taken.progress, "UPSTREAM_ERROR"),
        reason: Reason::Refused,
    };
    settle(&*store, taken.claim, dead).await;
    soon(store.retry(first, false)).await.unwrap();
    let again = soon(store.find(first)).await.unwrap().unwrap();
    assert_eq!((again.status, again.attempts), (Status::Queued, 0));
    let second = append(&*store, keyed("a", "k")).await.id;
    for id in [first, second] {
        let taken = take_one(&*store, "a").await;
        assert_eq!(taken.claim.id, id);
        assert_eq!(taken.progress.attempts, 0);
        settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
}

pub(crate) async fn one_whose_key_moved_on_needs_force(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    die(&*store, "a", Reason::Refused).await;
    let second = append(&*store, keyed("a", "k")).await.id;
    let waits = soon(store.retry(first, false)).await;
    assert_eq!(waits, Err(NotRetried::MovedOn));
    let taken = take_one(&*store, "a").await;
    assert_eq!(taken.claim.id, second);
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let delivered = soon(store.retry(first, false)).await;
    assert_eq!(delivered, Err(NotRetried::MovedOn));
    soon(store.retry(first, true)).await.unwrap();
    assert_eq!(take_one(&*store, "a").await.claim.id, first);
}

pub(crate) async fn what_is_no_dead_letter_is_not_retried(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let waiting = append(&*store, message("a")).await.id;
    for id in [waiting, Uuid::now_v7()] {
        let retried = soon(store.retry(id, true)).await;
        assert_eq!(retried, Err(NotRetried::Unknown));
        assert!(!soon(store.purge(id)).await.unwrap());
    }
    take_one(&*store, "a").await;
}

pub(crate) async fn dead_letters_are_paged_in_the_order_of_their_death(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let mut died = Vec::new();
    for queue in ["a", "b", "a", "a", "b"] {
        let message: Message = message(queue);
        died.push((queue, append(&*store, message).await.id));
        die(&*store, queue, Reason::Refused).await;
    }
    let of = |queue: &str| {
        let of_queue = died.iter().filter(|(of, _)| *of == queue);
        of_queue.map(|(_, id)| *id).collect::<Vec<_>>()
    };
    assert_eq!(
        pages(&*store, None).await,
        died.iter().map(|it| it.1).collect::<Vec<_>>()
    );
    assert_eq!(pages(&*store, Some("a")).await, of("a"));
    assert_eq!(pages(&*store, Some("b")).await, of("b"));
    assert!(pages(&*store, Some("c")).await.is_empty());
}

/// All of them, two at a time.
async fn pages(store: &dyn Store, queue: Option<&str>) -> Vec<Uuid> {
    let mut ids = Vec::new();
    loop {
        let page = soon(store.dead_letters(queue, ids.last().copied(), 2)).await;
        let page = page.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(|it| it.delivery.id));
    }
}

async fn letters(store: &dyn Store, queue: Option<&str>) -> Vec<DeadLetter> {
    soon(store.dead_letters(queue, None, 100)).await.unwrap()
}

async fn die(store: &dyn Store, queue: &str, reason: Reason) {
    let taken = take_one(store, queue).await;
    let progress = taken.progress;
    settle(store, taken.claim, Settled::Dead { progress, reason }).await;
}
