//! Costs of operations over a small graph.

use std::sync::Arc;

use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::Supergraph;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::Document;
use crate::OperationLimits;
use crate::Plan;
use crate::code::Code;
use crate::model::Variables;

const GRAPH: &str = r#"
    extend schema @source(name: "shop", http: { baseURL: "http://shop" })
    type Query {
      user(id: ID! @cost(weight: 3)): User @rest(GET: "/users/{id}")
      users(first: Int = 20, last: Int): [User!] @rest(GET: "/users", query: { first: "$args.first", last: "$args.last" })
        @listSize(slicingArguments: ["first", "last"], assumedSize: 50, requireOneSlicingArgument: false)
      strict(first: Int, last: Int): [User!] @rest(GET: "/users", query: { first: "$args.first", last: "$args.last" })
        @listSize(slicingArguments: ["first", "last"])
      search(in: Filter): [User!] @rest(GET: "/search", query: { size: "$args.in.page.size" })
        @listSize(slicingArguments: ["in.page.size"], assumedSize: 7, requireOneSlicingArgument: false)
      unsized: [User!] @rest(GET: "/unsized")
      page(first: Int): Page @rest(GET: "/page", query: { first: "$args.first" })
        @listSize(slicingArguments: ["first"], sizedFields: ["items", "inner.items"])
      heavy: Heavy @rest(GET: "/heavy")
      thing: Thing @rest(GET: "/thing")
      rare: Int @rest(GET: "/rare") @cost(weight: "0.1")
      moods: Mood @rest(GET: "/mood")
    }
    type Mutation {
      rename(id: ID!): User @rest(POST: "/users/{id}")
      touch(id: ID!): Int @rest(POST: "/touch/{id}") @cost(weight: 2)
    }
    input Filter { page: Paging names: [String] @cost(weight: 2) mood: Mood }
    input Paging { size: Int = 9 }
    type Page { items: [User!] inner: Inner }
    type Inner { items: [User!] more: [User!] }
    type User { id: ID! name: String @cost(weight: 2) friend: User friends: [User!] @listSize(assumedSize: 5) tags: [String] }
    type Heavy @cost(weight: 40) @variant(of: "Thing", value: "heavy") { id: ID! }
    type Light @variant(of: "Thing", value: "light") { id: ID! friend: User }
    union Thing @discriminator(from: "type") = Heavy | Light
    enum Mood @cost(weight: 4) { GOOD BAD }
"#;

fn graph() -> Arc<Supergraph> {
    let shop = SubgraphFile {
        name: "shop".into(),
        file: "shop.graphql".into(),
        sdl: GRAPH.into(),
        ..SubgraphFile::default()
    };
    let files = SchemaFiles {
        subgraphs: vec![shop],
        ..SchemaFiles::default()
    };
    Arc::new(compose::compose(&files).unwrap_or_else(|bad| panic!("{bad}")))
}

fn planned(operation: &str) -> Plan {
    let graph = graph();
    let limits = OperationLimits::default();
    let document = Document::parse(graph.api(), operation, &limits)
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    crate::plan(&graph, &document, None, &limits).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn variables(plan: &Plan, given: Json) -> Variables {
    let given: Map<String, Json> = given.as_object().cloned().unwrap_or_default();
    plan.coerce(&given).unwrap_or_else(|bad| panic!("{bad}"))
}

#[track_caller]
fn assert_cost(operation: &str, given: Json, expected: u64) {
    let plan = planned(operation);
    let variables = variables(&plan, given);
    assert_eq!(
        plan.cost(&variables),
        expected,
        "{operation}\n{:#?}",
        plan.cost
    );
}

#[test]
fn composite_values_weigh_one_leaves_nothing_and_weights_say_otherwise() {
    assert_cost("{ user(id: 1) { id } }", json!({}), 3 + 1);
    assert_cost("{ user(id: 1) { id name } }", json!({}), 3 + 1 + 2);
    assert_cost("{ heavy { id } }", json!({}), 40);
    assert_cost("{ moods }", json!({}), 4);
    assert_cost("{ __typename }", json!({}), 0);
}

#[test]
fn what_costs_a_part_of_a_point_costs_one() {
    assert_cost("{ rare }", json!({}), 1);
    assert_cost("{ a: rare b: rare c: rare }", json!({}), 1);
}

#[test]
fn lists_multiply_by_what_sizes_them() {
    assert_cost("{ users(first: 3) { id } }", json!({}), 3);
    assert_cost(
        "{ users(first: 3, last: 8) { friends { id } } }",
        json!({}),
        8 * 6,
    );
    assert_cost("{ users { id } }", json!({}), 20);
    assert_cost("{ users(first: null) { id } }", json!({}), 20);
    assert_cost("{ unsized { id } }", json!({}), 10);
    assert_cost("{ users(first: -5) { id } }", json!({}), 0);
}

#[test]
fn variables_size_lists_on_each_request() {
    let text = "query($n: Int) { users(first: $n) { id } }";
    assert!(!planned(text).has_constant_cost());
    assert_cost(text, json!({ "n": 4 }), 4);
    assert_cost(text, json!({}), 20);
    assert_cost(
        "query($n: Int = 6) { users(first: $n) { id } }",
        json!({}),
        6,
    );
}

#[test]
fn a_slicing_argument_may_stand_inside_of_an_input_object() {
    let text = "query($in: Filter, $n: Int) { a: search(in: $in) { id } b: search(in: { page: { size: $n } }) { id } }";
    assert_cost(text, json!({ "in": { "page": { "size": 2 } }, "n": 3 }), 5);
    assert_cost(text, json!({ "in": { "page": {} }, "n": 3 }), 9 + 3);
    assert_cost(text, json!({ "n": 3 }), 7 + 3);
}

#[test]
fn sized_fields_take_the_size_of_the_field_above_them() {
    assert_cost("{ page(first: 3) { items { id } } }", json!({}), 1 + 3);
    let inner = "{ page(first: 3) { inner { items { id } more { id } } } }";
    assert_cost(inner, json!({}), 1 + 1 + 3 + 10);
}

#[test]
fn of_an_abstract_type_the_dearest_counts() {
    assert_cost("{ thing { ... on Light { id } } }", json!({}), 40);
    let text = "{ thing { ... on Light { friend { friends { friends { friends { id } } } } } } }";
    assert_cost(text, json!({}), 1 + 1 + 5 + 25 + 125);
}

#[test]
fn each_root_field_of_a_mutation_weighs_ten_unless_it_says_otherwise() {
    let text = "mutation { a: rename(id: 1) { id } b: rename(id: 1) { id } touch(id: 1) }";
    assert_cost(text, json!({}), 11 + 11 + 2);
    assert_eq!(planned(text).root_fields(&Variables::default()), 3);
}

#[test]
fn what_is_left_out_costs_nothing() {
    let text = "query($a: Boolean!) { unsized @include(if: $a) { id } user(id: 1) { id } }";
    assert_cost(text, json!({ "a": true }), 14);
    assert_cost(text, json!({ "a": false }), 4);
}

#[test]
fn arguments_weigh_what_is_in_them() {
    let text = "query($in: Filter) { search(in: $in) { __typename } }";
    let sized = |more: Json| {
        let mut filter = json!({ "page": { "size": 0 } });
        filter
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "in": filter })
    };
    assert_cost(text, sized(json!({})), 0);
    assert_cost(text, sized(json!({ "names": ["a", "b"] })), 2);
    assert_cost(text, sized(json!({ "mood": "GOOD" })), 4);
    let literal =
        "query($m: Mood) { search(in: { mood: $m, names: [], page: { size: 0 } }) { id } }";
    assert_cost(literal, json!({ "m": "BAD" }), 2 + 4);
    assert_cost(literal, json!({}), 2);
}

#[test]
fn a_list_that_needs_one_slicing_argument_says_which() {
    let refusal = |text: &str, given: Json| {
        let plan = planned(text);
        plan.check_slicing(&variables(&plan, given))
    };
    let none = refusal("{ strict { id } }", json!({})).unwrap_err();
    assert_eq!(none.code, Code::SlicingArgument);
    let message = &none.errors[0].message;
    assert!(
        message.starts_with("Query.strict needs one of its arguments first, last"),
        "{message}"
    );
    let both = "query($n: Int) { strict(first: 1, last: $n) { id } }";
    assert!(refusal(both, json!({})).is_ok());
    let two = refusal(both, json!({ "n": 1 })).unwrap_err();
    assert!(two.errors[0].message.contains("exactly one"));
    let unasked = "query($a: Boolean!) { strict @include(if: $a) { id } moods }";
    assert!(refusal(unasked, json!({ "a": false })).is_ok());
    assert!(refusal("{ users { id } }", json!({})).is_ok());
}

#[test]
fn sums_saturate() {
    let mut text = String::from("friends { id }");
    for _ in 0..12 {
        text = format!("friends {{ {text} }}");
    }
    let text = format!("query($n: Int) {{ users(first: $n) {{ {text} }} }}");
    let plan = planned(&text);
    let cost = plan.cost(&variables(&plan, json!({ "n": i32::MAX })));
    assert_eq!(cost, (i64::MAX as u64).div_ceil(1000));
}

#[test]
fn each_source_has_its_part() {
    let plan = planned("{ user(id: 1) { friend { id } } }");
    let source = compose::model::SourceId(0);
    assert_eq!(plan.source_cost(&Variables::default(), source), 5);
    let other = compose::model::SourceId(1);
    assert_eq!(plan.source_cost(&Variables::default(), other), 0);
}
