//! Whether objects and interfaces still implement their interfaces once all subgraphs are merged.
//!
//! One subgraph may add a field to an interface whose implementations another declares.

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;

/// Checks every object type and interface.
pub(super) fn check(schema: &Schema, documents: &[Document], diagnostics: &mut Diagnostics) {
    for ty in schema.types.values() {
        let (interfaces, fields) = match ty {
            ExtendedType::Object(it) => (&it.implements_interfaces, &it.fields),
            ExtendedType::Interface(it) => (&it.implements_interfaces, &it.fields),
            _ => continue,
        };
        let interfaces = interfaces.iter().filter_map(|it| schema.get_interface(it));
        for interface in interfaces {
            let missing = interface.fields.values();
            for field in missing.filter(|it| !fields.contains_key(&it.name)) {
                let coordinate = format!("{}.{}", interface.name, field.name);
                diagnostics.push(missing_field(
                    &coordinate,
                    ty.name(),
                    &field.name,
                    documents,
                ));
            }
        }
    }
}

fn missing_field(coordinate: &str, ty: &Name, field: &Name, documents: &[Document]) -> Diagnostic {
    let message =
        format!("`{coordinate}` is declared here, and no subgraph declares `{ty}.{field}`");
    let found = Diagnostic::error("INTERFACE_FIELD_NO_IMPLEM", message);
    let found = match place(documents, field) {
        Some(place) => found.at(place),
        None => found,
    };
    let found = documents.iter().fold(found, |found, document| {
        match document.schema.types.get(ty) {
            Some(declared) => found.related(
                document.places.name(declared.name()),
                format!("without `{field}` here"),
            ),
            None => found,
        }
    });
    found.help(format!("declare `{field}` on `{ty}` too"))
}

fn place(documents: &[Document], name: &Name) -> Option<Place> {
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
             at a.graphql:2:29\n  \
             2 | interface I { a: Int } type A implements I { a: Int }\n    \
             |                             ^ without `b` here\n  \
             help: declare `b` on `A` too\n"
        );
    }
}
