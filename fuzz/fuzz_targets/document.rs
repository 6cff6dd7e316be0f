//! The text of an operation: parsed, validated, planned over the example shop and costed, within the default limits.

#![no_main]

#[path = "../../gateway/plan/src/search/tests/shop.rs"]
mod shop;

use std::sync::Arc;
use std::sync::LazyLock;

use compose::Supergraph;
use libfuzzer_sys::fuzz_target;
use plan::Document;
use plan::OperationLimits;
use serde_json::Map;

static SHOP: LazyLock<Arc<Supergraph>> = LazyLock::new(composed);

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

fn composed() -> Arc<Supergraph> {
    match compose::compose(&shop::files()) {
        Ok(graph) => Arc::new(graph),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}
