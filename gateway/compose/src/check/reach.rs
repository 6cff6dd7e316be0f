//! Everything that a client can reach, and what is known there.
//!
//! Owns the walk: a state is one object type with the views that may be known
//! of it, below a list or not. Every state is visited once, by the shortest
//! way, so the walk ends on recursive types and its size is bounded by the
//! sets of views that occur.

use std::collections::HashMap;
use std::collections::VecDeque;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;

use super::Graph;
use crate::model::FieldPath;
use crate::model::Resolver;
use crate::model::ResolverId;
use crate::model::Target;
use crate::model::ViewField;
use crate::model::ViewId;

/// More states than this are not walked: a graph so entangled has been walked enough.
const MOST_STATES: usize = 100_000;

/// One object type at one place of a response.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) ty: Name,
    /// What is known of the object before any further call.
    pub(super) known: Vec<ViewId>,
    /// Calls that can be made for it, nearest first, and what each brings.
    pub(super) calls: Vec<(ResolverId, Option<ViewId>)>,
    /// Whether there can be many of it.
    pub(super) in_list: bool,
    /// The field that it was reached by, and from which state.
    from: Option<(usize, Name)>,
    /// The root field that the way begins with.
    root: Name,
}

/// The walk's result.
#[derive(Debug, Default)]
pub(super) struct Reached {
    states: Vec<State>,
}

impl Reached {
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// The shortest query that reaches a field of a state: `query { posts { user { score } } }`.
    pub(super) fn query(&self, state: &State, field: &str) -> String {
        let mut path = vec![field.to_owned()];
        let mut at = state;
        while let Some((before, name)) = &at.from {
            path.push(name.to_string());
            at = &self.states[*before];
        }
        path.push(at.root.to_string());
        path.reverse();
        let closing = " }".repeat(path.len());
        format!("query {{ {}{closing}", path.join(" { "))
    }

    /// The last list on the way to a state, for messages.
    pub(super) fn list(&self, state: &State) -> String {
        let mut at = state;
        while let Some((before, name)) = &at.from {
            if !self.states[*before].in_list {
                return name.to_string();
            }
            at = &self.states[*before];
        }
        at.root.to_string()
    }
}

/// Walks the graph from every root field.
pub(super) fn walk(graph: &Graph<'_>) -> Reached {
    let mut walk = Walk {
        graph,
        reached: Reached::default(),
        seen: HashMap::new(),
        queue: VecDeque::new(),
    };
    for resolver in &graph.lowered.resolvers {
        if let Target::Root { field, .. } = &resolver.target {
            walk.reply(resolver, false, None, field);
        }
    }
    while let Some(next) = walk.queue.pop_front() {
        walk.visit(next);
    }
    walk.reached
}

struct Walk<'w, 'g> {
    graph: &'w Graph<'g>,
    reached: Reached,
    seen: HashMap<(Name, Vec<ViewId>, bool), usize>,
    queue: VecDeque<usize>,
}

impl Walk<'_, '_> {
    /// The objects of a resolver's reply.
    fn reply(
        &mut self,
        resolver: &Resolver,
        in_list: bool,
        from: Option<(usize, Name)>,
        root: &Name,
    ) {
        let reply = &resolver.reply;
        let (value, many) = match &reply.connection {
            Some(connection) => (&connection.node, true),
            None => (&reply.value, reply.ty.is_list()),
        };
        if let Some(view) = value.view {
            let objects = object_views(self.graph, view);
            for (ty, view) in objects {
                self.add(ty, vec![view], in_list || many, from.clone(), root);
            }
        }
    }

    fn visit(&mut self, index: usize) {
        let state = self.reached.states[index].clone();
        let mut children: HashMap<Name, (Vec<ViewId>, bool)> = HashMap::new();
        for view in state
            .known
            .iter()
            .chain(state.calls.iter().filter_map(|c| c.1.as_ref()))
        {
            for (name, field) in &self.graph.lowered.views[view.index()].fields {
                if let Some(child) = field.view {
                    let entry = children.entry(name.clone()).or_default();
                    entry.0.push(child);
                    entry.1 |= is_list(field);
                }
            }
        }
        let mut children: Vec<_> = children.into_iter().collect();
        children.sort_by(|left, right| left.0.cmp(&right.0));
        for (name, (views, many)) in children {
            self.children(index, &state, &name, &views, many);
        }
        for (resolver, _) in &state.calls {
            let resolver = &self.graph.lowered.resolvers[resolver.index()];
            if let Target::Field { field, .. } = &resolver.target {
                let from = Some((index, field.clone()));
                self.reply(resolver, state.in_list, from, &state.root);
            }
        }
    }

    fn children(&mut self, index: usize, state: &State, name: &Name, views: &[ViewId], many: bool) {
        let mut by_type: Vec<(Name, Vec<ViewId>)> = Vec::new();
        for (ty, view) in views
            .iter()
            .flat_map(|view| object_views(self.graph, *view))
        {
            match by_type.iter_mut().find(|(known, _)| *known == ty) {
                Some((_, views)) => views.push(view),
                None => by_type.push((ty, vec![view])),
            }
        }
        for (ty, views) in by_type {
            let from = Some((index, name.clone()));
            self.add(ty, views, state.in_list || many, from, &state.root);
        }
    }

    fn add(
        &mut self,
        ty: Name,
        mut known: Vec<ViewId>,
        in_list: bool,
        from: Option<(usize, Name)>,
        root: &Name,
    ) {
        known.sort();
        known.dedup();
        let key = (ty.clone(), known.clone(), in_list);
        if self.seen.contains_key(&key) || self.reached.states.len() >= MOST_STATES {
            return;
        }
        let calls = calls(self.graph, &ty, &known);
        let index = self.reached.states.len();
        self.reached.states.push(State {
            ty,
            known,
            calls,
            in_list,
            from,
            root: root.clone(),
        });
        self.seen.insert(key, index);
        self.queue.push_back(index);
    }
}

/// Every call that can be made for an object, given what is known of it.
fn calls(graph: &Graph<'_>, ty: &Name, known: &[ViewId]) -> Vec<(ResolverId, Option<ViewId>)> {
    let mut open = resolvers_of(graph, ty);
    let mut calls: Vec<(ResolverId, Option<ViewId>)> = Vec::new();
    loop {
        let before = calls.len();
        open.retain(|(resolver, view)| {
            let available = resolver.inputs.iter().all(|input| {
                known.iter().any(|view| has_path(graph, *view, input))
                    || calls.iter().any(|call| brings(graph, call, input))
            });
            if available {
                calls.push((resolver.id, *view));
            }
            !available
        });
        if calls.len() == before {
            return calls;
        }
    }
}

fn brings(graph: &Graph<'_>, call: &(ResolverId, Option<ViewId>), path: &FieldPath) -> bool {
    if call.1.is_some_and(|view| has_path(graph, view, path)) {
        return true;
    }
    let target = &graph.lowered.resolvers[call.0.index()].target;
    matches!(target, Target::Field { field, .. } if path.len() == 1 && path[0] == *field)
}

/// The resolvers of an object type, of its interfaces, and of their fields.
fn resolvers_of<'g>(graph: &Graph<'g>, ty: &Name) -> Vec<(&'g Resolver, Option<ViewId>)> {
    let names = names_of(graph, ty);
    let resolvers = graph.lowered.resolvers.iter();
    resolvers
        .filter_map(|resolver| match &resolver.target {
            Target::Entity { ty: of, .. } if names.contains(&of) => {
                let views = object_views(graph, resolver.reply.value.view?);
                let (_, view) = views.into_iter().find(|(name, _)| name == ty)?;
                Some((resolver, Some(view)))
            }
            Target::Field { ty: of, .. } if names.contains(&of) => Some((resolver, None)),
            _ => None,
        })
        .collect()
}

/// A type and the interfaces that it implements.
fn names_of<'g>(graph: &Graph<'g>, ty: &Name) -> Vec<&'g Name> {
    let types = graph.types.values();
    types
        .filter(|def| def.name == *ty || def.possible_types.contains(ty))
        .map(|def| &def.name)
        .collect()
}

fn is_list(field: &ViewField) -> bool {
    matches!(field.ty, Type::List(_) | Type::NonNullList(_))
}

/// The object types of a view, each with its own view.
pub(super) fn object_views(graph: &Graph<'_>, view: ViewId) -> Vec<(Name, ViewId)> {
    let known = &graph.lowered.views[view.index()];
    match known.variants.is_empty() {
        true => vec![(known.ty.clone(), view)],
        false => known
            .variants
            .iter()
            .map(|v| (v.ty.clone(), v.view))
            .collect(),
    }
}

/// Whether a view carries a leaf path.
pub(super) fn has_path(graph: &Graph<'_>, view: ViewId, path: &[Name]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let field = graph.lowered.views[view.index()].fields.get(first);
    field.is_some_and(|field| {
        rest.is_empty() || field.view.is_some_and(|child| has_path(graph, child, rest))
    })
}
