//! Supergraphs: from one file in the terms of the join specification back to subgraphs, and there again.
//!
//! Owns the join specification, v0.1 to v0.5. What is read here becomes
//! subgraph files that compose in the ordinary way, so nothing is planned from
//! join directives and no rule exists twice. Must not know how subgraphs compose.
//! <https://specs.apollo.dev/join/>

mod complete;
mod field_set;
mod graphs;
mod links;
mod origin;
mod parts;
mod print;
mod said;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::{self, Places};
use crate::files::{SourceOverride, SubgraphFile};
use graphs::Graphs;
use links::Links;

pub use origin::Origin;
pub use print::print;

/// A supergraph that somebody else composed.
#[derive(Debug, Clone, Default)]
pub struct SupergraphFile {
    /// The file, as diagnostics name it. Documents it names are relative to its directory.
    pub file: String,
    /// Its text.
    pub sdl: String,
    /// The `$env` names that it may read; `None` is a name that is allowed but not set.
    pub env: BTreeMap<String, Option<String>>,
    /// What the configuration says of its sources: subgraphs by their names, and each `@source` by its own.
    pub sources: BTreeMap<String, SourceOverride>,
}

/// The subgraphs that were composed to a supergraph, in the order of its `join__Graph`.
/// Diagnostics about them point into the supergraph.
///
/// # Errors
/// What is wrong with the join directives. The rest is for composition to find.
pub fn subgraphs(file: &SupergraphFile) -> Result<Vec<SubgraphFile>, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let (schema, places) = document::parse_plain(&file.file, &file.sdl, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let Some(links) = links::of(&schema, &places, &mut diagnostics) else {
        return Err(diagnostics);
    };
    let graphs = graphs::of(&schema, &links, &places, &mut diagnostics);
    let mut reading = Reading {
        schema: &schema,
        places: &places,
        links: &links,
        graphs: &graphs,
        diagnostics: &mut diagnostics,
    };
    let said = said::all(&mut reading);
    let mut parts = parts::of(&reading, &said);
    complete::complete(&reading, &said, &mut parts);
    let written = write::all(&mut reading, &parts);
    check_addresses(&mut reading, file, &written);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let places = Arc::new(places);
    let files = graphs.0.iter().zip(written);
    let files = files.map(|(graph, written)| SubgraphFile {
        name: graph.name.to_owned(),
        file: file.file.clone(),
        sdl: written.sdl,
        env: file.env.clone(),
        sources: file.sources.clone(),
        url: (!written.has_sources).then(|| graph.url.to_owned()),
        origin: Some(Arc::new(Origin::new(places.clone(), written.copied))),
    });
    Ok(files.collect())
}

/// What everything here reads from.
struct Reading<'a, 'd> {
    schema: &'a Schema,
    places: &'a Places,
    links: &'a Links<'a>,
    graphs: &'a Graphs<'a>,
    diagnostics: &'d mut Diagnostics,
}

impl Reading<'_, '_> {
    fn wrong(&mut self, message: impl Into<String>, value: &Node<Value>) {
        let place = self.places.node(value);
        self.diagnostics.push(wrong(message, place));
    }
}

/// Something is not as the join specification says.
fn wrong(message: impl Into<String>, place: Place) -> Diagnostic {
    Diagnostic::error("INVALID_SUPERGRAPH", message).at(place)
}

/// A supergraph may leave addresses out; then the configuration must say them.
fn check_addresses(
    reading: &mut Reading<'_, '_>,
    file: &SupergraphFile,
    written: &[write::Written],
) {
    for (graph, written) in reading.graphs.0.iter().zip(written) {
        let given = file.sources.get(graph.name);
        let given = given.is_some_and(|it| it.url.is_some());
        if graph.url.is_empty() && !written.has_sources && !given {
            let message = format!("the subgraph `{}` has no address", graph.name);
            let help = format!(
                "say it in the configuration: supergraph.sources.{}.url",
                graph.name
            );
            let place = reading.places.name(graph.value);
            reading.diagnostics.push(wrong(message, place).help(help));
        }
    }
}
