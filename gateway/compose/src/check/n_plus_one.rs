//! N_PLUS_ONE: a call that would be made once per item of a list.

use super::Graph;
use super::reach::{List, Reached, State};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Resolver, Target, ViewId};

/// Reports each call of a state below a list that neither batches nor says how many calls are accepted.
pub(super) fn check(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    diagnostics: &mut Diagnostics,
) {
    let Some(list) = &state.list else {
        return;
    };
    for (id, view) in &state.calls {
        let resolver = &graph.lowered.resolvers[id.index()];
        if is_bounded(graph, state, resolver) {
            continue;
        }
        if let Some(field) = needed_for(graph, state, resolver, *view) {
            report(graph, reached, state, list, resolver, &field, diagnostics);
        }
    }
}

/// One call for all parents, an accepted number of calls, or the same call for every parent.
fn is_bounded(graph: &Graph<'_>, state: &State, resolver: &Resolver) -> bool {
    resolver.batch.is_some()
        || resolver.policy.fanout.is_some()
        || resolver.inputs.is_empty()
        || has_batch_twin(graph, state, resolver)
}

/// The plan holds both, and the executor takes the batch for many.
fn has_batch_twin(graph: &Graph<'_>, state: &State, resolver: &Resolver) -> bool {
    let mut others = state
        .calls
        .iter()
        .map(|(id, _)| &graph.lowered.resolvers[id.index()]);
    others.any(|other| other.target == resolver.target && other.batch.is_some())
}

/// A field that makes the call necessary; none where everything that it brings is known already.
fn needed_for(
    graph: &Graph<'_>,
    state: &State,
    resolver: &Resolver,
    view: Option<ViewId>,
) -> Option<String> {
    if let Target::Field { field, .. } = &resolver.target {
        return Some(field.to_string());
    }
    let bounded = state.calls.iter().filter_map(|(id, view)| {
        let resolver = &graph.lowered.resolvers[id.index()];
        is_bounded(graph, state, resolver)
            .then_some(view.as_ref())
            .flatten()
    });
    let known: Vec<&ViewId> = state.known.iter().chain(bounded).collect();
    let types = graph.types.get(&state.ty)?;
    let visible = |name: &&apollo_compiler::Name| {
        types
            .fields
            .get(*name)
            .is_some_and(|field| !field.inaccessible)
    };
    let mut fields = graph.view(view?).fields.keys().filter(visible);
    fields
        .find(|name| {
            !known
                .iter()
                .any(|view| graph.view(**view).fields.contains_key(*name))
        })
        .map(ToString::to_string)
}

fn report(
    graph: &Graph<'_>,
    reached: &Reached,
    state: &State,
    list: &List,
    resolver: &Resolver,
    field: &str,
    diagnostics: &mut Diagnostics,
) {
    let place = graph.place(resolver);
    let reported =
        |known: &Diagnostic| known.code == "N_PLUS_ONE" && known.place.as_ref() == Some(&place);
    if diagnostics.0.iter().any(reported) {
        return;
    }
    let size = match list.size {
        Some(size) => format!("{}: up to {size}", list.field),
        None => format!("{} is a list", list.field),
    };
    diagnostics.push(
        Diagnostic::error(
            "N_PLUS_ONE",
            "one call per parent, and reachable through a list:",
        )
        .at(place)
        .note(format!("{}   {size}", reached.query(state, field)))
        .help(format!(
            "batch it with $batch, or accept the calls with fanout: {}",
            list.size.unwrap_or(20)
        )),
    );
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const POSTS: &str = "type Query { posts(first: Int = 30): [Post] @rest(GET: \"/posts\") @listSize(slicingArguments: \"first\") }\n\
        type Post { id: ID! user: User }\n";

    #[test]
    fn a_call_per_item_is_told_with_the_query_that_makes_it() {
        assert_eq!(
            said(&[&format!(
                "{POSTS}type User {{ id: ID! score: Float @rest(GET: \"/users/{{$this.id}}/score\") }}"
            )]),
            "error[N_PLUS_ONE] a.graphql:4:21\n  \
             4 | type User { id: ID! score: Float @rest(GET: \"/users/{$this.id}/score\") }\n    \
             |                     ^^^^^ one call per parent, and reachable through a list:\n    \
             |                     query { posts { user { score } } }   posts: up to 30\n  \
             help: batch it with $batch, or accept the calls with fanout: 30\n"
        );
    }

    #[test]
    fn accepted_calls_batches_and_calls_that_are_all_the_same_are_no_problem() {
        for rest in [
            "@rest(GET: \"/score/{$this.id}\", fanout: 20)",
            "@rest(GET: \"/score\", query: { id: \"$batch.id\" }, batch: { by: { id: \"user\" } }, result: \"x.y\")",
            "@rest(GET: \"/score\")",
        ] {
            let said = said(&[&format!(
                "{POSTS}type User {{ id: ID! score: S {rest} }} type S {{ s: Int }}"
            )]);
            assert_eq!(said, "", "{rest}");
        }
    }

    #[test]
    fn one_at_a_time_is_no_problem_where_there_is_one() {
        let user = "type Query { user: User @rest(GET: \"/user\") } type User { id: ID! score: Float @rest(GET: \"/users/{$this.id}/score\") }";
        assert_eq!(said(&[user]), "");
    }

    #[test]
    fn an_entity_that_is_asked_for_one_by_one_is_told_too() {
        let users = "type User @key(fields: \"id\") @rest(GET: \"/users/{$this.id}\") { id: ID! name: String }";
        let posts =
            format!("{POSTS}type User @key(fields: \"id\", resolvable: false) {{ id: ID! }}");
        let one = said(&[&posts, users]);
        assert!(one.starts_with("error[N_PLUS_ONE] b.graphql:2:30"), "{one}");
        assert!(
            one.contains("query { posts { user { name } } }   posts: up to 30"),
            "{one}"
        );
        let both = users.replace(
            "@rest",
            "@rest(GET: \"/users\", query: { id: \"$batch.id\" }) @rest",
        );
        assert_eq!(said(&[&posts, &both]), "");
    }

    #[test]
    fn a_list_inside_a_reply_counts_and_unions_are_told_by_type() {
        let sdl = "type Query { page: Page @rest(GET: \"/page\") } type Page { items: [Item] }\n\
            union Item @discriminator(from: \"kind\") = A | B\n\
            type A @variant(of: \"Item\", value: \"a\") { id: ID! more: Int @rest(GET: \"/more/{$this.id}\") }\n\
            type B @variant(of: \"Item\", value: \"b\") { id: ID! }";
        let said = said(&[sdl]);
        assert!(
            said.contains("query { page { items { ... on A { more } } } }   items is a list"),
            "{said}"
        );
    }

    #[test]
    fn what_a_mutation_returns_counts() {
        let sdl = "type Query { q: Int @rest(GET: \"/q\") } type Mutation { make: [A] @rest(POST: \"/a\") @listSize(assumedSize: 2) }\n\
            type A { id: ID! more: Int @rest(GET: \"/more/{$this.id}\") }";
        let said = said(&[sdl]);
        assert!(
            said.contains("mutation { make { more } }   make: up to 2"),
            "{said}"
        );
    }
}
