//! From protobuf to JSON values: what a custom scalar holds, and what types
//! without fixed fields (Struct, Value, Any, maps) are read through.
//!
//! Follows the proto3 JSON mapping, except that 64-bit integers stay numbers:
//! they are exact on the tape and a JSON scalar says nothing of strings.
//! <https://protobuf.dev/programming-guides/json/>

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;
use prost_reflect::FieldDescriptor;
use prost_reflect::Kind;
use prost_reflect::MessageDescriptor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;

use super::Malformed;
use super::layout::FieldLayout;
use super::scalar;
use super::scalar::Scalar;
use super::scalar::ScalarKind;
use super::wire::Raw;
use super::wire::Reader;

/// Messages inside messages; a deeper value is refused, as every protobuf library does.
const DEPTH: usize = 100;

/// For whom the JSON is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For a client: JSON names, and fields at their default left out.
    Client,
    /// To be read by a shape: proto names, and every default written out.
    Shape,
}

/// Why a value has no JSON form.
#[derive(Debug)]
pub(super) enum NoJson {
    /// The reply is no protobuf message.
    Malformed(Malformed),
    /// This value alone has none.
    Value(&'static str),
}

impl From<Malformed> for NoJson {
    fn from(malformed: Malformed) -> Self {
        NoJson::Malformed(malformed)
    }
}

/// The records of one field, in the order of the wire.
type Records = Vec<Raw>;

/// Writes parts of one reply as JSON.
#[derive(Clone, Copy)]
pub(super) struct JsonReader<'a> {
    reply: &'a [u8],
    style: Style,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    /// A reader of parts of `reply`.
    pub(super) fn new(reply: &'a [u8], style: Style) -> Self {
        Self {
            reply,
            style,
            depth: DEPTH,
        }
    }

    /// A message whose encoding is these parts put together.
    pub(super) fn message(
        self,
        message: &MessageDescriptor,
        parts: &[Range<usize>],
    ) -> Result<Json, NoJson> {
        let inner = self.deeper()?;
        let fields = inner.records(message, parts)?;
        match message.full_name() {
            "google.protobuf.Timestamp" => moment(&fields),
            "google.protobuf.Duration" => span(&fields),
            "google.protobuf.Any" => inner.any(message, &fields),
            "google.protobuf.Value" => inner.value(message, &fields),
            "google.protobuf.Struct" | "google.protobuf.ListValue" => {
                inner.only_field(message, &fields)
            }
            "google.protobuf.FieldMask" => inner.field_mask(&fields),
            name if is_wrapper(name) => inner.only_field(message, &fields),
            _ => inner.object(message, &fields).map(Json::Object),
        }
    }

    /// All values of a field, from its records: a list, a map's object, or the value itself.
    pub(super) fn field(self, field: &FieldDescriptor, records: &[Raw]) -> Result<Json, NoJson> {
        if field.is_map() {
            return self.map(field, records);
        }
        if field.is_list() {
            return self.list(field, records);
        }
        match field.kind() {
            Kind::Message(message) => self.message(&message, &ranges(records)),
            kind => self.scalar(&kind, records.last().copied()),
        }
    }

    fn deeper(self) -> Result<Self, NoJson> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| Malformed::new("messages are nested too deeply"))?;
        Ok(Self { depth, ..self })
    }

    /// The records of every declared field; of a oneof, those of the member that was set last.
    fn records(
        self,
        message: &MessageDescriptor,
        parts: &[Range<usize>],
    ) -> Result<IndexMap<u32, Records>, NoJson> {
        let mut records: IndexMap<u32, Records> = IndexMap::new();
        for part in parts {
            let mut reader = Reader::new(self.reply, part.clone());
            while let Some((number, wire)) = reader.tag()? {
                let Some(field) = message.get_field(number) else {
                    reader.skip(number, wire)?;
                    continue;
                };
                if !FieldLayout::new(&field).accepts(wire) {
                    return Err(Malformed::wire_type(&field).into());
                }
                forget_siblings(&mut records, &field);
                records
                    .entry(number)
                    .or_default()
                    .push(reader.raw(number, wire)?);
            }
        }
        Ok(records)
    }

    fn object(
        self,
        message: &MessageDescriptor,
        records: &IndexMap<u32, Records>,
    ) -> Result<Map<String, Json>, NoJson> {
        let mut object = Map::new();
        for field in message.fields() {
            let present = records.get(&field.number()).map(Vec::as_slice);
            if let Some(value) = self.member(&field, present)? {
                object.insert(self.name(&field), value);
            }
        }
        Ok(object)
    }

    fn member(
        self,
        field: &FieldDescriptor,
        records: Option<&[Raw]>,
    ) -> Result<Option<Json>, NoJson> {
        let Some(records) = records else {
            let written = self.style == Style::Shape && !field.supports_presence();
            return written.then(|| self.field(field, &[])).transpose();
        };
        let value = self.field(field, records)?;
        let hidden = self.style == Style::Client
            && !field.supports_presence()
            && value == self.field(field, &[])?;
        Ok((!hidden).then_some(value))
    }

    fn name(self, field: &FieldDescriptor) -> String {
        match self.style {
            Style::Client => field.json_name().to_owned(),
            Style::Shape => field.name().to_owned(),
        }
    }

    fn list(self, field: &FieldDescriptor, records: &[Raw]) -> Result<Json, NoJson> {
        let layout = FieldLayout::new(field);
        let kind = field.kind();
        let mut items = Vec::new();
        for raw in records {
            if layout.is_packed(*raw) {
                for raw in layout.unpack(self.reply, raw.range()) {
                    items.push(self.scalar(&kind, Some(raw?))?);
                }
                continue;
            }
            items.push(match &kind {
                Kind::Message(message) => self.message(message, &[raw.range()])?,
                kind => self.scalar(kind, Some(*raw))?,
            });
        }
        Ok(Json::Array(items))
    }

    /// A later entry for a key wins, in the place of the first.
    fn map(self, field: &FieldDescriptor, records: &[Raw]) -> Result<Json, NoJson> {
        let Kind::Message(entry) = field.kind() else {
            return Err(NoJson::Value("a value of another type"));
        };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let mut object = Map::new();
        for raw in records {
            let entry = self.deeper()?.records(&entry, &[raw.range()])?;
            let of =
                |field: &FieldDescriptor| entry.get(&field.number()).map_or(&[][..], Vec::as_slice);
            let name = self.scalar(&key.kind(), of(&key).last().copied())?;
            object.insert(key_text(name), self.field(&value, of(&value))?);
        }
        Ok(Json::Object(object))
    }

    /// Wrappers, Struct and ListValue are what their one field is.
    fn only_field(
        self,
        message: &MessageDescriptor,
        records: &IndexMap<u32, Records>,
    ) -> Result<Json, NoJson> {
        let field = message
            .get_field(1)
            .ok_or(NoJson::Value("a value of another type"))?;
        self.field(&field, records.get(&1).map_or(&[], Vec::as_slice))
    }

    /// `google.protobuf.Value`: whichever kind is set; none is null.
    fn value(
        self,
        message: &MessageDescriptor,
        records: &IndexMap<u32, Records>,
    ) -> Result<Json, NoJson> {
        let set = records.iter().find(|(_, records)| !records.is_empty());
        match set.and_then(|(number, records)| Some((message.get_field(*number)?, records))) {
            Some((field, records)) if field.number() != 1 => self.field(&field, records),
            _ => Ok(Json::Null),
        }
    }

    /// `google.protobuf.Any`: the message inside, where its type is known.
    fn any(
        self,
        message: &MessageDescriptor,
        records: &IndexMap<u32, Records>,
    ) -> Result<Json, NoJson> {
        let bytes = |number| {
            records
                .get(&number)
                .and_then(|records| records.last())
                .map_or(0..0, |raw| raw.range())
        };
        let url = std::str::from_utf8(&self.reply[bytes(1)])
            .map_err(|_| NoJson::Value("a text that is not UTF-8"))?;
        if url.is_empty() {
            return Ok(Json::Null);
        }
        let name = url.rsplit('/').next().unwrap_or(url);
        let Some(inner) = message.parent_pool().get_message_by_name(name) else {
            return Err(NoJson::Value(
                "an Any of a type that the contract does not know",
            ));
        };
        let mut object = Map::from_iter([("@type".to_owned(), Json::from(url))]);
        match self.message(&inner, &[bytes(2)])? {
            Json::Object(members) if !inner.full_name().starts_with("google.protobuf.") => {
                object.extend(members)
            }
            value => {
                object.insert("value".to_owned(), value);
            }
        }
        Ok(Json::Object(object))
    }

    fn field_mask(self, records: &IndexMap<u32, Records>) -> Result<Json, NoJson> {
        let mut paths = Vec::new();
        for raw in records.get(&1).into_iter().flatten() {
            let path = std::str::from_utf8(&self.reply[raw.range()]);
            let path = path.map_err(|_| NoJson::Value("a text that is not UTF-8"))?;
            paths.push(camel_case(path));
        }
        Ok(Json::from(paths.join(",")))
    }

    fn scalar(self, kind: &Kind, raw: Option<Raw>) -> Result<Json, NoJson> {
        if let Kind::Enum(descriptor) = kind {
            let number = match raw {
                Some(Raw::Number(number)) => number as i32,
                _ => descriptor.default_value().number(),
            };
            return Ok(self.symbol(descriptor, number));
        }
        let reader = ScalarKind::new(kind).ok_or(NoJson::Value("a value of another type"))?;
        match (raw, kind) {
            (Some(Raw::Number(bits)), Kind::Double) => Ok(float(f64::from_bits(bits))),
            (Some(Raw::Number(bits)), Kind::Float) => {
                Ok(float(scalar::widen(f32::from_bits(bits as u32))))
            }
            (Some(raw), _) => to_json(reader.read(self.reply, raw)),
            (None, _) => to_json(reader.zero()),
        }
    }

    fn symbol(self, descriptor: &prost_reflect::EnumDescriptor, number: i32) -> Json {
        match descriptor.get_value(number) {
            _ if descriptor.full_name() == "google.protobuf.NullValue" => Json::Null,
            Some(value)
                if self.style == Style::Shape
                    && number == 0
                    && value.name().ends_with("UNSPECIFIED") =>
            {
                Json::Null
            }
            Some(value) => Json::from(value.name()),
            None => Json::from(number),
        }
    }
}

/// Entries that are written straight as JSON. Beyond, finding a repeated key takes too long.
const MAX_ENTRIES: usize = 32;

/// A map of scalars on its way to JSON text.
#[derive(Default)]
pub(super) struct ScalarMap<'a> {
    keys: Vec<Scalar<'a>>,
    text: String,
    /// An entry was met that only the whole reader knows how to write.
    given_up: bool,
}

impl<'a> ScalarMap<'a> {
    /// Adds an entry.
    pub(super) fn insert(&mut self, key: Scalar<'a>, value: Scalar<'a>) {
        if self.keys.len() == MAX_ENTRIES || self.keys.contains(&key) {
            self.given_up = true;
        }
        if self.given_up {
            return;
        }
        self.text.push(if self.keys.is_empty() { '{' } else { ',' });
        let written = self.name(&key).and_then(|()| {
            self.text.push(':');
            self.value(&value)
        });
        self.given_up = written.is_none();
        self.keys.push(key);
    }

    /// The object; nothing where it was given up.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.keys.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        (!self.given_up).then_some(self.text)
    }

    fn name(&mut self, key: &Scalar<'_>) -> Option<()> {
        match key {
            Scalar::Text(text) => self.quoted(text),
            Scalar::Int(number) => self.quoted(itoa::Buffer::new().format(*number)),
            Scalar::UInt(number) => self.quoted(itoa::Buffer::new().format(*number)),
            Scalar::Bool(flag) => self.quoted(if *flag { "true" } else { "false" }),
            _ => return None,
        }
        Some(())
    }

    fn value(&mut self, value: &Scalar<'_>) -> Option<()> {
        match value {
            Scalar::Text(text) | Scalar::Symbol { name: text, .. } => self.quoted(text),
            Scalar::Int(number) => self.text.push_str(itoa::Buffer::new().format(*number)),
            Scalar::UInt(number) => self.text.push_str(itoa::Buffer::new().format(*number)),
            Scalar::Bool(flag) => self.text.push_str(if *flag { "true" } else { "false" }),
            Scalar::Float(number) => self.text.push_str(&float(*number).to_string()),
            Scalar::Bytes(bytes) => self.quoted(&BASE64_STANDARD.encode(bytes)),
            Scalar::Null | Scalar::UnknownSymbol | Scalar::Invalid(_) => return None,
        }
        Some(())
    }

    fn quoted(&mut self, text: &str) {
        if scalar::needs_no_escape(text) {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        } else {
            self.text.push_str(&Json::from(text).to_string());
        }
    }
}

/// The wrapper messages around one scalar: `google.protobuf.Int64Value` and its kin.
pub(in crate::grpc) fn is_wrapper(name: &str) -> bool {
    matches!(
        name.strip_prefix("google.protobuf."),
        Some(
            "DoubleValue"
                | "FloatValue"
                | "Int64Value"
                | "UInt64Value"
                | "Int32Value"
                | "UInt32Value"
                | "BoolValue"
                | "StringValue"
                | "BytesValue"
        )
    )
}

fn ranges(records: &[Raw]) -> Vec<Range<usize>> {
    records.iter().map(|raw| raw.range()).collect()
}

/// Of a oneof only the last member set counts, and a scalar's last record.
fn forget_siblings(records: &mut IndexMap<u32, Records>, field: &FieldDescriptor) {
    let Some(oneof) = field.containing_oneof() else {
        return;
    };
    for sibling in oneof.fields().filter(|sibling| sibling != field) {
        records.shift_remove(&sibling.number());
    }
}

fn moment(fields: &IndexMap<u32, Records>) -> Result<Json, NoJson> {
    let (seconds, nanos) = seconds_and_nanos(fields);
    scalar::timestamp(seconds, nanos)
        .map(Json::from)
        .ok_or(NoJson::Value("a time out of range"))
}

fn span(fields: &IndexMap<u32, Records>) -> Result<Json, NoJson> {
    let (seconds, nanos) = seconds_and_nanos(fields);
    scalar::duration(seconds, nanos)
        .map(Json::from)
        .ok_or(NoJson::Value("a duration out of range"))
}

fn seconds_and_nanos(fields: &IndexMap<u32, Records>) -> (i64, i64) {
    let number = |field| match fields.get(&field).and_then(|records| records.last()) {
        Some(Raw::Number(number)) => *number,
        _ => 0,
    };
    (number(1) as i64, i64::from(number(2) as i32))
}

fn key_text(key: Json) -> String {
    match key {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

/// Integral numbers are written without a fraction, as every other implementation does.
fn float(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Json::from(number as i64);
    }
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => Json::from("NaN"),
        None if number > 0.0 => Json::from("Infinity"),
        None => Json::from("-Infinity"),
    }
}

fn to_json(scalar: Scalar<'_>) -> Result<Json, NoJson> {
    Ok(match scalar {
        Scalar::Null => Json::Null,
        Scalar::Bool(value) => Json::from(value),
        Scalar::Int(value) => Json::from(value),
        Scalar::UInt(value) => Json::from(value),
        Scalar::Float(value) => float(value),
        Scalar::Text(value) => Json::from(value),
        Scalar::Bytes(value) => Json::from(BASE64_STANDARD.encode(value)),
        Scalar::Symbol { name, .. } => Json::from(name),
        Scalar::UnknownSymbol => {
            return Err(NoJson::Value("a number that the contract does not name"));
        }
        Scalar::Invalid(what) => return Err(NoJson::Value(what)),
    })
}

/// A field mask's path as JSON writes it: `user_id.zip_code` is `userId.zipCode`.
fn camel_case(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut upper = false;
    for letter in path.chars() {
        match letter {
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => camel.push(letter.to_ascii_uppercase()),
            _ => camel.push(letter),
        }
    }
    camel
}
