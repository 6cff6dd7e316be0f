//! The durable queue on the port of operators: how it stands, dead letters, pauses.
//!
//! Owns what operators read of it and may write. What is delivered is told as
//! lengths and kinds, unless it is asked for in so many words; each change and
//! each look at what is delivered is a line of the audit log.

mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::rejection::PathRejection;
use axum::extract::rejection::QueryRejection;
use axum::routing::delete;
use axum::routing::get;
use axum::routing::post;
use http::request::Parts;
use http_body_util::Full;
use queue::Queue;
use queue::Which;
use queue::clock::Clock;
use queue::store::NotRetried;
use queue::store::Status;
use queue::store::Unavailable;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::Response;
use super::admin::Operator;
use super::body;
use super::problem::Kind;
use super::problem::Problem;
use super::routes::post_only;
use crate::observe::audit;

/// Bytes of a request.
const LARGEST: usize = 4 * 1024;
/// Time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Dead letters of one answer, and the most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;
/// Of a reason for a pause.
const LONGEST_REASON: usize = 500;

/// The queue of this process: there is none until a graph queues calls.
pub(super) type Find = Arc<dyn Fn() -> Option<Arc<Queue>> + Send + Sync>;

/// The queue, where there is one.
struct Here(Arc<Queue>);

impl FromRequestParts<Find> for Here {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, find: &Find) -> Result<Self, Problem> {
        find().map(Self).ok_or_else(no_queue)
    }
}

/// What operators ask of the queue and tell it.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(find: Find) -> Router<S> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/{queue}/pause", post(pause).fallback(post_only))
        .route("/queues/{queue}/resume", post(resume).fallback(post_only))
        .route("/deliveries/{id}", get(show))
        .route("/dead-letters", get(dead_letters))
        .route("/dead-letters/retry", post(retry_all).fallback(post_only))
        .route("/dead-letters/purge", post(purge_all).fallback(post_only))
        .route("/dead-letters/{id}/retry", post(retry).fallback(post_only))
        .route("/dead-letters/{id}", delete(purge).fallback(delete_only))
        .route(
            "/callers/{caller}/deliveries",
            delete(erase).fallback(delete_only),
        )
        .with_state(find)
}

type Answer = Result<Response, Problem>;
type Named = Result<Path<String>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    #[serde(default)]
    reveal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Letters {
    queue: Option<String>,
    after: Option<Uuid>,
    #[serde(default = "page")]
    most: usize,
}

fn page() -> usize {
    PAGE
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Force {
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfQueue {
    queue: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Many {
    queue: Option<String>,
    /// `DEAD_LETTERED` or `EXPIRED`.
    status: Option<Status>,
    /// Seconds since they died, at least.
    older_than: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Why {
    reason: Option<String>,
}

async fn list(Here(queue): Here) -> Answer {
    let standings = queue.standings().await.map_err(unavailable)?;
    let queues: Vec<Json> = standings.iter().map(told::standing).collect();
    Ok(answer(&json!({ "queues": queues })))
}

async fn show(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    id: Named,
    look: Asked<Look>,
) -> Answer {
    let id = message(id)?;
    let Query(Look { reveal }) = look.map_err(malformed)?;
    let shown = queue.store.show(id).await.map_err(unavailable)?;
    let shown = shown.ok_or_else(no_message)?;
    if reveal {
        acted(&operator, &format!("queue reveal {id}"), "done");
    }
    Ok(answer(&told::shown(&shown, reveal)))
}

async fn dead_letters(Here(queue): Here, letters: Asked<Letters>) -> Answer {
    let Query(asked) = letters.map_err(malformed)?;
    let most = asked.most.clamp(1, LARGEST_PAGE);
    let letters = queue
        .store
        .dead_letters(asked.queue.as_deref(), asked.after, most);
    let letters = letters.await.map_err(unavailable)?;
    let next = letters.last().filter(|_| letters.len() == most);
    let next = next.map(|letter| letter.delivery.id.to_string());
    let letters: Vec<Json> = letters.iter().map(told::dead_letter).collect();
    Ok(answer(&json!({ "dead_letters": letters, "next": next })))
}

async fn retry(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: http::Request<Body>,
) -> Answer {
    let id = message(id)?;
    let Force { force } = read(request).await?;
    let retried = queue.store.retry(id, force).await;
    let action = match force {
        true => format!("queue retry {id} by force"),
        false => format!("queue retry {id}"),
    };
    acted(&operator, &action, outcome(&retried));
    retried.map_err(not_retried)?;
    Ok(answer(&json!({ "retried": 1 })))
}

async fn retry_all(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    request: http::Request<Body>,
) -> Answer {
    let OfQueue { queue: name } = read(request).await?;
    known(&queue, &name).await?;
    let came = queue.retry_all(&name).await;
    acted(
        &operator,
        &format!("queue retry all of {name}"),
        outcome(&came),
    );
    let came = came.map_err(unavailable)?;
    Ok(answer(&json!({
        "retried": came.retried,
        "moved_on": came.moved_on,
        "damaged": came.damaged,
    })))
}

async fn purge(Here(queue): Here, Extension(operator): Extension<Operator>, id: Named) -> Answer {
    let id = message(id)?;
    let purged = queue.store.purge(id).await;
    acted(&operator, &format!("queue purge {id}"), outcome(&purged));
    match purged.map_err(unavailable)? {
        true => Ok(answer(&json!({ "purged": 1 }))),
        false => Err(no_dead_letter()),
    }
}

async fn purge_all(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    request: http::Request<Body>,
) -> Answer {
    let many: Many = read(request).await?;
    if many.queue.is_none() && many.status.is_none() && many.older_than.is_none() {
        let detail = "Say which: `queue`, `status`, `older_than` in seconds, or several of them.";
        return Err(Problem::malformed(detail));
    }
    if let Some(name) = &many.queue {
        known(&queue, name).await?;
    }
    let age = |seconds: u64| {
        Clock::default()
            .now()
            .saturating_sub(seconds.saturating_mul(1_000))
    };
    let which = Which {
        queue: many.queue,
        status: many.status,
        before: many.older_than.map(age),
    };
    let purged = queue.purge_all(&which).await;
    let action = format!("queue purge all of {which:?}");
    acted(&operator, &action, outcome(&purged));
    Ok(answer(&json!({ "purged": purged.map_err(unavailable)? })))
}

async fn pause(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    name: Named,
    request: http::Request<Body>,
) -> Answer {
    let Path(name) = name.map_err(malformed)?;
    let Why { reason } = read(request).await?;
    let reason = reason.unwrap_or_else(|| "an operator asked for it".to_owned());
    if reason.len() > LONGEST_REASON {
        let detail = format!("A reason has at most {LONGEST_REASON} bytes.");
        return Err(Problem::malformed(detail));
    }
    known(&queue, &name).await?;
    let paused = queue.deliveries.pause(&name, &reason).await;
    acted(&operator, &format!("queue pause {name}"), outcome(&paused));
    paused.map_err(unavailable)?;
    Ok(answer(&json!({ "queue": name, "paused": true })))
}

async fn resume(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    name: Named,
) -> Answer {
    let Path(name) = name.map_err(malformed)?;
    known(&queue, &name).await?;
    let resumed = queue.deliveries.resume(&name).await;
    acted(
        &operator,
        &format!("queue resume {name}"),
        outcome(&resumed),
    );
    resumed.map_err(unavailable)?;
    Ok(answer(&json!({ "queue": name, "paused": false })))
}

async fn erase(
    Here(queue): Here,
    Extension(operator): Extension<Operator>,
    caller: Named,
) -> Answer {
    let Path(caller) = caller.map_err(malformed)?;
    let erased = queue.store.erase(&caller).await;
    acted(
        &operator,
        &format!("queue erase {caller}"),
        outcome(&erased),
    );
    let erased = erased.map_err(unavailable)?;
    Ok(answer(&json!({ "erased": erased })))
}

/// A name that is nobody's would change nothing, and nobody would notice.
async fn known(queue: &Queue, name: &str) -> Result<(), Problem> {
    match queue.knows(name).await.map_err(unavailable)? {
        true => Ok(()),
        false => {
            let detail = "There is no queue of this name. GET /queues lists them.";
            Err(Problem::new(Kind::NotFound, detail))
        }
    }
}

/// What is written; nothing is an empty object.
async fn read<T: DeserializeOwned>(request: http::Request<Body>) -> Result<T, Problem> {
    let body = body::read(request.into_body(), LARGEST, Instant::now() + PATIENCE).await?;
    let body = if body.is_empty() { &b"{}"[..] } else { &body };
    serde_json::from_slice(body).map_err(malformed)
}

fn message(id: Named) -> Result<Uuid, Problem> {
    let Path(id) = id.map_err(malformed)?;
    id.parse()
        .map_err(|_| Problem::malformed("An id is a UUID, as GET /dead-letters tells them."))
}

fn answer(body: &Json) -> Response {
    let mut response = Response::new(Full::from(body.to_string()));
    let json = http::HeaderValue::from_static("application/json");
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, json);
    response
}

fn acted(operator: &Operator, action: &str, outcome: &str) {
    audit::acted(&operator.address, operator.name.as_deref(), action, outcome);
}

fn outcome<T, E>(result: &Result<T, E>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(_) => "refused",
    }
}

fn malformed(error: impl std::fmt::Display) -> Problem {
    Problem::malformed(error.to_string())
}

fn unavailable(error: Unavailable) -> Problem {
    tracing::warn!(%error, "an operator's question cannot be answered");
    let detail = "The store of the queue does not answer. The log says why.";
    Problem::new(Kind::QueueUnavailable, detail)
}

fn not_retried(why: NotRetried) -> Problem {
    match why {
        NotRetried::Unknown => no_dead_letter(),
        NotRetried::MovedOn => Problem::new(
            Kind::NotRetried,
            "Later messages of its key were delivered or wait: it would come after them. With force it does.",
        ),
        NotRetried::Damaged => Problem::new(
            Kind::NotRetried,
            "What was stored of it cannot be read. It can only be deleted.",
        ),
        NotRetried::Unavailable(error) => unavailable(error),
    }
}

fn no_message() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is no message of this id, or it was delivered so long ago that it is forgotten.",
    )
}

fn no_dead_letter() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is no dead letter of this id. GET /dead-letters lists them.",
    )
}

fn no_queue() -> Problem {
    Problem::new(
        Kind::NotFound,
        "This gateway has no durable queue: no field of its graph is marked with @queue.",
    )
}

async fn delete_only() -> Problem {
    Problem::method_not_allowed("DELETE", "Only DELETE is answered here.")
}

#[cfg(test)]
mod tests;
