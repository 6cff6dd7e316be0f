//! From a reply to the parents that asked.
//!
//! Owns finding each item's parents: by key after coercion, or by position.
//! Missing items are null or an empty list, items nobody asked for are passed
//! over, and a failed chunk marks only its own parents.

use std::ops::Range;
use std::sync::Arc;

use plan::code::Code;
use plan::model::Aligned;
use plan::model::Plan;
use plan::model::Step;
use plan::source::Chunk;
use plan::source::Reply;
use plan::source::SourceError;
use plan::tape::Value;

use crate::parents;
use crate::parents::Bare;
use crate::parents::Rows;
use crate::parents::canonical;
use crate::store::Item;
use crate::store::StepData;
use crate::store::Store;

/// How a step's replies are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignment {
    /// Each chunk's only tape is the value of its only row.
    Whole,
    /// Items carry their parent's key.
    Keyed {
        /// Each parent gets a list.
        to_many: bool,
        /// At most this many items each.
        limit: Option<usize>,
    },
    /// Items stand in the order of the rows.
    Positional,
}

/// Puts a reply's chunks into the store and joins the parents to their items.
pub(crate) fn assign(
    store: &mut Store,
    plan: &Plan,
    step: &Step,
    rows: &Rows,
    replies: Vec<(usize, Reply)>,
    how: Assignment,
) {
    let service = service_name(plan, step);
    let mut data = std::mem::take(&mut store.steps[step.id]);
    let mut values = vec![Value::Absent; rows.rows.len()];
    for (first, reply) in replies {
        for mut chunk in reply.chunks {
            chunk.rows = chunk.rows.start + first..chunk.rows.end + first;
            let range = chunk.rows.clone();
            if let Err(error) = take_chunk(&mut data, step, rows, chunk, how, &mut values, &service)
            {
                mark(&mut data, &mut values, range, error);
            }
        }
    }
    store.steps[step.id] = data;
    explain(&mut store.steps[step.id], step, &rows.bare, &values);
    join_parents(store, step, rows, &values, how);
}

/// Fields that were not asked for, since what they require could not be had, are null for that reason.
fn explain(data: &mut StepData, step: &Step, bare: &Bare, values: &[Value]) {
    let Some(without) = &step.without else {
        return;
    };
    for (value, why) in values[bare.first..].iter().zip(&bare.why) {
        let (Value::Join(item), Some(why)) = (value, why) else {
            continue;
        };
        let item = data.item(*item);
        let Value::Object { at, layout } = item.value else {
            continue;
        };
        let tape = &mut data.tapes[item.tape as usize];
        for slot in without.slots.iter().filter(|it| it.layout == layout) {
            let told = tape.told(why.clone());
            tape.set(at + slot.slot, told);
        }
    }
}

fn service_name(plan: &Plan, step: &Step) -> Arc<str> {
    let graph = plan.supergraph();
    let source = graph.resolver(step.resolver).source;
    Arc::from(graph.source(source).name.as_str())
}

fn mark(data: &mut StepData, values: &mut [Value], rows: Range<usize>, error: SourceError) {
    let failed = data.fail(error);
    for value in values.get_mut(rows).into_iter().flatten() {
        *value = failed;
    }
}

fn take_chunk(
    data: &mut StepData,
    step: &Step,
    rows: &Rows,
    chunk: Chunk,
    how: Assignment,
    values: &mut [Value],
    service: &Arc<str>,
) -> Result<(), SourceError> {
    let tapes = chunk.outcome?;
    let first = data.tapes.len() as u32;
    data.tapes.extend(tapes);
    let tapes = first..data.tapes.len() as u32;
    match how {
        Assignment::Whole => take_whole(data, tapes, chunk.rows, values, service),
        Assignment::Positional => take_positional(data, step, tapes, chunk.rows, values, service),
        Assignment::Keyed { to_many, limit } => {
            let keyed = Keyed {
                step,
                rows,
                chunk: chunk.rows,
                service,
            };
            match to_many {
                true => keyed.take_many(data, tapes, values, limit.unwrap_or(usize::MAX)),
                false => keyed.take_one(data, tapes, values),
            }
        }
    }
}

fn take_whole(
    data: &mut StepData,
    tapes: Range<u32>,
    rows: Range<usize>,
    values: &mut [Value],
    service: &Arc<str>,
) -> Result<(), SourceError> {
    let (Some(tape), true) = (tapes.clone().next(), tapes.len() == 1) else {
        return Err(invalid(service, "The source gave no reply."));
    };
    let value = data.tape(tape).root;
    let joined = data.join(Item { tape, value });
    for row in rows {
        values[row] = joined;
    }
    Ok(())
}

fn take_positional(
    data: &mut StepData,
    step: &Step,
    tapes: Range<u32>,
    rows: Range<usize>,
    values: &mut [Value],
    service: &Arc<str>,
) -> Result<(), SourceError> {
    let items = items_of_all(data, tapes);
    if items.len() != rows.len() {
        let message = format!(
            "The source answered {} items for {} keys.",
            items.len(),
            rows.len()
        );
        return Err(invalid(service, &message));
    }
    for (row, item) in rows.zip(items) {
        let item = inner(data, step, item);
        values[row] = data.join(item);
    }
    Ok(())
}

/// A keyed batch's chunk.
struct Keyed<'a> {
    step: &'a Step,
    rows: &'a Rows,
    chunk: Range<usize>,
    service: &'a Arc<str>,
}

impl Keyed<'_> {
    /// One item for each key; a second one is an error of that key.
    fn take_one(
        &self,
        data: &mut StepData,
        tapes: Range<u32>,
        values: &mut [Value],
    ) -> Result<(), SourceError> {
        let mut lost = lost_beside(data, tapes.clone());
        for item in items_of_all(data, tapes) {
            let Some(row) = self.row_of(data, item)? else {
                lost = lost.or(lost_item(item));
                continue;
            };
            let value = match values[row] {
                Value::Absent => {
                    let item = inner(data, self.step, item);
                    data.join(item)
                }
                Value::Failed(failed) => Value::Failed(failed),
                _ => data.fail(self.duplicate(row)),
            };
            values[row] = value;
        }
        let nothing = lost.map_or(Value::Null, |lost| data.join(lost));
        self.missing(values, nothing);
        Ok(())
    }

    /// Any number of items for each key, in the order of the reply.
    fn take_many(
        &self,
        data: &mut StepData,
        tapes: Range<u32>,
        values: &mut [Value],
        limit: usize,
    ) -> Result<(), SourceError> {
        let mut found: Vec<Vec<Item>> = vec![Vec::new(); self.chunk.len()];
        let mut lost = lost_beside(data, tapes.clone());
        for item in items_of_all(data, tapes) {
            let Some(row) = self.row_of(data, item)? else {
                lost = lost.or(lost_item(item));
                continue;
            };
            let items = &mut found[row - self.chunk.start];
            if items.len() < limit {
                items.push(inner(data, self.step, item));
            }
        }
        for (row, items) in self.chunk.clone().zip(found) {
            values[row] = match lost.filter(|_| items.is_empty()) {
                Some(lost) => data.join(lost),
                None => data.join_list(items),
            };
        }
        Ok(())
    }

    /// The row that an item belongs to; none for an item that nobody asked for. An item without the
    /// property that carries the key is no such item: passing it over would look like no data.
    fn row_of(&self, data: &StepData, item: Item) -> Result<Option<usize>, SourceError> {
        let Value::Object { at, .. } = item.value else {
            return Ok(None);
        };
        let tape = data.tape(item.tape);
        let by = &self.step.shape.by;
        if by.iter().any(|slot| tape.get(at + slot) == Value::Absent) {
            let message = "An item of the source's answer carries no key.";
            return Err(invalid(self.service, message));
        }
        let parts = by.iter().map(|slot| Some((tape, tape.get(at + slot))));
        let (key, complete) = canonical(parts);
        let row = complete.then(|| self.rows.keys.get(&key)).flatten();
        let row = row.map(|row| row as usize);
        Ok(row.filter(|row| self.chunk.contains(row)))
    }

    fn missing(&self, values: &mut [Value], nothing: Value) {
        for value in &mut values[self.chunk.clone()] {
            if *value == Value::Absent {
                *value = nothing;
            }
        }
    }

    fn duplicate(&self, row: usize) -> SourceError {
        let key = self.rows.keys.describe(row as u32);
        invalid(
            self.service,
            &format!("The source answered more than one item for the key {key}."),
        )
    }
}

/// An item that is an error carries no key: whoever finds nothing else may be the one it was for.
fn lost_item(item: Item) -> Option<Item> {
    matches!(item.value, Value::Error(_)).then_some(item)
}

/// The same for an error of a reply as a whole.
fn lost_beside(data: &StepData, mut tapes: Range<u32>) -> Option<Item> {
    tapes.find_map(|tape| {
        let error = data.tape(tape).beside().first()?;
        let value = Value::Error(*error);
        Some(Item { tape, value })
    })
}

/// The items of every page; a page that is no list has none.
fn items_of_all(data: &StepData, tapes: Range<u32>) -> Vec<Item> {
    let mut items = Vec::new();
    for tape in tapes {
        let known = data.tape(tape);
        if let Value::List { at, len } = known.root {
            let values = known.slots(at, len).iter();
            items.extend(values.map(|value| Item {
                tape,
                value: *value,
            }));
        }
    }
    items
}

/// The value that an item carries, where it is not the value itself.
fn inner(data: &StepData, step: &Step, item: Item) -> Item {
    match (step.value_slot, item.value) {
        (Some(slot), Value::Object { at, .. }) => Item {
            value: data.tape(item.tape).get(at + slot),
            ..item
        },
        _ => item,
    }
}

fn join_parents(store: &mut Store, step: &Step, rows: &Rows, values: &[Value], how: Assignment) {
    let nothing = match how {
        Assignment::Keyed { to_many: true, .. } => Value::JoinList { at: 0, len: 0 },
        _ => Value::Null,
    };
    let Some(parents) = &step.parents else {
        store.steps[step.id].root = values.first().copied().unwrap_or(Value::Null);
        return;
    };
    for (parent, error) in &rows.failed {
        let failed = store.steps[step.id].fail(error.clone());
        let tapes = &mut store.steps[parents.step].tapes;
        tapes[parent.tape as usize].set(parent.at + parents.join, failed);
    }
    let tapes = &mut store.steps[parents.step].tapes;
    for (parent, row) in &rows.parents {
        let value = match row.map(|row| values[row as usize]) {
            Some(Value::Absent) => nothing,
            Some(value) => value,
            None => Value::Null,
        };
        tapes[parent.tape as usize].set(parent.at + parents.join, value);
    }
}

/// Joins the objects that one step brought to those that another one brought of the same place.
pub(crate) fn align(store: &mut Store, step: usize, aligned: &Aligned) {
    let Aligned { with, path, layout } = aligned;
    let of = parents::find_below_root(store, with.step, &with.path, with.layout);
    let known = parents::find_below_root(store, step, path, *layout);
    let root = store.steps[step].root;
    for (index, object) in of.iter().enumerate() {
        let value = match known.get(index) {
            // Lists of different lengths are not the same objects.
            Some(more) if known.len() == of.len() => {
                let value = Value::Object {
                    at: more.at,
                    layout: *layout,
                };
                let tape = more.tape;
                store.steps[step].join(Item { tape, value })
            }
            _ if matches!(root, Value::Failed(_)) => root,
            _ => Value::Null,
        };
        store.steps[with.step].tapes[object.tape as usize].set(object.at + with.join, value);
    }
}

fn invalid(service: &Arc<str>, message: &str) -> SourceError {
    SourceError::new(Code::UpstreamInvalidResponse, service, message)
}
