//! What the vocabulary defines and this release does not do yet.
//!
//! Owns the list. Nothing is ignored in silence: an access rule that nobody
//! enforces would be worse than none.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveLocation};

use super::Document;
use super::elements::{self, Element};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// Refuses what this release would not obey.
pub(super) fn check(document: &Document, diagnostics: &mut Diagnostics) {
    elements::visit(&document.schema, &mut |element| {
        for directive in element.directives.iter() {
            for (what, place) in unsupported_in(directive, &element, document) {
                diagnostics.push(unsupported(&what, place));
            }
        }
    });
}

fn unsupported(what: &str, place: Place) -> Diagnostic {
    Diagnostic::error(
        "UNSUPPORTED",
        format!("{what} is not supported by this release"),
    )
    .at(place)
}

fn unsupported_in(
    directive: &Node<Directive>,
    element: &Element<'_>,
    document: &Document,
) -> Vec<(String, Place)> {
    let whole = |what: String| vec![(what, document.places.directive(directive))];
    match directive.name.as_str() {
        name @ ("event" | "lookup" | "is" | "require" | "internal" | "context" | "fromContext") => {
            whole(format!("@{name}"))
        }
        name @ ("rest" | "graphql") if is_subscription(element) => {
            whole(format!("@{name} on a Subscription field"))
        }
        "source" => unsupported_source(directive, document),
        _ => Vec::new(),
    }
}

fn unsupported_source(directive: &Node<Directive>, document: &Document) -> Vec<(String, Place)> {
    let kind = |name: &str| directive.arguments.iter().find(|it| it.name == name);
    let mut found = Vec::new();
    if let Some(events) = kind("events") {
        let place = document.places.name(&events.name);
        found.push(("a source of kind `events`".to_owned(), place));
    }
    found
}

fn is_subscription(element: &Element<'_>) -> bool {
    element.location == DirectiveLocation::FieldDefinition
        && element.ty.is_some_and(|ty| ty.name() == "Subscription")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_is_not_done_yet_is_refused_where_it_is_written() {
        for sdl in [
            "type Mutation { a: Int @rest(POST: \"/a\") @event(topic: \"a\") }",
            "type Query { a: Int @lookup @rest(GET: \"/a\") }",
            "type Subscription { a: Int @rest(GET: \"/a\") }",
            "type Subscription { a: Int @graphql }",
        ] {
            assert_eq!(said_of(&with_source(sdl)).codes(), ["UNSUPPORTED"], "{sdl}");
        }
        assert_eq!(
            said_of(&with_source("type Query { a: Int @lookup }")).to_string(),
            "error[UNSUPPORTED] shop.graphql:2:21\n  \
             2 | type Query { a: Int @lookup }\n    \
             |                     ^^^^^^^ @lookup is not supported by this release\n"
        );
    }
}
