//! Who answers a field: sharing, `@external`, `@override`.
//!
//! Owns that a field belongs to one subgraph unless all who have it agree to share it.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/sharing-types>

use apollo_compiler::Name;

use super::declared::Declared;
use super::field::FieldPart;
use super::{Site, clash};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Federation, first};
use crate::model::{FieldInSubgraph, Override};
use crate::suggest::{closest, did_you_mean};

/// `@shareable` on the field or its type; in Federation v1 every field is.
pub(super) fn is_shareable(it: &FieldPart<'_>) -> bool {
    let on_type = || {
        // On `extend type` it covers the fields of that extension only.
        let shareable = first(it.part.ty.directives(), "shareable");
        shareable.is_some_and(|directive| directive.extension_id() == it.field.extension_id())
    };
    it.part.document.federation == Federation::V1 || it.has("shareable") || on_type()
}

/// `@external` on the field or its type. A Federation v1 file marks the keys of a type that
/// it extends `@external` although it knows them.
pub(super) fn is_external(it: &FieldPart<'_>, is_key: bool) -> bool {
    let marked = it.has("external") || first(it.part.ty.directives(), "external").is_some();
    marked && !(is_key && it.part.document.federation == Federation::V1)
}

/// `@override`, as written.
pub(super) fn overrides(it: &FieldPart<'_>) -> Option<Override> {
    let directive = first(&it.field.directives, "override")?;
    let text = |name: &str| {
        Some(
            directive
                .specified_argument_by_name(name)?
                .as_str()?
                .to_owned(),
        )
    };
    Some(Override {
        from: text("from")?,
        label: text("label"),
    })
}

/// Takes over what is overridden, then asks whether those who are left share the field.
pub(super) fn check(
    declared: &Declared<'_>,
    ty: &Name,
    parts: &[FieldPart<'_>],
    subgraphs: &mut [FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    for index in 0..parts.len() {
        take_over(declared, index, parts, subgraphs, diagnostics);
    }
    check_sharing(ty, parts, subgraphs, diagnostics);
}

fn take_over(
    declared: &Declared<'_>,
    index: usize,
    parts: &[FieldPart<'_>],
    subgraphs: &mut [FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    let Some(taken) = subgraphs[index].overrides.clone() else {
        return;
    };
    if let Some(problem) = override_problem(declared, index, &taken, parts, subgraphs) {
        diagnostics.push(problem);
        return;
    }
    let from = parts
        .iter()
        .position(|it| it.part.document.name == taken.from);
    // With a label a share of the requests still goes to the old owner.
    if let Some(from) = from.filter(|_| taken.label.is_none()) {
        subgraphs[from].external = true;
    }
}

fn override_problem(
    declared: &Declared<'_>,
    index: usize,
    taken: &Override,
    parts: &[FieldPart<'_>],
    subgraphs: &[FieldInSubgraph],
) -> Option<Diagnostic> {
    let it = &parts[index];
    let places = &it.part.document.places;
    let directive = first(&it.field.directives, "override")?;
    let from = directive.specified_argument_by_name("from")?;
    if taken.from == it.part.document.name {
        let found = Diagnostic::error(
            "OVERRIDE_FROM_SELF_ERROR",
            "a subgraph cannot take a field over from itself",
        );
        return Some(found.at(places.node(from)));
    }
    let other = ["external", "requires", "provides"]
        .into_iter()
        .find(|name| it.has(name));
    if let Some(other) = other {
        let message = format!("@override cannot be combined with @{other}");
        let found = Diagnostic::error("OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE", message);
        return Some(found.at(places.directive(directive)));
    }
    let names = || {
        declared
            .documents
            .iter()
            .map(|document| document.name.as_str())
    };
    if !names().any(|name| name == taken.from) {
        let found =
            Diagnostic::warning("FROM_SUBGRAPH_DOES_NOT_EXIST", "no subgraph has this name")
                .at(places.node(from));
        return Some(match did_you_mean(&closest(&taken.from, names())) {
            Some(help) => found.help(help),
            None => found,
        });
    }
    let chained = parts
        .iter()
        .zip(subgraphs)
        .find(|(it, known)| it.part.document.name == taken.from && known.overrides.is_some());
    chained.map(|(old, _)| {
        Diagnostic::error(
            "OVERRIDE_SOURCE_HAS_OVERRIDE",
            "the field is itself taken over by the subgraph that this takes it from",
        )
        .at(places.node(from))
        .related(old.place(), "with an @override here")
    })
}

fn check_sharing(
    ty: &Name,
    parts: &[FieldPart<'_>],
    subgraphs: &[FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    let both = || parts.iter().zip(subgraphs);
    let taken = |it: &FieldPart<'_>| {
        let name = &it.part.document.name;
        subgraphs
            .iter()
            .any(|known| known.overrides.as_ref().is_some_and(|o| o.from == *name))
    };
    let answering: Vec<_> = both()
        .filter(|(it, known)| !known.external && !taken(it))
        .collect();
    let subscription = ty == "Subscription";
    let unshared = answering
        .iter()
        .any(|(_, known)| !known.shareable || subscription);
    if answering.len() < 2 || !unshared {
        return;
    }
    let sites = answering.iter().map(|(it, known)| Site {
        place: it.place(),
        word: if known.shareable {
            "shareable here"
        } else {
            "not shareable here"
        }
        .to_owned(),
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
    fn shareable_on_an_extension_covers_its_own_fields() {
        let b = "type A @shareable { a: Int b: Int }";
        assert!(
            said(&["type A { a: Int } extend type A @shareable { b: Int }", b])
                .starts_with("error[INVALID_FIELD_SHARING] a.graphql:2:10")
        );
    }

    #[test]
    fn an_override_takes_the_field_from_its_owner() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! a: Int }",
            "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"a\") }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let external: Vec<bool> = merged.types["A"].fields["a"]
            .subgraphs
            .iter()
            .map(|it| it.external)
            .collect();
        assert_eq!(external, [true, false]);
    }

    #[test]
    fn a_progressive_override_leaves_both_answering() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! a: Int }",
            "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"a\", label: \"percent(5)\") }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let field = &merged.types["A"].fields["a"];
        assert!(field.subgraphs.iter().all(|it| !it.external));
        assert_eq!(
            field.subgraphs[1]
                .overrides
                .as_ref()
                .and_then(|o| o.label.as_deref()),
            Some("percent(5)")
        );
    }

    #[test]
    fn overrides_that_make_no_sense_are_refused() {
        let a = "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }";
        let b = |from: &str| {
            format!("type A @key(fields: \"id\") {{ id: ID! a: Int @override(from: \"{from}\") }}")
        };
        for (from, code) in [
            ("b", "OVERRIDE_FROM_SELF_ERROR"),
            ("a", "OVERRIDE_SOURCE_HAS_OVERRIDE"),
            ("zzz", "FROM_SUBGRAPH_DOES_NOT_EXIST"),
        ] {
            let said = said(&[a, &b(from)]);
            assert!(said.contains(&format!("[{code}] b.graphql:2:60")), "{said}");
        }
        assert!(
            said(&[
                "type A { a: Int @external @override(from: \"b\") }",
                "type A { a: Int }"
            ])
            .contains("error[OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE] a.graphql:2:27")
        );
    }
}
