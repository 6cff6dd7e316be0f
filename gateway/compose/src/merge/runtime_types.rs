//! A shared field gives the same objects whoever answers it.
//!
//! Owns that the object types which each subgraph can give are not wholly different.

use std::collections::BTreeSet;

use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

use super::declared::Declared;
use super::field::FieldPart;
use super::{Site, clash};
use crate::diagnostic::{Diagnostics, Severity};
use crate::document::{Document, first};
use crate::model::FieldInSubgraph;

pub(super) fn check(
    declared: &Declared<'_>,
    ty: &Name,
    parts: &[FieldPart<'_>],
    subgraphs: &[FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    let answering = parts.iter().zip(subgraphs).filter(|(_, it)| !it.external);
    let answering: Vec<&FieldPart<'_>> = answering.map(|(it, _)| it).collect();
    let abstracts = |it: &&FieldPart<'_>| declared.is_abstract(it.field.ty.inner_named_type());
    if answering.len() < 2 || !answering.iter().any(abstracts) {
        return;
    }
    // Who sees the interface as one type, or knows no object of it, says nothing of its objects.
    let known = answering.into_iter().filter_map(|it| {
        let types = runtime_types(it.part.document, it.field.ty.inner_named_type());
        (!types.is_empty()).then_some((it, types))
    });
    let (answering, types): (Vec<&FieldPart<'_>>, Vec<BTreeSet<&Name>>) = known.unzip();
    if answering.len() < 2 {
        return;
    }
    let common = types
        .iter()
        .fold(types[0].clone(), |common, it| &common & it);
    if types.iter().all(|it| *it == types[0]) {
        return;
    }
    let sites = answering.iter().zip(&types).map(|(it, types)| Site {
        place: it.place(),
        word: format!("{} here", listed(types)),
    });
    let field = &parts[0].field.name;
    let message = format!(
        "`{ty}.{field}` is shared, and gives {} here and others elsewhere",
        listed(&types[0])
    );
    let sites = sites.collect();
    let found = match common.is_empty() {
        true => clash("SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES", message, sites)
            .help("a shared field gives the same objects whoever answers it"),
        false => {
            let mut found = clash(
                "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN",
                message,
                sites,
            );
            found.severity = Severity::Hint;
            found
        }
    };
    diagnostics.push(found);
}

/// The object types that a value of a type can have, as one file knows them.
fn runtime_types<'a>(document: &'a Document, ty: &'a Name) -> BTreeSet<&'a Name> {
    match document.schema.types.get(ty) {
        Some(ExtendedType::Union(it)) => it.members.iter().map(|it| &**it).collect(),
        Some(ExtendedType::Interface(_)) => {
            let objects = document
                .schema
                .types
                .values()
                .filter_map(|it| it.as_object());
            let implementing = objects.filter(|it| it.implements_interfaces.contains(ty));
            implementing.map(|it| &it.name).collect()
        }
        Some(it) if first(it.directives(), "interfaceObject").is_some() => BTreeSet::new(),
        _ => BTreeSet::from([ty]),
    }
}

fn listed(types: &BTreeSet<&Name>) -> String {
    let names: Vec<String> = types.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const A: &str = "union U = X | Y type X @shareable { x: Int } type Y @shareable { y: Int } type A @shareable { u: U }";

    #[test]
    fn a_shared_field_gives_the_same_objects() {
        let other = "union U = Z type Z { z: Int } type A @shareable { u: U }";
        let said_other = said(&[A, other]);
        assert!(
            said_other.contains("error[SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES] a.graphql:2:95\n")
                && said_other.contains("^ `Z` here"),
            "{said_other}"
        );
        let some = hinted(&[
            A,
            "union U = X | Z type X @shareable { x: Int } type Z { z: Int } type A @shareable { u: U }",
        ]);
        assert!(!some.contains("error"), "{some}");
        assert!(
            some.contains("hint[INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN]"),
            "{some}"
        );
    }
}
