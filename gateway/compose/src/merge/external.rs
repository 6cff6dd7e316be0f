//! Who declares a field `@external` must expect what its owners answer and take.

use apollo_compiler::Name;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition};

use super::field::FieldPart;
use super::{Merging, Site, clash, variance};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::FieldInSubgraph;

impl<'a> Merging<'a, '_> {
    /// Compares each `@external` declaration of a field with what has become of the others.
    pub(super) fn externals_agree(
        &mut self,
        ty: &Name,
        merged: &FieldDefinition,
        parts: &[FieldPart<'a>],
        subgraphs: &[FieldInSubgraph],
    ) {
        let both = || parts.iter().zip(subgraphs);
        let owners: Vec<&FieldPart<'a>> = both()
            .filter(|(_, known)| !known.external)
            .map(|(it, _)| it)
            .collect();
        let overridden = |it: &FieldPart<'_>| {
            let mut takers = subgraphs.iter().filter_map(|it| it.overrides.as_ref());
            takers.any(|taken| taken.from == it.subgraph_name())
        };
        let externals = both().filter(|(it, known)| known.external && !overridden(it));
        let externals: Vec<&FieldPart<'a>> = externals.map(|(it, _)| it).collect();
        if owners.is_empty() {
            return;
        }
        for external in externals {
            let case = Case {
                ty,
                merged,
                external,
                owners: &owners,
            };
            if !variance::covers(self.declared, &external.field.ty, &merged.ty) {
                self.push(case.type_mismatch());
            }
            for argument in &merged.arguments {
                let found = case.argument(argument, |given, taken| {
                    variance::covers(self.declared, given, taken)
                });
                self.diagnostics.extend(found);
            }
        }
    }
}

/// One `@external` declaration.
struct Case<'c, 'a> {
    ty: &'c Name,
    merged: &'c FieldDefinition,
    external: &'c FieldPart<'a>,
    owners: &'c [&'c FieldPart<'a>],
}

impl Case<'_, '_> {
    fn type_mismatch(&self) -> Diagnostic {
        let message = format!(
            "`{}.{}` is `{}` where it is answered, not `{}`",
            self.ty, self.merged.name, self.merged.ty, self.external.field.ty
        );
        let owners = self.owners.iter().map(|owner| Site {
            place: owner.type_place(),
            word: format!("`{}` here", owner.field.ty),
        });
        self.clash(
            "EXTERNAL_TYPE_MISMATCH",
            message,
            self.external.type_place(),
            owners,
        )
    }

    fn argument(
        &self,
        merged: &InputValueDefinition,
        accepts: impl Fn(&apollo_compiler::ast::Type, &apollo_compiler::ast::Type) -> bool,
    ) -> Option<Diagnostic> {
        let coordinate = format!("{}.{}({}:)", self.ty, self.merged.name, merged.name);
        let places = &self.external.part.document.places;
        let Some(declared) = self.external.field.argument_by_name(&merged.name) else {
            let message =
                format!("`{coordinate}` is missing here, and taken where the field is answered");
            return Some(self.of_argument(
                "EXTERNAL_ARGUMENT_MISSING",
                message,
                self.external.place(),
                merged,
            ));
        };
        if !accepts(&declared.ty, &merged.ty) {
            let message = format!(
                "`{coordinate}` is `{}` where the field is answered, not `{}`",
                merged.ty, declared.ty
            );
            let place = places.node(&declared.ty);
            return Some(self.of_argument(
                "EXTERNAL_ARGUMENT_TYPE_MISMATCH",
                message,
                place,
                merged,
            ));
        }
        if declared.default_value.as_deref() != merged.default_value.as_deref() {
            let message = format!("`{coordinate}` has another default where the field is answered");
            let place = match &declared.default_value {
                Some(value) => places.node(value),
                None => places.name(&declared.name),
            };
            return Some(self.of_argument(
                "EXTERNAL_ARGUMENT_DEFAULT_MISMATCH",
                message,
                place,
                merged,
            ));
        }
        None
    }

    fn of_argument(
        &self,
        code: &'static str,
        message: String,
        place: Place,
        argument: &InputValueDefinition,
    ) -> Diagnostic {
        let owners = self.owners.iter().filter_map(|owner| {
            let declared = owner.field.argument_by_name(&argument.name)?;
            Some(Site {
                place: owner.part.document.places.name(&declared.name),
                word: format!("`{declared}` here"),
            })
        });
        self.clash(code, message, place, owners)
    }

    fn clash(
        &self,
        code: &'static str,
        message: String,
        place: Place,
        owners: impl Iterator<Item = Site>,
    ) -> Diagnostic {
        let word = String::new();
        let sites = std::iter::once(Site { place, word }).chain(owners);
        clash(code, message, sites.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

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
             |                                        ^^^^^^ `A.a` is `Int` where it is answered, not `String`\n  \
             at a.graphql:2:40\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int }\n    \
             |                                        ^^^ `Int` here\n"
        );
        assert!(
            said(&["type A { a: Int @external b: Int @requires(fields: \"a\") }"])
                .starts_with("error[EXTERNAL_MISSING_ON_BASE] a.graphql:2:10")
        );
    }

    #[test]
    fn an_external_field_takes_what_its_owner_takes() {
        let with = |arguments: &str| {
            said(&[
                "type A @key(fields: \"id\") { id: ID! a(x: Int! = 1): Int }",
                &format!(
                    "type A @key(fields: \"id\") {{ id: ID! a{arguments}: Int @external b: Int @requires(fields: \"a\") }}"
                ),
            ])
        };
        assert_eq!(with("(x: Int! = 1)"), "");
        assert_eq!(with("(x: Int = 1)"), "");
        assert_eq!(
            with(""),
            "error[EXTERNAL_ARGUMENT_MISSING] b.graphql:2:37\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int @external b: Int @requires(fields: \"a\") }\n    \
             |                                     ^ `A.a(x:)` is missing here, and taken where the field is answered\n  \
             at a.graphql:2:39\n  \
             2 | type A @key(fields: \"id\") { id: ID! a(x: Int! = 1): Int }\n    \
             |                                       ^ `x: Int! = 1` here\n"
        );
        assert!(
            with("(x: ID! = 1)")
                .starts_with("error[EXTERNAL_ARGUMENT_TYPE_MISMATCH] b.graphql:2:42\n")
        );
        assert!(
            with("(x: Int! = 2)")
                .starts_with("error[EXTERNAL_ARGUMENT_DEFAULT_MISMATCH] b.graphql:2:49\n")
        );
        assert!(
            with("(x: Int!)")
                .starts_with("error[EXTERNAL_ARGUMENT_DEFAULT_MISMATCH] b.graphql:2:39\n")
        );
    }
}
