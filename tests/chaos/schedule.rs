//! Which service falls when, how, and for how long: random, and the same for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use proxy::Fault;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use switchboard_subgraphs::Faults;
use tokio::time::Instant;

use crate::shop::Behind;
use crate::shop::Shop;

/// A service is well for this long before it falls.
const WELL: (u64, u64) = (500, 15_000);
/// And down for this long, in milliseconds.
const DOWN: (u64, u64) = (500, 10_000);

/// What falls when.
pub(crate) struct Schedule {
    seed: u64,
}

/// How often each fault was on.
pub(crate) type Counted = BTreeMap<&'static str, u64>;

/// One thing that goes wrong.
enum Fall {
    /// With the connection.
    Connection(Fault),
    /// Within the service.
    Service(Faults),
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Each service falls and rises by itself, so that sometimes several are down.
    pub(crate) async fn run(&self, shop: &Shop, end: Instant) -> Counted {
        let each = shop.services.iter().enumerate();
        let lives = each.map(|(number, behind)| {
            let rng = StdRng::seed_from_u64(self.seed.wrapping_add(number as u64 * 7919));
            life(behind, rng, end)
        });
        let mut counted = Counted::new();
        for (name, times) in futures_util::future::join_all(lives)
            .await
            .into_iter()
            .flatten()
        {
            *counted.entry(name).or_default() += times;
        }
        counted
    }
}

async fn life(behind: &Behind, mut rng: StdRng, end: Instant) -> Counted {
    let mut counted = Counted::new();
    loop {
        pause(WELL, &mut rng, end).await;
        if Instant::now() >= end {
            return counted;
        }
        let (name, fall) = fall(&mut rng);
        *counted.entry(name).or_default() += 1;
        match fall {
            Fall::Connection(fault) => behind.proxy.set(fault).await,
            Fall::Service(faults) => behind.service.faults().set(faults),
        }
        pause(DOWN, &mut rng, end).await;
        behind.service.faults().set(Faults::NONE);
        behind.proxy.set(Fault::None).await;
    }
}

async fn pause((least, most): (u64, u64), rng: &mut StdRng, end: Instant) {
    let pause = Duration::from_millis(rng.random_range(least..most));
    tokio::time::sleep_until(end.min(Instant::now() + pause)).await;
}

fn fall(rng: &mut StdRng) -> (&'static str, Fall) {
    use Fall::Connection;
    use Fall::Service;
    let millis = |millis| Duration::from_millis(millis);
    match rng.random_range(0..16) {
        0 => ("refuse", Connection(Fault::Refuse)),
        1 => ("reset", Connection(Fault::Reset)),
        2 => ("black hole", Connection(Fault::BlackHole)),
        3 => ("close", Connection(Fault::Close)),
        4 => (
            "drip",
            Connection(Fault::Drip {
                bytes: 100,
                every: millis(20),
            }),
        ),
        5 => (
            "truncate",
            Connection(Fault::Truncate {
                after: rng.random_range(1..5_000),
            }),
        ),
        6 => ("garbage", Connection(Fault::Garbage)),
        7 => (
            "delay",
            Connection(Fault::Delay(millis(rng.random_range(50..800)))),
        ),
        8 => ("half open", Connection(Fault::HalfOpen)),
        9 => ("goaway, taken", Connection(Fault::GoAway { taken: true })),
        10 => (
            "goaway, not taken",
            Connection(Fault::GoAway { taken: false }),
        ),
        11 => (
            "errors",
            Service(Faults {
                error_rate: rng.random_range(0.1..1.0),
                ..Faults::NONE
            }),
        ),
        12 => (
            "hangs",
            Service(Faults {
                hang_rate: rng.random_range(0.1..1.0),
                ..Faults::NONE
            }),
        ),
        13 => (
            "malformed",
            Service(Faults {
                malformed_rate: rng.random_range(0.1..1.0),
                ..Faults::NONE
            }),
        ),
        14 => (
            "truncated",
            Service(Faults {
                truncate_rate: rng.random_range(0.1..1.0),
                ..Faults::NONE
            }),
        ),
        _ => (
            "slow",
            Service(Faults {
                latency_ms: rng.random_range(50..800),
                ..Faults::NONE
            }),
        ),
    }
}
