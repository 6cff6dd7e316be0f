//! Values that are kept as they stand, and objects whose type is told by one
//! of their properties.

use std::sync::Arc;

use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::tape::Value;
use serde_json::Value as Json;

use super::leaf::Scalar;
use super::leaf::coerce;
use super::leaf::describe;
use super::reader::Fault;
use super::reader::Reader;
use super::value::Decoder;

/// A custom scalar that is no text: any JSON. Leaves are read as such, so that a key compares equal whatever wrote it; the rest keeps its text.
pub(super) fn json_leaf(decoder: &mut Decoder<'_>, leaf: &Leaf) -> Result<Value, Fault> {
    let place = decoder.reader.place();
    let scalar = match decoder.reader.peek()? {
        b'{' | b'[' => Scalar::Other(decoder.reader.skip()?),
        _ => decoder.reader.scalar()?,
    };
    if leaf.format.is_some() {
        return Ok(coerce(decoder, leaf, scalar));
    }
    let text = decoder.reader.since(place);
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(value) if text != "-0" => Value::Int(value),
        Scalar::UInt(value) => Value::UInt(value),
        // A number that no machine type holds exactly keeps its text.
        _ => Value::RawJson {
            at: place as u32,
            len: text.len() as u32,
        },
    })
}

/// A constant that is no text.
pub(super) fn constant(decoder: &mut Decoder<'_>, json: &Json) -> Value {
    match Scalar::of_json(json) {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(value) => Value::Int(value),
        Scalar::UInt(value) => Value::UInt(value),
        _ => decoder.tape.own_json(&json.to_string()),
    }
}

/// An object of an interface or union: read once for its type, and once as that type.
pub(super) fn abstract_object(
    decoder: &mut Decoder<'_>,
    shape: &AbstractShape,
) -> Result<Value, Fault> {
    let place = decoder.reader.place();
    let named = match shape.discriminator.as_slice() {
        [] => None,
        path => named(&mut decoder.reader, shape, path)?,
    };
    let known = named.or_else(|| any_other(shape));
    if let Some(shape) = known {
        decoder.reader.go_to(place);
        return decoder.object(shape);
    }
    decoder.reader.go_to(place);
    match decoder.reader.skip()? {
        "null" => Ok(Value::Null),
        _ => Ok(decoder.mismatch(&shape.ty, "a value that is none of its types")),
    }
}

/// The type of a value that names none of the others. A type that only a status means is never it.
fn any_other(shape: &AbstractShape) -> Option<&Arc<ObjectShape>> {
    let is_rest = |variant: &&AbstractVariant| variant.value.is_none() && variant.status.is_empty();
    shape
        .variants
        .iter()
        .find(is_rest)
        .map(|variant| &variant.shape)
}

/// Walks to the discriminating value and finds its type.
fn named<'a>(
    reader: &mut Reader<'_>,
    shape: &'a AbstractShape,
    path: &[String],
) -> Result<Option<&'a Arc<ObjectShape>>, Fault> {
    let Some((first, rest)) = path.split_first() else {
        return by_value(reader, shape);
    };
    if reader.peek()? != b'{' {
        reader.skip()?;
        return Ok(None);
    }
    let mut found = None;
    let mut more = reader.opens(b'}')?;
    while more {
        let name = reader.name()?;
        match reader.says(name, first) {
            true => found = named(reader, shape, rest)?,
            false => {
                reader.skip()?;
            }
        }
        more = reader.goes_on(b'}')?;
    }
    Ok(found)
}

fn by_value<'a>(
    reader: &mut Reader<'_>,
    shape: &'a AbstractShape,
) -> Result<Option<&'a Arc<ObjectShape>>, Fault> {
    let mut digits = itoa::Buffer::new();
    let scalar = match reader.peek()? {
        b'"' => {
            let text = reader.string()?;
            return Ok(means(shape, &reader.text(text)?));
        }
        b'{' | b'[' => Scalar::Other(reader.skip()?),
        _ => reader.scalar()?,
    };
    Ok(match scalar {
        Scalar::Int(value) => means(shape, digits.format(value)),
        Scalar::UInt(value) => means(shape, digits.format(value)),
        Scalar::Float(value) => means(shape, &value.to_string()),
        Scalar::Bool(value) => means(shape, if value { "true" } else { "false" }),
        _ => None,
    })
}

fn means<'a>(shape: &'a AbstractShape, value: &str) -> Option<&'a Arc<ObjectShape>> {
    let means = |variant: &&AbstractVariant| variant.value.as_deref() == Some(value);
    shape
        .variants
        .iter()
        .find(means)
        .map(|variant| &variant.shape)
}

/// A leaf from JSON text: what `JSON_STRING` carries.
pub(super) fn json_string(decoder: &mut Decoder<'_>, leaf: &Leaf, text: &str) -> Value {
    let plain = Leaf {
        kind: leaf.kind.clone(),
        format: None,
    };
    let mut reader = Reader::new(text);
    // Its nesting is bounded before a tree is built of it.
    let json = reader.skip().and_then(|_| reader.end()).ok();
    match json.and_then(|()| serde_json::from_str::<Json>(text).ok()) {
        Some(json) if json.is_object() || json.is_array() => match plain.kind {
            LeafKind::Json => decoder.tape.own_json(&json.to_string()),
            _ => decoder.mismatch(describe(&plain.kind), "a text that is other JSON"),
        },
        Some(json) => coerce(decoder, &plain, Scalar::of_json(&json)),
        None => decoder.mismatch(describe(&plain.kind), "a text that is not JSON"),
    }
}
