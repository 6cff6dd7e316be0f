//! Clients that ask without a pause, and what comes back for them.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::judge::Verdict;
use crate::judge::verdict;
use crate::shop::Shop;

/// As `timeouts.request` of the configuration has it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// No answer may come later than this after the deadline.
pub(crate) const LATE: Duration = Duration::from_millis(25);
/// Different things that are asked for with each operation.
const VARIANTS: u64 = 40;
/// One request in so many writes.
const WRITES: u32 = 100;
/// No more than can be read again in one list.
const MOST_WRITTEN: u64 = 4_000;
/// The product and the user that written reviews are of: nothing else asks for them.
const WRITTEN: (u64, u64) = (9_999, 9_999);

/// `{n}` is an id.
const OPERATIONS: [&str; 6] = [
    "{ products(limit: 20) { name price stock: inventory { available } reviews { rating comment user { name } } } }",
    "{ product(id: \"{n}\") { name price inventory { quantity warehouse } reviews(first: 5) { rating user { name } } } }",
    "{ user(id: \"{n}\") { name email orders(first: 5) { id status total } reviews(first: 5) { rating comment } } }",
    "{ order(id: \"{n}\") { status total payment { amount } user { name } items { quantity product { name price } } } }",
    "{ users(limit: 20, offset: {n}) { id name createdAt } }",
    "{ orders(first: 20) { totalCount nodes { id total user { name } } } }",
];

/// What is asked, and what a healthy shop answers.
pub(crate) struct Load<'g> {
    gateway: &'g Gateway,
    seed: u64,
    asked: Vec<Asked>,
    /// Reviews that were sent, each with a comment of its own.
    written: AtomicU64,
    /// Calls to each service before the load.
    before: Vec<u64>,
}

struct Asked {
    query: String,
    data: Json,
    /// Calls to each service.
    calls: Vec<u64>,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) requests: u64,
    pub(crate) whole: u64,
    pub(crate) partial: u64,
    /// Problems instead of answers.
    pub(crate) refused: u64,
    pub(crate) wrong: u64,
    /// Neither an answer nor a problem.
    pub(crate) none: u64,
    pub(crate) late: u64,
    pub(crate) slowest: Duration,
    pub(crate) written: u64,
    pub(crate) elapsed: Duration,
    /// Calls to each service that all of it takes while all is well.
    pub(crate) planned: Vec<u64>,
    /// The first wrong answer.
    pub(crate) example: Option<String>,
}

impl<'g> Load<'g> {
    /// Asks everything once, while all is well.
    pub(crate) async fn healthy(
        gateway: &'g Gateway,
        shop: &Shop,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut asked = Vec::new();
        let variants = (1..=VARIANTS).flat_map(|n| {
            let query = move |text: &str| text.replace("{n}", &(n * 7).to_string());
            OPERATIONS.into_iter().map(query)
        });
        for query in variants {
            let before = shop.calls();
            let answer = gateway.ask(&query).await;
            let body = answer.body.unwrap_or_default();
            anyhow::ensure!(
                body["errors"].is_null() && body["data"].is_object(),
                "{query} answers {body}"
            );
            let after = shop.calls();
            let calls = after.iter().zip(before).map(|(now, then)| now - then);
            asked.push(Asked {
                data: body["data"].clone(),
                calls: calls.collect(),
                query,
            });
        }
        Ok(Self {
            gateway,
            seed,
            asked,
            written: AtomicU64::new(0),
            before: shop.calls(),
        })
    }

    /// Calls to each service since the load began.
    pub(crate) fn calls(&self, shop: &Shop) -> Vec<u64> {
        let calls = shop.calls().into_iter().zip(&self.before);
        calls.map(|(now, before)| now - before).collect()
    }

    /// So many clients, until the end.
    pub(crate) async fn run(&self, clients: usize, end: Instant) -> Answers {
        let started = Instant::now();
        let services = self.asked.first().map_or(0, |asked| asked.calls.len());
        let answers = Mutex::new(Answers {
            planned: vec![0; services],
            ..Answers::default()
        });
        let client = |number: usize| self.client(number as u64, end, &answers);
        futures_util::future::join_all((0..clients).map(client)).await;
        let mut answers = answers.into_inner().unwrap_or_default();
        answers.elapsed = started.elapsed();
        answers.written = self.written.load(Ordering::Relaxed);
        answers
    }

    async fn client(&self, number: u64, end: Instant, answers: &Mutex<Answers>) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ (number + 1));
        while Instant::now() < end {
            let written = self.written.load(Ordering::Relaxed);
            if rng.random_ratio(1, WRITES) && written < MOST_WRITTEN {
                self.write().await;
                continue;
            }
            let asked = &self.asked[rng.random_range(0..self.asked.len())];
            let answer = self.gateway.ask(&asked.query).await;
            if let Ok(mut answers) = answers.lock() {
                answers.take(asked, &answer);
            }
        }
    }

    /// Writes a review, and does not ask again whatever comes back.
    async fn write(&self) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let (product, user) = WRITTEN;
        let input =
            format!("productId: {product}, userId: {user}, rating: 5, comment: \"chaos {number}\"");
        let mutation = format!("mutation {{ createReview(input: {{ {input} }}) {{ id }} }}");
        drop(self.gateway.ask(&mutation).await);
    }

    /// How many reviews are there that were sent once, and how many of them twice or more.
    pub(crate) async fn found(&self) -> anyhow::Result<(usize, usize)> {
        let (product, _) = WRITTEN;
        let query =
            format!("{{ product(id: {product}) {{ reviews(first: 4500) {{ comment }} }} }}");
        let end = Instant::now() + Duration::from_secs(90);
        // The shop is well again; the gateway finds that out in its own time.
        let body = loop {
            let body = self.gateway.ask(&query).await.body.unwrap_or_default();
            if body["errors"].is_null() && body["data"].is_object() {
                break body;
            }
            anyhow::ensure!(Instant::now() < end, "the gateway does not recover: {body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let reviews = body["data"]["product"]["reviews"]
            .as_array()
            .into_iter()
            .flatten();
        let comments = reviews.filter_map(|review| review["comment"].as_str());
        let mut written: Vec<&str> = comments.filter(|it| it.starts_with("chaos ")).collect();
        written.sort_unstable();
        let all = written.len();
        written.dedup();
        Ok((written.len(), all - written.len()))
    }
}

impl Answers {
    fn take(&mut self, asked: &Asked, answer: &crate::gateway::Answer) {
        self.requests += 1;
        self.slowest = self.slowest.max(answer.took);
        self.late += u64::from(answer.took > DEADLINE + LATE);
        for (planned, calls) in self.planned.iter_mut().zip(&asked.calls) {
            *planned += calls;
        }
        match &answer.body {
            None => self.none += 1,
            // Problem details have no data.
            Some(body) if body.get("data").is_none() && body.get("errors").is_none() => {
                self.refused += 1;
            }
            Some(body) => match verdict(&asked.data, body) {
                Verdict::Whole => self.whole += 1,
                Verdict::Partial => self.partial += 1,
                Verdict::Wrong => {
                    self.wrong += 1;
                    let example = || format!("{} ({}): {body}", asked.query, answer.status);
                    self.example.get_or_insert_with(example);
                }
            },
        }
    }
}
