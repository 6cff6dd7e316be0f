//! UNSATISFIABLE: a field that a client can select and no call can bring.

use super::Graph;
use super::reach::{Reached, State, has_path};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::model::{FieldDef, FieldPath, Resolver, Target};

/// Reports each field of a state's type that is neither known there nor brought by any call.
pub(super) fn check(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    diagnostics: &mut Diagnostics,
) {
    let Some(def) = graph.types.get(&state.ty).filter(|def| !is_root(&def.name)) else {
        return;
    };
    for field in def.fields.values().filter(|field| !field.inaccessible) {
        if !is_brought(graph, state, field) {
            report(graph, reached, state, field, diagnostics);
        }
    }
}

/// A root's fields are answered wherever it is reached.
fn is_root(name: &str) -> bool {
    matches!(name, "Query" | "Mutation" | "Subscription")
}

fn is_brought(graph: &Graph<'_>, state: &State, field: &FieldDef) -> bool {
    let called = state.calls.iter().filter_map(|(_, view)| view.as_ref());
    let mut views = state.known.iter().chain(&state.twins).chain(called);
    views.any(|view| graph.view(*view).fields.contains_key(&field.name))
        || state.calls.iter().any(|(id, _)| {
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
    let message = format!("no call can bring `{}.{}` here:", state.ty, field.name);
    let told = |known: &Diagnostic| known.code == "UNSATISFIABLE" && known.message == message;
    if diagnostics.0.iter().any(told) {
        return;
    }
    let mut diagnostic = Diagnostic::error("UNSATISFIABLE", message)
        .note(reached.query(state, &field.name))
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
            let missing: Vec<String> = missing.map(dotted).collect();
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
            "let the reply carry the key, give `{}` a resolver by @rest or @grpc, or read `{}` with @map",
            state.ty, field.name
        ),
        false => format!(
            "read `{}` with @map, or give the field a resolver of its own",
            field.name
        ),
    }
}

/// Where the field is declared.
fn place_of(graph: &Graph<'_>, state: &State, field: &FieldDef) -> Option<Place> {
    let declared = field.subgraphs.iter().find(|subgraph| !subgraph.external)?;
    let node = graph.field(declared.subgraph, &state.ty, &field.name)?;
    Some(
        graph.documents[declared.subgraph.index()]
            .places
            .name(&node.name),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const POSTS: &str = "type Query { post: Post @rest(GET: \"/post\") } type Post { id: ID! user: User } type User @key(fields: \"id\") { id: ID! }";

    #[test]
    fn a_field_that_no_call_brings_is_told_with_the_way_that_fails() {
        let users = "type Query { me: User @rest(GET: \"/me\") }\ntype User @key(fields: \"id\") { id: ID! name: String }";
        assert_eq!(
            said(&[POSTS, users]),
            "error[UNSATISFIABLE] b.graphql:3:40\n  \
             3 | type User @key(fields: \"id\") { id: ID! name: String }\n    \
             |                                        ^^^^ no call can bring `User.name` here:\n    \
             |                                        query { post { user { name } } }\n  \
             help: let the reply carry the key, give `User` a resolver by @rest or @grpc, or read `name` with @map\n"
        );
    }

    #[test]
    fn a_call_whose_key_is_not_known_is_named() {
        let users = "type User @key(fields: \"id\") @key(fields: \"mail\") @rest(GET: \"/u\", query: { mail: \"$batch.mail\" }) { id: ID! mail: String! name: String }";
        let said = said(&[POSTS, users]);
        assert!(
            said.contains("b.graphql:2:51 needs mail, which is not known there"),
            "{said}"
        );
    }

    #[test]
    fn one_call_may_bring_the_key_of_the_next() {
        let users = "type User @key(fields: \"id\") @key(fields: \"mail\") @rest(GET: \"/u\", query: { id: \"$batch.id\" }) { id: ID! mail: String! }";
        let names = "type User @key(fields: \"mail\") @rest(GET: \"/n\", query: { mail: \"$batch.mail\" }) { mail: String! name: String }";
        assert_eq!(said(&[POSTS, users, names]), "");
    }

    #[test]
    fn clients_cannot_ask_for_what_is_inaccessible() {
        let users = "type User @key(fields: \"id\") { id: ID! name: String @inaccessible }";
        assert_eq!(said(&[POSTS, users]), "");
    }
}
