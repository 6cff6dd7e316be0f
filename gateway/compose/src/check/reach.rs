//! Everything that a client can reach, and what is known there.
//!
//! Owns the walk: a state is one object type with the views that may be known
//! of it, below a list or not. Every state is visited once, by the shortest
//! way, so the walk ends on recursive types and its size is bounded by the
//! sets of views that occur.

use std::collections::{HashSet, VecDeque};

use apollo_compiler::Name;
use indexmap::IndexMap;

use super::{Graph, list_size};
use crate::model::{Resolver, ResolverId, Target, ViewField, ViewId, paths_of};

/// More states than this are not walked: a graph so entangled has been walked enough.
const MOST_STATES: usize = 100_000;

/// A call that can be made for an object, and the view of it that the call brings.
pub(super) type Called = (ResolverId, Option<ViewId>);

/// One object type at one place of a response.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) ty: Name,
    /// What is known of the object before any further call.
    pub(super) known: Vec<ViewId>,
    /// What other subgraphs' root fields of the same name answer at the same place.
    pub(super) twins: Vec<ViewId>,
    /// Calls that can be made for it, nearest first, and what each brings of it.
    pub(super) calls: Vec<Called>,
    /// The nearest list above it, where there can be many of it.
    pub(super) list: Option<List>,
    /// How it was reached.
    way: Way,
}

/// A list on the way to a state.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// The field that holds it.
    pub(super) field: String,
    /// How long it can be, where the schema says so.
    pub(super) size: Option<u32>,
}

/// How a state was reached.
#[derive(Debug, Clone)]
struct Way {
    /// The state before; none for what a root field returns.
    from: Option<usize>,
    /// What a query says between the two: `query`, `user`, `... on Admin`.
    words: Vec<String>,
}

/// The walk's result.
#[derive(Debug, Default)]
pub(super) struct Reached {
    states: Vec<State>,
}

impl State {
    /// Whether a call says which of an interface's objects it is: these are states of their own.
    pub(super) fn is_told_apart(&self, graph: &Graph<'_>) -> bool {
        let mut called = self.calls.iter().filter_map(|call| call.1);
        called.any(|view| !graph.view(view).variants.is_empty())
    }

    /// The fields that are read there without anything being sent for them.
    pub(super) fn given<'g>(&self, graph: &Graph<'g>) -> HashSet<&'g Name> {
        let called = self.calls.iter().filter_map(|(_, view)| view.as_ref());
        let views = self.known.iter().chain(&self.twins).chain(called);
        let fields = views.flat_map(|view| &graph.view(*view).fields);
        let plain = fields.filter(|(_, field)| field.requires.is_none());
        plain.map(|(name, _)| name).collect()
    }

    /// Whether a path below the object can be had there.
    pub(super) fn has(&self, graph: &Graph<'_>, path: &[Name]) -> bool {
        let had = Had {
            graph,
            known: &self.known,
            calls: &self.calls,
            deep: false,
        };
        let from_twin = |view: &ViewId| has_path(graph, *view, path);
        had.path(path) || self.twins.iter().any(from_twin)
    }
}

impl Reached {
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// The shortest query that reaches a field of a state: `query { posts { user { score } } }`.
    pub(super) fn query(&self, state: &State, field: &str) -> String {
        let mut words = vec![field];
        let mut at = Some(state);
        while let Some(state) = at {
            words.extend(state.way.words.iter().rev().map(String::as_str));
            at = state.way.from.map(|before| &self.states[before]);
        }
        words.reverse();
        let closing = " }".repeat(words.len() - 1);
        format!("{}{closing}", words.join(" { "))
    }
}

/// Walks the graph from every root field.
pub(super) fn walk(graph: &Graph<'_>) -> Reached {
    let mut walk = Walk {
        graph,
        reached: Reached::default(),
        seen: HashSet::new(),
        queue: VecDeque::new(),
    };
    for resolver in graph.root_resolvers() {
        if let Target::Root { ty, .. } = &resolver.target {
            let way = Way {
                from: None,
                words: vec![ty.to_lowercase()],
            };
            walk.reply(resolver, None, way, &twins(graph, resolver));
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
    seen: HashSet<(Name, Vec<ViewId>, Vec<ViewId>, bool)>,
    queue: VecDeque<usize>,
}

impl Walk<'_, '_> {
    /// The objects of a field's own reply.
    fn reply(&mut self, resolver: &Resolver, above: Option<List>, mut way: Way, twins: &[ViewId]) {
        let (Target::Root { ty, field, .. } | Target::Field { ty, field }) = &resolver.target
        else {
            return;
        };
        let reply = &resolver.reply;
        way.words.push(field.to_string());
        let mut value = &reply.value;
        let mut many = reply.ty.is_list();
        if let Some(connection) = &reply.connection {
            value = &connection.node;
            many = true;
            let nodes = if connection.has_nodes {
                &["nodes"][..]
            } else {
                &["edges", "node"]
            };
            way.words
                .extend(nodes.iter().map(|word| (*word).to_owned()));
        }
        let list = || List {
            field: field.to_string(),
            size: list_size::of(self.graph, resolver.subgraph, ty, field),
        };
        let list = if many { Some(list()) } else { above };
        if let Some(view) = value.view {
            let views = Views {
                known: &[view],
                twins,
            };
            self.objects(value.ty.inner_named_type(), views, list, &way);
        }
    }

    fn visit(&mut self, index: usize) {
        let state = self.reached.states[index].clone();
        let mut children: IndexMap<Name, Child> = IndexMap::new();
        let called = state.calls.iter().filter_map(|call| call.1.as_ref());
        for view in state.known.iter().chain(called) {
            for (name, field) in &self.graph.view(*view).fields {
                if let Some(child) = field.view {
                    children
                        .entry(name.clone())
                        .or_insert_with(|| Child::of(field))
                        .known
                        .push(child);
                }
            }
        }
        for view in &state.twins {
            for (name, field) in &self.graph.view(*view).fields {
                let Some(child) = field.view else { continue };
                let at = children.entry(name.clone());
                let at = at.or_insert_with(|| Child::of(field));
                // What only a twin has is read from its reply.
                match at.known.is_empty() {
                    true => at.known.push(child),
                    false => at.twins.push(child),
                }
            }
        }
        for (name, child) in children {
            self.child(index, &state, &name, &child);
        }
        for view in self.told_apart(&state) {
            let way = Way {
                from: Some(index),
                words: Vec::new(),
            };
            let views = Views {
                known: &[view],
                twins: &[],
            };
            self.objects(&state.ty, views, state.list.clone(), &way);
        }
        for (resolver, _) in &state.calls {
            let resolver = &self.graph.lowered.resolvers[resolver.index()];
            let way = Way {
                from: Some(index),
                words: Vec::new(),
            };
            self.reply(resolver, state.list.clone(), way, &[]);
        }
    }

    /// What says of an interface that is seen as an object type which objects they are.
    fn told_apart(&self, state: &State) -> Vec<ViewId> {
        let called = state.calls.iter().filter_map(|call| call.1);
        let is_abstract = |view: &ViewId| !self.graph.view(*view).variants.is_empty();
        called.filter(is_abstract).collect()
    }

    fn child(&mut self, index: usize, state: &State, name: &Name, child: &Child) {
        let list = || List {
            field: name.to_string(),
            size: None,
        };
        let list = if child.field.ty.is_list() {
            Some(list())
        } else {
            state.list.clone()
        };
        let way = Way {
            from: Some(index),
            words: vec![name.to_string()],
        };
        let views = Views {
            known: &child.known,
            twins: &child.twins,
        };
        self.objects(child.field.ty.inner_named_type(), views, list, &way);
    }

    /// Each object type that a value of a declared type can have, with all that is known of it.
    fn objects(&mut self, declared: &Name, views: Views<'_>, list: Option<List>, way: &Way) {
        let mut by_type: IndexMap<Name, Vec<ViewId>> = IndexMap::new();
        for (ty, view) in views
            .known
            .iter()
            .flat_map(|view| object_views(self.graph, *view))
        {
            by_type.entry(ty).or_default().push(view);
        }
        for (ty, known) in by_type {
            let mut way = way.clone();
            if ty != *declared {
                way.words.push(format!("... on {ty}"));
            }
            let twins = views.twins.iter();
            let twins = twins.flat_map(|view| object_views(self.graph, *view));
            let twins = twins.filter(|(name, _)| *name == ty).map(|(_, view)| view);
            let twins = twins.collect();
            self.add(ty, known, twins, list.clone(), way);
        }
    }

    fn add(
        &mut self,
        ty: Name,
        mut known: Vec<ViewId>,
        mut twins: Vec<ViewId>,
        list: Option<List>,
        way: Way,
    ) {
        for views in [&mut known, &mut twins] {
            views.sort();
            views.dedup();
        }
        let key = (ty.clone(), known.clone(), twins.clone(), list.is_some());
        if self.reached.states.len() >= MOST_STATES || !self.seen.insert(key) {
            return;
        }
        let calls = calls(self.graph, &ty, &known);
        self.queue.push_back(self.reached.states.len());
        self.reached.states.push(State {
            ty,
            known,
            twins,
            calls,
            list,
            way,
        });
    }
}

/// What is known of a value, and what others know of the same one.
#[derive(Clone, Copy)]
struct Views<'v> {
    known: &'v [ViewId],
    twins: &'v [ViewId],
}

/// A field of a state whose value has fields.
struct Child {
    field: ViewField,
    known: Vec<ViewId>,
    twins: Vec<ViewId>,
}

impl Child {
    fn of(field: &ViewField) -> Self {
        Self {
            field: field.clone(),
            known: Vec::new(),
            twins: Vec::new(),
        }
    }
}

/// What other subgraphs answer for the same field of Query.
fn twins(graph: &Graph<'_>, resolver: &Resolver) -> Vec<ViewId> {
    let Target::Root { ty, .. } = &resolver.target else {
        return Vec::new();
    };
    let others = graph.root_resolvers().filter(|other| {
        ty == "Query" && other.target == resolver.target && other.id != resolver.id
    });
    others.filter_map(|other| other.reply.value.view).collect()
}

/// Every call that can be made for an object, given what is known of it.
fn calls(graph: &Graph<'_>, ty: &Name, known: &[ViewId]) -> Vec<Called> {
    let mut open: Vec<_> = graph
        .resolvers_of(ty)
        .iter()
        .filter_map(|it| brought(graph, ty, it))
        .collect();
    let mut calls: Vec<Called> = Vec::new();
    loop {
        let before = calls.len();
        open.retain(|(resolver, view)| {
            let had = Had {
                graph,
                known,
                calls: &calls,
                deep: false,
            };
            let sent = resolver.sends.as_deref().map(paths_of).unwrap_or_default();
            let mut needed = resolver.inputs.iter().chain(&sent);
            let available = needed.all(|input| had.path(input));
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

/// What can be had of an object: what is known of it, and what calls bring.
#[derive(Clone, Copy)]
struct Had<'h, 'g> {
    graph: &'h Graph<'g>,
    known: &'h [ViewId],
    calls: &'h [Called],
    /// Whether further calls may be made for the objects below, as they may for what a field requires.
    deep: bool,
}

impl Had<'_, '_> {
    fn path(&self, path: &[Name]) -> bool {
        self.path_without(path, &mut Vec::new())
    }

    /// Whether a path can be had without the fields that themselves wait for it.
    fn path_without<'p>(&self, path: &'p [Name], waiting: &mut Vec<&'p Name>) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return true;
        };
        if waiting.contains(&first) {
            return false;
        }
        let read = self.views().any(|view| {
            let field = self.graph.view(view).fields.get(first);
            field.is_some_and(|field| {
                let below = || field.view.is_some_and(|it| has_path(self.graph, it, rest));
                (rest.is_empty() || below()) && self.is_given(field, first, waiting)
            })
        });
        read || self
            .calls
            .iter()
            .any(|call| answers(self.graph, call, path))
            || (self.deep && self.path_below(first, rest))
    }

    fn views(&self) -> impl Iterator<Item = ViewId> {
        let called = self.calls.iter().filter_map(|(_, view)| *view);
        self.known.iter().copied().chain(called)
    }

    /// Whether a path can be had of some object that a field gives, by calls for that object.
    fn path_below(&self, field: &Name, path: &[Name]) -> bool {
        let fields = self
            .views()
            .filter_map(|it| self.graph.view(it).fields.get(field)?.view);
        let mut by_type: IndexMap<Name, Vec<ViewId>> = IndexMap::new();
        for (ty, view) in fields.flat_map(|it| object_views(self.graph, it)) {
            by_type.entry(ty).or_default().push(view);
        }
        by_type.iter().any(|(ty, known)| {
            let had = Had {
                graph: self.graph,
                known,
                calls: &calls(self.graph, ty, known),
                deep: true,
            };
            had.path(path)
        })
    }

    /// Whether a service can be sent what it requires to answer a field.
    fn is_given(&self, field: &ViewField, name: &Name, waiting: &[&Name]) -> bool {
        let Some(required) = &field.requires else {
            return true;
        };
        let paths = paths_of(required);
        let mut waiting: Vec<&Name> = waiting.iter().copied().chain([name]).collect();
        let deep = Had {
            deep: true,
            ..*self
        };
        paths
            .iter()
            .all(|path| deep.path_without(path, &mut waiting))
    }
}

/// What a resolver brings of an object: a view of it, or a field with a reply of its own.
fn brought<'g>(
    graph: &Graph<'g>,
    ty: &Name,
    resolver: &'g Resolver,
) -> Option<(&'g Resolver, Option<ViewId>)> {
    if matches!(resolver.target, Target::Field { .. }) {
        return Some((resolver, None));
    }
    let view = resolver.reply.value.view?;
    let mut views = object_views(graph, view).into_iter();
    let same = views.find(|(name, _)| name == ty).map(|(_, view)| view);
    let known = graph.view(view);
    // An interface that one side or the other sees as an object type.
    let interface = || graph.types.get(&known.ty);
    let stands_in =
        || known.variants.is_empty() && interface().is_some_and(|def| def.is_interface_of(ty));
    let tells_apart = || !known.variants.is_empty() && known.ty == *ty;
    let view = same.or_else(|| (stands_in() || tells_apart()).then_some(view))?;
    Some((resolver, Some(view)))
}

/// Whether a call answers a field itself, and what is below it.
fn answers(graph: &Graph<'_>, call: &Called, path: &[Name]) -> bool {
    let resolver = &graph.lowered.resolvers[call.0.index()];
    let Target::Field { field, .. } = &resolver.target else {
        return false;
    };
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let below = || {
        resolver
            .reply
            .value
            .view
            .is_some_and(|view| has_path(graph, view, rest))
    };
    first == field && (rest.is_empty() || below())
}

/// The object types of a view, each with its own view.
pub(super) fn object_views(graph: &Graph<'_>, view: ViewId) -> Vec<(Name, ViewId)> {
    let known = graph.view(view);
    match known.variants.is_empty() {
        true => vec![(known.ty.clone(), view)],
        false => known
            .variants
            .iter()
            .map(|it| (it.ty.clone(), it.view))
            .collect(),
    }
}

/// Whether a view carries a leaf path.
pub(super) fn has_path(graph: &Graph<'_>, view: ViewId, path: &[Name]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let field = graph.view(view).fields.get(first);
    field.is_some_and(|field| {
        rest.is_empty() || field.view.is_some_and(|child| has_path(graph, child, rest))
    })
}
