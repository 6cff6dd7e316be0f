//! Where lowered things come from: what the checks against contracts need and
//! nobody after them.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, FieldDefinition, Type};

use serde_json::Value as Json;

use crate::contract::TypeId;
use crate::mapping::Spot;
use crate::model::{SourceId, SubgraphId};

/// Where a resolver comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The subgraph whose document holds the nodes.
    pub(crate) subgraph: SubgraphId,
    /// `@rest` or `@grpc`.
    pub(crate) directive: Node<Directive>,
    /// The field that it stands on; none for an entity.
    pub(crate) field: Option<Node<FieldDefinition>>,
    /// The call in the source's contract.
    pub(crate) call: Call,
    /// Every value that the request sends.
    pub(crate) sent: Vec<Sent>,
    /// The contract's type of the whole reply, before `result:`.
    pub(crate) reply: Option<TypeId>,
    /// The contract's type of what `result:` unwraps; for a batch, the list of items.
    /// None where there is no contract or it has nothing there.
    pub(crate) result: Option<TypeId>,
}

/// A call in a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// There is no contract, or it has no such call.
    Unknown,
    /// Index into the operations of the OpenAPI document.
    Operation(usize),
    /// The gRPC method.
    Method(String),
}

/// A value that a request sends.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Where the SDL says so.
    pub(crate) spot: Spot,
    /// Where it goes.
    pub(crate) to: Destination,
    /// What it is.
    pub(crate) value: Value,
    /// What the contract wants there; none where it says nothing.
    pub(crate) wants: Option<TypeId>,
}

/// What a request sends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A constant.
    Constant(Json),
    /// `$args.a.b`, of this type.
    Argument(Vec<String>, Type),
    /// `$this.a`, or `$batch.a` inside the object of one key, of this type.
    Parent(Type),
    /// `$batch.a`: a list of values of this type.
    Keys(Type),
    /// A text with holes, a claim or a header.
    Opaque,
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The hole of this number in the path.
    Path(usize),
    /// A query parameter.
    Query(String),
    /// A header or gRPC metadata.
    Header(String),
    /// The body or request message, at this path.
    Body(Vec<String>),
    /// It stays in the gateway: a batch's limit, a page's start.
    Gateway,
}

/// What a view was lowered against.
#[derive(Debug, Clone)]
pub(crate) struct ViewOrigin {
    /// The source whose replies it reads.
    pub(crate) source: SourceId,
    /// The contract's type of the object.
    pub(crate) contract: Option<TypeId>,
    /// Where its fields are read is written in a `selection:` or `from:` of its own: the spot of each field by name.
    pub(crate) written: Vec<(String, Spot)>,
}
