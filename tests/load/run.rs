//! `bench run`: for each row the floor program, the gateway and, where it is given, Tailcall, each
//! in its own fresh process, loaded in turn by the same generator, round after round.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Uri;
use serde_json::Value;

use crate::generator::{self, Load, Operation, Outcome};
use crate::hostile;
use crate::process::{self, Program};
use crate::report::{Measured, RowReport};
use crate::rows::{Row, RowName};
use crate::shop;

/// Long enough for connections, pools and plan caches to fill.
const WARM_UP: Duration = Duration::from_millis(1500);

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Rows to run, separated by commas [default: all but shop]
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = RowName::AGAINST_THE_FLOOR, hide_default_value = true)]
    rows: Vec<RowName>,
    /// The gateway to measure
    #[arg(long, default_value = "target/dist/switchboard")]
    gateway: PathBuf,
    /// Tailcall's executable, to measure it in the same run
    #[arg(long)]
    tailcall: Option<PathBuf>,
    /// The example services that the row `shop` needs
    #[arg(long, default_value = "target/dist/switchboard-subgraphs")]
    subgraphs: PathBuf,
    /// The example's configuration that the row `shop` loads
    #[arg(long, default_value = "schema/switchboard.yaml")]
    shop_config: PathBuf,
    /// Where the benchmark's configuration files are
    #[arg(long, default_value = "tests/load")]
    config_dir: PathBuf,
    /// Where logs and generated configuration go
    #[arg(long, default_value = "target/bench")]
    work_dir: PathBuf,
    /// Seconds of load on each program and row, spread over the rounds
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Seconds of load on the example shop
    #[arg(long, default_value_t = 30.0)]
    shop_seconds: f64,
    /// Rounds: in each, every program is loaded once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Also write the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Prints each row as soon as it is measured.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let upstream = Upstream::start(args)?;
    let mut report = Vec::new();
    for name in &args.rows {
        let row = match (name, name.row()) {
            (_, Some(row)) => serde_json::to_value(against_the_floor(args, &upstream, &row)?)?,
            (RowName::Hostile, None) => serde_json::to_value(hostile(args, &upstream)?)?,
            (_, None) => serde_json::to_value(shop(args)?)?,
        };
        report.push(row);
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

fn shop(args: &RunArgs) -> anyhow::Result<shop::ShopReport> {
    let report = shop::run(&shop::Shop {
        gateway: &args.gateway,
        subgraphs: &args.subgraphs,
        config: &args.shop_config,
        logs: &args.work_dir,
        connections: args.connections.into(),
        duration: Duration::from_secs_f64(args.shop_seconds),
    })?;
    println!("{report}");
    Ok(report)
}

/// The gateway as the other rows load it: nothing shared, so that each request is work.
fn hostile(args: &RunArgs, upstream: &Upstream) -> anyhow::Result<hostile::HostileReport> {
    let gateway = started(args, upstream, "bench.yaml")?;
    let report = hostile::run(&hostile::Attack {
        url: gateway.address("graphql")?,
        gateway: &gateway,
        duration: Duration::from_secs_f64(args.seconds),
    })?;
    println!("{report}");
    Ok(report)
}

fn against_the_floor(args: &RunArgs, upstream: &Upstream, row: &Row) -> anyhow::Result<RowReport> {
    let subjects = subjects(args, upstream, row)?;
    let answers = subjects.iter().map(|subject| subject.answer(row.query));
    let answers = answers.collect::<anyhow::Result<Vec<_>>>()?;
    for subject in &subjects {
        subject.load(args, row, WARM_UP)?;
    }
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let measure = |subject| measure(args, upstream, row, subject);
        rounds.push(
            subjects
                .iter()
                .map(measure)
                .collect::<anyhow::Result<Vec<_>>>()?,
        );
    }
    let measured = subjects.iter().enumerate().map(|(index, subject)| {
        let with_floor: Vec<_> = rounds
            .iter()
            .map(|round| (&round[index], &round[0]))
            .collect();
        let same_answer = answers[index] == answers[0];
        Ok(Measured::new(
            subject.name,
            &with_floor,
            same_answer,
            subject.program.memory()?,
        ))
    });
    let report = RowReport::new(row, measured.collect::<anyhow::Result<_>>()?);
    println!("{report}");
    Ok(report)
}

/// One round of one program.
pub(crate) struct Round {
    pub(crate) outcome: Outcome,
    pub(crate) cpu_micros: u64,
    pub(crate) upstream_calls: u64,
}

impl Round {
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu_micros as f64 / self.outcome.requests.max(1) as f64
    }
}

fn measure(
    args: &RunArgs,
    upstream: &Upstream,
    row: &Row,
    subject: &Subject,
) -> anyhow::Result<Round> {
    upstream.reset()?;
    let before = subject.program.cpu_micros()?;
    let duration = Duration::from_secs_f64(args.seconds / f64::from(args.rounds));
    let outcome = subject.load(args, row, duration)?;
    let cpu_micros = subject.program.cpu_micros()? - before;
    Ok(Round {
        outcome,
        cpu_micros,
        upstream_calls: upstream.calls()?,
    })
}

/// A program under test. The first of a row is the floor.
struct Subject {
    name: &'static str,
    url: Uri,
    program: Program,
}

impl Subject {
    fn load(&self, args: &RunArgs, row: &Row, duration: Duration) -> anyhow::Result<Outcome> {
        generator::run(&Load {
            url: self.url.clone(),
            operations: vec![Operation::new(row.query)],
            headers: Vec::new(),
            vary: row.vary.then_some(u64::MAX),
            connections: args.connections.into(),
            threads: 1,
            duration,
        })
    }

    fn answer(&self, query: &str) -> anyhow::Result<Value> {
        let body = generator::fetch(&self.url, Some(&Operation::new(query)))?;
        let text = String::from_utf8_lossy(&body);
        serde_json::from_str(&text).with_context(|| format!("{} answered {text}", self.name))
    }
}

fn subjects(args: &RunArgs, upstream: &Upstream, row: &Row) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = vec![floor(args, upstream)?, gateway(args, upstream, row)?];
    if let Some(executable) = &args.tailcall {
        subjects.push(tailcall(args, executable, upstream, row)?);
    }
    Ok(subjects)
}

fn floor(args: &RunArgs, upstream: &Upstream) -> anyhow::Result<Subject> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--upstream", upstream.authority()?]);
    let program = Program::start("floor", &mut command, &args.work_dir)?;
    Ok(Subject {
        name: "floor",
        url: program.address("graphql")?,
        program,
    })
}

fn gateway(args: &RunArgs, upstream: &Upstream, row: &Row) -> anyhow::Result<Subject> {
    let program = started(args, upstream, row.config)?;
    Ok(Subject {
        name: "switchboard",
        url: program.address("graphql")?,
        program,
    })
}

fn started(args: &RunArgs, upstream: &Upstream, config: &str) -> anyhow::Result<Program> {
    let mut command = Command::new(&args.gateway);
    command
        .args(["serve", "--config"])
        .arg(args.config_dir.join(config));
    let address = format!("http://{}", upstream.authority()?);
    command
        .env("BENCH_URL", &address)
        .env("BENCH_GRPC_URL", &address);
    Program::start("switchboard", &mut command, &args.work_dir)
}

/// Tailcall reads no addresses from the environment where it needs them, so its file is filled in.
fn tailcall(
    args: &RunArgs,
    executable: &Path,
    upstream: &Upstream,
    row: &Row,
) -> anyhow::Result<Subject> {
    let address = process::free_address()?;
    let template = fs::read_to_string(args.config_dir.join("tailcall").join(&row.tailcall))?;
    let config = template
        .replace("BENCH_URL", &format!("http://{}", upstream.authority()?))
        .replace("BENCH_PORT", &address.port().to_string());
    fs::create_dir_all(&args.work_dir)?;
    fs::copy(
        args.config_dir.join("bench.proto"),
        args.work_dir.join("bench.proto"),
    )?;
    let path = args.work_dir.join("tailcall.graphql");
    fs::write(&path, config)?;
    let mut command = Command::new(executable);
    command
        .arg("start")
        .arg(path)
        .env("TAILCALL_TRACKER", "false")
        .env("TAILCALL_LOG_LEVEL", "error");
    let program = Program::start("tailcall", &mut command, &args.work_dir)?;
    program.accepts(address)?;
    Ok(Subject {
        name: "tailcall",
        url: url(address)?,
        program,
    })
}

fn url(address: SocketAddr) -> anyhow::Result<Uri> {
    Ok(format!("http://{address}/graphql").parse()?)
}

/// The mock upstream of every row against the floor.
struct Upstream {
    url: Uri,
    _program: Program,
}

impl Upstream {
    fn start(args: &RunArgs) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let program = Program::start("upstream", command.arg("upstream"), &args.work_dir)?;
        Ok(Self {
            url: program.address("upstream")?,
            _program: program,
        })
    }

    fn authority(&self) -> anyhow::Result<&str> {
        Ok(self
            .url
            .authority()
            .context("the upstream printed no address")?
            .as_str())
    }

    fn reset(&self) -> anyhow::Result<()> {
        self.requests("/__reset").map(drop)
    }

    fn calls(&self) -> anyhow::Result<u64> {
        self.requests("/__stats")
    }

    fn requests(&self, path: &str) -> anyhow::Result<u64> {
        requests(&format!("http://{}{path}", self.authority()?).parse()?)
    }
}

/// What a service's counter says.
pub(crate) fn requests(stats: &Uri) -> anyhow::Result<u64> {
    let body: Value = serde_json::from_slice(&generator::fetch(stats, None)?)?;
    body["requests"]
        .as_u64()
        .with_context(|| format!("{stats} answered {body}"))
}
