//! Whether every subgraph that declares a type declares all of it.
//!
//! Owns the hints of it: what only some declare is merged all the same, and whether it can always
//! be had is another check's.

use apollo_compiler::Name;
use indexmap::IndexMap;

use super::declared::Part;
use super::field::FieldPart;
use super::{Merging, Site, clash, is_root};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::CompositeKind;

impl<'a> Merging<'a, '_> {
    /// Of a type that is an entity nowhere every declaration is expected to have the same fields.
    pub(super) fn same_fields(
        &mut self,
        ty: &'a Name,
        kind: CompositeKind,
        parts: &[Part<'a>],
        fields: &IndexMap<&'a Name, Vec<FieldPart<'a>>>,
    ) {
        if parts.len() < 2 || is_root(ty) {
            return;
        }
        let is_entity = |part: &Part<'a>| {
            let keys = self.declared.keys.get(&(part.document.subgraph, ty));
            keys.is_some_and(|keys| !keys.is_empty())
        };
        let (entities, others): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
            parts.iter().partition(|part| is_entity(part));
        if !entities.is_empty() {
            if !others.is_empty() && kind == CompositeKind::Object {
                self.push(some_entity(ty, &entities, &others));
            }
            return;
        }
        let code = match kind {
            CompositeKind::Interface => "INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD",
            _ => "INCONSISTENT_OBJECT_VALUE_TYPE_FIELD",
        };
        for (name, of) in fields.iter().filter(|(_, of)| of.len() < parts.len()) {
            let has = |part: &Part<'_>| {
                let mut documents = of.iter().map(|it| it.part.document);
                documents.any(|it| std::ptr::eq(it, part.document))
            };
            let message =
                format!("`{ty}.{name}` is not declared by every subgraph that has `{ty}`");
            let here = Site {
                place: of[0].place(),
                word: String::new(),
            };
            let missing = parts.iter().filter(|part| !has(part));
            self.push(missing_in(code, message, here, name, missing));
        }
    }

    /// A union is expected to have the same members everywhere.
    pub(super) fn same_members(&mut self, ty: &Name, parts: &[Part<'a>]) {
        let mut members: IndexMap<&'a Name, Vec<&Part<'a>>> = IndexMap::new();
        for part in parts {
            for member in part.ty.as_union().into_iter().flat_map(|it| &it.members) {
                members.entry(&**member).or_default().push(part);
            }
        }
        for (name, of) in members.iter().filter(|(_, of)| of.len() < parts.len()) {
            let has =
                |part: &Part<'_>| of.iter().any(|it| std::ptr::eq(it.document, part.document));
            let message = format!("`{name}` is not a member of `{ty}` in every subgraph");
            let here = Site {
                place: of[0].document.places.name(name),
                word: String::new(),
            };
            let missing = parts.iter().filter(|part| !has(part));
            self.push(missing_in(
                "INCONSISTENT_UNION_MEMBER",
                message,
                here,
                name,
                missing,
            ));
        }
    }
}

fn some_entity(ty: &Name, entities: &[&Part<'_>], others: &[&Part<'_>]) -> Diagnostic {
    let site = |part: &&Part<'_>, word: &str| Site {
        place: part.document.places.name(part.ty.name()),
        word: word.to_owned(),
    };
    let entities = entities.iter().map(|part| site(part, "with a @key here"));
    let others = others.iter().map(|part| site(part, "without one here"));
    let message = format!("`{ty}` is an entity, and not in every subgraph");
    hint(
        "INCONSISTENT_ENTITY",
        message,
        entities.chain(others).collect(),
    )
}

fn missing_in<'p, 'a: 'p>(
    code: &'static str,
    message: String,
    here: Site,
    name: &Name,
    missing: impl Iterator<Item = &'p Part<'a>>,
) -> Diagnostic {
    let missing = missing.map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: format!("without `{name}` here"),
    });
    hint(
        code,
        message,
        std::iter::once(here).chain(missing).collect(),
    )
}

/// Subgraphs differ, and compose.
pub(super) fn hint(code: &'static str, message: String, sites: Vec<Site>) -> Diagnostic {
    Diagnostic {
        severity: Severity::Hint,
        ..clash(code, message, sites)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_only_some_subgraphs_declare_is_told() {
        assert_eq!(
            hinted(&[
                "type A @shareable { a: Int }",
                "type A @shareable { a: Int b: Int }",
            ]),
            "hint[INCONSISTENT_OBJECT_VALUE_TYPE_FIELD] b.graphql:2:28\n  \
             2 | type A @shareable { a: Int b: Int }\n    \
             |                            ^ `A.b` is not declared by every subgraph that has `A`\n  \
             at a.graphql:2:6\n  \
             2 | type A @shareable { a: Int }\n    \
             |      ^ without `b` here\n"
        );
        for (a, b, code) in [
            (
                "interface I { a: Int }",
                "interface I { b: Int }",
                "INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD",
            ),
            (
                "union U = A type A { a: Int }",
                "union U = B type B { b: Int }",
                "INCONSISTENT_UNION_MEMBER",
            ),
            (
                "type A @key(fields: \"a\") { a: Int }",
                "type A @shareable { b: Int }",
                "INCONSISTENT_ENTITY",
            ),
            (
                "enum E { X } type A { e: E }",
                "enum E { Y }",
                "INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM",
            ),
            ("enum E { X }", "enum F { X }", "UNUSED_ENUM_TYPE"),
            (
                "type A @shareable { a: Int }",
                "type A @shareable { a: Int! }",
                "INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE",
            ),
            (
                "type A @shareable { a(x: Int): Int }",
                "type A @shareable { a(x: Int!): Int }",
                "INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE",
            ),
        ] {
            let said = hinted(&[a, b]);
            assert!(said.contains(&format!("hint[{code}]")), "{code}: {said}");
            assert!(!said.contains("error"), "{said}");
        }
        let input = said(&["enum E { X Y } input I { e: E }", "enum E { Y }"]);
        assert!(
            input.contains("warning[INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM] a.graphql:2:10\n"),
            "{input}"
        );
    }
}
