//! The text of an operation: parsed, validated, planned over the example shop and costed, within the default limits.

#![no_main]

use std::sync::Arc;
use std::sync::LazyLock;

use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::Supergraph;
use libfuzzer_sys::fuzz_target;
use plan::Document;
use plan::OperationLimits;
use serde_json::Map;

static SHOP: LazyLock<Arc<Supergraph>> = LazyLock::new(shop);

fuzz_target!(|text: &str| {
    let limits = OperationLimits::default();
    let Ok(document) = Document::parse(SHOP.api(), text, &limits) else {
        return;
    };
    let Ok(plan) = plan::plan(&SHOP, &document, None, &limits) else {
        return;
    };
    if let Ok(variables) = plan.coerce(&Map::new()) {
        plan.cost(&variables);
    }
    // What operators read.
    drop(plan.to_string());
});

fn shop() -> Arc<Supergraph> {
    macro_rules! read {
        ($file:literal) => {
            include_str!(concat!("../../schema/", $file))
        };
    }
    let contracts = [
        ("users.openapi.yaml", read!("users.openapi.yaml")),
        ("orders.openapi.json", read!("orders.openapi.json")),
        ("products.proto", read!("products.proto")),
        ("inventory.proto", read!("inventory.proto")),
    ];
    let contracts = contracts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    let graph = compose::compose(&SchemaFiles {
        subgraphs: vec![
            subgraph("users", "USERS_URL", read!("users.graphql")),
            subgraph("products", "PRODUCTS_URL", read!("products.graphql")),
            subgraph("inventory", "INVENTORY_URL", read!("inventory.graphql")),
            subgraph("reviews", "REVIEWS_URL", read!("reviews.graphql")),
            subgraph("orders", "ORDERS_URL", read!("orders.graphql")),
        ],
        files: contracts.into(),
        ..SchemaFiles::default()
    });
    match graph {
        Ok(graph) => Arc::new(graph),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

fn subgraph(name: &str, variable: &str, sdl: &str) -> SubgraphFile {
    SubgraphFile {
        name: name.to_owned(),
        file: format!("{name}.graphql"),
        sdl: sdl.to_owned(),
        env: [(variable.to_owned(), Some("http://127.0.0.1:1".to_owned()))].into(),
        ..SubgraphFile::default()
    }
}
