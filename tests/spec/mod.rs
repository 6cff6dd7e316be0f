//! Runs one file of `specs/`: composes its subgraphs, puts real servers in the place of its services, runs its
//! operation, and compares everything that can be seen from outside with what the file says.
//!
//! `specs/README.md` explains the files. Knows the gateway only by the front doors of its rooms.

mod calls;
mod config;
pub(crate) mod diff;
mod document;
mod gateway;
pub(crate) mod json;
mod log;
mod queued;
mod report;
mod shop;
mod upstream;

use std::path::Path;

use document::Spec;
use log::Said;
use report::Report;

/// Runs the file; panics with everything that differs. With `UPDATE_SPECS=1` it rewrites the file instead.
pub(crate) fn run(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|bad| panic!("{file}: {bad}"));
    let spec = Spec::parse(&text).unwrap_or_else(|bad| panic!("{file}: {bad}"));
    let mut report = Report::new(&spec);
    let said = Said::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(gateway::run(&spec, &mut report));
    report.compare("log", &said.text());
    if std::env::var_os("UPDATE_SPECS").is_some() {
        let updated = report.updated(&text);
        std::fs::write(&path, updated).unwrap_or_else(|bad| panic!("{file}: {bad}"));
    }
    report.finish(file);
}
