//! Objects, interfaces and unions over subgraphs.

use std::collections::HashMap;

use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::collections::{IndexMap as ApolloMap, IndexSet as ApolloSet};
use apollo_compiler::schema::{ExtendedType, InterfaceType, ObjectType, UnionType};
use apollo_compiler::{Name, Node, Schema};
use indexmap::IndexMap;

use super::declared::Part;
use super::field::FieldPart;
use super::{Merging, attributes, cache};
use crate::document::{first, is_machinery};
use crate::model::{CompositeKind, FieldDef, TypeDef, TypeInSubgraph};

/// Fields as clients see them, and what is known of each.
type Fields = (
    ApolloMap<Name, Node<FieldDefinition>>,
    IndexMap<Name, FieldDef>,
);

impl<'a> Merging<'a, '_> {
    pub(super) fn object(&mut self, name: &'a Name, parts: &[Part<'a>]) -> ExtendedType {
        let objects = || parts.iter().filter_map(|part| part.ty.as_object());
        let (fields, known) = self.fields(name, CompositeKind::Object, parts);
        self.define(name, CompositeKind::Object, parts, known);
        ExtendedType::Object(Node::new(ObjectType {
            description: self.type_description(name, parts),
            name: name.clone(),
            implements_interfaces: united(objects().map(|it| &it.implements_interfaces)),
            directives: attributes::kept(objects().map(|it| &it.directives)),
            fields,
        }))
    }

    pub(super) fn interface(&mut self, name: &'a Name, parts: &[Part<'a>]) -> ExtendedType {
        let (fields, known) = self.fields(name, CompositeKind::Interface, parts);
        self.define(name, CompositeKind::Interface, parts, known);
        let interfaces = parts.iter().filter_map(|part| match part.ty {
            ExtendedType::Interface(it) => Some(&it.implements_interfaces),
            ExtendedType::Object(it) => Some(&it.implements_interfaces),
            _ => None,
        });
        ExtendedType::Interface(Node::new(InterfaceType {
            description: self.type_description(name, parts),
            name: name.clone(),
            implements_interfaces: united(interfaces),
            directives: attributes::kept(parts.iter().map(|it| it.ty.directives())),
            fields,
        }))
    }

    pub(super) fn union(&mut self, name: &'a Name, parts: &[Part<'a>]) -> ExtendedType {
        let unions = || parts.iter().filter_map(|part| part.ty.as_union());
        self.same_members(name, parts);
        self.define(name, CompositeKind::Union, parts, IndexMap::new());
        ExtendedType::Union(Node::new(UnionType {
            description: self.type_description(name, parts),
            name: name.clone(),
            directives: attributes::kept(unions().map(|it| &it.directives)),
            members: united(unions().map(|it| &it.members)),
        }))
    }

    fn fields(&mut self, ty: &'a Name, kind: CompositeKind, parts: &[Part<'a>]) -> Fields {
        let mut gathered: IndexMap<&'a Name, Vec<FieldPart<'a>>> = IndexMap::new();
        for part in parts {
            for field in declared_fields(part.ty).filter(|field| !is_machinery(ty, &field.name)) {
                gathered
                    .entry(&field.name)
                    .or_default()
                    .push(FieldPart { part: *part, field });
            }
        }
        for it in self.inherited(parts) {
            gathered.entry(&it.field.name).or_default().push(it);
        }
        self.same_fields(ty, kind, parts, &gathered);
        let merged = gathered.values().map(|of| self.field(ty, kind, of));
        let (fields, known): (Vec<_>, Vec<_>) = merged.unzip();
        (
            fields
                .into_iter()
                .map(|it| (it.name.clone(), Node::new(it)))
                .collect(),
            known.into_iter().map(|it| (it.name.clone(), it)).collect(),
        )
    }

    fn define(
        &mut self,
        name: &'a Name,
        kind: CompositeKind,
        parts: &[Part<'a>],
        fields: IndexMap<Name, FieldDef>,
    ) {
        let directives = || parts.iter().map(|part| part.ty.directives());
        let ty = TypeDef {
            name: name.clone(),
            kind,
            subgraphs: parts
                .iter()
                .map(|part| self.type_in_subgraph(name, part))
                .collect(),
            fields,
            possible_types: Vec::new(),
            entity_resolvers: Vec::new(),
            cache: cache::hint(directives()),
            inaccessible: directives().any(attributes::inaccessible),
            tags: attributes::tags(directives()),
            demands: Vec::new(),
        };
        self.types.insert(name.clone(), ty);
    }

    fn type_in_subgraph(&self, name: &'a Name, part: &Part<'a>) -> TypeInSubgraph {
        let has = |directive| first(part.ty.directives(), directive).is_some();
        let subgraph = part.document.subgraph;
        TypeInSubgraph {
            subgraph,
            keys: self
                .declared
                .keys
                .get(&(subgraph, name))
                .cloned()
                .unwrap_or_default(),
            shareable: has("shareable"),
            extension: part.is_extension(),
            interface_object: has("interfaceObject"),
        }
    }
}

/// The fields of an object or interface.
pub(super) fn declared_fields(
    ty: &ExtendedType,
) -> Box<dyn Iterator<Item = &Node<FieldDefinition>> + '_> {
    match ty {
        ExtendedType::Object(it) => Box::new(it.fields.values()),
        ExtendedType::Interface(it) => Box::new(it.fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn united<'a>(sets: impl Iterator<Item = &'a ApolloSet<Node<Name>>>) -> ApolloSet<Node<Name>> {
    // Extensions are a matter of one file.
    sets.flatten()
        .map(|name| Node::new(Name::clone(name)))
        .collect()
}

/// Fills in which object types a value of each type can have.
pub(super) fn possible_types(types: &mut IndexMap<Name, TypeDef>, schema: &Schema) {
    let mut implementers: HashMap<Name, Vec<Name>> = HashMap::new();
    for ty in schema.types.values() {
        let ExtendedType::Object(object) = ty else {
            continue;
        };
        for interface in &object.implements_interfaces {
            implementers
                .entry(Name::clone(interface))
                .or_default()
                .push(object.name.clone());
        }
    }
    for (name, ty) in types.iter_mut() {
        ty.possible_types = match schema.types.get(name) {
            Some(ExtendedType::Union(it)) => it
                .members
                .iter()
                .map(|member| Name::clone(member))
                .collect(),
            Some(ExtendedType::Interface(_)) => implementers.remove(name).unwrap_or_default(),
            _ => vec![name.clone()],
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn fields_members_and_interfaces_of_every_subgraph_are_united() {
        assert_eq!(
            printed(&[
                "interface I { i: Int } type A implements I @key(fields: \"id\") { id: ID! i: Int } union U = A",
                "interface J { j: Int } type A implements J @key(fields: \"id\") { id: ID! j: Int } type B { b: Int } union U = B",
            ]),
            "interface I { i: Int } type A implements I & J { id: ID! i: Int j: Int } union U = A | B \
             interface J { j: Int } type B { b: Int }"
        );
    }

    #[test]
    fn possible_types_are_those_of_the_whole_graph() {
        let (merged, _) = merged(&[
            "interface I { i: Int } type A implements I { i: Int } union U = A",
            "interface I { i: Int } type B implements I { i: Int } union U = B",
        ]);
        for (ty, possible) in [
            ("I", vec!["A", "B"]),
            ("U", vec!["A", "B"]),
            ("A", vec!["A"]),
        ] {
            assert_eq!(merged.types[ty].possible_types, possible, "{ty}");
        }
    }
}
