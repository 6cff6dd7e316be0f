//! `switchboard check`: composes the graph and runs every start-up check.

use super::ConfigFile;
use super::Failure;

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    let (_, supergraph) = file.compose()?;
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    println!(
        "ok: {}, {}, {}, {}",
        count(supergraph.subgraphs().len(), "subgraph"),
        count(supergraph.sources().len(), "source"),
        count(supergraph.types().len(), "composite type"),
        count(supergraph.warnings().0.len(), "warning"),
    );
    Ok(())
}
