//! `/graphql`: GraphQL over HTTP.
//!
//! Owns the order in which a request is judged and the status of its answer:
//! <https://graphql.github.io/graphql-over-http/draft/>

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header::ACCEPT_ENCODING;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_ENCODING;
use http::header::CONTENT_TYPE;
use http::header::RETRY_AFTER;
use http::header::WWW_AUTHENTICATE;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http_body_util::Full;
use plan::Refusal;
use plan::propagated::for_one_client;
use plan::rehearsal::Rehearsal;
use plan::source::TraceContext;
use tokio::time::Instant;

use super::Request;
use super::Response;
use super::batch;
use super::body;
use super::client_deadline::Granted;
use super::csrf;
use super::denied;
use super::ids::Ids;
use super::keyed;
use super::negotiate;
use super::negotiate::ContentType;
use super::negotiate::MediaType;
use super::params;
use super::params::Params;
use super::problem::Kind;
use super::problem::Problem;
use super::status;
use super::trace_context;
use crate::admission::Admitted;
use crate::admission::Overloaded;
use crate::authenticate::Denied;
use crate::authenticate::Principal;
use crate::authenticate::Timestamp;
use crate::cache;
use crate::config::Config;
use crate::deadline::until;
use crate::graph::Graph;
use crate::observe::recording::Wanted;
use crate::observe::seen::Seen;
use crate::observe::seen::Watched;
use crate::observe::stages::Stage;
use crate::observe::stages::Stages;
use crate::pipeline;
use crate::pipeline::Answer;
use crate::pipeline::Caller;
use crate::pipeline::Carries;
use crate::pipeline::Gateway;
use crate::pipeline::GraphqlRequest;
use crate::pipeline::NotRun;
use crate::pipeline::Wants;
use crate::rate_limits::Standings;
use crate::refusal;
use crate::rehearse;

/// What is known of a request before it is read.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'r> {
    pub(super) gateway: &'r Arc<Gateway>,
    pub(super) ids: &'r Ids,
    /// The part of the graph that is asked; none for the whole.
    pub(super) contract: Option<&'r Arc<str>>,
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    pub(super) received: Instant,
}

/// Answers one request, whatever it is.
pub(super) async fn serve(arrival: Arrival<'_>, request: Request) -> Result<Response, Problem> {
    let admission = &arrival.gateway.admission;
    let admitted = admission.admit(|| arrival.time(request.headers())).await;
    let admitted = admitted.map_err(|Overloaded| overloaded())?;
    match *request.method() {
        Method::POST => post(arrival, &admitted, request).await,
        Method::GET => get(arrival, &admitted, request).await,
        _ => Err(Problem::method_not_allowed(
            "GET, POST",
            "GraphQL is served to GET and POST.",
        )),
    }
}

async fn post(
    arrival: Arrival<'_>,
    admitted: &Admitted<'_>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let media = negotiate::accepted(&head.headers)?;
    let content = ContentType::of(&head.headers);
    if content != ContentType::Json {
        return Err(unsupported());
    }
    csrf::check(&head.headers, content)?;
    let run = Run::begin(arrival, admitted, media, &head.headers).await?;
    let limits = &run.graph.settings.http;
    let whole = run.deadline.min(Instant::now() + limits.body_time);
    let body = body::read(body, limits.body, whole).await;
    let body = run.charging(&head.headers, body).await?;
    if params::is_list(&body) {
        return Box::pin(batch::answer(&run, &body, &head.headers)).await;
    }
    let params = Params::of_body(&body, run.graph.settings.http.json_depth)
        .map_err(|problem| compressed(&head.headers).unwrap_or(problem));
    let params = run.charging(&head.headers, params).await?;
    run.answer(params, head.headers, true).await
}

async fn get(
    arrival: Arrival<'_>,
    admitted: &Admitted<'_>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let media = negotiate::accepted(&head.headers)?;
    let content = ContentType::of(&head.headers);
    if content == ContentType::Other {
        return Err(unsupported());
    }
    csrf::check(&head.headers, content)?;
    let run = Run::begin(arrival, admitted, media, &head.headers).await?;
    let query = head.uri.query().unwrap_or("");
    let params = Params::of_query(query, run.graph.settings.http.json_depth);
    let params = run.charging(&head.headers, params).await?;
    run.answer(params, head.headers, false).await
}

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What services have said to the client. What is not whole is nothing to keep, whatever they say; and nobody but the client keeps it.
fn propagated(given: Vec<(HeaderName, HeaderValue)>, whole: bool, headers: &mut HeaderMap) {
    for (name, value) in given {
        if name != CACHE_CONTROL {
            headers.append(name, value);
        } else if whole {
            headers.insert(name, for_one_client(&value));
        }
    }
}

/// Who comes back does not come back with all others at once.
pub(super) fn overloaded() -> Problem {
    let seconds = HeaderValue::from(rand::random_range(1..=3_u16));
    let detail = "The gateway has no room for this request now. Nothing was run.";
    Problem::new(Kind::Overloaded, detail).header(RETRY_AFTER, seconds)
}

pub(super) fn nothing_here() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is nothing here. GraphQL is served at /graphql.",
    )
}

pub(super) fn not_trusted() -> Problem {
    let detail = "Only documents that are known here beforehand are run. Send the id of one.";
    Problem::new(Kind::DocumentNotTrusted, detail).member("code", "DOCUMENT_NOT_TRUSTED")
}

pub(super) fn mutation_over_get() -> Problem {
    Problem::method_not_allowed("POST", "A mutation is sent with POST.")
}

/// Who asks, where the operator wants to know.
pub(super) async fn principal(
    graph: &Graph,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Principal, Problem> {
    let authenticator = &graph.authenticator;
    let asked = authenticator.authenticate(headers, Timestamp::now());
    let asked = until(deadline, asked).await;
    asked.unwrap_or(Err(Denied::KeysAway)).map_err(|denied| {
        graph.metrics.not_authenticated(denied);
        match denied {
            Denied::KeysAway => Problem::new(Kind::KeysUnavailable, denied.detail()),
            denied => {
                let challenge = authenticator.challenge(denied);
                let problem = Problem::new(Kind::Unauthenticated, denied.detail());
                problem.header(WWW_AUTHENTICATE, challenge)
            }
        }
    })
}

/// A compressed body is not decompressed, but its sender is told why it could not be read.
pub(super) fn compressed(headers: &HeaderMap) -> Option<Problem> {
    let encoded = headers.contains_key(CONTENT_ENCODING);
    encoded.then(|| {
        let detail = "Send the body as it is, without Content-Encoding.";
        let identity = HeaderValue::from_static("identity");
        Problem::new(Kind::UnsupportedMediaType, detail).header(ACCEPT_ENCODING, identity)
    })
}

pub(super) fn unsupported() -> Problem {
    Problem::new(
        Kind::UnsupportedMediaType,
        "Send the Content-Type application/json, in UTF-8.",
    )
}

/// What the request wants to go wrong, on purpose.
pub(super) fn rehearsal(
    graph: &Graph,
    headers: &HeaderMap,
) -> Result<Option<Arc<Rehearsal>>, Problem> {
    // Most requests ask for nothing, and need no clock.
    if !headers.contains_key(rehearse::HEADER) {
        return Ok(None);
    }
    let sources = graph.supergraph.sources();
    let is_source = |name: &str| sources.iter().any(|source| source.name == name);
    let rehearsal = graph
        .rehearsals
        .of(headers, Timestamp::now().seconds(), is_source);
    rehearsal.map_err(|refused| Problem::new(Kind::Forbidden, refused.to_string()))
}

/// `Prefer: respond-async`: <https://www.rfc-editor.org/rfc/rfc7240#section-4.1>
fn prefers_respond_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).iter();
    let mut preferences = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    preferences.any(|preference| {
        let name = preference.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("respond-async")
    })
}

/// Nothing was asked but what was accepted, and is not done yet.
fn say_accepted(response: &mut Response) {
    *response.status_mut() = StatusCode::ACCEPTED;
    let applied = HeaderValue::from_static("respond-async");
    response.headers_mut().insert(PREFERENCE_APPLIED, applied);
}

/// `x-switchboard-cost: 1`, for clients that cannot send extensions.
pub(super) fn asks_for_cost(headers: &HeaderMap) -> bool {
    let asked = headers.get("x-switchboard-cost");
    asked.is_some_and(|value| value.as_bytes() == b"1")
}

/// The refusal, or the quota's where that is used up: who only guesses credentials is limited too.
pub(super) async fn charged(
    graph: &Graph,
    principal: &Principal,
    address: IpAddr,
    deadline: Instant,
    refusal: Problem,
) -> Problem {
    let mut standings = Standings::default();
    let charged = pipeline::charge_refused(graph, principal, address, deadline, &mut standings);
    match charged.await {
        Err(NotRun::Denied(denied)) => denied::problem(&denied, &standings),
        _ => refusal,
    }
}

impl Arrival<'_> {
    /// How long a request with these headers has.
    fn time(&self, headers: &HeaderMap) -> Duration {
        let settings = &self.gateway.graph.load().settings;
        granted(settings).time(headers)
    }
}

pub(super) fn granted(settings: &Config) -> Granted {
    Granted {
        least: settings.request_minimum,
        most: settings.request_timeout,
    }
}

/// What is settled before the parameters are looked at.
pub(super) struct Run<'r> {
    pub(super) arrival: Arrival<'r>,
    admitted: &'r Admitted<'r>,
    /// The graph in service when the request arrived: it stays this one's.
    pub(super) graph: Arc<Graph>,
    media: MediaType,
    deadline: Instant,
    principal: Principal,
    trace: TraceContext,
    wanted: Wanted,
    /// So far, of all its operations.
    stages: Stages,
}

impl<'r> Run<'r> {
    /// Who asks is settled before the body is read: nothing is read for those who are refused.
    async fn begin(
        arrival: Arrival<'r>,
        admitted: &'r Admitted<'r>,
        media: MediaType,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let graph = arrival.gateway.graph.load_full();
        let mut trace = trace_context::of(headers, arrival.ids.request);
        let tracer = arrival.gateway.tracer.as_ref();
        let wanted = Wanted {
            sampled: tracer.is_some_and(|tracer| tracer.samples(&mut trace)),
            slow: graph.settings.slow_log.is_some(),
        };
        let stages = Stages::begin(wanted.by_anybody(), arrival.received);
        let deadline = arrival.received + granted(&graph.settings).time(headers);
        let principal = match principal(&graph, headers, deadline).await {
            Ok(principal) => principal,
            Err(problem) => {
                let address = graph.settings.client_address.of(arrival.peer, headers);
                let nobody = Principal::anonymous();
                let charged = charged(&graph, &nobody, address, deadline, problem);
                return Err(Box::pin(charged).await);
            }
        };
        stages.ended(Stage::Authenticate);
        Ok(Self {
            principal,
            deadline,
            trace,
            wanted,
            stages,
            arrival,
            admitted,
            graph,
            media,
        })
    }

    /// What is refused before it is a GraphQL request counts as one all the same.
    pub(super) async fn charging<T>(
        &self,
        headers: &HeaderMap,
        read: Result<T, Problem>,
    ) -> Result<T, Problem> {
        let problem = match read {
            Ok(read) => return Ok(read),
            Err(problem) => problem,
        };
        let known = &self.graph.settings.client_address;
        let address = known.of(self.arrival.peer, headers);
        let charged = charged(
            &self.graph,
            &self.principal,
            address,
            self.deadline,
            problem,
        );
        Err(Box::pin(charged).await)
    }

    /// Answers one operation.
    pub(super) async fn answer(
        &self,
        mut params: Params<'_>,
        headers: HeaderMap,
        mutations: bool,
    ) -> Result<Response, Problem> {
        let caller = self.caller(headers)?;
        let prefers_202 = self.graph.queues && prefers_respond_async(&caller.headers);
        let mut seen = self.seen(&caller);
        let mut standings = Standings::default();
        let variables = std::mem::take(&mut params.variables);
        let request = GraphqlRequest {
            contract: self.arrival.contract.map(|name| &**name),
            document: params.asked(),
            operation_name: params.operation_name.as_deref(),
            variables,
            carries: Carries {
                mutations,
                subscriptions: false,
            },
            wants: Wants {
                cost: params.wants.cost || asks_for_cost(&caller.headers),
                ..params.wants
            },
            caller,
            admitted: self.admitted,
            standings: &mut standings,
            seen: &mut seen,
        };
        let mut response = match self.arrival.gateway.run(&self.graph, request).await {
            Ok(answer) => {
                let accepted = prefers_202 && answer.queued && answer.faults.is_empty();
                let mut response = self.executed(seen, answer);
                if accepted {
                    say_accepted(&mut response);
                }
                response
            }
            Err(NotRun::Refused(refusal)) => self.refused(seen, &refusal),
            Err(NotRun::Denied(denied)) => {
                return Err(seen.problem(denied::problem(&denied, &standings)));
            }
            Err(NotRun::Key(refused)) => return Err(seen.problem(keyed::problem(refused))),
            Err(NotRun::NotTrusted) => return Err(seen.problem(not_trusted())),
            Err(NotRun::NotServed) => return Err(seen.problem(nothing_here())),
            Err(NotRun::MutationOverGet) => return Err(seen.problem(mutation_over_get())),
        };
        standings.write(response.headers_mut());
        Ok(response)
    }

    fn seen(&self, caller: &Caller) -> Seen<'_> {
        let Arrival { gateway, ids, .. } = self.arrival;
        let watched = Watched {
            graph: &self.graph,
            tracer: gateway.tracer.as_ref(),
            wanted: self.wanted,
            stages: self.stages.fork(),
        };
        Seen::begin(watched, caller, ids.request)
    }

    fn caller(&self, headers: HeaderMap) -> Result<Caller, Problem> {
        let Arrival { ids, peer, .. } = self.arrival;
        Ok(Caller {
            rehearsal: rehearsal(&self.graph, &headers)?,
            principal: self.principal.clone(),
            address: self.graph.settings.client_address.of(peer, &headers),
            correlation_id: ids.correlation.clone(),
            request_id: ids.request,
            trace: self.trace.clone(),
            headers,
            received: self.arrival.received,
            deadline: self.deadline,
        })
    }

    fn executed(&self, seen: Seen<'_>, answer: Answer) -> Response {
        let profile = self.graph.settings.status_profile;
        let status = status::executed(profile, self.media, answer.faults.count());
        seen.answered(&answer, status);
        let whole = answer.faults.is_empty();
        let mut response = self.respond(status, answer.body);
        if answer.replayed {
            keyed::say_replayed(response.headers_mut());
        }
        if let Some(fresh) = answer.fresh {
            cache::write(fresh, response.headers_mut());
        }
        propagated(answer.headers, whole, response.headers_mut());
        response
    }

    fn refused(&self, seen: Seen<'_>, refusal: &Refusal) -> Response {
        let profile = self.graph.settings.status_profile;
        let status = status::refused(profile, self.media, refusal.code);
        seen.refused(refusal.code, status);
        self.respond(
            status,
            refusal::body(refusal, &self.arrival.ids.correlation),
        )
    }

    pub(super) fn respond(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        // These and both ids.
        headers.reserve(5);
        headers.insert(CONTENT_TYPE, self.media.header());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
