//! What was acknowledged, and what arrived.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Both sides of what is compared.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Books>);

/// Messages are numbered within their key.
#[derive(Default)]
pub(crate) struct Books {
    /// Those that were asked for, by key: whether they were acknowledged, and under which id.
    pub(crate) asked: BTreeMap<u32, BTreeMap<u64, Option<String>>>,
    /// What arrived, by key, in the order of arrival.
    pub(crate) arrived: BTreeMap<u32, Vec<Arrival>>,
    /// Those that the target has accepted.
    accepted: BTreeMap<u32, BTreeSet<u64>>,
}

/// One request at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) idempotency_key: String,
    pub(crate) delivery: String,
    /// Whether the target has accepted it; the others were to come again.
    pub(crate) accepted: bool,
}

impl Ledger {
    /// The next message of a key is asked for.
    pub(crate) fn ask(&self, key: u32) -> u64 {
        let mut books = self.books();
        let asked = books.asked.entry(key).or_default();
        let number = asked.len() as u64;
        asked.insert(number, None);
        number
    }

    /// The gateway has said that it is durable.
    pub(crate) fn acknowledge(&self, key: u32, number: u64, id: String) {
        let mut books = self.books();
        books.asked.entry(key).or_default().insert(number, Some(id));
    }

    /// A request has come to the target.
    pub(crate) fn arrive(&self, key: u32, arrival: Arrival) {
        let mut books = self.books();
        if arrival.accepted {
            books
                .accepted
                .entry(key)
                .or_default()
                .insert(arrival.number);
        }
        books.arrived.entry(key).or_default().push(arrival);
    }

    /// Whether everything that was acknowledged has been accepted.
    pub(crate) fn all_arrived(&self) -> bool {
        let books = self.books();
        books.missing().next().is_none()
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// What was acknowledged and has not been accepted.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let acknowledged = self.asked.iter().flat_map(|(key, asked)| {
            let acknowledged = asked.iter().filter(|(_, id)| id.is_some());
            acknowledged.map(move |(number, _)| (*key, *number))
        });
        acknowledged.filter(|(key, number)| {
            let accepted = self.accepted.get(key);
            !accepted.is_some_and(|accepted| accepted.contains(number))
        })
    }
}
