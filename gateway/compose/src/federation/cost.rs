//! `@cost` and `@listSize`: what they may stand on and name.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#customizing-demand-controls>

use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::{Directive, FieldDefinition, Type, Value};
use apollo_compiler::schema::ExtendedType;

use super::selection::fields;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, first};

pub(super) fn check(document: &Document, diagnostics: &mut Diagnostics) {
    for ty in document.schema.types.values() {
        for field in fields(ty).filter(|it| !it.directives.is_empty()) {
            if let (ExtendedType::Interface(_), Some(cost)) = (ty, first(&field.directives, "cost"))
            {
                diagnostics.push(on_interface(document, cost));
            }
            if let Some(size) = first(&field.directives, "listSize") {
                check_size(document, field, size, diagnostics);
            }
        }
    }
}

fn on_interface(document: &Document, cost: &Node<Directive>) -> Diagnostic {
    let message = "nobody answers the field of an interface, only those of its object types";
    Diagnostic::error("COST_APPLIED_TO_INTERFACE_FIELD", message)
        .at(document.places.directive(cost))
        .help("weigh the fields of the object types")
}

fn check_size(
    document: &Document,
    field: &FieldDefinition,
    size: &Node<Directive>,
    diagnostics: &mut Diagnostics,
) {
    let sized = texts(size, "sizedFields");
    if sized.is_empty() && !field.ty.is_list() {
        diagnostics.push(no_list(document, field, size));
    }
    let assumed = size.specified_argument_by_name("assumedSize");
    if let Some(value) = assumed.filter(|it| it.to_i32().is_some_and(|it| it < 0)) {
        let message = "a list has no fewer than 0 items";
        diagnostics.push(
            Diagnostic::error("LIST_SIZE_INVALID_ASSUMED_SIZE", message)
                .at(document.places.node(value)),
        );
    }
    for name in texts(size, "slicingArguments") {
        let problem = slicing_problem(&document.schema, field, name.as_str().unwrap_or(""));
        let found = problem.map(|it| Diagnostic::error("LIST_SIZE_INVALID_SLICING_ARGUMENT", it));
        let found = found.map(|it| it.at(document.places.node(name)));
        diagnostics.extend(found);
    }
    for name in sized {
        let problem = sized_problem(&document.schema, &field.ty, name.as_str().unwrap_or(""));
        let found = problem.map(|it| Diagnostic::error("LIST_SIZE_INVALID_SIZED_FIELD", it));
        let found = found.map(|it| it.at(document.places.node(name)));
        diagnostics.extend(found);
    }
}

fn no_list(document: &Document, field: &FieldDefinition, size: &Node<Directive>) -> Diagnostic {
    let message = format!("`{}` is `{}`, which is no list", field.name, field.ty);
    Diagnostic::error("LIST_SIZE_APPLIED_TO_NON_LIST", message)
        .at(document.places.directive(size))
        .help("name the lists below it: sizedFields: [\"items\"]")
}

/// The texts of an argument; one stands for a list of one.
fn texts<'a>(directive: &'a Directive, argument: &str) -> &'a [Node<Value>] {
    match directive.specified_argument_by_name(argument) {
        Some(value) if value.is_null() => &[],
        Some(value) => value.as_list().unwrap_or(std::slice::from_ref(value)),
        None => &[],
    }
}

/// What keeps an argument, or a dotted path into one, from saying how long a list is.
fn slicing_problem(schema: &Schema, field: &FieldDefinition, path: &str) -> Option<String> {
    let mut segments = path.split('.');
    let first = segments.next().unwrap_or("");
    let Some(argument) = field.argument_by_name(first) else {
        return Some(format!("`{}` has no argument `{first}`", field.name));
    };
    let mut ty = &*argument.ty;
    for segment in segments {
        let object = schema.get_input_object(ty.inner_named_type());
        match object.and_then(|it| it.fields.get(segment)) {
            Some(next) => ty = &next.ty,
            None => return Some(format!("`{ty}` has no field `{segment}`")),
        }
    }
    let is_number = !ty.is_list() && ty.inner_named_type() == "Int";
    (!is_number).then(|| format!("`{path}` is `{ty}`, not `Int`"))
}

/// What keeps a field below, or a dotted path to one, from being a list.
fn sized_problem(schema: &Schema, ty: &Type, path: &str) -> Option<String> {
    let mut ty = ty;
    for segment in path.split('.') {
        let on = schema.types.get(ty.inner_named_type())?;
        match fields(on).find(|it| it.name == segment) {
            Some(field) => ty = &field.ty,
            None => return Some(format!("`{}` has no field `{segment}`", on.name())),
        }
    }
    (!ty.is_list()).then(|| format!("`{path}` is `{ty}`, which is no list"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_interface_costs_nothing() {
        assert_eq!(
            said("interface I { a: Int @cost(weight: 2) }"),
            "error[COST_APPLIED_TO_INTERFACE_FIELD] a.graphql:2:22\n  \
             2 | interface I { a: Int @cost(weight: 2) }\n    \
             |                      ^^^^^ nobody answers the field of an interface, only those of its object types\n  \
             help: weigh the fields of the object types\n"
        );
    }

    #[test]
    fn a_size_is_that_of_a_list() {
        let page = "type Page { items: [Int] total: Int } input Paging { first: Int }";
        for (field, code, column) in [
            (
                "a: Int @listSize(assumedSize: 1)",
                "LIST_SIZE_APPLIED_TO_NON_LIST",
                8,
            ),
            (
                "a: [Int] @listSize(assumedSize: -1)",
                "LIST_SIZE_INVALID_ASSUMED_SIZE",
                33,
            ),
            (
                "a(n: Int): [Int] @listSize(slicingArguments: [\"m\"])",
                "LIST_SIZE_INVALID_SLICING_ARGUMENT",
                47,
            ),
            (
                "a(n: ID): [Int] @listSize(slicingArguments: [\"n\"])",
                "LIST_SIZE_INVALID_SLICING_ARGUMENT",
                46,
            ),
            (
                "a(p: Paging): [Int] @listSize(slicingArguments: [\"p.last\"])",
                "LIST_SIZE_INVALID_SLICING_ARGUMENT",
                50,
            ),
            (
                "a: Page @listSize(assumedSize: 1, sizedFields: [\"total\"])",
                "LIST_SIZE_INVALID_SIZED_FIELD",
                49,
            ),
            (
                "a: Page @listSize(assumedSize: 1, sizedFields: [\"pages\"])",
                "LIST_SIZE_INVALID_SIZED_FIELD",
                49,
            ),
        ] {
            let said = said(&format!("{page}\ntype A {{ {field} }}"));
            let start = format!("error[{code}] a.graphql:3:{}\n", column + 9);
            assert!(said.starts_with(&start), "{field}: {said}");
        }
        for field in [
            "a(n: Int!): [Int] @listSize(slicingArguments: [\"n\"])",
            "a(p: Paging): [Int] @listSize(slicingArguments: [\"p.first\"])",
            "a: Page! @listSize(assumedSize: 1, sizedFields: [\"items\"])",
        ] {
            assert_eq!(said(&format!("{page}\ntype A {{ {field} }}")), "");
        }
    }
}
