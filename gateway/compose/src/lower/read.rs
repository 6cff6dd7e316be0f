//! Mappings of replies to [`Read`].

use super::follow::End;
use super::{Lowering, at};
use crate::contract::TypeId;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{Mapping, MappingKind, Reference, Root, Spot, TemplatePiece, names};
use crate::model::{Read, ReadPiece, SourceId};

/// An upstream object that fields are read from.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) document: &'a Document,
    pub(super) source: SourceId,
    /// Its type in the contract.
    pub(super) contract: Option<TypeId>,
}

impl Lowering<'_> {
    /// A value read from an object, and the contract's type of it.
    pub(super) fn read(&mut self, object: &Object<'_>, mapping: &Mapping) -> Option<(Read, End)> {
        match &mapping.kind {
            MappingKind::Bare(path) => {
                let upstream = &self.lowered.upstreams[object.source.index()];
                let (path, end) = upstream.follow(object.contract, &names(path));
                Some((Read::Path(path), end))
            }
            MappingKind::Const(json) => Some((Read::Const(json.clone()), End::Unstated)),
            MappingKind::Reference(Reference {
                root: Root::Status, ..
            }) => Some((Read::Status, End::Unstated)),
            MappingKind::FirstOf(all) => self.first_of(object, all),
            MappingKind::Template(pieces) => self.read_template(object, pieces),
            MappingKind::Reference(reference) => {
                self.not_in_reply(object.document, reference, &mapping.spot);
                None
            }
            MappingKind::Object(_) | MappingKind::List(_) => {
                self.not_a_value(object.document, &mapping.spot);
                None
            }
        }
    }

    fn first_of(&mut self, object: &Object<'_>, all: &[Mapping]) -> Option<(Read, End)> {
        let lowered: Vec<_> = all.iter().map(|it| self.read(object, it)).collect();
        let lowered: Vec<(Read, End)> = lowered.into_iter().collect::<Option<_>>()?;
        let end = lowered.first().map_or(End::Unstated, |(_, end)| *end);
        Some((
            Read::FirstOf(lowered.into_iter().map(|(read, _)| read).collect()),
            end,
        ))
    }

    fn read_template(
        &mut self,
        object: &Object<'_>,
        pieces: &[TemplatePiece],
    ) -> Option<(Read, End)> {
        let lowered: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                TemplatePiece::Text(text) => Some(ReadPiece::Text(text.clone())),
                TemplatePiece::Hole(hole) => match self.read(object, hole)? {
                    (Read::Path(path), _) => Some(ReadPiece::Path(path)),
                    (Read::Const(json), _) => Some(ReadPiece::Text(plain(&json))),
                    _ => {
                        self.not_a_value(object.document, &hole.spot);
                        None
                    }
                },
            })
            .collect();
        let pieces = lowered.into_iter().collect::<Option<_>>()?;
        Some((Read::Template(pieces), End::Unstated))
    }

    /// A value read from a whole reply, `$response` or not: an error's message, the next cursor.
    pub(super) fn read_of_reply(
        &mut self,
        document: &Document,
        source: SourceId,
        mapping: &Mapping,
    ) -> Option<Read> {
        let mapping = of_response(mapping);
        // What an error or an envelope looks like is not what the contract says of the value.
        let object = Object {
            document,
            source,
            contract: None,
        };
        self.read(&object, &mapping).map(|(read, _)| read)
    }

    fn not_in_reply(&mut self, document: &Document, reference: &Reference, spot: &Spot) {
        let help = match reference.root {
            Root::Response => "a name is read from the object that the type maps: \"user.name\"",
            _ => "name an upstream property: \"user_name\", or a constant: \"'none'\"",
        };
        let message = format!("`{}` is no part of a reply", reference.written());
        self.push(
            Diagnostic::error("EXPRESSION_NOT_HERE", message)
                .at(at(document, spot))
                .help(help),
        );
    }

    fn not_a_value(&mut self, document: &Document, spot: &Spot) {
        self.push(
            Diagnostic::error("INVALID_VALUE", "one value is read here")
                .at(at(document, spot))
                .help("name an upstream property: \"user_name\""),
        );
    }
}

/// `$response.a` is `a` where a whole reply is read.
fn of_response(mapping: &Mapping) -> Mapping {
    let kind = match &mapping.kind {
        MappingKind::Reference(reference) if reference.root == Root::Response => {
            MappingKind::Bare(reference.path.clone())
        }
        MappingKind::FirstOf(all) => MappingKind::FirstOf(all.iter().map(of_response).collect()),
        MappingKind::Template(pieces) => MappingKind::Template(
            pieces
                .iter()
                .map(|piece| match piece {
                    TemplatePiece::Hole(hole) => TemplatePiece::Hole(of_response(hole)),
                    text => text.clone(),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Mapping {
        kind,
        spot: mapping.spot.clone(),
    }
}

fn plain(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
