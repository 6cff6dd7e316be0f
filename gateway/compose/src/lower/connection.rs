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
