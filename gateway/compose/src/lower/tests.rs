//! What the tests of this room share, and the example shop as a whole.

use crate::SchemaFiles;
use crate::SubgraphFile;
use crate::diagnostic::Diagnostics;
use crate::lower::print::{Printed, Tables};
use crate::lower::{Lowered, lower};
use crate::{document, merge};

/// A source on the first line and the given declarations from the second.
pub(super) const SHOP: &str = "extend schema @source(name: \"shop\", http: { baseURL: \"http://shop\" }, naming: SNAKE_CASE)\n";

/// One subgraph, `shop.graphql`, of exactly this text.
pub(super) fn file(sdl: &str) -> SchemaFiles {
    let subgraph = SubgraphFile {
        name: "shop".into(),
        file: "shop.graphql".into(),
        sdl: sdl.into(),
        ..Default::default()
    };
    SchemaFiles {
        subgraphs: vec![subgraph],
        ..Default::default()
    }
}

/// The lowered graph of some files, and what lowering says of them.
pub(super) fn lowered_files(files: &SchemaFiles) -> (Lowered, Diagnostics) {
    let mut before = Diagnostics::default();
    let documents = document::read(files, &mut before).expect("valid syntax");
    let merged = merge::merge(&documents, &mut before);
    assert!(before.is_empty(), "{before}");
    let mut diagnostics = Diagnostics::default();
    let lowered = lower(files, &documents, &merged.types, &mut diagnostics);
    (lowered, diagnostics)
}

/// What lowering says of declarations behind the source [`SHOP`].
pub(super) fn said(declarations: &str) -> String {
    said_of(&file(&format!("{SHOP}{declarations}")))
}

pub(super) fn said_of(files: &SchemaFiles) -> String {
    lowered_files(files).1.to_string()
}

/// The resolvers of declarations behind the source [`SHOP`], without complaint.
pub(super) fn printed(declarations: &str) -> String {
    printed_files(&file(&format!("{SHOP}{declarations}")))
}

pub(super) fn printed_files(files: &SchemaFiles) -> String {
    let (lowered, diagnostics) = lowered_files(files);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    let tables = Tables {
        sources: &lowered.sources,
        views: &lowered.views,
        encodings: &lowered.encodings,
    };
    let resolvers = lowered.resolvers.iter();
    let shown = resolvers.map(|resolver| Printed { tables, resolver }.to_string());
    shown.collect()
}

/// The one call of declarations behind the source [`SHOP`].
pub(super) fn call(declarations: &str) -> String {
    let shown = printed(declarations);
    let call = shown
        .lines()
        .find_map(|line| line.strip_prefix("  call    shop: "));
    call.expect("a call").to_owned()
}

/// A file of the example shop.
fn example(name: &str) -> Vec<u8> {
    let path = format!("{}/../../schema/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn shop() -> SchemaFiles {
    let subgraphs = ["users", "products", "inventory", "reviews", "orders"];
    let documents = [
        "users.openapi.yaml",
        "products.proto",
        "inventory.proto",
        "orders.openapi.json",
    ];
    SchemaFiles {
        subgraphs: subgraphs.map(subgraph).into(),
        files: documents
            .map(|name| (name.to_owned(), example(name)))
            .into(),
        ..Default::default()
    }
}

fn subgraph(name: &str) -> SubgraphFile {
    let variable = format!("{}_URL", name.to_uppercase());
    SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl: String::from_utf8(example(&format!("{name}.graphql"))).expect("text"),
        env: [(variable, Some(format!("http://{name}")))].into(),
        ..Default::default()
    }
}

#[test]
fn the_example_shop_lowers_completely_and_without_complaint() {
    let files = shop();
    let (lowered, diagnostics) = lowered_files(&files);
    assert_eq!(diagnostics.to_string(), "");
    let texts = files.subgraphs.iter().map(|it| it.sdl.as_str());
    let written: usize = texts
        .map(|sdl| sdl.matches("@rest(").count() + sdl.matches("@grpc(").count())
        .sum();
    assert_eq!(lowered.resolvers.len(), written);
    let printed = printed_files(&files);
    let batch = "User by id
  call    users: GET /users?id=$batch.id as integer
  batch   by id=id ID!, at most 100
  reply   User { id, name, email, phone, createdAt: created_at }
";
    assert!(printed.contains(batch), "{printed}");
    let stock = "Product.inventory
  call    inventory: inventory.v1.InventoryService.BatchGetStock { product_ids: $batch.id as string }
  batch   by id=product_id ID!, at most 500
  reply   items → Inventory { available, quantity, warehouse, product: the same object { id: product_id } }
";
    assert!(printed.contains(stock), "{printed}");
}
