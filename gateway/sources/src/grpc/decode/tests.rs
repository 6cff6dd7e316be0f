use std::sync::Arc;

use bytes::Bytes;
use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::Computed;
use plan::shape::Embedded;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use serde_json::Value as Json;
use serde_json::json;

use super::Malformed;
use super::Program;
use super::Status;
use super::decode_failure;
use crate::grpc::testing::Fields;
use crate::grpc::testing::everything;
use crate::grpc::testing::kinds;
use crate::grpc::testing::leaf;
use crate::grpc::testing::pool;
use crate::grpc::testing::reply;
use crate::grpc::testing::shown;
use crate::grpc::testing::unwrapped;

/// The encoding of a message that is written as proto JSON.
fn encoded(json: Json) -> Vec<u8> {
    DynamicMessage::deserialize(everything(), json)
        .unwrap()
        .encode_to_vec()
}

fn decoded(shape: &ReplyShape, bytes: Vec<u8>) -> Result<Tape, Malformed> {
    let whole = 0..bytes.len();
    Program::unary(shape, &everything()).decode(Bytes::from(bytes), std::slice::from_ref(&whole))
}

fn read(shape: &ReplyShape, message: Json) -> Json {
    shown(&decoded(shape, encoded(message)).unwrap(), &shape.root)
}

fn field(path: &str, shape: Shape, message: Json) -> Json {
    let shape = reply(Fields::default().read(path, shape).object());
    read(&shape, message)[path].clone()
}

fn list(inner: Shape) -> Shape {
    Shape::List(Box::new(inner))
}

fn error(message: &str) -> Json {
    json!({ "error": message })
}

#[test]
fn only_what_is_asked_for_is_on_the_tape() {
    let shape = reply(
        Fields::default()
            .read("text", leaf(LeafKind::String))
            .object(),
    );
    let message =
        json!({ "text": "kept", "texts": ["passed", "over"], "child": { "text": "too" } });
    let tape = decoded(&shape, encoded(message)).unwrap();
    assert_eq!(shown(&tape, &shape.root), json!({ "text": "kept" }));
    let Value::Object { at, .. } = tape.root else {
        panic!("{:?}", tape.root)
    };
    assert!(
        matches!(tape.get(at), Value::Plain { len: 4, .. }),
        "text stays in the reply"
    );
}

#[test]
fn an_absent_scalar_is_its_zero_and_an_absent_optional_or_message_is_null() {
    let shape = reply(
        Fields::default()
            .read("int32_field", leaf(LeafKind::Int))
            .read("text", leaf(LeafKind::String))
            .read("bool_field", leaf(LeafKind::Boolean))
            .read("double_field", leaf(LeafKind::Float))
            .read("blob", leaf(LeafKind::String))
            .read("kind", leaf(kinds()))
            .read("texts", list(leaf(LeafKind::String)))
            .read("labels", leaf(LeafKind::Json))
            .read("optional_int", leaf(LeafKind::Int))
            .read("optional_text", leaf(LeafKind::String))
            .read("child.text", leaf(LeafKind::String))
            .read(
                "child",
                Fields::default()
                    .read("text", leaf(LeafKind::String))
                    .object(),
            )
            .read("maybe_int", leaf(LeafKind::Int64))
            .read("moment", leaf(LeafKind::String))
            .object(),
    );
    let zeros = json!({
        "int32_field": 0, "text": "", "bool_field": false, "double_field": 0, "blob": "", "kind": null,
        "texts": [], "labels": {}, "optional_int": null, "optional_text": null, "child.text": null,
        "child": null, "maybe_int": null, "moment": null,
    });
    let got = read(&shape, json!({}));
    assert_eq!(got, zeros);
    let present =
        json!({ "optionalInt": 0, "child": {}, "maybeInt": "0", "moment": "1970-01-01T00:00:00Z" });
    let got = read(&shape, present);
    assert_eq!(got["optional_int"], json!(0));
    assert_eq!(got["child.text"], json!(""));
    assert_eq!(got["child"], json!({ "text": "" }));
    assert_eq!(got["maybe_int"], json!(0));
    assert_eq!(got["moment"], json!("1970-01-01T00:00:00Z"));
}

#[test]
fn a_property_is_found_by_its_proto_name_and_by_its_json_name() {
    let message = json!({ "int32Field": 7 });
    assert_eq!(
        field("int32_field", leaf(LeafKind::Int), message.clone()),
        json!(7)
    );
    assert_eq!(field("int32Field", leaf(LeafKind::Int), message), json!(7));
}

#[test]
fn two_fields_may_read_one_property_as_different_things() {
    let mut fields = Fields::default();
    fields.push("kind", leaf(kinds()));
    fields.push("kind", leaf(LeafKind::String));
    let shape = reply(fields.object());
    let tape = decoded(&shape, encoded(json!({ "kind": "KIND_B" }))).unwrap();
    let Value::Object { at, .. } = tape.root else {
        panic!("{:?}", tape.root)
    };
    assert_eq!(tape.get(at), Value::Enum(1));
    assert_eq!(tape.str(tape.get(at + 1)), Some("KIND_B"));
}

#[test]
fn integers_of_64_bits_stay_exact() {
    let message =
        json!({ "int64Field": "-9223372036854775808", "uint64Field": "18446744073709551615" });
    assert_eq!(
        field("int64_field", leaf(LeafKind::Int64), message.clone()),
        json!(i64::MIN)
    );
    assert_eq!(
        field("uint64_field", leaf(LeafKind::Id), message.clone()),
        json!(u64::MAX)
    );
    let both = json!({ "int64Field": i64::MIN, "uint64Field": u64::MAX });
    assert_eq!(
        field("child", leaf(LeafKind::Json), json!({ "child": message })),
        both,
        "in a custom scalar too"
    );
}

#[test]
fn what_does_not_fit_is_an_error_at_its_place() {
    let nan = json!({ "doubleField": "NaN", "text": "fine" });
    let shape = reply(
        Fields::default()
            .read("double_field", leaf(LeafKind::Float))
            .read("text", leaf(LeafKind::String))
            .object(),
    );
    let got = read(&shape, nan);
    assert_eq!(
        got["double_field"],
        error("expected Float, found a number that is not finite")
    );
    assert_eq!(got["text"], json!("fine"));
    let unknown = json!({ "kind": 9 });
    assert_eq!(
        field("kind", leaf(kinds()), unknown),
        error("expected one of the enum's values, found a number that the contract does not name")
    );
    let child = json!({ "child": { "text": "x" } });
    assert_eq!(
        field("child", leaf(LeafKind::String), child.clone()),
        error("expected a single value, found an object")
    );
    assert_eq!(
        field("child", list(leaf(LeafKind::String)), child),
        error("expected a list, found an object")
    );
    assert_eq!(
        field("texts", leaf(LeafKind::String), json!({ "texts": ["a"] })),
        error("expected a single value, found a list")
    );
    let object = Fields::default().read("x", leaf(LeafKind::Int)).object();
    assert_eq!(
        field("text", object, json!({ "text": "x" })),
        error("expected an object, found a single value")
    );
}

#[test]
fn text_that_is_not_utf_8_is_an_error_at_its_place() {
    let shape = reply(
        Fields::default()
            .read("text", leaf(LeafKind::String))
            .object(),
    );
    let tape = decoded(&shape, vec![0x72, 0x02, 0xff, 0xfe]).unwrap();
    assert_eq!(
        shown(&tape, &shape.root)["text"],
        error("expected String, found a text that is not UTF-8")
    );
}

#[test]
fn another_wire_type_than_declared_is_a_malformed_reply() {
    let wrong = pool().get_message_by_name("test.Wrong").unwrap();
    let mut message = DynamicMessage::new(wrong);
    message.set_field_by_name("int32_field", prost_reflect::Value::String("seven".into()));
    let shape = reply(
        Fields::default()
            .read("int32_field", leaf(LeafKind::Int))
            .object(),
    );
    let malformed = decoded(&shape, message.encode_to_vec()).unwrap_err();
    assert_eq!(
        malformed.to_string(),
        "test.Everything.int32_field has another wire type than declared"
    );
}

#[test]
fn well_known_types_are_read_as_what_they_stand_for() {
    let message = json!({
        "moment": "2024-05-01T12:00:00.250Z", "span": "3.5s", "maybeInt": "9", "maybeText": "hi",
        "maybeFloat": 0.1, "meta": { "a": [1, { "b": null }] }, "anyValue": "x", "someList": [1, "two"],
        "mask": "a.bC", "nothing": {}, "any": { "@type": "type.googleapis.com/test.Everything", "int64Field": "5" },
    });
    let value = |path: &str, kind| field(path, leaf(kind), message.clone());
    assert_eq!(
        value("moment", LeafKind::String),
        json!("2024-05-01T12:00:00.250Z")
    );
    assert_eq!(value("span", LeafKind::String), json!("3.500s"));
    assert_eq!(value("maybe_int", LeafKind::Int64), json!(9));
    assert_eq!(value("maybe_text", LeafKind::Id), json!("hi"));
    assert_eq!(value("maybe_float", LeafKind::Float), json!(0.1));
    assert_eq!(
        value("meta", LeafKind::Json),
        json!({ "a": [1, { "b": null }] })
    );
    assert_eq!(value("any_value", LeafKind::String), json!("x"));
    assert_eq!(value("some_list", LeafKind::Json), json!([1, "two"]));
    assert_eq!(value("mask", LeafKind::String), json!("a.bC"));
    assert_eq!(value("nothing", LeafKind::Json), json!({}));
    assert_eq!(
        value("any", LeafKind::Json),
        json!({ "@type": "type.googleapis.com/test.Everything", "int64Field": 5 })
    );
    assert_eq!(
        field("meta.a", list(leaf(LeafKind::Json)), message.clone()),
        json!([1, { "b": null }])
    );
    let stamp = Fields::default()
        .read("seconds", leaf(LeafKind::Int64))
        .object();
    assert_eq!(
        field("moment", stamp, message),
        json!({ "seconds": 1_714_564_800 })
    );
}

#[test]
fn an_any_of_a_type_that_is_not_in_the_contract_is_an_error_at_its_place() {
    // field 39 { type_url: "x/a.B" }
    let mut bytes = vec![0xba, 0x02, 0x07, 0x0a, 0x05];
    bytes.extend(b"x/a.B");
    let shape = reply(Fields::default().read("any", leaf(LeafKind::Json)).object());
    let tape = decoded(&shape, bytes).unwrap();
    assert_eq!(
        shown(&tape, &shape.root)["any"],
        error("expected a value, found an Any of a type that the contract does not know")
    );
}

#[test]
fn a_map_is_an_object_or_a_list_of_its_entries_or_read_by_key() {
    let message = json!({ "counts": { "a": "1" }, "byId": { "7": { "text": "seven" } } });
    assert_eq!(
        field("counts", leaf(LeafKind::Json), message.clone()),
        json!({ "a": 1 })
    );
    let entries = Fields::default()
        .read("key", leaf(LeafKind::String))
        .read("value", leaf(LeafKind::Int64))
        .object();
    assert_eq!(
        field("counts", list(entries), message.clone()),
        json!([{ "key": "a", "value": 1 }])
    );
    let by_key = Fields::default()
        .read("a", leaf(LeafKind::Int64))
        .read("b", leaf(LeafKind::Int64))
        .object();
    assert_eq!(
        field("counts", by_key, message.clone()),
        json!({ "a": 1, "b": null })
    );
    assert_eq!(
        field("by_id.7.text", leaf(LeafKind::String), message.clone()),
        json!("seven")
    );
    assert_eq!(
        field("by_id.7.int32_field", leaf(LeafKind::Int), message),
        json!(0)
    );
}

#[test]
fn a_map_of_scalars_is_an_object_of_any_size_and_the_last_of_a_key_wins() {
    let labels = |entries: &[(&str, &str)]| {
        let entry = |(key, value): &(&str, &str)| encoded(json!({ "labels": { *key: value } }));
        let shape = reply(
            Fields::default()
                .read("labels", leaf(LeafKind::Json))
                .object(),
        );
        let tape = decoded(&shape, entries.iter().flat_map(entry).collect()).unwrap();
        shown(&tape, &shape.root)["labels"].clone()
    };
    assert_eq!(
        labels(&[("a", "1"), ("b\"\n", "\\")]),
        json!({ "a": "1", "b\"\n": "\\" })
    );
    assert_eq!(
        labels(&[("a", "1"), ("b", "2"), ("a", "3")]),
        json!({ "a": "3", "b": "2" })
    );
    let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(labels(&many).as_object().unwrap().len(), 100);
}

#[test]
fn an_absent_value_of_a_map_entry_is_an_empty_message() {
    // by_id { key: 3 }
    let entry = Fields::default()
        .read("key", leaf(LeafKind::Int))
        .read(
            "value",
            Fields::default()
                .read("text", leaf(LeafKind::String))
                .object(),
        )
        .object();
    let shape = reply(Fields::default().read("by_id", list(entry)).object());
    let tape = decoded(&shape, vec![0xda, 0x01, 0x02, 0x08, 0x03]).unwrap();
    assert_eq!(
        shown(&tape, &shape.root)["by_id"],
        json!([{ "key": 3, "value": { "text": "" } }])
    );
}

#[test]
fn numbers_are_read_packed_and_one_by_one() {
    let shape = reply(
        Fields::default()
            .read("packed", list(leaf(LeafKind::Int)))
            .read("unpacked", list(leaf(LeafKind::Int64)))
            .read("fixed_list", list(leaf(LeafKind::Int64)))
            .object(),
    );
    let message = json!({ "packed": [1, 300, -1], "unpacked": ["5", "6"], "fixedList": [7] });
    let expected = json!({ "packed": [1, 300, -1], "unpacked": [5, 6], "fixed_list": [7] });
    assert_eq!(read(&shape, message), expected);
    // Field 20, declared packed, one by one and packed; field 21, declared one by one, packed.
    let mixed = vec![
        0xa0, 0x01, 0x01, 0xa2, 0x01, 0x02, 0x02, 0x03, 0xaa, 0x01, 0x01, 0x09,
    ];
    let tape = decoded(&shape, mixed).unwrap();
    let expected = json!({ "packed": [1, 2, 3], "unpacked": [9], "fixed_list": [] });
    assert_eq!(shown(&tape, &shape.root), expected);
}

#[test]
fn records_that_come_again_are_merged() {
    let shape = reply(
        Fields::default()
            .read("text", leaf(LeafKind::String))
            .read("texts", list(leaf(LeafKind::String)))
            .read(
                "child",
                Fields::default()
                    .read("text", leaf(LeafKind::String))
                    .read("int32_field", leaf(LeafKind::Int))
                    .read("texts", list(leaf(LeafKind::String)))
                    .object(),
            )
            .object(),
    );
    let first = json!({ "text": "a", "texts": ["1"], "child": { "text": "x", "texts": ["p"] } });
    let second =
        json!({ "text": "b", "texts": ["2"], "child": { "int32Field": 5, "texts": ["q"] } });
    let both = [encoded(first), encoded(second)].concat();
    let tape = decoded(&shape, both).unwrap();
    assert_eq!(
        shown(&tape, &shape.root),
        json!({ "text": "b", "texts": ["1", "2"], "child": { "text": "x", "int32_field": 5, "texts": ["p", "q"] } })
    );
}

#[test]
fn a_oneof_is_the_member_that_was_set_last() {
    let shape = reply(
        Fields::default()
            .read("choice", leaf(LeafKind::String))
            .read("choice_number", leaf(LeafKind::Int))
            .read("choice_child.text", leaf(LeafKind::String))
            .read("choice_child.int32_field", leaf(LeafKind::Int))
            .object(),
    );
    let child = |json| encoded(json!({ "choiceChild": json }));
    let again = [
        child(json!({ "text": "old" })),
        encoded(json!({ "choiceText": "nobody reads this one" })),
        child(json!({ "int32Field": 1 })),
    ];
    let tape = decoded(&shape, again.concat()).unwrap();
    assert_eq!(
        shown(&tape, &shape.root),
        json!({ "choice": "choice_child", "choice_number": null, "choice_child.text": "", "choice_child.int32_field": 1 })
    );
    let replaced = [
        child(json!({ "text": "old" })),
        encoded(json!({ "choiceText": "new" })),
    ];
    let tape = decoded(&shape, replaced.concat()).unwrap();
    assert_eq!(
        shown(&tape, &shape.root),
        json!({ "choice": "choice_text", "choice_number": null, "choice_child.text": null, "choice_child.int32_field": null })
    );
}

fn variant(value: Option<&str>, layout: u32, fields: Fields) -> AbstractVariant {
    AbstractVariant {
        value: value.map(Into::into),
        status: Vec::new(),
        shape: Arc::new(ObjectShape {
            layout,
            ..fields.shape()
        }),
    }
}

fn one_of(discriminator: &str, variants: Vec<AbstractVariant>) -> Shape {
    Shape::Abstract(Arc::new(AbstractShape {
        ty: "Choice".into(),
        discriminator: discriminator.split('.').map(str::to_owned).collect(),
        variants,
    }))
}

#[test]
fn a_oneof_an_enum_a_text_or_a_flag_can_tell_the_type() {
    let number = || Fields::default().read("choice_number", leaf(LeafKind::Int));
    let other = || Fields::default().read("text", leaf(LeafKind::String));
    let by_oneof = reply(one_of(
        "choice",
        vec![
            variant(Some("choice_number"), 1, number()),
            variant(None, 2, other()),
        ],
    ));
    assert_eq!(
        read(&by_oneof, json!({ "choiceNumber": 0 })),
        json!({ "choice_number": 0 })
    );
    assert_eq!(
        read(&by_oneof, json!({ "choiceText": "x", "text": "t" })),
        json!({ "text": "t" })
    );
    assert_eq!(read(&by_oneof, json!({})), json!({ "text": "" }));
    for (path, value, message) in [
        ("kind", "KIND_B", json!({ "kind": "KIND_B", "text": "t" })),
        (
            "optional_text",
            "b",
            json!({ "optionalText": "b", "text": "t" }),
        ),
        (
            "child.bool_field",
            "true",
            json!({ "child": { "boolField": true }, "text": "t" }),
        ),
        ("int32_field", "4", json!({ "int32Field": 4, "text": "t" })),
    ] {
        let shape = reply(one_of(path, vec![variant(Some(value), 1, other())]));
        assert_eq!(read(&shape, message), json!({ "text": "t" }), "{path}");
        assert_eq!(
            read(&shape, json!({})),
            error("expected Choice, found a value that is none of its types"),
            "{path}"
        );
    }
}

#[test]
fn a_list_of_values_can_be_a_list_of_objects_around_them() {
    let mut around = Fields {
        slots: 1,
        ..Fields::default()
    }
    .shape();
    around.itself = vec![(
        0,
        Leaf {
            kind: LeafKind::Id,
            format: None,
        },
    )];
    let shape = reply(
        Fields::default()
            .read("unpacked", list(Shape::Object(Arc::new(around))))
            .object(),
    );
    let tape = decoded(&shape, encoded(json!({ "unpacked": ["5", "6"] }))).unwrap();
    let Value::Object { at, .. } = tape.root else {
        panic!("{:?}", tape.root)
    };
    let Value::List { at, len: 2 } = tape.get(at) else {
        panic!("{:?}", tape.get(at))
    };
    let Value::Object { at, layout: 0 } = tape.get(at + 1) else {
        panic!("{:?}", tape.get(at + 1))
    };
    assert_eq!(tape.get(at), Value::Int(6));
}

#[test]
fn the_envelope_is_unwrapped_through_messages_and_lists() {
    let object = || {
        Fields::default()
            .read("text", leaf(LeafKind::String))
            .object()
    };
    let in_message = unwrapped("child.child", object());
    let message = json!({ "child": { "child": { "text": "deep" } } });
    assert_eq!(read(&in_message, message), json!({ "text": "deep" }));
    assert_eq!(read(&in_message, json!({ "child": {} })), Json::Null);
    let in_list = unwrapped("children", list(object()));
    assert_eq!(
        read(&in_list, json!({ "children": [{ "text": "a" }, {}] })),
        json!([{ "text": "a" }, { "text": "" }])
    );
    assert_eq!(read(&in_list, json!({})), json!([]));
    let through = unwrapped("children.child", list(object()));
    let message =
        json!({ "children": [{ "child": { "text": "a" } }, {}, { "child": { "text": "c" } }] });
    assert_eq!(
        read(&through, message),
        json!([{ "text": "a" }, null, { "text": "c" }])
    );
    let flat = unwrapped("children.texts", list(leaf(LeafKind::String)));
    let message = json!({ "children": [{ "texts": ["a", "b"] }, { "texts": ["c"] }] });
    assert_eq!(read(&flat, message), json!(["a", "b", "c"]));
    let numbers = unwrapped("children.packed", list(leaf(LeafKind::Int)));
    let message = json!({ "children": [{ "packed": [1, 2] }, { "packed": [3] }] });
    assert_eq!(read(&numbers, message), json!([1, 2, 3]));
}

#[test]
fn a_field_below_a_list_is_gathered_into_one_list() {
    let message = json!({ "children": [{ "int32Field": 1 }, {}, { "int32Field": 3 }] });
    assert_eq!(
        field(
            "children.int32_field",
            list(leaf(LeafKind::Int)),
            message.clone()
        ),
        json!([1, 0, 3])
    );
    assert_eq!(
        field(
            "children.optional_int",
            list(leaf(LeafKind::Int)),
            message.clone()
        ),
        json!([null, null, null])
    );
    assert_eq!(
        field("children.int32_field", leaf(LeafKind::Int), message),
        error("expected a single value, found a list")
    );
}

#[test]
fn streamed_messages_are_one_list_on_one_tape() {
    let object = || {
        Fields::default()
            .read("text", leaf(LeafKind::String))
            .object()
    };
    let parts = [json!({ "text": "a" }), json!({}), json!({ "text": "c" })].map(encoded);
    let mut messages = Vec::new();
    let mut bytes = Vec::new();
    for part in parts {
        messages.push(bytes.len()..bytes.len() + part.len());
        bytes.extend(part);
    }
    let shape = reply(list(object()));
    let program = Program::streamed(&shape, &everything());
    let tape = program
        .decode(Bytes::from(bytes.clone()), &messages)
        .unwrap();
    assert_eq!(
        shown(&tape, &shape.root),
        json!([{ "text": "a" }, { "text": "" }, { "text": "c" }])
    );
    let none = program.decode(Bytes::new(), &[]).unwrap();
    assert_eq!(shown(&none, &shape.root), json!([]));
    let inside = unwrapped("text", list(leaf(LeafKind::String)));
    let tape = Program::streamed(&inside, &everything())
        .decode(Bytes::from(bytes), &messages)
        .unwrap();
    assert_eq!(shown(&tape, &inside.root), json!(["a", "", "c"]));
    let single = reply(object());
    let tape = Program::streamed(&single, &everything())
        .decode(Bytes::new(), &[])
        .unwrap();
    assert_eq!(
        shown(&tape, &single.root),
        error("expected an object, found a list")
    );
}

/// Three slots that are read, and everything that is made of them.
fn completed() -> ReplyShape {
    let computed = |slot, how| Computed {
        slot,
        how,
        leaf: Leaf {
            kind: LeafKind::String,
            format: None,
        },
    };
    let mut shape = Fields::default()
        .read("optional_int", leaf(LeafKind::Id)) // 0: the key of the embedded object
        .read("text", leaf(LeafKind::String)) // 1
        .read("optional_text", leaf(LeafKind::String)) // 2
        .read("kind", leaf(kinds())) // 3
        .shape();
    shape.slots = 9;
    shape.embedded = vec![Embedded {
        slot: 8,
        at: 0,
        layout: 5,
        keys: vec![0],
    }];
    let pieces = vec![
        ComputePiece::Slot(0),
        ComputePiece::Text("-".into()),
        ComputePiece::Slot(1),
    ];
    shape.computed = vec![
        computed(4, Compute::FirstOf(vec![2, 1])),
        computed(5, Compute::Template(pieces)),
        computed(6, Compute::Const(json!("always"))),
        computed(7, Compute::Status),
    ];
    shape.defaults = vec![(2, json!("none")), (3, json!("B"))];
    reply(Shape::Object(Arc::new(shape)))
}

#[test]
fn embedded_objects_computed_slots_and_defaults_complete_an_object() {
    let shape = completed();
    let slots = |message| {
        let tape = decoded(&shape, encoded(message)).unwrap();
        let Value::Object { at, .. } = tape.root else {
            panic!("{:?}", tape.root)
        };
        let text = |slot| tape.str(tape.get(at + slot)).unwrap_or("null").to_owned();
        let texts = [4, 5, 6, 7, 2].map(text).join(" ");
        (texts, tape.get(at + 3), tape.get(at + 8))
    };
    let (texts, default, embedded) = slots(json!({ "optionalInt": 8, "text": "t" }));
    assert_eq!(texts, "t 8-t always OK none");
    assert_eq!(
        default,
        Value::Enum(1),
        "a default is spelled as in GraphQL"
    );
    assert!(matches!(embedded, Value::Object { layout: 5, .. }));
    let (texts, _, embedded) = slots(json!({ "optionalText": "o" }));
    assert_eq!(texts, "o null always OK o");
    assert_eq!(
        embedded,
        Value::Null,
        "a null key part makes the reference null"
    );
}

#[test]
fn a_failure_can_be_a_type_of_the_graph() {
    let mut missing = variant(
        None,
        3,
        Fields::default().read("message", leaf(LeafKind::String)),
    );
    missing.status = vec!["NOT_FOUND".to_owned()];
    let Shape::Abstract(shape) = one_of("kind", vec![missing]) else {
        unreachable!()
    };
    let failure = json!({ "message": "no such thing" });
    let status = |number, name| Status { number, name };
    let tape = decode_failure(&shape, status(5, "NOT_FOUND"), &failure).unwrap();
    assert_eq!(shown(&tape, &Shape::Abstract(shape.clone())), failure);
    assert!(decode_failure(&shape, status(13, "INTERNAL"), &failure).is_none());
}

mod agreement;
