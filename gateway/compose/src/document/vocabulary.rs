//! The directives that a subgraph file may use, and what each accepts.
//!
//! Owns the table. It is read from the documented vocabulary itself, so that
//! what editors show and what composition checks cannot differ.

use std::sync::LazyLock;

use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::DirectiveDefinition;
use apollo_compiler::schema::{ExtendedType, SchemaBuilder};

static VOCABULARY: LazyLock<Schema> = LazyLock::new(|| {
    SchemaBuilder::new()
        .parse(
            include_str!("../../../../schema/directives.graphql"),
            "directives.graphql",
        )
        .build()
        .expect("the vocabulary is written by us and tested")
});

/// The directives that are ours, not a standard's.
pub(super) const OURS: [&str; 9] = [
    "source",
    "rest",
    "grpc",
    "graphql",
    "event",
    "queue",
    "map",
    "discriminator",
    "variant",
];

/// Directives that no `@link` has to import: the language's own, `@link` itself,
/// and those that no linkable Federation specification defines.
pub(super) const ALWAYS: [&str; 9] = [
    "deprecated",
    "specifiedBy",
    "oneOf",
    "link",
    "lookup",
    "is",
    "require",
    "internal",
    "cacheControl",
];

/// Whether no specification that services know of defines the name.
pub(super) fn is_nobodys_but_ours(name: &str) -> bool {
    OURS.contains(&name) || matches!(name, "lookup" | "is" | "require" | "internal")
}

/// The definition of a directive, by canonical name.
pub(super) fn directive(name: &str) -> Option<&'static Node<DirectiveDefinition>> {
    VOCABULARY.directive_definitions.get(name)
}

/// The definition of a type of the vocabulary.
pub(super) fn ty(name: &str) -> Option<&'static ExtendedType> {
    VOCABULARY.types.get(name)
}

/// Every directive's canonical name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VOCABULARY
        .directive_definitions
        .keys()
        .map(|name| name.as_str())
}

/// Scalars of the vocabulary that are written as texts.
pub(super) fn is_text(scalar: &str) -> bool {
    matches!(
        scalar,
        "Template"
            | "Path"
            | "Duration"
            | "FieldSet"
            | "Scope"
            | "Policy"
            | "FieldSelectionMap"
            | "ContextFieldValue"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_vocabulary_defines_every_name() {
        for name in OURS.iter().chain(&ALWAYS) {
            assert!(directive(name).is_some(), "@{name}");
        }
        for definition in VOCABULARY.directive_definitions.values() {
            for argument in &definition.arguments {
                let named = argument.ty.inner_named_type();
                assert!(
                    ty(named).is_some(),
                    "@{}({}: {named})",
                    definition.name,
                    argument.name
                );
            }
        }
    }
}
