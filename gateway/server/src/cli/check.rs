//! `switchboard check`: composes the graph and runs every start-up check.

use std::sync::Arc;

use ::compose::diagnostic::Severity;
use tokio::sync::Semaphore;

use super::ConfigFile;
use super::Failure;
use super::runtime;
use crate::graph::Graph;

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    let (config, supergraph) = file.compose()?;
    let graph = runtime()?.block_on(async {
        let graph = Graph::new(config, supergraph, Arc::new(Semaphore::new(1)))?;
        match graph.plan_trusted().await {
            (_, problems) if problems.is_empty() => Ok(graph),
            (_, problems) => Err(problems),
        }
    })?;
    let supergraph = &graph.supergraph;
    let warnings = supergraph.warnings().from(Severity::Warning);
    let all = supergraph.warnings().0.iter();
    for hint in all.filter(|it| it.severity == Severity::Hint) {
        eprintln!("{hint}");
    }
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    println!(
        "ok: {}, {}, {}, {}",
        count(supergraph.subgraphs().len(), "subgraph"),
        count(supergraph.sources().len(), "source"),
        count(supergraph.types().len(), "composite type"),
        count(warnings.0.len(), "warning"),
    );
    Ok(())
}
