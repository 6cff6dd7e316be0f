//! What `append` promises.

use queue::Message;
use queue::store::Limits;
use queue::store::Refused;
use queue::store::Settled;
use queue::store::Status;

use super::Harness;
use super::append;
use super::append_all;
use super::gives_nothing;
use super::messages::MINUTE;
use super::messages::deduplicated;
use super::messages::keyed;
use super::messages::message;
use super::messages::now;
use super::settle;
use super::soon;
use super::take_all;
use super::take_one;

pub(crate) async fn what_was_appended_is_taken_as_it_was(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let before = now();
    let message = keyed("a", "k");
    let receipt = append(&*store, message.clone()).await;
    assert_eq!(receipt.id, message.id);
    assert_eq!(receipt.status, Status::Queued);
    assert_eq!(receipt.accepted_at, message.accepted_at);
    assert!(!receipt.duplicate);
    let taken = take_one(&*store, "a").await;
    assert_eq!(taken.message, message);
    assert_eq!((taken.claim.id, &*taken.claim.queue), (message.id, "a"));
    assert_eq!((taken.progress.attempts, taken.progress.lived), (0, 0));
    let active = before..=now();
    assert!(active.contains(&taken.progress.active_since));
}

pub(crate) async fn an_append_outlives_its_process(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let messages = [message("a"), keyed("a", "k"), keyed("a", "k")];
    for message in &messages {
        append(&*store, message.clone()).await;
    }
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let taken = take_one(&*store, "a").await;
        let delivered = Settled::Delivered(taken.progress.clone());
        found.push(taken.message);
        settle(&*store, taken.claim, delivered).await;
    }
    assert_eq!(found, messages);
    gives_nothing(&*store, "a").await;
}

pub(crate) async fn an_operation_is_appended_as_a_whole_where_the_store_says_so(
    harness: &mut dyn Harness,
) {
    let limits = Limits {
        message: 4_096,
        ..Limits::default()
    };
    let store = harness.open(limits).await;
    let mut large = message("a");
    large.call.body.0 = vec![b'x'; 10_000];
    let answers = append_all(&*store, vec![message("a"), large, message("a")]).await;
    assert!(matches!(answers[1], Err(Refused::TooLarge { limit: 4_096, bytes }) if bytes > 10_000));
    let others = [&answers[0], &answers[2]];
    if store.is_atomic() {
        assert!(others.iter().all(|it| **it == Err(Refused::NotAlone)));
        gives_nothing(&*store, "a").await;
    } else {
        assert!(others.iter().all(|it| it.is_ok()));
        assert_eq!(take_all(&*store, "a", 2).await.len(), 2);
    }
}

pub(crate) async fn a_full_queue_refuses_until_there_is_room(harness: &mut dyn Harness) {
    let limits = Limits {
        messages: 2,
        ..Limits::default()
    };
    let store = harness.open(limits).await;
    append(&*store, message("a")).await;
    append(&*store, message("b")).await;
    let refused = append_all(&*store, vec![message("a")]).await.remove(0);
    let wait = match refused {
        Err(Refused::Full { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    assert!(!wait.is_zero());
    let taken = take_one(&*store, "a").await;
    settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    append(&*store, message("a")).await;
}

pub(crate) async fn bytes_are_limited_too(harness: &mut dyn Harness) {
    let limits = Limits {
        bytes: 3_000,
        ..Limits::default()
    };
    let store = harness.open(limits).await;
    let mut large = message("a");
    large.call.body.0 = vec![b'x'; 2_000];
    append(&*store, large.clone()).await;
    large.id = message("a").id;
    let refused = append_all(&*store, vec![large]).await.remove(0);
    assert!(matches!(refused, Err(Refused::Full { .. })), "{refused:?}");
}

pub(crate) async fn a_message_has_a_limit(harness: &mut dyn Harness) {
    let small = message("a");
    let limit = small.encode().len();
    let limits = Limits {
        message: limit,
        ..Limits::default()
    };
    let store = harness.open(limits).await;
    append(&*store, small.clone()).await;
    let mut large = Message {
        id: message("a").id,
        ..small
    };
    large.call.body.0.push(b' ');
    let bytes = limit + 1;
    let refused = append_all(&*store, vec![large]).await.remove(0);
    assert_eq!(refused, Err(Refused::TooLarge { bytes, limit }));
}

pub(crate) async fn the_same_effect_is_accepted_once(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, deduplicated("a", "order-7", "x", MINUTE)).await;
    harness.kill(store).await;
    let store = harness.open(Limits::default()).await;
    let again = append(&*store, deduplicated("a", "order-7", "x", MINUTE)).await;
    assert_eq!((again.id, again.accepted_at), (first.id, first.accepted_at));
    assert!(again.duplicate);
    let other = append_all(&*store, vec![deduplicated("a", "order-7", "y", MINUTE)]).await;
    assert_eq!(other, [Err(Refused::Conflict)]);
    append(&*store, deduplicated("a", "order-8", "y", MINUTE)).await;
    assert_eq!(take_all(&*store, "a", 2).await.len(), 2);
    gives_nothing(&*store, "a").await;
}

pub(crate) async fn deduplication_ends_with_its_window(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let old = Message {
        accepted_at: now() - MINUTE,
        ..deduplicated("a", "order-7", "x", MINUTE / 2)
    };
    let first = append(&*store, old).await;
    let second = append(&*store, deduplicated("a", "order-7", "y", MINUTE)).await;
    assert!(!second.duplicate);
    assert_ne!(second.id, first.id);
}

pub(crate) async fn a_duplicate_knows_how_the_first_one_stands(harness: &mut dyn Harness) {
    let store = harness.open(Limits::default()).await;
    let message = || deduplicated("a", "order-7", "x", MINUTE);
    append(&*store, message()).await;
    let taken = take_one(&*store, "a").await;
    assert_eq!(append(&*store, message()).await.status, Status::Delivering);
    let progress = taken.progress;
    soon(store.settle(taken.claim, Settled::Delivered(progress)))
        .await
        .unwrap();
    assert_eq!(append(&*store, message()).await.status, Status::Delivered);
}
