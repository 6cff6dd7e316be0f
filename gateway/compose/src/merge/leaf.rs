//! Scalars and enums over subgraphs.

use apollo_compiler::schema::{EnumType, EnumValueDefinition, ExtendedType, ScalarType};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::declared::{Direction, Part};
use super::presence::hint;
use super::{Merging, Site, attributes, clash};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::first;

/// One value and the declarations that have it.
type Value<'a> = Vec<(Part<'a>, &'a Node<EnumValueDefinition>)>;

impl<'a> Merging<'a, '_> {
    /// A scalar is whatever the first declaration says of it.
    pub(super) fn scalar(&mut self, name: &Name, parts: &[Part<'a>]) -> ExtendedType {
        ExtendedType::Scalar(Node::new(ScalarType {
            description: self.type_description(name, parts),
            name: name.clone(),
            directives: attributes::kept(parts.iter().map(|it| it.ty.directives())),
        }))
    }

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
        if direction == Direction::default() {
            self.push(unused(name, parts));
        }
        for (value, of) in &values {
            match both {
                true => self.everywhere(name, value, of, parts),
                false if of.len() < parts.len() => self.somewhere(name, only_sent, of, parts),
                false => {}
            }
        }
        values.retain(|_, of| !only_sent || of.len() == parts.len());
        if values.is_empty() {
            self.push(empty(name, parts, direction));
        }
        self.merged_enum(name, parts, &values)
    }

    /// A value that only some subgraphs know, of an enum that travels one way.
    fn somewhere(&mut self, name: &Name, only_sent: bool, of: &Value<'a>, parts: &[Part<'a>]) {
        let value = &of[0].1.value;
        let (code, severity, message) = match only_sent {
            true => (
                "INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM",
                Severity::Warning,
                format!("`{value}` is left out: not every subgraph that takes `{name}` knows it"),
            ),
            false => (
                "INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM",
                Severity::Hint,
                format!("not every subgraph that has `{name}` knows `{value}`"),
            ),
        };
        let mut found = clash(code, message, sites(value, of, parts));
        found.severity = severity;
        self.push(found);
    }

    fn merged_enum(
        &mut self,
        name: &Name,
        parts: &[Part<'a>],
        values: &IndexMap<&Name, Value<'a>>,
    ) -> ExtendedType {
        let merged = values.iter().map(|(value, of)| {
            let value = (*value).clone();
            (value, Node::new(self.merged_value(name, of)))
        });
        let values = merged.collect();
        ExtendedType::Enum(Node::new(EnumType {
            description: self.type_description(name, parts),
            name: name.clone(),
            directives: attributes::kept(parts.iter().map(|it| it.ty.directives())),
            values,
        }))
    }

    fn merged_value(&mut self, ty: &Name, of: &Value<'a>) -> EnumValueDefinition {
        let value = &of[0].1.value;
        let said = of
            .iter()
            .map(|(part, it)| (part.document, &it.value, it.description.as_ref()));
        EnumValueDefinition {
            description: self.description(&format!("{ty}.{value}"), said),
            value: value.clone(),
            directives: attributes::kept(of.iter().map(|(_, it)| &it.directives)),
        }
    }

    fn everywhere(&mut self, name: &Name, value: &Name, of: &Value<'_>, parts: &[Part<'_>]) {
        let hidden = of
            .iter()
            .any(|(_, it)| first(&it.directives, "inaccessible").is_some());
        if of.len() == parts.len() || hidden {
            return;
        }
        let message = format!("`{name}` travels both ways, and not every subgraph knows `{value}`");
        self.push(
            clash("ENUM_VALUE_MISMATCH", message, sites(value, of, parts))
                .help("declare the same values in every subgraph, or make the value @inaccessible"),
        );
    }
}

fn empty(name: &Name, parts: &[Part<'_>], direction: Direction) -> Diagnostic {
    debug_assert!(direction.input);
    let sites = parts.iter().map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: "declared here".to_owned(),
    });
    let message = format!("`{name}` is only sent, and no value is known to every subgraph");
    clash("EMPTY_MERGED_ENUM_TYPE", message, sites.collect())
}

fn unused(name: &Name, parts: &[Part<'_>]) -> Diagnostic {
    let sites = parts.iter().map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: "declared here too".to_owned(),
    });
    let message = format!("nothing is of the type `{name}`");
    hint("UNUSED_ENUM_TYPE", message, sites.collect())
}

/// Who has a value, and who has not.
fn sites(value: &Name, of: &Value<'_>, parts: &[Part<'_>]) -> Vec<Site> {
    let has = |part: &Part<'_>| {
        let mut documents = of.iter().map(|(part, _)| part.document);
        documents.any(|it| std::ptr::eq(it, part.document))
    };
    let declared = of.iter().map(|(part, it)| Site {
        place: part.document.places.name(&it.value),
        word: "declared here".to_owned(),
    });
    let missing = parts.iter().filter(|part| !has(part)).map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: format!("without `{value}` here"),
    });
    declared.chain(missing).collect()
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
