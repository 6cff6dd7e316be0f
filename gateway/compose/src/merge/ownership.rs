//! Who answers a field: sharing and `@external`.
//!
//! Owns that a field belongs to one subgraph unless all who have it agree to share it.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/sharing-types>

use apollo_compiler::Name;

use super::declared::Declared;
use super::field::FieldPart;
use super::{Site, clash, overriding, runtime_types};
use crate::diagnostic::Diagnostics;
use crate::document::{Federation, first};
use crate::model::FieldInSubgraph;

/// `@shareable` on the field or its type; in Federation v1 every field is.
pub(super) fn is_shareable(it: &FieldPart<'_>) -> bool {
    let on_type = || {
        // On `extend type` it covers the fields of that extension only.
        let shareable = first(it.part.ty.directives(), "shareable");
        shareable.is_some_and(|directive| directive.extension_id() == it.field.extension_id())
    };
    it.part.document.federation == Federation::V1 || it.has("shareable") || on_type()
}

/// `@external` on the field or its type. Since Federation 1 the keys of a type that a file
/// extends are marked `@external` although it knows them.
pub(super) fn is_external(it: &FieldPart<'_>, is_key: bool) -> bool {
    let marked = it.has("external") || first(it.part.ty.directives(), "external").is_some();
    marked && !(is_key && it.part.is_extension())
}

/// Takes over what is overridden, then asks whether those who are left share the field.
pub(super) fn check(
    declared: &Declared<'_>,
    ty: &Name,
    parts: &[FieldPart<'_>],
    subgraphs: &mut [FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    overriding::take_over(declared, parts, subgraphs, diagnostics);
    check_sharing(declared, ty, parts, subgraphs, diagnostics);
    runtime_types::check(declared, ty, parts, subgraphs, diagnostics);
}

const NOT_SHAREABLE: &str = "not shareable here";

/// Whether a subgraph answers a field, somewhere at least, and shares it.
fn how_answered(
    declared: &Declared<'_>,
    it: &FieldPart<'_>,
    known: &FieldInSubgraph,
) -> Option<&'static str> {
    if known.external {
        let ty = it.part.ty.name().clone();
        let coordinate = (known.subgraph, ty, it.field.name.clone());
        let provided = declared.provided.contains(&coordinate);
        return provided.then_some("provided here");
    }
    Some(match known.shareable {
        true => "shareable here",
        false => NOT_SHAREABLE,
    })
}

fn check_sharing(
    declared: &Declared<'_>,
    ty: &Name,
    parts: &[FieldPart<'_>],
    subgraphs: &[FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    let taken = |it: &FieldPart<'_>| {
        let name = &it.part.document.name;
        subgraphs
            .iter()
            .any(|known| known.overrides.as_ref().is_some_and(|o| o.from == *name))
    };
    let both = parts.iter().zip(subgraphs).filter(|(it, _)| !taken(it));
    let answering: Vec<_> = both
        .filter_map(|(it, known)| Some((it, how_answered(declared, it, known)?)))
        .collect();
    let subscription = ty == "Subscription";
    let unshared = answering
        .iter()
        .any(|(_, how)| *how == NOT_SHAREABLE || subscription);
    if answering.len() < 2 || !unshared {
        return;
    }
    let sites = answering.iter().map(|(it, how)| Site {
        place: it.place(),
        word: (*how).to_owned(),
    });
    let field = &parts[0].field.name;
    let message = format!(
        "`{ty}.{field}` is answered by {} subgraphs that do not all share it",
        answering.len()
    );
    let help = if subscription {
        "a subscription is answered by one subgraph".to_owned()
    } else {
        "mark it @shareable wherever it is answered alike; @external where another subgraph answers it; or take it over with @override".to_owned()
    };
    diagnostics.push(clash("INVALID_FIELD_SHARING", message, sites.collect()).help(help));
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_field_is_answered_by_one_subgraph() {
        assert_eq!(
            said(&["type A { a: Int }", "type A { a: Int @shareable }"]),
            "error[INVALID_FIELD_SHARING] a.graphql:2:10\n  \
             2 | type A { a: Int }\n    \
             |          ^ `A.a` is answered by 2 subgraphs that do not all share it\n  \
             at b.graphql:2:10\n  \
             2 | type A { a: Int @shareable }\n    \
             |          ^ shareable here\n  \
             help: mark it @shareable wherever it is answered alike; @external where another subgraph answers it; or take it over with @override\n"
        );
    }

    #[test]
    fn shared_fields_keys_and_external_fields_are_answered_by_several() {
        let b = "type A @key(fields: \"id\") { id: ID! a: Int @external b: Int @requires(fields: \"a\") c: Int @shareable }";
        assert_eq!(
            said(&[
                "type A @shareable @key(fields: \"id\") { id: ID! a: Int c: Int }",
                b
            ]),
            ""
        );
    }

    #[test]
    fn what_one_subgraph_provides_its_owner_shares() {
        let provider = "type A @key(fields: \"id\") { id: ID! a: Int @external } type Query { a: A @provides(fields: \"a\") }";
        let owner = |directive: &str| {
            format!("type A @key(fields: \"id\") {{ id: ID! a: Int {directive} }}")
        };
        assert_eq!(said(&[provider, &owner("@shareable")]), "");
        let unshared = said(&[provider, &owner("")]);
        assert!(
            unshared.starts_with("error[INVALID_FIELD_SHARING] a.graphql:2:37\n")
                && unshared.contains("^ not shareable here"),
            "{unshared}"
        );
    }

    #[test]
    fn shareable_on_an_extension_covers_its_own_fields() {
        let b = "type A @shareable { a: Int b: Int }";
        assert!(
            said(&["type A { a: Int } extend type A @shareable { b: Int }", b])
                .starts_with("error[INVALID_FIELD_SHARING] a.graphql:2:10")
        );
    }
}
