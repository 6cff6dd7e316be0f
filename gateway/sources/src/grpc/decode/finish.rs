//! What an object gets besides the properties that are read.
//!
//! Owns embedded objects, computed slots, defaults, and the choice of an
//! object's type. Works on slots alone: knows nothing of bytes or JSON.

use std::borrow::Cow;

use plan::shape::AbstractShape;
use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::Computed;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::Props;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use serde_json::Value as Json;

use super::place;
use super::scalar;
use super::scalar::Scalar;

/// The code that a reply came with: its number and its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status<'a> {
    /// 0 to 16.
    pub(crate) number: i64,
    /// `OK`, `NOT_FOUND` and so on.
    pub(crate) name: &'a str,
}

impl Status<'_> {
    /// Success.
    pub(crate) const OK: Status<'static> = Status {
        number: 0,
        name: "OK",
    };
}

/// Sets the objects that are built from the same upstream object.
pub(super) fn begin(tape: &mut Tape, shape: &ObjectShape, base: u32) {
    for embedded in &shape.embedded {
        let object = Value::Object {
            at: base + embedded.at,
            layout: embedded.layout,
        };
        tape.set(base + embedded.slot, object);
    }
}

/// Fills what depends on slots that were read.
pub(super) fn finish(tape: &mut Tape, shape: &ObjectShape, base: u32, status: Status<'_>) {
    for computed in &shape.computed {
        let value = compute(tape, computed, base, status);
        tape.set(base + computed.slot, value);
    }
    for (slot, default) in &shape.defaults {
        if is_nothing(tape.get(base + slot)) {
            let value = constant(tape, shape_of_slot(shape, *slot), default);
            tape.set(base + slot, value);
        }
    }
    for embedded in &shape.embedded {
        if embedded
            .keys
            .iter()
            .any(|key| is_nothing(tape.get(base + key)))
        {
            tape.set(base + embedded.slot, Value::Null);
        }
    }
}

fn compute(tape: &mut Tape, computed: &Computed, base: u32, status: Status<'_>) -> Value {
    match &computed.how {
        Compute::FirstOf(slots) => {
            let mut values = slots.iter().map(|slot| tape.get(base + slot));
            match values.find(|value| !is_nothing(*value)) {
                Some(value) => recoerced(tape, &computed.leaf, value),
                None => Value::Null,
            }
        }
        Compute::Template(pieces) => match filled(tape, pieces, base) {
            Some(text) => scalar::leaf(tape, Scalar::Text(&text), &computed.leaf),
            None => Value::Null,
        },
        Compute::Const(json) => {
            place::place(tape, json, &Shape::Leaf(computed.leaf.clone()), status)
        }
        Compute::Status => match computed.leaf.kind {
            LeafKind::Int | LeafKind::Int64 | LeafKind::Float => {
                scalar::leaf(tape, Scalar::Int(status.number), &computed.leaf)
            }
            _ => scalar::leaf(tape, Scalar::Text(status.name), &computed.leaf),
        },
    }
}

/// A value that was read for another slot, as this leaf. Composites, enum values and errors stay what they are.
fn recoerced(tape: &mut Tape, leaf: &Leaf, value: Value) -> Value {
    match value {
        Value::Bool(value) => scalar::leaf(tape, Scalar::Bool(value), leaf),
        Value::Int(value) => scalar::leaf(tape, Scalar::Int(value), leaf),
        Value::UInt(value) => scalar::leaf(tape, Scalar::UInt(value), leaf),
        Value::Float(value) => scalar::leaf(tape, Scalar::Float(value), leaf),
        Value::Plain { .. } | Value::Text { .. } | Value::Owned { .. } if !keeps_text(leaf) => {
            let text = tape.str(value).unwrap_or_default().to_owned();
            scalar::leaf(tape, Scalar::Text(&text), leaf)
        }
        other => other,
    }
}

fn keeps_text(leaf: &Leaf) -> bool {
    leaf.format.is_none() && matches!(leaf.kind, LeafKind::String | LeafKind::Id | LeafKind::Json)
}

/// What a slot is decoded as, where it is a leaf or a list.
fn shape_of_slot(shape: &ObjectShape, slot: u32) -> Option<Shape> {
    let computed = shape.computed.iter().find(|computed| computed.slot == slot);
    let itself = shape.itself.iter().find(|(at, _)| *at == slot);
    let leaf = computed
        .map(|computed| &computed.leaf)
        .or(itself.map(|(_, leaf)| leaf));
    in_props(&shape.props, slot)
        .cloned()
        .or_else(|| leaf.cloned().map(Shape::Leaf))
}

fn in_props(props: &Props, slot: u32) -> Option<&Shape> {
    props.0.iter().find_map(|prop| {
        let own = prop.targets.iter().find(|target| target.slot == slot);
        own.map(|target| &target.shape)
            .or_else(|| in_props(&prop.nested, slot))
    })
}

/// `@map(default:)`: a constant of the graph, an enum value by its GraphQL name.
fn constant(tape: &mut Tape, shape: Option<Shape>, default: &Json) -> Value {
    match (&shape, default) {
        (Some(Shape::List(inner)), Json::Array(items)) => {
            let inner = Some((**inner).clone());
            let items: Vec<Value> = items
                .iter()
                .map(|item| constant(tape, inner.clone(), item))
                .collect();
            tape.list(&items)
        }
        (
            Some(Shape::Leaf(Leaf {
                kind: LeafKind::Enum(values),
                ..
            })),
            Json::String(name),
        ) => match values.names.iter().position(|known| **known == **name) {
            Some(at) => Value::Enum(at as u32),
            None => tape.error("expected one of the enum's values, found another default"),
        },
        (_, default) => scalar::from_json(tape, default, &LeafKind::Json),
    }
}

fn filled(tape: &Tape, pieces: &[ComputePiece], base: u32) -> Option<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            ComputePiece::Text(literal) => text.push_str(literal),
            ComputePiece::Slot(slot) => text.push_str(&text_of(tape, tape.get(base + slot))?),
        }
    }
    Some(text)
}

/// A leaf as text; nothing where there is none.
pub(super) fn text_of(tape: &Tape, value: Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
        Value::Int(value) => Some(Cow::Owned(value.to_string())),
        Value::UInt(value) => Some(Cow::Owned(value.to_string())),
        Value::Float(value) => Some(Cow::Owned(value.to_string())),
        value => tape.str(value).map(Cow::Borrowed),
    }
}

fn is_nothing(value: Value) -> bool {
    matches!(value, Value::Absent | Value::Null)
}

/// The variant that a discriminating value means.
pub(super) fn variant(shape: &AbstractShape, found: Option<&str>) -> Option<usize> {
    let position = |wanted: Option<&str>| {
        let mut variants = shape.variants.iter();
        variants.position(|variant| {
            let by_status_only = variant.value.is_none() && !variant.status.is_empty();
            !by_status_only && variant.value.as_deref() == wanted
        })
    };
    found
        .and_then(|found| position(Some(found)))
        .or_else(|| position(None))
}

/// The error where no variant fits.
pub(super) fn no_variant(tape: &mut Tape, shape: &AbstractShape) -> Value {
    tape.error(format!(
        "expected {}, found a value that is none of its types",
        shape.ty
    ))
}
