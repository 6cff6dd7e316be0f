//! Policies of operations over a small graph.

use std::sync::Arc;

use compose::SchemaFiles;
use compose::SubgraphFile;

use super::*;
use crate::Document;
use crate::OperationLimits;

const GRAPH: &str = r#"
    extend schema @source(name: "shop", http: { baseURL: "http://shop" })
    type Query {
      product(id: ID!): Product @rest(GET: "/products/{id}")
      products: [Product!] @rest(GET: "/products") @cacheControl(maxAge: 10) @listSize(assumedSize: 5)
      me: User @rest(GET: "/me") @cacheControl(maxAge: 30, scope: PRIVATE)
      silent: User @rest(GET: "/silent")
      count: Int @rest(GET: "/count")
      counted: Int @rest(GET: "/count") @cacheControl(maxAge: 5)
      thing: Thing @rest(GET: "/thing")
    }
    type Product @cacheControl(maxAge: 60) @key(fields: "id") {
      id: ID!
      name: String
      price: Int @cacheControl(maxAge: 20)
      user: User @cacheControl(inheritMaxAge: true)
      maker: User
      secret: Int @cacheControl(scope: PRIVATE)
      rating: Int @rest(GET: "/ratings", query: { product: "$batch.id" }, batch: { by: { id: "product" } }, result: "value")
    }
    type User { name: String }
    type Cup @cacheControl(maxAge: 7) @variant(of: "Thing", value: "cup") { size: Int }
    type Pot @cacheControl(maxAge: 9) @variant(of: "Thing", value: "pot") { size: Int }
    union Thing @discriminator(from: "type") = Cup | Pot
"#;

fn planned(operation: &str) -> Plan {
    let files = SchemaFiles {
        subgraphs: vec![SubgraphFile {
            name: "shop".into(),
            file: "shop.graphql".into(),
            sdl: GRAPH.into(),
            ..SubgraphFile::default()
        }],
        ..SchemaFiles::default()
    };
    let graph = Arc::new(compose::compose(&files).unwrap_or_else(|bad| panic!("{bad}")));
    let limits = OperationLimits::default();
    let document = Document::parse(graph.api(), operation, &limits).unwrap();
    crate::plan(&graph, &document, None, &limits).unwrap_or_else(|bad| panic!("{bad}"))
}

/// Seconds that the schema allows, and whether they are for the caller alone.
fn allowed(operation: &str) -> (Option<u32>, bool) {
    let policy = planned(operation).cache();
    (policy.allowed(), policy.private)
}

#[test]
fn a_type_says_it_for_the_fields_that_return_it_and_leaves_go_with_their_object() {
    assert_eq!(
        allowed("{ product(id: 1) { id name __typename } }"),
        (Some(60), false)
    );
}

#[test]
fn a_field_says_it_over_its_type() {
    assert_eq!(allowed("{ products { id } }"), (Some(10), false));
}

#[test]
fn the_least_of_everything_selected_counts() {
    assert_eq!(allowed("{ product(id: 1) { price } }"), (Some(20), false));
    assert_eq!(
        allowed("{ product(id: 1) { price } products { id } }"),
        (Some(10), false)
    );
}

#[test]
fn one_private_field_makes_all_of_it_private() {
    assert_eq!(
        allowed("{ product(id: 1) { id } me { name } }"),
        (Some(30), true)
    );
    assert_eq!(allowed("{ product(id: 1) { secret } }"), (Some(60), true));
}

#[test]
fn what_the_schema_does_not_speak_of_is_not_kept() {
    assert_eq!(allowed("{ silent { name } }"), (None, false));
    assert_eq!(allowed("{ count }"), (None, false));
    assert_eq!(allowed("{ counted }"), (Some(5), false));
    assert_eq!(allowed("{ counted count }"), (None, false));
    assert_eq!(
        allowed("{ product(id: 1) { maker { name } } }"),
        (None, false)
    );
    assert_eq!(
        allowed("{ counted __schema { queryType { name } } }").0,
        None
    );
}

#[test]
fn an_object_may_take_its_parent_s_time() {
    assert_eq!(
        allowed("{ product(id: 1) { user { name } } }"),
        (Some(60), false)
    );
}

#[test]
fn of_an_abstract_type_the_strictest_object_counts() {
    let (allowed, _) = allowed("{ thing { ... on Cup { size } ... on Pot { size } } }");
    // The union itself says nothing.
    assert_eq!(allowed, None);
}

#[test]
fn each_step_has_a_policy_of_its_own() {
    let plan = planned("{ products { id rating } silent { name } }");
    let allowed: Vec<Option<u32>> = plan.steps().iter().map(|it| it.cache.allowed()).collect();
    let of = |path: &str| {
        let graph = plan.supergraph();
        let at =
            |step: &crate::model::Step| graph.describe(step.resolver).to_string().contains(path);
        plan.steps().iter().position(at).unwrap()
    };
    assert_eq!(allowed[of("/products")], Some(10));
    assert_eq!(allowed[of("/ratings")], Some(10));
    assert_eq!(allowed[of("/silent")], None);
    assert_eq!(plan.cache().allowed(), None);
}

#[test]
fn an_answer_is_as_fresh_as_its_oldest_part() {
    let policy = CachePolicy {
        max_age: Some(60),
        ..CachePolicy::default()
    };
    let caching = Caching::default();
    let seconds = Duration::from_secs;
    caching.used(seconds(5), seconds(20), false);
    caching.used(seconds(9), seconds(50), true);
    let fresh = Freshness {
        age: 9,
        left: 20,
        private: true,
    };
    assert_eq!(caching.freshness(policy), Some(fresh));
    assert_eq!(caching.freshness(CachePolicy::default()), None);
    caching.used_up();
    assert_eq!(caching.freshness(policy), None);
}
