//! The shape that a plan asks of a reply.
//!
//! Owns the description that a source decodes into: which upstream properties
//! go to which slot, as what. Properties that no shape names are skipped. The
//! same shape serves JSON and protobuf. Knows nothing of transports.

use std::sync::Arc;

use compose::model::EncodingId;
use compose::model::Format;
use compose::model::UpstreamPath;
use serde_json::Value as Json;

/// What a reply of a step is decoded into.
#[derive(Debug, Clone)]
pub struct ReplyShape {
    /// The envelope to unwrap first. Where the reply lacks it, the root is absent.
    pub unwrap: UpstreamPath,
    /// What stands there. For a batch: a list of items. For a connection: the list of nodes.
    pub root: Shape,
    /// Every object layout of the step: [`crate::tape::Value::Object`] carries an index into it.
    pub layouts: Vec<Layout>,
    /// For a keyed batch: the slot of each item that carries the value of [`compose::model::Batch::by`] at the same place.
    pub by: Vec<u32>,
    /// A Relay connection to build around the list of nodes.
    pub connection: Option<ConnectionShape>,
}

/// One object type's slots on the tape of a step.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The GraphQL object type, for `__typename`.
    pub ty: Arc<str>,
    /// Slots to reserve for one object: its own, those of objects embedded in it, and those for joins.
    pub slots: u32,
}

/// What an upstream value is decoded as.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A leaf.
    Leaf(Leaf),
    /// A list; a value that is not a list is an error.
    List(Box<Shape>),
    /// An object of one known type.
    Object(Arc<ObjectShape>),
    /// An object whose type is told by a discriminator.
    Abstract(Arc<AbstractShape>),
}

/// An object of one type, read from one upstream object.
#[derive(Debug, Clone)]
pub struct ObjectShape {
    /// Index into [`ReplyShape::layouts`]; also says how many slots to reserve.
    pub layout: u32,
    /// How many slots to reserve: the same as the layout's.
    pub slots: u32,
    /// The upstream properties that are read, at this level.
    pub props: Props,
    /// Objects built from the same upstream object: set before the properties are read.
    pub embedded: Vec<Embedded>,
    /// Slots filled after the properties are read, in order.
    pub computed: Vec<Computed>,
    /// Constants to use where a slot is absent or null at the end: `@map(default:)`.
    pub defaults: Vec<(u32, Json)>,
    /// The upstream value itself, where it is not an object (`tag_ids: [1, 2]`): goes to these slots.
    pub itself: Vec<(u32, Leaf)>,
}

/// The properties of one upstream object that are read.
#[derive(Debug, Clone, Default)]
pub struct Props(pub Vec<Prop>);

/// One upstream property.
#[derive(Debug, Clone)]
pub struct Prop {
    /// Its name in the reply: the upstream name, or the alias under which it was asked for.
    pub name: Box<str>,
    /// What is asked for under the name, where the source takes selections and that is not just the field of this name.
    pub asked: Option<Box<Asked>>,
    /// Where its value goes. More than one where two fields read one property.
    pub targets: Vec<PropTarget>,
    /// Properties of it that are read for the same record (`address.zip`).
    pub nested: Props,
}

/// A field as a source that takes selections is asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The upstream field.
    pub field: Box<str>,
    /// Its arguments.
    pub args: Vec<AskedArg>,
    /// It is asked for only where all of these hold.
    pub included: Vec<Included>,
}

/// `@include` or `@skip` of an [`Asked`] field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Included {
    /// A Boolean: index into [`crate::model::Step::below`].
    pub value: u32,
    /// What it must be.
    pub equals: bool,
}

/// An argument of an [`Asked`] field.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedArg {
    /// Its upstream name.
    pub name: Box<str>,
    /// Its GraphQL type.
    pub ty: Box<str>,
    /// How its value is spelled upstream.
    pub encode: EncodingId,
    /// Its value: index into [`crate::model::Step::below`].
    pub value: u32,
}

/// A slot that a property goes to.
#[derive(Debug, Clone)]
pub struct PropTarget {
    /// Relative to the first slot of the outermost object: embedded objects' slots are parts of it.
    pub slot: u32,
    /// As what.
    pub shape: Shape,
}

/// An object built from its parent's upstream object (`@map(from: { id: "user_id" })`).
#[derive(Debug, Clone)]
pub struct Embedded {
    /// The parent's slot for it.
    pub slot: u32,
    /// Where its own slots begin, relative to the outermost object.
    pub at: u32,
    /// Index into [`ReplyShape::layouts`].
    pub layout: u32,
    /// Slots (relative to the outermost object) of which a null or absent one makes the whole null: the parts of a key.
    pub keys: Vec<u32>,
}

/// A slot filled from other slots of the object.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The slot to fill.
    pub slot: u32,
    /// With what.
    pub how: Compute,
    /// As what: text and constants are coerced like an upstream value.
    pub leaf: Leaf,
}

/// How a slot is computed.
#[derive(Debug, Clone)]
pub enum Compute {
    /// The first of these slots that is neither absent nor null.
    FirstOf(Vec<u32>),
    /// Text from pieces; null when a hole is.
    Template(Vec<ComputePiece>),
    /// A constant.
    Const(Json),
    /// The reply's status.
    Status,
}

/// A piece of [`Compute::Template`].
#[derive(Debug, Clone)]
pub enum ComputePiece {
    /// Literal text.
    Text(Box<str>),
    /// The value of a slot.
    Slot(u32),
}

/// An object of an interface or union.
#[derive(Debug, Clone)]
pub struct AbstractShape {
    /// The GraphQL name of the abstract type, for messages.
    pub ty: Arc<str>,
    /// Where the discriminating value stands in the upstream object.
    pub discriminator: UpstreamPath,
    /// The object types. `value` is the discriminator's, `None` for any other value.
    pub variants: Vec<AbstractVariant>,
}

/// One object type of an [`AbstractShape`].
#[derive(Debug, Clone)]
pub struct AbstractVariant {
    /// The discriminator's value that means this type; `None` for every other value.
    pub value: Option<Box<str>>,
    /// Statuses (`404`, `4xx`, `NOT_FOUND`) whose reply is this type.
    pub status: Vec<String>,
    /// What is read of it.
    pub shape: Arc<ObjectShape>,
}

/// A leaf of the graph.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The kind of value that is expected.
    pub kind: LeafKind,
    /// A conversion that comes first.
    pub format: Option<Format>,
}

/// The kind of a leaf.
#[derive(Debug, Clone)]
pub enum LeafKind {
    /// Integral, 32 bits.
    Int,
    /// A number.
    Float,
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// Text or an integer; stays what it was on the tape and is written as text.
    Id,
    /// Integer or decimal text of 64 bits; stays an integer on the tape and is written as text.
    Int64,
    /// One of a set.
    Enum(Arc<EnumValues>),
    /// Any JSON: a custom scalar.
    Json,
}

/// The values of an enum at one source.
#[derive(Debug, Clone, Default)]
pub struct EnumValues {
    /// The GraphQL names; [`crate::tape::Value::Enum`] is an index into it.
    pub names: Vec<Arc<str>>,
    /// Upstream value to index.
    pub upstream: Vec<(Box<str>, u32)>,
    /// The index for any other value: `"*"`.
    pub other: Option<u32>,
}

impl EnumValues {
    /// The index of an upstream value.
    pub fn index(&self, upstream: &str) -> Option<u32> {
        self.upstream
            .iter()
            .find(|(value, _)| &**value == upstream)
            .map(|(_, index)| *index)
            .or(self.other)
    }
}

/// The slots of a Relay connection that a source builds around a list of nodes.
#[derive(Debug, Clone, Default)]
pub struct ConnectionShape {
    /// Layout of the connection object.
    pub layout: u32,
    /// Slot for the list of nodes.
    pub nodes: Option<u32>,
    /// Slot for the list of edges.
    pub edges: Option<EdgesShape>,
    /// Slot for the page information.
    pub page_info: Option<PageInfoShape>,
    /// Slot for the total.
    pub total: Option<u32>,
}

/// The slots of a connection's edges.
#[derive(Debug, Clone, Default)]
pub struct EdgesShape {
    /// The connection's slot for the list.
    pub slot: u32,
    /// Layout of an edge.
    pub layout: u32,
    /// An edge's slot for the node.
    pub node: Option<u32>,
    /// An edge's slot for the cursor.
    pub cursor: Option<u32>,
}

/// The slots of a connection's page information.
#[derive(Debug, Clone, Default)]
pub struct PageInfoShape {
    /// The connection's slot for the object.
    pub slot: u32,
    /// Layout of the page information.
    pub layout: u32,
    /// Its slot for `hasNextPage`.
    pub has_next: Option<u32>,
    /// Its slot for `hasPreviousPage`.
    pub has_previous: Option<u32>,
    /// Its slot for `startCursor`.
    pub start: Option<u32>,
    /// Its slot for `endCursor`.
    pub end: Option<u32>,
}
