//! Checks of the graph as a whole: what any operation could ask for.
//!
//! Owns the walk over everything that a client can reach, and the two things
//! that show on it: fields that no call can bring, and calls that would be
//! made once per item of a list. Each check is a file.

mod n_plus_one;
mod nullability;
mod reach;
mod satisfiable;

use apollo_compiler::Name;
use indexmap::IndexMap;

use crate::diagnostic::Diagnostics;
use crate::document::Document;
use crate::lower::Lowered;
use crate::model::TypeDef;

/// What the checks read.
pub(crate) struct Graph<'g> {
    pub(crate) types: &'g IndexMap<Name, TypeDef>,
    pub(crate) lowered: &'g Lowered,
    pub(crate) documents: &'g [Document],
}

/// Runs every check of the graph as a whole.
pub(crate) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    nullability::check(graph, diagnostics);
    let reached = reach::walk(graph);
    for state in reached.states() {
        satisfiable::check(graph, &reached, state, diagnostics);
        n_plus_one::check(graph, &reached, state, diagnostics);
    }
}
