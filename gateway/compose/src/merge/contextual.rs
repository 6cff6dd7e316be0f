//! Arguments that the gateway fills in from a context.
//!
//! Owns that nobody needs a value for one that only some subgraphs have filled in.

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;

use super::field::FieldPart;
use super::{Merging, Site, clash};
use crate::document::first;

impl<'a> Merging<'a, '_> {
    /// Compares the declarations of each argument that is filled in somewhere.
    pub(super) fn contextual_arguments(&mut self, ty: &Name, parts: &[FieldPart<'a>]) {
        let arguments = || {
            parts.iter().flat_map(|part| {
                let arguments = part.field.arguments.iter();
                arguments.map(move |argument| (part, argument))
            })
        };
        for (filled, argument) in arguments().filter(|(_, it)| is_contextual(it)) {
            let others = arguments().filter(|(_, it)| it.name == argument.name);
            let needed = others.filter(|(_, it)| !is_contextual(it) && it.is_required());
            let needed = needed.map(|(part, it)| Site {
                place: part.part.document.places.name(&it.name),
                word: "clients must give it here".to_owned(),
            });
            let needed: Vec<Site> = needed.collect();
            if needed.is_empty() {
                continue;
            }
            let message = format!(
                "`{ty}.{}({}:)` is filled in from a context here and not in every subgraph",
                filled.field.name, argument.name
            );
            let here = Site {
                place: filled.part.document.places.name(&argument.name),
                word: String::new(),
            };
            let code = "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS";
            let sites = std::iter::once(here).chain(needed).collect();
            self.push(
                clash(code, message, sites)
                    .help("let it be null there, or fill it in from a context too"),
            );
        }
    }
}

fn is_contextual(argument: &Node<InputValueDefinition>) -> bool {
    first(&argument.directives, "fromContext").is_some()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_is_filled_in_is_needed_nowhere_else() {
        let filled = "type A @key(fields: \"id\") @context(name: \"c\") { id: ID! n: Int } \
            type B @key(fields: \"id\") @shareable { id: ID! x(n: Int @fromContext(field: \"$c { n }\")): Int }";
        let other = |ty: &str| {
            format!("type B @key(fields: \"id\") @shareable {{ id: ID! x(n: {ty}): Int }}")
        };
        assert_eq!(said(&[filled, &other("Int")]), "");
        let needed = said(&[filled, &other("Int!")]);
        assert!(
            needed.starts_with(
                "error[CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS] a.graphql:2:"
            ) && needed.contains("^ clients must give it here"),
            "{needed}"
        );
    }
}
