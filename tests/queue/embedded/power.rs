//! Power that fails: what was synced is there, what was not may be there, in part, in any order.
//!
//! A run is recorded, and then ended at any point of its writes. Whatever is left on the disk, the
//! store opens, and stands as after the last operation that was answered, or after the next one,
//! which was under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use queue::Embedded;
use queue::Message;
use queue::Store;
use queue::seal::Seal;
use queue::store::Limits;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;
use queue::store::Taken;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use uuid::Uuid;

use super::medium::Event;
use super::medium::Medium;
use super::medium::write;
use crate::queue::suite::append_all;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::messages::now;
use crate::queue::suite::messages::tried;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

const SECTOR: usize = 512;

/// How each message stood after each operation.
type Standing = BTreeMap<Uuid, (Status, u32)>;

struct Recorded {
    start: Vec<u8>,
    events: Vec<Event>,
    standings: Vec<Standing>,
    /// In the order of their acceptance.
    messages: Vec<Message>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_power_failure_leaves_is_what_was_answered() {
    let replays = super::rounds("SWITCHBOARD_POWER_LOSSES", 150);
    let mut random = StdRng::seed_from_u64(11);
    let recorded = record(&mut random).await;
    let mut ends = (0..replays)
        .map(|_| random.random_range(0..=recorded.events.len()))
        .collect::<Vec<_>>();
    ends.sort_unstable();
    let (mut durable, mut unsynced) = (recorded.start.clone(), Vec::new());
    let (mut at, mut answered) = (0, 0);
    for end in ends {
        for event in &recorded.events[at..end] {
            match event {
                Event::Sync => unsynced.drain(..).for_each(|it| apply(&mut durable, it)),
                Event::Mark(operation) => answered = *operation as usize,
                write => unsynced.push(write),
            }
        }
        at = end;
        let file = after_the_failure(&durable, &unsynced, &mut random);
        stands_as_answered(file, &recorded, answered, end).await;
    }
}

async fn record(random: &mut StdRng) -> Recorded {
    let medium = Medium::default();
    let store = open(medium.clone());
    soon(store.close()).await;
    let start = medium.bytes();
    medium.record();
    let store = open(medium.clone());
    let (mut messages, mut hands) = (Vec::new(), Vec::<Taken>::new());
    let mut standings = vec![Standing::new()];
    for operation in 1..=80 {
        let mut standing = standings.last().cloned().unwrap_or_default();
        let waits = standing.values().filter(|it| !it.0.is_final()).count() > hands.len();
        if hands.len() > 3 || (!hands.is_empty() && random.random_bool(0.5)) {
            let taken = hands.swap_remove(random.random_range(0..hands.len()));
            let (id, attempts) = (taken.claim.id, taken.progress.attempts);
            let (how, status) = outcome(&taken, random.random_range(0..3));
            settle(&store, taken.claim, how).await;
            let tried = u32::from(status == Status::Retrying);
            standing.insert(id, (status, attempts + tried));
        } else {
            let size = random.random_range(1..4);
            let batch = (0..size).map(|_| any_message(random)).collect::<Vec<_>>();
            let answers = append_all(&store, batch.clone()).await;
            assert!(answers.iter().all(Result::is_ok));
            standing.extend(batch.iter().map(|it| (it.id, (Status::Queued, 0))));
            messages.extend(batch);
        }
        medium.mark(operation);
        standings.push(standing);
        if waits && random.random_bool(0.7) {
            let taken =
                tokio::time::timeout(std::time::Duration::from_millis(20), store.take("a", 1));
            hands.extend(taken.await.into_iter().flatten().flatten());
        }
    }
    let events = medium.events();
    soon(store.close()).await;
    Recorded {
        start,
        events,
        standings,
        messages,
    }
}

fn open(medium: Medium) -> Embedded {
    let opened = Embedded::open_on(Arc::new(medium), Limits::default(), Seal::none());
    opened.expect("it opens")
}

fn any_message(random: &mut StdRng) -> Message {
    let mut message = match random.random_range(0..3) {
        0 => message("a"),
        1 => keyed("a", "k"),
        _ => keyed("a", "l"),
    };
    let padding = [0, 100, 5_000][random.random_range(0..3)];
    message.call.body.0 = vec![b'x'; padding];
    message
}

fn outcome(taken: &Taken, which: u32) -> (Settled, Status) {
    let progress = taken.progress.clone();
    let reason = Reason::Refused;
    match which {
        0 => (Settled::Delivered(progress), Status::Delivered),
        1 => (Settled::Dead { progress, reason }, Status::DeadLettered),
        _ => {
            let (progress, due) = (tried(&progress, "UPSTREAM_TIMEOUT"), now());
            (Settled::Again { progress, due }, Status::Retrying)
        }
    }
}

/// Everything that was synced, and of the rest any part of any of it, in any order.
fn after_the_failure(durable: &[u8], unsynced: &[&Event], random: &mut StdRng) -> Vec<u8> {
    let mut file = durable.to_vec();
    let mut rest = unsynced.to_vec();
    if random.random_bool(0.5) {
        rest.shuffle(random);
    }
    let lost = [0.0, 0.1, 0.5, 0.9][random.random_range(0..4)];
    for event in rest {
        if random.random_bool(lost) {
            continue;
        }
        match event {
            Event::Write { at, bytes } if random.random_bool(0.3) => {
                write_torn(&mut file, *at as usize, bytes, random);
            }
            event => apply(&mut file, event),
        }
    }
    file
}

fn apply(file: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write { at, bytes } => write(file, *at, bytes),
        Event::SetLength(length) => file.resize(*length as usize, 0),
        Event::Sync | Event::Mark(_) => {}
    }
}

/// Some of its sectors.
fn write_torn(file: &mut Vec<u8>, at: usize, bytes: &[u8], random: &mut StdRng) {
    let mut done = 0;
    while done < bytes.len() {
        let end = ((at + done) / SECTOR + 1) * SECTOR - at;
        let end = end.min(bytes.len());
        if random.random_bool(0.5) {
            write(file, (at + done) as u64, &bytes[done..end]);
        }
        done = end;
    }
}

async fn stands_as_answered(file: Vec<u8>, recorded: &Recorded, answered: usize, end: usize) {
    let store = open(Medium::of(file));
    let mut found = Standing::new();
    for message in &recorded.messages {
        if let Some(delivery) = soon(store.find(message.id)).await.unwrap() {
            found.insert(message.id, (delivery.status, delivery.attempts));
        }
    }
    let standings = &recorded.standings;
    let next = (answered + 1).min(standings.len() - 1);
    assert!(
        found == standings[answered] || found == standings[next],
        "ended at event {end}, after operation {answered}: {found:#?}\n{:#?}",
        standings[answered]
    );
    let waiting = |it: &&Message| found.get(&it.id).is_some_and(|(it, _)| !it.is_final());
    let waiting = recorded.messages.iter().filter(waiting).collect::<Vec<_>>();
    let mut taken = Vec::new();
    for _ in &waiting {
        let one = take_one(&store, "a").await;
        assert!(waiting.contains(&&one.message), "ended at event {end}");
        taken.push(one.message);
        settle(&store, one.claim, Settled::Delivered(one.progress)).await;
    }
    for key in ["k", "l"] {
        let of_key = |it: &&&Message| it.key.as_deref() == Some(key);
        let expected = waiting.iter().filter(of_key).map(|it| it.id);
        let order = taken.iter().filter(|it| it.key.as_deref() == Some(key));
        assert!(order.map(|it| it.id).eq(expected), "ended at event {end}");
    }
    soon(store.close()).await;
}
