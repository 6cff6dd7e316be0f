//! Scalars and enums over subgraphs.

use apollo_compiler::schema::{EnumType, EnumValueDefinition, ExtendedType, ScalarType};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::declared::{Direction, Part};
use super::{Merging, Site, attributes, clash};
use crate::document::first;

/// A scalar is whatever the first declaration says of it.
pub(super) fn scalar(name: &Name, parts: &[Part<'_>]) -> ExtendedType {
    let scalars = || parts.iter().filter_map(|part| part.ty.as_scalar());
    ExtendedType::Scalar(Node::new(ScalarType {
        description: attributes::description(scalars().map(|it| &it.description)),
        name: name.clone(),
        directives: attributes::kept(scalars().map(|it| &it.directives)),
    }))
}

/// One value and the declarations that have it.
type Value<'a> = Vec<(Part<'a>, &'a Node<EnumValueDefinition>)>;

impl<'a> Merging<'a, '_> {
    /// What is only read may be any declared value, what is only sent must be
    /// known to all, and what is both must be the same for all.
    pub(super) fn enum_type(&mut self, name: &'a Name, parts: &[Part<'a>]) -> ExtendedType {
        let direction = self
            .declared
            .directions
            .get(name)
            .copied()
            .unwrap_or_default();
        let mut values: IndexMap<&'a Name, Value<'a>> = IndexMap::new();
        for part in parts {
            let Some(declared) = part.ty.as_enum() else {
                continue;
            };
            for (value, definition) in &declared.values {
                values.entry(value).or_default().push((*part, definition));
            }
        }
        let both = direction.input && direction.output;
        let only_sent = direction.input && !direction.output;
        for (value, of) in values.iter().filter(|_| both) {
            self.everywhere(name, value, of, parts);
        }
        values.retain(|_, of| !only_sent || of.len() == parts.len());
        if values.is_empty() {
            self.push(empty(name, parts, direction));
        }
        merged_enum(name, parts, &values)
    }

    fn everywhere(&mut self, name: &Name, value: &Name, of: &Value<'_>, parts: &[Part<'_>]) {
        let hidden = of
            .iter()
            .any(|(_, it)| first(&it.directives, "inaccessible").is_some());
        if of.len() == parts.len() || hidden {
            return;
        }
        let has = |part: &Part<'_>| {
            of.iter()
                .any(|(other, _)| std::ptr::eq(other.document, part.document))
        };
        let declared = of.iter().map(|(part, it)| Site {
            place: part.document.places.name(&it.value),
            word: "declared here".to_owned(),
        });
        let missing = parts.iter().filter(|part| !has(part)).map(|part| Site {
            place: part.document.places.name(part.ty.name()),
            word: format!("without `{value}` here"),
        });
        let message = format!("`{name}` travels both ways, and not every subgraph knows `{value}`");
        self.push(
            clash(
                "ENUM_VALUE_MISMATCH",
                message,
                declared.chain(missing).collect(),
            )
            .help("declare the same values in every subgraph, or make the value @inaccessible"),
        );
    }
}

fn empty(name: &Name, parts: &[Part<'_>], direction: Direction) -> crate::diagnostic::Diagnostic {
    debug_assert!(direction.input);
    let sites = parts.iter().map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: "declared here".to_owned(),
    });
    let message = format!("`{name}` is only sent, and no value is known to every subgraph");
    clash("EMPTY_MERGED_ENUM_TYPE", message, sites.collect())
}

fn merged_enum(
    name: &Name,
    parts: &[Part<'_>],
    values: &IndexMap<&Name, Value<'_>>,
) -> ExtendedType {
    let enums = || parts.iter().filter_map(|part| part.ty.as_enum());
    ExtendedType::Enum(Node::new(EnumType {
        description: attributes::description(enums().map(|it| &it.description)),
        name: name.clone(),
        directives: attributes::kept(enums().map(|it| &it.directives)),
        values: values
            .iter()
            .map(|(name, of)| ((*name).clone(), Node::new(merged_value(of))))
            .collect(),
    }))
}

fn merged_value(of: &Value<'_>) -> EnumValueDefinition {
    EnumValueDefinition {
        description: attributes::description(of.iter().map(|(_, it)| &it.description)),
        value: of[0].1.value.clone(),
        directives: attributes::kept(of.iter().map(|(_, it)| &it.directives)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_scalar_keeps_its_specification() {
        assert_eq!(
            printed(&[
                "scalar D",
                "\"A day\" scalar D @specifiedBy(url: \"https://d\")"
            ]),
            "\"A day\" scalar D @specifiedBy(url: \"https://d\")"
        );
    }

    #[test]
    fn an_enum_that_is_only_read_has_every_value() {
        assert_eq!(
            printed(&[
                "enum E { X Y } type A @shareable { e: E }",
                "enum E { Z Y }"
            ]),
            "enum E { X Y Z } type A { e: E }"
        );
    }

    #[test]
    fn an_enum_that_is_only_sent_has_the_values_that_all_know() {
        assert_eq!(
            printed(&["enum E { X Y } input A { e: E }", "enum E { Z Y }"]),
            "enum E { Y } input A { e: E }"
        );
        assert!(
            said(&["enum E { X } input A { e: E }", "enum E { Z }"])
                .contains("error[EMPTY_MERGED_ENUM_TYPE]")
        );
    }

    #[test]
    fn an_enum_that_travels_both_ways_is_the_same_everywhere() {
        let one = "enum E { X Y } type A { e(e: E): E }";
        assert_eq!(
            said(&[one, "enum E {\n  X\n  Y\n  Z\n}"]),
            "error[ENUM_VALUE_MISMATCH] b.graphql:5:3\n  \
             5 |   Z\n    \
             |   ^ `E` travels both ways, and not every subgraph knows `Z`\n  \
             at a.graphql:2:6\n  \
             2 | enum E { X Y } type A { e(e: E): E }\n    \
             |      ^ without `Z` here\n  \
             help: declare the same values in every subgraph, or make the value @inaccessible\n"
        );
        assert_eq!(said(&[one, "enum E { X Y Z @inaccessible }"]), "");
    }
}
