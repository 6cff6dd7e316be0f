//! Tests: files of other releases.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use redb::Builder;
use uuid::Uuid;

use super::Disk;
use super::Embedded;
use super::OpenError;
use super::blocks::Blocks;
use super::record::Head;
use super::record::Record;
use super::record::State;
use super::record::halves;
use super::tables;
use super::tables::MESSAGES;
use super::tables::META;
use super::tables::VERSION;
use crate::message::Message;
use crate::seal::Seal;
use crate::store::Limits;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Settled;
use crate::store::Status;
use crate::store::Store as _;

/// What the first release writes of a message.
const MESSAGE: &str = r#"{"v":1,"id":"0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506","queue":"email","field":"Mutation.requestReview","source":"reviews","call":{"verb":"POST","target":"/orders/7/review-requests"},"idempotency_key":"k1","correlation_id":"checkout-1","request_id":"0192f3a4","accepted_at":1730000000000,"ttl":86400000,"retry":{"backoff":1000,"max_backoff":300000}}"#;

#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Disk for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.0.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let mut file = self.0.lock().unwrap();
        let length = file.len().max(end);
        file.resize(length, 0);
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn open(memory: &Memory) -> Result<Embedded, OpenError> {
    let disk = Arc::new(memory.clone());
    Embedded::open_on(disk, Limits::default(), Seal::none())
}

/// A file as another release left it.
fn file(version: u64, records: &BTreeMap<u128, Record>) -> Memory {
    let memory = Memory::default();
    let blocks = Blocks::open(Arc::new(memory.clone())).unwrap();
    let database = Builder::new().create_with_backend(blocks).unwrap();
    let transaction = tables::begin(&database).unwrap();
    {
        let mut messages = transaction.open_table(MESSAGES).unwrap();
        for (id, record) in records {
            let bytes = record.encode(*id, &Seal::none());
            messages.insert(*id, &*bytes).unwrap();
        }
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("version", version).unwrap();
    }
    transaction.commit().unwrap();
    memory
}

fn record(id: u128, key: Option<&str>, place: u64, state: State) -> Record {
    let mut message = Message::decode(MESSAGE.as_bytes()).unwrap();
    message.id = Uuid::from_u128(id);
    message.key = key.map(str::to_owned);
    let line = Seal::none().line("email", key, message.id);
    Record {
        head: Head {
            queue: "email".into(),
            line: key.map(|_| halves(u128::from_be_bytes(line))),
            place,
            version: 1,
            state,
            progress: Progress::default(),
            facts: None,
        },
        content: Some(message.encode()),
    }
}

#[tokio::test]
async fn the_indexes_of_a_file_without_any_are_made_anew() {
    let waiting = State::Waiting { due: 1_000 };
    let dead = |died, blocks| State::Dead {
        at: 2_000,
        reason: Reason::Refused,
        died,
        blocks,
    };
    let records = [
        (9, record(9, Some("k"), 1, waiting.clone())),
        (2, record(2, Some("k"), 2, waiting.clone())),
        (3, record(3, None, 3, waiting.clone())),
        (4, record(4, None, 4, State::Delivered { at: 3_000 })),
        (5, record(5, Some("l"), 5, dead(7, true))),
        (6, record(6, Some("l"), 6, waiting)),
        (7, record(7, Some("m"), 8, dead(9, false))),
    ];
    let store = open(&file(0, &BTreeMap::from(records))).unwrap();
    let depth = store.depths().await.unwrap().remove(0);
    assert_eq!((depth.waiting, depth.dead), (4, 2));
    assert_eq!(depth.oldest, Some(1_730_000_000_000));
    let letters = store.dead_letters(None, None, 10).await.unwrap();
    let letters = letters.iter().map(|it| it.delivery.id.as_u128());
    assert_eq!(letters.collect::<Vec<_>>(), [5, 7]);
    let delivered = store.find(Uuid::from_u128(4)).await.unwrap().unwrap();
    assert_eq!(delivered.status, Status::Delivered);

    let mut order = Vec::new();
    for count in [2, 1] {
        let taken = store.take("email", 10).await.unwrap();
        assert_eq!(taken.len(), count);
        for taken in taken {
            order.push(taken.claim.id.as_u128());
            let settled = Settled::Delivered(taken.progress);
            store.settle(taken.claim, settled).await.unwrap();
        }
    }
    assert_eq!(
        order,
        [9, 3, 2],
        "one held back by a dead letter is not given"
    );
    store.purge(Uuid::from_u128(5)).await.unwrap();
    let taken = store.take("email", 10).await.unwrap().remove(0);
    assert_eq!(taken.claim.id.as_u128(), 6);
}

#[tokio::test]
async fn an_upgraded_file_is_of_this_version() {
    let memory = file(0, &BTreeMap::new());
    open(&memory).unwrap().close().await;
    open(&memory).unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_a_later_release_is_refused_and_left_as_it_is() {
    let memory = file(VERSION + 1, &BTreeMap::new());
    let refused = open(&memory).err().unwrap();
    assert!(matches!(refused, OpenError::Later { .. }));
    let said = refused.to_string();
    assert!(
        said.contains("written by a later release: its version is 2"),
        "{said}"
    );
    let again = open(&memory).err().unwrap();
    assert!(matches!(again, OpenError::Later { .. }));
}

#[tokio::test]
async fn a_message_of_a_later_release_is_left_alone_and_its_line_waits() {
    let waiting = State::Waiting { due: 1_000 };
    let mut later = record(1, Some("k"), 1, waiting.clone());
    let text = String::from_utf8(later.content.take().unwrap()).unwrap();
    later.content = Some(text.replace("\"v\":1", "\"v\":2").into_bytes());
    let records = [
        (1, later),
        (2, record(2, Some("k"), 2, waiting.clone())),
        (3, record(3, None, 3, waiting)),
    ];
    let memory = file(0, &BTreeMap::from(records));
    for _ in 0..2 {
        let store = open(&memory).unwrap();
        let taken = store.take("email", 10).await.unwrap();
        let taken = taken.iter().map(|it| it.claim.id.as_u128());
        assert_eq!(taken.collect::<Vec<_>>(), [3]);
        let found = store.find(Uuid::from_u128(1)).await.unwrap().unwrap();
        assert_eq!(found.status, Status::Queued);
        assert_eq!(store.depths().await.unwrap()[0].waiting, 3);
        store.close().await;
    }
}
