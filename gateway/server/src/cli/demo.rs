//! `switchboard demo`: the example services and the gateway over them, with one command.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use anyhow::anyhow;
use clap::Args;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::Command;

use super::ConfigFile;
use super::Failure;
use super::ServeOptions;
use super::runtime;
use super::serve::Running;
use crate::config::Environment;
use crate::graph::reload::Origin;
use crate::observe::log;

const SERVICES: [&str; 6] = [
    "users",
    "products",
    "inventory",
    "reviews",
    "orders",
    "notifications",
];

const QUERIES: [(&str, &str); 4] = [
    (
        "Four services, four calls, one round trip",
        "{ products(limit: 20) { name price stock: inventory { available } reviews { rating comment user { name } } } }",
    ),
    (
        "A user, the user's orders, and what was in them",
        "{ user(id: \"1\") { name orders(first: 3) { status total items { quantity product { name } } } } }",
    ),
    (
        "Pages of orders, as a connection over numbered pages",
        "{ orders(first: 5, status: PAID) { totalCount nodes { id total user { name } payment { __typename amount } } pageInfo { hasNextPage endCursor } } }",
    ),
    (
        "A call that is durable before it is answered, and delivered whenever its service is there",
        "mutation { requestReceipt(orderId: 1, email: \"ada@example.com\") { id status duplicate } }",
    ),
];

#[derive(Args, Clone)]
pub(super) struct DemoOptions {
    /// The configuration of the example shop
    #[arg(long, default_value = "schema/switchboard.yaml")]
    config: PathBuf,
    /// Where clients connect, instead of `listen`; port 0 takes a free one
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// Where operators connect, instead of `admin.listen`
    #[arg(long)]
    admin_listen: Option<std::net::SocketAddr>,
}

pub(super) fn run(options: DemoOptions) -> Result<(), Failure> {
    runtime()?.block_on(async {
        // Ends with this value, however the command ends.
        let mut services = start_services()?;
        let addresses = addresses(&mut services).await?;
        let origin = origin(&options, &addresses);
        let config = origin.read()?;
        log::start(&config.log)?;
        let running = Running::start(origin, config).await?;
        introduce(&addresses, &running.address());
        running.until_stopped().await?;
        stop(services).await?;
        Ok(())
    })
}

/// The binary beside this one, on free ports.
fn start_services() -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("this program's own path is unknown")?;
    let name = format!("switchboard-subgraphs{}", std::env::consts::EXE_SUFFIX);
    let binary = own.parent().unwrap_or(Path::new("")).join(name);
    let child = Command::new(&binary)
        .args(["all", "--ephemeral"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    child.with_context(|| {
        format!(
            "{} cannot be started: build it with `cargo build --release -p switchboard-subgraphs`",
            binary.display()
        )
    })
}

/// Each service's name and address, from the lines that the services print.
async fn addresses(services: &mut Child) -> anyhow::Result<Vec<(String, String)>> {
    let output = services.stdout.take().context("standard output is piped")?;
    let mut lines = BufReader::new(output).lines();
    let mut found = Vec::new();
    while found.len() < SERVICES.len() {
        let line = lines.next_line().await?;
        let line = line.ok_or_else(|| anyhow!("the example services ended before they were up"))?;
        if let Some((name, url)) = line.split_once(' ')
            && SERVICES.contains(&name)
        {
            found.push((name.to_owned(), url.to_owned()));
        }
    }
    Ok(found)
}

/// The example's configuration, with the addresses in the variables that it reads.
fn origin(options: &DemoOptions, addresses: &[(String, String)]) -> Origin {
    let serve = ServeOptions {
        file: ConfigFile {
            config: options.config.clone(),
        },
        dev: true,
        listen: options.listen,
        admin_listen: options.admin_listen,
    };
    let variables = addresses
        .iter()
        .map(|(name, url)| (format!("{}_URL", name.to_uppercase()), url.clone()));
    Origin {
        environment: Environment::of_process().with(variables),
        ..serve.file.origin(serve.adjust())
    }
}

fn introduce(services: &[(String, String)], gateway: &str) {
    println!("The example shop is up. Stop it with Ctrl-C.\n");
    println!("  playground  {gateway}/playground");
    println!("  graphql     {gateway}/graphql");
    for (name, url) in services {
        println!("  {name:<11} {url}");
    }
    println!("\nThree queries to try, in the playground or with curl:");
    for (what, query) in QUERIES {
        let body = serde_json::json!({ "query": query }).to_string();
        println!("\n# {what}");
        println!("curl -s {gateway}/graphql -H 'content-type: application/json' -d '{body}'");
    }
}

/// Asks the services to end, and waits until they have.
async fn stop(mut services: Child) -> anyhow::Result<()> {
    services
        .kill()
        .await
        .context("the example services could not be stopped")
}
