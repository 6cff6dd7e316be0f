//! Pauses, stores that are away, claims that are lost, panics, and the end.

use super::*;
use crate::store::Paused;

#[tokio::test(start_paused = true)]
async fn a_paused_queue_delivers_nothing_and_finishes_what_is_under_way() {
    let bench = Bench::new(|_, _| (1_000, Outcome::Delivered));
    bench.append((1..=100).map(message)).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    pass(Duration::from_millis(100)).await;
    bench
        .deliveries
        .pause("email", "maintenance")
        .await
        .unwrap();
    pass(seconds(600)).await;
    assert_eq!(bench.seen().len(), 16);
    assert_eq!(bench.told().paused.unwrap().reason, "maintenance");
    assert_eq!(bench.store.depths().await.unwrap()[0].waiting, 84);
    bench.deliveries.resume("email").await.unwrap();
    bench.all_end(1..=100).await;
    assert_eq!(bench.seen().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process_and_is_seen_by_others_within_seconds() {
    let clock = Clock::default();
    let store = Arc::new(PlainStore::new(clock, Limits::default()));
    let paused = Paused {
        reason: "maintenance".into(),
        since: clock.now(),
        by_operator: true,
    };
    store.set_paused("email", Some(paused)).await.unwrap();
    append(&store, [message(1)]).await;
    let settings = QueueSettings::default();
    let bench = Bench::over(store, clock, settings, |_, _| (1, Outcome::Delivered));
    pass(seconds(60)).await;
    assert!(bench.seen().is_empty());
    assert!(bench.told().paused.is_some());
    // Through another process.
    bench.store.set_paused("email", None).await.unwrap();
    let before = bench.now();
    bench.end(1).await;
    assert!(bench.now() - before <= 5_000);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_first_is_waited_for() {
    let clock = Clock::default();
    let store = Arc::new(PlainStore::new(clock, Limits::default()));
    append(&store, [message(1)]).await;
    store.away(true);
    let settings = QueueSettings::default();
    let bench = Bench::over(store, clock, settings, |_, _| (1, Outcome::Delivered));
    pass(seconds(60)).await;
    assert!(bench.seen().is_empty());
    bench.store.away(false);
    assert_eq!(bench.end(1).await.status, Status::Delivered);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_settled_is_settled_when_the_store_is_back() {
    let bench = Bench::new(|_, _| (1_000, Outcome::Delivered));
    bench.append([message(1)]).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    bench.store.away(true);
    pass(seconds(20)).await;
    bench.store.away(false);
    assert_eq!(bench.end(1).await.status, Status::Delivered);
    assert_eq!(bench.seen().len(), 1);
    assert_eq!(bench.told().numbers.lost.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_takes_long_keeps_its_claim() {
    let bench = Bench::new(|_, _| (600_000, Outcome::Delivered));
    bench.append([message(1)]).await;
    assert_eq!(bench.end(1).await.status, Status::Delivered);
    assert_eq!(bench.seen().len(), 1);
    assert_eq!(bench.told().numbers.lost.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_before_its_attempt_keeps_its_claim_too() {
    let one = QueueSettings {
        concurrency: 1,
        prefetch: Some(3),
        ..QueueSettings::default()
    };
    let bench = Bench::with(one, |_, _| (100_000, Outcome::Delivered));
    bench.append((1..=3).map(message)).await;
    bench.all_end(1..=3).await;
    assert_eq!(bench.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_settles_nothing_and_is_counted_and_not_attempted_twice_at_once() {
    let bench = Bench::new(|_, _| (15_000, Outcome::Delivered));
    bench.append([message(1)]).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    bench.store.forget_claims();
    assert_eq!(bench.end(1).await.status, Status::Delivered);
    let seen = bench.seen();
    assert_eq!((seen.len(), at_once(&seen)), (2, 1));
    assert_eq!(bench.told().numbers.lost.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_outcome_and_ends_nobody() {
    let bench = Bench::new(|_, number| match number {
        1 | 2 => panic!("out of cheese"),
        _ => (1, Outcome::Delivered),
    });
    bench.append([message(1)]).await;
    let retrying = bench.when(1, |it| it.status == Status::Retrying).await;
    assert_eq!(retrying.error.unwrap().code, "INTERNAL_ERROR");
    let end = bench.end(1).await;
    assert_eq!((end.status, end.attempts), (Status::Delivered, 3));
    assert_eq!(bench.told().numbers.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_under_way_is_finished_and_the_rest_given_back() {
    let bench = Bench::new(|_, _| (3_000, Outcome::Delivered));
    bench.append((1..=100).map(message)).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    pass(seconds(1)).await;
    let before = bench.now();
    bench.deliveries.stop(Instant::now() + seconds(20)).await;
    assert!(bench.now() - before < 3_000);
    assert_eq!(bench.seen().len(), 16);
    assert_eq!(bench.store.depths().await.unwrap()[0].waiting, 84);
    let free = bench
        .store
        .find(Uuid::from_u128(17))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(free.status, Status::Queued);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_in_time_is_given_back_untried() {
    let bench = Bench::new(|_, _| (600_000, Outcome::Delivered));
    bench.append((1..=3).map(message)).await;
    bench.when(3, |it| it.status == Status::Delivering).await;
    pass(seconds(1)).await;
    let before = bench.now();
    let told = bench.told();
    bench.deliveries.stop(Instant::now() + seconds(20)).await;
    assert!((20_000..=20_001).contains(&(bench.now() - before)));
    for id in 1..=3 {
        let found = bench
            .store
            .find(Uuid::from_u128(id))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.status, found.attempts), (Status::Queued, 0));
    }
    assert_eq!(told.numbers.outcomes(), [0, 0, 0, 0, 0, 3]);
    assert_eq!(told.numbers.returned.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_the_end_holds_nobody_up_for_long() {
    let bench = Bench::new(|_, _| (1_000, Outcome::Delivered));
    bench.append([message(1)]).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    bench.store.away(true);
    let before = bench.now();
    bench.deliveries.stop(Instant::now() + seconds(5)).await;
    assert!(bench.now() - before <= 7_001);
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_long_enough_is_swept_away() {
    let bench = Bench::new(|_, _| (1, Outcome::Delivered));
    bench.append([message(1)]).await;
    bench.end(1).await;
    pass(Limits::default().delivered + seconds(61)).await;
    assert_eq!(bench.store.find(Uuid::from_u128(1)).await, Ok(None));
}
