//! Who is let in, who waits, and who is refused at once.

use std::sync::Arc;

use super::*;

const TIME: Duration = Duration::from_secs(30);

fn door(limit: usize) -> Arc<Admission> {
    let door = Admission::new(Settings::default());
    door.limit.store(limit, SeqCst);
    Arc::new(door)
}

fn unlimited() -> Arc<Admission> {
    door(Settings::default().most)
}

async fn admit(door: &Arc<Admission>) -> Result<Admitted<'_>, Overloaded> {
    door.admit(|| TIME).await
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_little_to_do_lets_everybody_in_and_asks_nobody_for_time() {
    let door = unlimited();
    let unasked = || unreachable!("nobody is short of room");
    let one = door.admit(unasked).await;
    let two = door.admit(unasked).await;
    assert_eq!(door.in_flight.load(SeqCst), 2);
    drop((one, two));
    assert_eq!(door.in_flight.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_waits_for_it_for_a_moment() {
    let door = door(1);
    let first = admit(&door).await.ok();
    let began = Instant::now();
    assert!(admit(&door).await.is_err());
    assert_eq!(began.elapsed(), Settings::default().wait);
    assert_eq!(door.refused.load(SeqCst), 1);

    let waiting = door.clone();
    let second = tokio::spawn(async move { admit(&waiting).await.is_ok() });
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(first);
    assert!(second.await.unwrap());
    assert_eq!(door.in_flight.load(SeqCst), 0);
    assert_eq!(door.waiting.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn only_as_many_wait_as_may_run() {
    let door = door(2);
    let _running = (admit(&door).await, admit(&door).await);
    let began = Instant::now();
    let asked = (0..5).map(|_| admit(&door));
    let all = async { futures_util::future::join_all(asked).await.len() };
    let mut refused_at_once = 0;
    tokio::select! {
        biased;
        _ = all => {}
        () = tokio::time::sleep(Duration::from_millis(1)) => {
            refused_at_once = door.refused.load(SeqCst);
        }
    }
    assert_eq!(refused_at_once, 3);
    assert_eq!(began.elapsed(), Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_answered_in_time_is_refused_at_once_under_load() {
    let door = door(10);
    for _ in 0..100 {
        let admitted = admit(&door).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(admitted);
    }
    let began = Instant::now();
    let short = || Duration::from_millis(100);
    assert!(door.admit(short).await.is_err());
    assert_eq!(Instant::now(), began);
    assert!(door.admit(|| Duration::from_millis(300)).await.is_ok());
    door.limit.store(Settings::default().most, SeqCst);
    assert!(door.admit(short).await.is_ok(), "without load it may try");
}

#[tokio::test(start_paused = true)]
async fn room_that_the_limit_makes_is_given_to_those_who_wait() {
    let door = door(1);
    let _running = admit(&door).await;
    let waits = {
        let door = door.clone();
        tokio::spawn(async move { admit(&door).await.is_ok() })
    };
    tokio::task::yield_now().await;
    door.move_to(2);
    assert!(waits.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_lasting_refusals_and_draining() {
    let door = door(10);
    let watched = door.clone();
    let watch = tokio::spawn(async move { watched.watch().await });
    assert_eq!(door.readiness(), Readiness::Ready);
    for _ in 0..40 {
        door.refused.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        door.readiness(),
        Readiness::Ready,
        "four seconds are little"
    );
    for _ in 0..20 {
        door.refused.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(door.readiness(), Readiness::Overloaded);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(door.readiness(), Readiness::Ready);
    door.drain();
    assert_eq!(door.readiness(), Readiness::Draining);
    assert!(admit(&door).await.is_ok(), "who comes is answered");
    watch.abort();
}

#[tokio::test]
async fn nothing_is_refused_where_that_is_turned_off() {
    let off = Arc::new(Admission::new(Settings {
        enabled: false,
        most: 1,
        ..Settings::default()
    }));
    let _all = (admit(&off).await, admit(&off).await);
    assert_eq!(off.refused.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_goes_on_without_its_request_holds_the_room_of_one() {
    let door = unlimited();
    let request = admit(&door).await.ok().unwrap();
    let work = [request.stay(), request.stay()];
    assert_eq!(door.in_flight.load(SeqCst), 1);
    drop(request);
    assert_eq!(door.in_flight.load(SeqCst), 1);
    let mut emptied = std::pin::pin!(door.emptied());
    assert!(futures_util::poll!(&mut emptied).is_pending());
    drop(work);
    assert_eq!(door.in_flight.load(SeqCst), 0);
    emptied.await;
    door.emptied().await;
}
