//! UNSIZED_LIST: a list of which nobody says how long it can be.

use super::Graph;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Resolver, SubgraphId, Target};

/// Warns of each list that a call of its own brings without a bound.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    for resolver in &graph.lowered.resolvers {
        let (Target::Root { ty, field, .. } | Target::Field { ty, field }) = &resolver.target
        else {
            continue;
        };
        let list = resolver.reply.ty.is_list() || resolver.reply.connection.is_some();
        let known = graph.types.get(ty).and_then(|ty| ty.fields.get(field));
        let sized = known.is_some_and(|field| field.list_size.is_some());
        if list && !sized && !is_cut(resolver) {
            diagnostics.push(
                Diagnostic::warning(
                    "UNSIZED_LIST",
                    "nothing says how long this list can be, so its cost is unknown",
                )
                .at(graph.place(resolver))
                .help(
                    "add @listSize(assumedSize: 100), or @listSize(slicingArguments: [\"first\"])",
                ),
            );
        }
    }
}

/// The client says how many items it wants.
fn is_cut(resolver: &Resolver) -> bool {
    let by_page = resolver
        .page
        .as_ref()
        .is_some_and(|page| page.first.is_some());
    let by_batch = resolver
        .batch
        .as_ref()
        .is_some_and(|batch| batch.limit.is_some());
    by_page || by_batch
}

/// How long the list of a field can be: what `@listSize` assumes, or its slicing argument's default.
pub(super) fn of(graph: &Graph<'_>, subgraph: SubgraphId, ty: &str, field: &str) -> Option<u32> {
    let size = graph.types.get(ty)?.fields.get(field)?.list_size.as_ref()?;
    let declared = graph.field(subgraph, ty, field)?;
    let default = |name: &String| {
        let argument = declared
            .arguments
            .iter()
            .find(|it| it.name == name.as_str())?;
        u32::try_from(argument.default_value.as_ref()?.to_i32()?).ok()
    };
    size.assumed
        .or_else(|| size.slicing_arguments.iter().find_map(default))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_list_of_unknown_length_is_a_warning() {
        assert_eq!(
            said(&["type Query { as: [Int] @rest(GET: \"/a\") }"]),
            "warning[UNSIZED_LIST] a.graphql:2:14\n  \
             2 | type Query { as: [Int] @rest(GET: \"/a\") }\n    \
             |              ^^ nothing says how long this list can be, so its cost is unknown\n  \
             help: add @listSize(assumedSize: 100), or @listSize(slicingArguments: [\"first\"])\n"
        );
        assert_eq!(
            said(&["type Query { as: [Int] @rest(GET: \"/a\") @listSize(assumedSize: 3) }"]),
            ""
        );
    }
}
