//! The example shop's files, as configured. The fuzz targets include this file too.

use std::collections::BTreeMap;

use compose::SchemaFiles;
use compose::SubgraphFile;

macro_rules! read {
    ($file:literal) => {
        include_str!(concat!("../../../../../schema/", $file))
    };
}

pub(crate) fn files() -> SchemaFiles {
    let contracts = [
        ("users.openapi.yaml", read!("users.openapi.yaml")),
        ("orders.openapi.json", read!("orders.openapi.json")),
        ("products.proto", read!("products.proto")),
        ("inventory.proto", read!("inventory.proto")),
    ];
    let contracts = contracts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    SchemaFiles {
        subgraphs: vec![
            file("users", "USERS_URL", read!("users.graphql")),
            file("products", "PRODUCTS_URL", read!("products.graphql")),
            file("inventory", "INVENTORY_URL", read!("inventory.graphql")),
            file("reviews", "REVIEWS_URL", read!("reviews.graphql")),
            file("orders", "ORDERS_URL", read!("orders.graphql")),
        ],
        files: contracts.into(),
        ..SchemaFiles::default()
    }
}

/// A file whose service is at the address that a variable names.
pub(crate) fn file(name: &str, variable: &str, sdl: &str) -> SubgraphFile {
    SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl: sdl.into(),
        env: BTreeMap::from([(variable.to_owned(), Some("http://localhost:1".to_owned()))]),
        ..SubgraphFile::default()
    }
}
