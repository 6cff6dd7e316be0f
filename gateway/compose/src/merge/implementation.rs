//! Whether objects still implement their interfaces once all subgraphs are merged.
//!
//! One subgraph may add a field to an interface whose implementations another declares.

use apollo_compiler::Schema;
use apollo_compiler::schema::{ExtendedType, ObjectType};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;

/// Checks every object type.
pub(super) fn check(schema: &Schema, documents: &[Document], diagnostics: &mut Diagnostics) {
    for ty in schema.types.values() {
        if let ExtendedType::Object(object) = ty {
            check_object(schema, object, documents, diagnostics);
        }
    }
}

fn check_object(
    schema: &Schema,
    object: &ObjectType,
    documents: &[Document],
    diagnostics: &mut Diagnostics,
) {
    let interfaces = object
        .implements_interfaces
        .iter()
        .filter_map(|name| schema.get_interface(name));
    for interface in interfaces {
        for field in interface
            .fields
            .values()
            .filter(|field| !object.fields.contains_key(&field.name))
        {
            let message = format!(
                "`{}.{}` is declared here, and no subgraph declares `{}.{}`",
                interface.name, field.name, object.name, field.name
            );
            let found = Diagnostic::error("INTERFACE_FIELD_NO_IMPLEM", message);
            let found = match place(documents, &field.name) {
                Some(place) => found.at(place),
                None => found,
            };
            diagnostics
                .push(found.help(format!("declare `{}` on `{}` too", field.name, object.name)));
        }
    }
}

fn place(documents: &[Document], name: &apollo_compiler::Name) -> Option<Place> {
    let span = name.location()?;
    let document = documents
        .iter()
        .find(|it| it.schema.sources.contains_key(&span.file_id()))?;
    Some(document.places.span(Some(span)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_object_has_the_fields_that_any_subgraph_gives_its_interface() {
        assert_eq!(
            said(&[
                "interface I { a: Int } type A implements I { a: Int }",
                "interface I { b: Int }",
            ]),
            "error[INTERFACE_FIELD_NO_IMPLEM] b.graphql:2:15\n  \
             2 | interface I { b: Int }\n    \
             |               ^ `I.b` is declared here, and no subgraph declares `A.b`\n  \
             help: declare `b` on `A` too\n"
        );
    }
}
