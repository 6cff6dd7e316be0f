//! Mutations whose calls are made durable instead of being made.
//!
//! Owns how many of an operation's root fields they are. An operation of
//! nothing else is accepted as a whole: its steps wait for each other only
//! until all of them are durable.

use apollo_compiler::Name;
use compose::Supergraph;

use crate::model::Plan;
use crate::model::Step;
use crate::model::Variables;

/// How much of an operation is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Queued {
    /// Nothing.
    #[default]
    Nothing,
    /// Some of its root fields.
    Some,
    /// All of its root fields.
    All,
}

impl Plan {
    /// How much of the operation is queued.
    pub fn queued(&self) -> Queued {
        self.queued
    }

    /// Whether the gateway itself answers a part of it: what that is may depend on who asks.
    pub fn asks_here(&self) -> bool {
        self.asks_here
    }

    /// Of an operation that is queued as a whole, how many calls are made durable with these
    /// variables; none where one of its root fields is not to be had, and so none of them.
    pub fn queued_together(&self, variables: &Variables) -> Option<usize> {
        let holds = |id: u32| self.conditions[id as usize].holds(variables);
        let runs = |step: &&Step| step.condition.is_none_or(holds);
        let running = self.steps.iter().filter(runs).count();
        (running == self.root_fields(variables)).then_some(running)
    }
}

/// Whether each of some root fields is queued, and there is one.
pub(crate) fn all<'f>(
    graph: &Supergraph,
    root: &str,
    fields: impl Iterator<Item = &'f Name>,
) -> bool {
    let mut any = false;
    let queued = |name: &Name| {
        let field = graph.type_def(root).and_then(|ty| ty.fields.get(name));
        let resolvers = field.map_or(&[][..], |field| &field.resolvers);
        any |= !resolvers.is_empty();
        let mut resolvers = resolvers.iter().map(|id| graph.resolver(*id));
        resolvers.all(|resolver| resolver.queue.is_some())
    };
    let mut fields = fields;
    fields.all(queued) && any
}

/// Whether a step calls a source within this process.
pub(crate) fn asks_here(graph: &Supergraph, steps: &[Step]) -> bool {
    let mut sources = steps
        .iter()
        .map(|step| graph.resolver(step.resolver).source);
    sources.any(|source| graph.source(source).kind.is_local())
}

/// How much of some steps is queued.
pub(crate) fn of(graph: &Supergraph, steps: &[Step]) -> Queued {
    let queued = |step: &&Step| graph.resolver(step.resolver).queue.is_some();
    match steps.iter().filter(queued).count() {
        0 => Queued::Nothing,
        some if some == steps.len() => Queued::All,
        _ => Queued::Some,
    }
}
