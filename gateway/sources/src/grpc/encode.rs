//! From JSON to a request message.
//!
//! Owns what the contract's types accept: the proto3 JSON mapping, and beyond
//! it whatever an ID may be (`5` for a string, `"5"` for an int64). Every
//! refusal names the field. Knows nothing of expressions or calls.
//! <https://protobuf.dev/programming-guides/json/>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::DateTime;
use prost_reflect::DynamicMessage;
use prost_reflect::EnumDescriptor;
use prost_reflect::FieldDescriptor;
use prost_reflect::Kind;
use prost_reflect::MapKey;
use prost_reflect::MessageDescriptor;
use prost_reflect::Value;
use prost_reflect::prost::Message;
use serde_json::Map;
use serde_json::Value as Json;

/// A value that does not fit the field it is for. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The request's field `{path}` {problem}.")]
pub(super) struct Unfit {
    path: String,
    problem: String,
}

impl Unfit {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            problem: problem.into(),
        }
    }

    fn wants(what: &str) -> Self {
        Self::new(format!("takes {what}"))
    }

    /// Prepends a step of the way to the value.
    fn below(mut self, name: &str) -> Self {
        self.path = match self.path.is_empty() || self.path.starts_with('[') {
            true => format!("{name}{}", self.path),
            false => format!("{name}.{}", self.path),
        };
        self
    }
}

/// A message from an object keyed by proto or JSON names; nulls are left out.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    json: &Json,
) -> Result<DynamicMessage, Unfit> {
    let Json::Object(members) = json else {
        return Err(Unfit::wants("an object"));
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    let given = members
        .iter()
        .filter(|(name, value)| !value.is_null() || takes_null(descriptor, name));
    for (name, value) in given {
        let Some(field) = find(descriptor, name) else {
            return Err(Unfit::new("is not in the contract").below(name));
        };
        let value = field_value(&field, value).map_err(|unfit| unfit.below(field.name()))?;
        set(&mut message, &field, value)?;
    }
    Ok(message)
}

/// Null is itself a value of one type only.
fn takes_null(descriptor: &MessageDescriptor, name: &str) -> bool {
    find(descriptor, name).is_some_and(|field| match field.kind() {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        _ => false,
    })
}

fn find(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor
        .get_field_by_name(name)
        .or_else(|| descriptor.get_field_by_json_name(name))
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Value) -> Result<(), Unfit> {
    let oneof = field
        .containing_oneof()
        .filter(|oneof| !oneof.is_synthetic());
    let excluded = oneof.as_ref().and_then(|oneof| {
        let is_given = |other: &FieldDescriptor| other != field && message.has_field(other);
        oneof.fields().find(is_given).map(|other| (oneof, other))
    });
    if let Some((oneof, other)) = excluded {
        let (other, oneof) = (other.name(), oneof.name());
        let problem = format!("excludes `{other}`: only one of `{oneof}` may be given");
        return Err(Unfit::new(problem).below(field.name()));
    }
    message.set_field(field, value);
    Ok(())
}

fn field_value(field: &FieldDescriptor, json: &Json) -> Result<Value, Unfit> {
    match (json, field.kind()) {
        (Json::Object(entries), Kind::Message(entry)) if field.is_map() => map(&entry, entries),
        (_, _) if field.is_map() => Err(Unfit::wants("an object")),
        (Json::Array(items), kind) if field.is_list() => list(&kind, items),
        (json, kind) if field.is_list() => Ok(Value::List(vec![value(&kind, json)?])),
        (json, kind) => value(&kind, json),
    }
}

fn list(kind: &Kind, items: &[Json]) -> Result<Value, Unfit> {
    let values = items
        .iter()
        .enumerate()
        .map(|(index, item)| value(kind, item).map_err(|unfit| unfit.below(&format!("[{index}]"))));
    values.collect::<Result<_, _>>().map(Value::List)
}

fn map(entry: &MessageDescriptor, entries: &Map<String, Json>) -> Result<Value, Unfit> {
    let (key_kind, value_kind) = (
        entry.map_entry_key_field().kind(),
        entry.map_entry_value_field().kind(),
    );
    let values = entries.iter().map(|(name, json)| {
        let key = map_key(&key_kind, name).map_err(|unfit| unfit.below(name))?;
        let value = value(&value_kind, json).map_err(|unfit| unfit.below(name))?;
        Ok((key, value))
    });
    values.collect::<Result<_, _>>().map(Value::Map)
}

fn map_key(kind: &Kind, name: &str) -> Result<MapKey, Unfit> {
    let json = match (kind, name) {
        (Kind::Bool, "true") => Json::Bool(true),
        (Kind::Bool, "false") => Json::Bool(false),
        _ => Json::from(name),
    };
    value(kind, &json)?
        .into_map_key()
        .ok_or_else(|| Unfit::wants("another key"))
}

fn value(kind: &Kind, json: &Json) -> Result<Value, Unfit> {
    match kind {
        Kind::Message(descriptor) => message_value(descriptor, json).map(Value::Message),
        Kind::Enum(descriptor) => symbol(descriptor, json).map(Value::EnumNumber),
        Kind::Bool => boolean(json).map(Value::Bool),
        Kind::String => text(json).map(Value::String),
        Kind::Bytes => bytes(json).map(|bytes| Value::Bytes(bytes.into())),
        Kind::Double => float(json).map(Value::F64),
        Kind::Float => narrow_float(json).map(Value::F32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(json, "an int32").map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(json, "an int64").map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => integer(json, "a uint32").map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => integer(json, "a uint64").map(Value::U64),
    }
}

/// An integer of any spelling that names it exactly: `5`, `"5"`, `5.0`.
fn integer<T: TryFrom<i128>>(json: &Json, wanted: &str) -> Result<T, Unfit> {
    let number = match json {
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Some(i128::from(number)),
            (_, Some(number), _) => Some(i128::from(number)),
            (_, _, Some(number))
                if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 =>
            {
                Some(number as i128)
            }
            _ => None,
        },
        Json::String(text)
            if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) =>
        {
            text.parse().ok()
        }
        _ => None,
    };
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Unfit::wants(wanted))
}

fn float(json: &Json) -> Result<f64, Unfit> {
    let number = match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| Unfit::wants("a number"))
}

fn narrow_float(json: &Json) -> Result<f32, Unfit> {
    let number = float(json)? as f32;
    Some(number)
        .filter(|number| number.is_finite())
        .ok_or_else(|| Unfit::wants("a number of 32 bits"))
}

fn boolean(json: &Json) -> Result<bool, Unfit> {
    match json {
        Json::Bool(value) => Ok(*value),
        Json::String(text) if text == "true" => Ok(true),
        Json::String(text) if text == "false" => Ok(false),
        _ => Err(Unfit::wants("a boolean")),
    }
}

/// A number or a boolean is its text: an ID may be either.
fn text(json: &Json) -> Result<String, Unfit> {
    match json {
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(json.to_string()),
        _ => Err(Unfit::wants("a text")),
    }
}

fn bytes(json: &Json) -> Result<Vec<u8>, Unfit> {
    let Json::String(text) = json else {
        return Err(Unfit::wants("bytes in base64"));
    };
    let standard = BASE64_STANDARD.decode(text);
    let decoded = standard.or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
    decoded.map_err(|_| Unfit::wants("bytes in base64"))
}

fn symbol(descriptor: &EnumDescriptor, json: &Json) -> Result<i32, Unfit> {
    if let Some(named) = json
        .as_str()
        .and_then(|name| descriptor.get_value_by_name(name))
    {
        return Ok(named.number());
    }
    if json.is_null() {
        return Ok(descriptor.default_value().number());
    }
    integer(json, "")
        .map_err(|_| Unfit::new(format!("takes a value of the enum {}", descriptor.name())))
}

fn message_value(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => timestamp(descriptor, json),
        "google.protobuf.Duration" => duration(descriptor, json),
        "google.protobuf.FieldMask" => field_mask(descriptor, json),
        "google.protobuf.Any" => any(descriptor, json),
        "google.protobuf.Value" => free_value(descriptor, json),
        "google.protobuf.Struct" | "google.protobuf.ListValue" => only_field(descriptor, json),
        name if super::is_wrapper(name) => only_field(descriptor, json),
        _ => message(descriptor, json),
    }
}

/// Wrappers, Struct and ListValue are what their one field is.
fn only_field(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    let field = descriptor
        .get_field(1)
        .ok_or_else(|| Unfit::wants("another type"))?;
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field(&field, field_value(&field, json)?);
    Ok(message)
}

/// `google.protobuf.Value`: the member of its oneof that the JSON type names.
fn free_value(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    let member = match json {
        Json::Null => "null_value",
        Json::Bool(_) => "bool_value",
        Json::Number(_) => "number_value",
        Json::String(_) => "string_value",
        Json::Array(_) => "list_value",
        Json::Object(_) => "struct_value",
    };
    let field = descriptor
        .get_field_by_name(member)
        .ok_or_else(|| Unfit::wants("another type"))?;
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field(&field, field_value(&field, json)?);
    Ok(message)
}

fn timestamp(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    if json.is_object() {
        return message(descriptor, json);
    }
    let moment = json
        .as_str()
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let moment = moment.ok_or_else(|| Unfit::wants("a time such as 2025-01-31T09:30:00Z"))?;
    Ok(seconds_and_nanos(
        descriptor,
        moment.timestamp(),
        moment.timestamp_subsec_nanos() as i32,
    ))
}

fn duration(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    if json.is_object() {
        return message(descriptor, json);
    }
    let parsed = match json {
        Json::String(text) => decimal_seconds(text.strip_suffix('s').unwrap_or(text)),
        Json::Number(number) => decimal_seconds(&number.to_string()),
        _ => None,
    };
    let (seconds, nanos) = parsed.ok_or_else(|| Unfit::wants("a duration such as 1.5s"))?;
    Ok(seconds_and_nanos(descriptor, seconds, nanos))
}

/// Seconds with up to nine digits of a fraction. Both parts carry the sign.
fn decimal_seconds(text: &str) -> Option<(i64, i32)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 9 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some((seconds * i64::from(sign), nanos * sign))
}

fn seconds_and_nanos(descriptor: &MessageDescriptor, seconds: i64, nanos: i32) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_number(1, Value::I64(seconds));
    message.set_field_by_number(2, Value::I32(nanos));
    message
}

/// Paths as JSON writes them (`userId,name`), or a list of them. Proto names pass as they are.
fn field_mask(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    let paths: Vec<Value> = match json {
        Json::String(text) => text
            .split(',')
            .filter(|path| !path.is_empty())
            .map(|path| Value::String(snake_case(path)))
            .collect(),
        Json::Array(paths) => {
            let texts = paths
                .iter()
                .map(|path| text(path).map(|path| Value::String(snake_case(&path))));
            texts.collect::<Result<_, _>>()?
        }
        Json::Object(_) => return message(descriptor, json),
        _ => return Err(Unfit::wants("field paths joined by commas")),
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_number(1, Value::List(paths));
    Ok(message)
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// An object whose `@type` names a message of the contract.
fn any(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unfit> {
    let url = json.get("@type").and_then(Json::as_str);
    let url = url.ok_or_else(|| Unfit::wants("an object with `@type`"))?;
    let name = url.rsplit('/').next().unwrap_or(url);
    let inner = descriptor.parent_pool().get_message_by_name(name);
    let inner =
        inner.ok_or_else(|| Unfit::new("has an `@type` that the contract does not know"))?;
    let inner = match json.get("value") {
        Some(value) if inner.full_name().starts_with("google.protobuf.") => {
            message_value(&inner, value)?
        }
        _ => message(&inner, &without_type(json))?,
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    let url = if url.contains('/') {
        url.to_owned()
    } else {
        format!("type.googleapis.com/{url}")
    };
    message.set_field_by_number(1, Value::String(url));
    message.set_field_by_number(2, Value::Bytes(inner.encode_to_vec().into()));
    Ok(message)
}

fn without_type(json: &Json) -> Json {
    let members = json.as_object().into_iter().flatten();
    let rest = members.filter(|(name, _)| *name != "@type");
    Json::Object(
        rest.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use prost_reflect::SerializeOptions;
    use serde_json::json;

    use super::*;
    use crate::grpc::testing::everything;

    /// The message as canonical JSON, as prost-reflect writes it.
    fn encoded(json: Json) -> Json {
        let message = message(&everything(), &json).unwrap();
        let bytes = message.encode_to_vec();
        let message = DynamicMessage::decode(everything(), bytes.as_slice()).unwrap();
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut text);
        message
            .serialize_with_options(&mut serializer, &SerializeOptions::new())
            .unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn refused(json: Json) -> String {
        message(&everything(), &json).unwrap_err().to_string()
    }

    #[test]
    fn ids_go_out_as_the_type_that_the_contract_wants() {
        let request = json!({ "int64_field": "9007199254740993", "uint64_field": u64::MAX, "text": 5, "int32_field": 5.0 });
        let sent = json!({ "int64Field": "9007199254740993", "uint64Field": "18446744073709551615", "text": "5", "int32Field": 5 });
        assert_eq!(encoded(request), sent);
    }

    #[test]
    fn proto_and_json_names_are_both_taken_and_nulls_are_left_out() {
        let request = json!({ "int32Field": 1, "optional_text": null, "optionalInt": 0 });
        assert_eq!(
            encoded(request),
            json!({ "int32Field": 1, "optionalInt": 0 })
        );
    }

    #[test]
    fn every_kind_of_field_can_be_sent() {
        let request = json!({
            "float_field": 0.5, "double_field": "1e3", "bool_field": "true", "blob": "_-8", "kind": "KIND_B",
            "kinds": [1, "KIND_A"], "child": { "children": [{ "text": "x" }] }, "packed": 7,
            "counts": { "a": "1" }, "by_id": { "-3": { "text": "y" } }, "choice_text": "c",
            "moment": "2024-05-01T14:00:00.5+02:00", "span": "-1.25s", "maybe_int": "9", "maybe_text": 3,
            "meta": { "a": [1, null, { "b": true }] }, "any_value": null, "some_list": ["x"],
            "any": { "@type": "test.Everything", "text": "inside" }, "mask": "userId.zip,b", "nothing": {},
        });
        let sent = encoded(request);
        let expected = json!({
            "floatField": 0.5, "doubleField": 1000.0, "boolField": true, "blob": "/+8=", "kind": "KIND_B",
            "kinds": ["KIND_A", "KIND_A"], "child": { "children": [{ "text": "x" }] }, "packed": [7],
            "counts": { "a": "1" }, "byId": { "-3": { "text": "y" } }, "choiceText": "c",
            "moment": "2024-05-01T12:00:00.500Z", "span": "-1.250s", "maybeInt": "9", "maybeText": "3",
            "meta": { "a": [1.0, null, { "b": true }] }, "anyValue": null, "someList": ["x"],
            "any": { "@type": "type.googleapis.com/test.Everything", "text": "inside" }, "mask": "userId.zip,b", "nothing": {},
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn durations_are_decimal_seconds() {
        assert_eq!(decimal_seconds("3.5"), Some((3, 500_000_000)));
        assert_eq!(decimal_seconds("-0.000000001"), Some((0, -1)));
        for text in [
            "",
            ".",
            "1.",
            "1e3",
            "+1",
            "1.0000000001",
            "99999999999999999999",
        ] {
            assert_eq!(decimal_seconds(text), None, "{text}");
        }
    }

    fn assert_refused(cases: &[(Json, &str, &str)]) {
        for (request, field, problem) in cases {
            let expected = format!("The request's field `{field}` {problem}.");
            assert_eq!(refused(request.clone()), expected);
        }
    }

    #[test]
    fn a_scalar_that_does_not_fit_is_refused_by_the_name_of_its_field() {
        let large = 1_i64 << 31;
        let nested = json!({ "child": { "children": [{ "kind": "X" }] } });
        let kind = "takes a value of the enum Kind";
        assert_refused(&[
            (
                json!({ "int64_field": "abc" }),
                "int64_field",
                "takes an int64",
            ),
            (
                json!({ "int64_field": "" }),
                "int64_field",
                "takes an int64",
            ),
            (
                json!({ "int64_field": "+5" }),
                "int64_field",
                "takes an int64",
            ),
            (
                json!({ "int32_field": large }),
                "int32_field",
                "takes an int32",
            ),
            (
                json!({ "uint64_field": -1 }),
                "uint64_field",
                "takes a uint64",
            ),
            (json!({ "packed": [1, 0.5] }), "packed[1]", "takes an int32"),
            (
                json!({ "float_field": 1e300 }),
                "float_field",
                "takes a number of 32 bits",
            ),
            (json!({ "text": {} }), "text", "takes a text"),
            (json!({ "texts": [null] }), "texts[0]", "takes a text"),
            (json!({ "blob": "?" }), "blob", "takes bytes in base64"),
            (nested, "child.children[0].kind", kind),
        ]);
    }

    #[test]
    fn a_message_that_does_not_fit_is_refused_by_the_name_of_its_field() {
        let unknown = "has an `@type` that the contract does not know";
        let both = json!({ "choice_text": "a", "choice_number": 1 });
        let excluded = "excludes `choice_text`: only one of `choice` may be given";
        let moment = "takes a time such as 2025-01-31T09:30:00Z";
        assert_refused(&[
            (json!({ "child": 1 }), "child", "takes an object"),
            (json!({ "moment": "today" }), "moment", moment),
            (
                json!({ "span": "soon" }),
                "span",
                "takes a duration such as 1.5s",
            ),
            (
                json!({ "counts": { "a": [] } }),
                "counts.a",
                "takes an int64",
            ),
            (json!({ "by_id": { "x": {} } }), "by_id.x", "takes an int32"),
            (json!({ "any": { "@type": "x.Y" } }), "any", unknown),
            (json!({ "nobody": 1 }), "nobody", "is not in the contract"),
            (both, "choice_number", excluded),
        ]);
    }
}
