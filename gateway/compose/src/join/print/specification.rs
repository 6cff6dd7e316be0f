//! What a supergraph says of itself: links, definitions, and its subgraphs.
//!
//! Owns the texts of the specifications: <https://specs.apollo.dev/join/>,
//! <https://specs.apollo.dev/link/>, and those of the directives that are used.

use std::fmt::Write as _;

use apollo_compiler::Schema;
use apollo_compiler::ast::{DirectiveLocation, Value};
use apollo_compiler::schema::SchemaBuilder;
use indexmap::IndexSet;

use super::graphs::Graphs;

const JOIN: &str = r#"
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false, resolvable: Boolean! = true, isInterfaceObject: Boolean! = false) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String, contextArguments: [join__ContextArgument!]) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
scalar link__Import
enum link__Purpose {
  "`SECURITY` features provide metadata necessary to securely resolve fields."
  SECURITY
  "`EXECUTION` features provide metadata necessary for operation execution."
  EXECUTION
}
scalar join__FieldSet
scalar join__FieldValue
scalar join__DirectiveArguments
input join__ContextArgument { name: String! type: String! context: String! selection: join__FieldValue! }
"#;

/// A specification, the directives of its that are ours to print, its link and its definitions.
struct Linked {
    directives: &'static [&'static str],
    link: &'static str,
    definitions: &'static str,
}

const LINKED: [Linked; 6] = [
    Linked {
        directives: &["tag"],
        link: r#"@link(url: "https://specs.apollo.dev/tag/v0.3")"#,
        definitions: "directive @tag(name: String!) repeatable on FIELD_DEFINITION | INTERFACE | OBJECT | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION | SCHEMA",
    },
    Linked {
        directives: &["inaccessible"],
        link: r#"@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)"#,
        definitions: "directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    },
    Linked {
        directives: &["authenticated"],
        link: r#"@link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)"#,
        definitions: "directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM",
    },
    Linked {
        directives: &["requiresScopes"],
        link: r#"@link(url: "https://specs.apollo.dev/requiresScopes/v0.1", for: SECURITY)"#,
        definitions: "directive @requiresScopes(scopes: [[requiresScopes__Scope!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM scalar requiresScopes__Scope",
    },
    Linked {
        directives: &["policy"],
        link: r#"@link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY)"#,
        definitions: "directive @policy(policies: [[policy__Policy!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM scalar policy__Policy",
    },
    Linked {
        directives: &["cost", "listSize"],
        link: r#"@link(url: "https://specs.apollo.dev/cost/v0.1", import: ["@cost", "@listSize"])"#,
        definitions: "directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION",
    },
];

/// The name of a directive that travels under a link of its own.
pub(super) fn linked(name: &str) -> Option<&'static str> {
    let mut names = LINKED.iter().flat_map(|linked| linked.directives);
    names.find(|known| **known == name).copied()
}

/// The beginning of a supergraph, before its own types.
pub(super) fn schema(
    graphs: &Graphs,
    used: &IndexSet<&'static str>,
    places: &IndexSet<DirectiveLocation>,
) -> Schema {
    let needed = |linked: &&Linked| linked.directives.iter().any(|name| used.contains(name));
    let mut text = String::from(
        "schema @link(url: \"https://specs.apollo.dev/link/v1.0\") @link(url: \"https://specs.apollo.dev/join/v0.5\", for: EXECUTION)",
    );
    for linked in LINKED.iter().filter(needed) {
        text.push_str(linked.link);
    }
    text.push_str(" { query: Query }");
    text.push_str(JOIN);
    text.push_str(&directive_of_subgraphs(places));
    for linked in LINKED.iter().filter(needed) {
        text.push_str(linked.definitions);
        text.push('\n');
    }
    text.push_str("enum join__Graph {");
    for graph in &graphs.0 {
        let (name, url) = (string(&graph.name), string(&graph.url));
        // Writing to memory cannot fail.
        let _ = write!(
            text,
            " {} @join__graph(name: {name}, url: {url})",
            graph.value
        );
    }
    text.push_str(" }");
    SchemaBuilder::new()
        .parse(text, "supergraph.graphql")
        .build()
        .unwrap_or_else(|invalid| invalid.partial)
}

/// Where only GraphQL services answer this is the definition of the specification, to the letter.
/// Our own directives may stand where it does not foresee any.
fn directive_of_subgraphs(places: &IndexSet<DirectiveLocation>) -> String {
    use DirectiveLocation as At;
    let foreseen = [At::Schema, At::Object, At::Interface, At::FieldDefinition];
    let all: IndexSet<DirectiveLocation> =
        foreseen.into_iter().chain(places.iter().copied()).collect();
    let all: Vec<&str> = all.iter().map(|at| at.name()).collect();
    format!(
        "directive @join__directive(graphs: [join__Graph!], name: String!, args: join__DirectiveArguments) repeatable on {}\n",
        all.join(" | ")
    )
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}
