//! What to do with each field of a reply, worked out once per step.
//!
//! Owns joining a [`ReplyShape`] to the descriptors of the message that
//! answers it: names become field numbers, and every pair of an upstream type
//! and a wanted shape becomes one way to read. Knows nothing of bytes.

use std::sync::Arc;

use indexmap::IndexMap;
use plan::shape::AbstractShape;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::Prop;
use plan::shape::PropTarget;
use plan::shape::Props;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use prost_reflect::FieldDescriptor;
use prost_reflect::Kind;
use prost_reflect::MessageDescriptor;
use prost_reflect::OneofDescriptor;

use super::json::Style;
use super::json::is_wrapper;
use super::layout::FieldLayout;
use super::scalar::ScalarKind;

/// How a reply of one step is decoded.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) root: Root,
}

/// What the reply is, seen from its message or messages.
#[derive(Debug)]
pub(super) enum Root {
    /// The message itself.
    Message(Item),
    /// What stands at the path of `unwrap`; read into slot 0.
    Unwrapped(Fields),
    /// A list with one item per streamed message, or with what the path leads to in each.
    Streamed(Collect),
    /// A stream where no list is wanted.
    Mismatch(String),
}

/// How one value is read.
#[derive(Debug)]
pub(super) enum Item {
    Scalar {
        kind: ScalarKind,
        leaf: Leaf,
    },
    Wrapper {
        kind: ScalarKind,
        layout: FieldLayout,
        leaf: Leaf,
    },
    Timestamp(Leaf),
    Duration(Leaf),
    Object(Box<ObjectItem>),
    Abstract(Box<AbstractItem>),
    /// Turned into JSON first: types without fixed fields, and custom scalars.
    Json {
        message: MessageDescriptor,
        shape: Shape,
        style: Style,
    },
    /// The type can never be what the graph wants.
    Mismatch(String),
}

/// An object and what it is read from.
#[derive(Debug)]
pub(super) struct ObjectItem {
    pub(super) shape: Arc<ObjectShape>,
    /// The message's fields; nothing where the upstream value is no object.
    pub(super) fields: Fields,
    /// The upstream value itself.
    pub(super) itself: Vec<(u32, Item)>,
}

/// An object whose type the message tells.
#[derive(Debug)]
pub(super) struct AbstractItem {
    pub(super) shape: Arc<AbstractShape>,
    /// Reads the discriminating value into slot 0.
    pub(super) discriminator: Fields,
    /// By the place in [`AbstractShape::variants`].
    pub(super) variants: Vec<ObjectItem>,
}

/// The fields of one message that are read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) reads: Vec<FieldReads>,
    /// How many oneofs are followed.
    pub(super) oneofs: usize,
    /// Where the name of a oneof's set member goes.
    pub(super) members: Vec<MemberName>,
    numbers: Numbers,
}

/// One field and everything it is read for.
#[derive(Debug)]
pub(super) struct FieldReads {
    pub(super) number: u32,
    pub(super) layout: FieldLayout,
    /// Every record counts (lists, maps, messages that are merged), not only the last.
    pub(super) every_record: bool,
    /// An absent field is null, not its zero.
    pub(super) presence: bool,
    /// Into [`Fields::oneofs`].
    pub(super) oneof: Option<u16>,
    pub(super) targets: Vec<(u32, FieldRead)>,
    /// Fields of it that are read for the same record.
    pub(super) nested: Option<Fields>,
}

/// How all values of a field are read for one target.
#[derive(Debug)]
pub(super) enum FieldRead {
    One(Item),
    Many(Item),
    /// From below each item of a repeated message, in one list.
    Below(Collect),
    /// A map of scalars as a JSON object.
    Map {
        key: ScalarKind,
        value: ScalarKind,
        layouts: [FieldLayout; 2],
        field: FieldDescriptor,
    },
    /// Turned into JSON first, and then followed along a path.
    Json {
        field: FieldDescriptor,
        path: Vec<String>,
        shape: Shape,
        style: Style,
    },
    Mismatch(String),
}

/// A list gathered along a path through repeated fields.
#[derive(Debug)]
pub(super) enum Collect {
    /// The value itself is the item.
    Item(Item),
    /// A field of it leads on. It has exactly one read.
    Through(Fields, Box<Collect>),
}

/// The name of a oneof's set member.
#[derive(Debug)]
pub(super) struct MemberName {
    pub(super) oneof: u16,
    pub(super) names: Vec<(u32, Box<str>)>,
    pub(super) targets: Vec<(u32, Leaf)>,
}

/// What is known of a field number.
#[derive(Debug)]
pub(super) struct Numbered {
    number: u32,
    pub(super) field: FieldDescriptor,
    pub(super) layout: FieldLayout,
    /// Into [`Fields::reads`]; a member of a followed oneof may not be read itself.
    pub(super) read: Option<u16>,
    pub(super) oneof: Option<u16>,
}

/// From field numbers to what is known of them.
#[derive(Debug, Default)]
struct Numbers {
    sorted: Vec<Numbered>,
    /// By number, for the small numbers that nearly every message has: index into `sorted` plus one.
    small: Vec<u16>,
}

/// Numbers below it are found by index, others by search.
const SMALL: usize = 128;

impl Fields {
    /// What is known of a field number; nothing where nobody wants it.
    pub(super) fn find(&self, number: u32) -> Option<&Numbered> {
        let numbers = &self.numbers;
        if (number as usize) < SMALL {
            let at = *numbers.small.get(number as usize)?;
            return numbers.sorted.get((at as usize).checked_sub(1)?);
        }
        let at = numbers
            .sorted
            .binary_search_by_key(&number, |numbered| numbered.number);
        at.ok().map(|at| &numbers.sorted[at])
    }
}

impl Numbers {
    fn new(mut sorted: Vec<Numbered>) -> Self {
        sorted.sort_by_key(|numbered| numbered.number);
        let mut small = Vec::new();
        for (at, numbered) in sorted.iter().enumerate() {
            let number = numbered.number as usize;
            if number < SMALL {
                small.resize(number + 1, 0);
                small[number] = at as u16 + 1;
            }
        }
        Self { sorted, small }
    }
}

impl Program {
    /// The program for a step whose reply is one message of this type.
    pub(crate) fn unary(shape: &ReplyShape, message: &MessageDescriptor) -> Self {
        let root = match shape.unwrap.is_empty() {
            true => Root::Message(item(&Kind::Message(message.clone()), &shape.root)),
            false => Root::Unwrapped(fields(
                message,
                &path_props(&shape.unwrap, in_first_slot(&shape.root)),
            )),
        };
        Self { root }
    }

    /// The program for a step whose reply is a stream of messages of this type.
    pub(crate) fn streamed(shape: &ReplyShape, message: &MessageDescriptor) -> Self {
        let root = match &shape.root {
            Shape::List(inner) => match collect(message, &shape.unwrap, inner) {
                Ok(collect) => Root::Streamed(collect),
                Err(mismatch) => Root::Mismatch(mismatch),
            },
            other => Root::Mismatch(unfit(other, "a list")),
        };
        Self { root }
    }
}

/// The fields that lead to some targets, each at a path of its own.
pub(super) fn fields_at<'p>(
    message: &MessageDescriptor,
    targets: impl Iterator<Item = (&'p [String], u32, Shape)>,
) -> Fields {
    let props =
        targets.flat_map(|(path, slot, shape)| path_props(path, PropTarget { slot, shape }).0);
    fields(message, &Props(props.collect()))
}

/// The target in slot 0.
fn in_first_slot(shape: &Shape) -> PropTarget {
    PropTarget {
        slot: 0,
        shape: shape.clone(),
    }
}

/// Properties that lead to one target.
fn path_props(path: &[String], target: PropTarget) -> Props {
    let Some((last, parents)) = path.split_last() else {
        return Props::default();
    };
    let innermost = Prop {
        name: last.as_str().into(),
        asked: None,
        targets: vec![target],
        nested: Props::default(),
    };
    let whole = parents.iter().rev().fold(innermost, |inner, name| Prop {
        name: name.as_str().into(),
        asked: None,
        targets: Vec::new(),
        nested: Props(vec![inner]),
    });
    Props(vec![whole])
}

/// What a property's name means in a message.
enum Named {
    Field(FieldDescriptor),
    Oneof(OneofDescriptor),
}

/// Proto names come first, then JSON names, then oneofs.
fn named(message: &MessageDescriptor, name: &str) -> Option<Named> {
    message
        .get_field_by_name(name)
        .or_else(|| message.get_field_by_json_name(name))
        .map(Named::Field)
        .or_else(|| {
            let mut oneofs = message.oneofs();
            oneofs
                .find(|oneof| oneof.name() == name && !oneof.is_synthetic())
                .map(Named::Oneof)
        })
}

/// Everything that is wanted of one field, whichever of its names was used.
#[derive(Default)]
struct Wanted<'s> {
    targets: Vec<&'s PropTarget>,
    nested: Vec<&'s Prop>,
}

/// A name that the message does not have is read as absent: its contract was checked at the start.
fn fields(message: &MessageDescriptor, props: &Props) -> Fields {
    compile_fields(message, &props.0.iter().collect::<Vec<_>>())
}

fn compile_fields(message: &MessageDescriptor, props: &[&Prop]) -> Fields {
    let mut wanted: IndexMap<u32, (FieldDescriptor, Wanted<'_>)> = IndexMap::new();
    let mut builder = Builder::default();
    for prop in props {
        match named(message, &prop.name) {
            Some(Named::Field(field)) => {
                let (_, wanted) = wanted
                    .entry(field.number())
                    .or_insert((field, Wanted::default()));
                wanted.targets.extend(&prop.targets);
                wanted.nested.extend(&prop.nested.0);
            }
            Some(Named::Oneof(oneof)) => builder.member(&oneof, &prop.targets),
            None => {}
        }
    }
    for (field, wanted) in wanted.values() {
        builder.field(field, wanted);
    }
    builder.finish()
}

#[derive(Default)]
struct Builder {
    reads: Vec<FieldReads>,
    members: Vec<MemberName>,
    oneofs: Vec<OneofDescriptor>,
    numbered: Vec<Numbered>,
}

impl Builder {
    fn field(&mut self, field: &FieldDescriptor, wanted: &Wanted<'_>) {
        let oneof = self.follow(field);
        let number = field.number();
        let layout = FieldLayout::new(field);
        let mut targets: Vec<(u32, FieldRead)> = wanted
            .targets
            .iter()
            .map(|target| (target.slot, field_read(field, &target.shape)))
            .collect();
        let nested = match inline(field) {
            Some(message) if !wanted.nested.is_empty() => {
                Some(compile_fields(&message, &wanted.nested))
            }
            _ => {
                targets.extend(below(field, &wanted.nested));
                None
            }
        };
        self.numbered.push(Numbered {
            number,
            field: field.clone(),
            layout,
            read: Some(self.reads.len() as u16),
            oneof,
        });
        self.reads.push(FieldReads {
            number,
            layout,
            every_record: field.is_list() || matches!(field.kind(), Kind::Message(_)),
            presence: field.supports_presence() && !field.parent_message().is_map_entry(),
            oneof,
            targets,
            nested,
        });
    }

    fn member(&mut self, oneof: &OneofDescriptor, targets: &[PropTarget]) {
        let leaves = targets.iter().filter_map(|target| match &target.shape {
            Shape::Leaf(leaf) => Some((target.slot, leaf.clone())),
            _ => None,
        });
        let name = MemberName {
            oneof: self.follow_oneof(oneof),
            names: oneof
                .fields()
                .map(|field| (field.number(), field.name().into()))
                .collect(),
            targets: leaves.collect(),
        };
        self.members.push(name);
    }

    fn follow(&mut self, field: &FieldDescriptor) -> Option<u16> {
        let oneof = field
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic())?;
        Some(self.follow_oneof(&oneof))
    }

    fn follow_oneof(&mut self, oneof: &OneofDescriptor) -> u16 {
        if let Some(at) = self.oneofs.iter().position(|known| known == oneof) {
            return at as u16;
        }
        self.oneofs.push(oneof.clone());
        self.oneofs.len() as u16 - 1
    }

    /// Members of a followed oneof that nobody reads still unset those that are read.
    fn finish(mut self) -> Fields {
        for (at, oneof) in self.oneofs.iter().enumerate() {
            for field in oneof.fields() {
                let number = field.number();
                if self
                    .numbered
                    .iter()
                    .any(|numbered| numbered.number == number)
                {
                    continue;
                }
                self.numbered.push(Numbered {
                    number,
                    layout: FieldLayout::new(&field),
                    field,
                    read: None,
                    oneof: Some(at as u16),
                });
            }
        }
        Fields {
            reads: self.reads,
            oneofs: self.oneofs.len(),
            members: self.members,
            numbers: Numbers::new(self.numbered),
        }
    }
}

/// The message whose fields are read for the same record as the field's own.
fn inline(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() && !is_free(&message) => {
            Some(message)
        }
        _ => None,
    }
}

/// Types without fixed fields.
fn is_free(message: &MessageDescriptor) -> bool {
    matches!(
        message.full_name(),
        "google.protobuf.Struct"
            | "google.protobuf.Value"
            | "google.protobuf.ListValue"
            | "google.protobuf.Any"
    )
}

/// What is wanted below a repeated field, a map or a type without fixed fields: each target for itself.
fn below(field: &FieldDescriptor, props: &[&Prop]) -> Vec<(u32, FieldRead)> {
    let mut targets = Vec::new();
    for prop in props {
        paths(prop, &mut Vec::new(), &mut |path, target| {
            targets.push((target.slot, below_one(field, path, &target.shape)));
        });
    }
    targets
}

fn paths<'s>(
    prop: &'s Prop,
    path: &mut Vec<String>,
    found: &mut impl FnMut(&[String], &'s PropTarget),
) {
    path.push(prop.name.to_string());
    for target in &prop.targets {
        found(path, target);
    }
    for nested in &prop.nested.0 {
        paths(nested, path, found);
    }
    path.pop();
}

fn below_one(field: &FieldDescriptor, path: &[String], shape: &Shape) -> FieldRead {
    match (field.kind(), shape) {
        (Kind::Message(message), Shape::List(inner)) if field.is_list() && !is_free(&message) => {
            collect(&message, path, inner).map_or_else(FieldRead::Mismatch, FieldRead::Below)
        }
        (Kind::Message(_), _) if !field.is_list() => FieldRead::Json {
            field: field.clone(),
            path: path.to_vec(),
            shape: shape.clone(),
            style: Style::Shape,
        },
        (_, other) => FieldRead::Mismatch(unfit(other, "a list")),
    }
}

/// A list along a path; the message itself where the path is empty.
fn collect(message: &MessageDescriptor, path: &[String], inner: &Shape) -> Result<Collect, String> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(Collect::Item(item(&Kind::Message(message.clone()), inner)));
    };
    let Some(Named::Field(field)) = named(message, name) else {
        return Err(format!("{} has no field `{name}`", message.full_name()));
    };
    let next = match field.kind() {
        _ if field.is_map() => return Err(unfit(inner, "a map")),
        kind if rest.is_empty() => Collect::Item(item(&kind, inner)),
        Kind::Message(message) => collect(&message, rest, inner)?,
        _ => return Err(unfit(inner, "a value without fields")),
    };
    let mut builder = Builder::default();
    builder.field(&field, &Wanted::default());
    Ok(Collect::Through(builder.finish(), Box::new(next)))
}

fn field_read(field: &FieldDescriptor, shape: &Shape) -> FieldRead {
    let as_json = || FieldRead::Json {
        field: field.clone(),
        path: Vec::new(),
        shape: shape.clone(),
        style: style(shape),
    };
    match shape {
        Shape::List(inner) if field.is_list() || field.is_map() => {
            FieldRead::Many(item(&field.kind(), inner))
        }
        Shape::Leaf(leaf)
            if field.is_map() && leaf.format.is_none() && matches!(leaf.kind, LeafKind::Json) =>
        {
            map_read(field).unwrap_or_else(as_json)
        }
        _ if field.is_map() => as_json(),
        Shape::Leaf(leaf) if field.is_list() && matches!(leaf.kind, LeafKind::Json) => as_json(),
        other if field.is_list() => FieldRead::Mismatch(unfit(other, "a list")),
        shape => FieldRead::One(item(&field.kind(), shape)),
    }
}

/// Maps of scalars are frequent and simple; maps of messages are read like any JSON.
fn map_read(field: &FieldDescriptor) -> Option<FieldRead> {
    let entry = field.kind().as_message().cloned()?;
    let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
    Some(FieldRead::Map {
        key: ScalarKind::new(&key.kind())?,
        value: ScalarKind::new(&value.kind())?,
        layouts: [FieldLayout::new(&key), FieldLayout::new(&value)],
        field: field.clone(),
    })
}

fn item(kind: &Kind, shape: &Shape) -> Item {
    match (kind, shape) {
        (Kind::Message(message), shape) if is_free(message) => as_json(message, shape),
        (Kind::Message(message), Shape::Leaf(leaf)) => message_leaf(message, leaf),
        (Kind::Message(message), Shape::Object(shape)) => {
            Item::Object(Box::new(object(message, shape)))
        }
        (Kind::Message(message), Shape::Abstract(shape)) => abstract_item(message, shape),
        (Kind::Message(_), Shape::List(_)) => Item::Mismatch(unfit(shape, "an object")),
        (kind, shape) => scalar_item(kind, shape),
    }
}

fn scalar_item(kind: &Kind, shape: &Shape) -> Item {
    match (ScalarKind::new(kind), shape) {
        (Some(kind), Shape::Leaf(leaf)) => Item::Scalar {
            kind,
            leaf: leaf.clone(),
        },
        (Some(_), Shape::Object(shape)) if !shape.itself.is_empty() => {
            Item::Object(Box::new(ObjectItem {
                shape: shape.clone(),
                fields: Fields::default(),
                itself: itself(kind, shape),
            }))
        }
        (_, shape) => Item::Mismatch(unfit(shape, "a single value")),
    }
}

fn message_leaf(message: &MessageDescriptor, leaf: &Leaf) -> Item {
    match message.full_name() {
        "google.protobuf.Timestamp" => Item::Timestamp(leaf.clone()),
        "google.protobuf.Duration" => Item::Duration(leaf.clone()),
        "google.protobuf.FieldMask" => as_json(message, &Shape::Leaf(leaf.clone())),
        name if is_wrapper(name) => wrapper(message, leaf),
        _ if matches!(leaf.kind, LeafKind::Json) => as_json(message, &Shape::Leaf(leaf.clone())),
        _ => Item::Mismatch(unfit(&Shape::Leaf(leaf.clone()), "an object")),
    }
}

fn wrapper(message: &MessageDescriptor, leaf: &Leaf) -> Item {
    let value = message.get_field(1);
    match value.and_then(|field| Some((ScalarKind::new(&field.kind())?, FieldLayout::new(&field))))
    {
        Some((kind, layout)) => Item::Wrapper {
            kind,
            layout,
            leaf: leaf.clone(),
        },
        None => Item::Mismatch(unfit(&Shape::Leaf(leaf.clone()), "an object")),
    }
}

fn as_json(message: &MessageDescriptor, shape: &Shape) -> Item {
    Item::Json {
        message: message.clone(),
        shape: shape.clone(),
        style: style(shape),
    }
}

/// A leaf's JSON goes to a client; anything else is read on.
fn style(shape: &Shape) -> Style {
    match shape {
        Shape::Leaf(_) => Style::Client,
        _ => Style::Shape,
    }
}

fn object(message: &MessageDescriptor, shape: &Arc<ObjectShape>) -> ObjectItem {
    ObjectItem {
        shape: shape.clone(),
        fields: fields(message, &shape.props),
        itself: itself(&Kind::Message(message.clone()), shape),
    }
}

fn itself(kind: &Kind, shape: &ObjectShape) -> Vec<(u32, Item)> {
    let leaves = shape.itself.iter();
    leaves
        .map(|(slot, leaf)| (*slot, item(kind, &Shape::Leaf(leaf.clone()))))
        .collect()
}

fn abstract_item(message: &MessageDescriptor, shape: &Arc<AbstractShape>) -> Item {
    let text = Shape::Leaf(Leaf {
        kind: LeafKind::Json,
        format: None,
    });
    Item::Abstract(Box::new(AbstractItem {
        shape: shape.clone(),
        discriminator: fields(
            message,
            &path_props(&shape.discriminator, in_first_slot(&text)),
        ),
        variants: shape
            .variants
            .iter()
            .map(|variant| object(message, &variant.shape))
            .collect(),
    }))
}

/// What was expected and what the contract has instead.
pub(super) fn unfit(expected: &Shape, found: &str) -> String {
    let expected = match expected {
        Shape::Leaf(_) => "a single value",
        Shape::List(_) => "a list",
        Shape::Object(_) | Shape::Abstract(_) => "an object",
    };
    format!("expected {expected}, found {found}")
}
