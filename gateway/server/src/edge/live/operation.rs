//! One operation of a socket or a stream, from its parameters to its last response.
//!
//! Owns that each is charged, admitted, verified and logged as a request of
//! its own. It runs on a task; whoever listens ends it by no longer listening.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::denied;
use super::super::graphql;
use super::super::ids::Ids;
use super::super::keyed;
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::trace_context;
use super::client::Client;
use crate::admission::Overloaded;
use crate::authenticate::Principal;
use crate::graph::Graph;
use crate::observe::log;
use crate::observe::recording::Wanted;
use crate::observe::seen::Seen;
use crate::observe::seen::Watched;
use crate::observe::stages::Stage;
use crate::observe::stages::Stages;
use crate::pipeline::Begun;
use crate::pipeline::Caller;
use crate::pipeline::Carries;
use crate::pipeline::Event;
use crate::pipeline::GraphqlRequest;
use crate::pipeline::NotRun;
use crate::pipeline::Wants;
use crate::rate_limits::Standings;
use crate::refusal;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// What an operation tells.
#[derive(Debug)]
pub(super) enum Told {
    /// It is a subscription, and may take long.
    Begun,
    /// A response.
    Next(Bytes),
    /// A response with errors, after which nothing comes.
    Failed(Bytes),
    /// It was not run, for this reason; with the correlation id.
    Problem(Box<Problem>, Arc<str>),
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Next(body) => Told::Next(body),
            Event::Failed(body) => Told::Failed(body),
        }
    }
}

/// Where the parameters stand.
#[derive(Debug)]
pub(super) enum Asked {
    /// In a JSON object.
    Body(Bytes),
    /// In a query string.
    Query(String),
}

/// An operation that is to run.
pub(super) struct Operation {
    pub(super) client: Arc<Client>,
    pub(super) asked: Asked,
    pub(super) carries: Carries,
    /// Of the request, where it is the request's only operation.
    pub(super) ids: Ids,
}

impl Operation {
    /// One of several of a socket: its ids are its own. A client may label it: `extensions: { correlationId: … }`.
    pub(super) fn of_socket(client: Arc<Client>, payload: String) -> Self {
        let mut headers = HeaderMap::new();
        let label = serde_json::from_str(&payload).ok().and_then(label);
        if let Some(label) = label {
            headers.insert(CORRELATION_ID, label);
        }
        Self {
            ids: Ids::of(&headers),
            client,
            asked: Asked::Body(payload.into()),
            carries: Carries {
                mutations: true,
                subscriptions: true,
            },
        }
    }

    /// Runs it. So many responses may wait to be received.
    pub(super) fn begin(self, buffer: usize) -> mpsc::Receiver<Told> {
        let (to, told) = mpsc::channel(buffer);
        let labels = self.ids.labels();
        let task = async move {
            if let Err(problem) = self.run(&to).await {
                let correlation = self.ids.correlation.clone();
                // Whoever does not listen any more does not miss it.
                let _ = to.send(Told::Problem(Box::new(problem), correlation)).await;
            }
        };
        tokio::spawn(log::on_behalf(labels, task));
        told
    }

    async fn run(&self, to: &mpsc::Sender<Told>) -> Result<(), Problem> {
        let gateway = &self.client.gateway;
        let received = Instant::now();
        let graph = gateway.graph.load_full();
        let time = graphql::granted(&graph.settings).time(&self.client.headers);
        let admitted = gateway.admission.admit(|| time).await;
        let admitted = admitted.map_err(|Overloaded| graphql::overloaded())?;
        let deadline = received + time;
        let principal = self.client.principal(&graph, deadline).await?;
        let mut params = self.params(&graph, &principal, deadline).await?;
        let (caller, wanted) = self.caller(&graph, principal, received, time)?;
        let mut seen = self.seen(&graph, &caller, wanted);
        let mut standings = Standings::default();
        let variables = std::mem::take(&mut params.variables);
        let request = GraphqlRequest {
            contract: self.client.contract.as_deref(),
            document: params.asked(),
            operation_name: params.operation_name.as_deref(),
            variables,
            carries: self.carries,
            wants: Wants {
                cost: params.wants.cost || graphql::asks_for_cost(&caller.headers),
                ..params.wants
            },
            caller,
            admitted: &admitted,
            standings: &mut standings,
            seen: &mut seen,
        };
        let begun = tokio::select! {
            biased;
            () = to.closed() => return Ok(()),
            begun = gateway.begin(&graph, request) => begun,
        };
        let told = match begun {
            Ok(Begun::Subscription(subscription)) => {
                drop(admitted);
                // Whoever does not listen any more is noticed by what follows.
                let _ = to.send(Told::Begun).await;
                seen.streamed(&subscription.run(to).await);
                return Ok(());
            }
            Ok(Begun::Answer(answer)) => {
                seen.answered(&answer, StatusCode::OK);
                Told::Next(answer.body)
            }
            Err(NotRun::Refused(refusal)) => {
                seen.refused(refusal.code, StatusCode::OK);
                Told::Failed(refusal::body(&refusal, &self.ids.correlation))
            }
            Err(NotRun::Denied(denied)) => {
                return Err(seen.problem(denied::problem(&denied, &standings)));
            }
            Err(NotRun::Key(refused)) => return Err(seen.problem(keyed::problem(refused))),
            Err(NotRun::NotTrusted) => return Err(seen.problem(graphql::not_trusted())),
            Err(NotRun::NotServed) => return Err(seen.problem(graphql::nothing_here())),
            Err(NotRun::MutationOverGet) => {
                return Err(seen.problem(graphql::mutation_over_get()));
            }
        };
        // Whoever does not listen any more does not miss it.
        let _ = to.send(told).await;
        Ok(())
    }

    /// What is refused before it is an operation counts as one all the same.
    async fn params(
        &self,
        graph: &Graph,
        principal: &Principal,
        deadline: Instant,
    ) -> Result<Params<'_>, Problem> {
        let depth = graph.settings.http.json_depth;
        let params = match &self.asked {
            Asked::Body(body) => Params::of_body(body, depth),
            Asked::Query(query) => Params::of_query(query, depth),
        };
        match params {
            Ok(params) => Ok(params),
            Err(problem) => {
                let address = self.client.address;
                Err(graphql::charged(graph, principal, address, deadline, problem).await)
            }
        }
    }

    fn caller(
        &self,
        graph: &Graph,
        principal: Principal,
        received: Instant,
        time: Duration,
    ) -> Result<(Caller, Wanted), Problem> {
        let headers = self.client.headers.clone();
        let mut trace = trace_context::of(&headers, self.ids.request);
        let tracer = self.client.gateway.tracer.as_ref();
        let wanted = Wanted {
            sampled: tracer.is_some_and(|tracer| tracer.samples(&mut trace)),
            slow: graph.settings.slow_log.is_some(),
        };
        let caller = Caller {
            rehearsal: graphql::rehearsal(graph, &headers)?,
            principal,
            address: self.client.address,
            correlation_id: self.ids.correlation.clone(),
            request_id: self.ids.request,
            trace,
            headers,
            received,
            deadline: received + time,
        };
        Ok((caller, wanted))
    }

    fn seen<'g>(&'g self, graph: &'g Graph, caller: &Caller, wanted: Wanted) -> Seen<'g> {
        let stages = Stages::begin(wanted.by_anybody(), caller.received);
        stages.ended(Stage::Authenticate);
        let watched = Watched {
            graph,
            tracer: self.client.gateway.tracer.as_ref(),
            wanted,
            stages,
        };
        Seen::begin(watched, caller, self.ids.request)
    }
}

/// The members of an operation that are of interest before it is one.
#[derive(Deserialize)]
struct Labelled {
    extensions: Option<Label>,
}

#[derive(Deserialize)]
struct Label {
    #[serde(rename = "correlationId")]
    correlation_id: Option<String>,
}

fn label(labelled: Labelled) -> Option<HeaderValue> {
    HeaderValue::try_from(labelled.extensions?.correlation_id?).ok()
}
