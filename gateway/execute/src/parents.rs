//! Which objects a step is joined to, and what it needs of each.
//!
//! Owns the walk from a step's items to the parents below them, and the
//! gathering of distinct input rows: a key that many parents share is asked
//! for once.

use hashbrown::HashTable;
use plan::model::Hop;
use plan::model::LayoutSlot;
use plan::model::OutLeaf;
use plan::model::Parents;
use plan::source::KeyPart;
use plan::source::Row;
use plan::tape::Tape;
use plan::tape::Value;
use smallvec::SmallVec;

use crate::store::Item;
use crate::store::ObjectAt;
use crate::store::StepData;
use crate::store::Store;

/// A key in one canonical spelling, so that `1` and `"1"` are one ID.
pub(crate) type CanonicalKey = SmallVec<[u8; 24]>;

/// The distinct inputs of a step, and which parents each belongs to.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// Each parent with its row; `None` where a part of its key is null.
    pub(crate) parents: Vec<(ObjectAt, Option<u32>)>,
    pub(crate) keys: KeyIndex,
}

/// Canonical keys to row numbers.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    hasher: ahash::RandomState,
    table: HashTable<u32>,
    keys: Vec<CanonicalKey>,
}

impl KeyIndex {
    /// The row of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.table
            .find(hash, |row| self.keys[*row as usize].as_slice() == key)
            .copied()
    }

    fn insert(&mut self, key: &CanonicalKey) -> u32 {
        let hash = self.hasher.hash_one(key.as_slice());
        let row = self.keys.len() as u32;
        let keys = &self.keys;
        self.table.insert_unique(hash, row, |row| {
            self.hasher.hash_one(keys[*row as usize].as_slice())
        });
        self.keys.push(key.clone());
        row
    }

    /// A key as text, for messages.
    pub(crate) fn describe(&self, row: u32) -> String {
        String::from_utf8_lossy(&self.keys[row as usize]).replace('\u{1f}', ", ")
    }
}

/// Every parent of a step, in response order.
pub(crate) fn find(store: &Store, parents: &Parents) -> Vec<ObjectAt> {
    let step = &store.steps[parents.step];
    let mut found = Vec::new();
    for item in &step.items {
        walk(step, *item, &parents.path, parents.layout, &mut found);
    }
    found
}

fn walk(step: &StepData, item: Item, path: &[LayoutSlot], layout: u32, found: &mut Vec<ObjectAt>) {
    let tape = step.tape(item.tape);
    match item.value {
        Value::List { at, len } => {
            for value in tape.slots(at, len) {
                let item = Item {
                    value: *value,
                    ..item
                };
                walk(step, item, path, layout, found);
            }
        }
        Value::Object { at, layout: is } => match path.split_first() {
            None if is == layout => found.push(ObjectAt {
                tape: item.tape,
                at,
            }),
            Some((next, rest)) if is == next.layout => {
                let value = tape.get(at + next.slot);
                walk(step, Item { value, ..item }, rest, layout, found);
            }
            _ => {}
        },
        _ => {}
    }
}

/// Reads every parent's inputs; equal ones become one row.
///
/// `whole` says that an input must not be null (a key); otherwise nulls are passed on.
pub(crate) fn gather(
    store: &Store,
    step: usize,
    parents: Vec<ObjectAt>,
    inputs: &[Vec<Hop>],
    types: &[OutLeaf],
    whole: bool,
) -> Rows {
    let mut rows = Rows {
        parents: Vec::with_capacity(parents.len()),
        ..Rows::default()
    };
    let mut key = CanonicalKey::new();
    for parent in parents {
        key.clear();
        let complete = canonical(store, step, parent, inputs, &mut key);
        let row = match complete || !whole {
            false => None,
            true => Some(match rows.keys.get(&key) {
                Some(row) => row,
                None => {
                    rows.rows.push(read_row(store, step, parent, inputs, types));
                    rows.keys.insert(&key)
                }
            }),
        };
        rows.parents.push((parent, row));
    }
    rows
}

/// Writes the canonical spelling of a parent's inputs; whether none is null.
fn canonical(
    store: &Store,
    step: usize,
    parent: ObjectAt,
    inputs: &[Vec<Hop>],
    key: &mut CanonicalKey,
) -> bool {
    let mut complete = true;
    for (index, hops) in inputs.iter().enumerate() {
        if index > 0 {
            key.push(0x1f);
        }
        let found = follow(store, step, parent, hops);
        complete &= found.is_some_and(|(tape, value)| canonical_part(tape, value, key));
    }
    complete
}

/// Appends one value's canonical spelling; false where it is null or no key.
pub(crate) fn canonical_part(tape: &Tape, value: Value, key: &mut CanonicalKey) -> bool {
    use std::io::Write as _;
    let written = match value {
        Value::Plain { at, len } | Value::Text { at, len } => {
            key.extend_from_slice(tape.raw(at, len));
            return true;
        }
        Value::Bool(value) => write!(key, "{value}"),
        Value::Int(value) => write!(key, "{value}"),
        Value::UInt(value) => write!(key, "{value}"),
        Value::Float(value) => write!(key, "{value}"),
        Value::Enum(value) => write!(key, "{value}"),
        value => match tape.str(value) {
            Some(text) => write!(key, "{text}"),
            None => return false,
        },
    };
    written.is_ok()
}

fn read_row(
    store: &Store,
    step: usize,
    parent: ObjectAt,
    inputs: &[Vec<Hop>],
    types: &[OutLeaf],
) -> Row {
    let parts =
        inputs
            .iter()
            .enumerate()
            .map(|(index, hops)| match follow(store, step, parent, hops) {
                Some((tape, value)) => key_part(tape, value, types.get(index)),
                None => KeyPart::Null,
            });
    parts.collect()
}

/// The value that hops lead to from a parent.
fn follow<'s>(
    store: &'s Store,
    step: usize,
    parent: ObjectAt,
    hops: &[Hop],
) -> Option<(&'s Tape, Value)> {
    let mut data = &store.steps[step];
    let mut at = parent;
    let mut value = Value::Absent;
    for (index, hop) in hops.iter().enumerate() {
        let slot = match hop {
            Hop::Slot(slot) | Hop::Join { slot, .. } => *slot,
        };
        value = data.tape(at.tape).get(at.at + slot);
        if let Hop::Join { step, .. } = hop {
            let Value::Join(item) = value else {
                return None;
            };
            data = &store.steps[*step];
            let item = data.item(item);
            at.tape = item.tape;
            value = item.value;
        }
        if index + 1 < hops.len() {
            let Value::Object { at: start, .. } = value else {
                return None;
            };
            at.at = start;
        }
    }
    Some((data.tape(at.tape), value))
}

fn key_part(tape: &Tape, value: Value, ty: Option<&OutLeaf>) -> KeyPart {
    match value {
        Value::Bool(value) => KeyPart::Bool(value),
        Value::Int(value) => KeyPart::Int(value),
        Value::UInt(value) => KeyPart::UInt(value),
        Value::Float(value) => KeyPart::Float(value),
        Value::Enum(index) => match ty {
            Some(OutLeaf::Enum(values)) => KeyPart::Text((*values.names[index as usize]).into()),
            _ => KeyPart::Null,
        },
        Value::RawJson { .. } | Value::OwnedJson { .. } => tape
            .str(value)
            .and_then(|text| serde_json::from_str(text).ok())
            .map_or(KeyPart::Null, |json| KeyPart::Json(Box::new(json))),
        Value::List { at, len } => KeyPart::Json(Box::new(list_part(tape, at, len, ty))),
        value => tape
            .str(value)
            .map_or(KeyPart::Null, |text| KeyPart::Text(text.into())),
    }
}

fn list_part(tape: &Tape, at: u32, len: u32, ty: Option<&OutLeaf>) -> serde_json::Value {
    let items = tape.slots(at, len).iter();
    items
        .map(|value| match key_part(tape, *value, ty) {
            KeyPart::Null => serde_json::Value::Null,
            KeyPart::Bool(value) => value.into(),
            KeyPart::Int(value) => value.into(),
            KeyPart::UInt(value) => value.into(),
            KeyPart::Float(value) => value.into(),
            KeyPart::Text(text) => text.into_string().into(),
            KeyPart::Json(json) => *json,
        })
        .collect()
}
