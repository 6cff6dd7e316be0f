//! The gateway's process over one directory: started, killed, and started again.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::sync::watch;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(30);

const SUBGRAPH: &str = r#"extend schema @source(name: "notes", http: { baseURL: "{$env.NOTES_URL}" })
type Query { notes: Int @rest(GET: "/notes") }
type Mutation {
  note(key: ID!, n: Int!): Accepted! @rest(PUT: "/notes/{key}/{n}")
    @queue(name: "notes", key: "{key}", retry: { backoff: "20ms", maxBackoff: "200ms" })
}
"#;

const CONFIG: &str = r#"listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
subgraphs: { notes: { schema: notes.graphql, env: [NOTES_URL] } }
shutdown: { grace: 0s, drain: 5s }
idempotency: { mode: off }
"#;

pub(crate) struct Gateway {
    binary: PathBuf,
    folder: PathBuf,
    target: String,
    child: Option<Child>,
    /// It prints more than is read here, and must find somebody there who could.
    output: Option<Lines<BufReader<ChildStdout>>>,
    url: watch::Sender<String>,
}

impl Gateway {
    /// Over a directory of its own.
    pub(crate) fn new(binary: &Path, target: &str, store: &str) -> anyhow::Result<Self> {
        let name = format!(
            "switchboard-crash-{}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("notes.graphql"), SUBGRAPH)?;
        let queue = format!("queue: {{ {store}, queues: {{ notes: {{ concurrency: 64 }} }} }}\n");
        std::fs::write(folder.join("switchboard.yaml"), CONFIG.to_owned() + &queue)?;
        Ok(Self {
            binary: binary.to_owned(),
            folder,
            target: target.to_owned(),
            child: None,
            output: None,
            url: watch::Sender::new(String::new()),
        })
    }

    /// Where clients reach it now.
    pub(crate) fn url(&self) -> watch::Receiver<String> {
        self.url.subscribe()
    }

    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let mut child = Command::new(&self.binary)
            .args(["serve", "--config"])
            .arg(self.folder.join("switchboard.yaml"))
            .env("NOTES_URL", &self.target)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log(&self.folder)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START, lines.next_line()).await;
        let line = line.context("it does not listen in time")??;
        let line =
            line.with_context(|| format!("it ended: see {}", self.folder.join("log").display()))?;
        let url = line.strip_prefix("graphql ").context("an address")?;
        self.url.send_replace(url.to_owned());
        self.child = Some(child);
        self.output = Some(lines);
        Ok(())
    }

    /// As nobody could prepare for.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// As an orchestrator would; the directory goes with it.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let id = child.id().context("it has ended already")?.to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await?;
        anyhow::ensure!(told.success(), "it could not be told to end");
        let ended = tokio::time::timeout(END, child.wait()).await;
        let status = ended.context("it does not end in time")??;
        anyhow::ensure!(status.success(), "it ended with {status}");
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}

/// What it says goes beside its files, for whoever looks for the cause of a failure.
fn log(folder: &Path) -> anyhow::Result<Stdio> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).append(true).open(folder.join("log"))?;
    Ok(file.into())
}
