//! One attempt at a call that was made durable before.
//!
//! Owns what such an attempt takes of the way to its source: its addresses, its
//! pace, its seats and its credentials, but not its breaker, which those who
//! wait for an answer depend on. What becomes of the call is the queue's.

use std::sync::Arc;
use std::time::Duration;

use compose::model::Resolver;
use http::HeaderName;
use http::HeaderValue;
use plan::code::Code;
use plan::outbox::Deferred;
use plan::source::SourceError;
use plan::source::TraceContext;

use super::labels::Labels;
use super::pursuit::Pursuit;
use super::until::Until;
use crate::calls::now;
use crate::failure::Failed;
use crate::failure::Unanswered;
use crate::failure::fixed_text;
use crate::protocol::Protocol;
use crate::service::CallPolicy;

const ATTEMPT: HeaderName = HeaderName::from_static("x-delivery-attempt");
const DELIVERY: HeaderName = HeaderName::from_static("x-delivery-id");

/// What goes with an attempt at a durable call.
#[derive(Debug, Clone)]
pub struct Label {
    /// What the client was told.
    pub id: String,
    /// 1 is the first.
    pub attempt: u32,
    /// What the service deduplicates by: the same on each attempt.
    pub idempotency_key: String,
    /// Of the request that made the call.
    pub correlation_id: Arc<str>,
    /// Of the request that made the call.
    pub trace: TraceContext,
}

/// An attempt that was not accepted.
#[derive(Debug, Clone)]
pub struct NotDelivered {
    /// What it means.
    pub fate: Fate,
    /// What a client may read of it, and what only the log has.
    pub error: Box<SourceError>,
    /// HTTP status or gRPC code; a word where there was none.
    pub status: String,
}

/// What a failed attempt means for its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Another may succeed; whether the service as a whole seems to be down.
    Again {
        /// It did not work at all, whatever was asked of it.
        down: bool,
    },
    /// The service refuses it for good.
    Refused,
    /// The service does not accept who asks.
    Denied,
    /// Nothing was sent.
    NotSent,
}

/// Makes one attempt.
pub(crate) async fn deliver<P: Protocol>(
    protocol: &Arc<P>,
    call: &Deferred,
    resolver: Option<&Resolver>,
    label: Label,
) -> Result<(), NotDelivered> {
    let call = protocol.resume(call, resolver);
    let call = call.map_err(|why| unsendable(&**protocol, &why))?;
    let policy = protocol.service().delivery_policy(resolver);
    let until = Until::At(now() + longest(&policy));
    let pursuit = Pursuit {
        protocol: protocol.clone(),
        effects: None,
        idempotency_key: HeaderValue::try_from(&label.idempotency_key).ok(),
        labels: Labels::of_delivery(&label, extra(&label)),
        fault: protocol.service().settings.fault,
        policy: Arc::new(policy),
        watched: false,
        call,
        until,
    };
    let came = pursuit.run().await;
    match came.brought {
        Ok(raw) => match protocol.refusal(&raw, resolver) {
            None => Ok(()),
            Some(error) => {
                let status = protocol.status(&raw).to_string();
                Err(NotDelivered {
                    fate: fate_of_answer(error.code, &status),
                    error: Box::new(error),
                    status,
                })
            }
        },
        Err(failed) => Err(not_delivered(failed)),
    }
}

/// Room for a seat, credentials and one attempt.
fn longest(policy: &CallPolicy) -> Duration {
    const BEFORE: Duration = Duration::from_secs(5);
    policy.limit + BEFORE
}

fn extra(label: &Label) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![(ATTEMPT, HeaderValue::from(label.attempt))];
    headers.extend(
        HeaderValue::try_from(&label.id)
            .ok()
            .map(|id| (DELIVERY, id)),
    );
    headers
}

fn unsendable<P: Protocol>(protocol: &P, why: &str) -> NotDelivered {
    let name = &protocol.service().name;
    not_delivered(Failed::new(Unanswered::Unsendable, name, why))
}

fn not_delivered(failed: Failed) -> NotDelivered {
    NotDelivered {
        fate: fate_of_silence(failed.how),
        status: failed.how.word().to_owned(),
        error: Box::new(failed.error),
    }
}

/// By the classes of the error table: what is the service's fault is tried again.
fn fate_of_answer(code: Code, status: &str) -> Fate {
    match code {
        Code::Unauthenticated | Code::Forbidden => Fate::Denied,
        Code::RateLimited | Code::Cancelled => Fate::Again { down: false },
        Code::UpstreamError
        | Code::UpstreamUnavailable
        | Code::UpstreamTimeout
        | Code::UpstreamInvalidResponse => Fate::Again { down: true },
        // Somebody else was faster: the call itself is in order.
        Code::Conflict if status == "ABORTED" => Fate::Again { down: false },
        _ => Fate::Refused,
    }
}

fn fate_of_silence(how: Unanswered) -> Fate {
    match how {
        Unanswered::Unsendable => Fate::Refused,
        Unanswered::NotBegun
        | Unanswered::CircuitOpen
        | Unanswered::NoSeat
        | Unanswered::RateLimited
        | Unanswered::NoCredentials => Fate::NotSent,
        // It answered, with more than anybody reads or with what is none of its protocol.
        Unanswered::TooLarge | Unanswered::Unreadable => Fate::Again { down: false },
        Unanswered::Unreachable
        | Unanswered::Unprocessed
        | Unanswered::Broken
        | Unanswered::BrokenReply
        | Unanswered::TimedOut
        | Unanswered::OutOfTime => Fate::Again { down: true },
    }
}

/// The text of a failure for whom nothing else is known.
pub(crate) fn no_such_source(name: &Arc<str>) -> NotDelivered {
    let code = Code::UpstreamUnavailable;
    let error = SourceError::new(code, name, fixed_text(code));
    NotDelivered {
        fate: Fate::NotSent,
        error: Box::new(error.internal("the graph has no source of this name")),
        status: "no source".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_services_fault_is_tried_again_and_what_is_the_calls_is_not() {
        let down = Fate::Again { down: true };
        let busy = Fate::Again { down: false };
        for (code, status, fate) in [
            (Code::BadUserInput, "422", Fate::Refused),
            (Code::NotFound, "404", Fate::Refused),
            (Code::Conflict, "409", Fate::Refused),
            (Code::Conflict, "ALREADY_EXISTS", Fate::Refused),
            (Code::Conflict, "ABORTED", busy),
            (Code::Unauthenticated, "401", Fate::Denied),
            (Code::Forbidden, "PERMISSION_DENIED", Fate::Denied),
            (Code::RateLimited, "429", busy),
            (Code::UpstreamError, "500", down),
            (Code::UpstreamUnavailable, "503", down),
            (Code::UpstreamTimeout, "DEADLINE_EXCEEDED", down),
        ] {
            assert_eq!(fate_of_answer(code, status), fate, "{status}");
        }
    }
}
