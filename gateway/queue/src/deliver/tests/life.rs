//! When a message is tried again, and for how long.

use super::*;
use crate::message::Retry;

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_followed_by_another_with_backoff_and_both_are_numbered() {
    let bench = Bench::new(|_, number| match number {
        4 => (1, Outcome::Delivered),
        _ => (1, again()),
    });
    bench.append([message(1)]).await;
    let end = bench.end(1).await;
    assert_eq!((end.status, end.attempts), (Status::Delivered, 4));
    let numbers: Vec<u32> = bench.seen().iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(bench.now() < 8_000);
    let told = bench.told().numbers;
    assert_eq!(told.outcomes(), [1, 3, 0, 0, 0, 0]);
    assert_eq!((told.retries.get(), told.in_flight.get()), (3, 0));
    assert_eq!(told.durations().iter().sum::<u64>(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_when_to_come_back_is_believed() {
    let bench = Bench::new(|_, number| match number {
        1 => (
            1,
            Outcome::Again {
                failure: failure("RATE_LIMITED"),
                after: Some(seconds(120)),
                down: false,
            },
        ),
        _ => (1, Outcome::Delivered),
    });
    bench.append([message(1)]).await;
    bench.when(1, |it| it.status == Status::Retrying).await;
    bench.end(1).await;
    let begins = bench.begins(1);
    assert!(begins[1] - begins[0] >= 120_000, "{begins:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_is_not_attempted_before_its_time_and_its_key_waits_with_it() {
    let bench = Bench::new(|_, _| (1, Outcome::Delivered));
    let delayed = Message {
        not_before: Some(bench.clock.now() + 600_000),
        ttl: 1_000,
        ..of(1, "a")
    };
    bench.append([delayed, of(2, "a")]).await;
    assert_eq!(bench.all_end([1, 2]).await, [Status::Delivered; 2]);
    assert!(bench.begins(1)[0] >= 600_000);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_used_up_and_the_dead_letter_keeps_its_first_and_last_error() {
    let bench = Bench::new(|_, number| {
        let code = format!("E{number}");
        let outcome = Outcome::Again {
            failure: failure(&code),
            after: None,
            down: false,
        };
        (1, outcome)
    });
    let thrice = Message {
        retry: Retry {
            attempts: Some(3),
            ..Retry::default()
        },
        ..message(1)
    };
    bench.append([thrice]).await;
    assert_eq!(bench.end(1).await.status, Status::DeadLettered);
    let dead = bench.store.dead_letters(None, None, 10).await.unwrap();
    assert_eq!(dead[0].reason.as_str(), "EXHAUSTED");
    assert_eq!(dead[0].first_error.as_ref().unwrap().code, "E1");
    assert_eq!(dead[0].delivery.error.as_ref().unwrap().code, "E3");
    assert_eq!(bench.told().numbers.dead(), [0, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_given_up_at_once() {
    let bench = Bench::new(|_, _| (1, refused()));
    bench.append([message(1)]).await;
    assert_eq!(bench.end(1).await.status, Status::DeadLettered);
    assert_eq!(bench.begins(1).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_time_is_over_expires_without_another_attempt() {
    let bench = Bench::new(|_, _| (1, again()));
    let short = Message {
        ttl: 60_000,
        ..message(1)
    };
    bench.append([short]).await;
    assert_eq!(bench.end(1).await.status, Status::Expired);
    assert!(bench.begins(1).iter().all(|at| *at < 60_000));
    assert!(bench.now() >= 60_000);
}

#[tokio::test(start_paused = true)]
async fn its_clock_stands_still_behind_its_key() {
    let bench = Bench::new(|message, number| match (message.id.as_u128(), number) {
        (1, 1..20) => (1, again()),
        _ => (1, Outcome::Delivered),
    });
    let short = Message {
        ttl: 1_000,
        ..of(2, "a")
    };
    bench.append([of(1, "a"), short]).await;
    assert_eq!(bench.all_end([1, 2]).await, [Status::Delivered; 2]);
    assert!(bench.now() > 60_000);
}

#[tokio::test(start_paused = true)]
async fn its_clock_stands_still_while_its_queue_is_paused() {
    let bench = Bench::new(|_, _| (1, Outcome::Delivered));
    pass(seconds(1)).await;
    bench
        .deliveries
        .pause("email", "maintenance")
        .await
        .unwrap();
    let short = Message {
        ttl: 1_000,
        ..message(1)
    };
    bench.append([short]).await;
    pass(seconds(7200)).await;
    bench.deliveries.resume("email").await.unwrap();
    assert_eq!(bench.end(1).await.status, Status::Delivered);
}

/// Where messages are put back until the target is tried, and where none is taken.
#[tokio::test(start_paused = true)]
async fn its_clock_stands_still_while_its_target_is_left_in_peace() {
    let named = QueueSettings {
        sources: ["reviews".to_owned()].into(),
        ..QueueSettings::default()
    };
    for settings in [QueueSettings::default(), named] {
        let bench = Bench::with(settings, |_, _| (1, down()));
        bench.append((1..=5).map(message)).await;
        bench.when(5, |it| it.status == Status::Retrying).await;
        pass(seconds(1)).await;
        assert_eq!(bench.told().lanes[0].state, LaneState::Down);
        let short = |id| Message {
            ttl: 10_000,
            ..message(id)
        };
        bench.append((6..=9).map(short)).await;
        pass(seconds(1200)).await;
        bench.answers(|_, _| (1, Outcome::Delivered));
        assert_eq!(bench.all_end(1..=9).await, [Status::Delivered; 9]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_sent_burns_no_attempt_and_says_nothing_of_the_target() {
    let held_back = || Outcome::NotSent {
        failure: failure("CIRCUIT_OPEN"),
        after: None,
    };
    let bench = Bench::new(move |_, _| (1, held_back()));
    let once = |id| Message {
        retry: Retry {
            attempts: Some(1),
            ..Retry::default()
        },
        ..message(id)
    };
    bench.append((1..=30).map(once)).await;
    pass(seconds(60)).await;
    let begins = bench.begins(1);
    assert!((35..125).contains(&begins.len()), "{}", begins.len());
    assert_eq!(bench.told().lanes[0].state, LaneState::Flows);
    bench.answers(|_, _| (1, Outcome::Delivered));
    let end = bench.end(1).await;
    assert_eq!((end.status, end.attempts), (Status::Delivered, 1));
}
