//! The decoder against the plainest one there is: random documents and random
//! shapes, read by way of a tree of values, must come out alike.

use std::sync::Arc;

use bytes::Bytes;
use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::Compute;
use plan::shape::ComputePiece;
use plan::shape::Computed;
use plan::shape::Embedded;
use plan::shape::EnumValues;
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
use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::json;

use super::decode;

const STATUS: u16 = 207;

/// What a value comes out as.
#[derive(Debug, Clone, PartialEq)]
enum Out {
    Absent,
    Json(Json),
    Enum(u32),
    Error,
    List(Vec<Out>),
    Object(Vec<Out>),
    /// An object embedded in the one at hand, by its first slot.
    Embedded(u32),
}

// --- The decoder's result -------------------------------------------------

fn of_tape(tape: &Tape, value: Value, shape: &Shape) -> Out {
    match value {
        Value::Absent => Out::Absent,
        Value::Null => Out::Json(Json::Null),
        Value::Bool(value) => Out::Json(value.into()),
        Value::Int(value) => Out::Json(value.into()),
        Value::UInt(value) => Out::Json(value.into()),
        Value::Float(value) => Out::Json(value.into()),
        Value::Enum(index) => Out::Enum(index),
        Value::Error(_) => Out::Error,
        Value::RawJson { .. } | Value::OwnedJson { .. } => {
            Out::Json(serde_json::from_str(tape.str(value).unwrap()).unwrap())
        }
        Value::List { at, len } => {
            let Shape::List(item) = shape else {
                panic!("a list where none was asked for")
            };
            let items = tape.slots(at, len).iter();
            Out::List(items.map(|value| of_tape(tape, *value, item)).collect())
        }
        Value::Object { at, layout } => of_object(tape, at, object_shape(shape, layout)),
        text => Out::Json(tape.str(text).unwrap().into()),
    }
}

fn of_object(tape: &Tape, base: u32, shape: &ObjectShape) -> Out {
    let slots = (0..shape.slots).map(|slot| {
        let value = tape.get(base + slot);
        match value {
            Value::Object { at, .. } if (base..base + shape.slots).contains(&at) => {
                Out::Embedded(at - base)
            }
            value => of_tape(tape, value, shape_at(&shape.props, slot).unwrap_or(&ANY)),
        }
    });
    Out::Object(slots.collect())
}

static ANY: Shape = Shape::Leaf(Leaf {
    kind: LeafKind::Json,
    format: None,
});

fn shape_at(props: &Props, slot: u32) -> Option<&Shape> {
    props.0.iter().find_map(|prop| {
        let own = prop.targets.iter().find(|target| target.slot == slot);
        own.map(|target| &target.shape)
            .or_else(|| shape_at(&prop.nested, slot))
    })
}

fn object_shape(shape: &Shape, layout: u32) -> &ObjectShape {
    match shape {
        Shape::Object(shape) => shape,
        Shape::Abstract(shape) => {
            let variants = &mut shape.variants.iter();
            &variants
                .find(|variant| variant.shape.layout == layout)
                .unwrap()
                .shape
        }
        other => panic!("an object where {other:?} was asked for"),
    }
}

// --- The plain decoder ----------------------------------------------------

/// What is no object can hold nothing; an object may lack it.
fn naive_unwrapped(json: &Json, unwrap: &[String], shape: &Shape) -> Out {
    match (unwrap.split_first(), json) {
        (None, json) => naive(json, shape),
        (Some((first, rest)), Json::Object(members)) => match members.get(first) {
            Some(inner) => naive_unwrapped(inner, rest, shape),
            None => Out::Absent,
        },
        (Some(_), Json::Null) => Out::Absent,
        (Some(_), _) => Out::Error,
    }
}

fn naive(json: &Json, shape: &Shape) -> Out {
    match (shape, json) {
        (_, Json::Null) => Out::Json(Json::Null),
        (Shape::Leaf(leaf), json) => naive_leaf(json, leaf),
        (Shape::List(item), Json::Array(items)) => {
            Out::List(items.iter().map(|json| naive(json, item)).collect())
        }
        (Shape::Object(shape), json) => naive_object(json, shape),
        (Shape::Abstract(shape), json) => match naive_variant(json, shape) {
            Some(shape) => naive_object(json, shape),
            None => Out::Error,
        },
        (Shape::List(_), _) => Out::Error,
    }
}

fn naive_variant<'a>(json: &Json, shape: &'a AbstractShape) -> Option<&'a ObjectShape> {
    let found = shape
        .discriminator
        .iter()
        .try_fold(json, |json, name| json.get(name));
    let text = found.and_then(|json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
        _ => None,
    });
    let by_value = shape
        .variants
        .iter()
        .find(|variant| text.is_some() && variant.value.as_deref() == text.as_deref());
    by_value
        .or_else(|| {
            shape
                .variants
                .iter()
                .find(|variant| variant.value.is_none())
        })
        .map(|variant| &*variant.shape)
}

fn naive_object(json: &Json, shape: &ObjectShape) -> Out {
    let mut slots = vec![Out::Absent; shape.slots as usize];
    for embedded in &shape.embedded {
        slots[embedded.slot as usize] = Out::Embedded(embedded.at);
    }
    match json {
        Json::Object(_) => naive_props(json, &shape.props, &mut slots),
        Json::Array(_) => return Out::Error,
        _ if shape.itself.is_empty() => return Out::Error,
        scalar => {
            for (slot, leaf) in &shape.itself {
                slots[*slot as usize] = naive_leaf(scalar, leaf);
            }
        }
    }
    for computed in &shape.computed {
        slots[computed.slot as usize] = naive_compute(computed, &slots);
    }
    for (slot, default) in &shape.defaults {
        if is_nothing(&slots[*slot as usize]) {
            slots[*slot as usize] = Out::Json(default.clone());
        }
    }
    for embedded in &shape.embedded {
        if embedded
            .keys
            .iter()
            .any(|key| is_nothing(&slots[*key as usize]))
        {
            slots[embedded.slot as usize] = Out::Json(Json::Null);
        }
    }
    Out::Object(slots)
}

fn is_nothing(out: &Out) -> bool {
    matches!(out, Out::Absent | Out::Json(Json::Null))
}

fn naive_props(json: &Json, props: &Props, slots: &mut [Out]) {
    for prop in &props.0 {
        let Some(value) = json.get(&*prop.name) else {
            continue;
        };
        for target in &prop.targets {
            slots[target.slot as usize] = naive(value, &target.shape);
        }
        naive_props(value, &prop.nested, slots);
    }
}

fn naive_compute(computed: &Computed, slots: &[Out]) -> Out {
    match &computed.how {
        Compute::FirstOf(of) => {
            let first = of
                .iter()
                .map(|slot| &slots[*slot as usize])
                .find(|out| !is_nothing(out));
            first.cloned().unwrap_or(Out::Json(Json::Null))
        }
        Compute::Template(pieces) => {
            let texts: Option<Vec<String>> = pieces
                .iter()
                .map(|piece| match piece {
                    ComputePiece::Text(text) => Some(text.to_string()),
                    ComputePiece::Slot(slot) => match &slots[*slot as usize] {
                        Out::Json(Json::Null) => None,
                        Out::Json(Json::String(text)) => Some(text.clone()),
                        Out::Json(json) => Some(json.to_string()),
                        _ => None,
                    },
                })
                .collect();
            match texts {
                Some(texts) => naive_leaf(&texts.concat().into(), &computed.leaf),
                None => Out::Json(Json::Null),
            }
        }
        Compute::Const(json) => naive_leaf(json, &computed.leaf),
        Compute::Status => match computed.leaf.kind {
            LeafKind::String => Out::Json(STATUS.to_string().into()),
            _ => naive_leaf(&json!(STATUS), &computed.leaf),
        },
    }
}

fn naive_leaf(json: &Json, leaf: &Leaf) -> Out {
    let same = || Out::Json(json.clone());
    let integral = json
        .as_f64()
        .filter(|float| float.fract() == 0.0 && float.abs() <= 9.007e15);
    let integer = json.as_i64().or(integral.map(|float| float as i64));
    match (&leaf.kind, json) {
        (_, Json::Null) => same(),
        (LeafKind::Json, _) => same(),
        (LeafKind::String, Json::String(_)) => same(),
        (LeafKind::Id, Json::String(_)) => same(),
        (LeafKind::Id | LeafKind::Int64, Json::Number(_)) => match (integer, json.as_u64()) {
            (Some(value), _) => Out::Json(value.into()),
            (None, Some(value)) => Out::Json(value.into()),
            (None, None) => Out::Error,
        },
        (LeafKind::Int64, Json::String(text)) => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(value), _) if value.to_string() == *text => Out::Json(value.into()),
            (_, Ok(value)) if value.to_string() == *text => Out::Json(value.into()),
            _ => Out::Error,
        },
        (LeafKind::Int, Json::Number(_)) => match integer.map(i32::try_from) {
            Some(Ok(value)) => Out::Json(value.into()),
            _ => Out::Error,
        },
        (LeafKind::Float, Json::Number(_)) => same(),
        (LeafKind::Boolean, Json::Bool(_)) => same(),
        (LeafKind::Enum(values), Json::String(text)) => {
            values.index(text).map_or(Out::Error, Out::Enum)
        }
        (LeafKind::Enum(values), Json::Number(_) | Json::Bool(_)) => values
            .index(&json.to_string())
            .map_or(Out::Error, Out::Enum),
        _ => Out::Error,
    }
}

// --- Random documents -----------------------------------------------------

/// A document as text sees it: names may repeat, numbers have a spelling.
#[derive(Debug, Clone)]
enum Text {
    Scalar(String),
    String(String, bool),
    List(Vec<Text>),
    Object(Vec<(String, bool, Text)>),
}

impl Text {
    fn write(&self, out: &mut String, space: &str) {
        match self {
            Text::Scalar(text) => out.push_str(text),
            Text::String(text, escaped) => quote(text, *escaped, out),
            Text::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(space);
                    item.write(out, space);
                }
                out.push_str(space);
                out.push(']');
            }
            Text::Object(entries) => {
                out.push('{');
                for (index, (name, escaped, value)) in entries.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(space);
                    quote(name, *escaped, out);
                    out.push_str(space);
                    out.push(':');
                    out.push_str(space);
                    value.write(out, space);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, escaped: bool, out: &mut String) {
    if !escaped {
        out.push_str(&serde_json::to_string(text).unwrap());
        return;
    }
    out.push('"');
    for unit in text.encode_utf16() {
        out.push_str(&format!("\\u{unit:04x}"));
    }
    out.push('"');
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "kind", "é"]).prop_map(str::to_owned)
}

fn documents() -> impl Strategy<Value = Text> {
    let scalars = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "2147483647",
        "2147483648",
        "1.5",
        "2.0",
        "-0.25",
        "9007199254740993",
        "9223372036854775808",
        "18446744073709551615",
        "1e3",
    ])
    .prop_map(|text| Text::Scalar(text.to_owned()));
    let strings = (
        prop::sample::select(vec![
            "", "x", "12", "-7", "012", "cat", "a\"b", "l\n", "é😀", "]}{[",
        ]),
        any::<bool>(),
    )
        .prop_map(|(text, escaped)| Text::String(text.to_owned(), escaped));
    let leaf = prop_oneof![3 => scalars, 2 => strings];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let entry = (names(), prop::bool::weighted(0.1), inner.clone());
        prop_oneof![
            1 => prop::collection::vec(inner, 0..5).prop_map(Text::List),
            3 => prop::collection::vec(entry, 0..7).prop_map(Text::Object),
        ]
    })
}

// --- Random shapes --------------------------------------------------------

fn kinds() -> impl Strategy<Value = LeafKind> {
    let colours = EnumValues {
        names: vec!["CAT".into(), "REST".into()],
        upstream: vec![("cat".into(), 0), ("1".into(), 0), ("true".into(), 0)],
        other: None,
    };
    let open = EnumValues {
        other: Some(1),
        ..colours.clone()
    };
    prop::sample::select(vec![
        LeafKind::Int,
        LeafKind::Float,
        LeafKind::String,
        LeafKind::Boolean,
        LeafKind::Id,
        LeafKind::Int64,
        LeafKind::Json,
        LeafKind::Enum(Arc::new(colours)),
        LeafKind::Enum(Arc::new(open)),
    ])
}

fn leaves() -> impl Strategy<Value = Leaf> {
    kinds().prop_map(|kind| Leaf { kind, format: None })
}

fn shapes() -> impl Strategy<Value = Shape> {
    leaves()
        .prop_map(Shape::Leaf)
        .prop_recursive(3, 24, 4, |inner| {
            let object = objects(inner.clone().boxed());
            prop_oneof![
                1 => inner.prop_map(|item| Shape::List(Box::new(item))),
                3 => object.clone().prop_map(|shape| Shape::Object(Arc::new(shape))),
                1 => prop::collection::vec(object, 1..3).prop_map(any_of),
            ]
        })
}

fn any_of(shapes: Vec<ObjectShape>) -> Shape {
    let values = [Some("cat"), Some("1"), None];
    let variants = shapes
        .into_iter()
        .enumerate()
        .map(|(index, shape)| AbstractVariant {
            value: values[(index + shape.slots as usize) % 3].map(Into::into),
            status: Vec::new(),
            shape: Arc::new(ObjectShape {
                layout: index as u32,
                ..shape
            }),
        });
    Shape::Abstract(Arc::new(AbstractShape {
        ty: "Any".into(),
        discriminator: vec!["kind".into()],
        variants: variants.collect(),
    }))
}

type PropSpec = (String, Vec<Shape>, Vec<(String, Shape)>);

fn objects(value: BoxedStrategy<Shape>) -> impl Strategy<Value = ObjectShape> + Clone {
    let nested = prop::collection::vec((names(), value.clone()), 0..2);
    let targets = prop::collection::vec(value, 0..3);
    let props = prop::collection::vec((names(), targets, nested), 0..5);
    let extras = (any::<[bool; 5]>(), leaves());
    (props, extras)
        .prop_map(|(props, (extras, leaf))| assembled(props, extras, &leaf))
        .boxed()
}

/// Gives every target a slot of its own.
fn assembled(specs: Vec<PropSpec>, extras: [bool; 5], leaf: &Leaf) -> ObjectShape {
    let mut free = 0;
    let mut props: Vec<Prop> = Vec::new();
    for (name, targets, nested) in specs {
        if props.iter().all(|prop| *prop.name != *name) {
            props.push(numbered(&name, targets, nested, &mut free));
        }
    }
    let mut shape = ObjectShape {
        layout: 0,
        slots: free,
        props: Props(props),
        embedded: Vec::new(),
        computed: Vec::new(),
        defaults: Vec::new(),
        itself: Vec::new(),
    };
    extend(&mut shape, extras, leaf);
    shape
}

fn numbered(name: &str, targets: Vec<Shape>, nested: Vec<(String, Shape)>, free: &mut u32) -> Prop {
    let mut slot = |shape| {
        *free += 1;
        (*free - 1, shape)
    };
    let mut below: Vec<Prop> = Vec::new();
    for (name, shape) in nested {
        if below.iter().all(|prop| *prop.name != *name) {
            below.push(target_prop(&name, vec![slot(shape)], Vec::new()));
        }
    }
    let targets = targets.into_iter().map(slot).collect();
    target_prop(name, targets, below)
}

/// Adds what is done to an object besides reading its properties.
fn extend(shape: &mut ObjectShape, extras: [bool; 5], leaf: &Leaf) {
    let [itself, first_of, template, default, embedded] = extras;
    let read = shape.slots;
    let mut slot = || {
        shape.slots += 1;
        shape.slots - 1
    };
    if itself {
        shape.itself.push((slot(), leaf.clone()));
    }
    if first_of {
        let slots = leaf_slots(&shape.props.0, |_| true);
        shape
            .computed
            .push(computed(slot(), Compute::FirstOf(slots), leaf));
        shape.computed.push(computed(slot(), Compute::Status, leaf));
    }
    let exact =
        |kind: &LeafKind| matches!(kind, LeafKind::String | LeafKind::Id | LeafKind::Boolean);
    if let (true, Some(hole)) = (template, leaf_slots(&shape.props.0, exact).first()) {
        let pieces = vec![ComputePiece::Slot(*hole), ComputePiece::Text("!".into())];
        let text = Leaf {
            kind: LeafKind::String,
            format: None,
        };
        shape
            .computed
            .push(computed(slot(), Compute::Template(pieces), &text));
        shape
            .computed
            .push(computed(slot(), Compute::Const(json!("cat")), leaf));
    }
    if default && read > 0 {
        shape.defaults.push((0, json!(17)));
    }
    if embedded && read > 0 {
        shape.embedded.push(Embedded {
            slot: slot(),
            at: 0,
            layout: 0,
            keys: vec![read - 1],
        });
    }
}

fn computed(slot: u32, how: Compute, leaf: &Leaf) -> Computed {
    Computed {
        slot,
        how,
        leaf: leaf.clone(),
    }
}

fn leaf_slots(props: &[Prop], takes: impl Fn(&LeafKind) -> bool) -> Vec<u32> {
    let targets = props.iter().flat_map(|prop| &prop.targets);
    let leaves = targets.filter(|target| match &target.shape {
        Shape::Leaf(leaf) => takes(&leaf.kind),
        _ => false,
    });
    leaves.map(|target| target.slot).collect()
}

fn target_prop(name: &str, targets: Vec<(u32, Shape)>, nested: Vec<Prop>) -> Prop {
    let targets = targets
        .into_iter()
        .map(|(slot, shape)| PropTarget { slot, shape });
    Prop {
        name: name.into(),
        asked: None,
        targets: targets.collect(),
        nested: Props(nested),
    }
}

// --- The properties -------------------------------------------------------

fn reply(root: Shape, unwrap: Vec<String>) -> ReplyShape {
    ReplyShape {
        unwrap,
        root,
        layouts: Vec::new(),
        by: Vec::new(),
        connection: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_agrees_with_the_plain_decoder(
        document in documents(),
        shape in shapes(),
        unwrap in prop::option::weighted(0.2, names()),
        space in prop::sample::select(vec!["", " ", "\n\t "]),
    ) {
        let mut text = String::new();
        document.write(&mut text, space);
        let json: Json = serde_json::from_str(&text).unwrap();
        let unwrap: Vec<String> = unwrap.into_iter().collect();
        let expected = naive_unwrapped(&json, &unwrap, &shape);
        let reply = reply(shape, unwrap);
        let tape = decode(Bytes::from(text), &reply, STATUS).unwrap();
        prop_assert_eq!(of_tape(&tape, tape.root, &reply.root), expected);
    }

    #[test]
    fn a_document_that_is_cut_short_is_never_accepted(
        document in documents(),
        shape in shapes(),
        cut in 0.0..1.0_f64,
    ) {
        let mut text = String::new();
        Text::List(vec![document]).write(&mut text, "");
        let mut end = (text.len() as f64 * cut) as usize;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let whole = serde_json::from_str::<Json>(&text).is_ok();
        prop_assert!(!whole);
        prop_assert!(decode(Bytes::from(text), &reply(shape, Vec::new()), STATUS).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in prop::collection::vec(prop::sample::select(br#"{}[]",:\u0a1.-entrufls "#.to_vec()), 0..40),
        shape in shapes(),
    ) {
        let valid = serde_json::from_slice::<Json>(&bytes).is_ok();
        let decoded = decode(Bytes::from(bytes), &reply(shape, Vec::new()), STATUS).is_ok();
        prop_assert!(valid || !decoded);
    }
}
