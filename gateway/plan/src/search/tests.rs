//! Plans as printed text.

mod shop;

use std::sync::Arc;

use compose::SchemaFiles;
use compose::Supergraph;

use crate::Document;
use crate::OperationLimits;

use shop::file;

fn composed(files: &SchemaFiles) -> Arc<Supergraph> {
    match compose::compose(files) {
        Ok(graph) => Arc::new(graph),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// The example shop.
fn shop() -> Arc<Supergraph> {
    composed(&shop::files())
}

fn planned(graph: &Arc<Supergraph>, operation: &str) -> String {
    planned_within(graph, operation, &OperationLimits::default())
}

fn planned_within(graph: &Arc<Supergraph>, operation: &str, limits: &OperationLimits) -> String {
    let document = Document::parse(graph.api(), operation, limits)
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    match crate::plan(graph, &document, None, limits) {
        Ok(plan) => plan.to_string(),
        Err(refusal) => refusal.to_string(),
    }
}

/// The printed plan, without its indentation in this file.
#[track_caller]
fn assert_plan(graph: &Arc<Supergraph>, operation: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(|line| line.trim()).collect();
    let plan = planned(graph, operation);
    let plan: Vec<&str> = plan.trim().lines().map(|line| line.trim()).collect();
    assert_eq!(plan, expected, "{operation}");
}

#[test]
fn a_list_with_three_joins_is_four_calls() {
    assert_plan(
        &shop(),
        "{ products(limit: 20) { name price stock: inventory { available } reviews { rating comment user { name } } } }",
        "query: 4 steps, at most 3 one after another
          [0] Query.products from products: ecommerce.v1.ProductService/ListProducts {page_size: $args.limit, category: $args.category}  -> { name price id }
            [1] Product.inventory from inventory: inventory.v1.InventoryService/BatchGetStock {product_ids: $batch.id}  (one call for all parents)  -> { available }
            [2] Product.reviews from reviews: GET /reviews?product_id={$batch.id}  (one call for all parents)  -> { rating comment user { id } }
              [3] User from users: GET /users?id={$batch.id}  (one call for all parents)  -> { name }",
    );
}

#[test]
fn a_reference_of_which_only_the_key_is_selected_makes_no_call() {
    assert_plan(
        &shop(),
        "{ user(id: 1) { reviews { user { id } } } }",
        "query: 2 steps, at most 2 one after another
          [0] Query.user from users: GET /users/{$args.id}  -> { id }
            [1] User.reviews from reviews: GET /reviews?user_id={$batch.id}  (one call for all parents)  -> { user { id } }",
    );
}

#[test]
fn equal_arguments_share_a_step_and_different_ones_do_not() {
    assert_plan(
        &shop(),
        "{ a: user(id: 1) { name } b: user(id: 2) { name } c: user(id: 1) { email } }",
        "query: 2 steps at once
          [0] Query.user from users: GET /users/{$args.id}  -> { name email }
          [1] Query.user from users: GET /users/{$args.id}  -> { name }",
    );
}

#[test]
fn a_condition_by_variable_stays_in_the_plan() {
    assert_plan(
        &shop(),
        "query($r: Boolean!, $s: Boolean!) { user(id: 1) { name reviews @include(if: $r) @skip(if: $s) { rating } } }",
        "query: 2 steps, at most 2 one after another
          [0] Query.user from users: GET /users/{$args.id}  -> { name id }
            [1] User.reviews from reviews: GET /reviews?user_id={$batch.id}  (one call for all parents)  if $r and not $s  -> { rating }",
    );
}

#[test]
fn a_step_that_two_selections_use_runs_when_either_does() {
    assert_plan(
        &shop(),
        "query($a: Boolean!, $b: Boolean!) { review(id: 1) { user @include(if: $a) { name } other: user @include(if: $b) { email } } }",
        "query: 2 steps, at most 2 one after another
          [0] Query.review from reviews: GET /reviews/{$args.id}  -> { user { id } }
            [1] User from users: GET /users?id={$batch.id}  (one call for all parents)  if $a or $b  -> { name email }",
    );
}

#[test]
fn a_mutation_waits_for_everything_of_the_one_before() {
    assert_plan(
        &shop(),
        "mutation { a: cancelOrder(id: 1) { user { name } } b: cancelOrder(id: 1) { id } }",
        "mutation: 3 steps, at most 3 one after another
          [0] Mutation.cancelOrder from orders: POST /orders/{$args.id}/cancel  -> { user { id } }
            [1] User from users: GET /users?id={$batch.id}  (one call for all parents)  -> { name }
          [2] Mutation.cancelOrder from orders: POST /orders/{$args.id}/cancel  after [0] and [1]  -> { id }",
    );
}

#[test]
fn nodes_and_edges_of_a_connection_are_one_list() {
    assert_plan(
        &shop(),
        "{ orders(first: 3) { edges { node { id } } nodes { user { name } } } }",
        "query: 2 steps, at most 2 one after another
          [0] Query.orders from orders: GET /orders?status={$args.status}  -> { edges { node { id user { id } } } nodes { id user { id } } }
            [1] User from users: GET /users?id={$batch.id}  (one call for all parents)  -> { name }",
    );
}

#[test]
fn the_type_name_of_the_root_needs_no_call() {
    assert_plan(
        &shop(),
        "{ __typename __schema { queryType { name } } }",
        "query: answered without any call",
    );
}

#[test]
fn planning_sixty_levels_of_doubling_fragments_ends() {
    let mut text = String::from("{ user(id: 1) { ...F0 } }");
    for level in 0..60 {
        text.push_str(&format!(
            " fragment F{level} on User {{ ...F{0} ...F{0} }}",
            level + 1
        ));
    }
    text.push_str(" fragment F60 on User { id }");
    assert_plan(
        &shop(),
        &text,
        "query: 1 step
          [0] Query.user from users: GET /users/{$args.id}  -> { id }",
    );
}

#[test]
fn a_search_that_is_too_long_is_refused_in_bounded_work() {
    let mut text = String::from("{ user(id: 1) { ...F0 } }");
    for level in 0..24 {
        text.push_str(&format!(
            " fragment F{level} on User {{ a{level}: reviews {{ user {{ ...F{0} }} }} b{level}: reviews {{ user {{ ...F{0} }} }} }}",
            level + 1
        ));
    }
    text.push_str(" fragment F24 on User { id }");
    let mut limits = OperationLimits::off();
    limits.planning = OperationLimits::default().planning;
    let refused = planned_within(&shop(), &text, &limits);
    assert_eq!(
        refused,
        "PLANNING_TOO_LONG: The operation takes too much work to plan: select less at once."
    );
}

fn protected() -> Arc<Supergraph> {
    let sdl = r#"
        extend schema @source(name: "users", http: { baseURL: "{$env.USERS_URL}" })
        type Query { user(id: ID!): User @rest(GET: "/users/{id}") me: User @authenticated @rest(GET: "/me") }
        type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) {
          id: ID!
          name: String
          friend: User @map(from: { id: "friend_id" })
          boss: User @requiresScopes(scopes: "bosses") @map(from: { id: "boss_id" })
          score: Float @policy(policies: "p") @rest(GET: "/scores", query: { id: "$batch.id" }, batch: { by: { id: "id" } }) @map(from: "score")
        }"#;
    composed(&SchemaFiles {
        subgraphs: vec![file("users", "USERS_URL", sdl)],
        ..SchemaFiles::default()
    })
}

#[test]
fn what_is_demanded_stays_in_the_plan_as_a_condition() {
    assert_plan(
        &protected(),
        "{ me { name score friend { score } } }",
        r#"query: 3 steps, at most 2 one after another
          [0] Query.me from users: GET /me  if @authenticated  -> { name id friend { id } }
            [1] User.score from users: GET /scores?id={$batch.id}  (one call for all parents)  if @authenticated and @policy(policies: [["p"]])
            [2] User.score from users: GET /scores?id={$batch.id}  (one call for all parents)  if @authenticated and @policy(policies: [["p"]])
          @authenticated protects Query.me
          @policy(policies: [["p"]]) protects User.score"#,
    );
}

#[test]
fn a_step_runs_for_whoever_may_see_one_of_its_users() {
    assert_plan(
        &protected(),
        "query($x: Boolean!) { user(id: 1) { friend { name } boss { name } again: friend @include(if: $x) { name } } }",
        r#"query: 3 steps, at most 2 one after another
          [0] Query.user from users: GET /users/{$args.id}  -> { friend { id } boss { id } }
            [1] User from users: GET /users?id={$batch.id}  (one call for all parents)  -> { name }
            [2] User from users: GET /users?id={$batch.id}  (one call for all parents)  if @requiresScopes(scopes: [["bosses"]])  -> { name }
          @requiresScopes(scopes: [["bosses"]]) protects User.boss"#,
    );
}

/// More ways to be included than are worth telling apart: they are forgotten, the demand is not.
#[test]
fn no_number_of_conditions_makes_a_demand_forgotten() {
    let graph = protected();
    let names: Vec<String> = (0..40).map(|n| format!("$v{n}: Boolean!")).collect();
    let some = |from: usize| -> String {
        let fields = (from..from + 20).map(|n| format!("boss @include(if: $v{n}) {{ name }} "));
        fields.collect()
    };
    let operation = format!(
        "query({}) {{ user(id: 1) {{ {} boss {{ {} }} }} }}",
        names.join(", "),
        some(0),
        some(20)
    );
    let printed = planned(&graph, &operation);
    let steps: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("] User from"))
        .collect();
    assert_eq!(steps.len(), 2, "{printed}");
    for step in steps {
        let (_, condition) = step.split_once("  if ").expect("a condition");
        let (condition, _) = condition.split_once("  ->").expect("a selection");
        for way in condition.split(" or ") {
            assert!(way.contains("bosses"), "{way} in {printed}");
        }
    }
}
mod subscriptions;
