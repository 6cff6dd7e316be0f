//! From one upstream scalar to one leaf.
//!
//! Owns what each protobuf scalar means and which leaf accepts it. Knows
//! nothing of messages. The rules: <https://protobuf.dev/programming-guides/json/>
//! for what a value is, and the coercion table of the schema language for what
//! a leaf takes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::DateTime;
use chrono::SecondsFormat;
use compose::model::Format;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::tape::Tape;
use plan::tape::Value;
use prost_reflect::EnumDescriptor;
use prost_reflect::Kind;
use serde_json::Value as Json;

use super::wire::Raw;
use crate::format;
use crate::format::Misfit;

/// A scalar as the contract declares it, borrowed from the reply where it is text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A value of an enum that the contract names.
    Symbol {
        name: &'a str,
        /// The zero that stands for "not set".
        unspecified: bool,
    },
    /// A value of an enum that the contract does not name.
    UnknownSymbol,
    /// Not what the type promises: not UTF-8, not a number, out of range.
    Invalid(&'static str),
}

/// The kind of a scalar field, with what is needed to read it.
#[derive(Clone, Debug)]
pub(super) enum ScalarKind {
    Plain(Kind),
    Enum(Symbols),
}

/// The names of an enum, by number.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    by_number: Vec<(i32, Box<str>)>,
    default: i32,
}

impl Symbols {
    fn new(descriptor: &EnumDescriptor) -> Self {
        let mut by_number: Vec<(i32, Box<str>)> = descriptor
            .values()
            .map(|value| (value.number(), value.name().into()))
            .collect();
        // With `allow_alias` the first name of a number is the canonical one: the sort is stable.
        by_number.sort_by_key(|(number, _)| *number);
        by_number.dedup_by_key(|(number, _)| *number);
        Self {
            by_number,
            default: descriptor.default_value().number(),
        }
    }

    fn scalar(&self, number: i32) -> Scalar<'_> {
        match self
            .by_number
            .binary_search_by_key(&number, |(number, _)| *number)
        {
            Ok(at) => {
                let name: &str = &self.by_number[at].1;
                Scalar::Symbol {
                    name,
                    unspecified: number == 0 && name.ends_with("UNSPECIFIED"),
                }
            }
            Err(_) => Scalar::UnknownSymbol,
        }
    }
}

impl ScalarKind {
    /// The kind of a field that is no message.
    pub(super) fn new(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Message(_) => None,
            Kind::Enum(descriptor) => Some(ScalarKind::Enum(Symbols::new(descriptor))),
            other => Some(ScalarKind::Plain(other.clone())),
        }
    }

    /// What stands on the wire, as this kind.
    pub(super) fn read<'a>(&'a self, reply: &'a [u8], raw: Raw) -> Scalar<'a> {
        let number = match raw {
            Raw::Number(number) => number,
            Raw::Range { .. } => return self.read_range(&reply[raw.range()]),
        };
        match self {
            ScalarKind::Enum(symbols) => symbols.scalar(number as i32),
            ScalarKind::Plain(kind) => read_number(kind, number),
        }
    }

    fn read_range<'a>(&self, bytes: &'a [u8]) -> Scalar<'a> {
        match self {
            ScalarKind::Plain(Kind::Bytes) => Scalar::Bytes(bytes),
            _ => match std::str::from_utf8(bytes) {
                Ok(text) => Scalar::Text(text),
                Err(_) => Scalar::Invalid("a text that is not UTF-8"),
            },
        }
    }

    /// What an absent field without presence is.
    pub(super) fn zero(&self) -> Scalar<'_> {
        match self {
            ScalarKind::Enum(symbols) => symbols.scalar(symbols.default),
            ScalarKind::Plain(Kind::String) => Scalar::Text(""),
            ScalarKind::Plain(Kind::Bytes) => Scalar::Bytes(&[]),
            ScalarKind::Plain(kind) => read_number(kind, 0),
        }
    }
}

fn read_number(kind: &Kind, number: u64) -> Scalar<'static> {
    match kind {
        Kind::Bool => Scalar::Bool(number != 0),
        Kind::Int32 | Kind::Sfixed32 => Scalar::Int(i64::from(number as i32)),
        Kind::Int64 | Kind::Sfixed64 => Scalar::Int(number as i64),
        Kind::Uint32 | Kind::Fixed32 => Scalar::Int(i64::from(number as u32)),
        Kind::Uint64 | Kind::Fixed64 => unsigned(number),
        Kind::Sint32 => Scalar::Int(zigzag(u64::from(number as u32))),
        Kind::Sint64 => Scalar::Int(zigzag(number)),
        Kind::Float => float(widen(f32::from_bits(number as u32))),
        Kind::Double => float(f64::from_bits(number)),
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => {
            Scalar::Invalid("a value of another type")
        }
    }
}

fn unsigned(number: u64) -> Scalar<'static> {
    match i64::try_from(number) {
        Ok(number) => Scalar::Int(number),
        Err(_) => Scalar::UInt(number),
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn float(number: f64) -> Scalar<'static> {
    match number.is_finite() {
        true => Scalar::Float(number),
        false => Scalar::Invalid("a number that is not finite"),
    }
}

/// The number whose shortest decimal form is that of the narrow one: `0.1f32` is 0.1, not 0.10000000149.
pub(super) fn widen(number: f32) -> f64 {
    if number.fract() == 0.0 || !number.is_finite() {
        return f64::from(number);
    }
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// A scalar as a leaf of the graph.
pub(super) fn leaf(tape: &mut Tape, scalar: Scalar<'_>, leaf: &Leaf) -> Value {
    match leaf.format {
        None => plain(tape, scalar, &leaf.kind),
        Some(format) => formatted(tape, scalar, &leaf.kind, format),
    }
}

fn plain(tape: &mut Tape, scalar: Scalar<'_>, kind: &LeafKind) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => boolean(tape, value, kind),
        Scalar::Int(value) => integer(tape, value, kind),
        Scalar::UInt(value) => large(tape, value, kind),
        Scalar::Float(value) => number(tape, value, kind),
        Scalar::Text(value) => text(tape, value, kind),
        Scalar::Bytes(value) => text(tape, &BASE64_STANDARD.encode(value), kind),
        Scalar::Symbol { name, unspecified } => symbol(tape, name, unspecified, kind),
        Scalar::UnknownSymbol => unknown_symbol(tape, kind),
        Scalar::Invalid(what) => mismatch(tape, kind, what),
    }
}

fn boolean(tape: &mut Tape, value: bool, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Boolean | LeafKind::Json => Value::Bool(value),
        _ => mismatch(tape, kind, "a boolean"),
    }
}

fn integer(tape: &mut Tape, value: i64, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Int if i32::try_from(value).is_err() => mismatch(tape, kind, "a larger integer"),
        LeafKind::Int | LeafKind::Int64 | LeafKind::Id | LeafKind::Float | LeafKind::Json => {
            Value::Int(value)
        }
        LeafKind::Enum(values) => match values.index(&value.to_string()) {
            Some(index) => Value::Enum(index),
            None => mismatch(tape, kind, "another value"),
        },
        LeafKind::String | LeafKind::Boolean => mismatch(tape, kind, "an integer"),
    }
}

fn large(tape: &mut Tape, value: u64, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Int64 | LeafKind::Id | LeafKind::Float | LeafKind::Json => Value::UInt(value),
        LeafKind::Int => mismatch(tape, kind, "a larger integer"),
        _ => mismatch(tape, kind, "an integer"),
    }
}

fn number(tape: &mut Tape, value: f64, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Float | LeafKind::Json => Value::Float(value),
        LeafKind::Int | LeafKind::Int64 | LeafKind::Id if is_exact(value) => {
            integer(tape, value as i64, kind)
        }
        _ => mismatch(tape, kind, "a number"),
    }
}

/// Integral, and small enough that a 64-bit float names one integer only.
fn is_exact(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0
}

fn text(tape: &mut Tape, value: &str, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::String | LeafKind::Id | LeafKind::Json => place(tape, value),
        LeafKind::Int64 => match decimal(value) {
            Some(value) => value,
            None => mismatch(tape, kind, "a text"),
        },
        LeafKind::Enum(values) => match values.index(value) {
            Some(index) => Value::Enum(index),
            None => mismatch(tape, kind, "another value"),
        },
        LeafKind::Int | LeafKind::Float | LeafKind::Boolean => mismatch(tape, kind, "a text"),
    }
}

/// A decimal integer of 64 bits, as JSON writes it: no sign but `-`, no leading zeros.
fn decimal(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || !digits.starts_with('0');
    if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.parse() {
        Ok(value) => Some(Value::Int(value)),
        Err(_) => text.parse().ok().map(Value::UInt),
    }
}

/// A listed value is what the list says; an unlisted "unspecified" is null unless `"*"` takes it.
fn symbol(tape: &mut Tape, name: &str, unspecified: bool, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Enum(values) => match values.index(name) {
            Some(index) => Value::Enum(index),
            None if unspecified => Value::Null,
            None => mismatch(tape, kind, "another value"),
        },
        _ if unspecified => Value::Null,
        _ => text(tape, name, kind),
    }
}

fn unknown_symbol(tape: &mut Tape, kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Enum(values) => match values.other {
            Some(index) => Value::Enum(index),
            None => mismatch(tape, kind, "a number that the contract does not name"),
        },
        _ => mismatch(tape, kind, "a number that the contract does not name"),
    }
}

fn formatted(tape: &mut Tape, scalar: Scalar<'_>, kind: &LeafKind, format: Format) -> Value {
    let converted = match (format, &scalar) {
        (Format::UnixSeconds, Scalar::Int(seconds)) => format::rfc3339(*seconds, 0),
        (Format::UnixSeconds, Scalar::Float(seconds)) => format::rfc3339_from_seconds(*seconds),
        (Format::UnixMillis, Scalar::Int(millis)) => format::rfc3339_from_millis(*millis as f64),
        (Format::UnixMillis, Scalar::Float(millis)) => format::rfc3339_from_millis(*millis),
        (Format::NumberAsString, Scalar::Int(value)) => Ok(value.to_string()),
        (Format::NumberAsString, Scalar::UInt(value)) => Ok(value.to_string()),
        (Format::NumberAsString, Scalar::Float(value)) => Ok(value.to_string()),
        (Format::Base64, Scalar::Text(value)) => format::from_base64(value),
        (Format::Base64, Scalar::Bytes(value)) => utf8(value),
        (Format::StringAsNumber, Scalar::Text(value)) => return parsed_number(tape, value, kind),
        (Format::JsonString, Scalar::Text(value)) => return parsed_json(tape, value, kind),
        _ => return plain(tape, scalar, kind),
    };
    match converted {
        Ok(value) => text(tape, &value, kind),
        Err(misfit) => tape.error(misfit.to_string()),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, Misfit> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Misfit("bytes of text"))
}

fn parsed_number(tape: &mut Tape, value: &str, kind: &LeafKind) -> Value {
    match format::number(value) {
        Ok(number) => plain(tape, json_scalar(&Json::Number(number)), kind),
        Err(misfit) => tape.error(misfit.to_string()),
    }
}

fn parsed_json(tape: &mut Tape, value: &str, kind: &LeafKind) -> Value {
    match serde_json::from_str(value) {
        Ok(json) => from_json(tape, &json, kind),
        Err(_) => mismatch(tape, kind, "a text that is not JSON"),
    }
}

/// A JSON value as a leaf: what well-known types, constants and error replies are made of.
pub(super) fn from_json(tape: &mut Tape, json: &Json, kind: &LeafKind) -> Value {
    match json {
        Json::Array(_) | Json::Object(_) if matches!(kind, LeafKind::Json) => {
            tape.own_json(&json.to_string())
        }
        Json::Array(_) => mismatch(tape, kind, "a list"),
        Json::Object(_) => mismatch(tape, kind, "an object"),
        other => plain(tape, json_scalar(other), kind),
    }
}

/// The scalar that a JSON value is; lists and objects are none.
pub(super) fn json_scalar(json: &Json) -> Scalar<'_> {
    match json {
        Json::Null => Scalar::Null,
        Json::Bool(value) => Scalar::Bool(*value),
        Json::String(value) => Scalar::Text(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Scalar::Int(value),
            (_, Some(value), _) => Scalar::UInt(value),
            (_, _, Some(value)) => float(value),
            _ => Scalar::Invalid("a number out of range"),
        },
        Json::Array(_) => Scalar::Invalid("a list"),
        Json::Object(_) => Scalar::Invalid("an object"),
    }
}

/// Text by its place in the reply, else a copy.
fn place(tape: &mut Tape, text: &str) -> Value {
    match tape.offset(text) {
        Some(at) if needs_no_escape(text) => Value::Plain {
            at,
            len: text.len() as u32,
        },
        Some(at) => Value::Text {
            at,
            len: text.len() as u32,
        },
        None => tape.own(text),
    }
}

/// Without a branch per byte, so that it is compiled to vector instructions.
pub(super) fn needs_no_escape(text: &str) -> bool {
    let escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    !text
        .bytes()
        .fold(false, |found, byte| found | escaped(byte))
}

/// The error for an upstream value that a leaf does not take. Never says the value itself.
pub(super) fn mismatch(tape: &mut Tape, kind: &LeafKind, found: &str) -> Value {
    tape.error(format!("expected {}, found {found}", describe(kind)))
}

fn describe(kind: &LeafKind) -> &'static str {
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

/// `google.protobuf.Timestamp` as RFC 3339 with 0, 3, 6 or 9 digits of a second.
pub(super) fn timestamp(seconds: i64, nanos: i64) -> Option<String> {
    const FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let moment = DateTime::from_timestamp(seconds, nanos as u32)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// `google.protobuf.Duration` as decimal seconds with 0, 3, 6 or 9 digits: `3.500s`.
pub(super) fn duration(seconds: i64, nanos: i64) -> Option<String> {
    const LONGEST: u64 = 315_576_000_000; // 10,000 years
    let same_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    let in_range = seconds.unsigned_abs() <= LONGEST && nanos.unsigned_abs() <= 999_999_999;
    if !in_range || !same_sign {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let (whole, part) = (seconds.abs(), nanos.abs());
    Some(match part {
        0 => format!("{sign}{whole}s"),
        _ if part % 1_000_000 == 0 => format!("{sign}{whole}.{:03}s", part / 1_000_000),
        _ if part % 1_000 == 0 => format!("{sign}{whole}.{:06}s", part / 1_000),
        _ => format!("{sign}{whole}.{part:09}s"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plan::shape::EnumValues;

    use super::*;

    fn coerced(scalar: Scalar<'_>, kind: LeafKind, format: Option<Format>) -> (Value, Tape) {
        let mut tape = Tape::new(bytes::Bytes::new());
        let value = leaf(&mut tape, scalar, &Leaf { kind, format });
        (value, tape)
    }

    fn shown(scalar: Scalar<'_>, kind: LeafKind, format: Format) -> String {
        let (value, tape) = coerced(scalar, kind, Some(format));
        match value {
            Value::Error(at) => tape.value_error(at).message().to_owned(),
            value => tape.str(value).map_or(format!("{value:?}"), str::to_owned),
        }
    }

    #[test]
    fn integers_keep_all_64_bits() {
        let (value, _) = coerced(Scalar::Int(i64::MIN), LeafKind::Int64, None);
        assert_eq!(value, Value::Int(i64::MIN));
        let (value, _) = coerced(unsigned(u64::MAX), LeafKind::Id, None);
        assert_eq!(value, Value::UInt(u64::MAX));
        let (value, _) = coerced(Scalar::Text("9007199254740993"), LeafKind::Int64, None);
        assert_eq!(value, Value::Int(9_007_199_254_740_993));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_that_does_not_say_the_value() {
        let (value, tape) = coerced(Scalar::Int(1 << 40), LeafKind::Int, None);
        let Value::Error(at) = value else {
            panic!("{value:?}")
        };
        assert_eq!(
            tape.value_error(at).message(),
            "expected Int, found a larger integer"
        );
        for text in ["", "-", "01", "1e3", "+1", "18446744073709551616"] {
            let (value, _) = coerced(Scalar::Text(text), LeafKind::Int64, None);
            assert!(matches!(value, Value::Error(_)), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_errors() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let (value, _) = coerced(float(number), LeafKind::Float, None);
            assert!(matches!(value, Value::Error(_)));
        }
    }

    #[test]
    fn an_unspecified_enum_value_is_null_unless_it_is_listed() {
        let listed = |upstream: &[(&str, u32)], other| {
            LeafKind::Enum(Arc::new(EnumValues {
                names: vec!["A".into(), "B".into()],
                upstream: upstream
                    .iter()
                    .map(|(name, at)| ((*name).into(), *at))
                    .collect(),
                other,
            }))
        };
        let unspecified = || Scalar::Symbol {
            name: "KIND_UNSPECIFIED",
            unspecified: true,
        };
        assert_eq!(
            coerced(unspecified(), listed(&[("KIND_A", 0)], None), None).0,
            Value::Null
        );
        let named = listed(&[("KIND_UNSPECIFIED", 1)], None);
        assert_eq!(coerced(unspecified(), named, None).0, Value::Enum(1));
        let rest = listed(&[("KIND_A", 0)], Some(1));
        assert_eq!(coerced(Scalar::UnknownSymbol, rest, None).0, Value::Enum(1));
        let (unknown, _) = coerced(Scalar::UnknownSymbol, listed(&[], None), None);
        assert!(matches!(unknown, Value::Error(_)));
    }

    #[test]
    fn a_narrow_float_keeps_its_shortest_decimal_form() {
        assert_eq!(widen(0.1), 0.1);
        assert_eq!(widen(19.99), 19.99);
        assert_eq!(widen(16_777_216.0), 16_777_216.0);
    }

    #[test]
    fn moments_and_spans_are_written_with_the_digits_they_need() {
        assert_eq!(timestamp(0, 0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(
            timestamp(-1, 500_000_000).unwrap(),
            "1969-12-31T23:59:59.500Z"
        );
        assert_eq!(timestamp(1, 1).unwrap(), "1970-01-01T00:00:01.000000001Z");
        assert!(timestamp(253_402_300_800, 0).is_none());
        assert!(timestamp(0, -1).is_none());
        assert_eq!(duration(3, 500_000_000).unwrap(), "3.500s");
        assert_eq!(duration(0, -1).unwrap(), "-0.000000001s");
        assert!(duration(1, -1).is_none());
        assert!(duration(i64::MIN, 0).is_none());
    }

    #[test]
    fn formats_convert_before_the_leaf_is_read() {
        let text = || LeafKind::String;
        let json = || LeafKind::Json;
        let shown_text = |scalar, format| shown(scalar, text(), format);
        assert_eq!(
            shown_text(Scalar::Int(0), Format::UnixSeconds),
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(
            shown_text(Scalar::Int(-1), Format::UnixMillis),
            "1969-12-31T23:59:59.999Z"
        );
        assert_eq!(shown_text(Scalar::Int(7), Format::NumberAsString), "7");
        assert_eq!(shown_text(Scalar::Text("aGk="), Format::Base64), "hi");
        assert_eq!(shown_text(Scalar::Bytes(b"hi"), Format::Base64), "hi");
        assert_eq!(
            shown_text(Scalar::Bytes(b"\xff"), Format::Base64),
            "expected bytes of text"
        );
        assert_eq!(
            shown(Scalar::Text("7"), LeafKind::Int, Format::StringAsNumber),
            "Int(7)"
        );
        assert_eq!(
            shown(Scalar::Text("x"), LeafKind::Int, Format::StringAsNumber),
            "expected a number"
        );
        assert_eq!(
            shown(Scalar::Text("{\"a\":1}"), json(), Format::JsonString),
            "{\"a\":1}"
        );
        assert_eq!(
            shown(Scalar::Text("{"), json(), Format::JsonString),
            "expected a value, found a text that is not JSON"
        );
    }
}
