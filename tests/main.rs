//! The tests of the whole gateway, in one binary: `cargo test -p switchboard-tests`.
//!
//! `specs/` holds one behaviour per file, readable as documentation; `spec/` runs them.
//! `property/` compares random operations with a plain executor; `edge/` runs the real binary;
//! `resilience/` runs it over services that fall.

mod edge;
mod property;
mod resilience;
mod spec;

/// The files of `specs/`.
mod specs {
    include!(concat!(env!("OUT_DIR"), "/specs.rs"));
}
