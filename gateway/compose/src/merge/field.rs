//! One field of an object or interface over subgraphs.

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, Type};

use super::declared::Part;
use super::input_value::{Owners, Rules};
use super::{
    Merging, Site, attributes, cache, clash, entity, ownership, requires, variance, weights,
};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::first;
use crate::model::{CompositeKind, FieldDef, FieldInSubgraph, ListSize, paths_of};

const ARGUMENT_RULES: Rules = Rules {
    noun: "argument",
    type_mismatch: "FIELD_ARGUMENT_TYPE_MISMATCH",
    default_mismatch: "FIELD_ARGUMENT_DEFAULT_MISMATCH",
    missing: "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
};

/// One subgraph's declaration of a field.
#[derive(Clone, Copy)]
pub(super) struct FieldPart<'a> {
    pub(super) part: Part<'a>,
    pub(super) field: &'a Node<FieldDefinition>,
}

impl FieldPart<'_> {
    pub(super) fn place(&self) -> Place {
        self.part.document.places.name(&self.field.name)
    }

    fn type_place(&self) -> Place {
        self.part
            .document
            .places
            .name(self.field.ty.inner_named_type())
    }

    pub(super) fn has(&self, directive: &str) -> bool {
        first(&self.field.directives, directive).is_some()
    }
}

impl<'a> Merging<'a, '_> {
    /// The field as clients see it, and what is known of it.
    pub(super) fn field(
        &mut self,
        ty: &'a Name,
        kind: CompositeKind,
        parts: &[FieldPart<'a>],
    ) -> (FieldDefinition, FieldDef) {
        let mut subgraphs: Vec<FieldInSubgraph> = parts
            .iter()
            .map(|part| self.in_subgraph(ty, part))
            .collect();
        if kind == CompositeKind::Object {
            ownership::check(self.declared, ty, parts, &mut subgraphs, self.diagnostics);
        }
        let answering: Vec<FieldPart<'a>> = answering(parts, &subgraphs);
        if answering.is_empty() {
            self.push(nobody_answers(ty, parts));
        }
        let declaring = if answering.is_empty() {
            parts
        } else {
            &answering
        };
        let merged = self.merged_field(ty, declaring);
        self.externals_agree(ty, &merged.ty, parts, &subgraphs);
        let known = known(&merged, parts, subgraphs);
        (merged, known)
    }

    fn in_subgraph(&mut self, ty: &'a Name, it: &FieldPart<'a>) -> FieldInSubgraph {
        let document = it.part.document;
        let is_key = self.is_key_field(ty, it);
        let shareable = ownership::is_shareable(it) || is_key;
        let required = requires::of(document, ty, it.field, self.diagnostics);
        FieldInSubgraph {
            subgraph: document.subgraph,
            ty: it.field.ty.clone(),
            external: ownership::is_external(it, is_key),
            shareable,
            requires: required.as_deref().map(paths_of).unwrap_or_default(),
            required,
            provides: entity::provides(document, it.field, self.diagnostics),
            overrides: ownership::overrides(it),
        }
    }

    fn is_key_field(&self, ty: &Name, it: &FieldPart<'_>) -> bool {
        let coordinate = (it.part.document.subgraph, ty.clone(), it.field.name.clone());
        self.declared.key_fields.contains(&coordinate)
    }

    fn merged_field(&mut self, ty: &Name, parts: &[FieldPart<'a>]) -> FieldDefinition {
        let first = parts[0].field;
        let merged = variance::covering(self.declared, parts.iter().map(|it| &it.field.ty));
        if merged.is_none() {
            self.push(type_mismatch(ty, parts));
        }
        let owners = Owners {
            name: format!("{ty}.{}", first.name),
            lists: parts
                .iter()
                .map(|it| {
                    (
                        it.part.document,
                        &it.field.name,
                        it.field.arguments.iter().collect(),
                    )
                })
                .collect(),
        };
        FieldDefinition {
            description: attributes::description(parts.iter().map(|it| &it.field.description)),
            name: first.name.clone(),
            arguments: self.input_values(&owners, &ARGUMENT_RULES),
            ty: merged.unwrap_or_else(|| first.ty.clone()),
            directives: attributes::kept(parts.iter().map(|it| &it.field.directives)),
        }
    }

    /// Who declares a field `@external` must expect what its owners answer.
    fn externals_agree(
        &mut self,
        ty: &Name,
        merged: &Type,
        parts: &[FieldPart<'a>],
        subgraphs: &[FieldInSubgraph],
    ) {
        for (it, known) in parts.iter().zip(subgraphs) {
            if known.external && !variance::covers(self.declared, &it.field.ty, merged) {
                let message = format!(
                    "`{ty}.{}` is `{merged}` where it is answered, not `{}`",
                    it.field.name, it.field.ty
                );
                self.push(Diagnostic::error("EXTERNAL_TYPE_MISMATCH", message).at(it.type_place()));
            }
        }
    }
}

fn answering<'a>(parts: &[FieldPart<'a>], subgraphs: &[FieldInSubgraph]) -> Vec<FieldPart<'a>> {
    let both = parts.iter().zip(subgraphs);
    both.filter(|(_, known)| !known.external)
        .map(|(it, _)| *it)
        .collect()
}

fn known(
    merged: &FieldDefinition,
    parts: &[FieldPart<'_>],
    subgraphs: Vec<FieldInSubgraph>,
) -> FieldDef {
    let directives = || parts.iter().map(|it| &it.field.directives);
    FieldDef {
        name: merged.name.clone(),
        ty: merged.ty.clone(),
        subgraphs,
        resolvers: Vec::new(),
        inaccessible: directives().any(attributes::inaccessible),
        tags: attributes::tags(directives()),
        list_size: directives().find_map(|it| Some(list_size(first(it, "listSize")?))),
        cost: directives().find_map(weights::weight_of),
        demands: Vec::new(),
        cache: cache::hint(directives()),
    }
}

/// <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-List-Size-Directive>
fn list_size(directive: &Node<apollo_compiler::ast::Directive>) -> ListSize {
    let texts = |name: &str| {
        let value = directive.specified_argument_by_name(name);
        let items = value.map(|it| it.as_list().unwrap_or(std::slice::from_ref(it)));
        let texts = items
            .unwrap_or_default()
            .iter()
            .filter_map(|it| it.as_str());
        texts.map(str::to_owned).collect()
    };
    let assumed = directive.specified_argument_by_name("assumedSize");
    let one = directive.specified_argument_by_name("requireOneSlicingArgument");
    ListSize {
        assumed: assumed.and_then(|it| u32::try_from(it.to_i32()?).ok()),
        slicing_arguments: texts("slicingArguments"),
        sized_fields: texts("sizedFields"),
        require_one_slicing_argument: one.and_then(|it| it.to_bool()).unwrap_or(true),
    }
}

fn type_mismatch(ty: &Name, parts: &[FieldPart<'_>]) -> Diagnostic {
    let sites = parts.iter().map(|it| Site {
        place: it.type_place(),
        word: format!("`{}` here", it.field.ty),
    });
    let first = parts[0].field;
    let message = format!(
        "`{ty}.{}` is `{}` here and another type elsewhere",
        first.name, first.ty
    );
    clash("FIELD_TYPE_MISMATCH", message, sites.collect())
        .help("declare one type, or an interface or union that covers both")
}

fn nobody_answers(ty: &Name, parts: &[FieldPart<'_>]) -> Diagnostic {
    let sites = parts.iter().map(|it| Site {
        place: it.place(),
        word: "@external here too".to_owned(),
    });
    let message = format!(
        "`{ty}.{}` is @external, and no subgraph answers it",
        parts[0].field.name
    );
    clash("EXTERNAL_MISSING_ON_BASE", message, sites.collect())
        .help("declare it without @external in the subgraph that answers it")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_field_has_one_type() {
        assert_eq!(
            said(&[
                "type A { a: Int @shareable }",
                "type A { a: String! @shareable }"
            ]),
            "error[FIELD_TYPE_MISMATCH] a.graphql:2:13\n  \
             2 | type A { a: Int @shareable }\n    \
             |             ^^^ `A.a` is `Int` here and another type elsewhere\n  \
             at b.graphql:2:13\n  \
             2 | type A { a: String! @shareable }\n    \
             |             ^^^^^^ `String!` here\n  \
             help: declare one type, or an interface or union that covers both\n"
        );
    }

    #[test]
    fn an_argument_is_known_to_every_subgraph_that_answers() {
        assert_eq!(
            printed(&[
                "type A @shareable { a(x: Int, y: Int): Int }",
                "type A @shareable { a(y: Int!): Int }"
            ]),
            "type A { a(y: Int!): Int }"
        );
        assert!(
            said(&[
                "type A @shareable { a(x: Int!): Int }",
                "type A @shareable { a: Int }"
            ])
            .starts_with("error[REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH] a.graphql:2:23")
        );
    }

    #[test]
    fn an_argument_has_one_type_and_one_default() {
        assert!(
            said(&[
                "type A @shareable { a(x: Int): Int }",
                "type A @shareable { a(x: ID): Int }"
            ])
            .starts_with("error[FIELD_ARGUMENT_TYPE_MISMATCH] a.graphql:2:26")
        );
        assert!(
            said(&[
                "type A @shareable { a(x: Int = 1): Int }",
                "type A @shareable { a(x: Int): Int }"
            ])
            .starts_with("error[FIELD_ARGUMENT_DEFAULT_MISMATCH] a.graphql:2:32")
        );
    }

    #[test]
    fn an_external_field_is_answered_elsewhere_and_as_expected() {
        let owner = "type A @key(fields: \"id\") { id: ID! a: Int }";
        assert_eq!(
            said(&[
                owner,
                "type A @key(fields: \"id\") { id: ID! a: String @external b: Int @requires(fields: \"a\") }"
            ]),
            "error[EXTERNAL_TYPE_MISMATCH] b.graphql:2:40\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: String @external b: Int @requires(fields: \"a\") }\n    \
             |                                        ^^^^^^ `A.a` is `Int` where it is answered, not `String`\n"
        );
        assert!(
            said(&["type A { a: Int @external b: Int @requires(fields: \"a\") }"])
                .starts_with("error[EXTERNAL_MISSING_ON_BASE] a.graphql:2:10")
        );
    }

    #[test]
    fn costs_and_list_sizes_are_kept() {
        let (merged, _) = merged(&[
            "type A { a(n: Int): [Int] @cost(weight: \"2.5\") @listSize(slicingArguments: \"n\", assumedSize: 7) }",
        ]);
        let field = &merged.types["A"].fields["a"];
        assert_eq!(field.cost, Some(2.5));
        let size = field.list_size.as_ref().expect("a size");
        assert_eq!(
            (size.assumed, &size.slicing_arguments[..]),
            (Some(7), &["n".to_owned()][..])
        );
        assert!(size.require_one_slicing_argument);
    }
}
