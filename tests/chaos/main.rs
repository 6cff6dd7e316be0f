//! `chaos`: the gateway over the example shop while its services fall, one after the other and
//! together, under load. Every answer is compared with the one that a healthy shop gives: what
//! differs without an error is wrong. Sees the gateway only from outside.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program prints"
)]

mod gateway;
mod judge;
mod load;
mod report;
mod schedule;
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::load::Load;
use crate::report::Report;
use crate::schedule::Schedule;
use crate::shop::Shop;

/// Run the gateway over services that fall, and check every answer.
#[derive(Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// The same seed makes the same faults; printed where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// The gateway to run
    #[arg(long, default_value = "target/release/switchboard")]
    gateway: PathBuf,
    /// Its configuration
    #[arg(long, default_value = "tests/chaos/switchboard.yaml")]
    config: PathBuf,
    /// Clients at a time
    #[arg(long, default_value_t = 16)]
    clients: usize,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&Arguments::parse())));
    match ran {
        Ok(report) => {
            print!("{report}");
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<Report> {
    // Fails where one is installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let shop = Shop::open().await?;
    let gateway = Gateway::start(&arguments.gateway, &arguments.config, &shop).await?;
    let load = Load::healthy(&gateway, &shop, seed).await?;
    let end = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    let schedule = Schedule::new(seed);
    let (answers, faults) =
        tokio::join!(load.run(arguments.clients, end), schedule.run(&shop, end));
    shop.heal().await;
    Report::of(&load, answers, faults, &gateway, &shop).await
}
