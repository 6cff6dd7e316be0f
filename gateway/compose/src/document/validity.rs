//! Whether a document is a GraphQL schema, its directives aside.
//!
//! Owns what the specification says of one schema. A subgraph may lack a Query
//! type; everything else must hold in each file for itself, as Federation demands.

use apollo_compiler::Schema;
use apollo_compiler::ast::{Directive, DirectiveList, FieldDefinition, InputValueDefinition};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::DiagnosticData;
use apollo_compiler::{Name, Node};

use super::{Document, invalid_graphql};
use crate::diagnostic::{Diagnostic, Diagnostics, MOST};
use crate::files::SubgraphFile;
use crate::suggest::{closest, did_you_mean};

/// Checks one document.
pub(super) fn check(document: &Document, file: &SubgraphFile, diagnostics: &mut Diagnostics) {
    if let Err(invalid) = without_directives(&document.schema).validate() {
        for finding in invalid.errors.iter().take(MOST) {
            if finding.error.unstable_error_name() != Some("QueryRootOperationType") {
                diagnostics.push(told(finding.error, document));
            }
        }
    }
    if document.schema_directives("source").next().is_none() && file.url.is_none() {
        nobody_answers(document, diagnostics);
    }
    // What stands for the `url` is nowhere written.
    let mut declared = document.schema_directives("source");
    let declared = declared.find(|it| it.location().is_some());
    if let Some(declared) = declared.filter(|_| file.url.is_some()) {
        diagnostics.push(served_twice(document, declared));
    }
}

fn told(error: &DiagnosticData, document: &Document) -> Diagnostic {
    let span = error.location();
    let found = invalid_graphql(error.to_string()).at(document.places.span(span));
    if error.unstable_error_name() != Some("UndefinedDefinition") {
        return found;
    }
    let unknown = span.map_or("", |span| document.places.text(span));
    let known = document
        .schema
        .types
        .keys()
        .map(Name::as_str)
        .filter(|name| !name.starts_with("__"));
    match did_you_mean(&closest(unknown, known)) {
        Some(help) => found.help(help),
        None => found.help(format!(
            "declare it in this file too: every subgraph file stands for itself (scalar {unknown})"
        )),
    }
}

fn served_twice(document: &Document, declared: &Node<Directive>) -> Diagnostic {
    let message = "the configuration gives the file a service that answers all of it (`url`), and the file declares sources of its own";
    Diagnostic::error("AMBIGUOUS_SOURCE", message)
        .at(document.places.directive(declared))
        .help("leave the `url` out, and declare that service here too: @source(name: \"...\", graphql: { url: \"...\", federation: true })")
}

/// A file without a source may hold what needs no service: scalars, enums and inputs.
fn nobody_answers(document: &Document, diagnostics: &mut Diagnostics) {
    let declared = document
        .schema
        .types
        .values()
        .filter(|ty| !ty.is_built_in());
    for ty in declared {
        let fields = match ty {
            ExtendedType::Object(it) => it.fields.len(),
            ExtendedType::Interface(it) => it.fields.len(),
            ExtendedType::Union(_) => 1,
            ExtendedType::Scalar(_) | ExtendedType::Enum(_) | ExtendedType::InputObject(_) => 0,
        };
        if fields > 0 {
            diagnostics.push(
                Diagnostic::error("NO_RESOLVER", format!("no service answers `{}`", ty.name()))
                    .at(document.places.name(ty.name()))
                    .help("declare one: extend schema @source(name: \"...\", http: { baseURL: \"...\" })"),
            );
        }
    }
}

/// The schema with only the language's own directives, which are all that GraphQL has rules for.
fn without_directives(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    strip(&mut schema.schema_definition.make_mut().directives);
    schema
        .directive_definitions
        .retain(|_, definition| definition.is_built_in());
    for ty in schema.types.values_mut().filter(|ty| !ty.is_built_in()) {
        strip_type(ty);
    }
    schema
}

fn strip_type(ty: &mut ExtendedType) {
    match ty {
        ExtendedType::Scalar(it) => strip(&mut it.make_mut().directives),
        ExtendedType::Union(it) => strip(&mut it.make_mut().directives),
        ExtendedType::Object(it) => {
            let it = it.make_mut();
            strip(&mut it.directives);
            it.fields.values_mut().for_each(strip_field);
        }
        ExtendedType::Interface(it) => {
            let it = it.make_mut();
            strip(&mut it.directives);
            it.fields.values_mut().for_each(strip_field);
        }
        ExtendedType::Enum(it) => {
            let it = it.make_mut();
            strip(&mut it.directives);
            for value in it.values.values_mut() {
                strip(&mut value.make_mut().directives);
            }
        }
        ExtendedType::InputObject(it) => {
            let it = it.make_mut();
            strip(&mut it.directives);
            it.fields.values_mut().for_each(strip_input);
        }
    }
}

fn strip_field(field: &mut Node<FieldDefinition>) {
    let field = field.make_mut();
    strip(&mut field.directives);
    field.arguments.iter_mut().for_each(strip_input);
}

fn strip_input(input: &mut Node<InputValueDefinition>) {
    if !input.directives.is_empty() {
        strip(&mut input.make_mut().directives);
    }
}

fn strip(directives: &mut DirectiveList) {
    directives
        .0
        .retain(|d| matches!(d.name.as_str(), "deprecated" | "specifiedBy" | "oneOf"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_undeclared_type_is_told_with_the_one_that_was_meant() {
        assert_eq!(
            said_of(&with_source(
                "type User { a: Int } type Query { u: Usr @rest(GET: \"/u\") }"
            ))
            .to_string(),
            "error[INVALID_GRAPHQL] shop.graphql:2:38\n  \
             2 | type User { a: Int } type Query { u: Usr @rest(GET: \"/u\") }\n    \
             |                                      ^^^ cannot find type `Usr` in this document\n  \
             help: did you mean `User`?\n"
        );
        assert!(
            said_of(&with_source("type User { at: DateTime }"))
                .to_string()
                .contains("help: declare it in this file too: every subgraph file stands for itself (scalar DateTime)")
        );
    }

    #[test]
    fn a_file_needs_no_query_type() {
        assert!(said_of(&with_source("type A { a: Int }")).is_empty());
    }

    #[test]
    fn a_file_that_breaks_the_language_is_told_where() {
        for sdl in [
            "type A { a: Int } type A { b: Int }",
            "type A { a: Int a: Int }",
            "type A implements I { a: Int } interface I { b: Int }",
            "input I { i: I! }",
            "type A { a(i: B): Int } type B { b: Int }",
            "query { a }",
            "union U = Int",
            "type __A { a: Int }",
        ] {
            let said = said_of(&with_source(sdl));
            assert!(
                !said.is_empty() && said.codes().iter().all(|code| *code == "INVALID_GRAPHQL"),
                "{sdl}: {said}"
            );
            assert!(
                said.0
                    .iter()
                    .all(|d| d.place.as_ref().is_some_and(|p| p.line == 2)),
                "{sdl}: {said}"
            );
        }
    }

    #[test]
    fn a_file_with_a_service_of_its_own_declares_no_other() {
        let mut files = files(&with_source("type Query { a: Int @rest(GET: \"/a\") }"));
        files.subgraphs[0].url = Some("http://a".into());
        let mut diagnostics = crate::Diagnostics::default();
        super::super::read(&files, &mut diagnostics);
        assert_eq!(diagnostics.codes(), ["AMBIGUOUS_SOURCE"]);
        let said = diagnostics.to_string();
        assert!(
            said.starts_with("error[AMBIGUOUS_SOURCE] shop.graphql:1:15\n"),
            "{said}"
        );
    }

    #[test]
    fn without_a_source_a_file_may_only_hold_what_needs_no_service() {
        assert!(said_of("scalar S enum E { A } input I { s: S }").is_empty());
        assert_eq!(
            said_of("type A { a: Int }").to_string(),
            "error[NO_RESOLVER] shop.graphql:1:6\n  \
             1 | type A { a: Int }\n    \
             |      ^ no service answers `A`\n  \
             help: declare one: extend schema @source(name: \"...\", http: { baseURL: \"...\" })\n"
        );
    }
}
