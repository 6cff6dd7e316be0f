//! The values of `join__Graph`.

use apollo_compiler::Name;

use crate::document::Document;
use crate::files::SchemaFiles;
use crate::model::SubgraphId;

/// In the order of the configuration.
pub(super) struct Graphs(pub(super) Vec<Graph>);

/// One subgraph.
pub(super) struct Graph {
    pub(super) value: Name,
    pub(super) name: String,
    /// Empty where the subgraph's own directives say which services answer.
    pub(super) url: String,
}

impl Graphs {
    pub(super) fn of(files: &SchemaFiles, documents: &[Document]) -> Self {
        let mut graphs: Vec<Graph> = Vec::new();
        for (document, file) in documents.iter().zip(&files.subgraphs) {
            let given = file.sources.get(&file.name);
            let given = given.and_then(|given| given.url.clone());
            let own = written_sources(document) > 0;
            let url = given.or_else(|| file.url.clone()).filter(|_| !own);
            let value = free_value(&document.name, &graphs);
            graphs.push(Graph {
                value,
                name: document.name.clone(),
                url: url.unwrap_or_default(),
            });
        }
        Self(graphs)
    }

    /// The enum value of a subgraph.
    pub(super) fn value(&self, subgraph: SubgraphId) -> Name {
        self.0[subgraph.index()].value.clone()
    }
}

/// The `@source`s that stand in a file.
fn written_sources(document: &Document) -> usize {
    let sources = document.schema_directives("source");
    sources.filter(|it| it.location().is_some()).count()
}

/// A subgraph's name as an enum value that no other subgraph has.
fn free_value(name: &str, taken: &[Graph]) -> Name {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let mut plain: String = name.chars().map(word).collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) || plain.is_empty() {
        plain.insert(0, '_');
    }
    let mut value = plain.clone();
    let mut number = 1;
    while taken.iter().any(|graph| *graph.value == *value.as_str()) {
        number += 1;
        value = format!("{plain}_{number}");
    }
    Name::new_unchecked(&value)
}
