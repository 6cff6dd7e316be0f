//! The tests of the whole gateway, in one binary: `cargo test -p switchboard-tests`.
//!
//! `specs/` holds one behaviour per file, readable as documentation; `spec/` runs them.
//! `property/` compares random operations with a plain executor; `edge/` runs the real binary;
//! `federation/` runs cases over GraphQL services that execute their own SDL;
//! `resilience/` runs it over services that fall; `queue/` puts the stores of deliveries to the test.

mod edge;
mod federation;
mod property;
mod queue;
mod resilience;
mod spec;

/// The files of `specs/`.
mod specs {
    include!(concat!(env!("OUT_DIR"), "/specs.rs"));
}

/// The directories of `federation/cases/`.
mod cases {
    include!(concat!(env!("OUT_DIR"), "/cases.rs"));
}

/// How often: as the environment says, else so often.
fn rounds(variable: &str, otherwise: usize) -> usize {
    #[allow(
        clippy::disallowed_methods,
        reason = "how long a test runs is no configuration"
    )]
    let said = std::env::var(variable);
    said.map_or(otherwise, |said| said.parse().expect("a number of rounds"))
}
