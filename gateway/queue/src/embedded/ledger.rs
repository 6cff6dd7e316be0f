//! How the queues stand: counted in the transactions that change them, and known
//! in memory without reading.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use redb::ReadableTable;
use serde::Deserialize;
use serde::Serialize;

use super::tables::Broken;
use super::tables::Tables;
use crate::store::Paused;

/// What is counted of all queues.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) queues: BTreeMap<String, Account>,
    /// The place of the next message, and of the next dead letter.
    pub(super) next_place: u64,
    changed: BTreeSet<String>,
}

/// What is counted of one queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) waiting: u64,
    pub(super) bytes: u64,
    pub(super) dead: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Paused>,
}

impl Ledger {
    pub(super) fn read(tables: &Tables<'_>) -> Result<Self, Broken> {
        let mut ledger = Self::default();
        for entry in tables.queues.iter()? {
            let (queue, account) = entry?;
            let account = serde_json::from_slice(account.value())?;
            ledger.queues.insert(queue.value().to_owned(), account);
        }
        ledger.next_place = tables.meta.get("next place")?.map_or(1, |it| it.value());
        Ok(ledger)
    }

    pub(super) fn write(&mut self, tables: &mut Tables<'_>) -> Result<(), Broken> {
        for queue in std::mem::take(&mut self.changed) {
            let account = serde_json::to_vec(&self.queues.get(&queue))?;
            tables.queues.insert(&*queue, &*account)?;
        }
        tables.meta.insert("next place", self.next_place)?;
        Ok(())
    }

    pub(super) fn of(&mut self, queue: &str) -> &mut Account {
        if !self.changed.contains(queue) {
            self.changed.insert(queue.to_owned());
        }
        self.queues.entry(queue.to_owned()).or_default()
    }

    pub(super) fn place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place - 1
    }

    /// Messages that wait, and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        let accounts = self.queues.values();
        accounts.fold((0, 0), |(messages, bytes), it| {
            (messages + it.waiting, bytes + it.bytes)
        })
    }
}
