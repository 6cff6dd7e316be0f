//! The directory of a store: one process has it at a time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use queue::Embedded;
use queue::Store;
use queue::embedded::OpenError;
use queue::seal::Seal;
use queue::store::Limits;
use queue::store::Reason;
use queue::store::Refused;
use queue::store::Settled;
use uuid::Uuid;

use crate::queue::suite::append;
use crate::queue::suite::append_all;
use crate::queue::suite::messages::keyed;
use crate::queue::suite::messages::message;
use crate::queue::suite::messages::now;
use crate::queue::suite::settle;
use crate::queue::suite::soon;
use crate::queue::suite::take_all;
use crate::queue::suite::take_one;

/// Removed with everything in it when it is dropped.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Default for Temporary {
    fn default() -> Self {
        let name = format!("switchboard-queue-{}", Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// A file system of so many MiB, where this process may mount one.
struct SmallDisk(Temporary);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let directory = Temporary::default();
        std::fs::create_dir_all(&directory.0).unwrap();
        let disk = Self(directory);
        disk.run(&["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .then_some(disk)
    }

    fn grow(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        assert!(self.run(&["-o", &size]));
    }

    fn run(&self, arguments: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        let mounted = mount.args(arguments).arg(&self.0.0).output();
        mounted.is_ok_and(|it| it.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0.0).output();
        drop(unmounted);
    }
}

/// Where nothing may be mounted, a disk in memory shows the same: see `faults`.
#[tokio::test]
async fn a_small_disk_fills_up_and_refuses_until_it_grows() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let directory = Temporary(disk.0.0.join("queue"));
    let store = open(&directory).unwrap();
    let large = || {
        let mut large = message("a");
        large.call.body.0 = vec![b'x'; 200_000];
        large
    };
    let mut accepted = 0;
    let refused = loop {
        match append_all(&store, vec![large()]).await.remove(0) {
            Ok(_) => accepted += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused}");
    assert!(accepted > 5, "{accepted}");
    let waiting = async || soon(store.depths()).await.map(|it| it[0].waiting);
    disk.grow(64);
    soon(async {
        while append_all(&store, vec![large()]).await[0].is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(waiting().await, Ok(accepted + 1));
    soon(store.close()).await;
    let store = open(&directory).unwrap();
    assert_eq!(soon(store.depths()).await.unwrap()[0].waiting, accepted + 1);
}

fn open(directory: &Temporary) -> Result<Embedded, OpenError> {
    Embedded::open(&directory.0, Limits::default(), Seal::none())
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_hands_over() {
    let directory = Temporary::default();
    let first = open(&directory).unwrap();
    let id = append(&first, message("a")).await.id;
    let refused = open(&directory).err().unwrap();
    assert!(matches!(refused, OpenError::InUse(_)));
    let said = refused.to_string();
    assert!(said.contains("another process has the queue"), "{said}");
    assert!(said.contains(&*directory.0.to_string_lossy()), "{said}");

    let path = directory.0.clone();
    let patience = Duration::from_secs(20);
    let second = tokio::spawn(async move {
        Embedded::open_within(&path, Limits::default(), Seal::none(), patience).await
    });
    append(&first, message("b")).await;
    soon(first.close()).await;
    let second = soon(second).await.unwrap().unwrap();
    assert_eq!(take_one(&second, "a").await.claim.id, id);
    take_one(&second, "b").await;
}

#[tokio::test]
async fn patience_ends() {
    let directory = Temporary::default();
    let _first = open(&directory).unwrap();
    let patience = Duration::from_millis(50);
    let second =
        Embedded::open_within(&directory.0, Limits::default(), Seal::none(), patience).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone_and_named() {
    let directory = Temporary::default();
    std::fs::create_dir_all(&directory.0).unwrap();
    let file = directory.0.join("queue.redb");
    std::fs::write(&file, vec![b'x'; 20_000]).unwrap();
    let refused = open(&directory).err().unwrap().to_string();
    assert!(refused.contains("queue.redb is damaged"), "{refused}");
    assert!(refused.contains("salvage"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), vec![b'x'; 20_000]);
}

#[tokio::test]
async fn a_file_that_was_half_made_is_made_anew() {
    let directory = Temporary::default();
    std::fs::create_dir_all(&directory.0).unwrap();
    std::fs::write(directory.0.join("queue.redb.new"), b"half").unwrap();
    let store = open(&directory).unwrap();
    append(&store, message("a")).await;
}

#[tokio::test]
async fn what_is_whole_in_a_damaged_file_is_salvaged() {
    let directory = Temporary::default();
    let store = open(&directory).unwrap();
    let mut large = keyed("a", "k");
    large.call.body.0 = vec![b'x'; 20_000];
    let messages = [large, keyed("a", "k"), message("a"), message("b")];
    for message in &messages {
        append(&store, message.clone()).await;
    }
    let dead = append(&store, message("c")).await.id;
    let taken = take_one(&store, "c").await;
    let (progress, reason) = (taken.progress, Reason::Refused);
    settle(&store, taken.claim, Settled::Dead { progress, reason }).await;
    soon(store.close()).await;
    let file = directory.0.join("queue.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // Neither the beginning nor anything that says where things stand.
    bytes[..16_384].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    assert!(matches!(open(&directory), Err(OpenError::Damaged { .. })));

    let salvaged = Embedded::salvage(&directory.0, &Seal::none()).unwrap();
    assert_eq!(salvaged.messages, 5);
    assert_eq!(std::fs::read(&salvaged.damaged).unwrap(), bytes);
    let store = open(&directory).unwrap();
    let mut found = Vec::new();
    for queue in ["a", "a", "a", "b"] {
        let taken = take_one(&store, queue).await;
        found.push(taken.message);
        settle(&store, taken.claim, Settled::Delivered(taken.progress)).await;
    }
    found.sort_by_key(|message| message.id);
    assert!(found == messages, "they are as they were");
    let letters = soon(store.dead_letters(None, None, 10)).await.unwrap();
    assert_eq!(letters[0].delivery.id, dead);
}

#[tokio::test]
async fn a_large_file_in_which_little_lives_becomes_a_small_one() {
    let directory = Temporary::default();
    let limits = Limits {
        delivered: Duration::ZERO,
        ..Limits::default()
    };
    let store = Embedded::open(&directory.0, limits, Seal::none()).unwrap();
    let kept = append(&store, message("b")).await.id;
    let large = || {
        let mut large = message("a");
        large.call.body.0 = vec![b'x'; 1_000_000];
        large
    };
    append_all(&store, (0..40).map(|_| large()).collect()).await;
    let taken = take_all(&store, "a", 40).await.into_iter();
    let settled = taken.map(|it| settle(&store, it.claim, Settled::Delivered(it.progress)));
    futures_util::future::join_all(settled).await;
    let held = take_one(&store, "b").await;
    let length = || {
        std::fs::metadata(directory.0.join("queue.redb"))
            .unwrap()
            .len()
    };
    assert!(length() > 40 << 20, "{}", length());
    let delivered = now();
    while now() <= delivered {
        tokio::task::yield_now().await;
    }
    soon(store.sweep()).await.unwrap();
    assert!(length() < 4 << 20, "{}", length());
    // Who had a message in hand has it still.
    assert_eq!(held.claim.id, kept);
    settle(&store, held.claim, Settled::Returned).await;
    soon(store.close()).await;
    let store = open(&directory).unwrap();
    assert_eq!(take_one(&store, "b").await.claim.id, kept);
}
