//! Which fields several subgraphs answer.
//!
//! Owns that what a supergraph lets several subgraphs answer was shareable, and
//! which of a field's subgraphs says what the supergraph says of it as a whole.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

use crate::join::Reading;
use crate::join::graphs::GraphId;
use crate::join::parts::Parts;
use crate::join::said::SaidField;

/// By type and field.
pub(super) struct Shared<'a> {
    fields: HashMap<&'a Name, HashMap<&'a Name, Field>>,
}

struct Field {
    /// Answered by several.
    shared: bool,
    /// Who speaks for the field.
    speaker: Option<GraphId>,
}

impl<'a> Shared<'a> {
    pub(super) fn of(reading: &Reading<'a, '_>, parts: &Parts<'a>) -> Self {
        let mut fields: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (ty, it) in parts {
            for (name, _) in crate::join::said::fields(it.ty) {
                let answering = answering(reading, parts, ty, name);
                let given = given_by_interfaces(reading, parts, it.ty, name);
                // What another subgraph may provide, it shares.
                let mut parts_of_field = it.graphs.values().filter_map(|it| it.fields.get(name));
                let provided = parts_of_field.any(|it| it.external);
                let mut all = it.graphs.iter();
                let any = all.find(|(_, part)| part.fields.contains_key(name));
                let field = Field {
                    shared: answering.len() + given > 1 || provided,
                    speaker: answering.first().copied().or(any.map(|(graph, _)| *graph)),
                };
                fields.entry(*ty).or_default().insert(name, field);
            }
        }
        Self { fields }
    }

    /// Whether several subgraphs answer a field.
    pub(super) fn is_shared(&self, ty: &Name, field: &Name) -> bool {
        self.get(ty, field).is_some_and(|it| it.shared)
    }

    /// Whether a subgraph is the one to say what the supergraph says of the field as a whole.
    pub(super) fn speaks(&self, ty: &Name, field: &Name, graph: GraphId) -> bool {
        self.get(ty, field)
            .is_some_and(|it| it.speaker == Some(graph))
    }

    fn get(&self, ty: &Name, field: &Name) -> Option<&Field> {
        self.fields.get(ty)?.get(field)
    }
}

/// The subgraphs that answer a field, those left out from which another takes it over.
fn answering(
    reading: &Reading<'_, '_>,
    parts: &Parts<'_>,
    ty: &Name,
    field: &Name,
) -> Vec<GraphId> {
    let graphs = parts.get(ty).into_iter().flat_map(|it| &it.graphs);
    let having = graphs.filter_map(|(graph, part)| Some((*graph, part.fields.get(field)?)));
    let having: Vec<(GraphId, &SaidField<'_>)> = having.collect();
    let taken = |graph: GraphId| {
        let mut others = having.iter();
        others.any(|(_, other)| overridden(reading, other) == Some(graph))
    };
    let answering = having
        .iter()
        .filter(|(graph, it)| !it.external && !it.used_overridden && !taken(*graph));
    answering.map(|(graph, _)| *graph).collect()
}

/// The subgraph that a field is taken over from.
pub(super) fn overridden(reading: &Reading<'_, '_>, field: &SaidField<'_>) -> Option<GraphId> {
    reading.graphs.named(field.overrides?.as_str()?)
}

/// How many subgraphs answer a field for every implementer of an interface.
fn given_by_interfaces(
    reading: &Reading<'_, '_>,
    parts: &Parts<'_>,
    ty: &ExtendedType,
    field: &Name,
) -> usize {
    let ExtendedType::Object(object) = ty else {
        return 0;
    };
    let interfaces = object.implements_interfaces.iter();
    let given = interfaces.map(|interface| {
        let graphs = answering(reading, parts, interface, field);
        let graphs = graphs.into_iter();
        let objects =
            graphs.filter(|graph| parts[&**interface].graphs[graph].said.interface_object);
        objects.count()
    });
    given.sum()
}
