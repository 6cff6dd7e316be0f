//! Which further calls can bring what an object still lacks.
//!
//! Owns the search at one object: the calls that are reachable from what is
//! known, and the best set of them: fewest sequential steps first, then fewest
//! calls. Pure arithmetic over views; builds nothing.

use apollo_compiler::Name;
use compose::Supergraph;
use compose::model::FieldPath;
use compose::model::Resolver;
use compose::model::ResolverId;
use compose::model::Target;
use compose::model::ViewId;
use compose::model::paths_of;

use crate::search::budget::Budget;

/// More candidates than this are not searched exhaustively.
const EXHAUSTIVE: usize = 10;

/// A call that brings fields of an object.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) resolver: ResolverId,
    gives: Gives,
    /// Sequential calls from the object until this one has answered.
    depth: usize,
    /// Candidates (by index) that bring its inputs; none where they are known already.
    needs: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Gives {
    /// What the entity's key is enough for.
    View(ViewId),
    /// One field that requires other fields of the entity to be sent.
    Requiring(ViewId, Name),
    Field(Name),
}

/// Candidates of one resolver that are one call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) resolver: ResolverId,
    /// The view that it brings; none where it is a field's own call.
    pub(crate) view: Option<ViewId>,
    /// The fields for which others of the entity are sent.
    pub(crate) requiring: Vec<Name>,
    /// Which candidates it stands for.
    pub(crate) members: Vec<usize>,
    depth: usize,
}

/// Something that is known of an object, and after how many sequential calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) view: ViewId,
    pub(crate) depth: usize,
}

/// Every call that can be made for an object of type `ty`, nearest first.
pub(crate) fn reachable(graph: &Supergraph, ty: &str, known: &[Known]) -> Vec<Candidate> {
    let all = resolvers_of(graph, ty);
    let mut reached: Vec<Candidate> = Vec::new();
    let base = known.iter().map(|k| k.depth).max().unwrap_or(0);
    for depth in base + 1..=base + 1 + all.len() {
        let found: Vec<Candidate> = all
            .iter()
            .filter(|(resolver, gives)| reached.iter().all(|c| !c.is(resolver, gives)))
            .filter_map(|(resolver, gives)| {
                let needs = needs_of(graph, resolver, gives, known, &reached)?;
                Some(Candidate {
                    resolver: resolver.id,
                    gives: gives.clone(),
                    depth,
                    needs,
                })
            })
            .collect();
        if found.is_empty() {
            break;
        }
        reached.extend(found);
    }
    reached
}

/// Entity resolvers of the type and of its interfaces, and fields with a resolver of their own that can serve as inputs.
fn resolvers_of<'g>(graph: &'g Supergraph, ty: &str) -> Vec<(&'g Resolver, Gives)> {
    let mut all = Vec::new();
    for resolver in entity_resolvers(graph, ty) {
        if let Some(view) = entity_view(graph, resolver, ty) {
            all.push((resolver, Gives::View(view)));
            let fields = graph.view(view).fields.iter();
            let requiring = fields.filter(|(_, field)| field.requires.is_some());
            all.extend(requiring.map(|(name, _)| (resolver, Gives::Requiring(view, name.clone()))));
        }
    }
    let fields = graph.type_def(ty).into_iter().flat_map(|def| &def.fields);
    for (name, field) in fields.filter(|(_, field)| !field.resolvers.is_empty()) {
        for id in &field.resolvers {
            let resolver = graph.resolver(*id);
            if matches!(resolver.target, Target::Field { .. }) {
                all.push((resolver, Gives::Field(name.clone())));
            }
        }
    }
    all
}

/// Resolvers of an entity by its key: of the type, or of an interface that it implements. Where a
/// key has a batch and a single resolver, the batch stands for both.
pub(crate) fn entity_resolvers<'g>(
    graph: &'g Supergraph,
    ty: &str,
) -> impl Iterator<Item = &'g Resolver> {
    let interfaces = graph
        .api()
        .get_object(ty)
        .into_iter()
        .flat_map(|object| object.implements_interfaces.iter().map(|i| i.as_str()));
    std::iter::once(ty)
        .chain(interfaces)
        .filter_map(|name| graph.type_def(name))
        .flat_map(|def| &def.entity_resolvers)
        .map(|id| graph.resolver(*id))
        .filter(|resolver| resolver.batch.is_some() || batch_twin(graph, resolver).is_none())
        .collect::<Vec<_>>()
        .into_iter()
}

fn batch_twin<'g>(graph: &'g Supergraph, single: &Resolver) -> Option<&'g Resolver> {
    twins(graph, single).find(|other| other.batch.is_some())
}

/// The resolver for one parent alone beside a batch.
pub(crate) fn single_twin<'g>(graph: &'g Supergraph, batch: &Resolver) -> Option<&'g Resolver> {
    twins(graph, batch).find(|other| other.batch.is_none())
}

fn twins<'g>(graph: &'g Supergraph, of: &Resolver) -> impl Iterator<Item = &'g Resolver> {
    let (target, id, subgraph) = (of.target.clone(), of.id, of.subgraph);
    let ids = match &of.target {
        Target::Entity { ty, .. } => graph
            .type_def(ty)
            .map(|def| def.entity_resolvers.as_slice()),
        _ => None,
    };
    ids.unwrap_or_default()
        .iter()
        .map(|id| graph.resolver(*id))
        .filter(move |r| r.target == target && r.id != id && r.subgraph == subgraph)
}

/// What an entity resolver's reply knows of the object type `ty`.
pub(crate) fn entity_view(graph: &Supergraph, resolver: &Resolver, ty: &str) -> Option<ViewId> {
    let view = resolver.reply.value.view?;
    let known = graph.view(view);
    if known.variants.is_empty() {
        return (known.ty == ty || is_one_of(graph, ty, &known.ty)).then_some(view);
    }
    let variant = known.variants.iter().find(|variant| variant.ty == ty)?;
    Some(variant.view)
}

/// Whether an object type is one of an interface's: a subgraph may see that as an object type.
pub(crate) fn is_one_of(graph: &Supergraph, ty: &str, interface: &str) -> bool {
    let def = graph.type_def(interface);
    def.is_some_and(|def| def.is_interface_of(ty))
}

/// The candidates that bring the inputs which are not known; `None` where one cannot be had yet.
fn needs_of(
    graph: &Supergraph,
    resolver: &Resolver,
    gives: &Gives,
    known: &[Known],
    reached: &[Candidate],
) -> Option<Vec<usize>> {
    let mut needs = Vec::new();
    let mut required = required(graph, gives);
    required.extend(
        resolver
            .sends
            .as_deref()
            .map(paths_of)
            .into_iter()
            .flatten(),
    );
    // Of what is sent as a whole, the rest may come from further calls below its first field.
    let required = required.iter().map(|path| (path, 1));
    let inputs = resolver.inputs.iter().map(|path| (path, path.len()));
    for (path, least) in inputs.chain(required) {
        let ways = [&path[..], &path[..least]];
        let is_known = |way: &&[Name]| known.iter().any(|k| has_path(graph, k.view, way));
        if ways.iter().any(is_known) {
            continue;
        }
        let giver = |way: &&[Name]| reached.iter().position(|c| c.gives_path(graph, way));
        let giver = ways.iter().find_map(giver)?;
        if !needs.contains(&giver) {
            needs.push(giver);
        }
    }
    Some(needs)
}

/// The paths of what is sent beside the key.
fn required(graph: &Supergraph, gives: &Gives) -> Vec<FieldPath> {
    let Gives::Requiring(view, name) = gives else {
        return Vec::new();
    };
    let field = graph.view(*view).fields.get(name);
    let set = field.and_then(|field| field.requires.as_deref());
    set.map(paths_of).unwrap_or_default()
}

impl Candidate {
    fn is(&self, resolver: &Resolver, gives: &Gives) -> bool {
        let same = match (&self.gives, gives) {
            (Gives::Requiring(_, one), Gives::Requiring(_, other)) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        };
        same && self.resolver == resolver.id
    }

    fn gives_path(&self, graph: &Supergraph, path: &[Name]) -> bool {
        match &self.gives {
            Gives::View(view) => has_path(graph, *view, path),
            Gives::Requiring(_, name) | Gives::Field(name) => path.len() == 1 && path[0] == *name,
        }
    }

    /// The view that it brings a field of this name in.
    pub(crate) fn view_with(&self, graph: &Supergraph, name: &str) -> Option<ViewId> {
        let (view, requiring) = match &self.gives {
            Gives::View(view) => (*view, false),
            Gives::Requiring(view, own) if own == name => (*view, true),
            _ => return None,
        };
        let field = graph.view(view).fields.get(name)?;
        (field.requires.is_some() == requiring).then_some(view)
    }

    /// The view that it brings.
    pub(crate) fn view(&self) -> Option<ViewId> {
        match &self.gives {
            Gives::View(view) | Gives::Requiring(view, _) => Some(*view),
            Gives::Field(_) => None,
        }
    }

    /// Whether it brings this one field by itself.
    pub(crate) fn brings_input(&self, graph: &Supergraph, path: &FieldPath) -> bool {
        self.gives_path(graph, path)
    }
}

/// Whether a view carries a leaf path without anything being sent for it.
pub(crate) fn has_path(graph: &Supergraph, view: ViewId, path: &[Name]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match graph.view(view).fields.get(first) {
        None => false,
        Some(field) if field.requires.is_some() => false,
        Some(_) if rest.is_empty() => true,
        Some(field) => field.view.is_some_and(|child| has_path(graph, child, rest)),
    }
}

/// The best calls that bring every need, in the order in which they can be made.
///
/// `table[candidate][need]` says whether a candidate brings a need.
/// Needs that no candidate brings are left out of the account.
pub(crate) fn choose(
    candidates: &[Candidate],
    table: &[Vec<bool>],
    budget: &mut Budget,
    total_budget: usize,
) -> Vec<Call> {
    let needs = table.first().map_or(0, Vec::len);
    let useful: Vec<usize> = (0..candidates.len())
        .filter(|c| table[*c].contains(&true))
        .collect();
    if useful.len() > EXHAUSTIVE || !budget.allows_search(total_budget) {
        let set = greedy(candidates, table, &useful, needs);
        return calls(candidates, &set);
    }
    let wanted: Vec<usize> = (0..needs)
        .filter(|need| useful.iter().any(|c| table[*c][*need]))
        .collect();
    let mut best: Option<((usize, usize), Vec<Call>)> = None;
    for mask in 0_u32..1 << useful.len() {
        budget.spend(1);
        let set: Vec<usize> = bits(mask).map(|bit| useful[bit]).collect();
        let covers = |need: &usize| set.iter().any(|c| table[*c][*need]);
        if !wanted.iter().all(covers) {
            continue;
        }
        let calls = calls(candidates, &set);
        let depth = calls.last().map_or(0, |call| call.depth);
        let cost = (depth, calls.len());
        if best.as_ref().is_none_or(|(known, _)| cost < *known) {
            best = Some((cost, calls));
        }
    }
    best.map(|(_, calls)| calls).unwrap_or_default()
}

/// The calls of a set with everything it needs, providers before users. What nobody waits for is
/// brought by the last call of its resolver.
pub(crate) fn calls(candidates: &[Candidate], set: &[usize]) -> Vec<Call> {
    let closed = close(candidates, set);
    let mut calls: Vec<Call> = Vec::new();
    for index in &closed {
        let candidate = &candidates[*index];
        let same = closed
            .iter()
            .map(|other| &candidates[*other])
            .filter(|other| other.resolver == candidate.resolver);
        let is_needed = |other: &usize| candidates[*other].needs.contains(index);
        let depth = match closed.iter().any(is_needed) {
            true => candidate.depth,
            false => same.map(|other| other.depth).max().unwrap_or(0),
        };
        let joins = |call: &&mut Call| call.resolver == candidate.resolver && call.depth == depth;
        match calls.iter_mut().find(joins) {
            Some(call) => call.add(*index, candidate),
            None => {
                let mut call = Call {
                    resolver: candidate.resolver,
                    view: candidate.view(),
                    requiring: Vec::new(),
                    members: Vec::new(),
                    depth,
                };
                call.add(*index, candidate);
                calls.push(call);
            }
        }
    }
    calls.sort_by_key(|call| (call.depth, call.members[0]));
    calls
}

impl Call {
    fn add(&mut self, index: usize, candidate: &Candidate) {
        self.members.push(index);
        if let Gives::Requiring(_, field) = &candidate.gives {
            self.requiring.push(field.clone());
        }
    }
}

fn bits(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |bit| mask & (1 << bit) != 0)
}

fn greedy(
    candidates: &[Candidate],
    table: &[Vec<bool>],
    useful: &[usize],
    needs: usize,
) -> Vec<usize> {
    let mut open: Vec<usize> = (0..needs).collect();
    let mut chosen = Vec::new();
    loop {
        let gain = |c: &usize| open.iter().filter(|need| table[*c][**need]).count();
        let best = useful
            .iter()
            .filter(|c| gain(c) > 0)
            .max_by_key(|c| (gain(c), std::cmp::Reverse(candidates[**c].depth)));
        let Some(best) = best else {
            return chosen;
        };
        chosen.push(*best);
        open.retain(|need| !table[*best][*need]);
    }
}

/// The set with everything it needs, providers before users.
fn close(candidates: &[Candidate], set: &[usize]) -> Vec<usize> {
    let mut closed = Vec::new();
    let mut open: Vec<usize> = set.to_vec();
    while let Some(next) = open.pop() {
        if !closed.contains(&next) {
            closed.push(next);
            open.extend(&candidates[next].needs);
        }
    }
    closed.sort_by_key(|c| (candidates[*c].depth, *c));
    closed
}
