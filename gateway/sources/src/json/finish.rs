//! What is done to an object after its properties were read: computed slots,
//! defaults, and references whose key is null.

use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::Props;
use plan::shape::Shape;
use plan::tape::Value;
use serde_json::Value as Json;

use super::leaf::Scalar;
use super::leaf::coerce;
use super::raw;
use super::value::Decoder;

/// Finishes the object whose slots begin at `base`.
#[inline]
pub(super) fn object(decoder: &mut Decoder<'_>, shape: &ObjectShape, base: u32) -> Value {
    for computed in &shape.computed {
        let value = compute(decoder, &computed.how, &computed.leaf, base);
        decoder.tape.set(base + computed.slot, value);
    }
    for (slot, default) in &shape.defaults {
        if is_nothing(decoder.tape.get(base + slot)) {
            let value = constant(decoder, shape_of_slot(shape, *slot), default);
            decoder.tape.set(base + slot, value);
        }
    }
    for embedded in &shape.embedded {
        let lacks = |key: &u32| is_nothing(decoder.tape.get(base + key));
        if embedded.keys.iter().any(lacks) {
            decoder.tape.set(base + embedded.slot, Value::Null);
        }
    }
    Value::Object {
        at: base,
        layout: shape.layout,
    }
}

fn is_nothing(value: Value) -> bool {
    matches!(value, Value::Absent | Value::Null)
}

fn compute(decoder: &mut Decoder<'_>, how: &Compute, leaf: &Leaf, base: u32) -> Value {
    match how {
        Compute::FirstOf(slots) => {
            let mut values = slots.iter().map(|slot| decoder.tape.get(base + slot));
            // Each was read as this very leaf.
            values
                .find(|value| !is_nothing(*value))
                .unwrap_or(Value::Null)
        }
        Compute::Template(pieces) => match template(decoder, pieces, base) {
            Some(text) => coerce(decoder, leaf, Scalar::Text(&text)),
            None => Value::Null,
        },
        Compute::Const(value) => upstream_constant(decoder, leaf, value),
        Compute::Status => status(decoder, leaf),
    }
}

fn template(decoder: &Decoder<'_>, pieces: &[ComputePiece], base: u32) -> Option<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            ComputePiece::Text(text) => out.push_str(text),
            ComputePiece::Slot(slot) => hole(decoder, decoder.tape.get(base + slot), &mut out)?,
        }
    }
    Some(out)
}

/// The text of a template's hole; `None` where there is none.
fn hole(decoder: &Decoder<'_>, value: Value, out: &mut String) -> Option<()> {
    match value {
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(itoa::Buffer::new().format(value)),
        Value::UInt(value) => out.push_str(itoa::Buffer::new().format(value)),
        Value::Float(value) => out.push_str(&value.to_string()),
        value => out.push_str(decoder.tape.str(value)?),
    }
    Some(())
}

/// A constant of a mapping, spelled as upstream would spell it.
fn upstream_constant(decoder: &mut Decoder<'_>, leaf: &Leaf, value: &Json) -> Value {
    match (value, &leaf.kind) {
        (Json::Array(_) | Json::Object(_), LeafKind::Json) => {
            decoder.tape.own_json(&value.to_string())
        }
        (value, _) => coerce(decoder, leaf, Scalar::of_json(value)),
    }
}

fn status(decoder: &mut Decoder<'_>, leaf: &Leaf) -> Value {
    let status = i64::from(decoder.status);
    match leaf.kind {
        LeafKind::String => coerce(decoder, leaf, Scalar::Text(&status.to_string())),
        _ => coerce(decoder, leaf, Scalar::Int(status)),
    }
}

/// What a slot is decoded as.
fn shape_of_slot(shape: &ObjectShape, slot: u32) -> Option<Expected<'_>> {
    let computed = shape.computed.iter().find(|computed| computed.slot == slot);
    let itself = || shape.itself.iter().find(|(at, _)| *at == slot);
    in_props(&shape.props, slot)
        .or_else(|| computed.map(|computed| Expected::Leaf(&computed.leaf)))
        .or_else(|| itself().map(|(_, leaf)| Expected::Leaf(leaf)))
}

#[derive(Clone, Copy)]
enum Expected<'a> {
    Leaf(&'a Leaf),
    ListOf(&'a Shape),
}

impl<'a> Expected<'a> {
    fn of(shape: &'a Shape) -> Option<Self> {
        match shape {
            Shape::Leaf(leaf) => Some(Expected::Leaf(leaf)),
            Shape::List(item) => Some(Expected::ListOf(item)),
            Shape::Object(_) | Shape::Abstract(_) => None,
        }
    }
}

fn in_props(props: &Props, slot: u32) -> Option<Expected<'_>> {
    props.0.iter().find_map(|prop| {
        let own = prop.targets.iter().find(|target| target.slot == slot);
        own.and_then(|target| Expected::of(&target.shape))
            .or_else(|| in_props(&prop.nested, slot))
    })
}

/// `@map(default:)`: a constant of the graph, an enum value by its GraphQL name.
fn constant(decoder: &mut Decoder<'_>, expected: Option<Expected<'_>>, value: &Json) -> Value {
    match (expected, value) {
        (_, Json::Null) => Value::Null,
        (Some(Expected::ListOf(item)), Json::Array(values)) => {
            let items: Vec<Value> = values
                .iter()
                .map(|value| constant(decoder, Expected::of(item), value))
                .collect();
            decoder.list(&items)
        }
        (Some(Expected::Leaf(leaf)), Json::String(text)) => match &leaf.kind {
            LeafKind::Enum(values) => {
                let index = values.names.iter().position(|name| **name == **text);
                index.map_or_else(
                    || decoder.mismatch("one of the enum's values", "another default"),
                    |index| Value::Enum(index as u32),
                )
            }
            _ => decoder.tape.own(text),
        },
        (_, Json::String(text)) => decoder.tape.own(text),
        (_, value) => raw::constant(decoder, value),
    }
}
