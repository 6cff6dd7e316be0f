//! Every code of the Federation specification that composition says, each with the smallest
//! subgraphs that provoke it.
//! <https://www.apollographql.com/docs/graphos/reference/federation/errors>

use crate::document::FEDERATION;
use crate::{SchemaFiles, SubgraphFile, compose};

/// The code, and one text for each subgraph. Each links Federation 2.9 with all its directives,
/// except where the text begins with its own `extend schema` or with `# v1`.
const CASES: &[(&str, &[&str])] = &[
    (
        "CONTEXT_INVALID_SELECTION",
        &[
            "type Query { a: A } type A @key(fields: \"id\") @context(name: \"c\") { id: ID! f(x: Int @fromContext(field: \"$c { nope }\")): Int }",
        ],
    ),
    (
        "CONTEXT_NAME_CONTAINS_UNDERSCORE",
        &["type Query @context(name: \"a_b\") { a: Int }"],
    ),
    (
        "CONTEXT_NAME_INVALID",
        &["type Query @context(name: \"1\") { a: Int }"],
    ),
    (
        "CONTEXT_NOT_SET",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! f(x: Int @fromContext(field: \"$c { id }\")): Int }",
        ],
    ),
    (
        "CONTEXT_NO_RESOLVABLE_KEY",
        &[
            "type Query { a: A } type A @context(name: \"c\") { n: Int f(x: Int @fromContext(field: \"$c { n }\")): Int }",
        ],
    ),
    (
        "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS",
        &[
            "type Query { a: A } type A @key(fields: \"id\") @context(name: \"c\") @shareable { id: ID! f(x: ID @fromContext(field: \"$c { id }\")): Int }",
            "type A @key(fields: \"id\") @shareable { id: ID! f(x: ID!): Int }",
        ],
    ),
    (
        "COST_APPLIED_TO_INTERFACE_FIELD",
        &["type Query { a: Int } interface I { a: Int @cost(weight: 1) }"],
    ),
    (
        "DEFAULT_VALUE_USES_INACCESSIBLE",
        &["enum E { X @inaccessible Y } type Query { a(e: E = X): Int }"],
    ),
    (
        "DIRECTIVE_COMPOSITION_ERROR",
        &[
            "extend schema @composeDirective(name: \"@own\") directive @own on OBJECT type Query { a: Int }",
        ],
    ),
    (
        "DIRECTIVE_DEFINITION_INVALID",
        &["directive @key(fields: Int!) on OBJECT type Query { a: Int }"],
    ),
    (
        "DISALLOWED_INACCESSIBLE",
        &["scalar Int @inaccessible type Query { a: Int }"],
    ),
    (
        "EMPTY_MERGED_ENUM_TYPE",
        &["enum E { X } type Query { a(e: E): Int }", "enum E { Y }"],
    ),
    (
        "EMPTY_MERGED_INPUT_TYPE",
        &[
            "input I { x: Int } type Query { a(i: I): Int }",
            "input I { y: Int }",
        ],
    ),
    (
        "ENUM_VALUE_MISMATCH",
        &["enum E { X } type Query { a(e: E): E }", "enum E { Y }"],
    ),
    (
        "EXTENSION_WITH_NO_BASE",
        &["type Query { a: A } extend type A { x: Int }"],
    ),
    (
        "EXTERNAL_ARGUMENT_DEFAULT_MISMATCH",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x(n: Int = 1): Int }",
            "type A @key(fields: \"id\") { id: ID! x(n: Int = 2): Int @external y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "EXTERNAL_ARGUMENT_MISSING",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x(n: Int): Int }",
            "type A @key(fields: \"id\") { id: ID! x: Int @external y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "EXTERNAL_ARGUMENT_TYPE_MISMATCH",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x(n: Int): Int }",
            "type A @key(fields: \"id\") { id: ID! x(n: ID): Int @external y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! b: A @external @provides(fields: \"id\") y: Int @requires(fields: \"b { id }\") }",
        ],
    ),
    (
        "EXTERNAL_MISSING_ON_BASE",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int @external y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "EXTERNAL_ON_INTERFACE",
        &["type Query { a: Int } interface I { a: Int @external }"],
    ),
    (
        "EXTERNAL_TYPE_MISMATCH",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int }",
            "type A @key(fields: \"id\") { id: ID! x: ID @external y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "EXTERNAL_UNUSED",
        &["type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int @external }"],
    ),
    (
        "FIELD_ARGUMENT_DEFAULT_MISMATCH",
        &[
            "type Query @shareable { a(n: Int = 1): Int }",
            "type Query @shareable { a(n: Int = 2): Int }",
        ],
    ),
    (
        "FIELD_ARGUMENT_TYPE_MISMATCH",
        &[
            "type Query @shareable { a(n: Int): Int }",
            "type Query @shareable { a(n: ID): Int }",
        ],
    ),
    (
        "FIELD_TYPE_MISMATCH",
        &[
            "type Query @shareable { a: Int }",
            "type Query @shareable { a: ID }",
        ],
    ),
    (
        "IMPLEMENTED_BY_INACCESSIBLE",
        &["interface I { a: Int } type Query implements I { a: Int @inaccessible b: Int }"],
    ),
    (
        "INPUT_FIELD_DEFAULT_MISMATCH",
        &[
            "input I { x: Int = 1 } type Query { a(i: I): Int }",
            "input I { x: Int = 2 }",
        ],
    ),
    (
        "INTERFACE_FIELD_NO_IMPLEM",
        &[
            "interface I { a: Int } type Query implements I { a: Int }",
            "interface I { b: Int }",
        ],
    ),
    (
        "INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE",
        &[
            "interface I @key(fields: \"id\") { id: ID! } type Query { i: I }",
            "interface I { id: ID! } type A implements I @key(fields: \"id\") { id: ID! }",
        ],
    ),
    (
        "INTERFACE_KEY_NOT_ON_IMPLEMENTATION",
        &[
            "interface I @key(fields: \"id\") { id: ID! } type A implements I { id: ID! } type Query { i: I }",
        ],
    ),
    (
        "INTERFACE_OBJECT_USAGE_ERROR",
        &["type I @interfaceObject { id: ID! } type Query { i: I }"],
    ),
    (
        "INVALID_FIELD_SHARING",
        &["type Query { a: Int }", "type Query { a: Int }"],
    ),
    ("INVALID_GRAPHQL", &["type Query { a: Unknown }"]),
    (
        "INVALID_LINK_DIRECTIVE_USAGE",
        &[
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@nope\"]) type Query { a: Int }",
        ],
    ),
    (
        "INVALID_LINK_IDENTIFIER",
        &[
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2\") type Query { a: Int }",
        ],
    ),
    (
        "INVALID_SHAREABLE_USAGE",
        &["interface I { a: Int @shareable } type Query { a: Int }"],
    ),
    (
        "KEY_DIRECTIVE_IN_FIELDS_ARG",
        &["type Query { a: A } type A @key(fields: \"id @skip(if: true)\") { id: ID! }"],
    ),
    (
        "KEY_FIELDS_HAS_ARGS",
        &["type Query { a: A } type A @key(fields: \"id\") { id(n: Int): ID! }"],
    ),
    (
        "KEY_FIELDS_SELECT_INVALID_TYPE",
        &["type Query { a: A } type A @key(fields: \"i { id }\") { i: I } interface I { id: ID! }"],
    ),
    (
        "KEY_INVALID_FIELDS",
        &["type Query { a: A } type A @key(fields: \"nope\") { id: ID! }"],
    ),
    (
        "KEY_INVALID_FIELDS_TYPE",
        &["type Query { a: A } type A @key(fields: id) { id: ID! }"],
    ),
    (
        "KEY_UNSUPPORTED_ON_INTERFACE",
        &[
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.2\", import: [\"@key\"]) interface I @key(fields: \"id\") { id: ID! } type Query { i: I }",
        ],
    ),
    (
        "LINK_IMPORT_NAME_MISMATCH",
        &[
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@tag\"]) type Query { a: Int }",
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [{ name: \"@tag\", as: \"@label\" }]) type Query { b: Int }",
        ],
    ),
    (
        "LIST_SIZE_APPLIED_TO_NON_LIST",
        &["type Query { a: Int @listSize(assumedSize: 1) }"],
    ),
    (
        "LIST_SIZE_INVALID_ASSUMED_SIZE",
        &["type Query { a: [Int] @listSize(assumedSize: -1) }"],
    ),
    (
        "LIST_SIZE_INVALID_SIZED_FIELD",
        &["type Query { a: A @listSize(assumedSize: 1, sizedFields: [\"x\"]) } type A { x: Int }"],
    ),
    (
        "LIST_SIZE_INVALID_SLICING_ARGUMENT",
        &["type Query { a: [Int] @listSize(slicingArguments: [\"n\"]) }"],
    ),
    (
        "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int }",
            "type A @key(fields: \"id\") { id: ID! x: Int @external @tag(name: \"t\") y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "NO_CONTEXT_IN_SELECTION",
        &[
            "type Query { a: A } type A @key(fields: \"id\") @context(name: \"c\") { id: ID! f(x: Int @fromContext(field: \"{ id }\")): Int }",
        ],
    ),
    ("NO_QUERIES", &["type A { a: Int }"]),
    (
        "ONLY_INACCESSIBLE_CHILDREN",
        &["type Query { a: Int } type A { a: Int @inaccessible }"],
    ),
    (
        "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: A }",
            "type A @key(fields: \"id\") { id: ID! x: A @external @override(from: \"a\") y: Int @requires(fields: \"x { id }\") }",
        ],
    ),
    (
        "OVERRIDE_FROM_SELF_ERROR",
        &["type Query { a: Int @override(from: \"a\") }"],
    ),
    (
        "OVERRIDE_LABEL_INVALID",
        &[
            "type Query { a: Int @override(from: \"b\", label: \"5 percent\") }",
            "type Query { a: Int }",
        ],
    ),
    (
        "OVERRIDE_ON_INTERFACE",
        &["type Query { a: Int } interface I { a: Int @override(from: \"b\") }"],
    ),
    (
        "OVERRIDE_SOURCE_HAS_OVERRIDE",
        &[
            "type Query { a: Int @override(from: \"b\") }",
            "type Query { a: Int @override(from: \"a\") }",
        ],
    ),
    (
        "PROVIDES_DIRECTIVE_IN_FIELDS_ARG",
        &[
            "type Query { a: A @provides(fields: \"x @skip(if: true)\") } type A @key(fields: \"id\") { id: ID! x: Int @external }",
            "type A @key(fields: \"id\") { id: ID! x: Int @shareable }",
        ],
    ),
    (
        "PROVIDES_FIELDS_HAS_ARGS",
        &[
            "type Query { a: A @provides(fields: \"x\") } type A @key(fields: \"id\") { id: ID! x(n: Int): Int @external }",
            "type A @key(fields: \"id\") { id: ID! x(n: Int): Int @shareable }",
        ],
    ),
    (
        "PROVIDES_FIELDS_MISSING_EXTERNAL",
        &["type Query { a: A @provides(fields: \"x\") } type A { x: Int }"],
    ),
    (
        "PROVIDES_INVALID_FIELDS",
        &["type Query { a: A @provides(fields: \"nope\") } type A { x: Int }"],
    ),
    (
        "PROVIDES_INVALID_FIELDS_TYPE",
        &["type Query { a: A @provides(fields: x) } type A { x: Int @external }"],
    ),
    (
        "PROVIDES_ON_NON_OBJECT_FIELD",
        &["type Query { a: Int @provides(fields: \"x\") }"],
    ),
    (
        "PROVIDES_UNSUPPORTED_ON_INTERFACE",
        &[
            "type Query { a: Int } interface I { a: A @provides(fields: \"x\") } type A { x: Int @external }",
        ],
    ),
    (
        "QUERY_ROOT_TYPE_INACCESSIBLE",
        &["type Query @inaccessible { a: Int }"],
    ),
    (
        "REFERENCED_INACCESSIBLE",
        &["type Query { a: A } type A @inaccessible { x: Int }"],
    ),
    (
        "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
        &[
            "type Query @shareable { a(n: Int!): Int }",
            "type Query @shareable { a: Int }",
        ],
    ),
    (
        "REQUIRED_INACCESSIBLE",
        &["type Query { a(n: Int! @inaccessible): Int }"],
    ),
    (
        "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH",
        &[
            "input I { x: Int! y: Int } type Query { a(i: I): Int }",
            "input I { y: Int }",
        ],
    ),
    (
        "REQUIRES_DIRECTIVE_IN_FIELDS_ARG",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int @external y: Int @requires(fields: \"x @skip(if: true)\") }",
            "type A @key(fields: \"id\") { id: ID! x: Int }",
        ],
    ),
    (
        "REQUIRES_FIELDS_MISSING_EXTERNAL",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int y: Int @requires(fields: \"x\") }",
        ],
    ),
    (
        "REQUIRES_INVALID_FIELDS",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! y: Int @requires(fields: \"nope\") }",
        ],
    ),
    (
        "REQUIRES_INVALID_FIELDS_TYPE",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! x: Int @external y: Int @requires(fields: x) }",
        ],
    ),
    (
        "REQUIRES_UNSUPPORTED_ON_INTERFACE",
        &["type Query { a: Int } interface I { a: Int @requires(fields: \"b\") b: Int }"],
    ),
    (
        "ROOT_MUTATION_USED",
        &[
            "schema { query: Query mutation: M } type Query { a: Int } type M { a: Int } type Mutation { a: Int }",
        ],
    ),
    (
        "ROOT_QUERY_USED",
        &["schema { query: Q } type Q { a: Int } type Query { a: Int }"],
    ),
    (
        "ROOT_SUBSCRIPTION_USED",
        &[
            "schema { query: Query subscription: S } type Query { a: Int } type S { a: Int } type Subscription { a: Int }",
        ],
    ),
    (
        "SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES",
        &[
            "union U = A type A { a: Int } type Query @shareable { u: U }",
            "union U = B type B { b: Int } type Query @shareable { u: U }",
        ],
    ),
    (
        "TYPE_DEFINITION_INVALID",
        &["enum link__Import { A } type Query { a: Int }"],
    ),
    (
        "TYPE_KIND_MISMATCH",
        &["type Query { a: A } type A { a: Int }", "enum A { X }"],
    ),
    (
        "TYPE_WITH_ONLY_UNUSED_EXTERNAL",
        &["# v1\ntype Query { a: Int } extend type A { x: Int @external }"],
    ),
    (
        "UNKNOWN_FEDERATION_LINK_VERSION",
        &[
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v3.0\") type Query { a: Int }",
        ],
    ),
    (
        "UNKNOWN_LINK_VERSION",
        &["extend schema @link(url: \"https://specs.apollo.dev/link/v2.0\") type Query { a: Int }"],
    ),
    (
        "UNSATISFIABLE",
        &[
            "type Query { a: A } type A @shareable { x: Int }",
            "type Query { b: A } type A @shareable { x: Int y: Int }",
        ],
    ),
    (
        "UNSUPPORTED_LINKED_FEATURE",
        &[
            "extend schema @link(url: \"https://example.com/mine/v1.0\", for: EXECUTION) type Query { a: Int }",
        ],
    ),
    // Hints.
    (
        "FROM_SUBGRAPH_DOES_NOT_EXIST",
        &["type Query { a: Int @override(from: \"nobody\") }"],
    ),
    (
        "INCONSISTENT_ARGUMENT_PRESENCE",
        &[
            "type Query @shareable { a(n: Int): Int }",
            "type Query @shareable { a: Int }",
        ],
    ),
    (
        "INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE",
        &[
            "type Query @shareable { a(n: Int): Int }",
            "type Query @shareable { a(n: Int!): Int }",
        ],
    ),
    (
        "INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE",
        &[
            "type Query @shareable { a: Int }",
            "type Query @shareable { a: Int! }",
        ],
    ),
    (
        "INCONSISTENT_DEFAULT_VALUE_PRESENCE",
        &[
            "type Query @shareable { a(n: Int = 1): Int }",
            "type Query @shareable { a(n: Int): Int }",
        ],
    ),
    (
        "INCONSISTENT_DESCRIPTION",
        &[
            "\"One\" type Query { a: Int }",
            "\"Two\" type Query { b: Int }",
        ],
    ),
    (
        "INCONSISTENT_ENTITY",
        &[
            "type Query { a: A } type A @key(fields: \"id\") { id: ID! }",
            "type A { id: ID! @shareable }",
        ],
    ),
    (
        "INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM",
        &["enum E { X Y } type Query { a(e: E): Int }", "enum E { X }"],
    ),
    (
        "INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM",
        &["enum E { X Y } type Query { a: E }", "enum E { X }"],
    ),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS",
        &[
            "directive @t on FIELD | QUERY type Query { a: Int }",
            "directive @t on FIELD",
        ],
    ),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE",
        &["directive @t on FIELD type Query { a: Int }", "scalar S"],
    ),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE",
        &[
            "directive @t repeatable on FIELD type Query { a: Int }",
            "directive @t on FIELD",
        ],
    ),
    (
        "INCONSISTENT_INPUT_OBJECT_FIELD",
        &[
            "input I { x: Int y: Int } type Query { a(i: I): Int }",
            "input I { y: Int }",
        ],
    ),
    (
        "INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD",
        &[
            "interface I { a: Int } type Query implements I { a: Int b: Int }",
            "interface I { b: Int }",
        ],
    ),
    (
        "INCONSISTENT_OBJECT_VALUE_TYPE_FIELD",
        &[
            "type Query { a: A } type A @shareable { x: Int y: Int }",
            "type A @shareable { x: Int }",
        ],
    ),
    (
        "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN",
        &[
            "union U = A | B type A { a: Int @shareable } type B { b: Int } type Query @shareable { u: U }",
            "union U = A type A { a: Int @shareable } type Query @shareable { u: U }",
        ],
    ),
    (
        "INCONSISTENT_UNION_MEMBER",
        &[
            "union U = A type A { a: Int } type Query { u: U }",
            "union U = B type B { b: Int }",
        ],
    ),
    (
        "NO_EXECUTABLE_DIRECTIVE_INTERSECTION",
        &[
            "directive @t on FIELD type Query { a: Int }",
            "directive @t on QUERY",
        ],
    ),
    (
        "OVERRIDDEN_FIELD_CAN_BE_REMOVED",
        &[
            "type Query { a: Int @override(from: \"b\") }",
            "type Query { a: Int }",
        ],
    ),
    (
        "OVERRIDE_DIRECTIVE_CAN_BE_REMOVED",
        &["type Query { a: Int @override(from: \"b\") }", "scalar S"],
    ),
    (
        "OVERRIDE_MIGRATION_IN_PROGRESS",
        &[
            "type Query { a: Int @override(from: \"b\", label: \"percent(5)\") }",
            "type Query { a: Int }",
        ],
    ),
    ("UNUSED_ENUM_TYPE", &["enum E { X } type Query { a: Int }"]),
];

fn files(sdl: &[&str]) -> SchemaFiles {
    let imports: Vec<String> = FEDERATION
        .iter()
        .map(|(name, _)| format!("\"@{name}\""))
        .collect();
    let link = format!(
        "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [{}])\n",
        imports.join(", ")
    );
    let linked = |sdl: &str| {
        let own = sdl.starts_with("extend schema @link") || sdl.starts_with("# v1");
        if own {
            sdl.to_owned()
        } else {
            format!("{link}{sdl}")
        }
    };
    let subgraphs = sdl.iter().zip('a'..).map(|(sdl, name)| SubgraphFile {
        name: name.to_string(),
        file: format!("{name}.graphql"),
        sdl: linked(sdl),
        url: Some(format!("http://{name}")),
        ..Default::default()
    });
    SchemaFiles {
        subgraphs: subgraphs.collect(),
        ..Default::default()
    }
}

#[test]
fn every_code_has_its_case() {
    let mut wrong = Vec::new();
    for (code, sdl) in CASES {
        let said = match compose(&files(sdl)) {
            Ok(graph) => graph.warnings().clone(),
            Err(found) => found,
        };
        let told = said.0.iter().find(|it| it.code == *code);
        // What concerns the graph as a whole stands nowhere.
        let placed = told.is_some_and(|it| it.place.is_some() || *code == "NO_QUERIES");
        if !placed {
            wrong.push(format!("{code}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
