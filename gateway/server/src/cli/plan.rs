//! `switchboard plan`: prints the plan of an operation.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use anyhow::anyhow;
use compose::Supergraph;
use compose::model::LabelId;
use plan::Document;
use plan::model::Variables;

use super::ConfigFile;
use super::Failure;

pub(super) fn run(
    file: &ConfigFile,
    operation: &Path,
    name: Option<&str>,
    labels: &[String],
) -> Result<(), Failure> {
    let text = read(operation)?;
    let (config, graph) = file.compose()?;
    let active = labels.iter().map(|label| active(&graph, label));
    let active: Vec<LabelId> = active.collect::<anyhow::Result<_>>()?;
    let graph = Arc::new(graph.while_active(&active));
    let refuse = |refusal: plan::Refusal| anyhow!("{}: {refusal}", operation.display());
    let limits = &config.limits.others.operation;
    let document = Document::parse(graph.api(), &text, limits).map_err(refuse)?;
    let plan = plan::plan(&graph, &document, name, limits).map_err(refuse)?;
    print!("{plan}");
    println!("{}", cost(&plan));
    Ok(())
}

fn active(graph: &Supergraph, label: &str) -> anyhow::Result<LabelId> {
    let index = graph.labels().iter().position(|it| it.name == label);
    let names = graph.labels().iter().map(|it| it.name.as_str());
    let missing = || match graph.labels().is_empty() {
        true => anyhow!("--label {label}: no @override of the graph has a label"),
        false => anyhow!(
            "--label {label}: the graph's labels are {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    };
    Ok(LabelId(index.ok_or_else(missing)? as u32))
}

/// What it costs; where variables decide, with their defaults.
fn cost(plan: &plan::Plan) -> String {
    let defaults = plan.variables().iter().map(|it| it.default.clone());
    let points = plan.cost(&Variables(defaults.collect()));
    match plan.has_constant_cost() {
        true => format!("cost: {points}"),
        false => format!("cost: {points} with the defaults of its variables, which decide it"),
    }
}

fn read(operation: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match operation == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(operation).map(|read| text = read),
    }
    .with_context(|| format!("{} cannot be read", operation.display()))?;
    Ok(text)
}
