//! Input types over subgraphs.

use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node};

use super::declared::Part;
use super::input_value::{Owners, Rules};
use super::{Merging, Site, attributes, clash};
use crate::diagnostic::{Diagnostics, Severity};

const RULES: Rules = Rules {
    noun: "field",
    type_mismatch: "FIELD_TYPE_MISMATCH",
    default_mismatch: "INPUT_FIELD_DEFAULT_MISMATCH",
    missing: "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH",
    left_out: "INCONSISTENT_INPUT_OBJECT_FIELD",
};

impl<'a> Merging<'a, '_> {
    /// An input has the fields that every subgraph knows.
    pub(super) fn input_object(&mut self, name: &'a Name, parts: &[Part<'a>]) -> ExtendedType {
        let lists = parts.iter().filter_map(|part| {
            let declared = part.ty.as_input_object()?;
            Some((
                part.document,
                part.ty.name(),
                declared.fields.values().collect(),
            ))
        });
        let owners = Owners {
            name: name.to_string(),
            lists: lists.collect(),
        };
        let errors = |it: &Diagnostics| {
            let errors = it.0.iter().filter(|it| it.severity == Severity::Error);
            errors.count()
        };
        let before = errors(self.diagnostics);
        let fields = self.input_values(&owners, &RULES);
        if fields.is_empty() && errors(self.diagnostics) == before {
            self.push(empty(name, parts));
        }
        let inputs = || parts.iter().filter_map(|part| part.ty.as_input_object());
        ExtendedType::InputObject(Node::new(InputObjectType {
            description: self.type_description(name, parts),
            name: name.clone(),
            directives: attributes::kept(inputs().map(|it| &it.directives)),
            fields: fields.into_iter().map(|it| (it.name.clone(), it)).collect(),
        }))
    }
}

fn empty(name: &Name, parts: &[Part<'_>]) -> crate::diagnostic::Diagnostic {
    let sites = parts.iter().map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: "declared here".to_owned(),
    });
    let message = format!("no field of `{name}` is known to every subgraph");
    clash("EMPTY_MERGED_INPUT_TYPE", message, sites.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_input_has_the_fields_that_all_know() {
        assert_eq!(
            printed(&["input A { x: Int y: Int }", "input A { y: Int z: Int = 1 }"]),
            "input A { y: Int }"
        );
    }

    #[test]
    fn a_required_field_is_known_to_all() {
        assert_eq!(
            said(&["input A { x: Int! y: Int }", "input A { y: Int }"]),
            "error[REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH] a.graphql:2:11\n  \
             2 | input A { x: Int! y: Int }\n    \
             |           ^ the field `x` of `A` is required here and missing in another subgraph\n  \
             at b.graphql:2:7\n  \
             2 | input A { y: Int }\n    \
             |       ^ without `x` here\n  \
             help: declare it in every subgraph, make it nullable, or give it a default\n"
        );
    }

    #[test]
    fn a_field_has_one_type_and_one_default() {
        assert_eq!(
            said(&["input A { x: Int = 1 }", "input A { x: [Int] = 2 }"]),
            "error[FIELD_TYPE_MISMATCH] a.graphql:2:14\n  \
             2 | input A { x: Int = 1 }\n    \
             |              ^^^ the field `x` of `A` is `Int` here and another type elsewhere\n  \
             at b.graphql:2:14\n  \
             2 | input A { x: [Int] = 2 }\n    \
             |              ^^^^^ `[Int]` here\n  \
             help: a value must fit every subgraph that takes it: declare one type\n\
             \n\
             error[INPUT_FIELD_DEFAULT_MISMATCH] a.graphql:2:20\n  \
             2 | input A { x: Int = 1 }\n    \
             |                    ^ the field `x` of `A` has `1` here and another default elsewhere\n  \
             at b.graphql:2:22\n  \
             2 | input A { x: [Int] = 2 }\n    \
             |                      ^ `2` here\n"
        );
    }

    #[test]
    fn an_input_without_common_fields_is_refused() {
        assert!(
            said(&["input A { x: Int }", "input A { y: Int }"])
                .contains("error[EMPTY_MERGED_INPUT_TYPE] a.graphql:2:7")
        );
    }
}
