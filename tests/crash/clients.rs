//! Clients that queue one message after another.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ledger::Ledger;

/// How long a client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before a client that was not answered asks for the next one.
const PAUSE: Duration = Duration::from_millis(5);
const SEND: &str = "mutation($key: ID!, $n: Int!) { note(key: $key, n: $n) { id } }";

pub(crate) struct Clients {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

/// One client and its keys, which are nobody else's: so it knows in which order they were acknowledged.
struct Client {
    http: reqwest::Client,
    url: watch::Receiver<String>,
    ledger: Arc<Ledger>,
    keys: Vec<u32>,
    stop: Arc<AtomicBool>,
}

impl Clients {
    pub(crate) fn start(
        url: watch::Receiver<String>,
        ledger: Arc<Ledger>,
        clients: usize,
        keys: u32,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for at in 0..clients {
            let own = |key: &u32| *key as usize % clients == at;
            let client = Client {
                http: reqwest::Client::builder()
                    .no_proxy()
                    .timeout(PATIENCE)
                    .build()
                    .unwrap_or_default(),
                url: url.clone(),
                ledger: ledger.clone(),
                keys: (0..keys).filter(own).collect(),
                stop: stop.clone(),
            };
            tasks.spawn(client.run());
        }
        Self { tasks, stop }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Client {
    async fn run(self) {
        let mut turns = self.keys.iter().cycle();
        while !self.stop.load(Ordering::Relaxed)
            && let Some(key) = turns.next()
        {
            let number = self.ledger.ask(*key);
            match self.queue(*key, number).await {
                Some(id) => self.ledger.acknowledge(*key, number, id),
                // Nobody knows: the number is never used again.
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The id of an acknowledged message.
    async fn queue(&self, key: u32, number: u64) -> Option<String> {
        let variables = json!({ "key": key.to_string(), "n": number });
        let body = json!({ "query": SEND, "variables": variables }).to_string();
        let url = self.url.borrow().clone();
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.ok()?;
        let answer = answer.bytes().await.ok()?;
        let answer: Json = serde_json::from_slice(&answer).ok()?;
        let id = answer.pointer("/data/note/id")?.as_str()?;
        Some(id.to_owned())
    }
}
