//! `@shareable`: what it may stand on.

use std::collections::HashSet;

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::schema::ExtendedType;

use super::selection::fields;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, all, first};

pub(super) fn check(document: &Document, diagnostics: &mut Diagnostics) {
    for ty in document.schema.types.values() {
        check_repeated(document, ty.directives(), diagnostics);
        for field in fields(ty) {
            check_repeated(document, &field.directives, diagnostics);
            let Some(shareable) = first(&field.directives, "shareable") else {
                continue;
            };
            let (code, message) = match ty {
                ExtendedType::Interface(_) => (
                    "INVALID_SHAREABLE_USAGE",
                    "nobody answers the field of an interface, only those of its object types",
                ),
                _ if ty.name() == "Subscription" => (
                    "INVALID_FIELD_SHARING",
                    "a subscription is answered by one subgraph",
                ),
                _ => continue,
            };
            let found = Diagnostic::error(code, message);
            diagnostics.push(found.at(document.places.directive(shareable)));
        }
    }
}

/// It may be repeated only to stand on a definition and on its extensions.
fn check_repeated(document: &Document, directives: &DirectiveList, diagnostics: &mut Diagnostics) {
    let mut seen = HashSet::new();
    for directive in all(directives, "shareable") {
        if !seen.insert(directive.extension_id()) {
            diagnostics.push(
                Diagnostic::error("INVALID_SHAREABLE_USAGE", "@shareable is given twice here")
                    .at(document.places.directive(directive))
                    .help("keep one"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn fields_of_object_types_are_shared() {
        assert_eq!(
            said("type A @shareable { a: Int } extend type A @shareable { b: Int @shareable }"),
            ""
        );
        let interface = said("interface I { a: Int @shareable }");
        assert!(
            interface.starts_with("error[INVALID_SHAREABLE_USAGE] a.graphql:2:22\n"),
            "{interface}"
        );
        let subscription = said("type Subscription { a: Int @shareable }");
        assert!(
            subscription.starts_with("error[INVALID_FIELD_SHARING] a.graphql:2:28\n"),
            "{subscription}"
        );
    }

    #[test]
    fn sharing_is_said_once_of_each_declaration() {
        assert_eq!(
            said("type A @shareable @shareable { a: Int }"),
            "error[INVALID_SHAREABLE_USAGE] a.graphql:2:19\n  \
             2 | type A @shareable @shareable { a: Int }\n    \
             |                   ^^^^^^^^^^ @shareable is given twice here\n  \
             help: keep one\n"
        );
    }
}
