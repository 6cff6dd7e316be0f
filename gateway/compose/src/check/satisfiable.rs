//! UNSATISFIABLE: a field that a client can select and no call can bring.

use super::Graph;
use super::reach::Reached;
use super::reach::State;
use super::reach::has_path;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Diagnostics;
use crate::diagnostic::Place;
use crate::model::FieldDef;
use crate::model::FieldPath;
use crate::model::Resolver;
use crate::model::Target;

/// Reports each field of a state's type that is neither known there nor brought by any call.
pub(super) fn check(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    diagnostics: &mut Diagnostics,
) {
    let Some(def) = graph.types.get(&state.ty) else {
        return;
    };
    for field in def.fields.values().filter(|field| !field.inaccessible) {
        if !is_brought(graph, state, field) {
            report(graph, reached, state, field, diagnostics);
        }
    }
}

fn is_brought(graph: &Graph<'_>, state: &State, field: &FieldDef) -> bool {
    let called = state.calls.iter().filter_map(|(_, view)| view.as_ref());
    let mut views = state.known.iter().chain(called);
    views.any(|view| {
        graph.lowered.views[view.index()]
            .fields
            .contains_key(&field.name)
    }) || state.calls.iter().any(|(id, _)| {
        let target = &graph.lowered.resolvers[id.index()].target;
        matches!(target, Target::Field { field: of, .. } if *of == field.name)
    })
}

fn report(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    field: &FieldDef,
    diagnostics: &mut Diagnostics,
) {
    let coordinate = format!("{}.{}", state.ty, field.name);
    let message = format!("no call can bring {coordinate} here");
    if diagnostics
        .0
        .iter()
        .any(|known| known.code == "UNSATISFIABLE" && known.message == message)
    {
        return;
    }
    let mut diagnostic = Diagnostic::error("UNSATISFIABLE", message)
        .note(format!(
            "the path that fails: {}",
            reached.query(state, &field.name)
        ))
        .help(help(graph, state, field));
    if let Some(place) = place_of(graph, state, field) {
        diagnostic = diagnostic.at(place);
    }
    for reason in reasons(graph, state, field) {
        diagnostic = diagnostic.note(reason);
    }
    diagnostics.push(diagnostic);
}

/// Why each call that would bring the field cannot be made there.
fn reasons(graph: &Graph<'_>, state: &State, field: &FieldDef) -> Vec<String> {
    let would_bring = |resolver: &&Resolver| match &resolver.target {
        Target::Entity { ty, .. } => {
            let view = resolver.reply.value.view;
            *ty == state.ty
                && view.is_some_and(|view| has_path(graph, view, std::slice::from_ref(&field.name)))
        }
        Target::Field { ty, field: of } => *ty == state.ty && *of == field.name,
        Target::Root { .. } => false,
    };
    let resolvers = graph.lowered.resolvers.iter().filter(would_bring);
    resolvers
        .map(|resolver| {
            let missing = resolver
                .inputs
                .iter()
                .filter(|path| !is_known(graph, state, path));
            let missing: Vec<String> = missing.map(|path| dotted(path)).collect();
            format!(
                "{} needs {}, which is not known there",
                resolver.place,
                missing.join(" and ")
            )
        })
        .collect()
}

fn is_known(graph: &Graph<'_>, state: &State, path: &FieldPath) -> bool {
    let called = state.calls.iter().filter_map(|(_, view)| view.as_ref());
    let mut views = state.known.iter().chain(called);
    views.any(|view| has_path(graph, *view, path))
}

fn dotted(path: &FieldPath) -> String {
    let names: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
    names.join(".")
}

fn help(graph: &Graph<'_>, state: &State, field: &FieldDef) -> String {
    let entity = graph.types.get(&state.ty).is_some_and(|def| {
        def.subgraphs
            .iter()
            .any(|subgraph| !subgraph.keys.is_empty())
    });
    match entity {
        true => format!(
            "let the reply carry the key, give {} a resolver by @rest or @grpc, or read {} with @map",
            state.ty, field.name
        ),
        false => format!(
            "read {} with @map, or give the field a resolver of its own",
            field.name
        ),
    }
}

/// Where the field is declared.
fn place_of(graph: &Graph<'_>, state: &State, field: &FieldDef) -> Option<Place> {
    let declared = field.subgraphs.iter().find(|subgraph| !subgraph.external)?;
    let document = &graph.documents[declared.subgraph.index()];
    let ty = document.schema.types.get(&state.ty)?;
    let node = match ty {
        apollo_compiler::schema::ExtendedType::Object(object) => object.fields.get(&field.name)?,
        apollo_compiler::schema::ExtendedType::Interface(it) => it.fields.get(&field.name)?,
        _ => return None,
    };
    Some(document.places.name(&node.name))
}
