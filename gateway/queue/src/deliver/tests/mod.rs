//! Deliveries over the plain store, in paused time.

mod ends;
mod lanes;
mod life;
mod order;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::clock::Clock;
use crate::message::Message;
use crate::message::message;
use crate::plain::PlainStore;
use crate::store::BoxFuture;
use crate::store::Delivery;
use crate::store::Failure;
use crate::store::Limits;
use crate::store::Status;
use crate::store::Store;

/// What a target does with an attempt, and how many milliseconds it takes.
type Answers = dyn Fn(&Message, u32) -> (u64, Outcome) + Send + Sync;

/// A target that does as it is told, and writes down what it saw.
struct Target {
    clock: Clock,
    answers: Mutex<Arc<Answers>>,
    seen: Mutex<Vec<Seen>>,
}

/// One attempt. Times are in milliseconds since the target was made.
#[derive(Debug, Clone)]
struct Seen {
    id: u128,
    key: Option<String>,
    number: u32,
    began: u64,
    ended: Option<u64>,
}

impl Handler for Target {
    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let at = self.seen.lock().unwrap().len();
            self.seen.lock().unwrap().push(Seen {
                id: attempt.message.id.as_u128(),
                key: attempt.message.key.clone(),
                number: attempt.number,
                began: self.clock.now(),
                ended: None,
            });
            let answers = self.answers.lock().unwrap().clone();
            let (takes, outcome) = answers(attempt.message, attempt.number);
            tokio::time::sleep(Duration::from_millis(takes)).await;
            self.seen.lock().unwrap()[at].ended = Some(self.clock.now());
            outcome
        })
    }
}

/// Deliveries under test.
struct Bench {
    store: Arc<PlainStore>,
    target: Arc<Target>,
    deliveries: Deliveries,
    began: u64,
    clock: Clock,
}

impl Bench {
    fn new(answers: impl Fn(&Message, u32) -> (u64, Outcome) + Send + Sync + 'static) -> Self {
        Self::with(QueueSettings::default(), answers)
    }

    fn with(
        settings: QueueSettings,
        answers: impl Fn(&Message, u32) -> (u64, Outcome) + Send + Sync + 'static,
    ) -> Self {
        let clock = Clock::default();
        let store = Arc::new(PlainStore::new(clock, Limits::default()));
        Self::over(store, clock, settings, answers)
    }

    fn over(
        store: Arc<PlainStore>,
        clock: Clock,
        settings: QueueSettings,
        answers: impl Fn(&Message, u32) -> (u64, Outcome) + Send + Sync + 'static,
    ) -> Self {
        let target = Arc::new(Target {
            clock,
            answers: Mutex::new(Arc::new(answers)),
            seen: Mutex::default(),
        });
        let settings = Settings([("email".to_owned(), settings)].into());
        let deliveries = Deliveries::start(store.clone(), target.clone(), settings, clock);
        Self {
            store,
            target,
            deliveries,
            began: clock.now(),
            clock,
        }
    }

    async fn append(&self, messages: impl IntoIterator<Item = Message>) {
        append(&self.store, messages).await;
    }

    /// From now on the target does this.
    fn answers(&self, answers: impl Fn(&Message, u32) -> (u64, Outcome) + Send + Sync + 'static) {
        *self.target.answers.lock().unwrap() = Arc::new(answers);
    }

    /// How a message stands once nothing more will happen to it.
    async fn end(&self, id: u128) -> Delivery {
        self.when(id, |it| it.status.is_final()).await
    }

    /// How a message stands once this is true of it.
    async fn when(&self, id: u128, is: impl Fn(&Delivery) -> bool) -> Delivery {
        let id = Uuid::from_u128(id);
        let waits = async {
            let mut known = self.store.find(id).await.unwrap().unwrap();
            while !is(&known) {
                let changed = self.store.changed(id, known.version).await;
                known = changed.unwrap().unwrap();
            }
            known
        };
        let day = Duration::from_secs(48 * 3600);
        tokio::time::timeout(day, waits).await.unwrap()
    }

    async fn all_end(&self, ids: impl IntoIterator<Item = u128>) -> Vec<Status> {
        let mut ends = Vec::new();
        for id in ids {
            ends.push(self.end(id).await.status);
        }
        ends
    }

    fn seen(&self) -> Vec<Seen> {
        self.target.seen.lock().unwrap().clone()
    }

    /// When attempts at a message began, in milliseconds since the start.
    fn begins(&self, id: u128) -> Vec<u64> {
        let seen = self.seen();
        let of = seen.iter().filter(|it| it.id == id);
        of.map(|it| it.began - self.began).collect()
    }

    fn told(&self) -> Told {
        self.deliveries.told().remove(0)
    }

    fn now(&self) -> u64 {
        self.clock.now() - self.began
    }
}

async fn append(store: &PlainStore, messages: impl IntoIterator<Item = Message>) {
    let answers = store.append(messages.into_iter().collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// Of a key.
fn of(id: u128, key: &str) -> Message {
    Message {
        key: Some(key.into()),
        ..message(id)
    }
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.into(),
        message: "m".into(),
        status: "s".into(),
        internal: None,
        at: 1,
    }
}

fn down() -> Outcome {
    Outcome::Again {
        failure: failure("UPSTREAM_UNAVAILABLE"),
        after: None,
        down: true,
    }
}

fn again() -> Outcome {
    Outcome::Again {
        failure: failure("RATE_LIMITED"),
        after: None,
        down: false,
    }
}

fn refused() -> Outcome {
    Outcome::Refused(failure("BAD_USER_INPUT"))
}

fn denied() -> Outcome {
    Outcome::Denied(failure("FORBIDDEN"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The most attempts that ran at the same time.
fn at_once(seen: &[Seen]) -> usize {
    let runs = |at: u64| {
        let open = seen
            .iter()
            .filter(|it| it.began <= at && it.ended > Some(at));
        open.count()
    };
    seen.iter().map(|it| runs(it.began)).max().unwrap_or(0)
}

/// By key, in the order in which attempts began.
fn by_key(seen: &[Seen]) -> HashMap<String, Vec<Seen>> {
    let mut keys: HashMap<String, Vec<Seen>> = HashMap::new();
    for it in seen {
        let key = it.key.clone().unwrap_or_else(|| format!("#{}", it.id));
        keys.entry(key).or_default().push(it.clone());
    }
    keys
}

async fn pass(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}
