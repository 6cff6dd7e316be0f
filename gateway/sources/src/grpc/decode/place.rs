//! From a JSON value to the shape that is asked of it.
//!
//! Owns reading what has no descriptor: Struct, Value, Any, maps, constants,
//! and error replies that are data. The same rules as for messages, over
//! [`serde_json::Value`].

use plan::shape::AbstractShape;
use plan::shape::ObjectShape;
use plan::shape::Props;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use serde_json::Value as Json;

use super::finish;
use super::finish::Status;
use super::program::unfit;
use super::scalar;

/// Decodes a JSON value. Recursion is bounded by the shape.
pub(super) fn place(tape: &mut Tape, json: &Json, shape: &Shape, status: Status<'_>) -> Value {
    match (shape, json) {
        (Shape::Leaf(leaf), Json::Array(_) | Json::Object(_)) => {
            scalar::from_json(tape, json, &leaf.kind)
        }
        (Shape::Leaf(leaf), json) => scalar::leaf(tape, scalar::json_scalar(json), leaf),
        (_, Json::Null) => Value::Null,
        (Shape::List(inner), Json::Array(items)) => {
            let items: Vec<Value> = items
                .iter()
                .map(|item| place(tape, item, inner, status))
                .collect();
            tape.list(&items)
        }
        (Shape::Object(object), json) if json.is_object() || !object.itself.is_empty() => {
            place_object(tape, json, object, status)
        }
        (Shape::Abstract(shape), Json::Object(_)) => place_abstract(tape, json, shape, status),
        (shape, json) => tape.error(unfit(shape, kind(json))),
    }
}

/// Decodes a JSON value as one object type.
pub(super) fn place_object(
    tape: &mut Tape,
    json: &Json,
    shape: &ObjectShape,
    status: Status<'_>,
) -> Value {
    let base = tape.reserve(shape.slots);
    finish::begin(tape, shape, base);
    match json.is_object() {
        true => place_props(tape, json, &shape.props, base, status),
        false => {
            for (slot, leaf) in &shape.itself {
                let value = place(tape, json, &Shape::Leaf(leaf.clone()), status);
                tape.set(base + slot, value);
            }
        }
    }
    finish::finish(tape, shape, base, status);
    Value::Object {
        at: base,
        layout: shape.layout,
    }
}

fn place_props(tape: &mut Tape, json: &Json, props: &Props, base: u32, status: Status<'_>) {
    for prop in &props.0 {
        let Some(value) = json.get(&*prop.name) else {
            continue;
        };
        for target in &prop.targets {
            let value = place(tape, value, &target.shape, status);
            tape.set(base + target.slot, value);
        }
        place_props(tape, value, &prop.nested, base, status);
    }
}

fn place_abstract(
    tape: &mut Tape,
    json: &Json,
    shape: &AbstractShape,
    status: Status<'_>,
) -> Value {
    let mut path = shape.discriminator.iter();
    let found = path
        .try_fold(json, |value, name| value.get(name))
        .filter(|_| !shape.discriminator.is_empty());
    let found = found.and_then(|found| match found {
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) => Some(found.to_string()),
        _ => None,
    });
    match finish::variant(shape, found.as_deref()) {
        Some(at) => place_object(tape, json, &shape.variants[at].shape, status),
        None => finish::no_variant(tape, shape),
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
