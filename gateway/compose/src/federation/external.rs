//! `@external`: what it may stand on, and that something needs it.

use std::collections::HashSet;

use apollo_compiler::ast::{Directive, FieldDefinition};
use apollo_compiler::schema::{ExtendedType, InterfaceType, ObjectType};
use apollo_compiler::{Name, Node};

use super::selection::{Kind, Selection, Selections, Touched};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, Federation, first};

/// Directives that the supergraph keeps, so that it matters who says them.
const MERGED: [&str; 7] = [
    "tag",
    "inaccessible",
    "authenticated",
    "requiresScopes",
    "policy",
    "cost",
    "listSize",
];

pub(super) fn check(
    document: &Document,
    selections: &Selections<'_>,
    diagnostics: &mut Diagnostics,
) {
    let used = selections.used();
    for ty in document.schema.types.values() {
        match ty {
            ExtendedType::Object(object) => check_object(document, object, &used, diagnostics),
            ExtendedType::Interface(interface) => {
                check_interface(document, interface, diagnostics);
            }
            _ => {}
        }
    }
    // Who wrote for Federation 1 could not know: there it was never asked.
    if document.federation != Federation::V1 {
        let other = |it: &&Selection<'_>| matches!(it.kind, Kind::Requires | Kind::Provides);
        for set in selections.sets.iter().filter(other) {
            check_set(document, selections, set, diagnostics);
        }
    }
}

fn check_object(
    document: &Document,
    object: &ObjectType,
    used: &HashSet<(&Name, &Name)>,
    diagnostics: &mut Diagnostics,
) {
    for field in object.fields.values() {
        let Some(external) = first(&field.directives, "external") else {
            continue;
        };
        check_companions(document, field, diagnostics);
        // In a file of Federation 1 what nobody needs was left out.
        let needed =
            document.federation == Federation::V1 || used.contains(&(&object.name, &field.name));
        if !needed && !implements(document, object, &field.name) {
            diagnostics.push(unused(document, &object.name, field, external));
        }
    }
}

/// Whether an interface of the type wants the field.
pub(super) fn implements(document: &Document, object: &ObjectType, field: &Name) -> bool {
    let mut interfaces = object.implements_interfaces.iter();
    interfaces.any(|name| {
        let interface = document.schema.get_interface(name);
        interface.is_some_and(|it| it.fields.contains_key(field))
    })
}

fn unused(
    document: &Document,
    ty: &Name,
    field: &FieldDefinition,
    external: &Node<Directive>,
) -> Diagnostic {
    let message = format!(
        "nothing in this file needs `{ty}.{}`, which another subgraph answers",
        field.name
    );
    Diagnostic::error("EXTERNAL_UNUSED", message)
        .at(document.places.directive(external))
        .help("leave the field out, or name it in a @key, @requires or @provides")
}

fn check_companions(document: &Document, field: &FieldDefinition, diagnostics: &mut Diagnostics) {
    let mut refuse = |name: &str, code, message: String| {
        if let Some(other) = first(&field.directives, name) {
            let found = Diagnostic::error(code, message);
            diagnostics.push(found.at(document.places.directive(other)));
        }
    };
    for name in ["requires", "provides"] {
        let message = format!(
            "@{name} is for who answers the field, and @external says that another subgraph does"
        );
        refuse(name, "EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE", message);
    }
    for name in MERGED {
        let message = format!(
            "@{name} is for who answers the field, and @external says that another subgraph does"
        );
        refuse(name, "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL", message);
    }
}

fn check_interface(document: &Document, interface: &InterfaceType, diagnostics: &mut Diagnostics) {
    for field in interface.fields.values() {
        if let Some(external) = first(&field.directives, "external") {
            let message =
                "nobody answers the field of an interface, only those of its object types";
            diagnostics.push(
                Diagnostic::error("EXTERNAL_ON_INTERFACE", message)
                    .at(document.places.directive(external))
                    .help("mark the fields of the object types"),
            );
        }
    }
}

/// What the subgraph answers itself it need neither require nor promise.
fn check_set(
    document: &Document,
    selections: &Selections<'_>,
    set: &Selection<'_>,
    diagnostics: &mut Diagnostics,
) {
    for leaf in set.fields.iter().filter(|it| it.leaf) {
        if !is_external(document, selections, set, leaf) {
            diagnostics.push(missing(document, set, leaf));
        }
    }
}

/// Whether the field, or one that it stands below, is another subgraph's.
pub(super) fn is_external(
    document: &Document,
    selections: &Selections<'_>,
    set: &Selection<'_>,
    leaf: &Touched,
) -> bool {
    let schema = &document.schema;
    set.way(leaf)
        .any(|it| selections.is_external(schema, &it.ty, &it.field))
}

fn missing(document: &Document, set: &Selection<'_>, leaf: &Touched) -> Diagnostic {
    let (code, verb) = match set.kind {
        Kind::Provides => ("PROVIDES_FIELDS_MISSING_EXTERNAL", "provided"),
        _ => ("REQUIRES_FIELDS_MISSING_EXTERNAL", "required"),
    };
    let Touched { ty, field, .. } = leaf;
    let message = format!(
        "`{ty}.{field}` need not be {verb}: it is not @external, so this subgraph answers it anyway"
    );
    Diagnostic::error(code, message)
        .at(document.places.in_string(set.value, leaf.range.clone()))
        .help(format!(
            "mark `{ty}.{field}` @external, or leave it out here"
        ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_external_field_is_needed_by_something() {
        assert_eq!(
            said("type A @key(fields: \"id\") { id: ID! a: Int @external }"),
            "error[EXTERNAL_UNUSED] a.graphql:2:44\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int @external }\n    \
             |                                            ^^^^^^^^^ nothing in this file needs `A.a`, which another subgraph answers\n  \
             help: leave the field out, or name it in a @key, @requires or @provides\n"
        );
        for sdl in [
            "type A @key(fields: \"a\") { a: Int @external }",
            "type A { a: Int @external b: Int @requires(fields: \"a\") }",
            "type A { a: Int @external } type B { a: A @provides(fields: \"a\") }",
            "interface I { a: Int } type A implements I { a: Int @external }",
            "interface I { a: Int } type A implements I { a: Int @external } type B { i: I @provides(fields: \"a\") }",
            "type A @external { a: Int }",
        ] {
            assert_eq!(said(sdl), "", "{sdl}");
        }
    }

    #[test]
    fn what_is_required_or_provided_is_another_subgraphs() {
        assert_eq!(
            said("type A { a: Int b: Int @requires(fields: \"a\") }"),
            "error[REQUIRES_FIELDS_MISSING_EXTERNAL] a.graphql:2:43\n  \
             2 | type A { a: Int b: Int @requires(fields: \"a\") }\n    \
             |                                           ^ `A.a` need not be required: it is not @external, so this subgraph answers it anyway\n  \
             help: mark `A.a` @external, or leave it out here\n"
        );
        let provides = said(
            "type A { d: D } type D { x: Int y: Int @external } type B { a: A @provides(fields: \"d { y x }\") }",
        );
        assert!(
            provides.starts_with("error[PROVIDES_FIELDS_MISSING_EXTERNAL] a.graphql:2:91\n"),
            "{provides}"
        );
        for sdl in [
            "type A { d: D @external b: Int @requires(fields: \"d { x }\") } type D { x: Int }",
            "type A { d: D b: Int @requires(fields: \"d { x }\") } type D @external { x: Int }",
            "interface I { x: Int } type A implements I { x: Int @external } type B { i: I @provides(fields: \"... on A { x }\") }",
            "union U = A type A { x: Int @external } type B { u: U @provides(fields: \"... on A { x }\") }",
        ] {
            assert_eq!(said(sdl), "", "{sdl}");
        }
    }

    #[test]
    fn who_does_not_answer_a_field_says_nothing_more_of_it() {
        for (directive, code) in [
            (
                "@provides(fields: \"a\")",
                "EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE",
            ),
            (
                "@tag(name: \"t\")",
                "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL",
            ),
            ("@inaccessible", "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL"),
        ] {
            let said = said(&format!(
                "type A {{ a: Int @external b: A @external {directive} c: Int @requires(fields: \"a b {{ a }}\") }}"
            ));
            let start = format!("error[{code}] a.graphql:2:42\n");
            assert!(said.starts_with(&start), "{said}");
        }
    }

    #[test]
    fn an_interface_answers_nothing() {
        let said = said("interface I { a: Int @external }");
        assert!(
            said.starts_with("error[EXTERNAL_ON_INTERFACE] a.graphql:2:22\n"),
            "{said}"
        );
    }
}
