//! The gateway's own subgraph: how a client's deliveries stand.
//!
//! Owns the schema, composed like any team's, and who may see what: a delivery
//! is seen by the caller who made it, or by whoever holds a configured scope;
//! one that nobody in particular made, by whoever holds its id. What a message
//! says is never shown.

use std::sync::Arc;
use std::sync::OnceLock;

use async_graphql::Context;
use async_graphql::EmptyMutation;
use async_graphql::EmptySubscription;
use async_graphql::Enum;
use async_graphql::ID;
use async_graphql::Object;
use async_graphql::Request;
use async_graphql::Schema;
use async_graphql::SimpleObject;
use async_graphql::Variables;
use bytes::Bytes;
use compose::SubgraphFile;
use plan::source::BoxFuture;
use queue::store;
use queue::store::Failure;
use queue::store::Status;
use serde_json::Value as Json;
use sources::LocalCaller;
use sources::LocalRequest;
use sources::LocalService;
use uuid::Uuid;

use super::Durable;
use super::identity::caller_of_key;
use super::outbox::rfc3339;

/// The subgraph's name, and its source's.
pub(crate) const NAME: &str = "switchboard-deliveries";

/// `PREFIX` stands before the names of types, `FIELD` for the field.
const SDL: &str = r#"extend schema @source(name: "switchboard-deliveries", graphql: { url: "local:" })
type Query {
  "A delivery of yours, or of nobody in particular; null where there is none of this id that you may see."
  FIELD(id: ID!): PREFIXDelivery @graphql(field: "delivery")
}
"A call that was made durable, on its way to a service."
type PREFIXDelivery {
  id: ID!
  queue: String!
  "The field of the mutation that made it."
  field: String!
  status: PREFIXDeliveryStatus!
  "Attempts so far."
  attempts: Int!
  acceptedAt: DateTime!
  "Where another attempt waits for its time."
  nextAttemptAt: DateTime
  deliveredAt: DateTime
  "What the last attempt came to, where it failed."
  error: PREFIXProblem
  correlationId: ID!
}
"Why an attempt failed."
type PREFIXProblem {
  "As in `extensions.code` of errors."
  code: String!
  title: String!
  "The HTTP status or gRPC code, or a word where there was none."
  status: String!
}
"How a queued call stands."
enum PREFIXDeliveryStatus { QUEUED DELIVERING RETRYING DELIVERED DEAD_LETTERED EXPIRED }
"A point in time, as RFC 3339 writes it."
scalar DateTime
"#;

/// The subgraph, as one more team's file.
pub(crate) fn subgraph(prefix: &str) -> SubgraphFile {
    let field = match prefix.chars().next() {
        None => "delivery".to_owned(),
        Some(first) => {
            let rest = &prefix[first.len_utf8()..];
            format!("{}{rest}Delivery", first.to_lowercase())
        }
    };
    SubgraphFile {
        name: NAME.to_owned(),
        file: "(the gateway's own)".to_owned(),
        sdl: SDL.replace("PREFIX", prefix).replace("FIELD", &field),
        ..SubgraphFile::default()
    }
}

/// Answers the subgraph's operations from the queue of this process.
pub(crate) struct Following {
    schema: Schema<Query, EmptyMutation, EmptySubscription>,
    /// Who may see every delivery.
    scope: Option<String>,
}

impl Following {
    pub(crate) fn new(durable: Arc<OnceLock<Durable>>, scope: Option<String>) -> Self {
        let schema = Schema::build(Query, EmptyMutation, EmptySubscription);
        Self {
            schema: schema.data(durable).finish(),
            scope,
        }
    }

    fn asker(&self, caller: &LocalCaller) -> Asker {
        let scope = self.scope.as_deref();
        Asker {
            name: caller.principal.as_deref().and_then(caller_of_key),
            sees_all: scope.is_some_and(|scope| has_scope(&caller.claims, scope)),
        }
    }
}

/// A space-separated `scope`, or a list in `scp` or `scope`.
fn has_scope(claims: &Json, scope: &str) -> bool {
    let holds = |claim: &Json| match claim {
        Json::String(scopes) => scopes.split(' ').any(|it| it == scope),
        Json::Array(scopes) => scopes.iter().any(|it| it == scope),
        _ => false,
    };
    ["scope", "scp"]
        .into_iter()
        .filter_map(|name| claims.get(name))
        .any(holds)
}

impl LocalService for Following {
    fn answer(&self, request: LocalRequest) -> BoxFuture<'_, Bytes> {
        let asker = self.asker(&request.caller);
        let request = Request::new(request.query)
            .operation_name(request.operation_name)
            .variables(Variables::from_json(Json::Object(request.variables)))
            .data(asker);
        Box::pin(async move {
            let response = self.schema.execute(request).await;
            serde_json::to_vec(&response).unwrap_or_default().into()
        })
    }
}

/// Who asks.
struct Asker {
    name: Option<String>,
    sees_all: bool,
}

impl Asker {
    fn may_see(&self, delivery: &store::Delivery) -> bool {
        match &delivery.caller {
            None => true,
            made_by => self.sees_all || *made_by == self.name,
        }
    }
}

struct Query;

#[Object]
impl Query {
    async fn delivery(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> async_graphql::Result<Option<Delivery>> {
        let asker = context.data::<Asker>()?;
        let durable = context.data::<Arc<OnceLock<Durable>>>()?.get();
        let (Some(durable), Ok(id)) = (durable, id.parse::<Uuid>()) else {
            return Ok(None);
        };
        let found = durable.queue.store.find(id).await.map_err(|error| {
            tracing::warn!(%error, "a delivery cannot be looked up");
            async_graphql::Error::new("The queue does not answer.")
        })?;
        let seen = found.filter(|delivery| asker.may_see(delivery));
        Ok(seen.map(Delivery::from))
    }
}

#[derive(SimpleObject)]
struct Delivery {
    id: ID,
    queue: String,
    field: String,
    status: DeliveryStatus,
    attempts: u32,
    accepted_at: String,
    next_attempt_at: Option<String>,
    delivered_at: Option<String>,
    error: Option<Problem>,
    correlation_id: ID,
}

#[derive(SimpleObject)]
struct Problem {
    code: String,
    title: String,
    status: String,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum DeliveryStatus {
    Queued,
    Delivering,
    Retrying,
    Delivered,
    DeadLettered,
    Expired,
}

impl From<store::Delivery> for Delivery {
    fn from(it: store::Delivery) -> Self {
        Self {
            id: it.id.to_string().into(),
            queue: it.queue,
            field: it.field,
            status: it.status.into(),
            attempts: it.attempts,
            accepted_at: rfc3339(it.accepted_at),
            next_attempt_at: it.next_attempt_at.map(rfc3339),
            delivered_at: it.delivered_at.map(rfc3339),
            error: it.error.map(Problem::from),
            correlation_id: it.correlation_id.into(),
        }
    }
}

/// What the operator alone may read stays out.
impl From<Failure> for Problem {
    fn from(it: Failure) -> Self {
        Self {
            code: it.code,
            title: it.message,
            status: it.status,
        }
    }
}

impl From<Status> for DeliveryStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued => Self::Queued,
            Status::Delivering => Self::Delivering,
            Status::Retrying => Self::Retrying,
            Status::Delivered => Self::Delivered,
            Status::DeadLettered => Self::DeadLettered,
            Status::Expired => Self::Expired,
        }
    }
}
