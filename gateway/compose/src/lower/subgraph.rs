//! Entities that a subgraph's own GraphQL service gives: `@key` to `_entities`.
//!
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{FieldSet, SelectionSet};
use apollo_compiler::validation::Valid;
use serde_json::Value as Json;

use super::Lowering;
use super::origin::Call;
use super::rest::Lowered;
use super::scope::{Scope, field_of};
use super::site::{On, Site};
use crate::document::{Document, all};
use crate::mapping::Spot;
use crate::model::{
    Batch, BatchOrder, Encoding, Expr, FieldPath, GraphqlRequest, GraphqlValue, Key, Outward,
    Request,
};

/// The field of Query by which every federated service gives its entities.
const ENTITIES: &str = "_entities";

/// What one call asks for at most: as good as everything, yet bounded.
const MOST_ENTITIES: usize = 10_000;

/// Of each representation, the type that it represents.
const TYPENAME: &str = "__typename";

impl<'a> Lowering<'a> {
    /// One call for many representations by one key.
    pub(super) fn entities(&mut self, site: &Site<'a>, scope: &mut Scope<'a>) -> Option<Lowered> {
        let On::Entity { ty } = site.on else {
            return None;
        };
        let key = self.key_of(site, ty)?;
        let mut representation = vec![(TYPENAME.to_owned(), Expr::Const(Json::from(ty.as_str())))];
        for path in &key.fields {
            // What is in a list is sent with the whole of it.
            if has_list(site.document, ty, path) {
                scope.sends = Some(key_set(site, ty)?);
                continue;
            }
            let value = self.key_input(site, scope, ty, path)?;
            insert(&mut representation, path, value);
        }
        let each = Expr::Representations(Box::new(Expr::Object(representation)));
        let value = GraphqlValue::Variable {
            ty: "[_Any!]!".to_owned(),
            value: each,
        };
        Some(Lowered {
            prefix: vec!["data".to_owned(), ENTITIES.to_owned()],
            request: Request::Graphql(GraphqlRequest {
                mutation: false,
                field: ENTITIES.to_owned(),
                args: vec![("representations".to_owned(), value)],
                on: Some(ty.clone()),
            }),
            call: Call::Unknown,
            reply: None,
            streamed: false,
        })
    }

    /// The key that this directive declares; none where what is wrong with it has been said.
    pub(super) fn key_of(&self, site: &Site<'_>, ty: &Name) -> Option<Key> {
        let declared = site.document.schema.types.get(ty)?.directives();
        let keys = self.keys(site.document, ty);
        let at = all(declared, "key").position(|it| std::ptr::eq(it, site.directive))?;
        let complete = all(declared, "key").count() == keys.len();
        keys.get(at).filter(|_| complete).cloned()
    }

    fn key_input(
        &mut self,
        site: &Site<'a>,
        scope: &mut Scope<'a>,
        parent: &Name,
        path: &FieldPath,
    ) -> Option<Expr> {
        let ty = leaf_type(site.document, parent, path)?;
        // Services of GraphQL know an ID as a text, whatever another kind of service made of it.
        let encode = match ty.inner_named_type().as_str() {
            "ID" => self.encodings.id(Encoding::Leaf(Outward::String)),
            _ => self.parent_encoding(scope, &ty, None),
        };
        let spot = Spot::Whole(site.directive.location());
        let input = scope.input(path.clone(), ty, &spot, true);
        Some(Expr::Batch { input, encode })
    }
}

/// Entities come in the order in which they are asked for.
pub(super) fn batch() -> Batch {
    Batch {
        order: BatchOrder::Positional,
        by: Vec::new(),
        max: MOST_ENTITIES,
        window: None,
        limit: None,
        to_many: false,
    }
}

fn leaf_type(document: &Document, parent: &Name, path: &[Name]) -> Option<Type> {
    let mut ty = Type::Named(parent.clone());
    for name in path {
        ty = field_of(document, ty.inner_named_type(), name)?.ty.clone();
    }
    Some(ty)
}

fn has_list(document: &Document, parent: &Name, path: &FieldPath) -> bool {
    let ends = 1..=path.len();
    let mut types = ends.filter_map(|end| leaf_type(document, parent, &path[..end]));
    types.any(|ty| ty.is_list())
}

/// The key as a selection, as written.
fn key_set(site: &Site<'_>, ty: &Name) -> Option<Arc<SelectionSet>> {
    let text = site
        .directive
        .specified_argument_by_name("fields")?
        .as_str()?;
    let schema = Valid::assume_valid_ref(&site.document.schema);
    let set = FieldSet::parse(schema, ty.clone(), text, &site.document.file).ok()?;
    Some(Arc::new(set.selection_set))
}

/// Puts a value at a path of nested objects.
fn insert(fields: &mut Vec<(String, Expr)>, path: &[Name], value: Expr) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        fields.push((first.to_string(), value));
        return;
    }
    let known = fields.iter().position(|(name, _)| name == first.as_str());
    let at = known.unwrap_or_else(|| {
        fields.push((first.to_string(), Expr::Object(Vec::new())));
        fields.len() - 1
    });
    if let Expr::Object(nested) = &mut fields[at].1 {
        insert(nested, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, printed_files, said_of};
    use crate::SchemaFiles;

    fn served(sdl: &str) -> SchemaFiles {
        let mut files = file(sdl);
        files.subgraphs[0].url = Some("http://users/graphql".into());
        files
    }

    #[test]
    fn each_key_that_the_service_resolves_is_a_way_to_its_entities() {
        let shown = printed_files(&served(
            "type User @key(fields: \"id\") @key(fields: \"org { id } n\") @key(fields: \"email\", resolvable: false) { id: ID! n: Int! email: String! org: Org! } \
             type Org { id: ID! }",
        ));
        assert_eq!(
            shown,
            "User by id\n  \
             call    shop: query _entities(representations: [each { __typename: \"User\", id: $batch.id as string }] ([_Any!]!)) { ... on User }\n  \
             batch   by position, at most 10000\n  \
             reply   data._entities → User { id, n, email, org { id } }\n\
             User by org.id n\n  \
             call    shop: query _entities(representations: [each { __typename: \"User\", org: { id: $batch.org.id as string }, n: $batch.n }] ([_Any!]!)) { ... on User }\n  \
             batch   by position, at most 10000\n  \
             reply   data._entities → User { id, n, email, org { id } }\n"
        );
    }

    #[test]
    fn root_fields_need_no_word() {
        let files = served(
            "type Query { user(id: ID!): User } type User { id: ID! } type Mutation { drop(id: ID!): Boolean }",
        );
        assert_eq!(said_of(&files), "");
        let shown = printed_files(&files);
        assert!(
            shown.contains("query user(id: $args.id as string (ID!))"),
            "{shown}"
        );
        assert!(
            shown.contains("mutation drop(id: $args.id as string (ID!))"),
            "{shown}"
        );
    }
}
