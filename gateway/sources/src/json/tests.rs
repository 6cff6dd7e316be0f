//! Decoding, by example.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::Format;
use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::Computed;
use plan::shape::Embedded;
use plan::shape::EnumValues;
use plan::shape::Layout;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::Prop;
use plan::shape::PropTarget;
use plan::shape::Props;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use serde_json::json;

use super::*;

fn leaf(kind: LeafKind) -> Shape {
    Shape::Leaf(Leaf { kind, format: None })
}

fn formatted(kind: LeafKind, format: Format) -> Shape {
    Shape::Leaf(Leaf {
        kind,
        format: Some(format),
    })
}

fn reply(root: Shape, unwrap: &[&str]) -> ReplyShape {
    ReplyShape {
        unwrap: unwrap.iter().map(|name| (*name).to_owned()).collect(),
        root,
        layouts: vec![Layout {
            ty: "Thing".into(),
            slots: 8,
        }],
        by: Vec::new(),
        connection: None,
    }
}

fn prop(name: &str, slot: u32, shape: Shape) -> Prop {
    Prop {
        name: name.into(),
        asked: None,
        targets: vec![PropTarget { slot, shape }],
        nested: Props::default(),
    }
}

fn object(props: Vec<Prop>) -> ObjectShape {
    ObjectShape {
        layout: 0,
        slots: 8,
        props: Props(props),
        embedded: Vec::new(),
        computed: Vec::new(),
        defaults: Vec::new(),
        itself: Vec::new(),
    }
}

fn decoded(text: &str, shape: Shape) -> Tape {
    decode(
        Bytes::copy_from_slice(text.as_bytes()),
        &reply(shape, &[]),
        200,
    )
    .unwrap()
}

/// A value as a test reads it.
fn shown(tape: &Tape, value: Value) -> String {
    match value {
        Value::Error(index) => format!("error: {}", tape.value_error(index).message()),
        Value::List { at, len } => {
            let items = tape.slots(at, len).to_vec();
            let items: Vec<String> = items.iter().map(|item| shown(tape, *item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object { at, .. } => {
            let slots = tape.slots(at, 8).to_vec();
            let last = slots.iter().rposition(|slot| *slot != Value::Absent);
            let slots: Vec<String> = slots[..last.map_or(0, |last| last + 1)]
                .iter()
                .map(|slot| shown(tape, *slot))
                .collect();
            format!("{{{}}}", slots.join(", "))
        }
        value => match tape.str(value) {
            Some(text) => format!("{text:?}"),
            None => format!("{value:?}"),
        },
    }
}

fn read(text: &str, shape: Shape) -> String {
    let tape = decoded(text, shape);
    shown(&tape, tape.root)
}

fn read_leaf(text: &str, kind: LeafKind) -> String {
    read(text, leaf(kind))
}

fn colours() -> Arc<EnumValues> {
    Arc::new(EnumValues {
        names: vec!["RED".into(), "OTHER".into()],
        upstream: vec![("r".into(), 0), ("1".into(), 0)],
        other: Some(1),
    })
}

#[test]
fn text_stays_in_the_reply_unless_it_was_escaped() {
    let plain = decoded("\"hello\"", leaf(LeafKind::String));
    assert_eq!(plain.root, Value::Plain { at: 1, len: 5 });
    let escaped = decoded(r#""a\nb\u00e9""#, leaf(LeafKind::String));
    assert!(matches!(escaped.root, Value::Owned { .. }));
    assert_eq!(escaped.str(escaped.root), Some("a\nbé"));
}

#[test]
fn each_leaf_takes_what_the_coercion_table_says() {
    let table = [
        ("1", LeafKind::Id, "Int(1)"),
        ("\"a\"", LeafKind::Id, "\"a\""),
        (
            "18446744073709551615",
            LeafKind::Id,
            "UInt(18446744073709551615)",
        ),
        ("1.5", LeafKind::Id, "error: expected ID, found a number"),
        ("true", LeafKind::Id, "error: expected ID, found a boolean"),
        ("2147483647", LeafKind::Int, "Int(2147483647)"),
        (
            "2147483648",
            LeafKind::Int,
            "error: expected Int, found a larger integer",
        ),
        ("-2147483648", LeafKind::Int, "Int(-2147483648)"),
        ("3.0", LeafKind::Int, "Int(3)"),
        ("3.5", LeafKind::Int, "error: expected Int, found a number"),
        ("\"3\"", LeafKind::Int, "error: expected Int, found a text"),
        ("3", LeafKind::Float, "Int(3)"),
        ("3.5", LeafKind::Float, "Float(3.5)"),
        (
            "\"3.5\"",
            LeafKind::Float,
            "error: expected Float, found a text",
        ),
        ("\"x\"", LeafKind::String, "\"x\""),
        (
            "1",
            LeafKind::String,
            "error: expected String, found an integer",
        ),
        ("true", LeafKind::Boolean, "Bool(true)"),
        (
            "1",
            LeafKind::Boolean,
            "error: expected Boolean, found an integer",
        ),
        ("9007199254740993", LeafKind::Int64, "Int(9007199254740993)"),
        (
            "\"9007199254740993\"",
            LeafKind::Int64,
            "Int(9007199254740993)",
        ),
        (
            "\"18446744073709551615\"",
            LeafKind::Int64,
            "UInt(18446744073709551615)",
        ),
        (
            "\"-9223372036854775808\"",
            LeafKind::Int64,
            "Int(-9223372036854775808)",
        ),
        (
            "\"01\"",
            LeafKind::Int64,
            "error: expected Int64, found a text that is no integer",
        ),
        (
            "\"\"",
            LeafKind::Int64,
            "error: expected Int64, found a text that is no integer",
        ),
        ("[1]", LeafKind::Int, "error: expected Int, found a list"),
        (
            "{\"a\":1}",
            LeafKind::String,
            "error: expected String, found an object",
        ),
        ("null", LeafKind::Int, "Null"),
    ];
    for (text, kind, expected) in table {
        assert_eq!(
            read_leaf(text, kind.clone()),
            expected,
            "{text} as {kind:?}"
        );
    }
}

#[test]
fn an_enum_takes_its_exact_upstream_value_else_the_rest() {
    assert_eq!(read_leaf("\"r\"", LeafKind::Enum(colours())), "Enum(0)");
    assert_eq!(read_leaf("1", LeafKind::Enum(colours())), "Enum(0)");
    assert_eq!(read_leaf("\"green\"", LeafKind::Enum(colours())), "Enum(1)");
    let closed = EnumValues {
        other: None,
        ..(*colours()).clone()
    };
    assert_eq!(
        read_leaf("\"green\"", LeafKind::Enum(Arc::new(closed))),
        "error: expected one of the enum's values, found another value"
    );
}

#[test]
fn a_custom_scalar_keeps_its_text_where_a_number_would_lose_it() {
    let table = [
        (" {\"a\" : 1.10} ", "\"{\\\"a\\\" : 1.10}\""),
        ("1.10", "\"1.10\""),
        ("-0", "\"-0\""),
        (
            "123456789012345678901234567890",
            "\"123456789012345678901234567890\"",
        ),
        ("12", "Int(12)"),
        ("18446744073709551615", "UInt(18446744073709551615)"),
        ("\"2024-05-01\"", "\"2024-05-01\""),
        (r#""a\"b""#, r#""a\"b""#),
        ("true", "Bool(true)"),
        ("null", "Null"),
    ];
    for (text, expected) in table {
        assert_eq!(read_leaf(text, LeafKind::Json), expected, "{text}");
    }
}

#[test]
fn formats_convert_before_the_leaf_is_read() {
    let table = [
        (
            "0",
            LeafKind::String,
            Format::UnixSeconds,
            "\"1970-01-01T00:00:00Z\"",
        ),
        (
            "1500",
            LeafKind::Json,
            Format::UnixMillis,
            "\"1970-01-01T00:00:01.500Z\"",
        ),
        ("\"12\"", LeafKind::Int, Format::NumberAsString, "Int(12)"),
        ("12", LeafKind::String, Format::StringAsNumber, "\"12\""),
        (
            "\"x\"",
            LeafKind::Int,
            Format::NumberAsString,
            "error: expected a number, found another text",
        ),
        (
            r#""{\"a\":1}""#,
            LeafKind::Json,
            Format::JsonString,
            "\"{\\\"a\\\":1}\"",
        ),
        ("\"3\"", LeafKind::Int, Format::JsonString, "Int(3)"),
        (
            "\"{\"",
            LeafKind::Json,
            Format::JsonString,
            "error: expected a value, found a text that is not JSON",
        ),
        ("\"aGk=\"", LeafKind::String, Format::Base64, "\"hi\""),
        (
            "5",
            LeafKind::String,
            Format::Base64,
            "error: expected a text, found an integer",
        ),
        ("null", LeafKind::String, Format::Base64, "Null"),
    ];
    for (text, kind, format, expected) in table {
        assert_eq!(
            read(text, formatted(kind, format)),
            expected,
            "{text} as {format:?}"
        );
    }
}

#[test]
fn unrequested_properties_are_skipped_and_a_wrong_type_spoils_only_itself() {
    let shape = object(vec![
        prop("id", 0, leaf(LeafKind::Id)),
        prop("n", 1, leaf(LeafKind::Int)),
        prop("s", 2, leaf(LeafKind::String)),
    ]);
    let text = r#"{"x":[[{"y":"}"}]],"s":"é","n":{"a":[1]},"id":7,"z":1e5}"#;
    assert_eq!(
        read(text, Shape::Object(Arc::new(shape))),
        "{Int(7), error: expected Int, found an object, \"é\"}"
    );
}

#[test]
fn of_two_properties_of_one_name_the_last_counts() {
    let mut address = prop("address", 0, leaf(LeafKind::Int));
    address.targets.clear();
    address.nested = Props(vec![
        prop("zip", 1, leaf(LeafKind::String)),
        prop("city", 2, leaf(LeafKind::String)),
    ]);
    let shape = object(vec![prop("id", 0, leaf(LeafKind::Id)), address]);
    let text = r#"{"id":1,"address":{"zip":"1","city":"x"},"id":2,"address":{"zip":"2"}}"#;
    assert_eq!(
        read(text, Shape::Object(Arc::new(shape))),
        "{Int(2), \"2\"}"
    );
}

#[test]
fn names_that_are_spelled_with_escapes_are_found() {
    let shape = object(vec![
        prop("id", 0, leaf(LeafKind::Id)),
        prop("j", 1, leaf(LeafKind::Json)),
    ]);
    let text = r#"{"\u0069d":1,"\u006a":[1, 2],"\u0078":[[]]}"#;
    assert_eq!(
        read(text, Shape::Object(Arc::new(shape))),
        "{Int(1), \"[1, 2]\"}"
    );
}

#[test]
fn one_property_may_go_to_several_slots() {
    let mut user = prop("user", 0, leaf(LeafKind::Json));
    user.targets.push(PropTarget {
        slot: 1,
        shape: Shape::Object(Arc::new(object(vec![prop("id", 0, leaf(LeafKind::Id))]))),
    });
    user.nested = Props(vec![prop("name", 2, leaf(LeafKind::String))]);
    let shape = object(vec![user]);
    assert_eq!(
        read(
            r#"{"user":{"id":"u\n","name":"A"}}"#,
            Shape::Object(Arc::new(shape))
        ),
        r#"{"{\"id\":\"u\\n\",\"name\":\"A\"}", {"u\n"}, "A"}"#
    );
}

#[test]
fn a_reference_is_built_from_its_parents_object_and_is_null_without_its_key() {
    let mut shape = object(vec![prop("user_id", 2, leaf(LeafKind::Id))]);
    shape.embedded.push(Embedded {
        slot: 0,
        at: 2,
        layout: 0,
        keys: vec![2],
    });
    let shape = Shape::Object(Arc::new(shape));
    let tape = decoded(
        r#"[{"user_id":5},{"user_id":null},{}]"#,
        Shape::List(Box::new(shape)),
    );
    let Value::List { at, .. } = tape.root else {
        panic!("{:?}", tape.root)
    };
    let slot = |item: u32| {
        let Value::Object { at, .. } = tape.get(at + item) else {
            panic!("no object")
        };
        (at, tape.get(at))
    };
    let (base, reference) = slot(0);
    assert_eq!(
        reference,
        Value::Object {
            at: base + 2,
            layout: 0
        }
    );
    assert_eq!(tape.get(base + 2), Value::Int(5));
    assert_eq!(slot(1).1, Value::Null);
    assert_eq!(slot(2).1, Value::Null);
}

#[test]
fn a_list_of_plain_values_can_be_a_list_of_records() {
    let mut shape = object(Vec::new());
    shape.itself.push((
        0,
        Leaf {
            kind: LeafKind::Id,
            format: None,
        },
    ));
    let list = || Shape::List(Box::new(Shape::Object(Arc::new(shape.clone()))));
    assert_eq!(
        read("[1,\"b\",null,[2]]", list()),
        "[{Int(1)}, {\"b\"}, Null, error: expected an object, found a list]"
    );
}

#[test]
fn slots_are_computed_from_others() {
    let text = Leaf {
        kind: LeafKind::String,
        format: None,
    };
    let mut shape = object(vec![
        prop("a", 0, leaf(LeafKind::Json)),
        prop("b", 1, leaf(LeafKind::Json)),
    ]);
    let computed = |slot, how| Computed {
        slot,
        how,
        leaf: text.clone(),
    };
    shape.computed = vec![
        computed(2, Compute::FirstOf(vec![0, 1])),
        computed(
            3,
            Compute::Template(vec![
                ComputePiece::Slot(0),
                ComputePiece::Text("-".into()),
                ComputePiece::Slot(1),
            ]),
        ),
        computed(4, Compute::Const(json!("c"))),
        computed(5, Compute::Status),
    ];
    shape.defaults = vec![(0, json!("none"))];
    let shape = Shape::Object(Arc::new(shape));
    assert_eq!(
        read(
            r#"[{"a":null,"b":"B"},{"a":"A","b":1}]"#,
            Shape::List(Box::new(shape))
        ),
        r#"[{"none", "B", "B", Null, "c", "200"}, {"A", Int(1), "A", "A-1", "c", "200"}]"#
    );
}

#[test]
fn a_default_of_an_enum_is_a_graphql_name() {
    let mut shape = object(vec![prop("c", 0, leaf(LeafKind::Enum(colours())))]);
    shape.defaults = vec![(0, json!("OTHER"))];
    let shape = Shape::Object(Arc::new(shape));
    assert_eq!(
        read("[{},{\"c\":\"r\"}]", Shape::List(Box::new(shape))),
        "[{Enum(1)}, {Enum(0)}]"
    );
}

fn pets() -> Shape {
    let variant = |value: Option<&str>, name: &str| AbstractVariant {
        value: value.map(Into::into),
        status: Vec::new(),
        shape: Arc::new(object(vec![prop(name, 0, leaf(LeafKind::String))])),
    };
    Shape::Abstract(Arc::new(AbstractShape {
        ty: "Pet".into(),
        discriminator: vec!["meta".into(), "kind".into()],
        variants: vec![variant(Some("cat"), "purr"), variant(Some("2"), "bark")],
    }))
}

#[test]
fn the_discriminator_tells_the_type_wherever_it_stands() {
    let text = r#"[
        {"purr":"a","meta":{"kind":"cat"}},
        {"meta":{"kind":2},"bark":"b"},
        {"meta":{"kind":"fish"}},
        {"meta":"cat"},
        null,
        3
    ]"#;
    let none = "error: expected Pet, found a value that is none of its types";
    assert_eq!(
        read(text, Shape::List(Box::new(pets()))),
        format!("[{{\"a\"}}, {{\"b\"}}, {none}, {none}, Null, {none}]")
    );
}

#[test]
fn a_type_that_only_a_status_means_is_never_any_other_value() {
    let shape = AbstractShape {
        ty: "Result".into(),
        discriminator: Vec::new(),
        variants: vec![
            AbstractVariant {
                value: None,
                status: vec!["404".into()],
                shape: Arc::new(object(Vec::new())),
            },
            AbstractVariant {
                value: None,
                status: Vec::new(),
                shape: Arc::new(object(vec![prop("id", 0, leaf(LeafKind::Id))])),
            },
        ],
    };
    assert_eq!(
        read(r#"{"id":1}"#, Shape::Abstract(Arc::new(shape))),
        "{Int(1)}"
    );
}

#[test]
fn the_envelope_is_unwrapped_and_may_be_missing() {
    let shape = reply(leaf(LeafKind::Int), &["data", "count"]);
    let root = |text: &str| {
        decode(Bytes::copy_from_slice(text.as_bytes()), &shape, 200)
            .unwrap()
            .root
    };
    assert_eq!(
        root(r#"{"meta":[[1]],"data":{"x":{},"count":3}}"#),
        Value::Int(3)
    );
    assert_eq!(root(r#"{"data":{"count":null}}"#), Value::Null);
    for text in [r#"{"data":{}}"#, r#"{"data":null}"#, "{}", "null"] {
        assert_eq!(root(text), Value::Absent, "{text}");
    }
    for text in [
        r#"{"data":[1]}"#,
        r#"{"data":3}"#,
        r#"{"data":"x"}"#,
        "[]",
        "1",
        "true",
    ] {
        assert!(matches!(root(text), Value::Error(_)), "{text}");
    }
}

#[test]
fn what_is_no_json_document_is_refused() {
    let shape = object(vec![prop("a", 0, leaf(LeafKind::Int))]);
    let shape = reply(Shape::Object(Arc::new(shape)), &[]);
    let cases: [&[u8]; 12] = [
        b"",
        b"<html>",
        b"{\"a\":1",
        b"{\"a\":1}x",
        b"{\"a\":1}{}",
        b"{\"a\":1,}",
        b"{\"x\":[1,}]}",
        b"{\"a\":01}",
        b"{\"x\":\"\x01\"}",
        b"{\"x\":\"\xff\"}",
        b"{\"x\":tru}",
        b"{'a':1}",
    ];
    for text in cases {
        let result = decode(Bytes::copy_from_slice(text), &shape, 200);
        assert!(result.is_err(), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn the_fault_is_told_without_quoting_the_reply() {
    let shape = reply(leaf(LeafKind::Int), &[]);
    let error = decode(Bytes::from_static(b"{\"secret\":hunter2}"), &shape, 200).unwrap_err();
    assert!(!error.0.contains("hunter2"), "{error}");
    assert!(error.0.contains("byte"), "{error}");
}

#[test]
fn a_reply_of_a_million_brackets_is_refused_wherever_it_nests() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let record = Shape::Object(Arc::new(object(vec![
        prop("json", 0, leaf(LeafKind::Json)),
        prop("int", 1, leaf(LeafKind::Int)),
        prop("list", 2, Shape::List(Box::new(leaf(LeafKind::Int)))),
        prop("jsons", 3, Shape::List(Box::new(leaf(LeafKind::Json)))),
        prop("pet", 4, pets()),
    ])));
    for name in [
        "json",
        "int",
        "list",
        "jsons",
        "pet",
        "other",
        "\\u006ason",
        "\\u006eo",
    ] {
        let text = format!("{{\"{name}\":{deep}}}");
        let shape = reply(record.clone(), &[]);
        assert!(decode(text.into(), &shape, 200).is_err(), "{name}");
    }
    for shape in [leaf(LeafKind::Json), leaf(LeafKind::Int), record, pets()] {
        let shape = reply(shape, &[]);
        assert!(decode(deep.clone().into(), &shape, 200).is_err());
        let list = format!("[1,{deep}]");
        let shape = reply(Shape::List(Box::new(shape.root)), &[]);
        assert!(decode(list.into(), &shape, 200).is_err());
    }
    let envelope = reply(leaf(LeafKind::Int), &["a"]);
    for text in [deep.clone(), format!("{{\"b\":{deep}}}")] {
        assert!(decode(text.into(), &envelope, 200).is_err());
    }
}

#[test]
fn the_pages_of_a_list_are_one_list() {
    let item = Shape::Object(Arc::new(object(vec![prop("id", 0, leaf(LeafKind::Id))])));
    let shape = reply(Shape::List(Box::new(item)), &["items"]);
    let pages = [
        Bytes::from_static(br#"{"items":[{"id":"a"},{"id":"b"}]}"#),
        Bytes::from_static(br#"{"items":[]}"#),
        Bytes::from_static(br#"{"items":[{"id":"\u0063"}]}"#),
    ];
    let tape = decode_pages(&pages, &shape, 200).unwrap();
    assert_eq!(shown(&tape, tape.root), r#"[{"a"}, {"b"}, {"c"}]"#);
}

#[test]
fn an_error_reply_is_an_object_even_without_a_body() {
    let mut shape = object(vec![prop("title", 0, leaf(LeafKind::String))]);
    shape.computed.push(Computed {
        slot: 1,
        how: Compute::Status,
        leaf: Leaf {
            kind: LeafKind::Int,
            format: None,
        },
    });
    let read = |text: &'static str| {
        let tape = decode_variant(Bytes::from_static(text.as_bytes()), &shape, 404);
        shown(&tape, tape.root)
    };
    assert_eq!(read(r#"{"title":"gone"}"#), r#"{"gone", Int(404)}"#);
    for text in ["", "<html>", "[]", "null"] {
        assert_eq!(read(text), "{Absent, Int(404)}", "{text}");
    }
}

mod facts_of_a_page {
    use compose::model::Page;
    use compose::model::PageStyle;

    use super::*;
    use crate::page::Facts;

    fn path(dotted: &str) -> Option<Vec<String>> {
        Some(dotted.split('.').map(str::to_owned).collect())
    }

    fn page() -> Page {
        Page {
            style: PageStyle::Cursor,
            size: None,
            at: None,
            next: path("meta.next"),
            has_more: path("meta.more"),
            total: path("meta.page.total"),
            max_size: 100,
            follow: None,
            first: None,
            after: None,
        }
    }

    fn read(text: &'static str) -> Facts {
        let unwrap = ["data".to_owned(), "items".to_owned()];
        facts(&Bytes::from_static(text.as_bytes()), &unwrap, &page()).unwrap()
    }

    #[test]
    fn are_read_in_one_walk_in_any_order() {
        let text = r#"{"meta":{"next":"c2","x":[1],"page":{"total":"9"},"more":true},"data":{"items":[{},[],3]}}"#;
        let expected = Facts {
            items: 3,
            next: Some("c2".into()),
            has_more: Some(true),
            total: Some(9),
        };
        assert_eq!(read(text), expected);
    }

    #[test]
    fn are_absent_where_the_reply_says_nothing() {
        assert_eq!(read("{}"), Facts::default());
        assert_eq!(read("[1]"), Facts::default());
        assert_eq!(
            read(r#"{"meta":null,"data":{"items":null}}"#),
            Facts::default()
        );
        let ended = read(r#"{"meta":{"next":"","more":null}}"#);
        assert_eq!((ended.next, ended.has_more), (None, Some(false)));
    }

    #[test]
    fn a_cursor_may_be_a_number() {
        assert_eq!(read(r#"{"meta":{"next":7}}"#).next, Some("7".into()));
    }

    #[test]
    fn a_page_that_nests_too_deep_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(facts(&deep.into(), &[], &page()).is_err());
    }
}
