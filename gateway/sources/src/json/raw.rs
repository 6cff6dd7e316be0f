//! Values that are captured as they stand and read afterwards: custom scalars,
//! objects whose type is told by one of their properties, and properties that
//! several fields read.

use std::sync::Arc;

use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::tape::Value;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use sonic_rs::LazyValue;

use super::depth::Depth;
use super::depth::Place;
use super::envelope::NameIs;
use super::leaf::LeafSeed;
use super::leaf::Scalar;
use super::leaf::coerce;
use super::leaf::describe;
use super::object::ObjectSeed;
use super::value::Decoder;
use super::value::To;

/// Reads a captured text.
pub(super) fn read<'de, S, E>(text: &'de str, seed: S) -> Result<S::Value, E>
where
    S: DeserializeSeed<'de>,
    E: Error,
{
    seed.deserialize(&mut sonic_rs::Deserializer::from_str(text))
        .map_err(E::custom)
}

/// A custom scalar: any JSON. Leaves are read as such, so that a key compares equal whatever wrote it; the rest keeps its text.
pub(super) fn json_leaf<'de, D: Deserializer<'de>>(
    decoder: &mut Decoder<'_>,
    leaf: &Leaf,
    to: To,
    place: Place,
    json: D,
) -> Result<(), D::Error> {
    decoder.depth.guard(place).map_err(D::Error::custom)?;
    let raw = LazyValue::deserialize(json)?;
    let text = raw.as_raw_str();
    match leaf.format {
        Some(_) => read(text, LeafSeed { decoder, leaf, to }),
        None => {
            let value = json_text(decoder, text).map_err(D::Error::custom)?;
            decoder.put(to, value);
            Ok(())
        }
    }
}

/// JSON that is known to be valid, as a value.
pub(super) fn json_text(decoder: &mut Decoder<'_>, text: &str) -> Result<Value, sonic_rs::Error> {
    let value = match text.as_bytes() {
        [b'n', ..] => Value::Null,
        [b't', ..] => Value::Bool(true),
        [b'f', ..] => Value::Bool(false),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            decoder.borrowed(&text[1..text.len() - 1])
        }
        [b'"', ..] => {
            let unescaped: String = sonic_rs::from_str(text)?;
            decoder.tape.own(&unescaped)
        }
        [b'{' | b'[', ..] => place_json(decoder, text),
        _ => number(decoder, text),
    };
    Ok(value)
}

/// A number that no machine type holds exactly keeps its text.
fn number(decoder: &mut Decoder<'_>, text: &str) -> Value {
    if text == "-0" {
        return place_json(decoder, text);
    }
    let signed = text.parse().map(Value::Int);
    signed
        .or_else(|_| text.parse().map(Value::UInt))
        .unwrap_or_else(|_| place_json(decoder, text))
}

fn place_json(decoder: &mut Decoder<'_>, text: &str) -> Value {
    match decoder.tape.offset(text) {
        Some(at) => Value::RawJson {
            at,
            len: text.len() as u32,
        },
        None => decoder.tape.own_json(text),
    }
}

/// An object of an interface or union.
pub(super) fn abstract_object<'de, D: Deserializer<'de>>(
    decoder: &mut Decoder<'_>,
    shape: &AbstractShape,
    to: To,
    place: Place,
    json: D,
) -> Result<(), D::Error> {
    decoder.depth.guard(place).map_err(D::Error::custom)?;
    let raw = LazyValue::deserialize(json)?;
    let text = raw.as_raw_str();
    if text == "null" {
        decoder.put(to, Value::Null);
        return Ok(());
    }
    let path = shape.discriminator.as_slice();
    let named = match path {
        [] => None,
        path => read(text, Discriminator { shape, path })?,
    };
    match named.or_else(|| any_other(shape)) {
        Some(shape) => read(text, ObjectSeed { decoder, shape, to }),
        None => {
            let value = decoder.mismatch(&shape.ty, "a value that is none of its types");
            decoder.put(to, value);
            Ok(())
        }
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

fn by_value<'a>(shape: &'a AbstractShape, value: &str) -> Option<&'a Arc<ObjectShape>> {
    let means = |variant: &&AbstractVariant| variant.value.as_deref() == Some(value);
    shape
        .variants
        .iter()
        .find(means)
        .map(|variant| &variant.shape)
}

/// Reads the discriminating value and finds its type.
struct Discriminator<'a> {
    shape: &'a AbstractShape,
    path: &'a [String],
}

impl<'de, 'a> DeserializeSeed<'de> for Discriminator<'a> {
    type Value = Option<&'a Arc<ObjectShape>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Discriminator<'a> {
    fn means<E>(self, value: &str) -> Result<Option<&'a Arc<ObjectShape>>, E> {
        match self.path {
            [] => Ok(by_value(self.shape, value)),
            _ => Ok(None),
        }
    }
}

impl<'de, 'a> Visitor<'de> for Discriminator<'a> {
    type Value = Option<&'a Arc<ObjectShape>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let Some((first, rest)) = self.path.split_first() else {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        // The whole value was looked over when it was captured: no place is needed.
        let addresses = 0..0;
        while let Some(name) = entries.next_key_seed(NameIs {
            wanted: first,
            addresses: &addresses,
        })? {
            if name.is {
                found = entries.next_value_seed(Discriminator {
                    shape: self.shape,
                    path: rest,
                })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        self.means(if value { "true" } else { "false" })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        self.means(itoa::Buffer::new().format(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        self.means(itoa::Buffer::new().format(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        self.means(&value.to_string())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        self.means(value)
    }
}

/// A leaf from JSON text: what `JSON_STRING` carries.
pub(super) fn json_string(decoder: &mut Decoder<'_>, leaf: &Leaf, text: &str) -> Value {
    let plain = Leaf {
        kind: leaf.kind.clone(),
        format: None,
    };
    if let Err(error) = Depth::new(text).guard(Place::Start) {
        return decoder.tape.error(error.to_string());
    }
    match sonic_rs::from_str::<serde_json::Value>(text) {
        Ok(json) if json.is_object() || json.is_array() => match plain.kind {
            LeafKind::Json => decoder.tape.own_json(&json.to_string()),
            _ => decoder.mismatch(describe(&plain.kind), "a text that is other JSON"),
        },
        Ok(json) => coerce(decoder, &plain, Scalar::of_json(&json)),
        Err(_) => decoder.mismatch(describe(&plain.kind), "a text that is not JSON"),
    }
}
