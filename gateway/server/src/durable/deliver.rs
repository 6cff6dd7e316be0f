//! From a message to a call of the graph in service.
//!
//! Owns which field of the present graph a message belongs to, and what a
//! call's end means to the queue.

use std::sync::Arc;
use std::sync::Weak;

use compose::Supergraph;
use compose::model::Resolver;
use http::HeaderMap;
use http::HeaderValue;
use plan::outbox::Deferred;
use queue::Message;
use queue::clock::Clock;
use queue::deliver::Attempt;
use queue::deliver::Handler;
use queue::deliver::Outcome;
use queue::store::BoxFuture;
use queue::store::Failure;
use sources::Fate;
use sources::Label;
use sources::NotDelivered;
use uuid::Uuid;

use crate::edge::trace_context;
use crate::pipeline::Gateway;

/// Delivers over the graph that is in service when an attempt begins.
pub(crate) struct Deliver {
    gateway: Weak<Gateway>,
    clock: Clock,
}

impl Deliver {
    pub(crate) fn new(gateway: &Arc<Gateway>, clock: Clock) -> Self {
        Self {
            gateway: Arc::downgrade(gateway),
            clock,
        }
    }

    async fn attempt(&self, attempt: Attempt<'_>) -> Outcome {
        let Some(gateway) = self.gateway.upgrade() else {
            return self.leaving();
        };
        let graph = gateway.graph.load_full();
        let message = attempt.message;
        let call = deferred(message);
        let resolver = resolver(&graph.supergraph, message);
        let delivered = graph.deliver(&call, resolver, label(message, attempt.number));
        match delivered.await {
            Ok(()) => Outcome::Delivered,
            Err(failed) => self.outcome(failed),
        }
    }

    fn outcome(&self, failed: NotDelivered) -> Outcome {
        let after = failed.error.retry_after;
        let failure = Failure {
            code: failed.error.code.as_str().to_owned(),
            message: failed.error.message,
            status: failed.status,
            internal: failed.error.internal,
            at: self.clock.now(),
        };
        match failed.fate {
            Fate::Again { down } => Outcome::Again {
                failure,
                after,
                down,
            },
            Fate::Refused => Outcome::Refused(failure),
            Fate::Denied => Outcome::Denied(failure),
            Fate::NotSent => Outcome::NotSent { failure, after },
        }
    }

    /// The process is ending.
    fn leaving(&self) -> Outcome {
        Outcome::NotSent {
            failure: Failure {
                code: "CANCELLED".to_owned(),
                message: "The gateway is stopping.".to_owned(),
                status: "stopping".to_owned(),
                internal: None,
                at: self.clock.now(),
            },
            after: None,
        }
    }
}

impl Handler for Deliver {
    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.attempt(attempt))
    }
}

fn deferred(message: &Message) -> Deferred {
    Deferred {
        source: message.source.as_str().into(),
        verb: message.call.verb.clone(),
        target: message.call.target.clone(),
        headers: message.call.headers.clone(),
        body: message.call.body.0.clone(),
    }
}

/// The field that made it, where the present graph still queues it for the same source.
fn resolver<'g>(graph: &'g Supergraph, message: &Message) -> Option<&'g Resolver> {
    let (ty, field) = message.field.split_once('.')?;
    let field = graph.type_def(ty)?.fields.get(field)?;
    let mut resolvers = field.resolvers.iter().map(|id| graph.resolver(*id));
    resolvers.find(|it| it.queue.is_some() && graph.source(it.source).name == message.source)
}

fn label(message: &Message, attempt: u32) -> Label {
    let mut headers = HeaderMap::new();
    let parent = message.trace.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(parent)) = parent {
        headers.insert("traceparent", parent);
    }
    let request = Uuid::parse_str(&message.request_id).unwrap_or(message.id);
    Label {
        id: message.id.to_string(),
        attempt,
        idempotency_key: message.idempotency_key.clone(),
        correlation_id: message.correlation_id.as_str().into(),
        trace: trace_context::of(&headers, request),
    }
}
