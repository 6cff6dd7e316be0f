//! UNSATISFIABLE, for connections: a field that the gateway cannot build from an upstream list.

use apollo_compiler::Name;

use super::Graph;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Connection, Resolver};

/// Reports each field of a connection, its edges and its page information that nothing fills.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    for resolver in &graph.lowered.resolvers {
        let Some(connection) = &resolver.reply.connection else {
            continue;
        };
        let has_total = resolver
            .page
            .as_ref()
            .is_some_and(|page| page.total.is_some());
        for (ty, known) in parts(connection, has_total) {
            for field in unknown(graph, ty, known) {
                diagnostics.push(unfilled(graph, resolver, ty, field));
            }
        }
    }
}

/// The types of a connection, each with the fields that the gateway fills.
/// <https://relay.dev/graphql/connections.htm>
fn parts(connection: &Connection, has_total: bool) -> Vec<(&Name, &'static [&'static str])> {
    let whole: &[&str] = match has_total {
        true => &["edges", "nodes", "pageInfo", "totalCount"],
        false => &["edges", "nodes", "pageInfo"],
    };
    let page_info: &[&str] = &["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"];
    let edge: &[&str] = &["node", "cursor"];
    let edges = connection.edge_type.iter().map(|ty| (ty, edge));
    let others = [
        (&connection.ty, whole),
        (&connection.page_info_type, page_info),
    ];
    others.into_iter().chain(edges).collect()
}

fn unknown<'g>(
    graph: &Graph<'g>,
    ty: &Name,
    known: &'static [&'static str],
) -> impl Iterator<Item = &'g Name> {
    let fields = graph
        .types
        .get(ty)
        .into_iter()
        .flat_map(|ty| ty.fields.values());
    fields
        .filter(move |field| !field.inaccessible && !known.contains(&field.name.as_str()))
        .map(|field| &field.name)
}

fn unfilled(graph: &Graph<'_>, resolver: &Resolver, ty: &Name, field: &Name) -> Diagnostic {
    let message =
        format!("nothing fills `{ty}.{field}`: the gateway builds the connection from a list");
    let help = match field.as_str() {
        "totalCount" => "say where the reply carries the total: page: { total: \"...\" }",
        _ => "remove the field, or have the service answer the connection itself, without page:",
    };
    let found = Diagnostic::error("UNSATISFIABLE", message).help(help);
    match graph.field(resolver.subgraph, ty, field) {
        Some(declared) => found.at(graph.documents[resolver.subgraph.index()]
            .places
            .name(&declared.name)),
        None => found.at(graph.place(resolver)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn connection(page: &str, extra: &str) -> String {
        said(&[&format!(
            "type Query {{ as(first: Int, after: String): AConnection @rest(GET: \"/a\", page: {{ style: OFFSET, size: \"n\", at: \"o\" {page} }}) }}\n\
             type A {{ id: ID! }} type PageInfo {{ hasNextPage: Boolean! }}\n\
             type AConnection {{ nodes: [A] pageInfo: PageInfo! {extra} }}"
        )])
    }

    #[test]
    fn a_connection_has_the_fields_that_a_list_fills() {
        assert_eq!(connection("", ""), "");
        assert_eq!(connection("total: \"count\"", "totalCount: Int!"), "");
    }

    #[test]
    fn another_field_of_a_connection_is_told() {
        let said = connection("", "totalCount: Int! average: Int");
        assert!(
            said.starts_with(
                "error[UNSATISFIABLE] a.graphql:4:51\n  \
                 4 | type AConnection { nodes: [A] pageInfo: PageInfo! totalCount: Int! average: Int }\n    \
                 |                                                   ^^^^^^^^^^ nothing fills `AConnection.totalCount`: the gateway builds the connection from a list\n  \
                 help: say where the reply carries the total: page: { total: \"...\" }\n"
            ),
            "{said}"
        );
        assert!(
            said.contains("error[UNSATISFIABLE] a.graphql:4:68"),
            "{said}"
        );
    }
}
