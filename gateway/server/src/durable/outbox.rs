//! The outbox of one request.
//!
//! Owns what becomes a message, and that the root fields of an operation which
//! is queued as a whole are made durable together: the last of them to come
//! appends them all, in the order of the operation.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::mem::take;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::DateTime;
use chrono::SecondsFormat;
use plan::code::Code;
use plan::outbox::Accepted;
use plan::outbox::Order;
use plan::outbox::Outbox;
use plan::source::BoxFuture;
use plan::source::SourceError;
use plan::source::TraceContext;
use queue::Message;
use queue::Store;
use queue::clock::Clock;
use queue::clock::millis;
use queue::message::Body;
use queue::message::Call;
use queue::message::Dedupe;
use queue::message::Retry;
use queue::store::Receipt;
use queue::store::Refused;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::identity::hash;

/// Whose calls they are.
#[derive(Debug, Clone)]
pub(crate) struct OnBehalf {
    /// None for an anonymous caller.
    pub(crate) caller: Option<String>,
    pub(crate) correlation_id: Arc<str>,
    pub(crate) request_id: Uuid,
    pub(crate) trace: TraceContext,
}

/// Where messages go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// Where the queued calls of one request go.
#[derive(Debug)]
pub(crate) struct RequestOutbox {
    place: Place,
    who: OnBehalf,
    /// How many calls come, where they are accepted as a whole or not at all.
    together: Option<Together>,
    /// The longest that any refusal asks the client to wait.
    retry_after: Mutex<Option<Duration>>,
}

/// Calls that wait for each other.
#[derive(Debug)]
struct Together {
    /// None where one of them is not to be had, so that none is accepted.
    expected: Option<usize>,
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    /// By step, which is the order of the operation.
    waiting: BTreeMap<usize, Waiting>,
    withdrawn: usize,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    answer: oneshot::Sender<Result<Receipt, Refused>>,
}

impl RequestOutbox {
    /// Of an operation of which something else is asked as well: its calls are appended as they come.
    pub(crate) fn one_by_one(place: Place, who: OnBehalf) -> Self {
        Self {
            place,
            who,
            together: None,
            retry_after: Mutex::default(),
        }
    }

    /// Of an operation that is queued as a whole; none expected where a field of it is not to be had.
    pub(crate) fn together(place: Place, who: OnBehalf, expected: Option<usize>) -> Self {
        Self {
            together: Some(Together {
                expected,
                gathered: Mutex::default(),
            }),
            ..Self::one_by_one(place, who)
        }
    }

    /// How long the client is asked to wait, where anything was refused for now.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        *lock(&self.retry_after)
    }

    async fn appended(&self, step: usize, message: Message) -> Result<Receipt, Refused> {
        let Some(together) = &self.together else {
            let mut receipts = self.place.store.append(vec![message]).await;
            return receipts.pop().unwrap_or(Err(Refused::NotAlone));
        };
        if together.expected.is_none() {
            return Err(Refused::NotAlone);
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { message, answer };
        let complete = {
            let mut gathered = lock(&together.gathered);
            gathered.waiting.insert(step, waiting);
            together.complete(&mut gathered)
        };
        self.append_all(complete).await;
        answered.await.unwrap_or(Err(Refused::NotAlone))
    }

    /// Makes those who waited for each other durable, and tells each.
    async fn append_all(&self, complete: Vec<Waiting>) {
        if complete.is_empty() {
            return;
        }
        let (messages, answers): (Vec<_>, Vec<_>) = complete
            .into_iter()
            .map(|waiting| (waiting.message, waiting.answer))
            .unzip();
        let receipts = self.place.store.append(messages).await;
        for (answer, receipt) in answers.into_iter().zip(receipts) {
            // Whoever asked may have gone; the message is durable all the same.
            let _ = answer.send(receipt);
        }
    }

    fn message(&self, order: Order<'_>) -> Message {
        let now = self.place.clock.now();
        let id = Uuid::now_v7();
        let who = &self.who;
        let caller = who.caller.as_deref().unwrap_or_default();
        let scope = [
            order.rule.name.as_bytes(),
            order.field.as_bytes(),
            caller.as_bytes(),
        ];
        let same = |text: &[u8]| hash(&[scope[0], scope[1], scope[2], text]);
        // What the schema says goes before what the client says.
        let own = order.rule.dedupe_window;
        let known = match (&order.dedupe, order.effect) {
            (Some(text), _) => Some((same(text.as_bytes()), own)),
            (None, Some(effect)) => Some((effect.key, own.max(effect.remembered))),
            (None, None) => None,
        };
        let dedupe = known.as_ref().map(|(key, window)| Dedupe {
            key: key.clone(),
            fingerprint: hash(&[&order.payload]),
            window: millis(*window),
        });
        let of_its_own = || hash(&[scope[1], scope[2], id.as_bytes()]);
        let effect = known.map_or_else(of_its_own, |(key, _)| key);
        Message {
            id,
            queue: order.rule.name.clone(),
            key: order.key,
            source: order.call.source.to_string(),
            call: Call {
                verb: order.call.verb,
                target: order.call.target,
                headers: order.call.headers,
                body: Body(order.call.body),
            },
            idempotency_key: effect,
            dedupe,
            caller: who.caller.clone(),
            correlation_id: who.correlation_id.to_string(),
            request_id: who.request_id.to_string(),
            trace: traceparent(&who.trace),
            accepted_at: now,
            not_before: order.rule.delay.map(|delay| now + millis(delay)),
            ttl: millis(order.rule.ttl),
            retry: retry(order.rule.retry.as_ref()),
            blocks: order.rule.blocks,
            field: order.field,
        }
    }

    fn refused(&self, source: &Arc<str>, refused: Refused) -> SourceError {
        let (code, message) = told(&refused);
        let error = SourceError::new(code, source, message);
        match refused {
            Refused::Unavailable {
                reason,
                retry_after,
            } => {
                tracing::error!(source = %source, reason, "a queued call could not be made durable");
                self.wait(error.internal(reason), retry_after)
            }
            Refused::Full { retry_after } => {
                tracing::warn!(source = %source, "the queue is full");
                self.wait(error, retry_after)
            }
            Refused::Conflict | Refused::TooLarge { .. } | Refused::NotAlone => error,
        }
    }

    fn wait(&self, error: SourceError, wait: Duration) -> SourceError {
        let mut longest = lock(&self.retry_after);
        *longest = (*longest).max(Some(wait));
        SourceError {
            retry_after: Some(wait),
            ..error
        }
    }
}

/// What the client reads.
fn told(refused: &Refused) -> (Code, String) {
    match refused {
        Refused::Full { .. } => (
            Code::QueueFull,
            "As much waits to be delivered as may: nothing was accepted.".to_owned(),
        ),
        Refused::Unavailable { .. } => (
            Code::QueueUnavailable,
            "It could not be made durable: nothing was accepted.".to_owned(),
        ),
        Refused::Conflict => (
            Code::Conflict,
            "Something else was accepted under the same name before.".to_owned(),
        ),
        Refused::TooLarge { bytes, limit } => (
            Code::BadUserInput,
            format!("It has {bytes} bytes, and at most {limit} are delivered."),
        ),
        Refused::NotAlone => (
            Code::NotStarted,
            "Nothing was accepted: another field of the operation was not.".to_owned(),
        ),
    }
}

impl Together {
    /// All of them in order, once the last has come; nothing before. Where one was withdrawn, they are let go.
    fn complete(&self, gathered: &mut Gathered) -> Vec<Waiting> {
        let come = gathered.waiting.len() + gathered.withdrawn;
        if Some(come) != self.expected {
            return Vec::new();
        }
        let waiting = take(&mut gathered.waiting);
        match gathered.withdrawn {
            0 => waiting.into_values().collect(),
            // Their answers are dropped with them, which says that they were not alone.
            _ => Vec::new(),
        }
    }
}

impl Outbox for RequestOutbox {
    fn put<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Accepted, SourceError>> {
        Box::pin(async move {
            let source = order.call.source.clone();
            let step = order.step;
            let message = self.message(order);
            let receipt = self.appended(step, message).await;
            receipt
                .map(accepted)
                .map_err(|refused| self.refused(&source, refused))
        })
    }

    fn withdraw(&self, _: usize) {
        if let Some(together) = &self.together {
            let mut gathered = lock(&together.gathered);
            gathered.withdrawn += 1;
            together.complete(&mut gathered);
        }
    }
}

fn accepted(receipt: Receipt) -> Accepted {
    Accepted {
        id: receipt.id.to_string(),
        status: receipt.status.as_str(),
        accepted_at: rfc3339(receipt.accepted_at),
        duplicate: receipt.duplicate,
    }
}

/// Milliseconds since the Unix epoch as people write them.
pub(super) fn rfc3339(at: u64) -> String {
    let at = i64::try_from(at)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    at.unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn retry(declared: Option<&compose::model::Retry>) -> Retry {
    let usual = Retry::default();
    let Some(declared) = declared else {
        return usual;
    };
    let backoff = declared.backoff.map_or(usual.backoff, millis);
    Retry {
        attempts: declared.attempts,
        backoff,
        max_backoff: declared
            .max_backoff
            .map_or(usual.max_backoff, millis)
            .max(backoff),
    }
}

/// What a delivery's calls belong to. <https://www.w3.org/TR/trace-context/#traceparent-header>
fn traceparent(trace: &TraceContext) -> Option<String> {
    if trace.trace_id == [0; 16] {
        return None;
    }
    let mut text = "00-".to_owned();
    let parts: [(&[u8], &str); 3] = [
        (&trace.trace_id, "-"),
        (&trace.parent_id, "-"),
        (&[trace.flags], ""),
    ];
    for (bytes, after) in parts {
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text.push_str(after);
    }
    Some(text)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use compose::model::QueueRule;
    use plan::effects::Effect;
    use plan::outbox::Deferred;
    use queue::plain::PlainStore;
    use queue::store::Limits;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn rule() -> QueueRule {
        QueueRule {
            name: "email".to_owned(),
            key: None,
            dedupe: None,
            dedupe_window: HOUR,
            delay: None,
            ttl: HOUR,
            retry: None,
            blocks: false,
        }
    }

    fn order<'a>(rule: &'a QueueRule, step: usize, dedupe: Option<&str>) -> Order<'a> {
        Order {
            step,
            field: "Mutation.send".to_owned(),
            rule,
            key: Some("k".to_owned()),
            dedupe: dedupe.map(str::to_owned),
            effect: None,
            payload: b"payload".to_vec(),
            call: Deferred {
                source: "mail".into(),
                verb: "POST".to_owned(),
                target: format!("/{step}"),
                headers: Vec::new(),
                body: Vec::new(),
            },
        }
    }

    fn place(limits: Limits) -> Place {
        let clock = Clock::default();
        Place {
            store: Arc::new(PlainStore::new(clock, limits)),
            clock,
        }
    }

    fn ada() -> OnBehalf {
        OnBehalf {
            caller: Some("iss|ada".to_owned()),
            correlation_id: "corr-1".into(),
            request_id: Uuid::from_u128(9),
            trace: TraceContext {
                trace_id: [7; 16],
                parent_id: [1; 8],
                flags: 1,
                state: None,
            },
        }
    }

    async fn stored(place: &Place) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let depths = place.store.depths().await.unwrap();
            if depths.iter().all(|depth| depth.waiting == 0) {
                return messages;
            }
            for taken in place.store.take("email", 10).await.unwrap() {
                messages.push(taken.message);
                let delivered = queue::store::Settled::Delivered(taken.progress);
                place.store.settle(taken.claim, delivered).await.unwrap();
            }
        }
    }

    fn targets(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|it| it.call.target.as_str()).collect()
    }

    #[tokio::test]
    async fn a_message_says_whose_it_is_and_what_it_belongs_to() {
        let place = place(Limits::default());
        let outbox = RequestOutbox::one_by_one(place.clone(), ada());
        let accepted = outbox.put(order(&rule(), 0, None)).await.unwrap();
        let [message] = stored(&place).await.try_into().unwrap();
        assert_eq!(message.id.to_string(), accepted.id);
        assert_eq!(accepted.status, "QUEUED");
        assert!(!accepted.duplicate && accepted.accepted_at.ends_with('Z'));
        assert_eq!(message.caller.as_deref(), Some("iss|ada"));
        assert_eq!(message.correlation_id, "corr-1");
        assert_eq!(message.request_id, Uuid::from_u128(9).to_string());
        assert_eq!(message.ttl, 3_600_000);
        assert_eq!(
            message.trace.as_deref(),
            Some("00-07070707070707070707070707070707-0101010101010101-01")
        );
    }

    #[tokio::test]
    async fn the_clients_key_says_what_is_the_same_where_the_schema_does_not() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let effect = |key: &str| {
            Some(Effect {
                key: key.to_owned(),
                remembered: DAY,
            })
        };
        let place = place(Limits::default());
        let outbox = RequestOutbox::one_by_one(place.clone(), ada());
        let rule = rule();
        let keyed = |step, key: &str, dedupe| Order {
            effect: effect(key),
            ..order(&rule, step, dedupe)
        };
        let first = outbox.put(keyed(0, "a", None)).await.unwrap();
        let again = outbox.put(keyed(0, "a", None)).await.unwrap();
        assert_eq!((again.id, again.duplicate), (first.id, true));
        let other = outbox.put(keyed(1, "b", None)).await.unwrap();
        assert!(!other.duplicate);
        let named = outbox.put(keyed(2, "c", Some("7"))).await.unwrap();
        let same = outbox.put(keyed(2, "d", Some("7"))).await.unwrap();
        assert_eq!((same.id, same.duplicate), (named.id, true));
        let messages = stored(&place).await;
        let keys: Vec<&str> = messages.iter().map(|it| &*it.idempotency_key).collect();
        assert_eq!((keys[0], keys[1]), ("a", "b"));
        assert!(keys[2] != "c" && keys[2].len() == 32);
        let window = messages[0].dedupe.as_ref().map(|dedupe| dedupe.window);
        assert_eq!(window, Some(millis(DAY)));
    }

    #[tokio::test]
    async fn the_same_dedupe_is_one_message_with_one_idempotency_key() {
        let place = place(Limits::default());
        let outbox = RequestOutbox::one_by_one(place.clone(), ada());
        let first = outbox.put(order(&rule(), 0, Some("7"))).await.unwrap();
        let again = outbox.put(order(&rule(), 0, Some("7"))).await.unwrap();
        assert_eq!((again.id, again.duplicate), (first.id, true));
        let bob = OnBehalf {
            caller: None,
            ..ada()
        };
        let other = RequestOutbox::one_by_one(place.clone(), bob);
        let theirs = other.put(order(&rule(), 0, Some("7"))).await.unwrap();
        assert!(!theirs.duplicate);
        let rule = rule();
        let changed = Order {
            payload: b"other".to_vec(),
            ..order(&rule, 0, Some("7"))
        };
        let refused = outbox.put(changed).await.unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        let messages = stored(&place).await;
        assert_eq!(messages.len(), 2);
        assert_ne!(messages[0].idempotency_key, messages[1].idempotency_key);
    }

    #[tokio::test]
    async fn what_is_accepted_together_is_in_the_order_of_the_operation() {
        let place = place(Limits::default());
        let outbox = RequestOutbox::together(place.clone(), ada(), Some(3));
        let rule = rule();
        let put = |step| outbox.put(order(&rule, step, None));
        let (two, zero, one) = tokio::join!(put(2), put(0), put(1));
        assert!(two.is_ok() && zero.is_ok() && one.is_ok());
        assert_eq!(targets(&stored(&place).await), ["/0", "/1", "/2"]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_sent_takes_the_others_with_it() {
        let place = place(Limits::default());
        let rule = rule();
        for withdrawn_first in [true, false] {
            let outbox = RequestOutbox::together(place.clone(), ada(), Some(2));
            let withdraw = async { outbox.withdraw(1) };
            let put = outbox.put(order(&rule, 0, None));
            let answer = match withdrawn_first {
                true => tokio::join!(withdraw, put).1,
                false => tokio::join!(put, withdraw).0,
            };
            assert_eq!(answer.unwrap_err().code, Code::NotStarted);
        }
        let denied = RequestOutbox::together(place.clone(), ada(), None);
        let answer = denied.put(order(&rule, 0, None)).await;
        assert_eq!(answer.unwrap_err().code, Code::NotStarted);
        assert!(stored(&place).await.is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_says_when_to_come_again_and_accepts_nothing() {
        let place = place(Limits {
            messages: 1,
            ..Limits::default()
        });
        let outbox = RequestOutbox::together(place.clone(), ada(), Some(2));
        let rule = rule();
        let (one, two) = tokio::join!(
            outbox.put(order(&rule, 0, None)),
            outbox.put(order(&rule, 1, None))
        );
        let codes = [one.unwrap_err().code, two.unwrap_err().code];
        assert!(codes.contains(&Code::QueueFull), "{codes:?}");
        assert!(outbox.retry_after().is_some());
        assert!(stored(&place).await.is_empty());
    }
}
