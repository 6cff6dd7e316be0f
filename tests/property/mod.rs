//! A property: random valid operations against the gateway, over real HTTP
//! services, and against one plain in-process executor over the same data
//! agree in data, in the paths of errors, and in their order; the gateway never
//! makes more calls than its plan has steps, and nothing costs more than was
//! charged before it ran.
//! So too where a random part of the world is denied to a random caller: as if
//! each denied field raised an error, and without the calls that only denied
//! fields need.

mod costs;
mod demands;
mod graphql;
mod misbehaviour;
pub(crate) mod operations;
mod reference;
mod service;
mod views;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::Supergraph;
use plan::Document;
use plan::OperationLimits;
use plan::source::Context;
use plan::source::Sources;
use plan::source::TraceContext;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value as Json;

use self::demands::Caller;
use self::operations::Operation;
use self::reference::Scene;
use self::views::Views;
use self::world::World;

/// Operations for each world.
const OPERATIONS: u64 = 300;
/// Worlds, each with its faults in other places.
const WORLDS: u64 = 8;

#[tokio::test]
async fn random_operations_agree_with_a_plain_executor() {
    let (mut compared, mut paid) = (0, 0);
    for seed in 0..WORLDS {
        compared += compare_world(seed, false, &mut paid).await;
    }
    assert!(
        compared > WORLDS * OPERATIONS / 2,
        "most operations are valid: {compared}"
    );
    assert!(
        paid > compared / 2,
        "most operations cost something: {paid}"
    );
}

/// What an operation was charged, and what it cost.
#[derive(Debug)]
struct Cost {
    requested: u64,
    actual: u64,
}

#[tokio::test]
async fn random_operations_with_random_demands_agree_with_an_executor_whose_denied_fields_fail() {
    let mut compared = 0;
    for seed in 0..WORLDS {
        compared += compare_world(seed, true, &mut 0).await;
    }
    assert!(
        compared > WORLDS * OPERATIONS / 2,
        "most operations are valid: {compared}"
    );
}

/// Of both subgraphs, the first alone, the second alone; in half of the worlds.
#[tokio::test]
async fn random_operations_over_graphql_services_agree_with_a_plain_executor_over_the_same_rows() {
    let mut compared = 0;
    for seed in (0..WORLDS).step_by(2) {
        let spoken = [
            Spoken::Graphql,
            Spoken::GraphqlAndRest,
            Spoken::RestAndGraphql,
        ];
        compared += compare_world_over(spoken[seed as usize / 2 % 3], seed, false, &mut 0).await;
    }
    assert!(
        compared > WORLDS * OPERATIONS / 4,
        "most operations are valid: {compared}"
    );
}

/// What the services of the two subgraphs speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Rest,
    Graphql,
    GraphqlAndRest,
    RestAndGraphql,
}

impl Spoken {
    /// The files, people's and posts', as they are served.
    fn files(self, people: String, posts: String) -> (String, String) {
        let people = match self {
            Spoken::Graphql | Spoken::GraphqlAndRest => graphql::served(&people),
            Spoken::Rest | Spoken::RestAndGraphql => people,
        };
        let posts = match self {
            Spoken::Graphql | Spoken::RestAndGraphql => graphql::served(&posts),
            Spoken::Rest | Spoken::GraphqlAndRest => posts,
        };
        (people, posts)
    }
}

async fn compare_world(seed: u64, protected: bool, paid: &mut u64) -> u64 {
    compare_world_over(Spoken::Rest, seed, protected, paid).await
}

async fn compare_world_over(spoken: Spoken, seed: u64, protected: bool, paid: &mut u64) -> u64 {
    let world = Arc::new(World::new(seed));
    let views = Views::truth(&world);
    let service = service::serve(world.clone()).await;
    let mut scattering = StdRng::seed_from_u64(seed);
    let graph = graph(
        &format!("http://{}", service.address),
        protected.then_some(&mut scattering),
        spoken,
    );
    let sources =
        sources::connect(&graph, &sources::SourcesConfig::default(), None).expect("sources");
    let mut compared = 0;
    for number in 0..OPERATIONS {
        let mut rng = StdRng::seed_from_u64(seed << 32 | number);
        let operation = operations::random(graph.api(), &mut rng);
        let limits = OperationLimits::off();
        let Ok(document) = Document::parse(graph.api(), &operation.text, &limits) else {
            continue;
        };
        let plan = plan::plan(&graph, &document, None, &limits)
            .unwrap_or_else(|bad| panic!("{seed}/{number}: {bad}\n{}", operation.text));
        service.calls.store(0, Ordering::SeqCst);
        service.asked.lock().expect("one test").clear();
        let caller = Caller::random(&mut rng);
        let denied = demands::denied(&graph, &caller);
        let asked = Asked {
            plan: &plan,
            operation: &operation,
            caller: &caller,
            id: "property",
        };
        let Answer {
            data, paths, cost, ..
        } = gateway(&asked, &sources).await;
        let calls = service.calls.load(Ordering::SeqCst);
        let scene = Scene {
            views: &views,
            denied: &denied,
        };
        let wanted = expected(scene, &graph, &operation);
        let name = format!(
            "world {seed}, operation {number}:\n{}\n{plan}",
            operation.text
        );
        assert!(
            data == wanted.0,
            "data of {name}\n{}",
            difference(&wanted.0, &data)
        );
        let (errors, wanted) = (Json::from(paths), Json::from(wanted.1));
        assert!(
            errors == wanted,
            "errors of {name}\n{}",
            difference(&wanted, &errors)
        );
        assert!(calls <= plan.steps().len(), "{calls} calls for {name}");
        assert!(cost.requested >= cost.actual, "{cost:?} for {name}");
        *paid += u64::from(cost.actual > 0);
        for asked in service.asked.lock().expect("one test").iter() {
            assert!(
                !denied.contains(*asked),
                "{asked} is denied, and asked for in {name}"
            );
        }
        compared += 1;
    }
    compared
}

/// Without a second attempt, and whatever a service did before; the files are `edited`.
fn unforgiving_graph(url: &str, edited: impl Fn(&str) -> String) -> Arc<Supergraph> {
    let never = "limits: { breaker: { failureRate: 1, minimumCalls: 1000000000 } }";
    let rules = format!("naming: SNAKE_CASE, retry: {{ attempts: 1 }}, {never}");
    let sdl = |sdl: &str| edited(sdl).replace("naming: SNAKE_CASE", &rules);
    composed(
        url,
        sdl(include_str!("people.graphql")),
        sdl(include_str!("posts.graphql")),
    )
}

fn graph(url: &str, scattering: Option<&mut StdRng>, spoken: Spoken) -> Arc<Supergraph> {
    let (people, posts) = (
        include_str!("people.graphql"),
        include_str!("posts.graphql"),
    );
    let (people, posts) = match scattering {
        Some(rng) => demands::scatter(people, posts, rng),
        None => (people.to_owned(), posts.to_owned()),
    };
    let (people, posts) = spoken.files(people, posts);
    composed(url, people, posts)
}

fn composed(url: &str, people: String, posts: String) -> Arc<Supergraph> {
    let file = |name: &str, sdl: String| SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl,
        env: BTreeMap::from([("WORLD_URL".to_owned(), Some(url.to_owned()))]),
        sources: BTreeMap::new(),
        ..SubgraphFile::default()
    };
    let files = SchemaFiles {
        subgraphs: vec![file("people", people), file("posts", posts)],
        ..SchemaFiles::default()
    };
    match compose::compose(&files) {
        Ok(graph) => Arc::new(graph),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// One operation, and who asks.
struct Asked<'a> {
    plan: &'a plan::Plan,
    operation: &'a Operation,
    caller: &'a Caller,
    /// The correlation id.
    id: &'a str,
}

/// What came back.
struct Answer {
    data: Json,
    /// Of the errors.
    paths: Vec<Json>,
    /// As they were told.
    errors: Json,
    cost: Cost,
}

async fn gateway(asked: &Asked<'_>, sources: &dyn Sources) -> Answer {
    let plan = asked.plan;
    let variables = plan.coerce(&asked.operation.variables).expect("variables");
    let variables = plan.judge(variables, asked.caller).into_variables();
    let context = Context {
        correlation_id: Arc::from(asked.id),
        trace: TraceContext::default(),
        deadline: in_a_minute(),
        headers: http::HeaderMap::new(),
        claims: Json::Null.into(),
        epoch: 0,
        merge_reads: true,
        rehearsal: None,
        calls: None,
        caching: None,
        principal: None,
        stale: Default::default(),
        calls_left: Default::default(),
        propagated: Default::default(),
        outbox: None,
        effects: None,
    };
    let arrived = execute::arrive(plan, &variables, sources, &context).await;
    let actual = arrived.cost();
    let response = arrived.respond();
    let cost = Cost {
        requested: plan.cost(&variables),
        actual,
    };
    let body = response.finish(None);
    let body: Json = serde_json::from_slice(&body)
        .unwrap_or_else(|bad| panic!("{bad} in {}", String::from_utf8_lossy(&body)));
    let errors = body["errors"].as_array().into_iter().flatten();
    Answer {
        paths: errors.map(|error| error["path"].clone()).collect(),
        data: body["data"].clone(),
        errors: body["errors"].clone(),
        cost,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a deadline that no test waits for"
)]
fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn expected(scene: Scene<'_>, graph: &Supergraph, operation: &Operation) -> (Json, Vec<Json>) {
    let schema = graph.api();
    let document = apollo_compiler::ExecutableDocument::parse_and_validate(
        schema,
        &operation.text,
        "operation.graphql",
    );
    let document = document.expect("the gateway has found it valid");
    reference::answer(scene, schema, &document, &operation.variables)
}

/// The lines that differ.
fn difference(wanted: &Json, found: &Json) -> String {
    let (wanted, found) = (pretty(wanted), pretty(found));
    let diff = similar::TextDiff::from_lines(&wanted, &found);
    diff.unified_diff().context_radius(3).to_string()
}

fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}
