//! Bits that flip in the file.

use std::sync::Arc;

use queue::Embedded;
use queue::Message;
use queue::Store;
use queue::embedded::OpenError;
use queue::seal::Seal;
use queue::store::Limits;
use queue::store::NotRetried;
use queue::store::Reason;
use queue::store::Settled;
use queue::store::Status;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::in_memory;
use super::medium::Medium;
use crate::queue::suite::Harness;
use crate::queue::suite::append;
use crate::queue::suite::gives_nothing;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_one;

#[tokio::test]
async fn a_damaged_message_is_set_aside_and_the_rest_goes_on() {
    let (mut harness, marked, next) = with_a_marked_message().await;
    let place = find(&harness.medium.bytes(), b"here it will be damaged");
    harness.medium.flip(place, 3);
    let store = harness.open(Limits::default()).await;
    for _ in 0..3 {
        let taken = take_one(&*store, "a").await;
        assert_ne!(taken.claim.id, marked);
        settle(&*store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    gives_nothing(&*store, "a").await;
    let delivered = soon(store.find(next)).await.unwrap().unwrap();
    assert_eq!(delivered.status, Status::Delivered, "its line went on");
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].delivery.id, marked);
    assert_eq!(letters[0].reason, Reason::Damaged);
    assert_eq!(letters[0].delivery.status, Status::DeadLettered);
    let retried = soon(store.retry(marked, true)).await;
    assert_eq!(retried, Err(NotRetried::Damaged));
    let shown = soon(store.show(marked)).await.unwrap().unwrap();
    assert_eq!(shown.message, None);
    let depths = soon(store.depths()).await.unwrap();
    assert_eq!((depths[0].waiting, depths[0].dead), (0, 1));
    assert!(soon(store.purge(marked)).await.unwrap());
}

#[tokio::test]
async fn what_is_sealed_with_another_key_is_left_alone_and_its_line_waits() {
    let mut harness = in_memory(Some([1; 32]));
    let store = harness.open(Limits::default()).await;
    let first = append(&*store, keyed("a", "k")).await.id;
    soon(store.close()).await;
    harness.secret = Some([2; 32]);
    let store = harness.open(Limits::default()).await;
    gives_nothing(&*store, "a").await;
    let found = soon(store.find(first)).await.unwrap().unwrap();
    assert_eq!((found.status, &*found.queue), (Status::Queued, "a"));
    assert_eq!(soon(store.dead_letters(None, None, 10)).await.unwrap(), []);
    let other = append(&*store, message("a")).await.id;
    assert_eq!(take_one(&*store, "a").await.claim.id, other);
    soon(store.close()).await;
    harness.secret = Some([1; 32]);
    let store = harness.open(Limits::default()).await;
    assert_eq!(take_one(&*store, "a").await.claim.id, first);
    gives_nothing(&*store, "a").await;
}

/// Wherever a bit flips: the store says so and gives up, or every message is delivered as it was,
/// or lies with the dead letters. None is believed delivered that was not, and nothing panics.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_loses_a_message_unseen() {
    let mut harness = in_memory(None);
    let store = harness.open(Limits::default()).await;
    let mut messages = Vec::new();
    for count in 0..60 {
        let message = match count % 3 {
            0 => message("a"),
            _ => keyed("a", ["k", "l", "m"][count % 3]),
        };
        append(&*store, message.clone()).await;
        messages.push(message);
    }
    soon(store.close()).await;
    let file = harness.medium.bytes();
    let flips = super::rounds("SWITCHBOARD_BIT_FLIPS", 150);
    let mut random = StdRng::seed_from_u64(7);
    let used = used_blocks(&file);
    let mut seen = [0; 3];
    for _ in 0..flips {
        let byte = used[random.random_range(0..used.len())] + random.random_range(0..4096);
        let bit = random.random_range(0..8);
        let medium = Medium::of(file.clone());
        medium.flip(byte, bit);
        let outcome = outcome(medium, &messages).await;
        assert!(outcome.is_ok(), "bit {bit} of byte {byte}: {outcome:?}");
        seen[outcome.unwrap() as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Unharmed,
    SetAside,
    GivenUp,
}

async fn outcome(medium: Medium, messages: &[Message]) -> Result<Outcome, String> {
    let opened = Embedded::open_on(Arc::new(medium), Limits::default(), Seal::none());
    let store = match opened {
        Ok(store) => store,
        Err(OpenError::Damaged { .. } | OpenError::Later { .. }) => return Ok(Outcome::GivenUp),
        Err(other) => return Err(other.to_string()),
    };
    let mut delivered = Vec::new();
    loop {
        let Ok(depths) = store.depths().await else {
            return Ok(Outcome::GivenUp);
        };
        if depths.iter().all(|depth| depth.waiting == 0) {
            break;
        }
        let Ok(taken) = soon(store.take("a", 100)).await else {
            return Ok(Outcome::GivenUp);
        };
        for taken in taken {
            if !messages.contains(&taken.message) {
                return Err(format!("invented: {:?}", taken.message));
            }
            delivered.push(taken.claim.id);
            let settled = Settled::Delivered(taken.progress);
            if store.settle(taken.claim, settled).await.is_err() {
                return Ok(Outcome::GivenUp);
            }
        }
    }
    let Ok(letters) = store.dead_letters(None, None, 100).await else {
        return Ok(Outcome::GivenUp);
    };
    let dead = letters.iter().map(|it| it.delivery.id).collect::<Vec<_>>();
    let is_accounted = |id: &Uuid| delivered.contains(id) != dead.contains(id);
    match messages.iter().find(|it| !is_accounted(&it.id)) {
        Some(lost) => Err(format!("lost: {lost:?}")),
        None if dead.is_empty() => Ok(Outcome::Unharmed),
        None => Ok(Outcome::SetAside),
    }
}

/// Where the blocks begin in which anything stands.
fn used_blocks(file: &[u8]) -> Vec<usize> {
    let blocks = file.chunks(4096).enumerate();
    let used = blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0));
    used.map(|(number, _)| number * 4096).collect()
}

/// Four messages, of which one can be found in the file, and the one behind it in its line.
async fn with_a_marked_message() -> (super::InMemory, Uuid, Uuid) {
    let mut harness = in_memory(None);
    let store = harness.open(Limits::default()).await;
    append(&*store, message("a")).await;
    let mut marked = keyed("a", "k");
    marked.call.body.0 = b"here it will be damaged".to_vec();
    append(&*store, marked.clone()).await;
    let next = append(&*store, keyed("a", "k")).await.id;
    append(&*store, message("a")).await;
    soon(store.close()).await;
    (harness, marked.id, next)
}

/// The last place: earlier ones are pages that are free again.
fn find(file: &[u8], what: &[u8]) -> usize {
    let mut places = file.windows(what.len()).enumerate();
    let found = places.rfind(|(_, part)| *part == what);
    found.map(|(place, _)| place).expect("it was written")
}
