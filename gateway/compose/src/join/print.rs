//! A composed graph as a supergraph, in the terms of join v0.5.
//!
//! Owns how what subgraphs say is spelled for other routers. What join has no
//! word for, our own directives above all, travels as `@join__directive`, so that
//! reading the text back gives the same graph. Must not know how fields are answered.

mod carried;
mod element;
mod graphs;
mod relocated;
mod specification;

use apollo_compiler::ast::{Directive, DirectiveList, DirectiveLocation};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use indexmap::IndexSet;

use crate::diagnostic::Diagnostics;
use crate::document::{self, Document};
use crate::federation;
use crate::files::SchemaFiles;
use crate::merge::{self, Merged};
use graphs::Graphs;

/// The supergraph of some files, as SDL. Documents that the files name are named as seen from `directory`.
///
/// # Errors
/// What keeps the files from being one graph.
pub fn print(files: &SchemaFiles, directory: &str) -> Result<String, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let Some(mut documents) = document::read(files, &mut diagnostics) else {
        return Err(diagnostics);
    };
    federation::settle(&mut documents, &mut diagnostics);
    let merged = merge::merge(&documents, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let graphs = Graphs::of(files, &documents);
    let mut printer = Printer {
        merged: &merged,
        documents: &documents,
        graphs: &graphs,
        directory,
        used: IndexSet::new(),
        places: IndexSet::new(),
    };
    let types = printer.types();
    let own = printer.schema_directives();
    let mut schema = specification::schema(&graphs, &printer.used, &printer.places);
    let definition = schema.schema_definition.make_mut();
    let roots = &merged.schema.schema_definition;
    definition.query = roots.query.clone();
    definition.mutation = roots.mutation.clone();
    definition.subscription = roots.subscription.clone();
    definition.directives.0.extend(own);
    schema.types.extend(types);
    // Directives of operations, and those that files ask to be composed.
    let own = merged.schema.directive_definitions.iter();
    let own = own.filter(|(_, definition)| !definition.is_built_in());
    for (name, definition) in own {
        let known = schema.directive_definitions.entry(name.clone());
        known.or_insert_with(|| definition.clone());
    }
    Ok(schema.to_string())
}

/// What is printed, and what of other specifications it needs.
struct Printer<'a> {
    merged: &'a Merged,
    documents: &'a [Document],
    graphs: &'a Graphs,
    directory: &'a str,
    /// Directives of linked specifications that are used.
    used: IndexSet<&'static str>,
    /// Where `@join__directive` stands.
    places: IndexSet<DirectiveLocation>,
}

impl<'a> Printer<'a> {
    fn types(&mut self) -> Vec<(Name, ExtendedType)> {
        let merged: &'a Merged = self.merged;
        let types = merged.schema.types.iter();
        let types = types.filter(|(_, ty)| !ty.is_built_in());
        types
            .map(|(name, ty)| (name.clone(), self.ty(ty)))
            .collect()
    }

    /// The documents that have a type, with what they say of it.
    fn declaring(&self, name: &Name) -> Vec<Part<'a>> {
        let documents = self.documents.iter();
        let parts = documents.filter_map(|document| {
            let ty = document.schema.types.get(name)?;
            Some(Part { document, ty })
        });
        parts.collect()
    }

    fn schema_directives(&mut self) -> Vec<Node<Directive>> {
        let mut found = Vec::new();
        for document in self.documents {
            let directives = &document.schema.schema_definition.directives;
            let ours = self.ours(document, directives, DirectiveLocation::Schema);
            found.extend(ours);
        }
        found
    }
}

/// One document's declaration of a type.
#[derive(Clone, Copy)]
struct Part<'a> {
    document: &'a Document,
    ty: &'a ExtendedType,
}

/// A list of directives with some at its end.
fn with(directives: &DirectiveList, more: Vec<Node<Directive>>) -> DirectiveList {
    let own = directives.iter().cloned();
    DirectiveList(own.chain(more).collect())
}
