//! What each subgraph has of each type, as far as the supergraph says it.
//!
//! Owns what the absence of a directive means: a field without `@join__field`
//! is in every subgraph that has its type, or, in v0.1, in the one that owns it.

use std::collections::BTreeMap;

use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;
use indexmap::IndexMap;

use super::Reading;
use super::graphs::GraphId;
use super::said::{Said, SaidField, SaidGraph, SaidType, fields};

/// What the subgraphs have, in the order of the supergraph.
pub(super) type Parts<'a> = IndexMap<&'a Name, TypeParts<'a>>;

/// One type over subgraphs.
#[derive(Debug)]
pub(super) struct TypeParts<'a> {
    pub(super) ty: &'a ExtendedType,
    pub(super) graphs: BTreeMap<GraphId, TypePart<'a>>,
}

/// What one subgraph has of a type.
#[derive(Debug, Clone, Default)]
pub(super) struct TypePart<'a> {
    pub(super) said: SaidGraph<'a>,
    pub(super) interfaces: Vec<&'a Name>,
    pub(super) members: Vec<&'a Name>,
    pub(super) values: Vec<&'a Name>,
    /// Of an object, interface or input.
    pub(super) fields: IndexMap<&'a Name, SaidField<'a>>,
}

/// The parts that follow from what is said of each type alone.
pub(super) fn of<'a>(reading: &Reading<'a, '_>, said: &Said<'a>) -> Parts<'a> {
    let mut parts = Parts::new();
    for (name, it) in said {
        let root = is_root(reading, name);
        let present = reading.graphs.ids().filter(|graph| match root {
            true => it.graphs.contains_key(graph) || it.graphs.is_empty(),
            false => it.graphs.contains_key(graph),
        });
        let graphs = present.map(|graph| (graph, it.part(graph, reading.links.version)));
        parts.insert(
            *name,
            TypeParts {
                ty: it.ty,
                graphs: graphs.collect(),
            },
        );
    }
    parts
}

/// Whether a type is a root of the graph, whatever its name.
pub(super) fn is_root(reading: &Reading<'_, '_>, name: &str) -> bool {
    let definition = &reading.schema.schema_definition;
    let mut roots = definition.iter_root_operations();
    roots.any(|(_, root)| **root == name)
}

impl<'a> SaidType<'a> {
    /// What a subgraph has of the type, if it has it.
    pub(super) fn part(&self, graph: GraphId, version: u32) -> TypePart<'a> {
        let present = fields(self.ty).into_iter();
        let present =
            present.filter_map(|(name, _)| Some((name, self.field(name, graph, version)?)));
        TypePart {
            said: self.graphs.get(&graph).cloned().unwrap_or_default(),
            interfaces: named(self.implemented(), &self.interfaces, graph),
            members: named(self.united(), &self.members, graph),
            values: self.values_of(graph),
            fields: present.collect(),
        }
    }

    fn field(&self, name: &Name, graph: GraphId, version: u32) -> Option<SaidField<'a>> {
        let said = self.fields.get(name).map(Vec::as_slice).unwrap_or_default();
        let nowhere = said.iter().all(|(in_graph, _)| in_graph.is_none());
        if said.is_empty() || (nowhere && version == 1) {
            let owned = self.owner.is_none_or(|owner| owner == graph);
            let plain = said.first().map(|(_, field)| field.clone());
            return owned.then(|| plain.unwrap_or_default());
        }
        let mut said = said.iter();
        let (_, field) = said.find(|(in_graph, _)| *in_graph == Some(graph))?;
        Some(field.clone())
    }

    fn implemented(&self) -> Vec<&'a Name> {
        match self.ty {
            ExtendedType::Object(it) => it.implements_interfaces.iter().map(|it| &**it).collect(),
            ExtendedType::Interface(it) => {
                it.implements_interfaces.iter().map(|it| &**it).collect()
            }
            _ => Vec::new(),
        }
    }

    fn united(&self) -> Vec<&'a Name> {
        match self.ty {
            ExtendedType::Union(it) => it.members.iter().map(|it| &**it).collect(),
            _ => Vec::new(),
        }
    }

    fn values_of(&self, graph: GraphId) -> Vec<&'a Name> {
        let ExtendedType::Enum(it) = self.ty else {
            return Vec::new();
        };
        let known = |value: &&'a Name| {
            let said = self.values.get(*value);
            said.is_none_or(|graphs| graphs.contains(&graph))
        };
        it.values.keys().filter(known).collect()
    }
}

/// The names that are said for a subgraph; all, where nothing is said.
fn named<'a>(all: Vec<&'a Name>, said: &[(GraphId, &str)], graph: GraphId) -> Vec<&'a Name> {
    let all = all.into_iter();
    let known = |name: &&Name| {
        let mut said_so = said.iter();
        said.is_empty() || said_so.any(|it| *it == (graph, name.as_str()))
    };
    all.filter(known).collect()
}
