//! The command line of the example services. Everything else is in the library.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use futures_util::future::join_all;
use switchboard_subgraphs::{Faults, Running, Service, probe};
use tokio::net::TcpListener;

/// The example shop's services: users, reviews, orders and notifications over REST, products and inventory over gRPC.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Customers, over REST (port 4101)
    Users(Alone),
    /// The catalogue, over gRPC (port 50051)
    Products(Alone),
    /// The warehouses, over gRPC (port 50052)
    Inventory(Alone),
    /// Reviews, over REST (port 4102)
    Reviews(Alone),
    /// Orders, over REST (port 4103)
    Orders(Alone),
    /// What customers are told, over REST (port 4104)
    Notifications(Alone),
    /// All six in one process
    All(Together),
    /// Exit 0 when a GET of an http:// URL answers 2xx: a health check for images without a shell
    Probe {
        /// For example http://127.0.0.1:4101/__stats
        url: String,
    },
}

#[derive(Args)]
struct Alone {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1 and the service's own port]
    #[arg(long)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    manners: Manners,
}

#[derive(Args)]
struct Together {
    /// Take free ports instead of the default ones
    #[arg(long)]
    ephemeral: bool,
    #[command(flatten)]
    manners: Manners,
}

#[derive(Args)]
struct Manners {
    /// How to misbehave, for example latency=200ms,error_rate=0.1,hang=0.01,malformed=0.05,truncate=0.01
    #[arg(long, default_value = "")]
    faults: Faults,
    /// Log every request, with its X-Correlation-ID, to standard error
    #[arg(long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Users(alone) => run_one(Service::Users, alone).await,
        Command::Products(alone) => run_one(Service::Products, alone).await,
        Command::Inventory(alone) => run_one(Service::Inventory, alone).await,
        Command::Reviews(alone) => run_one(Service::Reviews, alone).await,
        Command::Orders(alone) => run_one(Service::Orders, alone).await,
        Command::Notifications(alone) => run_one(Service::Notifications, alone).await,
        Command::All(together) => run_all(together).await,
        Command::Probe { url } => probe::get(&url, Duration::from_secs(3)).await,
    }
}

async fn run_one(service: Service, alone: Alone) -> anyhow::Result<()> {
    let address = alone
        .listen
        .unwrap_or_else(|| local(service.default_port()));
    run(vec![(service, address)], alone.manners).await
}

async fn run_all(together: Together) -> anyhow::Result<()> {
    let port = |service: Service| {
        if together.ephemeral {
            0
        } else {
            service.default_port()
        }
    };
    let addresses = Service::ALL.map(|service| (service, local(port(service))));
    run(addresses.to_vec(), together.manners).await
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn run(services: Vec<(Service, SocketAddr)>, manners: Manners) -> anyhow::Result<()> {
    if manners.verbose {
        tracing_subscriber::fmt().with_writer(io::stderr).init();
    }
    let stop = stop_signal()?;
    let mut running = Vec::new();
    for (service, address) in services {
        running.push(start(service, address, manners.faults).await?);
    }
    stop.await;
    join_all(running.into_iter().map(Running::stop)).await;
    Ok(())
}

async fn start(service: Service, address: SocketAddr, faults: Faults) -> anyhow::Result<Running> {
    let name = service.name();
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{name} cannot listen on {address}"))?;
    let running = service.serve(listener, faults)?;
    announce(&running);
    Ok(running)
}

#[expect(
    clippy::print_stdout,
    reason = "the line is the program's output: callers read the address from it"
)]
fn announce(running: &Running) {
    println!("{} {}", running.name(), running.url());
}

/// Registers for the signals at once, so that one which arrives while services start is not lost.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // A machine that cannot listen for Ctrl-C runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
