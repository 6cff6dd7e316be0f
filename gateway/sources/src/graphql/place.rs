//! Where an error of a response stands on the tape.
//!
//! Owns following an error's path through the shape that the response was
//! decoded into: names on the way are those that the gateway asked under. A
//! null on the way is where the error ends, since the service's own null went
//! up to there. Knows nothing of what an error means.

use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::ObjectShape;
use plan::shape::Props;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;
use serde_json::Value as Json;

/// Where a path ends.
#[derive(Debug, Default)]
struct End {
    slots: Vec<u32>,
    /// The reply as a whole.
    root: bool,
    /// Another error stands there already, and says as much.
    told: bool,
}

/// Puts an error at the null that it explains. One without a place, or with one where data stands, is an error of the reply as a whole.
pub(super) fn put(tape: &mut Tape, shape: &ReplyShape, path: Option<&Json>, error: SourceError) {
    let path = path.and_then(Json::as_array).map(Vec::as_slice);
    let end = path.map(|path| end(tape, shape, path)).unwrap_or_default();
    if end.told {
        return;
    }
    let nothing = matches!(tape.root, Value::Null | Value::Absent);
    if end.root || (end.slots.is_empty() && nothing) {
        tape.root = tape.told(error);
    } else if end.slots.is_empty() {
        tape.told_beside(error);
    } else {
        let told = tape.told(error);
        end.slots.iter().for_each(|slot| tape.set(*slot, told));
    }
}

fn end(tape: &Tape, shape: &ReplyShape, path: &[Json]) -> End {
    let mut end = End::default();
    // `data` is not a part of paths.
    let mut path = path;
    for name in shape.unwrap.iter().skip(1) {
        match path.split_first() {
            Some((first, rest)) if first == name.as_str() => path = rest,
            Some(_) => return end,
            None => break,
        }
    }
    let walk = Walk { tape };
    match tape.root {
        Value::Null | Value::Absent => end.root = true,
        root => walk.value(&shape.root, root, path, &mut end),
    }
    end
}

struct Walk<'t> {
    tape: &'t Tape,
}

impl Walk<'_> {
    fn slot(&self, shape: &Shape, slot: u32, path: &[Json], end: &mut End) {
        match self.tape.get(slot) {
            Value::Null | Value::Absent => end.slots.push(slot),
            value => self.value(shape, value, path, end),
        }
    }

    fn value(&self, shape: &Shape, value: Value, path: &[Json], end: &mut End) {
        let next = path.split_first();
        match (value, shape, next) {
            (Value::Error(_), ..) => end.told = true,
            (Value::List { at, len }, Shape::List(item), Some((index, rest))) => {
                let index = index.as_u64().and_then(|index| u32::try_from(index).ok());
                if let Some(index) = index.filter(|index| *index < len) {
                    self.slot(item, at + index, rest, end);
                }
            }
            (Value::Object { at, .. }, Shape::Object(object), Some((name, rest))) => {
                self.object(object, at, name, rest, end);
            }
            (Value::Object { at, layout }, Shape::Abstract(shape), Some((name, rest))) => {
                let mut variants = shape.variants.iter().map(|variant| &variant.shape);
                if let Some(object) = variants.find(|object| object.layout == layout) {
                    self.object(object, at, name, rest, end);
                }
            }
            _ => {}
        }
    }

    fn object(&self, object: &ObjectShape, base: u32, name: &Json, rest: &[Json], end: &mut End) {
        let first = end.slots.len();
        self.prop(&object.props, base, name, rest, end);
        let own: Vec<u32> = end.slots[first..].iter().map(|slot| slot - base).collect();
        let is_null = |slot: &u32| matches!(self.tape.get(*slot), Value::Null | Value::Absent);
        let references = object.embedded.iter();
        let references = references.filter(|it| it.keys.iter().any(|key| own.contains(key)));
        let computed = object.computed.iter();
        let computed = computed.filter(|it| reads(&it.how, &own));
        let made = references
            .map(|it| it.slot)
            .chain(computed.map(|it| it.slot));
        let made: Vec<u32> = made.map(|slot| base + slot).filter(is_null).collect();
        end.slots.extend(made);
    }

    fn prop(&self, props: &Props, base: u32, name: &Json, rest: &[Json], end: &mut End) {
        let Some(prop) = props.0.iter().find(|prop| name == &*prop.name) else {
            return;
        };
        for target in &prop.targets {
            self.slot(&target.shape, base + target.slot, rest, end);
        }
        match rest.split_first() {
            Some((name, rest)) => self.prop(&prop.nested, base, name, rest, end),
            None => self.all(&prop.nested, base, end),
        }
    }

    /// Everything that would have been read below a null.
    fn all(&self, props: &Props, base: u32, end: &mut End) {
        for prop in &props.0 {
            for target in &prop.targets {
                self.slot(&target.shape, base + target.slot, &[], end);
            }
            self.all(&prop.nested, base, end);
        }
    }
}

fn reads(how: &Compute, slots: &[u32]) -> bool {
    match how {
        Compute::FirstOf(options) => options.iter().any(|slot| slots.contains(slot)),
        Compute::Template(pieces) => pieces.iter().any(|piece| match piece {
            ComputePiece::Slot(slot) => slots.contains(slot),
            ComputePiece::Text(_) => false,
        }),
        Compute::Const(_) | Compute::Status => false,
    }
}
