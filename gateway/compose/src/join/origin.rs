//! From a subgraph that was read out of a supergraph to the supergraph's own text.
//!
//! Owns the map from one to the other. Knows nothing of what the texts mean.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Place;
use crate::document::Places;

/// Where the text of a subgraph stands in the supergraph that it was read from.
#[derive(Debug)]
pub struct Origin {
    places: Arc<Places>,
    /// In the order of the subgraph's text.
    copied: Vec<Copied>,
}

/// A range of bytes of the subgraph, and what it stands for.
#[derive(Debug, Clone)]
pub(super) struct Copied {
    pub(super) here: Range<usize>,
    pub(super) there: Range<usize>,
}

impl Origin {
    pub(super) fn new(places: Arc<Places>, copied: Vec<Copied>) -> Self {
        Self { places, copied }
    }

    /// The place in the supergraph of a range of the subgraph. Of what was added between two words, the first's.
    pub(crate) fn place(&self, range: Range<usize>) -> Place {
        let after = self
            .copied
            .partition_point(|it| it.here.start <= range.start);
        let Some(copied) = after.checked_sub(1).map(|at| &self.copied[at]) else {
            return self.places.bytes(0..0);
        };
        let exact = copied.here.len() == copied.there.len() && range.start < copied.here.end;
        if !exact {
            return self.places.bytes(copied.there.clone());
        }
        let there = |at: usize| at - copied.here.start + copied.there.start;
        let end = range.end.min(copied.here.end);
        self.places.bytes(there(range.start)..there(end))
    }
}
