//! Subgraph files, read: SDL in, one [`Document`] for each subgraph out.
//!
//! Owns syntax, the names of directives, what each directive accepts, and the
//! way from any piece of a document back to its place in the file. Must not
//! know what the directives mean, nor any other subgraph.

mod built_in;
mod definitions;
mod directives;
mod elements;
mod field_sets;
mod links;
mod names;
mod places;
mod roots;
mod served;
mod unsupported;
mod validity;
mod vocabulary;

pub(crate) use links::{FEDERATION, Link};
pub(crate) use names::{COMPOSED, COMPOSED_ONCE};
pub(crate) use places::Places;
pub(crate) use served::is_machinery;

use std::collections::HashSet;

use apollo_compiler::Schema;
use apollo_compiler::ast::{self, Directive, DirectiveList};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{Parser, SourceSpan};
use apollo_compiler::schema::SchemaBuilder;
use apollo_compiler::validation::DiagnosticList;
use apollo_compiler::{Name, Node};

use crate::diagnostic::{Diagnostic, Diagnostics, MOST};
use crate::files::{SchemaFiles, SubgraphFile};
use crate::model::SubgraphId;

/// One subgraph's file, read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Which subgraph.
    pub(crate) subgraph: SubgraphId,
    /// The subgraph's name in the configuration.
    pub(crate) name: String,
    /// The file, as diagnostics name it.
    pub(crate) file: String,
    /// Whether Federation v1 or v2 says what a type in several files means.
    pub(crate) federation: Federation,
    /// Whether it was read from a supergraph, in which somebody has composed it already.
    pub(crate) is_composed: bool,
    /// The source of the GraphQL service that serves the whole file: it answers root fields and
    /// resolves entities by `_entities`. None where each field says who answers it.
    pub(crate) served_by: Option<String>,
    /// Every `@link` of the file.
    pub(crate) links: Vec<Link>,
    /// The types that a specification defines, not the file.
    pub(crate) machinery: HashSet<Name>,
    /// The directives that are the file's own; where they are applied their names have a prefix.
    pub(crate) own_directives: HashSet<Name>,
    /// What the file declares, extensions folded in. Directives carry their
    /// canonical names (`rest`, `key`), whatever the file calls them, and the
    /// root types are `Query`, `Mutation` and `Subscription`.
    pub(crate) schema: Schema,
    /// From spans to places.
    pub(crate) places: Places,
}

/// Whose rules a file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Federation {
    /// Every type is shareable, and a type of another file is extended.
    V1,
    /// A field belongs to one file unless it is `@shareable`.
    V2 {
        /// `9` of v2.9; the last one known for a file that links none.
        minor: u32,
    },
}

impl Document {
    /// Whether any of its fields is queued.
    pub(crate) fn queues(&self) -> bool {
        let objects = self.schema.types.values().filter_map(|ty| ty.as_object());
        let mut fields = objects.flat_map(|object| object.fields.values());
        fields.any(|field| first(&field.directives, "queue").is_some())
    }

    /// The directives of one canonical name on the schema itself.
    pub(crate) fn schema_directives<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Node<Directive>> {
        all(&self.schema.schema_definition.directives, name)
    }
}

/// The directives of one canonical name.
pub(crate) fn all<'a>(
    directives: &'a DirectiveList,
    name: &'a str,
) -> impl Iterator<Item = &'a Node<Directive>> {
    directives.iter().filter(move |d| d.name == name)
}

/// The first directive of one canonical name.
pub(crate) fn first<'a>(directives: &'a DirectiveList, name: &str) -> Option<&'a Node<Directive>> {
    directives.iter().find(|d| d.name == name)
}

/// Parses every file and checks each for itself. `None` after a syntax error:
/// what else is said of half a file only hides it.
pub(crate) fn read(files: &SchemaFiles, diagnostics: &mut Diagnostics) -> Option<Vec<Document>> {
    let documents = parse(files, diagnostics);
    if diagnostics.codes().contains(&"SYNTAX") {
        return None;
    }
    for (document, file) in documents.iter().zip(&files.subgraphs) {
        directives::check(document, diagnostics);
        unsupported::check(document, diagnostics);
        validity::check(document, file, diagnostics);
    }
    Some(documents)
}

/// Parses every file. A file with a syntax error yields the document of what could be read.
pub(crate) fn parse(files: &SchemaFiles, diagnostics: &mut Diagnostics) -> Vec<Document> {
    let numbered = files.subgraphs.iter().zip(0..);
    numbered
        .map(|(file, id)| parse_one(SubgraphId(id), file, &files.queue.prefix, diagnostics))
        .collect()
}

fn parse_one(
    subgraph: SubgraphId,
    file: &SubgraphFile,
    prefix: &str,
    diagnostics: &mut Diagnostics,
) -> Document {
    let places = Places::of(file);
    let mut ast = parse_syntax(&file.file, &file.sdl, &places, diagnostics);
    let names = names::of(&ast, file, &places, diagnostics);
    definitions::check(&ast, &names, &places, diagnostics);
    names.canonicalise(&mut ast);
    if names.federation == Federation::V1 {
        field_sets::quote(&mut ast);
    }
    roots::canonicalise(&mut ast, &places, diagnostics);
    let served_by = served::add(&mut ast, file);
    built_in::add(&mut ast, prefix);
    Document {
        subgraph,
        name: file.name.clone(),
        file: file.file.clone(),
        federation: names.federation,
        is_composed: file.origin.is_some(),
        served_by,
        machinery: names.machinery_of(&ast),
        own_directives: names.own_directives(&ast),
        links: names.links,
        schema: build(&ast, &places, diagnostics),
        places,
    }
}

/// Parses a file that is no subgraph: nothing in it has a canonical name.
pub(crate) fn parse_plain(
    file: &str,
    sdl: &str,
    diagnostics: &mut Diagnostics,
) -> (Schema, Places) {
    let places = Places::new(file, sdl);
    let ast = parse_syntax(file, sdl, &places, diagnostics);
    (build(&ast, &places, diagnostics), places)
}

/// Whether a directive is ours, not a standard's: the join specification has no word for it.
pub(crate) fn is_ours(name: &str) -> bool {
    name == "cacheControl" || vocabulary::OURS.contains(&name)
}

/// Whether the vocabulary has a directive of this name.
pub(crate) fn is_known_directive(name: &str) -> bool {
    vocabulary::directive(name).is_some()
}

fn parse_syntax(
    name: &str,
    sdl: &str,
    places: &Places,
    diagnostics: &mut Diagnostics,
) -> ast::Document {
    Parser::new()
        .parse_ast(sdl, name)
        .unwrap_or_else(|invalid| {
            for (message, span) in first_of_each_mistake(findings(&invalid.errors)) {
                diagnostics.push(syntax_error(&message).at(places.span(span)));
            }
            invalid.partial
        })
}

/// After a mistake the parser stumbles on until the next definition. What it says at the same
/// place, and that it expected a definition, follows from the mistake.
fn first_of_each_mistake(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for (message, span) in findings {
        let start = span.map(|span| span.offset());
        let told = |(_, before): &Finding| before.map(|span| span.offset()) == start;
        let stumbles = message.to_lowercase().contains("definition");
        if kept.is_empty() || !(stumbles || kept.last().is_some_and(told)) {
            kept.push((message, span));
        }
    }
    kept
}

fn syntax_error(message: &str) -> Diagnostic {
    let message = message.trim_start_matches("syntax error: ");
    let found = Diagnostic::error("SYNTAX", message);
    if message.contains("variable") {
        return found.help("an expression is a text: \"$args.id\"");
    }
    found
}

/// Folds extensions into definitions. A subgraph may extend types that another defines.
fn build(ast: &ast::Document, places: &Places, diagnostics: &mut Diagnostics) -> Schema {
    SchemaBuilder::new()
        .adopt_orphan_extensions()
        .ignore_builtin_redefinitions()
        .validate_default_values(false)
        .add_ast(ast)
        .build()
        .unwrap_or_else(|invalid| {
            for (message, span) in findings(&invalid.errors) {
                diagnostics.push(invalid_graphql(message).at(places.span(span)));
            }
            invalid.partial
        })
}

/// What the GraphQL library says of one place.
type Finding = (String, Option<SourceSpan>);

/// What the GraphQL library has to say, and where.
fn findings(errors: &DiagnosticList) -> Vec<Finding> {
    errors
        .iter()
        .take(MOST)
        .map(|finding| (finding.error.to_string(), finding.error.location()))
        .collect()
}

/// A rule of the GraphQL specification is broken; the Federation composition code for it.
fn invalid_graphql(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("INVALID_GRAPHQL", message)
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of this room share.

    use super::*;

    /// One file that declares sources, or is given a `url`.
    pub(crate) fn files(sdl: &str) -> SchemaFiles {
        SchemaFiles {
            subgraphs: vec![SubgraphFile {
                name: "shop".into(),
                file: "shop.graphql".into(),
                sdl: sdl.into(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// What reading says of one file.
    pub(crate) fn said_of(sdl: &str) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        read(&files(sdl), &mut diagnostics);
        diagnostics
    }

    /// A file with one REST source and the given rest.
    pub(crate) fn with_source(sdl: &str) -> String {
        format!("extend schema @source(name: \"s\", http: {{ baseURL: \"http://s\" }})\n{sdl}")
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn a_syntax_error_says_where_and_hides_what_follows_from_it() {
        let said = said_of("type Query {\n  user(: User\n}\ntype A @unknown { a: B }");
        assert_eq!(
            said.0[0].to_string(),
            "error[SYNTAX] shop.graphql:2:8\n  \
             2 |   user(: User\n    |        ^ expected an Argument Definition\n"
        );
        assert!(said.codes().iter().all(|code| *code == "SYNTAX"));
    }

    #[test]
    fn an_expression_without_quotes_is_told_to_have_them() {
        let said = said_of(&with_source(
            "type Query { a: Int @rest(GET: \"/\", query: { id: $args }) }",
        ));
        assert_eq!(
            said.0[0].to_string(),
            "error[SYNTAX] shop.graphql:2:50\n  \
             2 | type Query { a: Int @rest(GET: \"/\", query: { id: $args }) }\n    \
             |                                                  ^ unexpected variable value in a Const context\n  \
             help: an expression is a text: \"$args.id\"\n"
        );
    }

    #[test]
    fn every_syntax_error_of_every_file_is_told() {
        let mut files = files("type A { ");
        files.subgraphs.push(SubgraphFile {
            file: "b.graphql".into(),
            sdl: "type { a: Int }".into(),
            ..Default::default()
        });
        let mut diagnostics = Diagnostics::default();
        assert!(read(&files, &mut diagnostics).is_none());
        let mut files: Vec<String> = diagnostics
            .0
            .iter()
            .filter_map(|d| Some(d.place.as_ref()?.file.clone()))
            .collect();
        files.dedup();
        assert_eq!(files, ["shop.graphql", "b.graphql"]);
    }

    #[test]
    fn a_type_may_be_extended_before_it_is_defined() {
        let documents = parse(
            &files("extend type A { b: Int } type A { a: Int }"),
            &mut Diagnostics::default(),
        );
        let fields = documents[0]
            .schema
            .get_object("A")
            .expect("type A")
            .fields
            .keys();
        assert_eq!(fields.collect::<Vec<_>>(), ["a", "b"]);
    }
}
