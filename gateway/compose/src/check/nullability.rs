//! NON_NULL_ACROSS_SERVICES: a field that another service resolves and that may not be null.

use super::Graph;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Diagnostics;
use crate::model::Target;

/// Warns of each non-null field with a call of its own: when its service fails, its parents go too.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    for resolver in &graph.lowered.resolvers {
        let Target::Field { ty, .. } = &resolver.target else {
            continue;
        };
        let origin = &graph.lowered.origins[resolver.id.index()];
        let Some(field) = origin.field.as_ref().filter(|field| field.ty.is_non_null()) else {
            continue;
        };
        let source = &graph.lowered.sources[resolver.source.index()].name;
        let places = &graph.documents[origin.subgraph.index()].places;
        diagnostics.push(
            Diagnostic::warning(
                "NON_NULL_ACROSS_SERVICES",
                format!("when {source} fails, every {ty} that asked becomes null too"),
            )
            .at(places.name(&field.name))
            .help("let the field be nullable"),
        );
    }
}
