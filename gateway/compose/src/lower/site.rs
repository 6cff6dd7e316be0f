//! Where resolvers stand: the fields and types that carry `@rest`, `@grpc` or `@graphql`, and
//! the keys by which a subgraph's own service gives entities.

use apollo_compiler::ast::{Directive, DirectiveList, FieldDefinition, OperationType};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

use super::Lowering;
use crate::diagnostic::Diagnostic;
use crate::document::{self, Document};

/// A directive that declares a resolver, and what it stands on.
pub(super) struct Site<'a> {
    pub(super) document: &'a Document,
    pub(super) directive: &'a Node<Directive>,
    pub(super) on: On<'a>,
}

impl Site<'_> {
    /// Whether it is a key, by which the subgraph's own service gives the entity.
    pub(super) fn is_key(&self) -> bool {
        self.directive.name == "key"
    }
}

/// What a resolver's directive stands on.
#[derive(Clone, Copy)]
pub(super) enum On<'a> {
    /// A field of Query, Mutation or Subscription.
    Root {
        ty: &'a Name,
        field: &'a Node<FieldDefinition>,
        mutation: bool,
    },
    /// A field of another type.
    Field {
        ty: &'a Name,
        field: &'a Node<FieldDefinition>,
    },
    /// A type.
    Entity { ty: &'a Name },
}

impl<'a> On<'a> {
    pub(super) fn field(self) -> Option<&'a Node<FieldDefinition>> {
        match self {
            On::Root { field, .. } | On::Field { field, .. } => Some(field),
            On::Entity { .. } => None,
        }
    }

    /// The type whose fields `$this` and `$batch` read.
    pub(super) fn parent(self) -> Option<&'a Name> {
        match self {
            On::Field { ty, .. } | On::Entity { ty } => Some(ty),
            On::Root { .. } => None,
        }
    }

    pub(super) fn is_mutation(self) -> bool {
        matches!(self, On::Root { mutation: true, .. })
    }

    /// Whether it is answered again and again.
    pub(super) fn is_subscription(self) -> bool {
        matches!(self, On::Root { ty, .. } if ty == "Subscription")
    }

    /// As messages call it: `User.orders`.
    pub(super) fn name(self) -> String {
        match self {
            On::Root { ty, field, .. } | On::Field { ty, field } => format!("{ty}.{}", field.name),
            On::Entity { ty } => ty.to_string(),
        }
    }
}

/// Directives that answer a field. Those not built in this release are refused elsewhere.
const RESOLVERS: [&str; 4] = ["rest", "grpc", "graphql", "event"];

/// Those that lower to calls.
const CALLS: [&str; 3] = ["rest", "grpc", "graphql"];

/// Whether a field is answered by a directive of its own.
pub(super) fn has_resolver(directives: &DirectiveList) -> bool {
    directives
        .iter()
        .any(|it| RESOLVERS.contains(&it.name.as_str()))
}

/// Every resolver of a document, in the order written.
pub(super) fn all(document: &Document) -> Vec<Site<'_>> {
    let mut sites = Vec::new();
    for ty in document
        .schema
        .types
        .values()
        .filter(|ty| !ty.is_built_in())
    {
        let Some((name, directives, fields)) = with_fields(ty) else {
            continue;
        };
        let root = root_of(name);
        if root.is_none() {
            let on = On::Entity { ty: name };
            sites.extend(of(document, directives, on));
            sites.extend(keys(document, directives, on));
        }
        for field in fields {
            sites.extend(of(document, &field.directives, on_field(name, field, root)));
        }
    }
    sites
}

fn on_field<'a>(
    ty: &'a Name,
    field: &'a Node<FieldDefinition>,
    root: Option<OperationType>,
) -> On<'a> {
    match root {
        None => On::Field { ty, field },
        Some(operation) => On::Root {
            ty,
            field,
            mutation: operation.is_mutation(),
        },
    }
}

fn of<'a>(
    document: &'a Document,
    directives: &'a DirectiveList,
    on: On<'a>,
) -> impl Iterator<Item = Site<'a>> {
    let ours = directives
        .iter()
        .filter(|it| CALLS.contains(&it.name.as_str()));
    ours.map(move |directive| Site {
        document,
        directive,
        on,
    })
}

/// The keys by which the service of a subgraph gives entities.
fn keys<'a>(
    document: &'a Document,
    directives: &'a DirectiveList,
    on: On<'a>,
) -> impl Iterator<Item = Site<'a>> {
    let is_resolvable = |key: &&Node<Directive>| {
        let stated = key.specified_argument_by_name("resolvable");
        stated.and_then(|it| it.to_bool()).unwrap_or(true)
    };
    let served = document.served_by.is_some();
    let keys = document::all(directives, "key").filter(move |key| served && is_resolvable(key));
    keys.map(move |directive| Site {
        document,
        directive,
        on,
    })
}

/// The name, directives and fields of an object or interface.
pub(super) fn with_fields(
    ty: &ExtendedType,
) -> Option<(
    &Name,
    &DirectiveList,
    impl Iterator<Item = &Node<FieldDefinition>>,
)> {
    match ty {
        ExtendedType::Object(it) => Some((&it.name, &it.directives, it.fields.values())),
        ExtendedType::Interface(it) => Some((&it.name, &it.directives, it.fields.values())),
        _ => None,
    }
}

/// Which operation's root a type is.
fn root_of(name: &str) -> Option<OperationType> {
    match name {
        "Query" => Some(OperationType::Query),
        "Mutation" => Some(OperationType::Mutation),
        "Subscription" => Some(OperationType::Subscription),
        _ => None,
    }
}

/// Root fields that nothing answers.
impl Lowering<'_> {
    pub(super) fn check_root_fields(&mut self, document: &Document) {
        // A GraphQL service answers its own root fields.
        if document.served_by.is_some() {
            return;
        }
        for ty in document
            .schema
            .types
            .values()
            .filter(|ty| !ty.is_built_in())
        {
            let Some((name, _, fields)) = with_fields(ty) else {
                continue;
            };
            if root_of(name).is_none() {
                continue;
            }
            for field in fields {
                if !has_resolver(&field.directives) {
                    self.no_resolver(document, name, field);
                }
                self.check_single(document, field);
            }
        }
    }

    /// A root field has no parents, so there is nothing by which to choose between two calls.
    fn check_single(&mut self, document: &Document, field: &FieldDefinition) {
        let mut resolvers = field
            .directives
            .iter()
            .filter(|it| RESOLVERS.contains(&it.name.as_str()));
        let (Some(first), Some(second)) = (resolvers.next(), resolvers.next()) else {
            return;
        };
        self.push(
            Diagnostic::error("TWO_RESOLVERS", "a root field is answered by one call")
                .at(document.places.directive(second))
                .related(document.places.directive(first), "the other one")
                .help("remove one of them"),
        );
    }

    fn no_resolver(&mut self, document: &Document, ty: &Name, field: &FieldDefinition) {
        let grpc = "@grpc(method: \"package.Service/Method\")";
        let help = match ty.as_str() {
            "Subscription" => format!("add {grpc}, of a method that answers with a stream"),
            "Mutation" => format!("add @rest(POST: \"/{}\"), {grpc} or @graphql", field.name),
            _ => format!("add @rest(GET: \"/{}\"), {grpc} or @graphql", field.name),
        };
        let message = format!("nothing says which service answers `{ty}.{}`", field.name);
        self.push(
            Diagnostic::error("NO_RESOLVER", message)
                .at(document.places.name(&field.name))
                .help(help),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    #[test]
    fn a_root_field_that_nobody_answers_is_an_error() {
        assert_eq!(
            said("type Query { orders: Int }"),
            "error[NO_RESOLVER] shop.graphql:2:14\n  \
             2 | type Query { orders: Int }\n    \
             |              ^^^^^^ nothing says which service answers `Query.orders`\n  \
             help: add @rest(GET: \"/orders\"), @grpc(method: \"package.Service/Method\") or @graphql\n"
        );
        assert!(said("type Mutation { buy: Int }").contains("add @rest(POST: \"/buy\")"));
    }

    #[test]
    fn a_root_field_is_answered_once() {
        let said = said("type Query { a: Int @rest(GET: \"/a\") @rest(GET: \"/b\") }");
        assert!(
            said.starts_with("error[TWO_RESOLVERS] shop.graphql:2:38\n"),
            "{said}"
        );
    }

    #[test]
    fn resolvers_stand_on_fields_and_types_in_any_order() {
        let shown = printed(
            "type User @key(fields: \"id\") @rest(GET: \"/users/{$this.id}\") { id: ID! score: Float @rest(GET: \"/scores/{$this.id}\") }
             type Query { a: Int @rest(GET: \"/a\") }",
        );
        let heads: Vec<&str> = shown
            .lines()
            .filter(|line| !line.starts_with(' '))
            .collect();
        assert_eq!(heads, ["User by id", "User.score", "Query.a"]);
    }
}
