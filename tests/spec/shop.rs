//! The example shop: the files of `schema/` against the services of `subgraphs/`.

use std::path::PathBuf;
use std::sync::Arc;

use compose::SchemaFiles;
use compose::SourceOverride;
use compose::SubgraphFile;
use plan::source::CallRecord;
use switchboard_subgraphs::Faults;
use switchboard_subgraphs::Running;
use switchboard_subgraphs::Service;
use tokio::net::TcpListener;

use super::config::Config;
use super::document::Spec;
use super::gateway::Gateway;
use super::report::Report;

/// Runs a spec's operation against the whole shop.
pub(crate) async fn run<'s>(spec: &'s Spec, config: &Config, report: &mut Report<'s>) {
    let services = services().await;
    let supergraph = compose::compose(&files(&services))
        .unwrap_or_else(|bad| panic!("the example does not compose:\n{bad}"));
    let gateway = Gateway::connect(Arc::new(supergraph), config);
    let operation = spec
        .block("operation")
        .expect("a shop spec has an operation");
    let recorded = gateway.operation(operation, spec, report).await;
    let asked: u64 = services
        .iter()
        .map(|it| it.stats().snapshot().requests)
        .sum();
    if asked != recorded.len() as u64 {
        report.problem(format!(
            "the services were asked {asked} times, the gateway says {}",
            recorded.len()
        ));
    }
    report.compare_calls(&in_order_of_start(recorded));
}

async fn services() -> Vec<Running> {
    let mut running = Vec::new();
    for service in Service::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        running.push(
            service
                .serve(listener, Faults::NONE)
                .expect("a bound listener has an address"),
        );
    }
    running
}

fn files(services: &[Running]) -> SchemaFiles {
    let mut files = SchemaFiles {
        subgraphs: services.iter().map(subgraph).collect(),
        ..SchemaFiles::default()
    };
    loop {
        let missing = compose::references(&files);
        if missing.is_empty() {
            return files;
        }
        for reference in missing {
            files
                .files
                .insert(reference.path.clone(), read(&reference.path));
        }
    }
}

fn subgraph(service: &Running) -> SubgraphFile {
    let file = format!("{}.graphql", service.name());
    let source = SourceOverride {
        url: Some(service.url()),
        ..SourceOverride::default()
    };
    SubgraphFile {
        name: service.name().to_owned(),
        sdl: String::from_utf8(read(&file)).expect("SDL is text"),
        file,
        env: [(format!("{}_URL", service.name().to_uppercase()), None)].into(),
        sources: [(service.name().to_owned(), source)].into(),
        ..SubgraphFile::default()
    }
}

fn read(file: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "schema", file]
        .iter()
        .collect();
    std::fs::read(&path).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()))
}

fn in_order_of_start(mut calls: Vec<CallRecord>) -> Vec<String> {
    calls.sort_by_key(|call| call.start);
    calls
        .iter()
        .map(|call| format!("{} {} {}", call.source, call.method, call.target))
        .collect()
}
