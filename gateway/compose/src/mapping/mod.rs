//! The language inside our directives: mappings, templates, paths and durations.
//!
//! Owns its grammar and the place of every token, so that a message underlines
//! exactly the word that is wrong. Knows nothing of what a mapping is for: a
//! bare name is an upstream property where something is read and a mistake
//! where something is sent, which is for [`crate::lower`] to say.

mod cursor;
mod duration;
mod expression;
mod path;
mod template;
mod value;

use std::ops::Range;

use apollo_compiler::Node;
use apollo_compiler::ast;
use apollo_compiler::parser::SourceSpan;
use serde_json::Value as Json;

pub(crate) use duration::duration;
pub(crate) use path::path;
pub(crate) use template::template;
pub(crate) use value::{constant, mapping};

/// How deep a mapping may be nested. Nobody writes a tenth of it; it bounds our own recursion.
const MAX_DEPTH: usize = 64;

/// Where something stands, before it is turned into a line and a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spot {
    /// A whole value or name.
    Whole(Option<SourceSpan>),
    /// A part of a string: byte offsets in what the string means.
    Part(Node<ast::Value>, Range<usize>),
}

/// What a mapping says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) kind: MappingKind,
    pub(crate) spot: Spot,
}

/// The forms of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MappingKind {
    /// A number, a boolean, null, or a quoted text.
    Const(Json),
    /// `$args.a.b`
    Reference(Reference),
    /// `a.b`
    Bare(Vec<Segment>),
    /// `a ?? b`
    FirstOf(Vec<Mapping>),
    /// `{$args.year}-{$args.month}`
    Template(Vec<TemplatePiece>),
    /// `{ id: "user_id" }`
    Object(Vec<Entry>),
    /// `["$args.a", 1]`
    List(Vec<Mapping>),
}

/// An expression that begins with `$`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference {
    pub(crate) root: Root,
    pub(crate) path: Vec<Segment>,
}

/// What an expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Args,
    This,
    Batch,
    Env,
    Config,
    Claims,
    /// `$request.headers`
    Headers,
    Response,
    Status,
}

/// One name of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) spot: Spot,
}

/// A piece of a text with holes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TemplatePiece {
    Text(String),
    Hole(Mapping),
}

/// One entry of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Segment,
    pub(crate) value: Mapping,
}

/// A text that is not in the language.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) spot: Spot,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The whole is a text without quotes: `hello world`.
    pub(crate) bare_text: bool,
}

/// A string value of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    text: &'a str,
    node: &'a Node<ast::Value>,
}

impl<'a> Text<'a> {
    /// The string, if the value is one.
    pub(crate) fn of(node: &'a Node<ast::Value>) -> Option<Self> {
        let text = node.as_str()?;
        Some(Text { text, node })
    }
}

impl Spot {
    /// The place of a value.
    pub(crate) fn of(value: &Node<ast::Value>) -> Self {
        Spot::Whole(value.location())
    }

    /// From the start of one spot to the end of another in the same string.
    fn to(&self, end: &Spot) -> Self {
        match (self, end) {
            (Spot::Part(node, first), Spot::Part(_, last)) => {
                Spot::Part(node.clone(), first.start..last.end)
            }
            _ => self.clone(),
        }
    }
}

impl Root {
    /// Every root as it is written.
    const WRITTEN: [(&'static str, Root); 9] = [
        ("$args", Root::Args),
        ("$this", Root::This),
        ("$batch", Root::Batch),
        ("$env", Root::Env),
        ("$config", Root::Config),
        ("$claims", Root::Claims),
        ("$request.headers", Root::Headers),
        ("$response", Root::Response),
        ("$status", Root::Status),
    ];

    /// As it is written: `$args`.
    pub(crate) fn as_str(self) -> &'static str {
        Root::WRITTEN
            .into_iter()
            .find(|(_, root)| *root == self)
            .map_or("$", |(text, _)| text)
    }
}

impl Reference {
    /// As it is written: `$args.input.id`.
    pub(crate) fn written(&self) -> String {
        let mut text = self.root.as_str().to_owned();
        for segment in &self.path {
            text.push('.');
            text.push_str(&segment.name);
        }
        text
    }
}

impl Mapping {
    /// Every reference in it, in the order written.
    pub(crate) fn references(&self) -> Vec<(&Reference, &Spot)> {
        let mut found = Vec::new();
        self.visit(&mut |mapping| {
            if let MappingKind::Reference(reference) = &mapping.kind {
                found.push((reference, &mapping.spot));
            }
        });
        found
    }

    /// Whether it reads this root anywhere.
    pub(crate) fn uses(&self, root: Root) -> bool {
        self.references().iter().any(|(it, _)| it.root == root)
    }

    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Mapping)) {
        see(self);
        match &self.kind {
            MappingKind::FirstOf(all) | MappingKind::List(all) => {
                all.iter().for_each(|it| it.visit(see));
            }
            MappingKind::Object(entries) => entries.iter().for_each(|it| it.value.visit(see)),
            MappingKind::Template(pieces) => pieces.iter().for_each(|piece| {
                if let TemplatePiece::Hole(hole) = piece {
                    hole.visit(see);
                }
            }),
            MappingKind::Const(_) | MappingKind::Reference(_) | MappingKind::Bare(_) => {}
        }
    }
}

/// The names of a path.
pub(crate) fn names(path: &[Segment]) -> Vec<String> {
    path.iter().map(|segment| segment.name.clone()).collect()
}

/// The names of a path, joined as they are written.
pub(crate) fn dotted(path: &[Segment]) -> String {
    let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
    names.join(".")
}

#[cfg(test)]
mod testing {
    //! What the grammars' tests share.

    use super::*;

    pub(super) fn string(text: &str) -> Node<ast::Value> {
        Node::new(ast::Value::String(text.to_owned()))
    }

    /// The underlined part of a string.
    pub(super) fn range(spot: &Spot) -> Option<(usize, usize)> {
        match spot {
            Spot::Part(_, range) => Some((range.start, range.end)),
            Spot::Whole(_) => None,
        }
    }
}
