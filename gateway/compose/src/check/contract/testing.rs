//! A small file and a small contract in, what the checks say of them out.

use super::super::Graph;
use crate::diagnostic::Diagnostics;
use crate::document;
use crate::files::{SchemaFiles, SubgraphFile};
use crate::lower;
use crate::merge;

/// What the checks against contracts say of some files.
pub(super) fn checked(files: &SchemaFiles) -> Diagnostics {
    let mut before = Diagnostics::default();
    let documents = document::read(files, &mut before).expect("valid syntax");
    let merged = merge::merge(&documents, &mut before);
    let lowered = lower::lower(files, &documents, &merged.types, &mut before);
    assert!(before.is_empty(), "{before}");
    let graph = Graph::new(&merged.types, &lowered, &documents);
    let mut diagnostics = Diagnostics::default();
    super::check(&graph, &mut diagnostics);
    diagnostics
}

/// One subgraph, `shop.graphql`, beside one contract.
pub(super) fn files(sdl: &str, contract: &str, text: &str) -> SchemaFiles {
    SchemaFiles {
        subgraphs: vec![SubgraphFile {
            name: "shop".into(),
            file: "shop.graphql".into(),
            sdl: sdl.into(),
            ..Default::default()
        }],
        files: [(contract.to_owned(), text.as_bytes().to_vec())].into(),
        ..Default::default()
    }
}

/// What is said of declarations (from line 2 on) over a REST service with these `paths:` and
/// `components:`, in YAML.
pub(super) fn rest(declarations: &str, paths: &str) -> String {
    let sdl = format!(
        "extend schema @source(name: \"shop\", http: {{ baseURL: \"http://shop\", openapi: \"shop.yaml\" }}, naming: SNAKE_CASE)\n{declarations}"
    );
    let text = format!("openapi: 3.1.0\ninfo: {{ title: Shop, version: '1' }}\n{paths}");
    checked(&files(&sdl, "shop.yaml", &text)).to_string()
}

/// What is said of declarations (from line 2 on) over a gRPC service with these messages and methods.
pub(super) fn grpc(declarations: &str, proto: &str) -> String {
    let sdl = format!(
        "extend schema @source(name: \"shop\", grpc: {{ url: \"http://shop\", protos: [\"shop.proto\"] }})\n{declarations}"
    );
    let text = format!("syntax = \"proto3\";\npackage shop;\n{proto}");
    checked(&files(&sdl, "shop.proto", &text)).to_string()
}
