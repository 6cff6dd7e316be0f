//! What the file of a subgraph leaves unsaid that its own GraphQL service answers.
//!
//! Owns which files these are, and that they are read as if they said it in our
//! words: a source, and who answers each root field. How an entity is fetched
//! there, its `@key`s say; that is lowered with them.

use apollo_compiler::Node;
use apollo_compiler::ast::{
    self, Argument, Definition, Directive, DirectiveList, FieldDefinition, SchemaExtension, Value,
};
use apollo_compiler::{Name, name};

use crate::files::SubgraphFile;

/// Directives that say who answers a field.
const ANSWERS: [&str; 4] = ["rest", "grpc", "graphql", "event"];

/// Says what is unsaid, and which source it is that answers for the subgraph; none for a file
/// that says everything itself. Directives and root types have their canonical names already.
pub(super) fn add(ast: &mut ast::Document, file: &SubgraphFile) -> Option<String> {
    let source = match (declared(ast), &file.url) {
        (Some(declared), _) => declared,
        (None, Some(url)) if !declares_source(ast) => {
            ast.definitions.push(source_of(&file.name, url));
            file.name.clone()
        }
        _ => return None,
    };
    for definition in &mut ast.definitions {
        match definition {
            Definition::ObjectTypeDefinition(it) if is_root(&it.name) => {
                answer(&mut it.make_mut().fields, &source);
            }
            Definition::ObjectTypeExtension(it) if is_root(&it.name) => {
                answer(&mut it.make_mut().fields, &source);
            }
            _ => {}
        }
    }
    Some(source)
}

/// What Federation libraries add to a service's Query.
pub(crate) fn is_machinery(ty: &str, field: &str) -> bool {
    ty == "Query" && matches!(field, "_service" | "_entities")
}

fn is_root(name: &str) -> bool {
    matches!(name, "Query" | "Mutation" | "Subscription")
}

fn schema_directives(ast: &ast::Document) -> impl Iterator<Item = &Node<Directive>> {
    let lists = ast.definitions.iter().filter_map(|it| match it {
        Definition::SchemaDefinition(it) => Some(&it.directives),
        Definition::SchemaExtension(it) => Some(&it.directives),
        _ => None,
    });
    lists.flat_map(|directives| directives.iter())
}

fn declares_source(ast: &ast::Document) -> bool {
    schema_directives(ast).any(|it| it.name == "source")
}

/// `@source(name: NAME, graphql: { federation: true })`
fn declared(ast: &ast::Document) -> Option<String> {
    let is_federated = |directive: &&Node<Directive>| {
        let graphql = directive.specified_argument_by_name("graphql");
        let fields = graphql.and_then(|it| it.as_object()).unwrap_or_default();
        let mut fields = fields.iter();
        fields.any(|(name, value)| *name == "federation" && value.to_bool() == Some(true))
    };
    let mut sources = schema_directives(ast).filter(|it| it.name == "source");
    let federated = sources.find(is_federated)?;
    let name = federated.specified_argument_by_name("name")?.as_str()?;
    Some(name.to_owned())
}

fn source_of(name: &str, url: &str) -> Definition {
    let graphql = Value::Object(vec![
        (name!("url"), text(url)),
        (name!("federation"), Node::new(Value::Boolean(true))),
    ]);
    let arguments = vec![
        argument(name!("name"), text(name)),
        argument(name!("graphql"), Node::new(graphql)),
    ];
    Definition::SchemaExtension(Node::new(SchemaExtension {
        directives: DirectiveList(vec![directive(name!("source"), arguments)]),
        root_operations: Vec::new(),
    }))
}

fn answer(fields: &mut [Node<FieldDefinition>], source: &str) {
    for field in fields {
        let says = ANSWERS.iter().any(|it| has(field, it));
        let elsewhere = has(field, "external");
        if !says && !elsewhere && !is_machinery("Query", &field.name) {
            let arguments = vec![argument(name!("source"), text(source))];
            let graphql = directive(name!("graphql"), arguments);
            field.make_mut().directives.0.push(graphql);
        }
    }
}

fn has(field: &FieldDefinition, directive: &str) -> bool {
    field.directives.iter().any(|it| it.name == directive)
}

fn directive(name: Name, arguments: Vec<Node<Argument>>) -> Node<Directive> {
    Node::new(Directive { name, arguments })
}

fn argument(name: Name, value: Node<Value>) -> Node<Argument> {
    Node::new(Argument { name, value })
}

fn text(text: &str) -> Node<Value> {
    Node::new(Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{first, parse};

    fn answered(sdl: &str, url: Option<&str>) -> Vec<String> {
        let mut files = files(sdl);
        files.subgraphs[0].url = url.map(str::to_owned);
        let documents = parse(&files, &mut Default::default());
        let query = documents[0].schema.get_object("Query").expect("Query");
        let graphql = query.fields.values().filter_map(|field| {
            let directive = first(&field.directives, "graphql")?;
            let source = directive.specified_argument_by_name("source");
            let source = source.and_then(|it| it.as_str()).unwrap_or("-");
            Some(format!("{} by {source}", field.name))
        });
        graphql.collect()
    }

    const ROOTS: &str = "type Query { a: Int b: Int @external _service: Int } extend type Query { c: Int @rest(GET: \"/c\") }";

    #[test]
    fn the_service_of_a_subgraph_answers_its_root_fields() {
        assert_eq!(answered(ROOTS, Some("http://a")), ["a by shop"]);
        assert_eq!(answered(ROOTS, None), [""; 0]);
    }

    #[test]
    fn a_file_that_declares_sources_says_which_one_serves_it() {
        let source = |federation: &str| {
            format!(
                "extend schema @source(name: \"s\", graphql: {{ url: \"http://s\"{federation} }}) {ROOTS}"
            )
        };
        assert_eq!(answered(&source(", federation: true"), None), ["a by s"]);
        assert_eq!(answered(&source(""), Some("http://a")), [""; 0]);
    }
}
