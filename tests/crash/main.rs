//! `crash`: the gateway under a load of queued mutations, killed at random moments and started
//! again. At the end what it has acknowledged is compared with what arrived: nothing lost, nothing
//! invented, the order of each key kept, and whatever came twice came under one idempotency key.
//! Sees the gateway only from outside.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program prints"
)]

#[path = "../queue/brokers/mod.rs"]
#[allow(dead_code, reason = "the tests of the stores use more of it")]
mod brokers;
mod clients;
mod gateway;
mod ledger;
mod store;
mod target;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::clients::Clients;
use crate::gateway::Gateway;
use crate::ledger::Ledger;
use crate::store::Kind;
use crate::store::Store;
use crate::target::Target;
use crate::verdict::Verdict;

/// Of the times that the gateway is killed, its broker is at each of so many.
const BROKER_DIES: usize = 5;

/// Kill the gateway under load, and compare what it acknowledged with what arrived.
#[derive(Parser)]
#[command(name = "crash")]
struct Arguments {
    /// How often the process is killed
    #[arg(long, default_value_t = 1_000)]
    kills: usize,
    /// Where messages wait; a broker is killed as well, at every fifth time
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    store: Kind,
    /// The same seed makes the same moments; printed where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// The gateway to run
    #[arg(long, default_value = "target/release/switchboard")]
    gateway: PathBuf,
    /// Clients at a time
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Keys in whose order messages are delivered
    #[arg(long, default_value_t = 200)]
    keys: u32,
    /// The longest that a process lives, in milliseconds; 400, or 20000 on a broker, where the next one takes over after eight seconds
    #[arg(long)]
    life: Option<u64>,
    /// How long the rest may take to arrive when nobody is killed any more, in seconds
    #[arg(long, default_value_t = 300)]
    drain: u64,
}

fn main() -> ExitCode {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&Arguments::parse())));
    match ran {
        Ok(verdict) => {
            print!("{verdict}");
            ExitCode::from(u8::from(!verdict.is_good()))
        }
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let ledger = Arc::new(Ledger::default());
    let target = Target::start(ledger.clone(), seed).await?;
    let mut store = Store::start(arguments.store).await;
    let mut gateway = Gateway::new(&arguments.gateway, &target.url(), &store.settings())?;
    gateway.start().await?;
    let clients = Clients::start(
        gateway.url(),
        ledger.clone(),
        arguments.clients,
        arguments.keys,
    );
    let longest = arguments.life.unwrap_or(arguments.store.life());
    for kill in 1..=arguments.kills {
        let life = chance.random_range(0..=longest);
        tokio::time::sleep(Duration::from_millis(life)).await;
        if kill % BROKER_DIES == 0 {
            store.die_and_return().await;
        }
        gateway.kill().await?;
        gateway.start().await.context("after a kill")?;
    }
    clients.stop().await;
    target.behave();
    let waited = Instant::now();
    let limit = Duration::from_secs(arguments.drain);
    while !ledger.all_arrived() && waited.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gateway.end().await?;
    Ok(Verdict::of(&ledger, arguments.kills))
}
