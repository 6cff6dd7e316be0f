//! The room as a whole: the example shop and the worked example compose.

use super::*;

/// The files of the example shop, as the server would load them.
fn shop() -> SchemaFiles {
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
