//! What operators read of the durable queue: JSON.
//!
//! Owns which parts of a message are told. Ids, keys, callers and failures are;
//! what is delivered is told as lengths and kinds unless it is revealed, since
//! it is the callers' data.

use chrono::DateTime;
use chrono::SecondsFormat;
use queue::Message;
use queue::Standing;
use queue::deliver::LaneTold;
use queue::deliver::OUTCOMES;
use queue::deliver::Told;
use queue::message::Body;
use queue::message::Call;
use queue::store::DeadLetter;
use queue::store::Delivery;
use queue::store::Failure;
use queue::store::Shown;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

/// How one queue stands.
pub(super) fn standing(standing: &Standing) -> Json {
    let depth = &standing.depth;
    let known_here = || standing.told.as_ref()?.paused.as_ref();
    let paused = depth.paused.as_ref().or_else(known_here).map(|paused| {
        json!({
            "reason": paused.reason,
            "since": time(paused.since),
            "by_operator": paused.by_operator,
        })
    });
    json!({
        "queue": depth.queue,
        "waiting": depth.waiting,
        "bytes": depth.bytes,
        "oldest": depth.oldest.map(time),
        "dead": depth.dead,
        "paused": paused,
        "here": standing.told.as_ref().map(here),
    })
}

/// What this process has done.
fn here(told: &Told) -> Json {
    let numbers = &told.numbers;
    let attempts = OUTCOMES.into_iter().zip(numbers.outcomes());
    let attempts: Map<String, Json> = attempts.map(|(it, n)| (it.to_owned(), n.into())).collect();
    json!({
        "in_flight": numbers.in_flight.get(),
        "attempts": attempts,
        "sources": told.lanes.iter().map(lane).collect::<Vec<_>>(),
    })
}

fn lane(lane: &LaneTold) -> Json {
    json!({
        "source": lane.source,
        "state": lane.state.as_str(),
        "next_try_at": lane.next_try_at.map(time),
    })
}

/// One message with everything that is stored of it.
pub(super) fn shown(shown: &Shown, reveal: bool) -> Json {
    let progress = &shown.progress;
    let mut told = delivery(&shown.delivery);
    told["first_error"] = progress.first_error.as_ref().map(failure).into();
    told["lived_ms"] = progress.lived.into();
    told["message"] = match &shown.message {
        Some(it) => message(it, reveal),
        None => Json::Null,
    };
    told
}

/// A message that was given up.
pub(super) fn dead_letter(letter: &DeadLetter) -> Json {
    let mut told = delivery(&letter.delivery);
    told["reason"] = letter.reason.as_str().into();
    told["died_at"] = time(letter.died_at).into();
    told["blocks"] = letter.blocks.into();
    told["first_error"] = letter.first_error.as_ref().map(failure).into();
    told["request_id"] = letter.request_id.as_str().into();
    told
}

fn delivery(it: &Delivery) -> Json {
    json!({
        "id": it.id.to_string(),
        "queue": it.queue,
        "field": it.field,
        "caller": it.caller,
        "correlation_id": it.correlation_id,
        "status": it.status.as_str(),
        "attempts": it.attempts,
        "accepted_at": time(it.accepted_at),
        "next_attempt_at": it.next_attempt_at.map(time),
        "delivered_at": it.delivered_at.map(time),
        "error": it.error.as_ref().map(failure),
    })
}

fn failure(it: &Failure) -> Json {
    json!({
        "code": it.code,
        "message": it.message,
        "status": it.status,
        "internal": it.internal,
        "at": time(it.at),
    })
}

fn message(it: &Message, reveal: bool) -> Json {
    let mut told = json!({
        "key": it.key,
        "source": it.source,
        "idempotency_key": it.idempotency_key,
        "request_id": it.request_id,
        "trace": it.trace,
        "not_before": it.not_before.map(time),
        "ttl_ms": it.ttl,
        "attempts": it.retry.attempts,
        "blocks": it.blocks,
    });
    told["call"] = match reveal {
        true => revealed(&it.call),
        false => redacted(&it.call),
    };
    told
}

fn revealed(call: &Call) -> Json {
    let headers = call.headers.iter();
    let headers: Vec<Json> = headers.map(|(name, value)| json!([name, value])).collect();
    json!({
        "verb": call.verb,
        "target": call.target,
        "headers": headers,
        "body": call.body,
    })
}

/// Query parameters are what callers wrote, like the body; the path is what one looks for.
fn redacted(call: &Call) -> Json {
    let (path, query) = match call.target.split_once('?') {
        Some((path, query)) => (path, Some(query.len())),
        None => (&*call.target, None),
    };
    let headers = call.headers.iter();
    let length = |value: &Option<String>| json!({ "bytes": value.as_ref().map(String::len) });
    let headers: Vec<Json> = headers
        .map(|(name, value)| json!([name, length(value)]))
        .collect();
    json!({
        "verb": call.verb,
        "target": path,
        "query": query.map(|bytes| json!({ "bytes": bytes })),
        "headers": headers,
        "body": { "bytes": call.body.0.len(), "kind": kind(&call.body) },
    })
}

fn kind(body: &Body) -> &'static str {
    match std::str::from_utf8(&body.0) {
        Ok("") => "none",
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => "json",
        Ok(_) => "text",
        Err(_) => "bytes",
    }
}

/// RFC 3339, from milliseconds since the Unix epoch.
fn time(millis: u64) -> Option<String> {
    let time = i64::try_from(millis).ok()?;
    let time = DateTime::from_timestamp_millis(time)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::message::message as stored;

    #[test]
    fn what_callers_wrote_is_told_as_lengths_and_kinds() {
        let mut said = stored(1);
        said.call.target.push_str("?to=ada@example.com");
        let told = message(&said, false);
        assert_eq!(
            told["call"],
            json!({
                "verb": "POST",
                "target": "/orders/7/review-requests",
                "query": { "bytes": 18 },
                "headers": [["x-tenant", { "bytes": 2 }]],
                "body": { "bytes": 27, "kind": "json" },
            })
        );
        assert!(!told.to_string().contains("ada@"));
        let told = message(&said, true);
        assert_eq!(told["call"]["headers"], json!([["x-tenant", "t1"]]));
        assert_eq!(
            told["call"]["body"],
            json!({ "text": "{\"email\":\"ada@example.com\"}" })
        );
    }

    #[test]
    fn bodies_are_of_four_kinds() {
        let kind = |bytes: &[u8]| kind(&Body(bytes.to_vec()));
        assert_eq!(kind(b""), "none");
        assert_eq!(kind(b"{}"), "json");
        assert_eq!(kind(b"a=b"), "text");
        assert_eq!(kind(&[0xff]), "bytes");
    }

    #[test]
    fn times_are_told_as_people_read_them() {
        assert_eq!(
            time(1_730_000_000_123).as_deref(),
            Some("2024-10-27T03:33:20.123Z")
        );
        assert_eq!(time(u64::MAX), None);
    }
}
