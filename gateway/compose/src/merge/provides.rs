//! What `@provides` promises: fields below a field that this path answers although another
//! subgraph owns them, on the types of an interface or union each for itself.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::executable::SelectionSet;

use super::field_set::Rules;
use super::selected;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, first};

const RULES: Rules = Rules {
    invalid: "PROVIDES_INVALID_FIELDS",
    arguments: "PROVIDES_FIELDS_HAS_ARGS",
    directives: "PROVIDES_DIRECTIVE_IN_FIELDS_ARG",
    without_arguments: true,
    ty: None,
};

/// What a field's value carries beyond what its subgraph answers anyway.
pub(super) fn of(
    document: &Document,
    field: &Node<FieldDefinition>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<SelectionSet>> {
    let directive = first(&field.directives, "provides")?;
    let value = directive.specified_argument_by_name("fields")?;
    let ty = field.ty.inner_named_type();
    let declared = document.schema.types.get(ty);
    if !declared.is_some_and(|ty| ty.is_object() || ty.is_interface() || ty.is_union()) {
        let message = format!(
            "`{}` is `{}`, which has no fields to provide",
            field.name, field.ty
        );
        diagnostics.push(
            Diagnostic::error("PROVIDES_ON_NON_OBJECT_FIELD", message)
                .at(document.places.directive(directive)),
        );
        return None;
    }
    selected::read(document, ty, value, &RULES, diagnostics)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn each_type_of_a_union_provides_its_own_fields() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! a: Int @external } type B @key(fields: \"id\") { id: ID! b: Int @external } \
             union U = A | B type Query { u: U @provides(fields: \"... on A { a } ... on B { b }\") }",
            "type A @key(fields: \"id\") { id: ID! a: Int @shareable } type B @key(fields: \"id\") { id: ID! b: Int @shareable }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let u = &merged.types["Query"].fields["u"].subgraphs[0];
        assert_eq!(u.provides, [["a"], ["b"]]);
    }

    #[test]
    fn what_cannot_be_provided_is_told() {
        for (set, code) in [
            ("... on A { n }", "PROVIDES_FIELDS_HAS_ARGS"),
            (
                "... on A { x @skip(if: true) }",
                "PROVIDES_DIRECTIVE_IN_FIELDS_ARG",
            ),
            ("... on C { x }", "PROVIDES_INVALID_FIELDS"),
            ("x", "PROVIDES_INVALID_FIELDS"),
        ] {
            let said = said(&[&format!(
                "type A {{ x: Int @external n(m: Int): Int @external }} union U = A type Query {{ u: U @provides(fields: \"{set}\") }}"
            )]);
            assert!(
                said.contains(&format!("error[{code}] a.graphql:2:")),
                "{set}: {said}"
            );
        }
    }
}
