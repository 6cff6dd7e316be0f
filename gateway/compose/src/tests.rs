//! The room as a whole: the example shop and the worked example compose.

use super::*;

/// The files of the example shop, as the server would load them.
pub(crate) fn shop() -> SchemaFiles {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema");
    let read =
        |name: &str| std::fs::read(format!("{directory}/{name}")).expect("a file of the example");
    let subgraph = |name: &str| SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl: String::from_utf8(read(&format!("{name}.graphql"))).expect("UTF-8"),
        env: [(
            format!("{}_URL", name.to_uppercase()),
            Some(format!("http://{name}")),
        )]
        .into(),
        ..Default::default()
    };
    let mut files = SchemaFiles {
        subgraphs: ["users", "products", "inventory", "reviews", "orders"]
            .map(subgraph)
            .into(),
        ..Default::default()
    };
    loop {
        let wanted = references(&files);
        if wanted.is_empty() {
            return files;
        }
        for reference in wanted {
            files
                .files
                .insert(reference.path.clone(), read(&reference.path));
        }
    }
}

#[test]
fn the_example_shop_composes() {
    let graph = compose(&shop()).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(graph.warnings().to_string(), "");
    assert_eq!(graph.subgraphs().len(), 5);
}

/// The three files of the schema language's worked example, without what delivers later.
fn worked_example() -> SchemaFiles {
    let shop = shop();
    let sdl = [
        (
            "users",
            r#"
extend schema @source(name: "users", http: { baseURL: "{$env.USERS_URL}", openapi: "users.openapi.yaml" }, naming: SNAKE_CASE)
type Query { user(id: ID!): User @rest(GET: "/users/{id}") }
type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String! email: String createdAt: DateTime! }
scalar DateTime
"#,
        ),
        (
            "reviews",
            r#"
extend schema @source(name: "reviews", http: { baseURL: "{$env.REVIEWS_URL}" }, naming: SNAKE_CASE)
type Review { id: ID! rating: Int! comment: String user: User @map(from: { id: "user_id" }) product: Product @map(from: { id: "product_id" }) }
type User @key(fields: "id") {
  id: ID!
  reviews(first: Int = 20): [Review!] @rest(GET: "/reviews", query: { user_id: "$batch.id" }, result: "items", batch: { by: { id: "user_id" }, limit: "$args.first" }, page: { style: CURSOR, size: "limit", maxSize: 500, at: "cursor", next: "next_cursor", follow: 10 })
}
type Product @key(fields: "id") {
  id: ID!
  reviews(first: Int = 20): [Review!] @rest(GET: "/reviews", query: { product_id: "$batch.id" }, result: "items", batch: { by: { id: "product_id" }, limit: "$args.first" }, page: { style: CURSOR, size: "limit", maxSize: 500, at: "cursor", next: "next_cursor", follow: 10 })
}
type Mutation {
  createReview(input: CreateReviewInput!): Review @rest(POST: "/reviews")
}
input CreateReviewInput { productId: ID! rating: Int! comment: String }
"#,
        ),
        (
            "products",
            r#"
extend schema @source(name: "products", grpc: { url: "{$env.PRODUCTS_URL}", protos: ["products.proto"] })
type Query {
  product(id: ID!): Product @grpc(method: "ecommerce.v1.ProductService/GetProduct", request: { product_id: "$args.id" })
  products(limit: Int = 20): [Product!]! @grpc(method: "ecommerce.v1.ProductService/ListProducts", request: { page_size: "$args.limit" }, maxMessages: 500) @listSize(slicingArguments: ["limit"])
}
type Product @key(fields: "id") @grpc(method: "ecommerce.v1.ProductService/BatchGetProducts", request: { product_ids: "$batch.id" }, result: "products") { id: ID! name: String! price: Float! stock: Int! }
"#,
        ),
    ];
    let subgraphs = sdl.map(|(name, sdl)| SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl: sdl.into(),
        env: [(
            format!("{}_URL", name.to_uppercase()),
            Some(format!("http://{name}")),
        )]
        .into(),
        ..Default::default()
    });
    SchemaFiles {
        subgraphs: subgraphs.into(),
        files: shop.files,
        ..Default::default()
    }
}

#[test]
fn the_worked_example_composes() {
    let graph = compose(&worked_example()).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(graph.warnings().to_string(), "");
    assert_eq!(
        graph.api().serialize().no_indent().to_string(),
        "type Query { user(id: ID!): User product(id: ID!): Product products(limit: Int = 20): [Product!]! } \
         type User { id: ID! name: String! email: String createdAt: DateTime! reviews(first: Int = 20): [Review!] } \
         scalar DateTime \
         type Review { id: ID! rating: Int! comment: String user: User product: Product } \
         type Product { id: ID! reviews(first: Int = 20): [Review!] name: String! price: Float! stock: Int! } \
         type Mutation { createReview(input: CreateReviewInput!): Review } \
         input CreateReviewInput { productId: ID! rating: Int! comment: String }"
    );
}

#[test]
fn composing_twice_gives_the_same_graph() {
    let print = |graph: &Supergraph| {
        format!(
            "{} {:?} {:?} {:?} {:?} {}",
            graph.api(),
            graph.types(),
            graph.resolvers(),
            graph.views(),
            graph.encodings,
            graph.version()
        )
    };
    let graphs = [(); 2].map(|()| compose(&shop()).unwrap_or_else(|found| panic!("{found}")));
    // Names print without their spans; file numbers differ between runs.
    assert_eq!(print(&graphs[0]), print(&graphs[1]));
}

#[test]
fn a_missing_document_is_told_where_it_is_named() {
    let mut files = shop();
    files.files.remove("users.openapi.yaml");
    assert_eq!(references(&files).len(), 1);
    let found = compose(&files).expect_err("a file is missing").to_string();
    assert!(
        found.starts_with("error[FILE_NOT_FOUND] users.graphql:5:"),
        "{found}"
    );
}

#[test]
fn an_overridden_field_keeps_only_the_calls_of_its_new_owner() {
    let a = "type Query { a: A @rest(GET: \"/a\") old: Int @rest(GET: \"/old\") } \
        type A @key(fields: \"id\") { id: ID! x: Int @rest(GET: \"/x/{$this.id}\") }";
    let b = "type Query { old: Int @override(from: \"a\") @rest(GET: \"/new\") } \
        type A @key(fields: \"id\") { id: ID! x: Int @override(from: \"a\") @rest(GET: \"/y/{$this.id}\") }";
    let graph = compose(&merge::testing::files(&[a, b])).unwrap_or_else(|found| panic!("{found}"));
    for (ty, field) in [("A", "x"), ("Query", "old")] {
        let resolvers = &graph.types()[ty].fields[field].resolvers;
        let owners = resolvers
            .iter()
            .map(|id| graph.resolver(*id).subgraph.index());
        assert_eq!(owners.collect::<Vec<_>>(), [1], "{ty}.{field}");
    }
}

/// A graph of many types: each subgraph owns entities and refers to those of the next.
fn large(subgraphs: usize, types: usize) -> SchemaFiles {
    let subgraph = |index: usize| {
        let next = (index + 1) % subgraphs;
        let mut sdl = format!(
            "extend schema @source(name: \"s{index}\", http: {{ baseURL: \"http://s{index}\" }})\n\
             type Query {{ first{index}: E{index}x0 @rest(GET: \"/first\") }}\n"
        );
        for ty in 0..types {
            sdl += &format!(
                "type E{index}x{ty} @key(fields: \"id\") @rest(GET: \"/e{ty}\", query: {{ id: \"$batch.id\" }}) {{ \
                 id: ID! name: String! size: Int next: [E{next}x{ty}!] sibling: E{index}x{} }}\n\
                 type E{next}x{ty} @key(fields: \"id\", resolvable: false) {{ id: ID! }}\n",
                (ty + 1) % types
            );
        }
        SubgraphFile {
            name: format!("s{index}"),
            file: format!("s{index}.graphql"),
            sdl,
            ..Default::default()
        }
    };
    SchemaFiles {
        subgraphs: (0..subgraphs).map(subgraph).collect(),
        ..Default::default()
    }
}

#[test]
fn a_thousand_types_over_fifty_subgraphs_compose() {
    let graph = compose(&large(50, 20)).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(
        (graph.types().len(), graph.resolvers().len()),
        (1_001, 1_050)
    );
}

/// One file of one source.
fn one(sdl: &str) -> SchemaFiles {
    merge::testing::files(&[sdl])
}

#[test]
fn hostile_nesting_is_refused() {
    let deep =
        |open: &str, close: &str| format!("{}x{}", open.repeat(20_000), close.repeat(20_000));
    for sdl in [
        format!("type Query {{ a: {} }}", deep("[", "]")),
        format!("type Query {{ a: Int @map(default: {}) }}", deep("[", "]")),
        format!(
            "type Query {{ a: Int @map(default: {}) }}",
            deep("{a:", "}")
        ),
        format!(
            "type Query {{ a(x: I = {}): Int }} input I {{ x: I }}",
            deep("{x:", "}")
        ),
        format!("query {}", deep("{a", "}")),
        format!("type Query {{ a: Int @map(from: \"{}\") }}", deep("{", "}")),
        format!(
            "type Query @key(fields: \"{}\") {{ a: Int }}",
            deep("x{", "}")
        ),
    ] {
        assert!(compose(&one(&sdl)).is_err());
    }
}

#[test]
fn circles_end() {
    for sdl in [
        "interface A implements B { a: Int } interface B implements A { a: Int }",
        "union U = U",
        "input I { i: I! }",
        "input I { j: J! } input J { i: I = {} }",
        "directive @a(x: Int @a) on ARGUMENT_DEFINITION",
        "type A @key(fields: \"b { a { b { ...F } } }\") { b: B } type B { a: A }",
        "type Query { a: A @rest(GET: \"/\") } type A @key(fields: \"...F\") { a: A }",
    ] {
        assert!(compose(&one(sdl)).is_err(), "{sdl}");
    }
    let sdl = "type Query { a: A @rest(GET: \"/\") } type A { a: A b: [B] } type B { a: A b: B } ";
    let graph = compose(&one(sdl)).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(graph.views().len(), 2);
}

#[test]
fn files_of_megabytes_are_answered() {
    let unknown: String = (0..2_000)
        .map(|n| format!("type A{n} @unknown{n} {{ a: Missing{n} }}\n"))
        .collect();
    let found = compose(&one(&unknown)).expect_err("nothing is known");
    assert_eq!(found.0.len(), 1_000);
    let name = "N".repeat(1_000_000);
    let found = compose(&one(&format!("type {name}x {{ a: {name}y @{name}z }}")));
    assert_eq!(found.expect_err("no such type").0.len(), 3);
    let one_line = format!("type Query {{ {} }} }}", "a: Int ".repeat(100_000));
    let found = compose(&one(&one_line))
        .expect_err("one name many times")
        .to_string();
    assert!(found.len() < 1_000_000, "{}", found.len());
    assert!(compose(&one(&"\u{0}\"\\".repeat(300_000))).is_err());
}

#[test]
fn every_beginning_of_a_file_is_answered() {
    let files = worked_example();
    let reviews = &files.subgraphs[1];
    let cut = |at: usize| SchemaFiles {
        subgraphs: vec![SubgraphFile {
            sdl: reviews.sdl[..at].to_owned(),
            ..reviews.clone()
        }],
        ..Default::default()
    };
    for at in 0..reviews.sdl.len() {
        assert!(compose(&cut(at)).is_err(), "{}", &reviews.sdl[..at]);
    }
}

#[test]
fn a_contract_is_the_same_graph_with_another_api() {
    let mut files = shop();
    let tagged = "phone: String @tag(name: \"private\")";
    for subgraph in &mut files.subgraphs {
        subgraph.sdl = subgraph.sdl.replacen("phone: String", tagged, 1);
    }
    let private = GivenContract {
        include: Vec::new(),
        exclude: vec!["private".into()],
    };
    files.contracts.insert("public".into(), private);
    let graph = compose(&files).unwrap_or_else(|found| panic!("{found}"));
    let public = graph.contract("public").expect("a contract");
    let phone = |graph: &Supergraph| graph.api().type_field("User", "phone").is_ok();
    assert!(phone(&graph) && !phone(&public));
    assert!(std::ptr::eq(graph.resolvers(), public.resolvers()));
    assert_ne!(graph.version(), public.version());
    assert!(graph.contract("other").is_none());
    assert_eq!(graph.contracts().collect::<Vec<_>>(), ["public"]);
}
