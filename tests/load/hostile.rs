//! Honest clients beside hostile ones: what a steady stream of bad documents does to the answers of
//! those who send good ones. Both streams are open: a request leaves when its time has come, however
//! slow the last answer was, so that a server that stalls cannot hide it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::Uri;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;

use crate::process::Program;
use crate::rows;

/// Honest requests per second: far from what the gateway can answer.
const HONEST: u32 = 200;
/// Hostile ones.
const HOSTILE: u32 = 500;
/// At most this many times the 99th percentile without them.
const TARGET: f64 = 2.0;

/// What to load, and for how long each time.
pub(crate) struct Attack<'a> {
    pub(crate) gateway: &'a Program,
    pub(crate) url: Uri,
    pub(crate) duration: Duration,
}

/// Honest clients alone, then beside the hostile ones.
pub(crate) fn run(attack: &Attack<'_>) -> anyhow::Result<HostileReport> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // Fails where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Connections of their own: one that is closed over a hostile request must not cost an honest one.
    let [good_client, bad_client] = [client()?, client()?];
    let honest = || stream(&good_client, &attack.url, HONEST, attack.duration, good);
    runtime.block_on(honest())?;
    let alone = runtime.block_on(honest())?;
    let hostile = stream(&bad_client, &attack.url, HOSTILE, attack.duration, bad);
    let both = async { tokio::join!(honest(), hostile) };
    let (beside, refused) = runtime.block_on(both);
    let (beside, refused) = (beside?, refused?);
    let [alone_p99, beside_p99] = [&alone, &beside].map(|answers| answers.latency(0.99));
    Ok(HostileReport {
        alone_p50: alone.latency(0.5),
        alone_p99,
        beside_p50: beside.latency(0.5),
        beside_p99,
        ratio: beside_p99 / alone_p99,
        honest: beside.statuses,
        hostile: refused.statuses,
        peak_mib: attack.gateway.memory()?.peak as f64 / 1024.0,
    })
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build()
}

/// The same operation each time, as clients send it.
fn good(_: u64) -> String {
    body(rows::JOIN_QUERY)
}

/// One of each kind in turn, none of them twice.
fn bad(number: u64) -> String {
    match number % 8 {
        0 => body(&format!("{{ posts {{ id a{number}: title }} }}")),
        1 => body(&doubling_fragments(number)),
        2 => format!("{{\"query\":{}", "[".repeat(100_000)),
        3 => format!("not JSON {number}"),
        4 => body(&aliases(number)),
        5 => body(&format!("{{ posts {{ {} }} }}", unknown_fields(number))),
        6 => body(&"{".repeat(14_000)),
        _ => body(&"x".repeat(1_200_000)),
    }
}

fn body(query: &str) -> String {
    serde_json::json!({ "query": query }).to_string()
}

fn doubling_fragments(number: u64) -> String {
    let level = |n: u64| {
        let next = n + 1;
        format!("fragment F{n} on Post {{ a{number}: id ...F{next} ...F{next} }} ")
    };
    let levels: String = (0..60).map(level).collect();
    format!("{{ posts {{ ...F0 }} }} {levels} fragment F60 on Post {{ id }}")
}

fn aliases(number: u64) -> String {
    let alias = |n: u64| format!("a{number}_{n}: id ");
    let aliases: String = (0..400).map(alias).collect();
    format!("{{ posts {{ {aliases} }} }}")
}

fn unknown_fields(number: u64) -> String {
    (0..300).map(|n| format!("no{number}_{n} ")).collect()
}

/// What came back of one stream.
#[derive(Default)]
struct Answers {
    /// Microseconds, ascending.
    latencies: Vec<u64>,
    /// How many of each status; 0 stands for no answer.
    statuses: BTreeMap<u16, u64>,
}

impl Answers {
    fn take(&mut self, (status, latency): (u16, Duration)) {
        *self.statuses.entry(status).or_default() += 1;
        self.latencies.push(latency.as_micros() as u64);
    }

    /// Milliseconds.
    fn latency(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        self.latencies
            .get(at)
            .map_or(0.0, |micros| *micros as f64 / 1000.0)
    }
}

async fn stream(
    client: &reqwest::Client,
    url: &Uri,
    per_second: u32,
    duration: Duration,
    body: fn(u64) -> String,
) -> anyhow::Result<Answers> {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut flying = JoinSet::new();
    let total = u64::from(per_second) * duration.as_millis() as u64 / 1000;
    for number in 0..total {
        let due = clock.tick().await;
        let request = client
            .post(url.to_string())
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {number}"))
            .body(body(number));
        flying.spawn(async move { ask(request, due).await });
    }
    let mut answers = Answers::default();
    while let Some(answer) = flying.join_next().await {
        answers.take(answer?);
    }
    answers.latencies.sort_unstable();
    Ok(answers)
}

/// From the time that it was due.
async fn ask(request: reqwest::RequestBuilder, due: Instant) -> (u16, Duration) {
    let status = match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            // An answer is one when all of it is there.
            response.bytes().await.map_or(0, |_| status)
        }
        Err(_) => 0,
    };
    (status, due.elapsed())
}

/// Milliseconds, and answers by status.
#[derive(Serialize)]
pub(crate) struct HostileReport {
    alone_p50: f64,
    alone_p99: f64,
    beside_p50: f64,
    beside_p99: f64,
    /// Of the 99th percentiles.
    ratio: f64,
    honest: BTreeMap<u16, u64>,
    hostile: BTreeMap<u16, u64>,
    peak_mib: f64,
}

impl fmt::Display for HostileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ratio <= TARGET { "ok" } else { "missed" };
        writeln!(
            f,
            "hostile: {HONEST} honest requests per second beside {HOSTILE} hostile ones; target ≤ {TARGET} × the p99 without them"
        )?;
        writeln!(
            f,
            "  alone    p50 {:.2} ms, p99 {:.2} ms",
            self.alone_p50, self.alone_p99
        )?;
        writeln!(
            f,
            "  beside   p50 {:.2} ms, p99 {:.2} ms: {:.2} × {verdict}",
            self.beside_p50, self.beside_p99, self.ratio
        )?;
        writeln!(f, "  honest   {:?} by status", self.honest)?;
        writeln!(f, "  hostile  {:?} by status (0: no answer)", self.hostile)?;
        writeln!(f, "  peak     {:.1} MiB", self.peak_mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_hostile_requests_of_a_kind_that_is_planned_are_alike() {
        for kind in [0, 1, 4, 5] {
            assert_ne!(bad(kind), bad(kind + 8));
        }
    }

    #[test]
    fn latencies_are_shares_of_all_answers() {
        let mut answers = Answers::default();
        for millis in 1..=100 {
            answers.take((200, Duration::from_millis(millis)));
        }
        assert_eq!(answers.latency(0.5), 51.0);
        assert_eq!(answers.latency(1.0), 100.0);
        assert_eq!(answers.statuses[&200], 100);
    }
}
