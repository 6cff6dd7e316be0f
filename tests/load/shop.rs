//! The example shop under load: its five services and the gateway as an operator starts them, a mix
//! of operations over all its rows. What counts is that nothing fails, that memory stays flat and
//! that the upstream calls are those of the plan.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use http::Uri;
use serde::Serialize;
use serde_json::Value;

use crate::generator::{self, Load, Operation, Outcome};
use crate::process::Program;
use crate::run;

/// Each service's name, and the variable that tells the gateway its address.
const SERVICES: [(&str, &str); 6] = [
    ("users", "USERS_URL"),
    ("reviews", "REVIEWS_URL"),
    ("orders", "ORDERS_URL"),
    ("notifications", "NOTIFICATIONS_URL"),
    ("products", "PRODUCTS_URL"),
    ("inventory", "INVENTORY_URL"),
];
/// Products, users and orders have the ids 1 to this.
const ROWS: u64 = 10_000;
/// When the first of the two memory figures is read: pools and caches have filled by then.
const SETTLED: Duration = Duration::from_secs(5);
/// Memory that grows by more than this between the two figures is not flat.
const FLAT: f64 = 1.1;

/// What is loaded, its variables, and how many upstream calls one request takes.
const OPERATIONS: [(&str, Option<&str>, u64); 6] = [
    (
        "{ products(limit: 20) { name price stock: inventory { available } reviews { rating comment user { name } } } }",
        None,
        4,
    ),
    (
        "query ($id: ID!) { product(id: $id) { name price inventory { quantity warehouse } reviews(first: 5) { rating user { name } } } }",
        Some("{\"id\":\"{n}\"}"),
        4,
    ),
    (
        "query ($id: ID!) { user(id: $id) { name email orders(first: 5) { id status total } reviews(first: 5) { rating comment } } }",
        Some("{\"id\":\"{n}\"}"),
        3,
    ),
    (
        "query ($id: ID!) { order(id: $id) { status total payment { amount ... on CardPayment { brand } } user { name } items { quantity product { name price } } } }",
        Some("{\"id\":\"{n}\"}"),
        3,
    ),
    (
        "query ($offset: Int!) { users(limit: 20, offset: $offset) { id name createdAt } }",
        Some("{\"offset\":{n}}"),
        1,
    ),
    (
        "{ orders(first: 20) { totalCount nodes { id total user { name } } } }",
        None,
        2,
    ),
];

/// What to start, and how hard to load it.
pub(crate) struct Shop<'a> {
    pub(crate) gateway: &'a Path,
    pub(crate) subgraphs: &'a Path,
    pub(crate) config: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
}

/// Starts the shop, asks each operation once, then loads it with all of them.
pub(crate) fn run(shop: &Shop<'_>) -> anyhow::Result<ShopReport> {
    let mut command = Command::new(shop.subgraphs);
    let program = Program::start("subgraphs", command.args(["all", "--ephemeral"]), shop.logs)?;
    let services = Services::of(&program)?;
    let gateway = gateway(shop, &services)?;
    let url = gateway.address("graphql")?;
    let operations = each_alone(&url, &services)?;
    under_load(shop, &services, &gateway, &url, operations)
}

fn gateway(shop: &Shop<'_>, services: &Services) -> anyhow::Result<Program> {
    let mut command = Command::new(shop.gateway);
    command.args(["serve", "--config"]).arg(shop.config);
    command
        .env("SWITCHBOARD_LISTEN", "127.0.0.1:0")
        .env("SWITCHBOARD_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SWITCHBOARD_QUEUE", queue_of_this_run());
    command.envs(services.environment());
    Program::start("switchboard-shop", &mut command, shop.logs)
}

/// With one request at a time nothing is shared, so that the calls are the plan's.
fn each_alone(url: &Uri, services: &Services) -> anyhow::Result<Vec<OperationReport>> {
    let ask = |&(query, variables, planned): &(&'static str, Option<&str>, u64)| {
        let before = services.calls()?;
        let answer = generator::fetch(url, Some(&operation(query, variables).numbered(1)))?;
        let answer: Value =
            serde_json::from_slice(&answer).context("an answer that is not JSON")?;
        let errors = answer.get("errors").map(Value::to_string);
        Ok(OperationReport {
            query,
            planned_calls: planned,
            calls: services.calls()? - before,
            errors,
        })
    };
    OPERATIONS.iter().map(ask).collect()
}

fn under_load(
    shop: &Shop<'_>,
    services: &Services,
    gateway: &Program,
    url: &Uri,
    operations: Vec<OperationReport>,
) -> anyhow::Result<ShopReport> {
    let settling = SETTLED.min(shop.duration / 2);
    let (calls, cpu) = (services.calls()?, gateway.cpu_micros()?);
    let first = load(shop, url, settling)?;
    let settled = gateway.memory()?;
    let second = load(shop, url, shop.duration.saturating_sub(settling))?;
    let requests = first.requests + second.requests;
    let each = |count: u64| count as f64 / requests.max(1) as f64;
    Ok(ShopReport {
        row: "shop",
        operations,
        requests,
        errors: first.errors + second.errors,
        requests_per_second: second.per_second(),
        p50_ms: second.latency(0.50),
        p99_ms: second.latency(0.99),
        cpu_micros_per_request: each(gateway.cpu_micros()? - cpu),
        upstream_calls_per_request: each(services.calls()? - calls),
        settled_memory_kib: settled.now,
        end_memory_kib: gateway.memory()?.now,
        peak_memory_kib: gateway.memory()?.peak,
        example_error: first.example.or(second.example),
    })
}

fn load(shop: &Shop<'_>, url: &Uri, duration: Duration) -> anyhow::Result<Outcome> {
    let operations = OPERATIONS
        .iter()
        .map(|&(query, variables, _)| operation(query, variables));
    generator::run(&Load {
        url: url.clone(),
        operations: operations.collect(),
        headers: Vec::new(),
        vary: Some(ROWS),
        connections: shop.connections,
        threads: 1,
        duration,
    })
}

/// Nobody else's: one process has it at a time.
fn queue_of_this_run() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("switchboard-bench-{}", std::process::id()))
}

fn operation(query: &str, variables: Option<&str>) -> Operation {
    Operation::new(query).with_variables(variables.map(str::to_owned))
}

/// The addresses of the example's services.
struct Services(Vec<(&'static str, Uri)>);

impl Services {
    fn of(program: &Program) -> anyhow::Result<Self> {
        let address = |(name, variable)| Ok((variable, program.address(name)?));
        SERVICES
            .into_iter()
            .map(address)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Without the slash that a URL's empty path is written as.
    fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0
            .iter()
            .map(|(variable, url)| (*variable, url.to_string().trim_end_matches('/').to_owned()))
    }

    /// Of all services together, since their start.
    fn calls(&self) -> anyhow::Result<u64> {
        let calls = |(_, url): (_, String)| run::requests(&format!("{url}/__stats").parse()?);
        self.environment().map(calls).sum()
    }
}

/// One operation, asked once.
#[derive(Serialize)]
struct OperationReport {
    query: &'static str,
    planned_calls: u64,
    calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
}

/// What the shop did.
#[derive(Serialize)]
pub(crate) struct ShopReport {
    row: &'static str,
    operations: Vec<OperationReport>,
    requests: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    example_error: Option<String>,
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_micros_per_request: f64,
    upstream_calls_per_request: f64,
    settled_memory_kib: u64,
    end_memory_kib: u64,
    peak_memory_kib: u64,
}

impl ShopReport {
    fn is_flat(&self) -> bool {
        self.end_memory_kib as f64 <= FLAT * self.settled_memory_kib as f64
    }
}

impl fmt::Display for ShopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "shop: the example under load, {ROWS} rows a table")?;
        for operation in &self.operations {
            writeln!(f, "  {}", operation.query)?;
            let verdict =
                verdict(operation.calls == operation.planned_calls && operation.errors.is_none());
            writeln!(
                f,
                "    alone: {} upstream calls, planned {}: {verdict}",
                operation.calls, operation.planned_calls
            )?;
            if let Some(errors) = &operation.errors {
                writeln!(f, "    ! {errors}")?;
            }
        }
        let mib = |kib: u64| kib as f64 / 1024.0;
        writeln!(
            f,
            "  requests    {} ({:.0}/s)",
            self.requests, self.requests_per_second
        )?;
        writeln!(
            f,
            "  latency     p50 {:.2} ms, p99 {:.2} ms",
            self.p50_ms, self.p99_ms
        )?;
        writeln!(
            f,
            "  CPU         {:.1} µs per request",
            self.cpu_micros_per_request
        )?;
        writeln!(
            f,
            "  upstream    {:.3} calls per request",
            self.upstream_calls_per_request
        )?;
        write!(
            f,
            "  memory      {:.1} MiB at {} s, ",
            mib(self.settled_memory_kib),
            SETTLED.as_secs()
        )?;
        write!(
            f,
            "{:.1} MiB at the end, {:.1} MiB peak: ",
            mib(self.end_memory_kib),
            mib(self.peak_memory_kib)
        )?;
        writeln!(
            f,
            "{}",
            if self.is_flat() {
                "ok, flat"
            } else {
                "missed, it grows"
            }
        )?;
        writeln!(
            f,
            "  errors      {}: {}",
            self.errors,
            verdict(self.errors == 0)
        )?;
        match &self.example_error {
            Some(example) => writeln!(f, "  ! such as {example}"),
            None => Ok(()),
        }
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "ok" } else { "missed" }
}
