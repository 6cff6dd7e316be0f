//! What follows from what the supergraph leaves unsaid.
//!
//! Owns two rules. A subgraph has what its keys, `requires` and `provides`
//! name: keys because it answers them, the rest as `@external`. And it has every
//! type that its fields lead to of which nothing is said, as of the value types
//! of v0.1: <https://specs.apollo.dev/join/v0.1/#sec-Fields-on-value-types>

use apollo_compiler::Name;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::ExtendedType;

use super::Reading;
use super::field_set::{self, Selected};
use super::graphs::GraphId;
use super::parts::{Parts, is_root};
use super::said::{Said, SaidField};

/// Adds what follows, until nothing more does.
pub(super) fn complete<'a>(reading: &Reading<'a, '_>, said: &Said<'a>, parts: &mut Parts<'a>) {
    let present = |(name, it): (&&'a Name, &super::parts::TypeParts<'a>)| {
        let graphs: Vec<GraphId> = it.graphs.keys().copied().collect();
        graphs
            .into_iter()
            .map(|graph| (*name, graph))
            .collect::<Vec<_>>()
    };
    let open = parts.iter().flat_map(present).collect();
    let mut completing = Completing {
        reading,
        said,
        parts,
        open,
    };
    while let Some((ty, graph)) = completing.open.pop() {
        completing.field_sets(ty, graph);
        completing.references(ty, graph);
    }
    completing.unimplemented();
}

struct Completing<'a, 'r, 'd> {
    reading: &'r Reading<'a, 'd>,
    said: &'r Said<'a>,
    parts: &'r mut Parts<'a>,
    /// What has changed and may lead to more.
    open: Vec<(&'a Name, GraphId)>,
}

impl<'a> Completing<'a, '_, '_> {
    fn field_sets(&mut self, ty: &'a Name, graph: GraphId) {
        let Some(part) = self.parts[ty].graphs.get(&graph) else {
            return;
        };
        let keys = part.said.keys.iter().map(|key| (ty, key.fields, false));
        let fields = part.fields.iter();
        let named = fields.flat_map(|(name, field)| {
            let below = self.type_of(ty, name);
            let requires = field.requires.map(|set| (ty, set, true));
            let provides = field.provides.zip(below);
            let provides = provides.map(|(set, below)| (below, set, true));
            requires.into_iter().chain(provides)
        });
        let sets: Vec<_> = keys.chain(named).collect();
        for (ty, set, external) in sets {
            let selected = field_set::read(set.as_str().unwrap_or(""));
            self.demand(graph, ty, &selected, external);
        }
    }

    /// The fields of a set are there. The parser of field sets bounds the recursion.
    fn demand(&mut self, graph: GraphId, ty: &'a Name, set: &[Selected], external: bool) {
        for it in set {
            let on = it.on.as_ref().and_then(|on| self.parts.get_key_value(on));
            let ty = on.map_or(ty, |(name, _)| *name);
            let Some((name, below)) = self.field(ty, &it.field) else {
                continue;
            };
            self.lead_to(ty, graph);
            let part = self.parts[ty].graphs.entry(graph).or_default();
            if !part.fields.contains_key(name) {
                let field = SaidField {
                    external,
                    ..SaidField::default()
                };
                part.fields.insert(name, field);
                self.open.push((ty, graph));
            }
            if self.parts.contains_key(below) {
                self.demand(graph, below, &it.below, external);
            }
        }
    }

    /// What a part of a type leads to.
    fn references(&mut self, ty: &'a Name, graph: GraphId) {
        let Some(part) = self.parts[ty].graphs.get(&graph) else {
            return;
        };
        let mut led: Vec<&'a Name> = Vec::new();
        for name in part.fields.keys() {
            led.extend(self.types_of(ty, name));
        }
        led.extend(&part.interfaces);
        led.extend(&part.members);
        if self.parts[ty].ty.is_interface() {
            led.extend(self.implementers(ty));
        }
        for name in led {
            self.lead_to(name, graph);
        }
    }

    /// A subgraph has a type of which nothing is said as soon as something leads to it there.
    fn lead_to(&mut self, name: &Name, graph: GraphId) {
        let Some((name, it)) = self.said.get_key_value(name) else {
            return;
        };
        let unsaid = it.graphs.is_empty() && !is_root(self.reading, name);
        let graphs = &mut self.parts[*name].graphs;
        if unsaid && !graphs.contains_key(&graph) {
            graphs.insert(graph, it.part(graph, self.reading.links.version));
            self.open.push((name, graph));
        }
    }

    fn implementers(&self, interface: &Name) -> Vec<&'a Name> {
        let implements = |ty: &ExtendedType| match ty {
            ExtendedType::Object(it) => it.implements_interfaces.contains(interface),
            ExtendedType::Interface(it) => it.implements_interfaces.contains(interface),
            _ => false,
        };
        let types = self.said.iter();
        let types = types.filter(|(_, it)| implements(it.ty));
        types.map(|(name, _)| *name).collect()
    }

    /// Where nothing is said of who implements what, a subgraph's type implements the interfaces
    /// that the subgraph has and whose fields the type has there.
    fn unimplemented(&mut self) {
        let unsaid: Vec<&'a Name> = self
            .said
            .iter()
            .filter(|(_, it)| it.interfaces.is_empty())
            .map(|(name, _)| *name)
            .collect();
        for ty in unsaid {
            let graphs: Vec<GraphId> = self.parts[ty].graphs.keys().copied().collect();
            for graph in graphs {
                let implemented = self.implemented(ty, graph);
                if let Some(part) = self.parts[ty].graphs.get_mut(&graph) {
                    part.interfaces = implemented;
                }
            }
        }
    }

    fn implemented(&self, ty: &Name, graph: GraphId) -> Vec<&'a Name> {
        let part = &self.parts[ty].graphs[&graph];
        let complete = |interface: &&&'a Name| {
            let interface = self.parts.get(**interface);
            let interface = interface.and_then(|it| it.graphs.get(&graph));
            interface.is_some_and(|it| it.fields.keys().all(|name| part.fields.contains_key(name)))
        };
        part.interfaces.iter().filter(complete).copied().collect()
    }

    /// A field of a composite type, and the type it leads to.
    fn field(&self, ty: &Name, field: &str) -> Option<(&'a Name, &'a Name)> {
        let field = match self.parts.get(ty)?.ty {
            ExtendedType::Object(it) => it.fields.get(field)?,
            ExtendedType::Interface(it) => it.fields.get(field)?,
            _ => return None,
        };
        Some((&field.name, field.ty.inner_named_type()))
    }

    fn type_of(&self, ty: &Name, field: &str) -> Option<&'a Name> {
        let (_, below) = self.field(ty, field)?;
        self.parts.contains_key(below).then_some(below)
    }

    /// The types of a field and of its arguments, or of an input field.
    fn types_of(&self, ty: &Name, field: &Name) -> Vec<&'a Name> {
        let arguments = |arguments: &'a [apollo_compiler::Node<InputValueDefinition>]| {
            arguments.iter().map(|it| it.ty.inner_named_type())
        };
        let field = match self.parts[ty].ty {
            ExtendedType::InputObject(it) => {
                let field = it.fields.get(field);
                return field.iter().map(|it| it.ty.inner_named_type()).collect();
            }
            ExtendedType::Object(it) => it.fields.get(field),
            ExtendedType::Interface(it) => it.fields.get(field),
            _ => None,
        };
        let Some(field) = field else {
            return Vec::new();
        };
        let own = std::iter::once(field.ty.inner_named_type());
        own.chain(arguments(&field.arguments)).collect()
    }
}
