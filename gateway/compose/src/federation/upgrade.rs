//! A file of Federation 1 becomes one of Federation 2.
//!
//! Owns what the first version ignored or understood otherwise. What meant nothing is
//! taken out, so that the rules of the second version hold for every file alike.
//! <https://www.apollographql.com/docs/graphos/reference/federation/versions>

use std::collections::HashSet;

use apollo_compiler::Name;
use apollo_compiler::ast::{DirectiveList, FieldDefinition};
use apollo_compiler::schema::{ExtendedType, InterfaceType, ObjectType};

use super::external;
use super::selection::{Kind, Selection, Selections};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, first};

pub(super) fn upgrade(document: &mut Document, diagnostics: &mut Diagnostics) {
    let plan = plan(document);
    for ty in &plan.emptied {
        let message = format!(
            "`{ty}` has only fields of other subgraphs, and nothing in this file needs them"
        );
        diagnostics.push(
            Diagnostic::error("TYPE_WITH_ONLY_UNUSED_EXTERNAL", message)
                .at(document.places.name(ty))
                .help("leave the type out"),
        );
    }
    for ty in document.schema.types.values_mut() {
        match ty {
            ExtendedType::Object(it) => upgrade_object(it.make_mut(), &plan),
            ExtendedType::Interface(it) => upgrade_interface(it.make_mut()),
            _ => {}
        }
    }
}

/// Fields of one file, by type and field.
type Fields = HashSet<(Name, Name)>;

/// What is taken out of a file.
struct Plan {
    /// Fields that the file does not answer and nobody needs.
    unneeded: Fields,
    /// Fields whose `@requires` names nothing of other subgraphs.
    idle_requires: Fields,
    /// Fields whose `@provides` promises nothing.
    idle_provides: Fields,
    /// Types that are left without a field.
    emptied: Vec<Name>,
}

fn plan(document: &Document) -> Plan {
    let selections = Selections::of(document);
    let idle = |kind: Kind| -> Fields {
        let sets = selections.sets.iter().filter(|set| set.kind == kind);
        let idle = sets.filter(|set| is_idle(document, &selections, set));
        idle.filter_map(|set| set.on.map(|(ty, field)| (ty.clone(), field.clone())))
            .collect()
    };
    let unneeded = unneeded(document, &selections);
    Plan {
        idle_requires: idle(Kind::Requires),
        idle_provides: idle(Kind::Provides),
        emptied: emptied(document, &unneeded),
        unneeded,
    }
}

/// Whether a field set names nothing that another subgraph answers.
fn is_idle(document: &Document, selections: &Selections<'_>, set: &Selection<'_>) -> bool {
    let ty = document.schema.types.get(set.ty);
    if ty.is_some_and(|ty| ty.is_leaf()) {
        return true;
    }
    let mut leaves = set.fields.iter().filter(|it| it.leaf).peekable();
    // What cannot be read is told elsewhere.
    leaves.peek().is_some()
        && !leaves.any(|leaf| external::is_external(document, selections, set, leaf))
}

fn unneeded(document: &Document, selections: &Selections<'_>) -> Fields {
    let used = selections.used();
    let objects = document
        .schema
        .types
        .values()
        .filter_map(|ty| ty.as_object());
    let fields = objects.flat_map(|object| object.fields.values().map(move |it| (object, it)));
    fields
        .filter(|(object, field)| {
            first(&field.directives, "external").is_some()
                && !used.contains(&(&object.name, &field.name))
                && !external::implements(document, object, &field.name)
        })
        .map(|(object, field)| (object.name.clone(), field.name.clone()))
        .collect()
}

fn emptied(document: &Document, unneeded: &Fields) -> Vec<Name> {
    let objects = document
        .schema
        .types
        .values()
        .filter_map(|ty| ty.as_object());
    let left = |object: &ObjectType| {
        let mut names = object.fields.keys();
        names.any(|name| !unneeded.contains(&(object.name.clone(), name.clone())))
    };
    objects
        .filter(|object| !object.fields.is_empty() && !left(object))
        .map(|object| object.name.clone())
        .collect()
}

fn upgrade_object(object: &mut ObjectType, plan: &Plan) {
    // On a type it was ignored.
    remove(&mut object.directives, "external");
    if !plan.emptied.contains(&object.name) {
        let name = object.name.clone();
        let unneeded = |field: &Name| plan.unneeded.contains(&(name.clone(), field.clone()));
        object.fields.retain(|field, _| !unneeded(field));
    }
    for field in object.fields.values_mut() {
        let coordinate = (object.name.clone(), field.name.clone());
        if !field.directives.is_empty() {
            upgrade_field(field.make_mut(), &coordinate, plan);
        }
    }
}

fn upgrade_field(field: &mut FieldDefinition, coordinate: &(Name, Name), plan: &Plan) {
    if plan.idle_requires.contains(coordinate) {
        remove(&mut field.directives, "requires");
    }
    if plan.idle_provides.contains(coordinate) {
        remove(&mut field.directives, "provides");
    }
    if first(&field.directives, "external").is_some() {
        remove(&mut field.directives, "tag");
    }
}

fn upgrade_interface(interface: &mut InterfaceType) {
    // Both were accepted here, and meant nothing.
    remove(&mut interface.directives, "key");
    for field in interface.fields.values_mut() {
        if first(&field.directives, "external").is_some() {
            remove(&mut field.make_mut().directives, "external");
        }
    }
}

fn remove(directives: &mut DirectiveList, name: &str) {
    directives.0.retain(|it| it.name != name);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_federation_1_ignored_is_left_out() {
        let (sdl, said) = upgraded(
            "interface I @key(fields: \"id\") { id: ID! @external }
             type A implements I @key(fields: \"id\") { id: ID! x: Int @external n: Int @provides(fields: \"y\") r: Int @requires(fields: \"id\") }
             type B @external { a: A @provides(fields: \"id\") t: Int @external @tag(name: \"t\") u: Int @requires(fields: \"t\") }",
        );
        assert_eq!(said, "");
        assert_eq!(
            sdl,
            "interface I { id: ID! } type A implements I @key(fields: \"id\") { id: ID! n: Int r: Int } \
             type B { a: A t: Int @external u: Int @requires(fields: \"t\") }"
        );
    }

    #[test]
    fn a_type_is_not_left_without_fields() {
        let (_, said) = upgraded("type Query { a: Int }\nextend type A { x: Int @external }");
        assert_eq!(
            said,
            "error[TYPE_WITH_ONLY_UNUSED_EXTERNAL] a.graphql:2:13\n  \
             2 | extend type A { x: Int @external }\n    \
             |             ^ `A` has only fields of other subgraphs, and nothing in this file needs them\n  \
             help: leave the type out\n"
        );
    }

    #[test]
    fn names_without_quotes_and_lists_of_them_are_field_sets() {
        let (sdl, said) = upgraded(
            "type A @key(fields: id) @key(fields: [\"x\", \"y\"]) { id: ID! x: Int y: Int }",
        );
        assert_eq!(said, "");
        assert!(
            sdl.starts_with("type A @key(fields: \"id\") @key(fields: \"x y\")"),
            "{sdl}"
        );
    }
}
