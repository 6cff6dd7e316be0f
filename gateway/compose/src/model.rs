//! The supergraph: everything the gateway knows about one composed graph.
//!
//! Owns the merged types as clients see them, what each subgraph says of each
//! type and field, and one intermediate representation of every resolver:
//! REST, gRPC, GraphQL and reference mappings lower to the same [`Resolver`], [`Expr`]
//! and [`View`]. Knows nothing of requests, plans, transports or files.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::validation::Valid;
use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::contract::Contract;
use crate::labels::{Decided, OverrideLabel};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in the supergraph's table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// A subgraph of [`Supergraph::subgraphs`].
    SubgraphId
);
index!(
    /// A source of [`Supergraph::sources`].
    SourceId
);
index!(
    /// A resolver of [`Supergraph::resolvers`].
    ResolverId
);
index!(
    /// A view of [`Supergraph::views`].
    ViewId
);
index!(
    /// An input encoding of [`Supergraph::encodings`].
    EncodingId
);
index!(
    /// A demand of [`Supergraph::demands`].
    DemandId
);
index!(
    /// A label of [`Supergraph::labels`].
    LabelId
);

/// One composed graph. Made only by [`crate::compose`]. Its contracts share all of it but the API.
#[derive(Debug, Clone)]
pub struct Supergraph {
    pub(crate) api: Arc<Valid<Schema>>,
    pub(crate) contracts: Arc<BTreeMap<String, Arc<Valid<Schema>>>>,
    pub(crate) subgraphs: Arc<Vec<Subgraph>>,
    pub(crate) sources: Arc<Vec<Source>>,
    pub(crate) types: Arc<IndexMap<Name, TypeDef>>,
    pub(crate) weights: Arc<Weights>,
    pub(crate) resolvers: Arc<Vec<Resolver>>,
    pub(crate) views: Arc<Vec<View>>,
    pub(crate) encodings: Arc<Vec<Encoding>>,
    pub(crate) demands: Arc<Vec<Demand>>,
    pub(crate) labels: Arc<Vec<OverrideLabel>>,
    /// What is different while some of the labels are active.
    pub(crate) decided: Arc<Decided>,
    pub(crate) warnings: Arc<crate::Diagnostics>,
    pub(crate) version: u64,
}

impl Supergraph {
    /// The schema that clients see: validated, without our directives.
    pub fn api(&self) -> &Arc<Valid<Schema>> {
        &self.api
    }
    /// The names of its contracts.
    pub fn contracts(&self) -> impl Iterator<Item = &str> {
        self.contracts.keys().map(String::as_str)
    }
    /// The graph as the clients of a contract see it. Everything but the API is the same.
    pub fn contract(&self, name: &str) -> Option<Self> {
        Some(Self {
            api: self.contracts.get(name)?.clone(),
            contracts: Arc::default(),
            version: crate::version::of_contract(self.version, name),
            ..self.clone()
        })
    }
    /// Every subgraph, in the order of the configuration.
    pub fn subgraphs(&self) -> &[Subgraph] {
        &self.subgraphs
    }
    /// Every source of every subgraph.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
    /// What is known of a composite type, by name.
    pub fn type_def(&self, name: &str) -> Option<&TypeDef> {
        match self.decided.types.is_empty() {
            true => self.types.get(name),
            false => {
                let decided = self.decided.types.get(name);
                decided.or_else(|| self.types.get(name))
            }
        }
    }
    /// Every composite type, whatever labels are active.
    pub fn types(&self) -> &IndexMap<Name, TypeDef> {
        &self.types
    }
    /// What elements other than fields weigh, where `@cost` says it.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// The schema that clients see, as SDL with `@cost` and `@listSize`.
    pub fn priced_sdl(&self) -> String {
        crate::priced::print(self)
    }
    /// Every resolver.
    pub fn resolvers(&self) -> &[Resolver] {
        &self.resolvers
    }
    /// One resolver.
    pub fn resolver(&self, id: ResolverId) -> &Resolver {
        &self.resolvers[id.index()]
    }
    /// One source.
    pub fn source(&self, id: SourceId) -> &Source {
        &self.sources[id.index()]
    }
    /// One view.
    pub fn view(&self, id: ViewId) -> &View {
        match self.decided.views.is_empty() {
            true => &self.views[id.index()],
            false => {
                let decided = self.decided.views.get(&id);
                decided.unwrap_or_else(|| &self.views[id.index()])
            }
        }
    }
    /// Every view, whatever labels are active.
    pub fn views(&self) -> &[View] {
        &self.views
    }
    /// Every input encoding.
    pub fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }
    /// One input encoding.
    pub fn encoding(&self, id: EncodingId) -> &Encoding {
        &self.encodings[id.index()]
    }
    /// Every distinct demand on callers. Empty where the graph protects nothing.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }
    /// One demand.
    pub fn demand(&self, id: DemandId) -> &Demand {
        &self.demands[id.index()]
    }
    /// What the fields of a path below an object demand, whatever the objects on the way turn out to be.
    pub fn demands_along(&self, ty: &str, path: &[Name]) -> impl Iterator<Item = DemandId> {
        let demanded = crate::access::along(&self.types, ty, path);
        demanded.into_iter().map(|demanded| demanded.demand)
    }
    /// One resolver as text, for people.
    pub fn describe(&self, id: ResolverId) -> impl std::fmt::Display + '_ {
        let tables = crate::lower::print::Tables {
            sources: &self.sources,
            views: &self.views,
            encodings: &self.encodings,
        };
        crate::lower::print::Printed {
            tables,
            resolver: self.resolver(id),
        }
    }
    /// What composition warns of.
    pub fn warnings(&self) -> &crate::Diagnostics {
        &self.warnings
    }
    /// A hash of everything that was composed: two graphs with one version behave alike.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// One team's file.
#[derive(Debug, Clone)]
pub struct Subgraph {
    /// The name in the configuration.
    pub name: String,
    /// The SDL file, as diagnostics name it.
    pub file: String,
}

/// A service that answers fields, as its `@source` declares it.
#[derive(Debug, Clone)]
pub struct Source {
    /// `@source(name:)`, unique in the graph.
    pub name: String,
    /// The subgraph that declares it.
    pub subgraph: SubgraphId,
    /// Address and protocol.
    pub kind: SourceKind,
    /// How upstream spells names.
    pub naming: Naming,
    /// How a list travels in a query string.
    pub lists: ListStyle,
    /// Header rules for every call; an operation's own rule for a name wins.
    pub headers: Vec<HeaderRule>,
    /// Headers of its answers that clients are given; what brings them is shared with nobody.
    pub propagated: Vec<ResponseRule>,
    /// One attempt's time, where the SDL says one.
    pub timeout: Option<std::time::Duration>,
    /// A mutation with less time left is not begun.
    pub min_deadline: Option<std::time::Duration>,
    /// Retry rule, where the SDL says one.
    pub retry: Option<Retry>,
    /// Limits towards the source.
    pub limits: Limits,
    /// How error replies are mapped.
    pub errors: Errors,
}

/// The protocol of a source.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// REST over HTTP.
    Http {
        /// The base address, `$env` and `$config` already inserted.
        base_url: String,
        /// Its OpenAPI document, where one is named.
        contract: Option<Arc<Contract>>,
    },
    /// gRPC.
    Grpc {
        /// The address, `$env` and `$config` already inserted.
        url: String,
        /// Every message and service of the source.
        pool: prost_reflect::DescriptorPool,
    },
    /// GraphQL over HTTP.
    Graphql {
        /// The address, `$env` and `$config` already inserted; [`LOCAL`] for one that the gateway serves itself.
        url: String,
    },
}

/// The address of a GraphQL service within this process.
pub const LOCAL: &str = "local:";

impl SourceKind {
    /// Its address, as the subgraph file gives it.
    pub fn url(&self) -> &str {
        match self {
            SourceKind::Http { base_url, .. } => base_url,
            SourceKind::Grpc { url, .. } | SourceKind::Graphql { url } => url,
        }
    }

    /// Whether the gateway serves it itself.
    pub fn is_local(&self) -> bool {
        matches!(self, SourceKind::Graphql { url } if url == LOCAL)
    }

    /// Whether its replies hold what they were asked for and nothing else, so that a call names what is read.
    pub fn takes_selections(&self) -> bool {
        matches!(self, SourceKind::Graphql { .. })
    }
}

/// How upstream spells names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum Naming {
    #[default]
    Exact,
    SnakeCase,
    KebabCase,
    PascalCase,
}

/// How a list travels in a query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ListStyle {
    /// `id=1&id=2`
    #[default]
    Repeated,
    /// `id=1,2`
    Comma,
    /// `id[]=1&id[]=2`
    Brackets,
}

/// A composite type over all subgraphs.
#[derive(Debug, Clone)]
pub struct TypeDef {
    /// Its name in the graph.
    pub name: Name,
    /// Object, interface or union.
    pub kind: CompositeKind,
    /// What each subgraph that has the type says of it.
    pub subgraphs: Vec<TypeInSubgraph>,
    /// Its fields, in the order of first appearance. Empty for unions.
    pub fields: IndexMap<Name, FieldDef>,
    /// The object types a value can have; for an object type, itself.
    pub possible_types: Vec<Name>,
    /// Resolvers that fetch this type from one of its keys.
    pub entity_resolvers: Vec<ResolverId>,
    /// `@cacheControl`, the strictest of all subgraphs.
    pub cache: Option<CacheHint>,
    /// `@inaccessible` in any subgraph.
    pub inaccessible: bool,
    /// `@tag` names of every subgraph.
    pub tags: Vec<String>,
    /// What a caller must show to see an object of this type; all of it.
    pub demands: Vec<Demanded>,
}

impl TypeDef {
    /// Whether it is an interface, and the object type of this name one of its objects.
    pub fn is_interface_of(&self, object: &str) -> bool {
        let mut objects = self.possible_types.iter();
        self.kind == CompositeKind::Interface && objects.any(|possible| possible == object)
    }
}

/// The kind of a composite type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CompositeKind {
    Object,
    Interface,
    Union,
}

/// One subgraph's view of a type.
#[derive(Debug, Clone)]
pub struct TypeInSubgraph {
    /// Which subgraph.
    pub subgraph: SubgraphId,
    /// Its `@key`s there.
    pub keys: Vec<Key>,
    /// `@shareable` on the type.
    pub shareable: bool,
    /// `@extends` or `extend type`.
    pub extension: bool,
    /// `@interfaceObject`.
    pub interface_object: bool,
}

/// `@key(fields:, resolvable:)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The leaf paths, in the order written: `org { id } code` is `[[org, id], [code]]`.
    pub fields: Vec<FieldPath>,
    /// Whether the subgraph can answer for this key.
    pub resolvable: bool,
}

/// Field names from a composite type down to a leaf: `org.id`.
pub type FieldPath = Vec<Name>;

/// The leaf paths of a selection, whatever types and arguments stand on the way.
pub fn paths_of(set: &SelectionSet) -> Vec<FieldPath> {
    let mut found = Vec::new();
    gather(set, &mut Vec::new(), &mut found);
    found
}

/// The text has been parsed, which bounds its depth.
fn gather(set: &SelectionSet, way: &mut FieldPath, found: &mut Vec<FieldPath>) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                way.push(field.name.clone());
                match &field.selection_set {
                    Some(below) => gather(below, way, found),
                    None if field.name == "__typename" => {}
                    None if found.contains(way) => {}
                    None => found.push(way.clone()),
                }
                way.pop();
            }
            Selection::InlineFragment(inline) => gather(&inline.selection_set, way, found),
            // A field set has no fragments of its own name.
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// A field over all subgraphs.
#[derive(Debug, Clone)]
pub struct FieldDef {
    /// Its name.
    pub name: Name,
    /// Its merged type.
    pub ty: Type,
    /// What each subgraph that declares it says.
    pub subgraphs: Vec<FieldInSubgraph>,
    /// Resolvers that answer this field itself (root fields, and `@rest`, `@grpc` on a field).
    pub resolvers: Vec<ResolverId>,
    /// `@inaccessible` in any subgraph.
    pub inaccessible: bool,
    /// `@tag` names of every subgraph.
    pub tags: Vec<String>,
    /// `@listSize`, of all subgraphs that have one.
    pub list_size: Option<ListSize>,
    /// `@cost(weight:)`, the largest of all subgraphs.
    pub cost: Option<f64>,
    /// `@cacheControl`, the strictest of all subgraphs.
    pub cache: Option<CacheHint>,
    /// What a caller must show to read the field; all of it. What its type, its interfaces, its
    /// value's type and the fields that it `@requires` demand is here too.
    pub demands: Vec<Demanded>,
}

/// Something that a caller must show: what one `@authenticated`, `@requiresScopes` or `@policy` says.
/// The variants stand in the order in which they are decided, cheapest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Demand {
    /// A verified identity.
    Authenticated,
    /// Every scope of one of the lists.
    Scopes(Vec<Vec<String>>),
    /// Every policy of one of the lists holds.
    Policies(Vec<Vec<String>>),
}

/// A demand on a type or field, and who makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demanded {
    /// What is demanded.
    pub demand: DemandId,
    /// The element that carries the directive: `User`, `User.email`.
    pub element: String,
    /// `file:line:column` of the directive, for `explain` and messages.
    pub place: String,
}

/// As a subgraph file writes it.
impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Demand::Authenticated => f.write_str("@authenticated"),
            Demand::Scopes(lists) => {
                write!(f, "@requiresScopes(scopes: {})", Json::from(lists.clone()))
            }
            Demand::Policies(lists) => {
                write!(f, "@policy(policies: {})", Json::from(lists.clone()))
            }
        }
    }
}

/// `@cacheControl`, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheHint {
    /// Seconds.
    pub max_age: Option<u32>,
    /// `scope: PRIVATE`
    pub private: bool,
    /// `inheritMaxAge: true`
    pub inherit: bool,
}

/// `@cost` of everything but fields, the largest of all subgraphs.
/// <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-Cost-Directive>
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// Objects, enums and scalars.
    pub(crate) types: HashMap<Name, f64>,
    /// Arguments (type, field, argument) and input fields (type, no field, input field).
    pub(crate) inputs: HashMap<(Name, Option<Name>, Name), f64>,
}

impl Weights {
    /// Of an object, an enum or a scalar.
    pub fn of_type(&self, name: &str) -> Option<f64> {
        self.types.get(name).copied()
    }
    /// Of an argument of a field.
    pub fn of_argument(&self, ty: Name, field: Name, argument: Name) -> Option<f64> {
        self.inputs.get(&(ty, Some(field), argument)).copied()
    }
    /// Of a field of an input object.
    pub fn of_input_field(&self, ty: Name, field: Name) -> Option<f64> {
        self.inputs.get(&(ty, None, field)).copied()
    }
    /// Whether no argument and no input field has a weight.
    pub fn has_no_inputs(&self) -> bool {
        self.inputs.is_empty()
    }
}

/// `@listSize`, as written.
/// <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-List-Size-Directive>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSize {
    /// How long the list is assumed to be.
    pub assumed: Option<u32>,
    /// The arguments that say how long it is: `first`, or a path into an input object, `page.size`.
    pub slicing_arguments: Vec<String>,
    /// The fields below this one that hold the list.
    pub sized_fields: Vec<String>,
    /// Whether an operation must give exactly one of the slicing arguments.
    pub require_one_slicing_argument: bool,
}

/// One subgraph's declaration of a field.
#[derive(Debug, Clone)]
pub struct FieldInSubgraph {
    /// Which subgraph.
    pub subgraph: SubgraphId,
    /// Its type there.
    pub ty: Type,
    /// Not answered here: `@external` (used in keys, `@requires` and `@provides`), or taken over
    /// by another subgraph's `@override` without a label.
    pub external: bool,
    /// `@shareable` on the field or its type.
    pub shareable: bool,
    /// `@requires(fields:)`: leaf paths, whatever types and arguments stand on the way.
    pub requires: Vec<FieldPath>,
    /// `@requires(fields:)`, as written.
    pub required: Option<Arc<SelectionSet>>,
    /// `@provides(fields:)`: leaf paths below this field, whatever types stand on the way.
    pub provides: Vec<FieldPath>,
    /// `@provides(fields:)`, as written.
    pub provided: Option<Arc<SelectionSet>>,
    /// `@override(from:, label:)`.
    pub overrides: Option<Override>,
}

/// `@override(from:, label:)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The subgraph that no longer answers the field.
    pub from: String,
    /// A progressive override's label.
    pub label: Option<String>,
}

/// What one kind of reply of one source knows of one GraphQL type, and where
/// in the upstream value each field is read. Views are the nodes of the
/// planner's search: a field in a view needs no further call.
#[derive(Debug, Clone)]
pub struct View {
    /// The subgraph whose declarations it follows.
    pub subgraph: SubgraphId,
    /// The GraphQL composite type.
    pub ty: Name,
    /// The fields that the reply carries, for object types.
    pub fields: IndexMap<Name, ViewField>,
    /// For interfaces and unions: how to tell the object types apart. For an object type, empty.
    pub variants: Vec<Variant>,
    /// Where the discriminating value stands in the upstream object.
    pub discriminator: Option<UpstreamPath>,
}

/// One field of a [`View`].
#[derive(Debug, Clone)]
pub struct ViewField {
    /// Its GraphQL type in this subgraph.
    pub ty: Type,
    /// Where it is read.
    pub read: Read,
    /// Conversion of a leaf's upstream value.
    pub format: Option<Format>,
    /// Used where the upstream value is absent or null: `@map(default:)`.
    pub default: Option<Json>,
    /// The view of its value, for composite types.
    pub view: Option<ViewId>,
    /// Upstream value to GraphQL name, for enum types; `"*"` is the rest. `None` means each value is spelled as in GraphQL.
    pub enum_values: Option<Arc<IndexMap<String, Name>>>,
    /// Arguments that go upstream with the field, where the source takes selections.
    pub args: Vec<ViewArg>,
    /// What its service wants to be sent of the entity, beside its key, to answer the field: `@requires`.
    /// Only in the views of `_entities`.
    pub requires: Option<Arc<SelectionSet>>,
}

/// An argument that a source takes at a field of its reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewArg {
    /// Its GraphQL name.
    pub name: Name,
    /// Its name upstream.
    pub upstream: String,
    /// Its GraphQL type in this subgraph, which upstream shares.
    pub ty: Type,
    /// How its value is spelled upstream.
    pub encode: EncodingId,
}

/// One object type of an abstract [`View`].
#[derive(Debug, Clone)]
pub struct Variant {
    /// The object type.
    pub ty: Name,
    /// The discriminator's value that means it; `None` stands for every other value.
    pub value: Option<String>,
    /// Statuses (or gRPC codes) whose reply is this type: `@variant(status:)`.
    pub status: Vec<String>,
    /// What the reply carries of it.
    pub view: ViewId,
}

/// A dotted path into an upstream value; empty is the value itself.
pub type UpstreamPath = Vec<String>;

/// How a field is read from the upstream object of its parent.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The value at a path.
    Path(UpstreamPath),
    /// A composite built from the parent's own upstream object: the child view's reads start at the same object (`@map(from: { id: "user_id" })`).
    Embedded,
    /// A list of composites, one per item of the list at the path. The child view reads each item; an empty path in it is the item itself (`tag_ids: [1, 2]`).
    ListOf(UpstreamPath),
    /// The first that is neither absent nor null: `a ?? b`.
    FirstOf(Vec<Read>),
    /// A text with holes: `{first_name} {last_name}`. Null when a hole is null.
    Template(Vec<ReadPiece>),
    /// A constant.
    Const(Json),
    /// The HTTP status or gRPC code of the reply: `$status`.
    Status,
}

/// A piece of [`Read::Template`].
#[derive(Debug, Clone, PartialEq)]
pub enum ReadPiece {
    /// Literal text.
    Text(String),
    /// The value at a path.
    Path(UpstreamPath),
}

/// Conversion between an upstream value and a GraphQL leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Format {
    UnixSeconds,
    UnixMillis,
    NumberAsString,
    StringAsNumber,
    JsonString,
    Base64,
}

/// One way to obtain data: a call, what it needs, and what it gives.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// Its place in [`Supergraph::resolvers`].
    pub id: ResolverId,
    /// The subgraph that declares it.
    pub subgraph: SubgraphId,
    /// The source it calls.
    pub source: SourceId,
    /// What it resolves.
    pub target: Target,
    /// What it needs of each parent, as leaf paths below the parent's type:
    /// the distinct paths of `$this` and `$batch` in its request. [`Expr::Parent`] and [`Expr::Batch`] index into it.
    pub inputs: Vec<FieldPath>,
    /// What else of each parent is sent as a whole: a key in which there are lists.
    pub sends: Option<Arc<SelectionSet>>,
    /// How the call is built.
    pub request: Request,
    /// One call for many parents, where `$batch` is used.
    pub batch: Option<Batch>,
    /// How the reply is read.
    pub reply: ReplyRule,
    /// How a list is read page by page.
    pub page: Option<Page>,
    /// What happens around the call.
    pub policy: Policy,
    /// The call is not made but made durable, to be made later: `@queue`.
    pub queue: Option<Box<QueueRule>>,
    /// `file:line:column` of the directive, for `explain` and messages.
    pub place: String,
}

/// `@queue`: what becomes of a call that is made durable instead of being made.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRule {
    /// The queue's name.
    pub name: String,
    /// Calls of one key are made in order; null is no key.
    pub key: Option<Expr>,
    /// A second call with the same text, from the same caller and field, is the first one again; null is none.
    pub dedupe: Option<Expr>,
    /// How long that is remembered; at least `ttl`.
    pub dedupe_window: std::time::Duration,
    /// Before the first attempt.
    pub delay: Option<std::time::Duration>,
    /// How long it is tried.
    pub ttl: std::time::Duration,
    /// How it is tried again.
    pub retry: Option<Retry>,
    /// One that cannot be delivered holds up the next of its key.
    pub blocks: bool,
}

/// What a resolver resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A field of Query, Mutation or Subscription.
    Root {
        /// The root type's name.
        ty: Name,
        /// The field.
        field: Name,
        /// Whether it is a mutation.
        mutation: bool,
    },
    /// A field of another type, resolved from its parent.
    Field {
        /// The parent type.
        ty: Name,
        /// The field.
        field: Name,
    },
    /// An entity, resolved from one of its keys.
    Entity {
        /// The entity.
        ty: Name,
        /// The key's leaf paths.
        key: Vec<FieldPath>,
    },
}

impl Target {
    /// Whether it is a field of Subscription: its call brings events instead of one reply.
    pub fn is_subscription(&self) -> bool {
        matches!(self, Target::Root { ty, .. } if ty == "Subscription")
    }
}

/// How a call is built.
#[derive(Debug, Clone)]
pub enum Request {
    /// An HTTP request.
    Rest(RestRequest),
    /// A gRPC request.
    Grpc(GrpcRequest),
    /// A GraphQL operation.
    Graphql(GraphqlRequest),
}

/// An HTTP request with holes.
#[derive(Debug, Clone)]
pub struct RestRequest {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: RestMethod,
    /// The path below the source's base address; every hole is percent-encoded as one segment's part.
    pub path: Vec<Piece>,
    /// Query parameters in order; a null value is omitted, an object's entries become parameters.
    pub query: Vec<QueryParam>,
    /// The body.
    pub body: Option<Expr>,
    /// How the body travels.
    pub encoding: BodyEncoding,
    /// Headers of this operation.
    pub headers: Vec<HeaderRule>,
}

/// One query parameter.
#[derive(Debug, Clone)]
pub struct QueryParam {
    /// Its upstream name.
    pub name: String,
    /// Its value.
    pub value: Expr,
    /// How a list value travels.
    pub lists: ListStyle,
}

/// The method of a [`RestRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RestMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl RestMethod {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        use RestMethod::{Delete, Get, Patch, Post, Put};
        let all = [Get, Post, Put, Patch, Delete];
        all.into_iter().find(|method| method.as_str() == name)
    }

    /// `GET` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            RestMethod::Get => "GET",
            RestMethod::Post => "POST",
            RestMethod::Put => "PUT",
            RestMethod::Patch => "PATCH",
            RestMethod::Delete => "DELETE",
        }
    }
}

/// How a body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum BodyEncoding {
    #[default]
    Json,
    Form,
    Multipart,
    Text,
}

/// A gRPC request with holes.
#[derive(Debug, Clone)]
pub struct GrpcRequest {
    /// The method, resolved in the source's descriptor pool.
    pub method: prost_reflect::MethodDescriptor,
    /// The request message: an [`Expr::Object`] keyed by proto field names.
    pub message: Expr,
    /// Dotted path of a `google.protobuf.FieldMask` field to fill from the selection, and whether the request names none itself.
    pub field_mask: Option<String>,
    /// Metadata of this operation.
    pub metadata: Vec<HeaderRule>,
    /// A server stream stops after this many messages.
    pub max_messages: u32,
}

/// A GraphQL operation of one root field. What it selects is the plan's to say.
#[derive(Debug, Clone)]
pub struct GraphqlRequest {
    /// Whether it is a mutation.
    pub mutation: bool,
    /// The field of the service's root type.
    pub field: String,
    /// Its arguments.
    pub args: Vec<(String, GraphqlValue)>,
    /// The one type of what it gives that is asked for, where its own type is wider: `_entities`.
    pub on: Option<Name>,
}

/// An argument's value: written into the operation's text, with a variable where it differs from call to call.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphqlValue {
    /// A constant of the subgraph file.
    Const(Json),
    /// The name of an enum's value.
    Enum(Name),
    /// A variable; one without a value is left out.
    Variable {
        /// Its type, as the service knows it: `[ID!]!`.
        ty: String,
        /// Its value.
        value: Expr,
    },
    /// An input object.
    Object(Vec<(String, GraphqlValue)>),
    /// A list.
    List(Vec<GraphqlValue>),
}

impl GraphqlValue {
    /// Visits the expressions of its variables.
    pub fn visit<'v>(&'v self, visit: &mut dyn FnMut(&'v Expr)) {
        match self {
            GraphqlValue::Const(_) | GraphqlValue::Enum(_) => {}
            GraphqlValue::Variable { value, .. } => visit(value),
            GraphqlValue::Object(fields) => fields.iter().for_each(|(_, it)| it.visit(visit)),
            GraphqlValue::List(items) => items.iter().for_each(|it| it.visit(visit)),
        }
    }
}

/// A literal or a hole of a path or text.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// A hole.
    Hole(Expr),
}

/// A value outward.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A constant.
    Const(Json),
    /// `$args.a.b`, converted by the encoding to what the contract or GraphQL type wants.
    Arg {
        /// The argument and the way into it.
        path: Vec<String>,
        /// How its value is spelled upstream.
        encode: EncodingId,
    },
    /// `$this.field`: the parent's input at this place of [`Resolver::inputs`].
    Parent {
        /// Index into [`Resolver::inputs`].
        input: usize,
        /// How its value is spelled upstream.
        encode: EncodingId,
    },
    /// `$batch.field`: the list of every parent's input. Inside a one-element list of an object
    /// ([`Expr::Each`]) it is one parent's.
    Batch {
        /// Index into [`Resolver::inputs`].
        input: usize,
        /// How each value is spelled upstream.
        encode: EncodingId,
    },
    /// `[{ id: "$batch.id", region: "$batch.region" }]`: the object once for each distinct key; inside, `Batch` is that key's value.
    Each(Box<Expr>),
    /// The same with what the fields that are asked for require of the entity, which a plan appends to each row.
    Representations(Box<Expr>),
    /// `$claims.name`
    Claim(Vec<String>),
    /// `$request.headers.name`, lower case.
    Header(String),
    /// `a ?? b`
    FirstOf(Vec<Expr>),
    /// A text with holes.
    Template(Vec<Piece>),
    /// An object; null values are omitted.
    Object(Vec<(String, Expr)>),
    /// A list.
    List(Vec<Expr>),
}

impl Expr {
    /// Shows each part to the visitor, the whole first.
    pub fn visit<'e>(&'e self, visitor: &mut impl FnMut(&'e Expr)) {
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            visitor(expr);
            match expr {
                Expr::Each(item) | Expr::Representations(item) => open.push(item),
                Expr::FirstOf(all) | Expr::List(all) => open.extend(all.iter().rev()),
                Expr::Object(entries) => open.extend(entries.iter().rev().map(|(_, it)| it)),
                Expr::Template(pieces) => open.extend(pieces.iter().rev().filter_map(Piece::hole)),
                Expr::Const(_)
                | Expr::Arg { .. }
                | Expr::Parent { .. }
                | Expr::Batch { .. }
                | Expr::Claim(_)
                | Expr::Header(_) => {}
            }
        }
    }

    /// Whether its value may differ from one request to the next.
    pub fn depends_on_client(&self) -> bool {
        let mut depends = false;
        self.visit(&mut |part| {
            depends |= matches!(
                part,
                Expr::Arg { .. }
                    | Expr::Parent { .. }
                    | Expr::Batch { .. }
                    | Expr::Claim(_)
                    | Expr::Header(_)
            );
        });
        depends
    }
}

impl Piece {
    /// Its expression, where it is a hole.
    pub fn hole(&self) -> Option<&Expr> {
        match self {
            Piece::Hole(expr) => Some(expr),
            Piece::Text(_) => None,
        }
    }
}

/// How a GraphQL input value is spelled upstream.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// As it is.
    AsIs,
    /// A leaf of this upstream type.
    Leaf(Outward),
    /// GraphQL name to upstream value; names not listed are sent as they are.
    Enum(IndexMap<Name, String>),
    /// Each item.
    List(EncodingId),
    /// Each field: GraphQL name to upstream name and encoding.
    Object(IndexMap<Name, (String, EncodingId)>),
}

/// The JSON type that a contract wants of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outward {
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// Converted by `@map(format:)`, inverted.
    Format(Format),
}

/// One call for many parents.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How items find their parents.
    pub order: BatchOrder,
    /// For keyed order: for each of [`Resolver::inputs`] (by index), where an item carries its value.
    pub by: Vec<BatchBy>,
    /// At most this many distinct keys a call.
    pub max: usize,
    /// How long to gather keys across client requests.
    pub window: Option<std::time::Duration>,
    /// Cut each parent's list to this length.
    pub limit: Option<Expr>,
    /// Each parent gets a list (`reviews`), not one item (an entity).
    pub to_many: bool,
}

/// How a batch's items find their parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum BatchOrder {
    #[default]
    Keyed,
    Positional,
}

/// Where an item carries one part of its parent's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchBy {
    /// Index into [`Resolver::inputs`].
    pub input: usize,
    /// The path in the upstream item.
    pub path: UpstreamPath,
    /// The GraphQL type of the key part, to which both sides are coerced.
    pub ty: Type,
    /// Conversion of the item's value, as of a [`ViewField`].
    pub format: Option<Format>,
    /// Upstream value to GraphQL name, as of a [`ViewField`].
    pub enum_values: Option<Arc<IndexMap<String, Name>>>,
}

/// How a reply is read.
#[derive(Debug, Clone)]
pub struct ReplyRule {
    /// `result:`, the envelope to unwrap.
    pub unwrap: UpstreamPath,
    /// The GraphQL type of what one parent gets (for entities, the entity; nullable).
    pub ty: Type,
    /// The whole value as a field: read, format, default, view, enum values.
    pub value: ViewField,
    /// The type is a Relay connection that the gateway builds from the upstream list.
    pub connection: Option<Connection>,
}

/// A Relay connection built from an upstream list. Field names are those the schema declares, absent ones are `None`.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The connection type.
    pub ty: Name,
    /// `edges`' item type, where declared.
    pub edge_type: Option<Name>,
    /// `nodes`, where declared.
    pub has_nodes: bool,
    /// `totalCount`, where declared.
    pub has_total: bool,
    /// The page information type.
    pub page_info_type: Name,
    /// The type of one node, as the list's item.
    pub node: ViewField,
}

/// How a list is read page by page.
#[derive(Debug, Clone)]
pub struct Page {
    /// How the next page is asked for.
    pub style: PageStyle,
    /// The upstream parameter (or request field) for the page's size.
    pub size: Option<String>,
    /// The upstream parameter for the position: cursor, offset or page number.
    pub at: Option<String>,
    /// Where the reply carries the next cursor.
    pub next: Option<UpstreamPath>,
    /// Where the reply says whether there is more.
    pub has_more: Option<UpstreamPath>,
    /// Where the reply carries the total.
    pub total: Option<UpstreamPath>,
    /// The largest page to ask for.
    pub max_size: u32,
    /// Read on for at most this many pages in one field.
    pub follow: Option<u32>,
    /// How many items the client asks for, where the field has an argument for it. None in a batch, whose limit is [`Batch::limit`].
    pub first: Option<Expr>,
    /// Where the client begins: the argument's cursor, offset or page number, in the words of [`Page::style`]; a connection's own cursor for connections.
    pub after: Option<Expr>,
}

/// The style of a [`Page`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PageStyle {
    Cursor,
    Offset,
    PageNumber,
    LinkHeader,
}

/// What happens around a call.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// One attempt's time.
    pub timeout: Option<std::time::Duration>,
    /// Parallel calls accepted per step, where no batch exists.
    pub fanout: Option<u32>,
    /// `notFound: ERROR`
    pub not_found_is_error: bool,
    /// Whether it may be sent twice.
    pub idempotent: bool,
    /// A second attempt at the observed p95.
    pub hedge: bool,
    /// The same identity's last good value when the source fails.
    pub stale_if_error: Option<std::time::Duration>,
    /// Retry rule.
    pub retry: Option<Retry>,
    /// How error replies are mapped.
    pub errors: Errors,
}

/// `Retry`, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retry {
    /// Attempts, the first included.
    pub attempts: Option<u32>,
    /// The first backoff.
    pub backoff: Option<std::time::Duration>,
    /// The largest backoff.
    pub max_backoff: Option<std::time::Duration>,
    /// All attempts together.
    pub total: Option<std::time::Duration>,
    /// Statuses and codes to retry on.
    pub on: Vec<String>,
}

/// `Limits`, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Calls in flight.
    pub concurrency: Option<u32>,
    /// Calls per second.
    pub requests_per_second: Option<u32>,
    /// Breaker settings.
    pub breaker: Option<Breaker>,
}

/// `Breaker`, as written.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Breaker {
    pub failure_rate: Option<f64>,
    pub slow_call_rate: Option<f64>,
    pub slow_call: Option<std::time::Duration>,
    pub minimum_calls: Option<u32>,
    pub window: Option<std::time::Duration>,
    pub open: Option<std::time::Duration>,
    pub probes: Option<u32>,
}

/// `Errors`, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Errors {
    /// Where an error body carries the message.
    pub message: Option<Read>,
    /// Members of the error body to pass on.
    pub extensions: Vec<(String, Read)>,
    /// Status to code.
    pub codes: Vec<(String, String)>,
}

/// A header of a source's answers that clients are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRule {
    /// Its name, lower case.
    pub name: String,
    /// What becomes of several values.
    pub merge: HeaderMerge,
}

/// Which of several values of one header a client is given, in the order of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderMerge {
    /// The first.
    First,
    /// The last.
    Last,
    /// All of them.
    Append,
    /// For Cache-Control: what all of them allow.
    MostRestrictive,
}

/// One header towards a source.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderRule {
    /// Its name, lower case.
    pub name: String,
    /// Its value; a null value sends no header.
    pub value: Expr,
}
