//! The subgraphs that a supergraph names: `enum join__Graph`.

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::{Name, Node, Schema};

use super::links::Links;
use super::{Reading, wrong};
use crate::diagnostic::Diagnostics;
use crate::document::Places;
use crate::suggest::{closest, did_you_mean};

/// One of [`Graphs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GraphId(pub(super) usize);

/// In the order of the supergraph.
#[derive(Debug)]
pub(super) struct Graphs<'a>(pub(super) Vec<Graph<'a>>);

/// One subgraph.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    /// Its enum value: `ACCOUNTS`.
    pub(super) value: &'a Name,
    /// Its own name: `accounts`.
    pub(super) name: &'a str,
    /// Where it is served; empty where the supergraph does not say it.
    pub(super) url: &'a str,
}

/// Reads the enum.
pub(super) fn of<'a>(
    schema: &'a Schema,
    links: &Links<'_>,
    places: &Places,
    diagnostics: &mut Diagnostics,
) -> Graphs<'a> {
    let mut types = schema.types.values();
    let declared = types.find(|ty| ty.is_enum() && links.is_join(ty.name(), "Graph"));
    let Some(declared) = declared.and_then(|ty| ty.as_enum()) else {
        let message = "the supergraph names no subgraphs: it has no enum `join__Graph`";
        diagnostics.push(wrong(message, places.bytes(0..0)));
        return Graphs(Vec::new());
    };
    let mut graphs: Vec<Graph<'a>> = Vec::new();
    for value in declared.values.values() {
        let name = &value.value;
        let mut directives = value.directives.iter();
        let Some(directive) = directives.find(|it| links.is_join(&it.name, "graph")) else {
            let message = format!("`{name}` does not say which subgraph it is");
            let help = "@join__graph(name: \"...\", url: \"...\")";
            diagnostics.push(wrong(message, places.name(name)).help(help));
            continue;
        };
        let text = |name: &str| directive.specified_argument_by_name(name)?.as_str();
        let graph = Graph {
            value: name,
            name: text("name").unwrap_or(name),
            url: text("url").unwrap_or(""),
        };
        if graphs.iter().any(|other| other.name == graph.name) {
            let message = format!("two subgraphs are called `{}`", graph.name);
            diagnostics.push(wrong(message, places.directive(directive)));
        }
        graphs.push(graph);
    }
    Graphs(graphs)
}

impl Graphs<'_> {
    /// Every one.
    pub(super) fn ids(&self) -> impl Iterator<Item = GraphId> + use<> {
        (0..self.0.len()).map(GraphId)
    }

    fn id(&self, value: &str) -> Option<GraphId> {
        let found = self.0.iter().position(|graph| *graph.value == value);
        found.map(GraphId)
    }

    /// The one that another subgraph's directive names.
    pub(super) fn named(&self, name: &str) -> Option<GraphId> {
        let found = self.0.iter().position(|graph| graph.name == name);
        found.map(GraphId)
    }
}

impl<'a> Reading<'a, '_> {
    /// The `graph` of a join directive; none where it says none or one that there is not.
    pub(super) fn graph_of(&mut self, directive: &'a Node<Directive>) -> Option<GraphId> {
        let value = directive.specified_argument_by_name("graph")?;
        self.graph(value)
    }

    /// The subgraph that an enum value means.
    pub(super) fn graph(&mut self, value: &'a Node<Value>) -> Option<GraphId> {
        if value.is_null() {
            return None;
        }
        let name = value.as_enum().map_or("", |name| name.as_str());
        let found = self.graphs.id(name);
        if found.is_none() {
            let known = self.graphs.0.iter().map(|graph| graph.value.as_str());
            let help = did_you_mean(&closest(name, known));
            let mut said = wrong(
                "the supergraph names no such subgraph",
                self.places.node(value),
            );
            said.help = help;
            self.diagnostics.push(said);
        }
        found
    }
}
