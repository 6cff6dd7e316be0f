//! Relay connections that the gateway builds from an upstream list.
//!
//! <https://relay.dev/graphql/connections.htm>

use apollo_compiler::Name;
use apollo_compiler::ast::Type;

use super::scope::field_of;
use crate::document::Document;

/// A connection type as a document declares it.
pub(super) struct Shape {
    pub(super) ty: Name,
    pub(super) edge_type: Option<Name>,
    pub(super) has_nodes: bool,
    pub(super) has_total: bool,
    pub(super) page_info_type: Name,
    /// The type of one node.
    pub(super) node: Type,
}

/// The connection that a type is: an object with `pageInfo` and `edges` or `nodes`.
pub(super) fn shape(document: &Document, ty: &Type) -> Option<Shape> {
    let name = ty.inner_named_type();
    if ty.is_list() {
        return None;
    }
    let field = |ty: &str, field: &str| Some(field_of(document, ty, field)?.ty.clone());
    let page_info = field(name, "pageInfo")?;
    let nodes = field(name, "nodes").filter(Type::is_list);
    let edges = field(name, "edges").filter(Type::is_list);
    let edge_type = edges.map(|edges| edges.inner_named_type().clone());
    let node = match (&nodes, &edge_type) {
        (Some(nodes), _) => nodes.item_type().clone(),
        (None, Some(edge)) => field(edge, "node")?,
        (None, None) => return None,
    };
    Some(Shape {
        ty: name.clone(),
        edge_type,
        has_nodes: nodes.is_some(),
        has_total: field(name, "totalCount").is_some(),
        page_info_type: page_info.inner_named_type().clone(),
        node,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SHOP, file, lowered_files, said};

    const TYPES: &str = "type As { edges: [Edge!]! nodes: [A!]! pageInfo: Info! totalCount: Int } type Edge { node: A! cursor: String! } type A { id: ID! } type Info { hasNextPage: Boolean! }";

    #[test]
    fn a_connection_is_built_from_the_list_of_its_nodes() {
        let sdl = format!(
            "{SHOP}type Query {{ as(first: Int): As! @rest(GET: \"/a\", result: \"items\", page: {{ style: OFFSET, size: \"limit\", at: \"offset\", total: \"total\" }}) }} {TYPES}"
        );
        let (lowered, diagnostics) = lowered_files(&file(&sdl));
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let reply = &lowered.resolvers[0].reply;
        let connection = reply.connection.as_ref().expect("a connection");
        assert_eq!(connection.edge_type.as_deref(), Some("Edge"));
        assert!(connection.has_nodes && connection.has_total);
        assert_eq!(connection.node.ty.to_string(), "A!");
        assert_eq!(reply.value.ty.to_string(), "[A!]");
    }

    #[test]
    fn a_connection_of_many_parents_is_refused() {
        let said = said(&format!(
            "type User @key(fields: \"id\") {{ id: ID! as: As @rest(GET: \"/a\", query: {{ u: \"$batch.id\" }}, batch: {{ by: {{ id: \"u\" }} }}, page: {{ style: OFFSET, at: \"o\", follow: 2 }}) }} {TYPES}"
        ));
        assert!(said.starts_with("error[UNSUPPORTED]"), "{said}");
    }
}
