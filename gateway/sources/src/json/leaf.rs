//! From one JSON value to one leaf: the coercion table of the schema language.

use compose::model::Format;
use plan::shape::EnumValues;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::tape::Value;
use serde_json::Value as Json;

use super::raw;
use super::reader::Fault;
use super::value::Decoder;
use crate::format;

/// A JSON value that is neither list nor object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    UInt(u64),
    Float(f64),
    /// Text that stands in the reply as it is.
    Plain(&'a str),
    /// Other text.
    Text(&'a str),
    /// What no leaf can be: a list, an object, a number that no float holds.
    Other(&'static str),
}

impl<'a> Scalar<'a> {
    pub(super) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Scalar::Null,
            Json::Bool(value) => Scalar::Bool(*value),
            Json::String(text) => Scalar::Text(text),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Scalar::Int(value),
                (None, Some(value)) => Scalar::UInt(value),
                (None, None) => Scalar::Float(number.as_f64().unwrap_or_default()),
            },
            Json::Array(_) => Scalar::Other("a list"),
            Json::Object(_) => Scalar::Other("an object"),
        }
    }

    /// What arrived, without its value.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool(_) => "a boolean",
            Scalar::Int(_) | Scalar::UInt(_) => "an integer",
            Scalar::Float(_) => "a number",
            Scalar::Plain(_) | Scalar::Text(_) => "a text",
            Scalar::Other(what) => what,
        }
    }
}

/// What a leaf expects.
pub(super) fn describe(kind: &LeafKind) -> &'static str {
    match kind {
        LeafKind::Int => "Int",
        LeafKind::Float => "Float",
        LeafKind::String => "String",
        LeafKind::Boolean => "Boolean",
        LeafKind::Id => "ID",
        LeafKind::Int64 => "Int64",
        LeafKind::Enum(_) => "one of the enum's values",
        LeafKind::Json => "a value",
    }
}

/// A value as a leaf; one that does not fit is noted as an error.
#[inline]
pub(super) fn coerce(decoder: &mut Decoder<'_>, leaf: &Leaf, scalar: Scalar<'_>) -> Value {
    match leaf.format {
        None => plain(decoder, &leaf.kind, scalar),
        Some(format) => formatted(decoder, leaf, format, scalar),
    }
}

#[inline]
fn plain(decoder: &mut Decoder<'_>, kind: &LeafKind, scalar: Scalar<'_>) -> Value {
    match (kind, scalar) {
        (_, Scalar::Null) => Value::Null,
        (LeafKind::String | LeafKind::Id | LeafKind::Json, Scalar::Plain(text)) => {
            decoder.borrowed(text)
        }
        (LeafKind::String | LeafKind::Id | LeafKind::Json, Scalar::Text(text)) => {
            decoder.tape.own(text)
        }
        (LeafKind::Int, Scalar::Int(value)) => int(decoder, value),
        (LeafKind::Id | LeafKind::Int64 | LeafKind::Float | LeafKind::Json, Scalar::Int(value)) => {
            Value::Int(value)
        }
        (LeafKind::Float | LeafKind::Json, Scalar::Float(value)) => Value::Float(value),
        (LeafKind::Boolean | LeafKind::Json, Scalar::Bool(value)) => Value::Bool(value),
        (LeafKind::Enum(values), scalar) => symbol(decoder, values, scalar),
        (kind, scalar) => unusual(decoder, kind, scalar),
    }
}

fn int(decoder: &mut Decoder<'_>, value: i64) -> Value {
    match i32::try_from(value) {
        Ok(_) => Value::Int(value),
        Err(_) => decoder.mismatch("Int", "a larger integer"),
    }
}

fn unusual(decoder: &mut Decoder<'_>, kind: &LeafKind, scalar: Scalar<'_>) -> Value {
    match (kind, scalar) {
        (
            LeafKind::Id | LeafKind::Int64 | LeafKind::Float | LeafKind::Json,
            Scalar::UInt(value),
        ) => Value::UInt(value),
        (LeafKind::Int, Scalar::UInt(_)) => decoder.mismatch("Int", "a larger integer"),
        (LeafKind::Int64, Scalar::Plain(text) | Scalar::Text(text)) => match decimal(text) {
            Some(value) => value,
            None => decoder.mismatch("Int64", "a text that is no integer"),
        },
        (LeafKind::Int | LeafKind::Int64 | LeafKind::Id, Scalar::Float(value))
            if is_exact(value) =>
        {
            plain(decoder, kind, Scalar::Int(value as i64))
        }
        (kind, scalar) => decoder.mismatch(describe(kind), scalar.describe()),
    }
}

/// A decimal integer of 64 bits, spelled as JSON spells it.
fn decimal(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let signed = text.parse().map(Value::Int);
    signed.or_else(|_| text.parse().map(Value::UInt)).ok()
}

/// Integral, and small enough that a double names one integer only.
fn is_exact(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0
}

fn symbol(decoder: &mut Decoder<'_>, values: &EnumValues, scalar: Scalar<'_>) -> Value {
    let mut digits = itoa::Buffer::new();
    let index = match scalar {
        Scalar::Plain(text) | Scalar::Text(text) => values.index(text),
        Scalar::Int(value) => values.index(digits.format(value)),
        Scalar::UInt(value) => values.index(digits.format(value)),
        Scalar::Bool(value) => values.index(if value { "true" } else { "false" }),
        Scalar::Float(value) => values.index(&value.to_string()),
        Scalar::Null | Scalar::Other(_) => None,
    };
    match index {
        Some(index) => Value::Enum(index),
        None => decoder.mismatch("one of the enum's values", "another value"),
    }
}

fn formatted(decoder: &mut Decoder<'_>, leaf: &Leaf, format: Format, scalar: Scalar<'_>) -> Value {
    let converted = match (format, scalar) {
        (_, Scalar::Null) => return Value::Null,
        (Format::UnixSeconds, scalar) => time(scalar, format::rfc3339_from_seconds),
        (Format::UnixMillis, scalar) => time(scalar, format::rfc3339_from_millis),
        (Format::NumberAsString | Format::StringAsNumber, scalar) => {
            return number_or_text(decoder, &leaf.kind, scalar);
        }
        (Format::JsonString, Scalar::Plain(text) | Scalar::Text(text)) => {
            return raw::json_string(decoder, leaf, text);
        }
        (Format::Base64, Scalar::Plain(text) | Scalar::Text(text)) => format::from_base64(text),
        (Format::JsonString | Format::Base64, _) => Err(format::Misfit("a text")),
    };
    match converted {
        Ok(text) => plain(decoder, &leaf.kind, Scalar::Text(&text)),
        Err(misfit) => decoder.mismatch(misfit.0, scalar.describe()),
    }
}

fn time(
    scalar: Scalar<'_>,
    convert: fn(f64) -> Result<String, format::Misfit>,
) -> Result<String, format::Misfit> {
    match scalar {
        Scalar::Int(value) => convert(value as f64),
        Scalar::Float(value) => convert(value),
        Scalar::Plain(text) | Scalar::Text(text) => {
            convert(format::number(text)?.as_f64().unwrap_or(f64::NAN))
        }
        _ => Err(format::Misfit("a point in time")),
    }
}

/// A number where the leaf is a text, or a text where it is a number.
fn number_or_text(decoder: &mut Decoder<'_>, kind: &LeafKind, scalar: Scalar<'_>) -> Value {
    let wants_text = matches!(kind, LeafKind::String | LeafKind::Id | LeafKind::Enum(_));
    match scalar {
        Scalar::Plain(text) | Scalar::Text(text) if !wants_text => match format::number(text) {
            Ok(number) => plain(decoder, kind, Scalar::of_json(&Json::Number(number))),
            Err(misfit) => decoder.mismatch(misfit.0, "another text"),
        },
        Scalar::Int(value) if wants_text => text(decoder, kind, &value.to_string()),
        Scalar::UInt(value) if wants_text => text(decoder, kind, &value.to_string()),
        Scalar::Float(value) if wants_text => text(decoder, kind, &value.to_string()),
        scalar => plain(decoder, kind, scalar),
    }
}

fn text(decoder: &mut Decoder<'_>, kind: &LeafKind, text: &str) -> Value {
    plain(decoder, kind, Scalar::Text(text))
}

impl Decoder<'_> {
    /// Reads one leaf.
    #[inline]
    pub(super) fn leaf(&mut self, leaf: &Leaf) -> Result<Value, Fault> {
        match self.reader.peek()? {
            b'"' => self.text_leaf(leaf),
            _ if matches!(leaf.kind, LeafKind::Json) => raw::json_leaf(self, leaf),
            b'{' | b'[' => {
                let found = self.reader.skip()?;
                Ok(coerce(self, leaf, Scalar::Other(found)))
            }
            _ => {
                let scalar = self.reader.scalar()?;
                Ok(coerce(self, leaf, scalar))
            }
        }
    }

    #[inline]
    fn text_leaf(&mut self, leaf: &Leaf) -> Result<Value, Fault> {
        let text = self.reader.string()?;
        if let (LeafKind::String | LeafKind::Id | LeafKind::Json, None) = (&leaf.kind, leaf.format)
        {
            return self.kept(text);
        }
        let plain = text.plain().is_some();
        let text = self.reader.text(text)?;
        let scalar = match plain {
            true => Scalar::Plain(&text),
            false => Scalar::Text(&text),
        };
        Ok(coerce(self, leaf, scalar))
    }
}
