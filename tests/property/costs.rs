//! A property: whatever an operation selects, with whatever variables, it costs no more than it was charged
//! before it ran.
//!
//! `SWITCHBOARD_COSTS=1000000 cargo test -p switchboard-tests --test it costs_no_more` runs more of them.

use std::sync::Arc;

use compose::Supergraph;
use plan::Document;
use plan::OperationLimits;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sources::ConnectedSources;
use sources::SourcesConfig;
use tokio::task::JoinSet;

use super::Asked;
use super::Cost;
use super::World;
use super::demands::Caller;
use super::operations;
use super::service;

/// Operations, unless the environment says otherwise.
const OPERATIONS: usize = 500;
/// Worlds, each with its faults in other places.
const WORLDS: u64 = 16;
/// Operations at a time.
const AT_ONCE: usize = 12;
/// No seed of the other properties: these are other operations.
const SEEDS: u64 = 1 << 48;

/// One world, and what answers from it.
struct Bench {
    graph: Arc<Supergraph>,
    sources: ConnectedSources,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_costs_no_more_than_was_charged() {
    let wanted = crate::rounds("SWITCHBOARD_COSTS", OPERATIONS);
    let mut benches = Vec::new();
    for seed in 0..WORLDS {
        benches.push(Arc::new(Bench::new(seed).await));
    }
    let mut tally = Tally::default();
    let mut running = JoinSet::new();
    for number in 0.. {
        while running.len() >= AT_ONCE {
            tally.add(running.join_next().await);
        }
        if tally.compared + running.len() >= wanted {
            tally.add(running.join_next().await);
        }
        if tally.compared >= wanted {
            break;
        }
        let bench = benches[number as usize % benches.len()].clone();
        running.spawn(async move { bench.cost(number).await });
    }
    assert!(
        tally.paid > tally.compared / 2,
        "most operations cost something: {tally:?}"
    );
    assert!(tally.exact > 0, "the bound is met: {tally:?}");
}

/// What was seen.
#[derive(Debug, Default)]
struct Tally {
    /// Valid operations.
    compared: usize,
    /// That cost something.
    paid: usize,
    /// That cost exactly what was charged.
    exact: usize,
}

impl Tally {
    fn add(&mut self, done: Option<Result<Option<Cost>, tokio::task::JoinError>>) {
        let Some(done) = done else { return };
        let cost = done.unwrap_or_else(|bad| std::panic::resume_unwind(bad.into_panic()));
        let Some(Cost { requested, actual }) = cost else {
            return;
        };
        self.compared += 1;
        self.paid += usize::from(actual > 0);
        self.exact += usize::from(actual > 0 && actual == requested);
    }
}

impl Bench {
    async fn new(seed: u64) -> Self {
        let service = service::serve(Arc::new(World::new(seed))).await;
        let url = format!("http://{}", service.address);
        let graph = super::unforgiving_graph(&url, str::to_owned);
        let config = SourcesConfig {
            merge_reads: false,
            ..SourcesConfig::default()
        };
        let sources = sources::connect(&graph, &config, None).expect("sources");
        Self { graph, sources }
    }

    /// Of the operation of this number; nothing where it is not valid.
    async fn cost(&self, number: u64) -> Option<Cost> {
        let mut rng = StdRng::seed_from_u64(SEEDS | number);
        let operation = operations::random(self.graph.api(), &mut rng);
        let limits = OperationLimits::off();
        let document = Document::parse(self.graph.api(), &operation.text, &limits).ok()?;
        let plan = plan::plan(&self.graph, &document, None, &limits)
            .unwrap_or_else(|bad| panic!("{number}: {bad}\n{}", operation.text));
        let asked = Asked {
            plan: &plan,
            operation: &operation,
            caller: &Caller::random(&mut rng),
            id: "costs",
        };
        let cost = super::gateway(&asked, &self.sources).await.cost;
        assert!(
            cost.requested >= cost.actual,
            "{cost:?} for operation {number}:\n{}\n{plan}",
            operation.text
        );
        Some(cost)
    }
}
