//! UNSATISFIABLE: a field that a client can select and no call can bring.

use super::Graph;
use super::reach::{Reached, State, has_path};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::model::{FieldDef, FieldInSubgraph, FieldPath, Key, Resolver, Target};

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
    if state.is_told_apart(graph) {
        return;
    }
    let given = state.given(graph);
    let asked = def.fields.values().filter(|field| !field.inaccessible);
    for field in asked.filter(|field| !given.contains(&field.name)) {
        if !state.has(graph, std::slice::from_ref(&field.name)) {
            report(graph, reached, state, field, diagnostics);
        }
    }
}

/// A root's fields are answered wherever it is reached.
fn is_root(name: &str) -> bool {
    matches!(name, "Query" | "Mutation" | "Subscription")
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

/// Why no subgraph that declares the field can be asked for it there.
fn reasons(graph: &Graph<'_>, state: &State, field: &FieldDef) -> Vec<String> {
    let declared = field.subgraphs.iter();
    let reasons = declared.flat_map(|it| {
        let name = &graph.documents[it.subgraph.index()].name;
        match taken_over(graph, field, it) {
            Some(by) => vec![format!("{name}: taken over by {by}")],
            None if it.external => vec![format!("{name}: only declares it, @external")],
            None => reasons_of(graph, state, field, it),
        }
    });
    reasons.collect()
}

/// Who has taken the field over from a subgraph.
fn taken_over<'g>(graph: &Graph<'g>, field: &FieldDef, it: &FieldInSubgraph) -> Option<&'g str> {
    let name = &graph.documents[it.subgraph.index()].name;
    let taker = field.subgraphs.iter().find(|other| {
        let taken = other.overrides.as_ref();
        taken.is_some_and(|taken| taken.from == *name && taken.label.is_none())
    })?;
    Some(&graph.documents[taker.subgraph.index()].name)
}

/// Why a subgraph that answers the field cannot be asked for it there.
fn reasons_of(
    graph: &Graph<'_>,
    state: &State,
    field: &FieldDef,
    it: &FieldInSubgraph,
) -> Vec<String> {
    let document = &graph.documents[it.subgraph.index()];
    let declared = graph.types.get(&state.ty);
    let declared =
        declared.and_then(|ty| ty.subgraphs.iter().find(|of| of.subgraph == it.subgraph));
    let keys: &[Key] = declared.map_or(&[], |it| &it.keys);
    let name = &document.name;
    if document.served_by.is_none() {
        let resolvers = graph.lowered.resolvers.iter();
        let resolvers = resolvers.filter(|it| it.subgraph == document.subgraph);
        let would_bring = resolvers.filter(|it| would_bring(graph, state, field, it));
        let reasons: Vec<String> = would_bring
            .map(|it| resolver_reason(graph, state, it))
            .collect();
        return match reasons.is_empty() {
            true => vec![format!("{name}: no resolver brings it")],
            false => reasons,
        };
    }
    if keys.is_empty() {
        return vec![format!("{name}: `{}` has no @key there", state.ty)];
    }
    let required = missing(graph, state, &it.requires);
    let reasons = keys
        .iter()
        .map(|key| key_reason(graph, state, name, key, &required));
    reasons.collect()
}

fn would_bring(graph: &Graph<'_>, state: &State, field: &FieldDef, resolver: &Resolver) -> bool {
    match &resolver.target {
        Target::Entity { ty, .. } => {
            let view = resolver.reply.value.view;
            *ty == state.ty
                && view.is_some_and(|view| has_path(graph, view, std::slice::from_ref(&field.name)))
        }
        Target::Field { ty, field: of } => *ty == state.ty && *of == field.name,
        Target::Root { .. } => false,
    }
}

fn resolver_reason(graph: &Graph<'_>, state: &State, resolver: &Resolver) -> String {
    let missing = missing(graph, state, &resolver.inputs);
    format!(
        "{} needs {}, which is not known there",
        resolver.place,
        missing.join(" and ")
    )
}

fn key_reason(
    graph: &Graph<'_>,
    state: &State,
    subgraph: &str,
    key: &Key,
    required: &[String],
) -> String {
    let fields: Vec<String> = key.fields.iter().map(dotted).collect();
    let key_of = format!("{subgraph}: key `{}`", fields.join(" "));
    if !key.resolvable {
        return format!("{key_of} is not resolvable");
    }
    let missing = missing(graph, state, &key.fields);
    match missing.is_empty() {
        true => format!(
            "{key_of} is known there, and {}, which the field requires, is not",
            required.join(" and ")
        ),
        false => format!(
            "{key_of} needs {}, which is not known there",
            missing.join(" and ")
        ),
    }
}

fn missing(graph: &Graph<'_>, state: &State, paths: &[FieldPath]) -> Vec<String> {
    let missing = paths.iter().filter(|path| !state.has(graph, path));
    missing.map(dotted).collect()
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
        true if is_served(graph, state) => format!(
            "give `{}` a @key there that is known here, or declare `{}` @shareable in both subgraphs",
            state.ty, field.name
        ),
        true => format!(
            "let the reply carry the key, give `{}` a resolver by @rest or @grpc, or read `{}` with @map",
            state.ty, field.name
        ),
        false if is_served(graph, state) => format!(
            "declare `{}` in every subgraph that gives `{}`, or make it an entity with @key",
            field.name, state.ty
        ),
        false => format!(
            "read `{}` with @map, or give the field a resolver of its own",
            field.name
        ),
    }
}

/// Whether what is known there comes from a GraphQL service that serves its whole subgraph.
fn is_served(graph: &Graph<'_>, state: &State) -> bool {
    let subgraphs = state.known.iter().map(|view| graph.view(*view).subgraph);
    let mut documents = subgraphs.map(|it| &graph.documents[it.index()]);
    documents.any(|it| it.served_by.is_some())
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
             |                                        query { post { user { name } } }\n    \
             |                                        b: no resolver brings it\n  \
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

    #[test]
    fn of_services_each_subgraph_and_key_says_why_not() {
        let posts = "type Query { post: Post } type Post { id: ID! user: User } type User @key(fields: \"id\") { id: ID! }";
        let users = "type Query { me: User }\ntype User @key(fields: \"mail\") @key(fields: \"id\", resolvable: false) { id: ID! mail: String! name: String @shareable age: Int @external x: Int @requires(fields: \"age\") }";
        let names = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@shareable\"]) type User @shareable { name: String }";
        let old = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@shareable\"]) type User @key(fields: \"n\") { n: Int name: String @shareable age: Int }";
        let said = said_of_services(&[posts, users, names, old]);
        let lines = said
            .lines()
            .map(|it| it.trim_start_matches([' ', '|', '^']));
        let from: Vec<&str> = lines
            .skip_while(|line| !line.contains("`User.name`"))
            .take(7)
            .collect();
        assert_eq!(
            from,
            [
                "no call can bring `User.name` here:",
                "query { post { user { name } } }",
                "b: key `mail` needs mail, which is not known there",
                "b: key `id` is not resolvable",
                "c: `User` has no @key there",
                "d: key `n` needs n, which is not known there",
                "help: give `User` a @key there that is known here, or declare `name` @shareable in both subgraphs",
            ],
            "{said}"
        );
    }

    #[test]
    fn a_value_type_has_the_same_fields_wherever_it_is_given() {
        let a = "type Query { a: Position } type Position { x: Int }";
        let b = "type Query { b: Position } type Position { x: Int z: Int }";
        let said = said_of_services(&[a, b]);
        assert!(
            said.starts_with("error[UNSATISFIABLE] b.graphql:1:51\n")
                && said.contains("query { a { z } }")
                && said.contains("b: `Position` has no @key there")
                && said.contains("help: declare `z` in every subgraph that gives `Position`, or make it an entity with @key"),
            "{said}"
        );
        assert_eq!(
            said_of_services(&[a, "type Query { b: Position } type Position { x: Int }"]),
            ""
        );
    }

    #[test]
    fn what_a_field_requires_can_be_had() {
        let a = "type Query { a: A } type A @key(fields: \"id\") { id: ID! }";
        let b = "type A @key(fields: \"id\") { id: ID! w: Int @external x: Int @requires(fields: \"w\") }";
        let c = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@inaccessible\"]) type A @key(fields: \"n\") { n: Int @inaccessible w: Int @inaccessible }";
        let said = said_of_services(&[a, b, c]);
        assert!(
            said.contains("b: key `id` is known there, and w, which the field requires, is not"),
            "{said}"
        );
        let by_id = c.replace("\"n\") { n: Int @inaccessible", "\"id\") { id: ID!");
        assert_eq!(said_of_services(&[a, b, &by_id]), "");
    }

    #[test]
    fn what_a_shared_root_field_gives_is_one_object() {
        let link = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@shareable\"])";
        let file = |field: &str| {
            format!("{link} type Query {{ a: A @shareable }} type A {{ {field}: Int }}")
        };
        assert_eq!(said_of_services(&[&file("x"), &file("y")]), "");
    }

    #[test]
    fn what_a_field_requires_may_be_brought_by_further_calls() {
        let a = "type Query { a: A } type A @key(fields: \"id\") { id: ID! b: B } type B @key(fields: \"id\") { id: ID! }";
        let b = "type B @key(fields: \"id\") { id: ID! n: Int }";
        let c = "type A @key(fields: \"id\") { id: ID! b: B @external x: Int @requires(fields: \"b { n }\") } type B @key(fields: \"id\") { id: ID! @external n: Int @external }";
        let link = |sdl: &str| {
            format!(
                "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@external\", \"@requires\"]) {sdl}"
            )
        };
        assert_eq!(said_of_services(&[&link(a), &link(b), &link(c)]), "");
    }
}
