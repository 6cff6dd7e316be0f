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
    View(ViewId),
    Field(Name),
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
            .filter(|(resolver, _)| reached.iter().all(|c| c.resolver != resolver.id))
            .filter_map(|(resolver, gives)| {
                let needs = needs_of(graph, resolver, known, &reached)?;
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
        }
    }
    let fields = graph.type_def(ty).into_iter().flat_map(|def| &def.fields);
    for (name, field) in fields.filter(|(_, field)| !field.resolvers.is_empty()) {
        for id in &field.resolvers {
            let resolver = graph.resolver(*id);
            if matches!(resolver.target, Target::Field { .. })
                && resolver.reply.value.view.is_none()
            {
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
        return (known.ty == ty).then_some(view);
    }
    let variant = known.variants.iter().find(|variant| variant.ty == ty)?;
    Some(variant.view)
}

/// The candidates that bring the inputs which are not known; `None` where one cannot be had yet.
fn needs_of(
    graph: &Supergraph,
    resolver: &Resolver,
    known: &[Known],
    reached: &[Candidate],
) -> Option<Vec<usize>> {
    let mut needs = Vec::new();
    for input in &resolver.inputs {
        if known.iter().any(|k| has_path(graph, k.view, input)) {
            continue;
        }
        let giver = reached.iter().position(|c| c.gives_path(graph, input))?;
        if !needs.contains(&giver) {
            needs.push(giver);
        }
    }
    Some(needs)
}

impl Candidate {
    fn gives_path(&self, graph: &Supergraph, path: &FieldPath) -> bool {
        match &self.gives {
            Gives::View(view) => has_path(graph, *view, path),
            Gives::Field(name) => path.len() == 1 && path[0] == *name,
        }
    }

    /// The view that it brings.
    pub(crate) fn view(&self) -> Option<ViewId> {
        match &self.gives {
            Gives::View(view) => Some(*view),
            Gives::Field(_) => None,
        }
    }

    /// Whether it brings this one field by itself.
    pub(crate) fn brings_input(&self, graph: &Supergraph, path: &FieldPath) -> bool {
        self.gives_path(graph, path)
    }
}

/// Whether a view carries a leaf path.
pub(crate) fn has_path(graph: &Supergraph, view: ViewId, path: &[Name]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match graph.view(view).fields.get(first) {
        None => false,
        Some(_) if rest.is_empty() => true,
        Some(field) => field.view.is_some_and(|child| has_path(graph, child, rest)),
    }
}

/// The best set of candidates that brings every need, in the order in which they can be made.
///
/// `brings(candidate, need)` says whether a candidate brings a need.
/// Needs that no candidate brings are left out of the account.
pub(crate) fn choose(
    candidates: &[Candidate],
    needs: usize,
    brings: &mut dyn FnMut(&Candidate, usize) -> bool,
    budget: &mut Budget,
    total_budget: usize,
) -> Vec<usize> {
    let table: Vec<Vec<bool>> = candidates
        .iter()
        .map(|candidate| (0..needs).map(|need| brings(candidate, need)).collect())
        .collect();
    let useful: Vec<usize> = (0..candidates.len())
        .filter(|c| table[*c].contains(&true))
        .collect();
    if useful.len() > EXHAUSTIVE || !budget.allows_search(total_budget) {
        return close(candidates, &greedy(candidates, &table, &useful, needs));
    }
    let wanted: Vec<usize> = (0..needs)
        .filter(|need| useful.iter().any(|c| table[*c][*need]))
        .collect();
    let mut best: Option<((usize, usize), Vec<usize>)> = None;
    for mask in 0_u32..1 << useful.len() {
        budget.spend(1);
        let set: Vec<usize> = bits(mask).map(|bit| useful[bit]).collect();
        let covers = |need: &usize| set.iter().any(|c| table[*c][*need]);
        if !wanted.iter().all(covers) {
            continue;
        }
        let closed = close(candidates, &set);
        let depth = closed.iter().map(|c| candidates[*c].depth).max();
        let cost = (depth.unwrap_or(0), closed.len());
        if best.as_ref().is_none_or(|(known, _)| cost < *known) {
            best = Some((cost, closed));
        }
    }
    best.map(|(_, set)| set).unwrap_or_default()
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
pub(crate) fn close(candidates: &[Candidate], set: &[usize]) -> Vec<usize> {
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
