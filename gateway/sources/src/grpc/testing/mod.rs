//! What the tests of this room share: contracts, shapes, and tapes as JSON.

pub(crate) mod server;

use std::sync::Arc;
use std::sync::OnceLock;

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
use prost_reflect::DescriptorPool;
use prost_reflect::MessageDescriptor;
use protox::file::ChainFileResolver;
use protox::file::File;
use protox::file::FileResolver;
use protox::file::GoogleFileResolver;
use serde_json::Value as Json;
use serde_json::json;

/// A message with a field of every kind.
const EVERYTHING: &str = r#"
syntax = "proto3";
package test;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; KIND_B = 2; }
message Everything {
  int32 int32_field = 1;
  int64 int64_field = 2;
  uint32 uint32_field = 3;
  uint64 uint64_field = 4;
  sint32 sint32_field = 5;
  sint64 sint64_field = 6;
  fixed32 fixed32_field = 7;
  fixed64 fixed64_field = 8;
  sfixed32 sfixed32_field = 9;
  sfixed64 sfixed64_field = 10;
  float float_field = 11;
  double double_field = 12;
  bool bool_field = 13;
  string text = 14;
  bytes blob = 15;
  Kind kind = 16;
  optional int32 optional_int = 17;
  optional string optional_text = 18;
  Everything child = 19;
  repeated int32 packed = 20;
  repeated int64 unpacked = 21 [packed = false];
  repeated string texts = 22;
  repeated Everything children = 23;
  repeated Kind kinds = 24;
  repeated double doubles = 25;
  map<string, int64> counts = 26;
  map<int32, Everything> by_id = 27;
  map<string, string> labels = 28;
  oneof choice {
    int32 choice_number = 29;
    string choice_text = 30;
    Everything choice_child = 31;
  }
  google.protobuf.Timestamp moment = 32;
  google.protobuf.Duration span = 33;
  google.protobuf.Int64Value maybe_int = 34;
  google.protobuf.StringValue maybe_text = 35;
  google.protobuf.Struct meta = 36;
  google.protobuf.Value any_value = 37;
  google.protobuf.ListValue some_list = 38;
  google.protobuf.Any any = 39;
  google.protobuf.FieldMask mask = 40;
  google.protobuf.Empty nothing = 41;
  google.protobuf.FloatValue maybe_float = 42;
  repeated google.protobuf.Timestamp moments = 43;
  repeated fixed32 fixed_list = 44;
  int32 far = 1000;
}
message Wrong { string int32_field = 1; }
service Things {
  rpc Get(Everything) returns (Everything);
  rpc List(Everything) returns (stream Everything);
}
"#;

struct OneFile(&'static str);

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The descriptors of one file's text.
pub(crate) fn compile(proto: &'static str) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(OneFile(proto));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true)
        .open_file("test.proto")
        .unwrap();
    compiler.descriptor_pool()
}

/// The contract with [`EVERYTHING`].
pub(crate) fn pool() -> DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| compile(EVERYTHING)).clone()
}

/// The message with a field of every kind.
pub(crate) fn everything() -> MessageDescriptor {
    pool().get_message_by_name("test.Everything").unwrap()
}

/// A leaf without conversion.
pub(crate) fn leaf(kind: LeafKind) -> Shape {
    Shape::Leaf(Leaf { kind, format: None })
}

/// The enum of [`EVERYTHING`], as a graph may name it.
pub(crate) fn kinds() -> LeafKind {
    LeafKind::Enum(Arc::new(EnumValues {
        names: vec!["A".into(), "B".into()],
        upstream: vec![("KIND_A".into(), 0), ("KIND_B".into(), 1)],
        other: None,
    }))
}

/// Builds an object shape field by field.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) props: Vec<Prop>,
    pub(crate) slots: u32,
}

impl Fields {
    /// Reads the value at a dotted path into the next slot.
    pub(crate) fn read(mut self, path: &str, shape: Shape) -> Self {
        self.push(path, shape);
        self
    }

    pub(crate) fn push(&mut self, path: &str, shape: Shape) {
        let target = PropTarget {
            slot: self.slots,
            shape,
        };
        self.slots += 1;
        let path: Vec<&str> = path.split('.').collect();
        insert(&mut self.props, &path, target);
    }

    pub(crate) fn shape(self) -> ObjectShape {
        ObjectShape {
            layout: 0,
            slots: self.slots,
            props: Props(self.props),
            embedded: Vec::new(),
            computed: Vec::new(),
            defaults: Vec::new(),
            itself: Vec::new(),
        }
    }

    pub(crate) fn object(self) -> Shape {
        Shape::Object(Arc::new(self.shape()))
    }
}

fn insert(props: &mut Vec<Prop>, path: &[&str], target: PropTarget) {
    let at = props
        .iter()
        .position(|prop| &*prop.name == path[0])
        .unwrap_or_else(|| {
            props.push(Prop {
                name: path[0].into(),
                asked: None,
                targets: Vec::new(),
                nested: Props::default(),
            });
            props.len() - 1
        });
    match &path[1..] {
        [] => props[at].targets.push(target),
        rest => insert(&mut props[at].nested.0, rest, target),
    }
}

/// A reply shape without an envelope.
pub(crate) fn reply(root: Shape) -> ReplyShape {
    unwrapped("", root)
}

/// A reply shape below an envelope.
pub(crate) fn unwrapped(path: &str, root: Shape) -> ReplyShape {
    ReplyShape {
        unwrap: path
            .split('.')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        root,
        layouts: vec![Layout {
            ty: "Thing".into(),
            slots: 0,
        }],
        by: Vec::new(),
        connection: None,
    }
}

/// Every target of an object with the path to it.
pub(crate) fn targets(props: &Props) -> Vec<(Vec<&str>, &PropTarget)> {
    let mut all = Vec::new();
    for prop in &props.0 {
        all.extend(
            prop.targets
                .iter()
                .map(|target| (vec![&*prop.name], target)),
        );
        for (path, target) in targets(&prop.nested) {
            all.push(([vec![&*prop.name], path].concat(), target));
        }
    }
    all
}

/// A tape's root as JSON: objects by dotted path, errors as `{"error": message}`.
pub(crate) fn shown(tape: &Tape, shape: &Shape) -> Json {
    show(tape, tape.root, shape)
}

pub(crate) fn show(tape: &Tape, value: Value, shape: &Shape) -> Json {
    match (value, shape) {
        (Value::Absent | Value::Null, _) => Json::Null,
        (Value::Bool(value), _) => json!(value),
        (Value::Int(value), _) => json!(value),
        (Value::UInt(value), _) => json!(value),
        (Value::Float(value), _) => number(value),
        (Value::Error(at), _) => json!({ "error": tape.value_error(at).message() }),
        (Value::Enum(at), Shape::Leaf(leaf)) => match &leaf.kind {
            LeafKind::Enum(values) => json!(&*values.names[at as usize]),
            other => panic!("an enum for {other:?}"),
        },
        (Value::OwnedJson { .. } | Value::RawJson { .. }, _) => {
            serde_json::from_str(tape.str(value).unwrap()).unwrap()
        }
        (Value::List { at, len }, Shape::List(inner)) => tape
            .slots(at, len)
            .iter()
            .map(|item| show(tape, *item, inner))
            .collect(),
        (Value::Object { at, layout }, Shape::Object(object)) => {
            assert_eq!(layout, object.layout);
            show_object(tape, at, object)
        }
        (Value::Object { at, layout }, Shape::Abstract(shape)) => {
            let mut variants = shape.variants.iter();
            let variant = variants
                .find(|variant| variant.shape.layout == layout)
                .unwrap();
            show_object(tape, at, &variant.shape)
        }
        (value, _) => json!(
            tape.str(value)
                .unwrap_or_else(|| panic!("{value:?} for {shape:?}"))
        ),
    }
}

fn show_object(tape: &Tape, at: u32, object: &ObjectShape) -> Json {
    let members = targets(&object.props).into_iter().map(|(path, target)| {
        let value = show(tape, tape.get(at + target.slot), &target.shape);
        (path.join("."), value)
    });
    Json::Object(members.collect())
}

/// Integral numbers without a fraction, so that both sides of a comparison are written alike.
pub(crate) fn number(value: f64) -> Json {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}
