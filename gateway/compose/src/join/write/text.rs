//! A text that remembers where its words come from.

use std::ops::Range;

use apollo_compiler::Name;
use apollo_compiler::parser::SourceSpan;

use crate::document::Places;
use crate::join::origin::Copied;

/// What is written so far.
pub(super) struct Text<'a> {
    places: &'a Places,
    written: String,
    copied: Vec<Copied>,
}

impl<'a> Text<'a> {
    pub(super) fn new(places: &'a Places) -> Self {
        Self {
            places,
            written: String::new(),
            copied: Vec::new(),
        }
    }

    /// The text, and what its words stand for.
    pub(super) fn finish(self) -> (String, Vec<Copied>) {
        (self.written, self.copied)
    }

    /// Adds what stands for nothing.
    pub(super) fn add(&mut self, text: &str) {
        self.written.push_str(text);
    }

    /// Adds a word that stands for a range of the supergraph.
    pub(super) fn stand(&mut self, text: &str, there: Range<usize>) {
        let start = self.written.len();
        self.written.push_str(text);
        self.copied.push(Copied {
            here: start..self.written.len(),
            there,
        });
    }

    /// Adds a name.
    pub(super) fn name(&mut self, name: &Name) {
        match name.location() {
            Some(span) => self.stand(name, span.offset()..span.end_offset()),
            None => self.add(name),
        }
    }

    /// Adds what stands at a place of the supergraph, as it is written there.
    pub(super) fn copy(&mut self, span: Option<SourceSpan>) {
        let Some(span) = span else {
            return;
        };
        let range = self.places.without_trivia(span);
        let Some(text) = self.places.slice(range.clone()) else {
            return;
        };
        self.stand(text, range);
        // A comment may end it.
        self.add(if text.contains('#') { "\n" } else { "" });
    }
}
