//! The directory of a store: one process has it at a time.

use std::path::PathBuf;
use std::time::Duration;

use queue::Embedded;
use queue::Store;
use queue::embedded::OpenError;
use queue::seal::Seal;
use queue::store::Limits;
use uuid::Uuid;

use crate::queue::suite::append;
use crate::queue::suite::messages::message;
use crate::queue::suite::soon;
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
