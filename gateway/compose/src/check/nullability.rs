//! NON_NULL_ACROSS_SERVICES: a field that another service resolves and that may not be null.

use super::Graph;
use super::reach::State;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Resolver, Target};

/// Warns of each non-null field with a call of its own to another service than
/// its parent's: when that service fails, what the parent's answered is lost too.
pub(super) fn check(graph: &Graph<'_>, state: &State, diagnostics: &mut Diagnostics) {
    for (id, _) in &state.calls {
        let resolver = &graph.lowered.resolvers[id.index()];
        let Target::Field { ty, .. } = &resolver.target else {
            continue;
        };
        let origin = &graph.lowered.origins[id.index()];
        let required = origin
            .field
            .as_ref()
            .is_some_and(|field| field.ty.is_non_null());
        if !required || !is_foreign(graph, state, resolver) {
            continue;
        }
        let source = &graph.lowered.sources[resolver.source.index()].name;
        let message = format!("when {source} fails, every {ty} that asked becomes null too");
        diagnostics.push(
            Diagnostic::warning("NON_NULL_ACROSS_SERVICES", message)
                .at(graph.place(resolver))
                .help("let the field be nullable"),
        );
    }
}

fn is_foreign(graph: &Graph<'_>, state: &State, resolver: &Resolver) -> bool {
    let called = state.calls.iter().filter_map(|(_, view)| view.as_ref());
    let mut parents = state.known.iter().chain(called);
    parents.any(|view| graph.lowered.view_origins[view.index()].source != resolver.source)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const USERS: &str = "type Query { user: User @rest(GET: \"/user\") } \
        type User @key(fields: \"id\") @rest(GET: \"/users\", query: { id: \"$batch.id\" }) { id: ID! }";

    #[test]
    fn a_field_that_another_service_must_answer_is_a_warning() {
        let reviews = "type User @key(fields: \"id\") { id: ID! reviews: [Int!]! @rest(GET: \"/r/{$this.id}\") @listSize(assumedSize: 9) }";
        assert_eq!(
            said(&[USERS, reviews]),
            format!(
                "warning[NON_NULL_ACROSS_SERVICES] b.graphql:2:40\n  \
                 2 | {reviews}\n    \
                 |                                        ^^^^^^^ when b fails, every User that asked becomes null too\n  \
                 help: let the field be nullable\n"
            )
        );
        assert_eq!(said(&[USERS, &reviews.replace("[Int!]!", "[Int!]")]), "");
    }

    #[test]
    fn a_service_may_null_what_it_answered_itself() {
        let sdl = "type Query { user: User @rest(GET: \"/user\") } type User { id: ID! n: Int! @rest(GET: \"/n/{$this.id}\") }";
        assert_eq!(said(&[sdl]), "");
    }
}
