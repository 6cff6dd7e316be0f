//! Targets that are down, that deny, and messages that make it look so.

use super::*;

/// The only source of the test messages.
fn named() -> QueueSettings {
    QueueSettings {
        sources: ["reviews".to_owned()].into(),
        ..QueueSettings::default()
    }
}

fn to(id: u128, source: &str) -> Message {
    Message {
        source: source.into(),
        ..message(id)
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_down_is_left_in_peace_and_burns_no_attempts() {
    for settings in [named(), QueueSettings::default()] {
        let bench = Bench::with(settings, |_, _| (1, down()));
        bench.append((1..=100).map(message)).await;
        pass(seconds(900)).await;
        // Those that were under way when it closed, and a probe after 5 s, then 10, and so on up to 60.
        let attempts = bench.seen().len();
        assert!((25..40).contains(&attempts), "{attempts}");
        assert_eq!(bench.told().numbers.openings.get(), attempts as u64 - 15);
        bench.answers(|_, _| (1, Outcome::Delivered));
        let most = bench.now() + 130_000;
        bench.all_end(1..=100).await;
        assert!(bench.now() < most);
        for id in 1..=100 {
            assert!(bench.end(id).await.attempts <= 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_sources_of_the_queue_go_on_meanwhile() {
    let bench = Bench::new(|message, _| match &*message.source {
        "broken" => (1, down()),
        _ => (1, Outcome::Delivered),
    });
    bench.append((1..=300).map(|id| to(id, "broken"))).await;
    bench.append((301..=310).map(|id| to(id, "fine"))).await;
    bench.all_end(301..=310).await;
    assert!(bench.now() < 5_000, "{}", bench.now());
    bench.append([to(311, "fine")]).await;
    let before = bench.now();
    bench.end(311).await;
    assert!(bench.now() - before < 10_000);
}

#[tokio::test(start_paused = true)]
async fn one_message_that_breaks_its_target_holds_up_nobody() {
    let bench = Bench::new(|message, _| match message.id.as_u128() {
        1 => (1, down()),
        _ => (1, Outcome::Delivered),
    });
    bench.append((1..=200).map(message)).await;
    bench.all_end(2..=200).await;
    assert!(bench.now() < 1_000);
    pass(seconds(600)).await;
    assert_eq!(bench.told().numbers.openings.get(), 0);
    assert!(bench.begins(1).len() > 5);
}

#[tokio::test(start_paused = true)]
async fn one_message_that_breaks_its_target_cannot_keep_it_closed() {
    let bench = Bench::with(named(), |_, _| (1, down()));
    bench.append((1..=20).map(message)).await;
    pass(seconds(30)).await;
    assert_eq!(bench.told().lanes[0].state, LaneState::Down);
    bench.answers(|message, _| match message.id.as_u128() {
        1 => (1, down()),
        _ => (1, Outcome::Delivered),
    });
    bench.all_end(2..=20).await;
    assert!(bench.now() < 200_000, "{}", bench.now());
}

#[tokio::test(start_paused = true)]
async fn a_denial_pauses_the_queue_until_a_probe_is_accepted() {
    for settings in [named(), QueueSettings::default()] {
        let bench = Bench::with(settings, |_, _| (1, denied()));
        bench.append((1..=50).map(message)).await;
        pass(seconds(3600)).await;
        // 16 at once, then one after 30, 60, 120, 240 and each further 300 s.
        let attempts = bench.seen().len();
        assert!((24..40).contains(&attempts), "{attempts}");
        let told = bench.told();
        assert_eq!(told.lanes[0].state, LaneState::Denied);
        assert!(told.numbers.denials.get() > 5);
        let dead = bench.store.dead_letters(None, None, 1).await.unwrap();
        assert!(dead.is_empty());
        bench.answers(|_, _| (1, Outcome::Delivered));
        for id in 1..=50 {
            let end = bench.end(id).await;
            assert_eq!((end.status, end.attempts), (Status::Delivered, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_made_with_another_message_than_the_denied_one() {
    let one = QueueSettings {
        concurrency: 1,
        ..named()
    };
    let bench = Bench::with(one, |_, _| (1, denied()));
    bench.append((1..=3).map(message)).await;
    bench.when(1, |it| it.error.is_some()).await;
    bench.answers(|_, _| (1, Outcome::Delivered));
    bench.all_end(1..=3).await;
    let ids: Vec<u128> = bench.seen().iter().map(|it| it.id).collect();
    assert_eq!(ids, [1, 2, 3, 1]);
    assert!(bench.begins(2)[0] >= 30_000);
}

#[tokio::test(start_paused = true)]
async fn an_operator_lets_a_denied_queue_go_on_at_once() {
    let bench = Bench::with(named(), |_, _| (1, denied()));
    bench.append((1..=50).map(message)).await;
    pass(seconds(1000)).await;
    bench.answers(|_, _| (1, Outcome::Delivered));
    let before = bench.now();
    bench.deliveries.resume("email").await.unwrap();
    bench.end(40).await;
    assert!(bench.now() - before < 1_000, "{}", bench.now() - before);
}

#[tokio::test(start_paused = true)]
async fn an_operator_lets_a_queue_go_on_also_while_it_waits_for_something_to_try() {
    let bench = Bench::with(named(), |_, _| (1, denied()));
    bench.append([message(1)]).await;
    bench.when(1, |it| it.error.is_some()).await;
    // The wait is over, and the only message comes after others that are not there.
    pass(Duration::from_millis(31_000)).await;
    bench.answers(|_, _| (1, Outcome::Delivered));
    bench.deliveries.resume("email").await.unwrap();
    bench.append((2..=9).map(message)).await;
    let before = bench.now();
    bench.all_end(2..=9).await;
    assert!(bench.now() - before < 10, "{}", bench.now() - before);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_alone_is_denied_thrice_is_given_up() {
    let bench = Bench::with(named(), |message, _| match message.id.as_u128() {
        1 => (1, denied()),
        _ => (1, Outcome::Delivered),
    });
    bench.append([message(1)]).await;
    for id in 2..=40 {
        bench.append([message(id)]).await;
        pass(seconds(10)).await;
    }
    let end = bench.end(1).await;
    assert_eq!((end.status, end.attempts), (Status::DeadLettered, 0));
    assert_eq!(bench.begins(1).len(), 3);
    bench.all_end(2..=40).await;
    let dead = bench.store.dead_letters(None, None, 9).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason.as_str(), "REFUSED");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_denied_alone_in_its_queue_waits_for_as_long_as_its_time_allows() {
    let bench = Bench::with(named(), |_, _| (1, denied()));
    bench.append([message(1)]).await;
    pass(seconds(3600)).await;
    assert!(bench.begins(1).len() > 10);
    bench.answers(|_, _| (1, Outcome::Delivered));
    let end = bench.end(1).await;
    assert_eq!((end.status, end.attempts), (Status::Delivered, 1));
}
