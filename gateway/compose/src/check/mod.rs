//! Checks of the graph as a whole: what any operation could ask for.
//!
//! Owns the walk over everything that a client can reach, and what shows on it:
//! fields that no call can bring, calls that would be made once per item of a
//! list, services that can null what others answered. Each check is a file.

mod connection;
pub(crate) mod contract;
mod cycle;
mod default_circle;
mod list_size;
mod n_plus_one;
mod nullability;
mod reach;
mod satisfiable;

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::schema::ExtendedType;
use indexmap::IndexMap;

use crate::diagnostic::{Diagnostics, Place};
use crate::document::Document;
use crate::labels::{self, OverrideLabel, Tables};
use crate::lower::Lowered;
use crate::model::{CompositeKind, Resolver, SubgraphId, TypeDef, View, ViewId};

/// What the checks read.
pub(crate) struct Graph<'g> {
    types: &'g IndexMap<Name, TypeDef>,
    lowered: &'g Lowered,
    views: &'g [View],
    documents: &'g [Document],
    /// The entity and field resolvers of each object type, those of its interfaces included.
    resolvers: HashMap<&'g Name, Vec<&'g Resolver>>,
}

/// Runs every check of the graph as a whole; it must have been lowered without an error.
pub(crate) fn check(graph: &Graph<'_>, labels: &[OverrideLabel], diagnostics: &mut Diagnostics) {
    default_circle::check(graph, diagnostics);
    list_size::check(graph, diagnostics);
    connection::check(graph, diagnostics);
    if cycle::check(graph, diagnostics) {
        // What needs itself can never be brought: saying so twice helps nobody.
        return;
    }
    if labels.is_empty() {
        return check_states(graph, diagnostics);
    }
    let tables = Tables {
        types: graph.types,
        views: &graph.lowered.views,
        resolvers: &graph.lowered.resolvers,
    };
    for active in labels::states(labels) {
        let decided = labels::decide(&tables, labels, &active);
        let (types, views) = labels::in_state(graph.types, &graph.lowered.views, decided);
        let decided = Graph {
            views: &views,
            ..Graph::new(&types, graph.lowered, graph.documents)
        };
        check_states(&decided, diagnostics);
    }
}

/// What holds of every object that is reached, on every way to it.
fn check_states(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    let reached = reach::walk(graph);
    for state in reached.states() {
        satisfiable::check(graph, &reached, state, diagnostics);
        n_plus_one::check(graph, &reached, state, diagnostics);
        nullability::check(graph, state, diagnostics);
    }
}

impl<'g> Graph<'g> {
    pub(crate) fn new(
        types: &'g IndexMap<Name, TypeDef>,
        lowered: &'g Lowered,
        documents: &'g [Document],
    ) -> Self {
        let mut resolvers: HashMap<&Name, Vec<&Resolver>> = HashMap::new();
        for def in types.values() {
            let of_fields = def.fields.values().flat_map(|field| &field.resolvers);
            let all = def.entity_resolvers.iter().chain(of_fields);
            let all: Vec<_> = all.map(|id| &lowered.resolvers[id.index()]).collect();
            // An interface itself is met where a subgraph sees it as an object type.
            let itself = (def.kind == CompositeKind::Interface).then_some(&def.name);
            let types = def.possible_types.iter().chain(itself);
            for ty in types.filter(|_| !all.is_empty()) {
                resolvers.entry(ty).or_default().extend(&all);
            }
        }
        Self {
            types,
            lowered,
            views: &lowered.views,
            documents,
            resolvers,
        }
    }

    fn view(&self, id: ViewId) -> &'g View {
        &self.views[id.index()]
    }

    /// The resolvers of the root types' fields.
    fn root_resolvers(&self) -> impl Iterator<Item = &'g Resolver> {
        let roots = ["Query", "Mutation", "Subscription"].into_iter();
        roots.flat_map(|root| {
            self.resolvers
                .get(&Name::new_static_unchecked(root))
                .into_iter()
                .flatten()
                .copied()
        })
    }

    fn resolvers_of(&self, ty: &Name) -> &[&'g Resolver] {
        self.resolvers.get(ty).map_or(&[], |resolvers| resolvers)
    }

    /// How a subgraph declares a field.
    fn field(
        &self,
        subgraph: SubgraphId,
        ty: &str,
        field: &str,
    ) -> Option<&'g Node<FieldDefinition>> {
        let document = &self.documents[subgraph.index()];
        match document.schema.types.get(ty)? {
            ExtendedType::Object(it) => it.fields.get(field),
            ExtendedType::Interface(it) => it.fields.get(field),
            _ => None,
        }
    }

    /// Where a resolver stands: at the name of its field, or at the directive of an entity.
    fn place(&self, resolver: &Resolver) -> Place {
        let origin = &self.lowered.origins[resolver.id.index()];
        let places = &self.documents[origin.subgraph.index()].places;
        match &origin.field {
            Some(field) => places.name(&field.name),
            None => places.directive(&origin.directive),
        }
    }
}

#[cfg(test)]
mod testing {
    //! What the tests of this room share.

    use crate::diagnostic::Severity;
    use crate::merge::testing::files;

    /// What composing these files says, each served by a GraphQL service.
    pub(super) fn said_of_services(sdl: &[&str]) -> String {
        said_of(&services(sdl))
    }

    /// Files `a.graphql`, `b.graphql`, ... of one GraphQL service each.
    pub(super) fn services(sdl: &[&str]) -> crate::SchemaFiles {
        let mut files = files(sdl);
        for (file, sdl) in files.subgraphs.iter_mut().zip(sdl) {
            file.sdl = (*sdl).to_owned();
            file.url = Some(format!("http://{}", file.name));
        }
        files
    }

    /// What composing these files says, warnings included.
    pub(super) fn said(sdl: &[&str]) -> String {
        said_of(&files(sdl))
    }

    fn said_of(files: &crate::SchemaFiles) -> String {
        match crate::compose(files) {
            Ok(graph) => graph.warnings().from(Severity::Warning).to_string(),
            Err(found) => found.to_string(),
        }
    }
}
