//! Who declares what: every type with its declarations, and what follows from all of them.
//!
//! Owns the gathering and what needs the whole graph to be known before anything
//! is merged: kinds, supertypes, and whether a type travels in, out or both ways.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;
use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::schema::ExtendedType;
use indexmap::IndexMap;

use super::{Site, clash, entity, is_root};
use crate::diagnostic::Diagnostics;
use crate::document::{self, Document};
use crate::federation;
use crate::model::{Key, SubgraphId};

/// Every declaration of the graph.
pub(super) struct Declared<'a> {
    pub(super) documents: &'a [Document],
    /// Declarations by type, in the order of first appearance; of one kind each.
    pub(super) types: IndexMap<&'a Name, Vec<Part<'a>>>,
    /// The interfaces and unions of each type, in any subgraph.
    pub(super) supertypes: HashMap<&'a Name, HashSet<&'a Name>>,
    /// Which way values of each type travel, in any subgraph.
    pub(super) directions: HashMap<&'a Name, Direction>,
    /// The `@key`s of each type in each subgraph.
    pub(super) keys: HashMap<(SubgraphId, &'a Name), Vec<Key>>,
    /// The fields of each subgraph that a key of its own names: type and field.
    pub(super) key_fields: HashSet<(SubgraphId, Name, Name)>,
    /// The fields that each subgraph provides somewhere: type and field.
    pub(super) provided: HashSet<(SubgraphId, Name, Name)>,
}

/// One subgraph's declaration of a type.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) document: &'a Document,
    pub(super) ty: &'a ExtendedType,
}

/// Which way values of a type travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) input: bool,
    pub(super) output: bool,
}

impl<'a> Declared<'a> {
    pub(super) fn gather(documents: &'a [Document], diagnostics: &mut Diagnostics) -> Self {
        let mut declared = Self {
            documents,
            types: IndexMap::new(),
            supertypes: HashMap::new(),
            directions: HashMap::new(),
            keys: HashMap::new(),
            key_fields: HashSet::new(),
            provided: HashSet::new(),
        };
        for document in documents {
            let id = document.subgraph;
            let provided = federation::provided(document).into_iter();
            let provided = provided.map(|(ty, field)| (id, ty, field));
            declared.provided.extend(provided);
            let types = document.schema.types.values();
            for ty in types.filter(|ty| !ty.is_built_in() && !is_machinery(document, ty.name())) {
                declared.add(Part { document, ty }, diagnostics);
            }
        }
        for (name, parts) in &mut declared.types {
            same_kind(name, parts, diagnostics);
            has_base(name, parts, diagnostics);
        }
        declared
    }

    fn add(&mut self, part: Part<'a>, diagnostics: &mut Diagnostics) {
        let name = part.ty.name();
        self.supertypes_of(part.ty);
        self.directions_of(part.ty);
        let (keys, fields) = entity::keys(part.document, part.ty, diagnostics);
        let id = part.document.subgraph;
        self.keys.insert((id, name), keys);
        self.key_fields
            .extend(fields.into_iter().map(|(ty, field)| (id, ty, field)));
        self.types.entry(name).or_default().push(part);
    }

    fn supertypes_of(&mut self, ty: &'a ExtendedType) {
        let interfaces = match ty {
            ExtendedType::Object(it) => &it.implements_interfaces,
            ExtendedType::Interface(it) => &it.implements_interfaces,
            ExtendedType::Union(it) => {
                for member in &it.members {
                    self.supertypes.entry(member).or_default().insert(&it.name);
                }
                return;
            }
            _ => return,
        };
        let supertypes = self.supertypes.entry(ty.name()).or_default();
        supertypes.extend(interfaces.iter().map(|it| &**it));
    }

    fn directions_of(&mut self, ty: &'a ExtendedType) {
        match ty {
            ExtendedType::Object(it) => self.directions_of_fields(it.fields.values().map(|f| &**f)),
            ExtendedType::Interface(it) => {
                self.directions_of_fields(it.fields.values().map(|f| &**f))
            }
            ExtendedType::InputObject(it) => {
                for field in it.fields.values() {
                    self.directions
                        .entry(field.ty.inner_named_type())
                        .or_default()
                        .input = true;
                }
            }
            _ => {}
        }
    }

    fn directions_of_fields(&mut self, fields: impl Iterator<Item = &'a FieldDefinition>) {
        for field in fields {
            self.directions
                .entry(field.ty.inner_named_type())
                .or_default()
                .output = true;
            for argument in &field.arguments {
                self.directions
                    .entry(argument.ty.inner_named_type())
                    .or_default()
                    .input = true;
            }
        }
    }

    /// Whether a type is an interface or a union in any subgraph.
    pub(super) fn is_abstract(&self, name: &Name) -> bool {
        let parts = self.types.get(name).into_iter().flatten();
        parts
            .into_iter()
            .any(|it| it.ty.is_interface() || it.ty.is_union())
    }

    /// Whether every value of one type is a value of the other.
    pub(super) fn is_subtype(&self, sub: &Name, sup: &Name) -> bool {
        self.supertypes
            .get(sub)
            .is_some_and(|supertypes| supertypes.contains(sup))
    }
}

/// What libraries print into a service's SDL of the specifications that it uses.
fn is_machinery(document: &Document, name: &Name) -> bool {
    document.machinery.contains(name)
        || name.starts_with("link__")
        || name.starts_with("federation__")
        || name.starts_with("core__")
}

/// One name is one kind of type; what disagrees with the first declaration is left out.
fn same_kind(name: &Name, parts: &mut Vec<Part<'_>>, diagnostics: &mut Diagnostics) {
    // An interface's object stands for the interface.
    let mut proper = parts.iter().filter(|part| !part.is_interface_object());
    let Some(first) = proper.next().or(parts.first()).copied() else {
        return;
    };
    let agrees = |part: &Part<'_>| {
        let stands_in = part.is_interface_object() && first.ty.is_interface();
        stands_in || std::mem::discriminant(part.ty) == std::mem::discriminant(first.ty)
    };
    if parts.iter().all(agrees) {
        return;
    }
    let message = format!(
        "`{name}` is {} here and something else in another subgraph",
        kind(first.ty)
    );
    diagnostics.push(clash(
        "TYPE_KIND_MISMATCH",
        message,
        parts.iter().map(site).collect(),
    ));
    parts.retain(agrees);
}

fn site(part: &Part<'_>) -> Site {
    Site {
        place: part.document.places.name(part.ty.name()),
        word: format!("{} here", kind(part.ty)),
    }
}

fn kind(ty: &ExtendedType) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "a scalar",
        ExtendedType::Object(_) => "an object type",
        ExtendedType::Interface(_) => "an interface",
        ExtendedType::Union(_) => "a union",
        ExtendedType::Enum(_) => "an enum",
        ExtendedType::InputObject(_) => "an input type",
    }
}

/// Somebody must define what others extend.
fn has_base(name: &Name, parts: &[Part<'_>], diagnostics: &mut Diagnostics) {
    if is_root(name) || parts.iter().any(|part| !part.is_extension()) {
        return;
    }
    let sites = parts.iter().map(|part| Site {
        place: part.document.places.name(part.ty.name()),
        word: "extended here".to_owned(),
    });
    let message = format!("`{name}` is extended and nowhere defined");
    diagnostics.push(
        clash("EXTENSION_WITH_NO_BASE", message, sites.collect())
            .help(format!("write `type {name}` in one of the subgraphs")),
    );
}

impl Part<'_> {
    /// `extend type`, or `@extends`.
    pub(super) fn is_extension(&self) -> bool {
        // Extensions are folded into a definition; what was only extended is located at its first extension.
        let text = self
            .ty
            .location()
            .map_or("", |span| self.document.places.text(span));
        text.starts_with("extend") || document::first(self.ty.directives(), "extends").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn one_name_is_one_kind_of_type() {
        assert_eq!(
            said(&["type A { a: Int }", "enum A { X }"]),
            "error[TYPE_KIND_MISMATCH] a.graphql:2:6\n  \
             2 | type A { a: Int }\n    \
             |      ^ `A` is an object type here and something else in another subgraph\n  \
             at b.graphql:2:6\n  \
             2 | enum A { X }\n    \
             |      ^ an enum here\n"
        );
    }

    #[test]
    fn what_is_extended_is_defined_somewhere() {
        assert_eq!(
            said(&["extend type A { a: Int }", "type A @extends { b: Int }"]),
            "error[EXTENSION_WITH_NO_BASE] a.graphql:2:13\n  \
             2 | extend type A { a: Int }\n    \
             |             ^ `A` is extended and nowhere defined\n  \
             at b.graphql:2:6\n  \
             2 | type A @extends { b: Int }\n    \
             |      ^ extended here\n  \
             help: write `type A` in one of the subgraphs\n"
        );
        assert_eq!(said(&["extend type A { a: Int }", "type A { b: Int }"]), "");
        assert_eq!(said(&["extend type Query { a: Int }"]), "");
    }
}
