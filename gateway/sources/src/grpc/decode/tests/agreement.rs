//! Random messages and random shapes: the walk over the bytes agrees with a
//! plain reading of the decoded message. Random bytes never panic.

use proptest::prelude::*;
use prost_reflect::Cardinality;
use prost_reflect::FieldDescriptor;
use prost_reflect::Kind;
use prost_reflect::MapKey;
use prost_reflect::MessageDescriptor;
use prost_reflect::ReflectMessage;
use prost_reflect::SerializeOptions;
use prost_reflect::Value as Upstream;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::grpc::testing::number;
use crate::grpc::testing::targets;

const DEPTH: usize = 3;

fn random_message(rng: &mut StdRng, message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    match message.full_name() {
        "google.protobuf.Timestamp" => {
            return seconds_and_nanos(message, rng.random_range(-1_000_000..4_000_000_000), rng);
        }
        "google.protobuf.Duration" => {
            return seconds_and_nanos(message, rng.random_range(0..1000), rng);
        }
        "google.protobuf.Any" => return random_any(rng, message, depth),
        "google.protobuf.FieldMask" => return field_mask(message),
        _ => {}
    }
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        if rng.random_bool(0.3) && (depth > 0 || !matches!(field.kind(), Kind::Message(_))) {
            let value = random_field(rng, &field, depth);
            filled.set_field(&field, value);
        }
    }
    filled
}

fn seconds_and_nanos(
    message: &MessageDescriptor,
    seconds: i64,
    rng: &mut StdRng,
) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    filled.set_field_by_name("seconds", Upstream::I64(seconds));
    let nanos = [0, 250_000_000, 1_000, 7][rng.random_range(0..4)];
    filled.set_field_by_name("nanos", Upstream::I32(nanos));
    filled
}

/// Only some paths have a JSON form.
fn field_mask(message: &MessageDescriptor) -> DynamicMessage {
    let paths = ["user_id", "a.zip_code"].map(|path| Upstream::String(path.to_owned()));
    let mut filled = DynamicMessage::new(message.clone());
    filled.set_field_by_name("paths", Upstream::List(paths.to_vec()));
    filled
}

fn random_any(rng: &mut StdRng, message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let inner = random_message(rng, &everything(), depth.saturating_sub(1).min(1));
    let mut filled = DynamicMessage::new(message.clone());
    let url = "type.googleapis.com/test.Everything";
    filled.set_field_by_name("type_url", Upstream::String(url.to_owned()));
    filled.set_field_by_name("value", Upstream::Bytes(inner.encode_to_vec().into()));
    filled
}

fn random_field(rng: &mut StdRng, field: &FieldDescriptor, depth: usize) -> Upstream {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            unreachable!()
        };
        let entries = (0..rng.random_range(0..3)).map(|_| {
            let key = random_value(rng, &entry.map_entry_key_field().kind(), depth);
            let value = random_value(rng, &entry.map_entry_value_field().kind(), depth);
            (key.into_map_key().unwrap(), value)
        });
        return Upstream::Map(entries.collect());
    }
    if field.is_list() {
        let len = rng.random_range(0..3);
        return Upstream::List(
            (0..len)
                .map(|_| random_value(rng, &field.kind(), depth))
                .collect(),
        );
    }
    random_value(rng, &field.kind(), depth)
}

fn random_value(rng: &mut StdRng, kind: &Kind, depth: usize) -> Upstream {
    match kind {
        Kind::Double => Upstream::F64(f64::from(rng.random_range(-1_000_000..1_000_000)) / 4.0),
        // Decimals that every library prints and reads alike.
        Kind::Float => Upstream::F32([0.1, 19.99, -0.5, 16_777_216.0][rng.random_range(0..4)]),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Upstream::I32(rng.random()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Upstream::I64(rng.random()),
        Kind::Uint32 | Kind::Fixed32 => Upstream::U32(rng.random()),
        Kind::Uint64 | Kind::Fixed64 => Upstream::U64(rng.random()),
        Kind::Bool => Upstream::Bool(rng.random()),
        Kind::String => Upstream::String(
            ["", "plain", "\"quoted\"\n", "Größe", "0"][rng.random_range(0..5)].to_owned(),
        ),
        Kind::Bytes => Upstream::Bytes(Bytes::from(vec![rng.random(); rng.random_range(0..4)])),
        Kind::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => {
            Upstream::EnumNumber(0)
        }
        Kind::Enum(_) => Upstream::EnumNumber(rng.random_range(0..3)),
        Kind::Message(message) => {
            Upstream::Message(random_message(rng, message, depth.saturating_sub(1)))
        }
    }
}

fn random_shape(rng: &mut StdRng, message: &MessageDescriptor, depth: usize) -> Shape {
    let mut fields = Fields::default();
    for field in message.fields() {
        if rng.random_bool(0.6) {
            let shape = field_shape(rng, &field, depth);
            fields.push(field.name(), shape);
        }
        if depth > 0 && field.cardinality() != Cardinality::Repeated && is_everything(&field.kind())
        {
            for inner in everything().fields() {
                if rng.random_bool(0.1) {
                    let shape = field_shape(rng, &inner, 0);
                    fields.push(&format!("{}.{}", field.name(), inner.name()), shape);
                }
            }
        }
    }
    fields.object()
}

fn is_everything(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if *message == everything())
}

fn field_shape(rng: &mut StdRng, field: &FieldDescriptor, depth: usize) -> Shape {
    match field.kind() {
        _ if field.is_map() => leaf(LeafKind::Json),
        kind if field.is_list() => match rng.random_bool(0.8) {
            true => list(value_shape(rng, &kind, depth)),
            false => leaf(LeafKind::Json),
        },
        kind => value_shape(rng, &kind, depth),
    }
}

fn value_shape(rng: &mut StdRng, kind: &Kind, depth: usize) -> Shape {
    let pick = |rng: &mut StdRng, kinds: &[LeafKind]| {
        leaf(kinds[rng.random_range(0..kinds.len())].clone())
    };
    match kind {
        Kind::Double | Kind::Float => pick(rng, &[LeafKind::Float, LeafKind::Json]),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => pick(
            rng,
            &[LeafKind::Int, LeafKind::Id, LeafKind::Float, LeafKind::Json],
        ),
        Kind::Bool => pick(rng, &[LeafKind::Boolean, LeafKind::Json]),
        Kind::String | Kind::Bytes => pick(rng, &[LeafKind::String, LeafKind::Id, LeafKind::Json]),
        Kind::Enum(_) => pick(rng, &[kinds(), LeafKind::String]),
        Kind::Message(_) if is_everything(kind) && depth > 0 && rng.random_bool(0.8) => {
            random_shape(rng, &everything(), depth - 1)
        }
        Kind::Message(_) => leaf(LeafKind::Json),
        _ => pick(rng, &[LeafKind::Int64, LeafKind::Id, LeafKind::Json]),
    }
}

/// What a plain reading of the decoded message gives.
fn expected(message: &DynamicMessage, shape: &Shape) -> Json {
    let Shape::Object(object) = shape else {
        unreachable!("only objects are asked for")
    };
    let members = targets(&object.props).into_iter().map(|(path, target)| {
        let value = expected_at(message, &path, &target.shape);
        (path.join("."), value)
    });
    Json::Object(members.collect())
}

fn expected_at(message: &DynamicMessage, path: &[&str], shape: &Shape) -> Json {
    let field = message.descriptor().get_field_by_name(path[0]).unwrap();
    if field.supports_presence() && !message.has_field(&field) {
        return Json::Null;
    }
    let value = message.get_field(&field);
    match (&path[1..], shape) {
        ([], Shape::Leaf(leaf)) if matches!(leaf.kind, LeafKind::Json) && !is_scalar(&field) => {
            json_of_field(message, &field)
        }
        ([], shape) => expected_value(&value, shape),
        (rest, shape) => expected_at(value.as_message().unwrap(), rest, shape),
    }
}

fn is_scalar(field: &FieldDescriptor) -> bool {
    !matches!(field.kind(), Kind::Message(_)) && !field.is_list()
}

fn expected_value(value: &Upstream, shape: &Shape) -> Json {
    match (value, shape) {
        (Upstream::List(items), Shape::List(inner)) => items
            .iter()
            .map(|item| expected_value(item, inner))
            .collect(),
        (Upstream::Message(message), Shape::Object(_)) => expected(message, shape),
        (Upstream::Message(message), Shape::Leaf(_)) => json_of(message),
        (Upstream::EnumNumber(at), Shape::Leaf(leaf)) => match (at, &leaf.kind) {
            (0, _) => Json::Null,
            (at, LeafKind::Enum(_)) => json!(["A", "B"][*at as usize - 1]),
            (at, _) => json!(["KIND_A", "KIND_B"][*at as usize - 1]),
        },
        (value, Shape::Leaf(_)) => scalar(value),
        (value, shape) => panic!("{value:?} for {shape:?}"),
    }
}

fn scalar(value: &Upstream) -> Json {
    match value {
        Upstream::Bool(value) => json!(value),
        Upstream::I32(value) => json!(value),
        Upstream::I64(value) => json!(value),
        Upstream::U32(value) => json!(value),
        Upstream::U64(value) => json!(value),
        Upstream::F32(value) => number(value.to_string().parse().unwrap()),
        Upstream::F64(value) => number(*value),
        Upstream::String(value) => json!(value),
        Upstream::Bytes(value) => {
            use base64::Engine;
            json!(base64::prelude::BASE64_STANDARD.encode(value))
        }
        other => panic!("{other:?}"),
    }
}

/// A field's JSON, by way of a message that has only this field.
fn json_of_field(message: &DynamicMessage, field: &FieldDescriptor) -> Json {
    let mut alone = DynamicMessage::new(message.descriptor());
    alone.set_field(field, message.get_field(field).into_owned());
    let empty = if field.is_map() { json!({}) } else { json!([]) };
    json_of(&alone)
        .get(field.json_name())
        .cloned()
        .unwrap_or(empty)
}

/// Through text, since narrow floats are written short only there.
fn json_of(message: &DynamicMessage) -> Json {
    let mut text = Vec::new();
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    let mut serializer = serde_json::Serializer::new(&mut text);
    message
        .serialize_with_options(&mut serializer, &options)
        .unwrap();
    normal(serde_json::from_slice(&text).unwrap())
}

/// Integral floats without a fraction.
fn normal(json: Json) -> Json {
    match json {
        Json::Number(value) if value.is_f64() => number(value.as_f64().unwrap()),
        Json::Array(items) => items.into_iter().map(normal).collect(),
        Json::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, normal(value)))
            .collect(),
        other => other,
    }
}

/// Values in which only the order of lists matters.
fn agree(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bytes = random_message(&mut rng, &everything(), DEPTH).encode_to_vec();
    if rng.random_bool(0.5) {
        // Two encodings put together are one message, merged.
        bytes.extend(random_message(&mut rng, &everything(), DEPTH).encode_to_vec());
    }
    let shape = reply(random_shape(&mut rng, &everything(), DEPTH - 1));
    let plain = DynamicMessage::decode(everything(), bytes.as_slice()).unwrap();
    let tape = decoded(&shape, bytes).unwrap();
    let (got, wanted) = (shown(&tape, &shape.root), expected(&plain, &shape.root));
    for (path, wanted) in wanted.as_object().unwrap() {
        assert_eq!(&got[path], wanted, "{path}, seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_walk_agrees_with_a_plain_reading(seed: u64) {
        agree(seed);
    }

    #[test]
    fn a_reply_that_is_cut_off_or_garbled_never_panics(seed: u64, cut in 0.0..1.0f64, flips in prop::collection::vec((0.0..1.0f64, any::<u8>()), 0..8)) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = random_message(&mut rng, &everything(), DEPTH).encode_to_vec();
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        for (at, byte) in flips {
            let at = (bytes.len() as f64 * at) as usize;
            if let Some(spot) = bytes.get_mut(at) {
                *spot = byte;
            }
        }
        let shape = reply(random_shape(&mut rng, &everything(), DEPTH - 1));
        if let Ok(tape) = decoded(&shape, bytes) {
            shown(&tape, &shape.root);
        }
    }

    #[test]
    fn random_bytes_never_panic(seed: u64, bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let shape = reply(random_shape(&mut StdRng::seed_from_u64(seed), &everything(), DEPTH - 1));
        if let Ok(tape) = decoded(&shape, bytes) {
            shown(&tape, &shape.root);
        }
    }
}

#[test]
fn every_prefix_of_a_message_is_decoded_or_refused() {
    let mut rng = StdRng::seed_from_u64(7);
    let bytes = random_message(&mut rng, &everything(), DEPTH).encode_to_vec();
    let shape = reply(random_shape(&mut rng, &everything(), DEPTH - 1));
    let outcomes =
        (0..bytes.len().min(4096)).map(|len| decoded(&shape, bytes[..len].to_vec()).is_ok());
    assert!(
        outcomes.filter(|whole| !whole).count() > 0,
        "most prefixes end within a record"
    );
}

#[test]
fn keys_of_maps_are_text_in_json() {
    let mut message = DynamicMessage::new(everything());
    let entry = [(
        MapKey::I32(-5),
        Upstream::Message(DynamicMessage::new(everything())),
    )];
    message.set_field_by_name("by_id", Upstream::Map(entry.into()));
    let shape = reply(
        Fields::default()
            .read("by_id", leaf(LeafKind::Json))
            .object(),
    );
    let tape = decoded(&shape, message.encode_to_vec()).unwrap();
    assert_eq!(shown(&tape, &shape.root), json!({ "by_id": { "-5": {} } }));
}
