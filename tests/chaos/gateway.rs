//! The gateway's process: started, asked, and looked at through /proc. Linux only.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::time::Instant;

use crate::shop::Shop;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long a client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, killed with the value.
pub(crate) struct Gateway {
    child: Child,
    url: String,
    admin: String,
    http: reqwest::Client,
}

/// What came back for one request.
pub(crate) struct Answer {
    /// Nothing where no whole answer came.
    pub(crate) body: Option<Json>,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

impl Gateway {
    pub(crate) async fn start(binary: &Path, config: &Path, shop: &Shop) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .envs(shop.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A line for each failed call is not what is read here.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        Ok(Self {
            url: announced(&mut lines, "graphql ").await?,
            admin: announced(&mut lines, "admin ").await?,
            child,
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()?,
        })
    }

    pub(crate) async fn ask(&self, query: &str) -> Answer {
        let started = Instant::now();
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .body(json!({ "query": query }).to_string());
        let (status, body) = match request.send().await {
            Ok(response) => (response.status().as_u16(), response.bytes().await.ok()),
            Err(_) => (0, None),
        };
        Answer {
            status,
            body: body.and_then(|body| serde_json::from_slice(&body).ok()),
            took: started.elapsed(),
        }
    }

    /// The sum of every line of a metric at `/metrics`, over all its labels; none where it has no such metric.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.http.get(format!("{}/metrics", self.admin));
        let text = metrics.send().await.ok()?.text().await.ok()?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_whole = rest.starts_with(['{', ' ']);
            is_whole.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Resident memory in MiB, at most and now.
    pub(crate) fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let id = self.child.id().context("the gateway has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib / 1024.0)
        };
        let figures = field("VmHWM:").zip(field("VmRSS:"));
        figures.context("the gateway has no memory in /proc")
    }
}

async fn announced(
    lines: &mut Lines<BufReader<ChildStdout>>,
    prefix: &str,
) -> anyhow::Result<String> {
    let line = tokio::time::timeout(START, lines.next_line()).await;
    let line = line.context("the gateway does not come up")??;
    let line = line.context("the gateway stopped")?;
    let address = line.strip_prefix(prefix);
    Ok(address
        .with_context(|| format!("unexpected: {line}"))?
        .to_owned())
}
