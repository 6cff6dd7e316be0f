//! Many documents into one graph of types.
//!
//! Owns the rules by which declarations of one name become one: types, fields,
//! arguments, values, keys, sharing and ownership, as the Federation composition
//! specification says. Must not know how a field reaches a service.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/composition>

mod attributes;
mod cache;
mod composed;
mod composite;
mod contextual;
mod declared;
mod description;
mod entity;
mod executable;
mod external;
mod field;
mod field_set;
mod implementation;
mod input;
mod input_value;
mod interface_object;
mod leaf;
mod overriding;
mod ownership;
mod presence;
mod provides;
mod requires;
mod runtime_types;
mod selected;
mod variance;
mod weights;

use apollo_compiler::schema::{ExtendedType, SchemaBuilder};
use apollo_compiler::{Name, Node, Schema, name};
use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;
use crate::model::{Subgraph, TypeDef, Weights};
use declared::{Declared, Part};

/// The graph of types, before it is known how its fields are answered.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Every subgraph.
    pub(crate) subgraphs: Vec<Subgraph>,
    /// What each subgraph says of each composite type.
    pub(crate) types: IndexMap<Name, TypeDef>,
    /// Every type as clients and services see it, elements that are `@inaccessible` included.
    /// It carries the language's own directives and `@inaccessible`, no other.
    pub(crate) schema: Schema,
    /// What its elements weigh, fields apart.
    pub(crate) weights: Weights,
}

/// Merges every declaration.
pub(crate) fn merge(documents: &[Document], diagnostics: &mut Diagnostics) -> Merged {
    let declared = Declared::gather(documents, diagnostics);
    let mut merging = Merging {
        declared: &declared,
        types: IndexMap::new(),
        schema: empty_schema(),
        diagnostics,
    };
    for (name, parts) in &declared.types {
        merging.named_type(name, parts);
    }
    merging.roots();
    merging.executable_directives();
    merging.composed_directives();
    composite::possible_types(&mut merging.types, &merging.schema);
    merging.entity_interfaces();
    implementation::check(&merging.schema, documents, merging.diagnostics);
    Merged {
        subgraphs: documents.iter().map(subgraph).collect(),
        weights: weights::gather(&declared, &merging.schema),
        types: merging.types,
        schema: merging.schema,
    }
}

fn subgraph(document: &Document) -> Subgraph {
    Subgraph {
        name: document.name.clone(),
        file: document.file.clone(),
    }
}

fn empty_schema() -> Schema {
    SchemaBuilder::new()
        .validate_default_values(false)
        .build()
        .expect("a schema of built-in types is valid")
}

/// What merging has so far, and what it reads.
struct Merging<'a, 'd> {
    declared: &'a Declared<'a>,
    types: IndexMap<Name, TypeDef>,
    schema: Schema,
    diagnostics: &'d mut Diagnostics,
}

impl<'a> Merging<'a, '_> {
    fn named_type(&mut self, name: &'a Name, parts: &[Part<'a>]) {
        // What some subgraphs see as an object type is the interface that it stands for.
        let mut proper = parts.iter().filter(|part| !part.is_interface_object());
        let Some(first) = proper.next().or(parts.first()) else {
            return;
        };
        let merged = match first.ty {
            ExtendedType::Scalar(_) => self.scalar(name, parts),
            ExtendedType::Enum(_) => self.enum_type(name, parts),
            ExtendedType::InputObject(_) => self.input_object(name, parts),
            ExtendedType::Object(_) => self.object(name, parts),
            ExtendedType::Interface(_) => self.interface(name, parts),
            ExtendedType::Union(_) => self.union(name, parts),
        };
        self.schema.types.insert(name.clone(), merged);
    }

    fn roots(&mut self) {
        let root = |name: Name| self.types.contains_key(&name).then(|| Node::new(name));
        let (query, mutation, subscription) = (
            root(name!("Query")),
            root(name!("Mutation")),
            root(name!("Subscription")),
        );
        let definition = self.schema.schema_definition.make_mut();
        (
            definition.query,
            definition.mutation,
            definition.subscription,
        ) = (query, mutation, subscription);
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

/// Whether a type is a root of the graph.
fn is_root(name: &str) -> bool {
    matches!(name, "Query" | "Mutation" | "Subscription")
}

/// One subgraph's say in a clash.
struct Site {
    place: Place,
    word: String,
}

/// Subgraphs disagree: the message stands at the first place, the others follow with a word each.
fn clash(code: &'static str, message: String, sites: Vec<Site>) -> Diagnostic {
    let mut sites = sites.into_iter();
    let found = Diagnostic::error(code, message);
    let Some(first) = sites.next() else {
        return found;
    };
    sites.fold(found.at(first.place), |found, site| {
        found.related(site.place, site.word)
    })
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of this room share.

    use super::*;
    use crate::diagnostic::Severity;
    use crate::files::{SchemaFiles, SubgraphFile};

    /// Files `a.graphql`, `b.graphql`, ... of one REST source each.
    pub(crate) fn files(sdl: &[&str]) -> SchemaFiles {
        let subgraphs = sdl.iter().zip('a'..).map(|(sdl, name)| SubgraphFile {
            name: name.to_string(),
            file: format!("{name}.graphql"),
            sdl: format!("extend schema @source(name: \"{name}\", http: {{ baseURL: \"http://{name}\" }})\n{sdl}"),
            ..Default::default()
        });
        SchemaFiles {
            subgraphs: subgraphs.collect(),
            ..Default::default()
        }
    }

    /// The merged graph of some files, the files, and what was said on the way.
    pub(crate) fn merged_with(sdl: &[&str]) -> (Merged, Vec<Document>, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let mut documents =
            crate::document::read(&files(sdl), &mut diagnostics).expect("valid syntax");
        diagnostics.0.retain(|it| it.code != "UNSUPPORTED");
        assert!(diagnostics.is_empty(), "{diagnostics}");
        crate::federation::settle(&mut documents, &mut diagnostics);
        let merged = merge(&documents, &mut diagnostics);
        (merged, documents, diagnostics)
    }

    /// The merged graph of some files, and what was said on the way.
    pub(crate) fn merged(sdl: &[&str]) -> (Merged, Diagnostics) {
        let (merged, _, diagnostics) = merged_with(sdl);
        (merged, diagnostics)
    }

    /// The merged schema, without complaint.
    pub(crate) fn printed(sdl: &[&str]) -> String {
        let (merged, diagnostics) = merged(sdl);
        assert!(!diagnostics.has_errors(), "{diagnostics}");
        merged.schema.serialize().no_indent().to_string()
    }

    /// What merging says, hints apart.
    pub(crate) fn said(sdl: &[&str]) -> String {
        merged(sdl).1.from(Severity::Warning).to_string()
    }

    /// What merging says, hints included.
    pub(crate) fn hinted(sdl: &[&str]) -> String {
        merged(sdl).1.to_string()
    }
}
