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
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;
use smallvec::SmallVec;

use crate::store::Item;
use crate::store::ObjectAt;
use crate::store::StepData;
use crate::store::Store;

/// A key in one canonical form, so that `1` and `"1"` are one ID.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    /// One part that is an integer, or spelled like one: most keys, and compared without a spelling.
    Int(i64),
    /// Anything else: its parts' spellings.
    Text(SmallVec<[u8; 24]>),
}

/// The distinct inputs of a step, and which parents each belongs to.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// Each parent with its row; `None` where a part of its key is null.
    pub(crate) parents: Vec<(ObjectAt, Option<u32>)>,
    /// The last of the rows, which go without what could not be had of their parents.
    pub(crate) bare: Bare,
    /// Parents that nothing is asked for, since what would be sent of them could not be had.
    pub(crate) failed: Vec<(ObjectAt, SourceError)>,
    pub(crate) keys: KeyIndex,
}

impl Key {
    /// The key together with what is sent beside it.
    fn with(self, text: &[u8]) -> Self {
        let mut spelled = match self {
            Key::Int(value) => {
                let mut spelled = SmallVec::new();
                digits(&mut spelled, value);
                spelled
            }
            Key::Text(spelled) => spelled,
        };
        spelled.push(NEXT);
        spelled.extend_from_slice(text);
        Key::Text(spelled)
    }
}

/// Rows with nothing but a key.
#[derive(Debug, Default)]
pub(crate) struct Bare {
    /// The number of the first of them.
    pub(crate) first: usize,
    /// Why what is missing could not be had, of each; none where it does not exist.
    pub(crate) why: Vec<Option<SourceError>>,
}

/// Keys to row numbers.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    hasher: ahash::RandomState,
    table: HashTable<u32>,
    keys: Vec<Key>,
}

impl KeyIndex {
    /// The row of a key.
    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<u32> {
        let is = |row: &u32| self.keys[*row as usize] == *key;
        self.table.find(hash(&self.hasher, key), is).copied()
    }

    fn insert(&mut self, key: Key) -> u32 {
        let row = self.keys.len() as u32;
        let hash_of = |row: &u32| hash(&self.hasher, &self.keys[*row as usize]);
        self.table
            .insert_unique(hash(&self.hasher, &key), row, hash_of);
        self.keys.push(key);
        row
    }

    /// A key as text, for messages.
    pub(crate) fn describe(&self, row: u32) -> String {
        match &self.keys[row as usize] {
            Key::Int(value) => value.to_string(),
            Key::Text(text) => {
                let parts = text.split(|byte| *byte == NEXT);
                let parts: Vec<_> = parts.map(String::from_utf8_lossy).collect();
                parts.join(", ")
            }
        }
    }
}

#[inline]
fn hash(hasher: &ahash::RandomState, key: &Key) -> u64 {
    match key {
        Key::Int(value) => hasher.hash_one(value),
        Key::Text(text) => hasher.hash_one(text.as_slice()),
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

/// The objects at one place below the value of a root field, in response order.
pub(crate) fn find_below_root(
    store: &Store,
    step: usize,
    path: &[LayoutSlot],
    layout: u32,
) -> Vec<ObjectAt> {
    let data = &store.steps[step];
    let mut found = Vec::new();
    if let Value::Join(root) = data.root {
        walk(data, data.item(root), path, layout, &mut found);
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
    for parent in parents {
        let parts = inputs.iter().map(|hops| follow(store, step, parent, hops));
        let (key, complete) = canonical(parts);
        let row = match complete || !whole {
            false => None,
            true => Some(match rows.keys.get(&key) {
                Some(row) => row,
                None => {
                    rows.rows.push(read_row(store, step, parent, inputs, types));
                    rows.keys.insert(key)
                }
            }),
        };
        rows.parents.push((parent, row));
    }
    rows
}

/// Reads every parent's key and what is sent beside it; equal ones become one row.
///
/// `bare` says that parents of which it cannot be had are asked for by their key alone.
pub(crate) fn gather_represented(
    store: &Store,
    step: usize,
    parents: Vec<ObjectAt>,
    (inputs, types): (&[Vec<Hop>], &[OutLeaf]),
    bare: bool,
    represent: &mut dyn FnMut(ObjectAt) -> Represented,
) -> Rows {
    let mut rows = Rows::default();
    let mut without = Rows::default();
    for parent in parents {
        let parts = inputs.iter().map(|hops| follow(store, step, parent, hops));
        let (key, complete) = canonical(parts);
        if !complete {
            rows.parents.push((parent, None));
            continue;
        }
        let read = |beside: Option<KeyPart>| {
            let mut row = read_row(store, step, parent, inputs, types);
            row.extend(beside);
            row
        };
        match represent(parent) {
            Represented::Fields(text) => {
                let fields = || KeyPart::Representation(Box::new(fields(&text)));
                rows.add(parent, key.with(&text), || read(Some(fields())));
            }
            missing if bare => {
                if without.add(parent, key, || read(None)) {
                    without.bare.why.push(missing.error());
                }
            }
            Represented::Failed(error) => rows.failed.push((parent, *error)),
            Represented::Nothing => rows.parents.push((parent, None)),
        }
    }
    rows.append(without);
    rows
}

impl Rows {
    /// Gives a parent the row of its key; whether that is a new one.
    fn add(&mut self, parent: ObjectAt, key: Key, read: impl FnOnce() -> Row) -> bool {
        let known = self.keys.get(&key);
        let row = known.unwrap_or_else(|| {
            self.rows.push(read());
            self.keys.insert(key)
        });
        self.parents.push((parent, Some(row)));
        known.is_none()
    }

    /// Adds rows of another kind behind its own.
    fn append(&mut self, bare: Rows) {
        let first = self.rows.len();
        self.rows.extend(bare.rows);
        let parents = bare.parents.into_iter();
        self.parents
            .extend(parents.map(|(parent, row)| (parent, row.map(|row| row + first as u32))));
        self.bare = Bare {
            first,
            why: bare.bare.why,
        };
    }
}

/// What is sent of one parent beside its key.
pub(crate) enum Represented {
    /// An object of fields: JSON text.
    Fields(Vec<u8>),
    /// A part of it does not exist, and so neither does what is asked for.
    Nothing,
    /// A part of it could not be had.
    Failed(Box<SourceError>),
}

impl Represented {
    fn error(self) -> Option<SourceError> {
        match self {
            Represented::Failed(error) => Some(*error),
            Represented::Nothing | Represented::Fields(_) => None,
        }
    }
}

/// Written by ourselves: an object it is.
fn fields(text: &[u8]) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_slice(text).unwrap_or_default()
}

/// Bytes that no text holds, so that no text is taken for them.
const NEXT: u8 = 0xfe;
const NOTHING: u8 = 0xff;

/// The canonical form of a key's parts, and whether none is null or no key.
#[inline]
pub(crate) fn canonical<'t>(
    parts: impl ExactSizeIterator<Item = Option<(&'t Tape, Value)>>,
) -> (Key, bool) {
    let alone = parts.len() == 1;
    let mut text = SmallVec::new();
    let mut complete = true;
    for (index, part) in parts.enumerate() {
        if let (Some((_, Value::Int(value))), true) = (part, alone) {
            return (Key::Int(value), true);
        }
        if index > 0 {
            text.push(NEXT);
        }
        if !part.is_some_and(|(tape, value)| spell(tape, value, &mut text)) {
            text.push(NOTHING);
            complete = false;
        }
    }
    let spelled = alone.then(|| as_integer(&text)).flatten();
    (spelled.map_or(Key::Text(text), Key::Int), complete)
}

/// The integer that this is the one spelling of.
fn as_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = canonical.then(|| std::str::from_utf8(text).ok()).flatten();
    text?.parse().ok()
}

/// Appends one value's spelling; false where it is null or no key.
fn spell(tape: &Tape, value: Value, key: &mut SmallVec<[u8; 24]>) -> bool {
    use std::io::Write as _;
    match value {
        Value::Plain { at, len } | Value::Text { at, len } => {
            key.extend_from_slice(tape.raw(at, len));
        }
        Value::Int(value) => digits(key, value),
        Value::UInt(value) => digits(key, value),
        Value::Enum(value) => digits(key, value),
        Value::Bool(value) => key.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Float(value) => return write!(key, "{value}").is_ok(),
        value => match tape.str(value) {
            Some(text) => key.extend_from_slice(text.as_bytes()),
            None => return false,
        },
    }
    true
}

fn digits(key: &mut SmallVec<[u8; 24]>, value: impl itoa::Integer) {
    key.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
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
#[inline]
fn follow<'s>(
    store: &'s Store,
    step: usize,
    parent: ObjectAt,
    hops: &[Hop],
) -> Option<(&'s Tape, Value)> {
    // By far the most frequent way.
    if let [Hop::Slot(slot)] = hops {
        let tape = store.steps[step].tape(parent.tape);
        return Some((tape, tape.get(parent.at + slot)));
    }
    follow_far(store, step, parent, hops)
}

fn follow_far<'s>(
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
            KeyPart::Representation(fields) => serde_json::Value::Object(*fields),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[Value]) -> (Key, bool) {
        let tape = tape();
        let parts = parts.iter().map(|value| Some((&tape, *value)));
        canonical(parts)
    }

    fn tape() -> Tape {
        Tape::new(bytes::Bytes::from_static(b"12 -0 012 x"))
    }

    fn text(at: u32, len: u32) -> Value {
        Value::Plain { at, len }
    }

    #[test]
    fn an_integer_and_its_one_spelling_are_one_key() {
        assert_eq!(key(&[Value::Int(12)]), key(&[text(0, 2)]));
        assert_eq!(key(&[Value::Int(12)]).0, Key::Int(12));
        for other in [text(3, 2), text(6, 3), text(10, 1), text(0, 0)] {
            assert!(matches!(key(&[other]).0, Key::Text(_)), "{other:?}");
        }
        assert!(matches!(key(&[Value::UInt(u64::MAX)]).0, Key::Text(_)));
    }

    #[test]
    fn parts_keep_apart_and_nothing_is_no_text() {
        let (one, other) = ([text(0, 1), text(1, 1)], [text(0, 2), text(2, 0)]);
        assert_ne!(key(&one).0, key(&other).0);
        let (nothing, complete) = key(&[Value::Null]);
        assert!(!complete);
        assert_ne!(nothing, key(&[text(0, 0)]).0);
    }

    #[test]
    fn a_key_is_told_by_its_parts() {
        let mut index = KeyIndex::default();
        let row = index.insert(key(&[Value::Int(1), text(10, 1)]).0);
        assert_eq!(index.describe(row), "1, x");
        let row = index.insert(key(&[Value::Int(7)]).0);
        assert_eq!(index.describe(row), "7");
    }
}
