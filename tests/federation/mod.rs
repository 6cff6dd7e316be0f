//! Cases of federation, one directory each: real GraphQL services that execute their own SDL, a gateway over them, and
//! a plain executor over the same data that the answers must agree with.
//!
//! `README.md` explains the directories. Knows the gateway only by the front doors of its rooms.

mod case;
mod gateway;
mod http;
mod lie;
mod oracle;
mod partition;
mod selection;
mod service;
mod shape;
mod subgraph;
mod template;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use compose::SchemaFiles;
use compose::SubgraphFile;
use plan::source::CallRecord;
use serde_json::Map;
use serde_json::Value as Json;

use self::case::Case;
use self::case::Data;
use self::case::Operation;
use self::gateway::Gateway;
use self::http::Services;
use self::service::Service;
use self::shape::Shape;
use self::subgraph::Subgraph;
use self::world::World;
use crate::spec::json::pretty;

/// Runs a case; panics with everything that differs. With `UPDATE_SPECS=1` it rewrites what is expected instead.
pub(crate) fn run(directory: &str) {
    let mut case = Case::read(directory);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
    let problems = runtime.block_on(run_operations(&mut case));
    case.finish(&problems);
}

async fn run_operations(case: &mut Case) -> Vec<String> {
    let mut problems = Vec::new();
    for operation in std::mem::take(&mut case.operations) {
        // Of its own, since mutations change the world.
        let stage = Stage::set(&case.subgraphs, &case.data).await;
        let api = stage.gateway.graph.api().to_string();
        case.compare("api.graphql", &api);
        let (expected, wrong) = stage.play(&operation).await;
        case.compare(&format!("operations/{}.md", operation.name), &expected);
        let name = &operation.name;
        problems.extend(wrong.into_iter().map(|it| format!("{name}: {it}")));
    }
    problems
}

/// The services of a case and a gateway over them.
struct Stage {
    gateway: Gateway,
    services: Arc<Services>,
    /// As it was before anything happened.
    world: World,
}

impl Stage {
    async fn set(subgraphs: &[(String, String)], data: &Data) -> Self {
        let world = Arc::new(world(subgraphs, &data.world));
        let problems = Arc::new(Mutex::default());
        let services = Arc::new(Services {
            graphql: services(subgraphs, data, &world, &problems),
            rest: data.rest.clone(),
            failing: data.failing.clone(),
            lying: data.lying.clone(),
            calls: Mutex::default(),
            problems,
        });
        let address = services.serve().await;
        Self {
            gateway: Gateway::connect(&files(subgraphs, &address)),
            services,
            world: self::world(subgraphs, &data.world),
        }
    }

    /// Runs an operation: what it showed, as text, and what is wrong with it whatever is expected.
    async fn play(&self, operation: &Operation) -> (String, Vec<String>) {
        let plan = match self.gateway.plan(&operation.text) {
            Ok(plan) => plan,
            Err(refusal) => {
                let response = pretty(&gateway::refused(&refusal));
                return (format!("```json response\n{response}\n```\n"), Vec::new());
            }
        };
        let ran = self.gateway.run(&plan, &operation.variables).await;
        let mut problems = std::mem::take(&mut *self.services.problems.lock().expect("no panic"));
        let calls = self.services.take();
        if calls.len() > plan.steps().len() && self.services.failing.is_empty() {
            problems.push(format!("{} calls", calls.len()));
        }
        if self.services.lying.is_empty() {
            problems.extend(self.disagreements(operation, &ran.response));
        }
        let calls = in_order(calls, &ran.calls);
        let response = pretty(&ran.response);
        let expected = format!(
            "```text plan\n{plan}```\n\n```text calls\n{calls}```\n\n```json response\n{response}\n```\n"
        );
        (expected, problems)
    }

    /// Where the response is not what the plain executor answers.
    fn disagreements(&self, operation: &Operation, response: &Json) -> Vec<String> {
        let (text, variables) = (&operation.text, &operation.variables);
        let api = self.gateway.graph.api();
        let wanted = oracle::answer(&self.world, &self.services.graphql, api, text, variables);
        let mut found = Vec::new();
        if wanted["data"] != response["data"] {
            let (wanted, got) = (&wanted["data"], &response["data"]);
            found.push(format!("data should be {wanted}\nand is {got}"));
        }
        let (wanted, got) = (paths(&wanted), paths(response));
        if self.services.failing.is_empty() && !same_errors(&wanted, &got) {
            found.push(format!("errors should be {wanted:?}\nand are {got:?}"));
        }
        let served = self.services.graphql.iter().map(|it| &*it.world);
        for world in served.chain([&self.world]) {
            let mut gaps = world.gaps.lock().expect("nobody panics with it");
            found.append(&mut gaps);
        }
        found
    }
}

/// Whether each error is told: where it began, or at the null that a service made of it. Of an entity that a service
/// made null, every field that was wanted of it is told.
fn same_errors(wanted: &[Vec<Json>], got: &[Vec<Json>]) -> bool {
    let is_told = |it: &Vec<Json>| got.iter().any(|told| it.starts_with(told));
    let is_true = |told: &Vec<Json>| {
        let object = &told[..told.len().saturating_sub(1)];
        wanted.iter().any(|it| it.starts_with(object))
    };
    wanted.iter().all(is_told) && got.iter().all(is_true)
}

fn paths(response: &Json) -> Vec<Vec<Json>> {
    let errors = response["errors"].as_array().into_iter().flatten();
    let paths = errors.map(|it| it["path"].as_array().cloned().unwrap_or_default());
    paths.collect()
}

/// The calls, step by step of the plan.
fn in_order(arrived: Vec<http::Call>, records: &[CallRecord]) -> String {
    let mut records: Vec<&CallRecord> = records.iter().collect();
    let mut step = |call: &http::Call| {
        let at = records.iter().position(|it| call.is(it));
        at.map_or(usize::MAX, |at| records.remove(at).step)
    };
    let calls = arrived.into_iter().map(|it| (step(&it), it.text));
    let mut calls: Vec<(usize, String)> = calls.collect();
    calls.sort();
    calls.iter().map(|(_, text)| format!("{text}\n")).collect()
}

fn world(subgraphs: &[(String, String)], data: &Map<String, Json>) -> World {
    let parsed: Vec<Subgraph> = subgraphs
        .iter()
        .map(|(name, sdl)| Subgraph::parse(name, sdl))
        .collect();
    World::new(data, Shape::of(parsed.iter().map(|it| &*it.schema)))
}

fn services(
    subgraphs: &[(String, String)],
    data: &Data,
    world: &Arc<World>,
    problems: &Arc<Mutex<Vec<String>>>,
) -> Vec<Arc<Service>> {
    let parsed = || {
        subgraphs
            .iter()
            .map(|(name, sdl)| Subgraph::parse(name, sdl))
    };
    let others: Vec<Subgraph> = parsed().collect();
    let taken = |from: &str| {
        let all = others.iter().flat_map(Subgraph::taken);
        let mine = all.filter(|(_, _, it)| *it == from);
        mine.map(|(ty, field, _)| (ty.to_owned(), field.to_owned()))
            .collect()
    };
    parsed()
        .map(|subgraph| {
            Arc::new(Service {
                unknown: data
                    .unknown
                    .get(&subgraph.name)
                    .cloned()
                    .unwrap_or_default(),
                taken: taken(&subgraph.name),
                world: world.clone(),
                problems: problems.clone(),
                subgraph,
            })
        })
        .collect()
}

/// What the gateway is given: a file that declares no source is served by its own service.
fn files(subgraphs: &[(String, String)], address: &str) -> SchemaFiles {
    let file = |(name, sdl): &(String, String)| SubgraphFile {
        name: name.clone(),
        file: format!("{name}.graphql"),
        sdl: sdl.clone(),
        env: environment(sdl, address),
        sources: BTreeMap::new(),
        url: (!sdl.contains("@source")).then(|| format!("{address}/{name}")),
        ..SubgraphFile::default()
    };
    SchemaFiles {
        subgraphs: subgraphs.iter().map(file).collect(),
        ..SchemaFiles::default()
    }
}

/// `SCORES_URL` is the address of the source `scores`.
fn environment(sdl: &str, address: &str) -> BTreeMap<String, Option<String>> {
    let names = sdl.split("{$env.").skip(1);
    let names = names.filter_map(|after| after.split_once("_URL}"));
    names
        .map(|(name, _)| {
            let source = name.to_lowercase();
            (format!("{name}_URL"), Some(format!("{address}/{source}")))
        })
        .collect()
}
