//! From subgraph files to one supergraph.
//!
//! Owns reading SDL, merging it, lowering our directives to resolvers, and
//! every start-up check. Pure: no clock, no I/O; the caller brings the files.

pub mod contract;
pub mod diagnostic;
pub mod model;

pub use diagnostic::Diagnostics;
pub use model::Supergraph;
