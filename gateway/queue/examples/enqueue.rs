//! What the embedded store costs above redb itself, and what a backlog costs: `make bench`.
//!
//! `enqueue [DIRECTORY] [BACKLOG]`: 64 clients append messages, each waiting for its answer, for some
//! seconds; beside it 64 clients insert the same bytes into a redb table through the least group commit
//! there is, in turns, so that what else the machine does meets both. Then a process fills a store and
//! dies, and another opens what it left.

#![allow(clippy::print_stdout, reason = "a command line program prints")]

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redb::TableDefinition;
use switchboard_queue::Embedded;
use switchboard_queue::Message;
use switchboard_queue::Store;
use switchboard_queue::message::Body;
use switchboard_queue::message::Call;
use switchboard_queue::message::Retry;
use switchboard_queue::seal::Seal;
use switchboard_queue::store::Limits;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const RAW: TableDefinition<u128, &[u8]> = TableDefinition::new("raw");

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or("target/bench/queue".into());
    let directory = PathBuf::from(directory);
    let backlog = arguments.next().map_or(Ok(1_000_000), |it| it.parse())?;
    if let Some("fill") = arguments.next().as_deref() {
        return fill(&directory, backlog).await;
    }
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    compare(&directory).await?;
    let started = Instant::now();
    let backlog = backlog.to_string();
    let filled = Command::new(std::env::current_exe()?)
        .arg(directory.join("backlog"))
        .args([&*backlog, "fill"])
        .status()?;
    println!(
        "filled by a process that died ({filled}) in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    open(&directory.join("backlog")).await
}

async fn compare(directory: &Path) -> Result<(), Failure> {
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let directory = directory.join(round.to_string());
        std::fs::create_dir_all(&directory)?;
        raw.push(raw_round(&directory).await?);
        ours.push(our_round(&directory).await?);
    }
    let ratios = raw
        .iter()
        .zip(&ours)
        .map(|(raw, ours)| ours.rate / raw.rate);
    let ratio = median(ratios.collect());
    println!(
        "| enqueue with fsync, 64 clients | per second | p50 ms | p99 ms |\n| --- | --- | --- | --- |"
    );
    for (name, rounds) in [("raw redb group commit", &raw), ("embedded store", &ours)] {
        let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let (rate, p50, p99) = (of(|it| it.rate), of(|it| it.p50), of(|it| it.p99));
        println!("| {name} | {rate:.0} | {p50:.2} | {p99:.2} |");
    }
    println!(
        "ratio {:.0} % (target 60 %, 5,000 per second, p99 20 ms)",
        ratio * 100.0
    );
    Ok(())
}

struct Round {
    rate: f64,
    p50: f64,
    p99: f64,
}

impl Round {
    async fn of(mut clients: JoinSet<Vec<Duration>>, started: Instant) -> Self {
        let mut times = Vec::new();
        while let Some(done) = clients.join_next().await {
            times.extend(done.unwrap_or_default());
        }
        let elapsed = started.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times.get(index).map_or(0.0, |it| it.as_secs_f64() * 1e3)
        };
        Self {
            rate: times.len() as f64 / elapsed,
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

async fn our_round(directory: &Path) -> Result<Round, Failure> {
    let path = directory.join("store");
    let store = Embedded::open(&path, Limits::default(), Seal::none())?;
    let store = Arc::new(store);
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < ROUND {
                let before = Instant::now();
                let answer = store.append(vec![message()]).await;
                assert!(answer.iter().all(Result::is_ok), "{answer:?}");
                times.push(before.elapsed());
            }
            times
        });
    }
    let round = Round::of(clients, started).await;
    store.close().await;
    Ok(round)
}

type Insert = (u128, Vec<u8>, oneshot::Sender<()>);

async fn raw_round(directory: &Path) -> Result<Round, Failure> {
    let mut builder = redb::Builder::new();
    let database = builder
        .set_cache_size(16 << 20)
        .create(directory.join("raw.redb"))?;
    let (jobs, waiting) = mpsc::channel::<Insert>(1_024);
    let writer = std::thread::spawn(move || write_raw(&database, waiting));
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let jobs = jobs.clone();
        clients.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < ROUND {
                let before = Instant::now();
                let message = message();
                let (answer, answered) = oneshot::channel();
                let insert = (message.id.as_u128(), message.encode(), answer);
                if jobs.send(insert).await.is_err() || answered.await.is_err() {
                    break;
                }
                times.push(before.elapsed());
            }
            times
        });
    }
    drop(jobs);
    let round = Round::of(clients, started).await;
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(round)
}

fn write_raw(database: &redb::Database, mut jobs: mpsc::Receiver<Insert>) -> Result<(), Failure> {
    while let Some(first) = jobs.blocking_recv() {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        let mut answers = Vec::new();
        {
            let mut table = transaction.open_table(RAW)?;
            let more = std::iter::from_fn(|| jobs.try_recv().ok());
            for (id, bytes, answer) in std::iter::once(first).chain(more) {
                table.insert(id, &*bytes)?;
                answers.push(answer);
            }
        }
        transaction.commit()?;
        for answer in answers {
            // Its client has gone where it cannot be told.
            let _ = answer.send(());
        }
    }
    Ok(())
}

/// Fills a store, and dies with it open.
async fn fill(directory: &Path, backlog: usize) -> Result<(), Failure> {
    const TOGETHER: usize = 1_000;
    let store = Embedded::open(directory, Limits::default(), Seal::none())?;
    for _ in 0..backlog / TOGETHER {
        let messages = (0..TOGETHER).map(|_| message()).collect();
        let answers = store.append(messages).await;
        assert!(answers.iter().all(Result::is_ok), "{:?}", answers.first());
    }
    println!(
        "with {backlog} waiting, half of them in lines of 100,000 keys: {} resident",
        resident()
    );
    std::process::exit(0)
}

async fn open(directory: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let store = Embedded::open(directory, Limits::default(), Seal::none())?;
    let opened = started.elapsed();
    let taken = store.take("bench", 100).await?;
    let first = started.elapsed();
    println!(
        "opened after the kill in {:.1} ms, {} messages taken after {:.1} ms, {} resident",
        opened.as_secs_f64() * 1e3,
        taken.len(),
        first.as_secs_f64() * 1e3,
        resident()
    );
    let length = std::fs::metadata(directory.join("queue.redb"))?.len();
    println!("the file has {} MiB", length >> 20);
    store.close().await;
    Ok(())
}

fn message() -> Message {
    let id = Uuid::now_v7();
    let number = id.as_u128() as u64;
    Message {
        id,
        queue: "bench".into(),
        field: "Mutation.requestReview".into(),
        key: number
            .is_multiple_of(2)
            .then(|| format!("order-{}", number / 2 % 100_000)),
        source: "reviews".into(),
        call: Call {
            verb: "POST".into(),
            target: format!("/orders/{number}/review-requests"),
            headers: vec![("x-tenant".into(), Some("t1".into()))],
            body: Body(br#"{"email":"ada@example.com","locale":"en"}"#.to_vec()),
        },
        idempotency_key: format!("{number:032x}"),
        dedupe: None,
        caller: Some("https://issuer.example|ada".into()),
        correlation_id: format!("{number:016x}"),
        request_id: id.to_string(),
        trace: None,
        accepted_at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |it| it.as_millis() as u64),
        not_before: None,
        ttl: 86_400_000,
        retry: Retry::default(),
        blocks: false,
    }
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    line.map_or("unknown".into(), |it| it.trim().to_owned())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
