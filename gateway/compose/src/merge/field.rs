//! One field of an object or interface over subgraphs.

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, Type};

use super::declared::Part;
use super::input_value::{Owners, Rules};
use super::presence::hint;
use super::{
    Merging, Site, attributes, cache, clash, overriding, ownership, provides, requires, variance,
    weights,
};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::first;
use crate::model::{CompositeKind, FieldDef, FieldInSubgraph, paths_of};

const ARGUMENT_RULES: Rules = Rules {
    noun: "argument",
    type_mismatch: "FIELD_ARGUMENT_TYPE_MISMATCH",
    default_mismatch: "FIELD_ARGUMENT_DEFAULT_MISMATCH",
    missing: "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
    left_out: "INCONSISTENT_ARGUMENT_PRESENCE",
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

    pub(super) fn subgraph_name(&self) -> &str {
        &self.part.document.name
    }

    pub(super) fn type_place(&self) -> Place {
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
        let mut subgraphs: Vec<FieldInSubgraph> =
            parts.iter().map(|part| self.in_subgraph(part)).collect();
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
        self.contextual_arguments(ty, parts);
        self.externals_agree(ty, &merged, parts, &subgraphs);
        let known = known(&merged, parts, subgraphs);
        (merged, known)
    }

    fn in_subgraph(&mut self, it: &FieldPart<'a>) -> FieldInSubgraph {
        let document = it.part.document;
        // An interface's object gives its fields to object types under its own name.
        let ty = it.part.ty.name();
        let is_key = self.is_key_field(ty, it);
        let shareable = ownership::is_shareable(it) || is_key;
        let required = requires::of(document, ty, it.field, self.diagnostics);
        let provided = provides::of(document, it.field, self.diagnostics);
        FieldInSubgraph {
            subgraph: document.subgraph,
            ty: it.field.ty.clone(),
            external: ownership::is_external(it, is_key),
            shareable,
            requires: required.as_deref().map(paths_of).unwrap_or_default(),
            required,
            provides: provided.as_deref().map(paths_of).unwrap_or_default(),
            provided,
            overrides: overriding::written(it),
        }
    }

    fn is_key_field(&self, ty: &Name, it: &FieldPart<'_>) -> bool {
        let coordinate = (it.part.document.subgraph, ty.clone(), it.field.name.clone());
        self.declared.key_fields.contains(&coordinate)
    }

    fn merged_field(&mut self, ty: &Name, parts: &[FieldPart<'a>]) -> FieldDefinition {
        let first = parts[0].field;
        let merged = variance::covering(self.declared, parts.iter().map(|it| &it.field.ty));
        match merged {
            None => self.push(type_mismatch(ty, parts)),
            Some(_) if parts.iter().all(|it| it.field.ty == first.ty) => {}
            Some(ref merged) => self.push(other_types(ty, parts, merged)),
        }
        let coordinate = format!("{ty}.{}", first.name);
        let said = parts.iter().map(|it| {
            let field = it.field;
            (it.part.document, &field.name, field.description.as_ref())
        });
        let description = self.description(&coordinate, said);
        let owners = Owners {
            name: coordinate,
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
            description,
            name: first.name.clone(),
            arguments: self.input_values(&owners, &ARGUMENT_RULES),
            ty: merged.unwrap_or_else(|| first.ty.clone()),
            directives: attributes::kept(parts.iter().map(|it| &it.field.directives)),
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
        list_size: weights::list_size(directives()),
        cost: weights::largest(directives()),
        demands: Vec::new(),
        cache: cache::hint(directives()),
    }
}

/// What each subgraph declares.
fn types(parts: &[FieldPart<'_>]) -> Vec<Site> {
    let sites = parts.iter().map(|it| Site {
        place: it.type_place(),
        word: format!("`{}` here", it.field.ty),
    });
    sites.collect()
}

fn other_types(ty: &Name, parts: &[FieldPart<'_>], merged: &Type) -> Diagnostic {
    let first = parts[0].field;
    let message = format!(
        "`{ty}.{}` is `{merged}` for clients, `{}` here",
        first.name, first.ty
    );
    hint(
        "INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE",
        message,
        types(parts),
    )
}

fn type_mismatch(ty: &Name, parts: &[FieldPart<'_>]) -> Diagnostic {
    let first = parts[0].field;
    let message = format!(
        "`{ty}.{}` is `{}` here and another type elsewhere",
        first.name, first.ty
    );
    clash("FIELD_TYPE_MISMATCH", message, types(parts))
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
                "type A @shareable { a(x: Int = 2): Int }"
            ])
            .starts_with("error[FIELD_ARGUMENT_DEFAULT_MISMATCH] a.graphql:2:32")
        );
    }

    #[test]
    fn a_default_of_some_subgraphs_is_none_and_told() {
        let both = [
            "type A @shareable { a(x: Int = 1): Int }",
            "type A @shareable { a(x: Int): Int }",
        ];
        assert_eq!(printed(&both), "type A { a(x: Int): Int }");
        assert_eq!(
            said(&both),
            "warning[INCONSISTENT_DEFAULT_VALUE_PRESENCE] a.graphql:2:32\n  \
             2 | type A @shareable { a(x: Int = 1): Int }\n    \
             |                                ^ the argument `x` of `A.a` has `1` here and another default elsewhere\n  \
             at b.graphql:2:23\n  \
             2 | type A @shareable { a(x: Int): Int }\n    \
             |                       ^ no default here\n  \
             help: no default is used: give the same one in every subgraph\n"
        );
    }

    #[test]
    fn an_argument_that_is_left_out_is_told() {
        let said = said(&[
            "type A @shareable { a(x: Int): Int }",
            "type A @shareable { a: Int }",
        ]);
        assert!(
            said.starts_with("warning[INCONSISTENT_ARGUMENT_PRESENCE] a.graphql:2:23\n"),
            "{said}"
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
