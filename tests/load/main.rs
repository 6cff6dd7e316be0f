//! The load test and benchmark: a mock upstream, the floor program, a load generator for any GraphQL
//! server, and the run that sets a gateway against the floor. Depends on no crate of the gateway: it
//! sees only what a client sees. See README.md beside this file.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program prints"
)]

mod data;
mod floor;
mod generator;
mod grpc;
mod hostile;
mod pool;
mod process;
mod report;
mod rows;
mod run;
mod shop;
mod upstream;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use http::Uri;

use crate::generator::{Header, Load, Operation, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load test and benchmark of GraphQL gateways.
#[derive(Parser)]
#[command(name = "bench")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the mock upstream (REST and gRPC on one port)
    Upstream {
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Serve the floor: the least program that answers the benchmark's operations
    Floor {
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Address of the mock upstream
        #[arg(long)]
        upstream: SocketAddr,
    },
    /// Load any GraphQL server and print what came back
    Load(LoadArgs),
    /// Measure a gateway against the floor, row by row
    Run(run::RunArgs),
}

#[derive(Args)]
struct LoadArgs {
    /// An http:// address, such as http://127.0.0.1:4000/graphql
    #[arg(long)]
    url: Uri,
    /// The operation; several are sent in turn
    #[arg(long, required = true)]
    query: Vec<String>,
    /// A JSON object, sent with every operation
    #[arg(long)]
    variables: Option<String>,
    /// A header, such as "authorization: Bearer abc"
    #[arg(long = "header", value_parser = header)]
    headers: Vec<Header>,
    /// Make requests differ: {n} in query, variables or headers counts 1, 2, … (to COUNT and again
    /// from 1); without any {n}, each request gets an authorization header of its own
    #[arg(long, value_name = "COUNT", num_args = 0..=1, require_equals = true, default_missing_value = "18446744073709551615", value_parser = clap::value_parser!(u64).range(1..))]
    vary: Option<u64>,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Threads of the generator; one can send some 50,000 requests per second
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Upstream { listen } => serve(upstream::serve(listen)),
        Command::Floor { listen, upstream } => serve(floor::serve(listen, upstream)),
        Command::Load(args) => load(args),
        Command::Run(args) => run::run(&args),
    };
    let failed = done
        .inspect_err(|error| eprintln!("bench: {error:#}"))
        .is_err();
    ExitCode::from(u8::from(failed))
}

fn serve(server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(server)
}

fn load(args: LoadArgs) -> anyhow::Result<()> {
    let operation = |query| Operation::new(query).with_variables(args.variables.clone());
    let outcome = generator::run(&Load {
        url: args.url,
        operations: args.query.into_iter().map(operation).collect(),
        headers: args.headers,
        vary: args.vary,
        connections: args.connections.into(),
        threads: args.threads.into(),
        duration: Duration::from_secs_f64(args.seconds),
    })?;
    print(&outcome);
    Ok(())
}

fn print(outcome: &Outcome) {
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| outcome.latency(share));
    println!(
        "requests   {} in {:.1} s",
        outcome.requests,
        outcome.elapsed.as_secs_f64()
    );
    println!("per second {:.0}", outcome.per_second());
    println!("latency    p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
    println!(
        "bytes      {} ({:.1} MB/s)",
        outcome.bytes,
        outcome.bytes as f64 / 1e6 / outcome.elapsed.as_secs_f64()
    );
    println!("errors     {}", outcome.errors);
    if let Some(example) = &outcome.example {
        println!("           such as {example}");
    }
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{name}` is no header name"))?;
    Ok((name, value.trim().to_owned()))
}
