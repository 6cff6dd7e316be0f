//! The plan: a DAG of steps, and how the response is written from their data.
//!
//! Owns the result of planning. Made only by [`crate::plan`]; read by the
//! executor, by sources (one step at a time) and by the printer.

use std::any::Any;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::Type;
use apollo_compiler::validation::Valid;
use compose::Supergraph;
use compose::model::ResolverId;
use serde_json::Map;
use serde_json::Value as Json;

use crate::access::Asked;
use crate::cache::CachePolicy;
use crate::cost::Milli;
use crate::cost::Price;
use crate::cost::Program;
use crate::limits::Measures;
use crate::queued::Queued;
use crate::shape::ReplyShape;

/// A planned operation.
#[derive(Debug)]
pub struct Plan {
    pub(crate) supergraph: Arc<Supergraph>,
    pub(crate) mutation: bool,
    pub(crate) subscription: bool,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Vec<VariableDef>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) demands: Vec<Asked>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: Selection,
    pub(crate) introspection: Option<Valid<ExecutableDocument>>,
    pub(crate) measures: Measures,
    pub(crate) cost: Program,
    pub(crate) cache: CachePolicy,
    pub(crate) keeps: bool,
    /// Whether the last good reply may stand for one that fails.
    pub(crate) may_be_stale: bool,
    pub(crate) queued: Queued,
    /// Whether the gateway itself answers a part of it.
    pub(crate) asks_here: bool,
}

impl Plan {
    /// The graph that it was made for.
    pub fn supergraph(&self) -> &Arc<Supergraph> {
        &self.supergraph
    }
    /// Whether it is a mutation.
    pub fn is_mutation(&self) -> bool {
        self.mutation
    }
    /// Whether it is a subscription.
    pub fn is_subscription(&self) -> bool {
        self.subscription
    }
    /// The step that brings a subscription's events; all others run for each of them.
    pub fn events(&self) -> Option<&Step> {
        let mut roots = self.steps.iter().filter(|step| step.parents.is_none());
        roots.next().filter(|_| self.subscription)
    }
    /// The operation's name.
    pub fn operation_name(&self) -> Option<&str> {
        self.operation_name.as_deref()
    }
    /// The operation's variables: [`ArgValue::Variable`] and [`Term::variable`] index into them.
    pub fn variables(&self) -> &[VariableDef] {
        &self.variables
    }
    /// Conditions: [`ConditionId`] is an index into them.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
    /// What the operation asks of its caller, each demand once. [`Variables`] say of each whether it is
    /// met, after the variables themselves. Empty where nothing that is selected is protected.
    pub fn demands(&self) -> &[Asked] {
        &self.demands
    }
    /// The calls, each after all those it depends on.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    /// How the response is written.
    pub fn output(&self) -> &Selection {
        &self.output
    }
    /// How many root fields count with these variables; an alias is a field of its own.
    pub fn root_fields(&self, variables: &Variables) -> usize {
        let counts = |field: &&OutField| {
            let condition = field.condition.map(|id| &self.conditions[id as usize]);
            let is_constant = matches!(field.from, Origin::Const(_));
            !is_constant && condition.is_none_or(|condition| condition.holds(variables))
        };
        self.output.fields.iter().filter(counts).count()
    }
    /// The longest time that a source of its root fields wants to be left, with these variables.
    pub fn min_deadline(&self, variables: &Variables) -> Option<(&str, Duration)> {
        let begins = |step: &&Step| {
            let condition = step.condition.map(|id| &self.conditions[id as usize]);
            step.parents.is_none() && condition.is_none_or(|condition| condition.holds(variables))
        };
        let steps = self.steps.iter().filter(begins);
        let needs = steps.filter_map(|step| {
            let resolver = self.supergraph.resolver(step.resolver);
            let source = self.supergraph.source(resolver.source);
            // What is queued does not wait for the source.
            let least = source.min_deadline.filter(|_| resolver.queue.is_none());
            Some((source.name.as_str(), least?))
        });
        needs.max_by_key(|(_, least)| *least)
    }
    /// What a caller's limits are compared with.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }
    /// The document, where the operation introspects.
    pub fn introspection(&self) -> Option<&Valid<ExecutableDocument>> {
        self.introspection.as_ref()
    }
}

/// A declared variable.
#[derive(Debug, Clone)]
pub struct VariableDef {
    /// Without `$`.
    pub name: String,
    /// Its input type.
    pub ty: Type,
    /// Its default, coerced.
    pub default: Option<Json>,
}

/// Index into [`Plan::conditions`].
pub type ConditionId = u32;

/// Holds when any of its conjunctions holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Conjunctions: each holds when all its terms do.
    pub any: Vec<Vec<Term>>,
}

/// A Boolean variable, or its negation; or a demand that is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term {
    /// Index into [`Plan::variables`]; after these, index into [`Plan::demands`].
    pub variable: u32,
    /// The value that the variable must have.
    pub equals: bool,
}

/// One batch of upstream calls to one resolver.
#[derive(Debug)]
pub struct Step {
    /// Its place in [`Plan::steps`].
    pub id: usize,
    /// Which resolver.
    pub resolver: ResolverId,
    /// The call for one parent alone, where the entity has one: used when a single key is asked for.
    pub single: Option<Box<Single>>,
    /// The field's arguments.
    pub args: Vec<Arg>,
    /// Arguments of fields that are read, where the source takes them: [`crate::shape::AskedArg::value`] is an index into them.
    pub below: Vec<Arg>,
    /// The objects that it is joined to; none for a root field.
    pub parents: Option<Parents>,
    /// Objects of another root step that this one knows more of, joined by their place once both are finished.
    pub aligned: Vec<Aligned>,
    /// For each of the resolver's inputs, where it is found from a parent object.
    pub inputs: Vec<Vec<Hop>>,
    /// What is sent of each parent beside these: an object of fields, written like a response.
    pub representation: Option<Selection>,
    /// The call for parents of which that could not be had.
    pub without: Option<Box<Without>>,
    /// Steps that must be finished before it starts.
    pub after: Vec<usize>,
    /// Runs only when it holds.
    pub condition: Option<ConditionId>,
    /// What the reply is decoded into.
    pub shape: ReplyShape,
    /// What it reads, in GraphQL's words, for people: `id name`.
    pub selects: String,
    /// For a batch whose items carry the value in a slot (`{ user_id, score }`): that slot.
    pub value_slot: Option<u32>,
    /// Whether another step asks the same source at the same time, in a protocol in which both can be one call.
    pub in_company: bool,
    /// What a source has prepared for this step, made at its first call.
    pub prepared: Prepared,
    /// What the schema says about keeping its replies.
    pub cache: CachePolicy,
}

/// Another call beside a step's: for one parent alone, or for fewer fields. Its reply is decoded into the same layouts.
#[derive(Debug)]
pub struct Single {
    /// Which resolver.
    pub resolver: ResolverId,
    /// For each of its inputs, where it is found from a parent object.
    pub inputs: Vec<Vec<Hop>>,
    /// What the reply is decoded into.
    pub shape: ReplyShape,
    /// What a source has prepared for it.
    pub prepared: Prepared,
}

/// A step's call for parents of which what its fields require could not be had: for its other fields.
#[derive(Debug)]
pub struct Without {
    /// The call, decoded into the same layouts.
    pub call: Single,
    /// The slots of the fields that are not asked for.
    pub slots: Vec<LayoutSlot>,
}

/// A place for what a source derives from a step once: a compiled decoder.
#[derive(Default)]
pub struct Prepared(pub OnceLock<Arc<dyn Any + Send + Sync>>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared")
    }
}

/// Where a step's parents are.
#[derive(Debug, Clone)]
pub struct Parents {
    /// The step on whose tapes they stand.
    pub step: usize,
    /// The way from each of that step's items to the parents; lists are walked through.
    pub path: Vec<LayoutSlot>,
    /// Only objects of this layout are parents.
    pub layout: u32,
    /// The parents' slot for what this step brings.
    pub join: u32,
}

/// Objects of one root step that another knows more of: the first of these is the first of those.
#[derive(Debug, Clone)]
pub struct Aligned {
    /// The objects that are joined.
    pub with: Parents,
    /// The way to the same objects in the step that knows more.
    pub path: Vec<LayoutSlot>,
    /// Their layout there.
    pub layout: u32,
}

/// A slot of objects of one layout; objects of other layouts are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutSlot {
    /// The layout.
    pub layout: u32,
    /// The slot, relative to the object.
    pub slot: u32,
}

/// One hop from an object to a value. The last one of a path is a [`Hop::Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// To the value in this slot.
    Slot(u32),
    /// To the object that another step has joined in this slot.
    Join {
        /// The slot.
        slot: u32,
        /// The step.
        step: usize,
    },
}

/// An argument of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Its GraphQL name.
    pub name: String,
    /// Its value.
    pub value: ArgValue,
    /// Used when the value is a variable that was not given.
    pub default: Option<Json>,
    /// Its type, for nulls that a variable brings.
    pub ty: Type,
}

/// A value in a document, coerced except for its variables.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgValue {
    /// A constant.
    Const(Json),
    /// Index into [`Plan::variables`].
    Variable(u32),
    /// A list in which variables stand.
    List(Vec<ArgValue>),
    /// An input object in which variables stand; a variable that was not given leaves its field to the default, or out.
    Object(Vec<(String, ArgValue, Option<Json>)>),
    /// Whether this holds: when a field below is asked for.
    Holds(Condition),
}

/// The coerced variables of one request, by index; `None` was not given. After them stands, for each of
/// [`Plan::demands`], what was decided of it; where nothing was, it is not met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables(pub Vec<Option<Json>>);

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, variables: &Variables) -> bool {
        self.any
            .iter()
            .any(|all| all.iter().all(|term| term.holds(variables)))
    }
}

impl Term {
    fn holds(self, variables: &Variables) -> bool {
        let value = variables.0.get(self.variable as usize);
        value == Some(&Some(Json::Bool(self.equals)))
    }
}

impl Step {
    /// The arguments of one request.
    pub fn arguments(&self, variables: &Variables) -> Map<String, Json> {
        self.args
            .iter()
            .filter_map(|arg| Some((arg.name.clone(), arg.evaluate(variables)?)))
            .collect()
    }

    /// The arguments of fields below, by index; none where a variable was not given.
    pub fn arguments_below(&self, variables: &Variables) -> Vec<Option<Json>> {
        let args = self.below.iter();
        args.map(|arg| arg.evaluate(variables)).collect()
    }
}

impl Arg {
    fn evaluate(&self, variables: &Variables) -> Option<Json> {
        self.value
            .evaluate(variables)
            .or_else(|| self.default.clone())
    }
}

impl ArgValue {
    /// The value with variables filled in; `None` where it is a variable that was not given.
    pub fn evaluate(&self, variables: &Variables) -> Option<Json> {
        match self {
            ArgValue::Const(value) => Some(value.clone()),
            ArgValue::Holds(condition) => Some(Json::Bool(condition.holds(variables))),
            ArgValue::Variable(index) => variables.0.get(*index as usize)?.clone(),
            ArgValue::List(items) => Some(Json::Array(
                items
                    .iter()
                    .map(|item| item.evaluate(variables).unwrap_or(Json::Null))
                    .collect(),
            )),
            ArgValue::Object(fields) => Some(Json::Object(
                fields
                    .iter()
                    .filter_map(|(name, value, default)| {
                        let value = value.evaluate(variables).or_else(|| default.clone())?;
                        Some((name.clone(), value))
                    })
                    .collect(),
            )),
        }
    }
}

/// What is written of one object.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// In response order.
    pub fields: Vec<OutField>,
    /// Where variables decide the order of keys: every appearance of a field (by its index) and when
    /// it counts. A key stands where it first appears among those that count. Empty where the order
    /// is that of `fields`.
    pub appearances: Vec<(u32, Option<ConditionId>)>,
    /// Its only field is the object itself, as another step knows it: that is what is written.
    pub is_another: bool,
    /// What the object costs, where its field does not say it.
    pub weight: Milli,
    /// Where the object's own type makes demands that the field which returns it does not: null with an
    /// error unless it holds.
    pub access: Option<ConditionId>,
}

/// One response field.
#[derive(Debug, Clone)]
pub struct OutField {
    /// The response key, for error paths.
    pub name: Arc<str>,
    /// The response key as it is written: `,"name":`; the first of an object goes without the comma.
    pub key: Box<str>,
    /// Line and column of the field in the document, for errors.
    pub location: Option<(u32, u32)>,
    /// `Type.field`, for errors.
    pub coordinate: Box<str>,
    /// Written only when it holds.
    pub condition: Option<ConditionId>,
    /// Null with an error unless it holds: what is demanded of the caller.
    pub access: Option<ConditionId>,
    /// Where its value is.
    pub from: Origin,
    /// Its type, and what is written of it.
    pub ty: OutType,
    /// What it costs, where that is not the usual.
    pub price: Option<Box<Price>>,
}

/// Where a response field's value is, seen from its object.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A constant: JSON as it is written (`__typename`).
    Const(Box<str>),
    /// A slot of the object.
    Slot(u32),
    /// A slot of the item that a step has joined in a slot of the object.
    Joined {
        /// The object's slot.
        join: u32,
        /// The step.
        step: usize,
        /// The item's slot.
        slot: u32,
    },
    /// What a step has joined in a slot of the object.
    Join {
        /// The object's slot.
        join: u32,
        /// The step.
        step: usize,
    },
    /// The value of a step without parents (root fields).
    Root {
        /// The step.
        step: usize,
    },
    /// A member of the introspection result, by response key.
    Introspection,
}

/// A response type.
#[derive(Debug, Clone)]
pub struct OutType {
    /// Whether null may stand here.
    pub nullable: bool,
    /// The type below.
    pub kind: OutKind,
}

impl OutType {
    /// Levels of lists, and what is in the innermost.
    pub(crate) fn innermost(&self) -> (u32, &OutKind) {
        let (mut levels, mut kind) = (0, &self.kind);
        while let OutKind::List(item) = kind {
            (levels, kind) = (levels + 1, &item.kind);
        }
        (levels, kind)
    }
}

/// The kind of an [`OutType`].
#[derive(Debug, Clone)]
pub enum OutKind {
    /// Written by this leaf's rules.
    Leaf(OutLeaf),
    /// A list.
    List(Box<OutType>),
    /// An object: what is written, by its layout in the step it comes from.
    Object(Vec<(u32, Selection)>),
}

/// How a leaf is written.
#[derive(Debug, Clone)]
pub enum OutLeaf {
    /// As it is.
    Plain,
    /// Integers as text: ID and Int64.
    Text,
    /// An enum's name.
    Enum(Arc<crate::shape::EnumValues>),
}
