//! Directives of operations: what every subgraph understands.
//!
//! Owns merging the definitions that files make themselves. A subgraph is sent nothing that it
//! does not know, so a directive, its locations and its arguments must be known to all of them.
//! <https://www.apollographql.com/docs/graphos/reference/federation/composition-rules>

use apollo_compiler::ast::{DirectiveDefinition, DirectiveLocation};
use apollo_compiler::collections::IndexSet;
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::input_value::{Owners, Rules};
use super::{Merging, Site, clash};
use crate::diagnostic::Severity;
use crate::document::Document;

pub(super) const ARGUMENT_RULES: Rules = Rules {
    noun: "argument",
    type_mismatch: "FIELD_ARGUMENT_TYPE_MISMATCH",
    default_mismatch: "FIELD_ARGUMENT_DEFAULT_MISMATCH",
    missing: "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
    left_out: "INCONSISTENT_ARGUMENT_PRESENCE",
};

/// The definitions of one directive.
type Definitions<'a> = Vec<(&'a Document, &'a Node<DirectiveDefinition>)>;

impl<'a> Merging<'a, '_> {
    /// Merges the definitions that are for operations.
    pub(super) fn executable_directives(&mut self) {
        let mut all: IndexMap<&'a Name, Definitions<'a>> = IndexMap::new();
        for document in self.declared.documents {
            let definitions = document.schema.directive_definitions.values();
            for definition in definitions.filter(|it| document.own_directives.contains(&it.name)) {
                if locations(definition).next().is_some() {
                    let known = all.entry(&definition.name).or_default();
                    known.push((document, definition));
                }
            }
        }
        for of in all.values() {
            if let Some(merged) = self.executable_directive(of) {
                let definitions = &mut self.schema.directive_definitions;
                definitions.insert(merged.name.clone(), Node::new(merged));
            }
        }
    }

    fn executable_directive(&mut self, of: &Definitions<'a>) -> Option<DirectiveDefinition> {
        let (_, first) = of[0];
        let name = &first.name;
        if of.len() < self.declared.documents.len() {
            self.differs(
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE",
                format!("@{name} is left out: not every subgraph defines it"),
                of,
            );
            return None;
        }
        let common: IndexSet<DirectiveLocation> = locations(first)
            .filter(|it| of.iter().all(|(_, other)| other.locations.contains(it)))
            .collect();
        if common.is_empty() {
            self.differs(
                "NO_EXECUTABLE_DIRECTIVE_INTERSECTION",
                format!("@{name} is left out: it stands nowhere in all subgraphs"),
                of,
            );
            return None;
        }
        if of
            .iter()
            .any(|(_, it)| locations(it).count() != common.len())
        {
            self.differs(
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS",
                format!("@{name} stands only where all subgraphs let it stand"),
                of,
            );
        }
        let repeatable = of.iter().all(|(_, it)| it.repeatable);
        if of.iter().any(|(_, it)| it.repeatable != repeatable) {
            self.differs(
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE",
                format!("@{name} is not repeatable: not every subgraph lets it be"),
                of,
            );
        }
        let owners = Owners {
            name: format!("@{name}"),
            lists: of
                .iter()
                .map(|(document, it)| (*document, &it.name, it.arguments.iter().collect()))
                .collect(),
        };
        Some(DirectiveDefinition {
            description: self.description(
                &format!("@{name}"),
                of.iter()
                    .map(|(document, it)| (*document, &it.name, it.description.as_ref())),
            ),
            name: name.clone(),
            arguments: self.input_values(&owners, &ARGUMENT_RULES),
            locations: common,
            repeatable,
            ..(**first).clone()
        })
    }

    fn differs(&mut self, code: &'static str, message: String, of: &Definitions<'a>) {
        let sites = of.iter().map(|(document, it)| Site {
            place: document.places.name(&it.name),
            word: "defined here".to_owned(),
        });
        let mut found = clash(code, message, sites.collect());
        found.severity = Severity::Warning;
        self.push(found);
    }
}

/// Where it may stand in operations.
fn locations(definition: &DirectiveDefinition) -> impl Iterator<Item = DirectiveLocation> {
    definition.locations.iter().copied().filter(|it| {
        matches!(
            it,
            DirectiveLocation::Query
                | DirectiveLocation::Mutation
                | DirectiveLocation::Subscription
                | DirectiveLocation::Field
                | DirectiveLocation::FragmentDefinition
                | DirectiveLocation::FragmentSpread
                | DirectiveLocation::InlineFragment
                | DirectiveLocation::VariableDefinition
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_directive_of_operations_is_what_all_subgraphs_understand() {
        let both = [
            "directive @trace(level: Int, deep: Boolean) repeatable on FIELD | QUERY | OBJECT type A { a: Int }",
            "directive @trace(level: Int!) on FIELD",
        ];
        assert_eq!(
            printed(&both),
            "directive @trace(level: Int!) on FIELD type A { a: Int }"
        );
        let said = said(&both);
        for code in [
            "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS",
            "INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE",
            "INCONSISTENT_ARGUMENT_PRESENCE",
        ] {
            assert!(
                said.contains(&format!("warning[{code}] a.graphql:2:")),
                "{said}"
            );
        }
    }

    #[test]
    fn a_directive_that_not_all_understand_is_left_out_and_told() {
        let some = ["directive @trace on FIELD", "type A { a: Int }"];
        assert_eq!(printed(&some), "type A { a: Int }");
        assert_eq!(
            said(&some),
            "warning[INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE] a.graphql:2:12\n  \
             2 | directive @trace on FIELD\n    \
             |            ^^^^^ @trace is left out: not every subgraph defines it\n"
        );
        let nowhere = said(&["directive @trace on FIELD", "directive @trace on QUERY"]);
        assert!(
            nowhere.starts_with("warning[NO_EXECUTABLE_DIRECTIVE_INTERSECTION]"),
            "{nowhere}"
        );
        let required = said(&["directive @t(a: Int!) on FIELD", "directive @t on FIELD"]);
        assert!(
            required.starts_with("error[REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH]"),
            "{required}"
        );
        let types = said(&[
            "directive @t(a: Int) on FIELD",
            "directive @t(a: ID) on FIELD",
        ]);
        assert!(
            types.starts_with("error[FIELD_ARGUMENT_TYPE_MISMATCH]"),
            "{types}"
        );
    }
}
