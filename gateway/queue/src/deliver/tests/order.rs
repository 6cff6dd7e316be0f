//! Order within a key, and nothing between keys.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

#[tokio::test(start_paused = true)]
async fn messages_of_one_key_are_delivered_in_order_and_one_at_a_time() {
    let bench = Bench::new(|_, _| (100, Outcome::Delivered));
    bench.append((1..=5).map(|id| of(id, "a"))).await;
    bench.all_end(1..=5).await;
    let seen = bench.seen();
    let ids: Vec<u128> = seen.iter().map(|it| it.id).collect();
    assert_eq!((ids, at_once(&seen)), (vec![1, 2, 3, 4, 5], 1));
}

#[tokio::test(start_paused = true)]
async fn keys_are_delivered_side_by_side_up_to_the_concurrency() {
    let bench = Bench::new(|_, _| (100, Outcome::Delivered));
    bench
        .append((1..=100).map(|id| of(id, &id.to_string())))
        .await;
    bench.all_end(1..=100).await;
    assert_eq!(at_once(&bench.seen()), 16);
    assert!(bench.now() < 1_000, "{}", bench.now());
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_is_the_queues_own_and_a_reload_changes_it() {
    let of_two = QueueSettings {
        concurrency: 2,
        ..QueueSettings::default()
    };
    let bench = Bench::with(of_two, |_, _| (100, Outcome::Delivered));
    bench.append((1..=20).map(message)).await;
    bench.all_end(1..=20).await;
    assert_eq!(at_once(&bench.seen()), 2);
    bench.deliveries.configure(Settings::default());
    bench.append((21..=60).map(message)).await;
    bench.all_end(21..=60).await;
    assert_eq!(at_once(&bench.seen()), 16);
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_begin_in_a_second_than_the_queue_allows() {
    let slow = QueueSettings {
        per_second: NonZeroU32::new(10),
        ..QueueSettings::default()
    };
    let bench = Bench::with(slow, |_, _| (1, Outcome::Delivered));
    bench.append((1..=50).map(message)).await;
    bench.all_end(1..=50).await;
    let begins: Vec<u64> = bench.seen().iter().map(|it| it.began).collect();
    for window in begins.windows(11) {
        assert!(window[10] - window[0] >= 990, "{window:?}");
    }
    assert!((4_800..5_500).contains(&bench.now()), "{}", bench.now());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_held_than_the_prefetch() {
    let few = QueueSettings {
        concurrency: 2,
        prefetch: Some(3),
        ..QueueSettings::default()
    };
    let bench = Bench::with(few, |_, _| (60_000, Outcome::Delivered));
    bench.append((1..=10).map(message)).await;
    bench.when(1, |it| it.status == Status::Delivering).await;
    pass(seconds(1)).await;
    let mut held = 0;
    for id in 1..=10 {
        let found = bench.store.find(Uuid::from_u128(id)).await.unwrap();
        held += usize::from(found.unwrap().status == Status::Delivering);
    }
    assert_eq!(held, 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_waits_is_not_overtaken_and_stalls_no_other() {
    let bench = Bench::new(|message, _| match message.id.as_u128() {
        1 => (1, again()),
        _ => (1, Outcome::Delivered),
    });
    bench
        .append([of(1, "a"), of(2, "a"), of(3, "b"), message(4)])
        .await;
    assert_eq!(bench.all_end([3, 4]).await, [Status::Delivered; 2]);
    assert!(bench.now() < 1_000);
    pass(seconds(3600)).await;
    assert!(bench.begins(2).is_empty());
    assert!(bench.begins(1).len() > 10);
    bench.answers(|_, _| (1, Outcome::Delivered));
    bench.all_end([1, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_dead_letter_waits_for_a_decision_only_where_it_blocks() {
    let bench = Bench::new(|message, _| match message.id.as_u128() {
        1 | 3 => (1, refused()),
        _ => (1, Outcome::Delivered),
    });
    let blocking = Message {
        blocks: true,
        ..of(3, "b")
    };
    bench
        .append([of(1, "a"), of(2, "a"), blocking, of(4, "b")])
        .await;
    assert_eq!(
        bench.all_end([1, 2]).await,
        [Status::DeadLettered, Status::Delivered]
    );
    pass(seconds(3600)).await;
    assert!(bench.begins(4).is_empty());
    bench.answers(|_, _| (1, Outcome::Delivered));
    bench.store.retry(Uuid::from_u128(3), false).await.unwrap();
    assert_eq!(bench.all_end([3, 4]).await, [Status::Delivered; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_nobody_names_any_more_is_delivered_still() {
    let bench = Bench::new(|_, _| (1, Outcome::Delivered));
    let left = Message {
        queue: "of-last-year".into(),
        ..message(1)
    };
    bench.append([left]).await;
    assert_eq!(bench.end(1).await.status, Status::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_a_reload_adds_is_worked_on() {
    let bench = Bench::new(|_, _| (1, Outcome::Delivered));
    pass(seconds(1)).await;
    let named = |queue: &str| (queue.to_owned(), QueueSettings::default());
    let settings = Settings([named("email"), named("sms")].into());
    bench.deliveries.configure(settings);
    pass(Duration::from_millis(1)).await;
    let queues: Vec<String> = bench
        .deliveries
        .told()
        .into_iter()
        .map(|it| it.queue)
        .collect();
    assert_eq!(queues, ["email", "sms"]);
}

/// What a target does with the nth attempt at a message, by a number between 0 and 99.
fn random(dice: u8) -> Outcome {
    match dice {
        0..50 => Outcome::Delivered,
        50..65 => again(),
        65..75 => down(),
        75..80 => refused(),
        80..85 => denied(),
        85..95 => Outcome::NotSent {
            failure: failure("CIRCUIT_OPEN"),
            after: None,
        },
        // A panic without the noise of one.
        _ => std::panic::resume_unwind(Box::new("the target panics")),
    }
}

/// The outcomes of each message's first attempts; then it is delivered.
fn scripts() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let script = (0_u8..6, prop::collection::vec(0_u8..100, 0..6));
    prop::collection::vec(script, 1..40)
}

/// Keys 0 to 4 are shared; with 5 a message has none.
fn scripted(id: usize, key: u8) -> Message {
    Message {
        key: (key < 5).then(|| key.to_string()),
        ..message(id as u128 + 1)
    }
}

async fn keeps_order(scripts: Vec<(u8, Vec<u8>)>) {
    let messages: Vec<Message> = scripts
        .iter()
        .enumerate()
        .map(|(id, (key, _))| scripted(id, *key))
        .collect();
    let attempts = Mutex::new(HashMap::<u128, usize>::new());
    let bench = Bench::new(move |message, _| {
        let id = message.id.as_u128();
        let nth = {
            let mut attempts = attempts.lock().unwrap();
            let nth = attempts.entry(id).or_default();
            *nth += 1;
            *nth - 1
        };
        let dice = scripts[id as usize - 1].1.get(nth).copied().unwrap_or(0);
        (u64::from(dice), random(dice))
    });
    let count = messages.len() as u128;
    bench.append(messages).await;
    for status in bench.all_end(1..=count).await {
        assert!(matches!(status, Status::Delivered | Status::DeadLettered));
    }
    for (key, seen) in by_key(&bench.seen()) {
        for pair in seen.windows(2) {
            assert!(pair[0].id <= pair[1].id, "{key}: {seen:?}");
            let ended = pair[0].ended.unwrap_or(pair[0].began);
            assert!(ended <= pair[1].began, "{key}: {seen:?}");
        }
    }
    bench.deliveries.stop(Instant::now() + seconds(1)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever targets do: every message is delivered or given up, in the order of its key, one attempt at a time.
    #[test]
    fn every_message_ends_and_its_key_keeps_its_order(scripts in scripts()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(keeps_order(scripts));
    }
}
