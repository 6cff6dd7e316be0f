//! Messages to try stores with.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use queue::Message;
use queue::message::Body;
use queue::message::Call;
use queue::message::Dedupe;
use queue::message::Retry;
use queue::store::Failure;
use queue::store::Progress;
use uuid::Uuid;

pub(crate) const MINUTE: u64 = 60_000;

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// One that waits for no other.
pub(crate) fn message(queue: &str) -> Message {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Message {
        id: Uuid::now_v7(),
        queue: queue.into(),
        field: "Mutation.requestReview".into(),
        key: None,
        source: "reviews".into(),
        call: Call {
            verb: "POST".into(),
            target: format!("/orders/{count}/review-requests"),
            headers: vec![("x-tenant".into(), Some("t1".into()))],
            body: Body(br#"{"email":"ada@example.com"}"#.to_vec()),
        },
        idempotency_key: format!("key-{count}"),
        dedupe: None,
        caller: Some("issuer|ada".into()),
        correlation_id: format!("correlation-{count}"),
        request_id: format!("request-{count}"),
        trace: None,
        accepted_at: now(),
        not_before: None,
        ttl: 24 * 60 * MINUTE,
        retry: Retry::default(),
        blocks: false,
    }
}

/// One in the line of a key.
pub(crate) fn keyed(queue: &str, key: &str) -> Message {
    Message {
        key: Some(key.into()),
        ..message(queue)
    }
}

/// One that holds its line when it dies.
pub(crate) fn blocking(queue: &str, key: &str) -> Message {
    Message {
        blocks: true,
        ..keyed(queue, key)
    }
}

pub(crate) fn deduplicated(queue: &str, key: &str, fingerprint: &str, window: u64) -> Message {
    Message {
        dedupe: Some(Dedupe {
            key: format!("{queue}/{key}"),
            fingerprint: fingerprint.into(),
            window,
        }),
        ..message(queue)
    }
}

pub(crate) fn failure(code: &str) -> Failure {
    Failure {
        code: code.into(),
        message: "not now".into(),
        status: "503".into(),
        internal: Some("http://10.0.0.7/ is away".into()),
        at: now(),
    }
}

/// What came of one failed attempt after another.
pub(crate) fn tried(before: &Progress, code: &str) -> Progress {
    let failure = failure(code);
    Progress {
        attempts: before.attempts + 1,
        first_error: before.first_error.clone().or(Some(failure.clone())),
        last_error: Some(failure),
        active_since: now(),
        ..before.clone()
    }
}
