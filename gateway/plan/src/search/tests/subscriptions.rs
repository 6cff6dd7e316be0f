//! Subscriptions: one root field that brings events, the rest as ever.

use std::collections::BTreeMap;

use super::*;

const PROTO: &str = "syntax = \"proto3\"; package v1;
    service Orders { rpc Watch(Which) returns (stream Changed); }
    message Which { int64 user_id = 1; }
    message Changed { int64 id = 1; string state = 2; int64 user_id = 3; }";

const SDL: &str = r#"
    extend schema
      @source(name: "orders", grpc: { url: "http://orders", protos: ["orders.proto"] })
      @source(name: "users", http: { baseURL: "http://users" })
    type Query { user(id: ID!): User @rest(source: "users", GET: "/users/{id}") }
    type Order { id: ID! state: String @map(from: "state") user: User @map(from: "{ id: user_id }") }
    type User @key(fields: "id") @rest(source: "users", GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String }
    type Subscription {
      orderChanged(userId: ID!): Order @grpc(source: "orders", method: "v1.Orders/Watch", request: { user_id: "$args.userId" })
      other: Order @grpc(source: "orders", method: "v1.Orders/Watch")
    }
"#;

fn orders() -> Arc<Supergraph> {
    let mut subgraph = file("orders", "URL", SDL);
    subgraph.env.clear();
    composed(&SchemaFiles {
        subgraphs: vec![subgraph],
        files: BTreeMap::from([("orders.proto".to_owned(), PROTO.as_bytes().to_vec())])
            .into_iter()
            .collect(),
        ..SchemaFiles::default()
    })
}

fn refused(operation: &str) -> String {
    let graph = orders();
    let document = Document::parse(graph.api(), operation, &OperationLimits::default());
    document.unwrap_err().to_string()
}

#[test]
fn what_no_event_carries_is_brought_for_each_of_them() {
    assert_plan(
        &orders(),
        "subscription { orderChanged(userId: 7) { id user { name } } }",
        "subscription: events, and 1 step for each
          [0] Subscription.orderChanged from orders: v1.Orders/Watch {user_id: $args.userId}  -> { id user { id } }
            [1] User from users: GET /users?id={$batch.id}  (one call for all parents)  -> { name }",
    );
}

#[test]
fn a_subscription_has_one_root_field_which_is_always_there() {
    for (operation, why) in [
        (
            "subscription { a: orderChanged(userId: 1) { id } other { id } }",
            "only one top level field",
        ),
        (
            "subscription { ...F ...G } fragment F on Subscription { other { id } } fragment G on Subscription { b: other { id } }",
            "only one top level field",
        ),
        (
            "subscription { __typename }",
            "introspection top level field",
        ),
        (
            "subscription($v: Boolean!) { other @skip(if: $v) { id } }",
            "@skip or @include on root fields",
        ),
        (
            "subscription($v: Boolean!) { ... @include(if: $v) { other { id } } }",
            "@skip or @include on root fields",
        ),
    ] {
        let refusal = refused(operation);
        assert!(refusal.contains(why), "{operation}: {refusal}");
    }
}
