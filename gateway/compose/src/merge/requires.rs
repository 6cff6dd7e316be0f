//! What `@requires` names: a selection, with arguments and fragments where they are wanted.

use std::sync::Arc;

use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::{Name, Node, Schema, name};

use super::field_set::Rules;
use super::selected;
use crate::diagnostic::Diagnostics;
use crate::document::{Document, first};

const TYPENAME: Name = name!("__typename");

const RULES: Rules = Rules {
    invalid: "REQUIRES_INVALID_FIELDS",
    arguments: "REQUIRES_INVALID_FIELDS",
    directives: "REQUIRES_DIRECTIVE_IN_FIELDS_ARG",
    without_arguments: false,
    ty: None,
};

/// What a field's service needs of the same entity.
pub(super) fn of(
    document: &Document,
    ty: &Name,
    field: &Node<FieldDefinition>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<SelectionSet>> {
    let directive = first(&field.directives, "requires")?;
    let value = directive.specified_argument_by_name("fields")?;
    let mut selection = selected::read(document, ty, value, &RULES, diagnostics)?;
    name_types(&document.schema, Arc::make_mut(&mut selection));
    Some(selection)
}

/// An object behind an interface or union is sent with its type: without it the service could not tell which it is.
fn name_types(schema: &Schema, set: &mut SelectionSet) {
    for selection in &mut set.selections {
        match selection {
            Selection::Field(field) => {
                if let Some(below) = &mut field.make_mut().selection_set {
                    name_types(schema, below);
                    name_type(schema, below);
                }
            }
            Selection::InlineFragment(inline) => {
                name_types(schema, &mut inline.make_mut().selection_set);
            }
            // A field set has no fragments of its own name.
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn name_type(schema: &Schema, below: &mut SelectionSet) {
    let ty = schema.types.get(&below.ty);
    let is_abstract = ty.is_some_and(|ty| ty.is_interface() || ty.is_union());
    let is_named = |it: &Selection| it.as_field().is_some_and(|it| it.name == TYPENAME);
    if !is_abstract || below.selections.iter().any(is_named) {
        return;
    }
    if let Ok(field) = below.new_field(schema, TYPENAME) {
        below.selections.insert(0, Selection::from(field));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn arguments_and_fragments_are_kept_and_the_paths_are_those_of_their_fields() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! d(u: U): I @external w: Int @requires(fields: \"d(u: M) { ... on D { x } y }\") } \
             interface I { y: Int } type D implements I { x: Int @external y: Int @external } enum U { M }",
            "type A @key(fields: \"id\") { id: ID! d(u: U): I } interface I { y: Int } type D implements I { x: Int y: Int } enum U { M }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let w = &merged.types["A"].fields["w"].subgraphs[0];
        assert_eq!(w.requires, [["d", "x"], ["d", "y"]]);
        let set = w.required.as_ref().expect("a selection");
        assert_eq!(
            set.serialize().no_indent().to_string(),
            "{ d(u: M) { __typename ... on D { x } y } }"
        );
    }

    #[test]
    fn what_does_not_fit_the_type_is_told() {
        for set in [
            "b(x: 1)",
            "... on B { b }",
            "b { ",
            "c(x: 1)",
            "... on A { b } }",
            "... on A { b } } fragment x on A { b",
        ] {
            let said = said(&[&format!(
                "type A {{ a: Int @requires(fields: \"{set}\") b: Int @external }} type B {{ b: Int }}"
            )]);
            assert!(
                said.contains("error[REQUIRES_INVALID_FIELDS] a.graphql:2:"),
                "{set}: {said}"
            );
        }
    }
}
