//! From directives to resolvers: one representation of every call.
//!
//! Owns what `@source`, `@rest`, `@grpc`, `@graphql`, `@map`, `@discriminator` and
//! `@variant` mean, and the checks that show while they are read. Each file
//! lowers one thing; [`lower`] is the order. Must not know plans or transports.
//!
//! A mapping that is wrong is reported and left out, so that one run finds
//! every mistake.

mod batch;
mod body;
mod connection;
mod encoding;
mod entity;
mod environment;
mod expression;
mod follow;
mod graphql;
mod grpc;
mod header;
mod input;
mod naming;
mod origin;
mod page;
mod policy;
pub(crate) mod print;
mod query;
mod queue;
mod read;
mod reply;
mod resolver;
mod rest;
mod scope;
mod site;
mod source;
mod subgraph;
mod subscription;
#[cfg(test)]
mod tests;
mod upstream;
mod variant;
mod view;

use apollo_compiler::Name;
use indexmap::IndexMap;

use crate::SchemaFiles;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;
use crate::mapping::{Spot, SyntaxError};
use crate::model::{Encoding, Resolver, Source, TypeDef, View};
use crate::suggest;

pub(crate) use origin::{Call, Destination, Origin, Sent, Value, ViewOrigin};
pub(crate) use upstream::Upstream;

/// Everything that directives say, lowered.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) sources: Vec<Source>,
    pub(crate) resolvers: Vec<Resolver>,
    pub(crate) views: Vec<View>,
    pub(crate) encodings: Vec<Encoding>,
    /// What each source's contract says, by [`crate::model::SourceId`].
    pub(crate) upstreams: Vec<Upstream>,
    /// Where each resolver comes from, by [`crate::model::ResolverId`].
    pub(crate) origins: Vec<Origin>,
    /// What each view was lowered against, by [`crate::model::ViewId`].
    pub(crate) view_origins: Vec<ViewOrigin>,
}

/// Lowers the directives of every subgraph. `types` are the merged types.
pub(crate) fn lower(
    files: &SchemaFiles,
    documents: &[Document],
    types: &IndexMap<Name, TypeDef>,
    diagnostics: &mut Diagnostics,
) -> Lowered {
    let mut lowering = Lowering {
        files,
        types,
        diagnostics,
        encodings: encoding::Encodings::new(),
        views: view::Views::default(),
        lowered: Lowered::default(),
    };
    for document in documents {
        lowering.sources_of(document);
    }
    lowering.check_given_headers();
    for document in documents {
        lowering.check_root_fields(document);
        lowering.check_queues(document);
        lowering.resolvers_of(document);
    }
    lowering.finish()
}

/// What lowering has so far, and what it reads.
struct Lowering<'a> {
    files: &'a SchemaFiles,
    types: &'a IndexMap<Name, TypeDef>,
    diagnostics: &'a mut Diagnostics,
    encodings: encoding::Encodings<'a>,
    views: view::Views<'a>,
    lowered: Lowered,
}

impl<'a> Lowering<'a> {
    fn resolvers_of(&mut self, document: &'a Document) {
        for site in site::all(document) {
            self.resolver(&site);
            self.settle();
        }
    }

    /// Fills what is referred to and not there yet.
    fn settle(&mut self) {
        self.settle_views();
        self.settle_encodings();
    }

    fn finish(self) -> Lowered {
        let (views, view_origins) = self.views.finish();
        Lowered {
            views,
            view_origins,
            encodings: self.encodings.finish(),
            ..self.lowered
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports a text that is not in the language of mappings.
    fn syntax(&mut self, document: &Document, error: SyntaxError) {
        let place = at(document, &error.spot);
        let diagnostic = Diagnostic::error("MAPPING_SYNTAX", error.message).at(place);
        self.push(match error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
}

/// The place of a spot.
pub(crate) fn at(document: &Document, spot: &Spot) -> Place {
    match spot {
        Spot::Whole(span) => document.places.span(*span),
        Spot::Part(node, part) => document.places.in_string(node, part.clone()),
    }
}

/// Asks whether one of the candidates was meant, else says what there is.
fn did_you_mean<'c>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    otherwise: impl FnOnce(&[&str]) -> String,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    suggest::did_you_mean(&suggest::closest(wanted, candidates.iter().copied()))
        .unwrap_or_else(|| otherwise(&candidates))
}

/// `a, b and c`
fn listed(names: &[&str]) -> String {
    match names.split_last() {
        None => "none".to_owned(),
        Some((one, [])) => format!("`{one}`"),
        Some((last, rest)) => format!("`{}` and `{last}`", rest.join("`, `")),
    }
}
