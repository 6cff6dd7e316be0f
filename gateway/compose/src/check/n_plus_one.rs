//! N_PLUS_ONE: a call that would be made once per item of a list.

use super::Graph;
use super::reach::Reached;
use super::reach::State;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Diagnostics;
use crate::model::Resolver;
use crate::model::ResolverId;
use crate::model::Target;
use crate::model::ViewId;

/// Reports each call of a state below a list that neither batches nor says how many calls are accepted.
pub(super) fn check(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    diagnostics: &mut Diagnostics,
) {
    if !state.in_list {
        return;
    }
    for (id, view) in &state.calls {
        let resolver = &graph.lowered.resolvers[id.index()];
        if is_bounded(graph, resolver) {
            continue;
        }
        if let Some(field) = needed_for(graph, state, resolver, *view) {
            report(graph, reached, state, *id, &field, diagnostics);
        }
    }
}

/// One call for all parents, an accepted number of calls, or the same call for every parent.
fn is_bounded(graph: &Graph<'_>, resolver: &Resolver) -> bool {
    resolver.batch.is_some()
        || resolver.policy.fanout.is_some()
        || resolver.inputs.is_empty()
        || has_batch_twin(graph, resolver)
}

/// The plan holds both and the executor takes the batch for many.
fn has_batch_twin(graph: &Graph<'_>, resolver: &Resolver) -> bool {
    let mut others = graph.lowered.resolvers.iter();
    let is_entity = matches!(resolver.target, Target::Entity { .. });
    is_entity && others.any(|other| other.target == resolver.target && other.batch.is_some())
}

/// A field that makes the call necessary; none where everything that it brings is known already.
fn needed_for(
    graph: &Graph<'_>,
    state: &State,
    resolver: &Resolver,
    view: Option<ViewId>,
) -> Option<String> {
    if let Target::Field { field, .. } = &resolver.target {
        return Some(field.to_string());
    }
    let known = |name: &str| {
        let own = state.known.iter();
        let batched = state.calls.iter().filter_map(|(id, view)| {
            let resolver = &graph.lowered.resolvers[id.index()];
            is_bounded(graph, resolver)
                .then_some(view.as_ref())
                .flatten()
        });
        own.chain(batched)
            .any(|view| graph.lowered.views[view.index()].fields.contains_key(name))
    };
    let fields = &graph.lowered.views[view?.index()].fields;
    let missing = fields.keys().find(|name| !known(name));
    missing.map(|name| name.to_string())
}

fn report(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    id: ResolverId,
    field: &str,
    diagnostics: &mut Diagnostics,
) {
    let origin = &graph.lowered.origins[id.index()];
    let places = &graph.documents[origin.subgraph.index()].places;
    let place = match &origin.field {
        Some(field) => places.name(&field.name),
        None => places.span(origin.directive.location()),
    };
    let reported =
        |known: &Diagnostic| known.code == "N_PLUS_ONE" && known.place.as_ref() == Some(&place);
    if diagnostics.0.iter().any(reported) {
        return;
    }
    let diagnostic = Diagnostic::error(
        "N_PLUS_ONE",
        "one call per parent, and reachable through a list:",
    )
    .at(place)
    .note(format!(
        "{}   {} is a list",
        reached.query(state, field),
        reached.list(state)
    ))
    .help("batch it with $batch, or accept the calls with fanout: 20");
    diagnostics.push(diagnostic);
}
