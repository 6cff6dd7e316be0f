//! A property: whatever the services do — hang, reset, cut off, lie about
//! types, counts and keys — the gateway answers in time, and what it nulls and
//! where it says so is what a plain executor does whose fields fail or carry
//! the same wrong values.
//!
//! `MISBEHAVIOURS=100000 cargo test -p switchboard-tests --test it misbehaviour`
//! runs more of them.

mod liar;

use std::sync::Arc;
use std::time::Duration;

use compose::Supergraph;
use plan::Document;
use plan::OperationLimits;
use plan::source::Sources;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value as Json;
use sources::ResilienceRules;
use sources::SourcesConfig;
use tokio::task::JoinSet;

use self::liar::Liar;
use super::Scene;
use super::World;
use super::demands::Caller;
use super::operations;
use super::views::Route;
use super::views::Views;

/// Misbehaviours that are met, unless the environment says otherwise.
const MET: u64 = 2_000;
/// Operations at a time.
const AT_ONCE: usize = 12;
/// Worlds, each with its faults in other places.
const WORLDS: u64 = 16;
/// Bounds every answer; none needs it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One world, and a gateway over its services.
struct Bench {
    world: World,
    liar: Liar,
    /// Waits long for everything: nothing hangs.
    patient: Gateway,
    /// Waits a short time for this route, which hangs.
    impatient: Gateway,
    hanging: Route,
}

struct Gateway {
    graph: Arc<Supergraph>,
    sources: Box<dyn Sources>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_services_do_the_same_is_null_and_the_same_is_told() {
    let wanted = std::env::var_os("MISBEHAVIOURS").map_or(MET, |text| {
        text.to_string_lossy().parse().expect("a number")
    });
    let mut benches = Vec::new();
    for seed in 0..WORLDS {
        benches.push(Arc::new(Bench::new(seed).await));
    }
    let met = || benches.iter().map(|bench| bench.liar.met()).sum::<u64>();
    let mut running = JoinSet::new();
    let mut number = 0;
    while met() < wanted {
        while running.len() < AT_ONCE {
            let bench = benches[number as usize % benches.len()].clone();
            running.spawn(async move { bench.compare(number).await });
            number += 1;
        }
        let done = running.join_next().await.expect("some run");
        done.unwrap_or_else(|bad| std::panic::resume_unwind(bad.into_panic()));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap_or_else(|bad| std::panic::resume_unwind(bad.into_panic()));
    }
    assert!(met() >= wanted, "{number} operations met {}", met());
}

impl Gateway {
    fn new(graph: Arc<Supergraph>) -> Self {
        let config = SourcesConfig {
            timeout: PATIENCE,
            // Each operation meets misbehaviour of its own.
            merge_reads: false,
            // Nor does anything that was before it keep a call from being made, or repeat one.
            resilience: ResilienceRules {
                attempts: Some(1),
                breaker: Some(false),
                ..ResilienceRules::default()
            },
            ..SourcesConfig::default()
        };
        let sources = sources::connect(&graph, &config, None).expect("sources");
        Self {
            graph,
            sources: Box::new(sources),
        }
    }
}

impl Bench {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let liar = Liar::listen(world.clone()).await;
        let hanging = Route::ALL[seed as usize % Route::ALL.len()];
        let patient = super::unforgiving_graph(&liar.url(), str::to_owned);
        let impatient = super::unforgiving_graph(&liar.url(), |sdl| {
            let declared = hanging.declared();
            sdl.replace(declared, &format!("timeout: \"200ms\", {declared}"))
        });
        Self {
            patient: Gateway::new(patient),
            impatient: Gateway::new(impatient),
            world,
            liar,
            hanging,
        }
    }

    /// One operation over services that say something of their own.
    async fn compare(&self, number: u64) {
        let mut rng = StdRng::seed_from_u64(number);
        let views = Arc::new(Views::random(&self.world, self.hanging, &mut rng));
        let Gateway { graph, sources } = match views.hangs() {
            true => &self.impatient,
            false => &self.patient,
        };
        let operation = operations::random(graph.api(), &mut rng);
        let limits = OperationLimits::off();
        let Ok(document) = Document::parse(graph.api(), &operation.text, &limits) else {
            return;
        };
        let plan = plan::plan(graph, &document, None, &limits)
            .unwrap_or_else(|bad| panic!("{number}: {bad}\n{}", operation.text));
        let id = format!("lies-{number}");
        self.liar.tell(&id, views.clone());
        let request = super::Asked {
            plan: &plan,
            operation: &operation,
            caller: &Caller::nobody(),
            id: &id,
        };
        let answer = tokio::time::timeout(PATIENCE, super::gateway(&request, &**sources)).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("no answer to {number}:\n{}", operation.text));
        self.liar.forget(&id);
        let scene = Scene {
            views: &views,
            denied: &Default::default(),
        };
        let (data, paths) = super::expected(scene, graph, &operation);
        let differs = (answer.data != data).then(|| super::difference(&data, &answer.data));
        let (told, paths) = (Json::from(answer.paths), Json::from(paths));
        let differs = differs.or((told != paths).then(|| super::difference(&paths, &told)));
        if let Some(difference) = differs {
            let (lied, errors) = (views.lied(&self.world), answer.errors);
            let text = operation.text;
            panic!("operation {number}:\n{text}\n{plan}\n{lied}\n{errors}\n{difference}");
        }
    }
}
