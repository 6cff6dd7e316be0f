//! Descriptions over subgraphs: the first counts, and others are told of.

use apollo_compiler::{Name, Node};

use super::declared::Part;
use super::{Merging, Site, clash};
use crate::diagnostic::Severity;
use crate::document::Document;

/// What one file says of an element.
pub(super) type Said<'a> = (&'a Document, &'a Name, Option<&'a Node<str>>);

impl<'a> Merging<'a, '_> {
    /// The description of a type.
    pub(super) fn type_description(
        &mut self,
        name: &Name,
        parts: &[Part<'a>],
    ) -> Option<Node<str>> {
        let said = parts.iter();
        let said = said.map(|it| (it.document, it.ty.name(), it.ty.description()));
        self.description(name.as_str(), said)
    }

    /// The first description; a hint where another says something else.
    pub(super) fn description(
        &mut self,
        element: &str,
        said: impl Iterator<Item = Said<'a>>,
    ) -> Option<Node<str>> {
        let mut said = said.filter_map(|(document, name, text)| Some((document, name, text?)));
        let first = said.next()?;
        let others: Vec<_> = said.filter(|(.., text)| *text != first.2).collect();
        if !others.is_empty() {
            let sites = std::iter::once(&first).chain(&others);
            let sites = sites.map(|(document, name, _)| Site {
                place: document.places.name(name),
                word: "described otherwise here".to_owned(),
            });
            let message = format!("clients are shown this description of `{element}`");
            let mut found = clash("INCONSISTENT_DESCRIPTION", message, sites.collect());
            found.severity = Severity::Warning;
            self.push(found);
        }
        Some(first.2.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn descriptions_that_differ_are_told() {
        let said = said(&[
            "\"One\" type A @shareable { a: Int }",
            "type A @shareable { a: Int }",
            "\"Two\" type A @shareable { \"two\" a: Int }",
        ]);
        assert_eq!(
            said,
            "warning[INCONSISTENT_DESCRIPTION] a.graphql:2:12\n  \
             2 | \"One\" type A @shareable { a: Int }\n    \
             |            ^ clients are shown this description of `A`\n  \
             at c.graphql:2:12\n  \
             2 | \"Two\" type A @shareable { \"two\" a: Int }\n    \
             |            ^ described otherwise here\n"
        );
    }
}
