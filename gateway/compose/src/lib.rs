//! From subgraph files to one supergraph.
//!
//! Owns reading SDL, merging it, lowering our directives to resolvers, and
//! every start-up check. Pure: no clock, no I/O; the caller brings the files.

mod access;
mod api;
mod check;
pub mod contract;
pub mod diagnostic;
mod document;
mod federation;
mod files;
pub mod join;
pub mod labels;
mod lower;
mod mapping;
mod merge;
pub mod model;
mod priced;
mod suggest;
mod tagged;
mod version;

use apollo_compiler::Name;
use indexmap::IndexMap;

pub use diagnostic::Diagnostics;
use diagnostic::Severity;
pub use files::{GivenContract, GivenHeader, GivenHeaders, GivenQueue, GivenValue};
pub use files::{
    Reference, ReferenceKind, SchemaFiles, SourceOverride, SubgraphFile, queues, references,
};
pub use model::Supergraph;
use model::{FieldDef, Resolver, Target, TypeDef};

/// Composes one graph.
///
/// # Errors
/// Everything that keeps the graph from starting, and the warnings besides.
pub fn compose(files: &SchemaFiles) -> Result<Supergraph, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let Some(mut documents) = document::read(files, &mut diagnostics) else {
        return Err(diagnostics);
    };
    federation::settle(&mut documents, &mut diagnostics);
    let mut merged = merge::merge(&documents, &mut diagnostics);
    let lowered = lower::lower(files, &documents, &merged.types, &mut diagnostics);
    attach(&mut merged.types, &lowered.resolvers);
    let demands = access::demand(&mut merged, &documents, &mut diagnostics);
    let api = api::client_schema(&merged, &documents, &mut diagnostics);
    let contracts = tagged::schemas(&files.contracts, &merged, &documents, &mut diagnostics);
    let graph = check::Graph::new(&merged.types, &lowered, &documents);
    check::contract::check(&graph, &mut diagnostics);
    let subgraphs = documents.iter();
    let named = |name: &str| subgraphs.clone().find(|it| it.name == name);
    let named = |name: &str| named(name).map(|document| document.subgraph);
    let labels = labels::labels_of(&merged.types, &lowered.resolvers, named);
    if !diagnostics.has_errors() {
        check::check(&graph, &labels, &mut diagnostics);
    }
    let tables = labels::Tables {
        types: &merged.types,
        views: &lowered.views,
        resolvers: &lowered.resolvers,
    };
    match api {
        Some(api) if !diagnostics.has_errors() => Ok(Supergraph {
            decided: labels::decide(&tables, &labels, &[]).into(),
            api,
            contracts: contracts.into(),
            subgraphs: merged.subgraphs.into(),
            sources: lowered.sources.into(),
            types: merged.types.into(),
            weights: merged.weights.into(),
            resolvers: lowered.resolvers.into(),
            views: lowered.views.into(),
            encodings: lowered.encodings.into(),
            demands: demands.into(),
            labels: labels.into(),
            warnings: diagnostics.into(),
            version: version::of(files),
        }),
        // Whoever has to mend something need not know what else could be said.
        _ => Err(diagnostics.from(Severity::Warning)),
    }
}

/// Tells each type and field who resolves it. What another subgraph has taken over is nobody's any more.
fn attach(types: &mut IndexMap<Name, TypeDef>, resolvers: &[Resolver]) {
    for resolver in resolvers {
        match &resolver.target {
            Target::Root { ty, field, .. } | Target::Field { ty, field } => {
                let field = types.get_mut(ty).and_then(|ty| ty.fields.get_mut(field));
                if let Some(field) = field.filter(|field| answers(field, resolver)) {
                    field.resolvers.push(resolver.id);
                }
            }
            Target::Entity { ty, .. } => {
                if let Some(ty) = types.get_mut(ty) {
                    ty.entity_resolvers.push(resolver.id);
                }
            }
        }
    }
}

fn answers(field: &FieldDef, resolver: &Resolver) -> bool {
    let mut here = field
        .subgraphs
        .iter()
        .filter(|it| it.subgraph == resolver.subgraph);
    here.any(|it| !it.external)
}

#[cfg(test)]
mod codes;
#[cfg(test)]
mod tests;
