//! Services that speak GraphQL.
//!
//! Owns building an operation and judging a response, behind [`Protocol`].
//! Calls go over the transport that REST has, or stay in this process. Knows
//! nothing of batches and merged reads, which are the same for every protocol.

mod described;
mod errors;
mod local;
mod operation;
mod place;
mod reply;
mod together;

use std::sync::Arc;

use bytes::Bytes;
use compose::model::Page;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::RestMethod;
use http::HeaderMap;
use http::HeaderValue;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use plan::code::Code;
use plan::outbox::Deferred;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;
use plan::tape::ValueError;
use serde_json::Map;
use serde_json::Value as Json;

use crate::ConnectError;
use crate::cache::CallKey;
use crate::cache::Kept;
use crate::calls;
use crate::calls::Status;
use crate::exchange::Reads;
use crate::failure::Failed;
use crate::failure::fixed_text;
use crate::json;
use crate::page::Ask;
use crate::page::Facts;
use crate::protocol::Answer;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::protocol::Shown;
use crate::protocol::Travel;
use crate::protocol::With;
use crate::render::Scope;
use crate::resilience::Outcome;
use crate::resilience::Verdict;
use crate::retry_after::retry_after;
use crate::service::Link;
use crate::service::Service;
use crate::transport;
use crate::transport::HttpCall;
use crate::transport::HttpReply;
use crate::transport::Reader;
use crate::transport::Rules;
use crate::transport::Transport;
use crate::transport::problem;
use crate::transport::status;
pub use described::NotDescribed;
pub use described::described;
pub use local::LocalCaller;
pub use local::LocalRequest;
pub use local::LocalService;
pub use local::LocalServices;
use operation::Operation;
use reply::GraphqlReply;
use reply::Said;
use together::Boarded;
use together::Company;
use together::Luggage;
use together::Passenger;
use together::Together;

/// One GraphQL service.
pub(crate) struct Graphql {
    service: Service,
    link: Arc<Link<Way>>,
    reader: Reader,
    reads: Reads<Self>,
    together: Together,
    /// Whether it is within this process.
    local: bool,
    /// What stands behind the address's own path.
    target: &'static str,
}

/// What calls to one address go over.
pub(crate) enum Way {
    Http(Box<Transport>),
    Local(Arc<dyn LocalService>),
}

/// A call, rendered.
#[derive(Debug, Clone)]
pub(crate) struct GraphqlCall {
    http: Arc<HttpCall>,
    operation: Arc<Operation>,
    /// What it needs to travel with others of its request; none where it goes alone.
    luggage: Option<Arc<Luggage>>,
    /// What a service within this process is told besides.
    local: Option<Arc<LocalCall>>,
}

#[derive(Debug)]
struct LocalCall {
    variables: Map<String, Json>,
    caller: Arc<LocalCaller>,
}

/// The body holds the operation and its variables.
impl PartialEq for GraphqlCall {
    fn eq(&self, other: &Self) -> bool {
        let caller = |call: &Self| call.local.as_ref().map(|local| local.caller.clone());
        self.http == other.http && caller(self) == caller(other)
    }
}

impl Eq for GraphqlCall {}

impl std::hash::Hash for GraphqlCall {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.http.hash(state);
        if let Some(local) = &self.local {
            local.caller.hash(state);
        }
    }
}

impl Graphql {
    /// Over a link that is there already, where it still fits. Dials nothing yet.
    pub(crate) fn new(
        service: Service,
        declared_url: &str,
        local: &LocalServices,
        old: Option<&Arc<Link<Way>>>,
    ) -> Result<Self, ConnectError> {
        let Service { name, settings, .. } = &service;
        let is_local = declared_url == compose::model::LOCAL;
        let elsewhere = settings.url.as_deref().filter(|_| !is_local);
        let url = elsewhere.unwrap_or(declared_url);
        let link = match old.filter(|old| !is_local && old.fits(url, settings)) {
            Some(old) => old.clone(),
            None => {
                let peers = match is_local {
                    true => local::peers(served(name, local)?, settings.peers()),
                    false => transport::peers(name, url, settings, over_http)?,
                };
                Link::new(name, url, settings, peers)?
            }
        };
        Ok(Self {
            reader: Reader {
                max_bytes: settings.max_reply_bytes,
                service: name.clone(),
            },
            reads: Reads::<Self>::default(),
            together: Together::default(),
            target: target(url, &link.peers.address().prefix),
            local: is_local,
            service,
            link,
        })
    }

    fn operation(&self, job: &Job<'_>) -> Result<Arc<Operation>, SourceError> {
        let (Request::Graphql(request), Some(shape)) = (&job.resolver.request, job.shape) else {
            let detail = "the resolver is not a GraphQL one, or nothing says what to select";
            return Err(self.failed(Code::InternalError, detail));
        };
        let build = || Arc::new(Operation::new(job.resolver, request, shape));
        let Some(prepared) = job.prepared else {
            return Ok(build());
        };
        let known = prepared.0.get_or_init(|| build()).clone();
        Ok(known.downcast().unwrap_or_else(|_| build()))
    }

    fn call(
        &self,
        job: &Job<'_>,
        scope: &Scope<'_>,
        operation: Arc<Operation>,
    ) -> Result<GraphqlCall, crate::render::RenderError> {
        let variables = operation.variables(scope, job.below)?;
        let body = operation.body(&variables)?;
        let rules = Rules {
            configured: &self.service.settings.headers,
            source: &self.service.rules,
            operation: &[],
        };
        let own = [
            (ACCEPT, HeaderValue::from_static(ACCEPTED)),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        let mut call = GraphqlCall {
            http: Arc::new(HttpCall {
                method: RestMethod::Post,
                target: self.target.to_owned(),
                body: body.into(),
                headers: rules.headers(own, scope)?,
            }),
            luggage: None,
            local: None,
            operation,
        };
        if self.local {
            call.local = Some(Arc::new(LocalCall {
                variables,
                caller: Arc::new(LocalCaller::of(job.context)),
            }));
        } else if job.in_company && job.context.rehearsal.is_none() {
            call.luggage = Some(Arc::new(Luggage {
                company: Company::of(job.context),
                variables,
            }));
        }
        Ok(call)
    }
}

/// <https://graphql.github.io/graphql-over-http/draft/#sec-Accept>
const ACCEPTED: &str = "application/graphql-response+json, application/json;q=0.9";

fn over_http(transport: Transport) -> Way {
    Way::Http(Box::new(transport))
}

/// An address may end in a slash, and one without a path has one.
fn target(url: &str, prefix: &str) -> &'static str {
    match prefix.is_empty() || url.ends_with('/') {
        true => "/",
        false => "",
    }
}

fn served(name: &Arc<str>, local: &LocalServices) -> Result<Arc<dyn LocalService>, ConnectError> {
    let service = local.get(name).cloned();
    service.ok_or_else(|| ConnectError::Url {
        source_name: name.to_string(),
        url: compose::model::LOCAL.to_owned(),
        reason: "this gateway serves no source of this name itself".to_owned(),
    })
}

impl Protocol for Graphql {
    type Call = GraphqlCall;
    type Raw = GraphqlReply;
    type Reply = GraphqlReply;
    type Transport = Way;

    fn service(&self) -> &Service {
        &self.service
    }

    fn link(&self) -> &Arc<Link<Way>> {
        &self.link
    }

    fn reads(&self) -> &Reads<Self> {
        &self.reads
    }

    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        _ask: Option<&Ask>,
    ) -> Result<GraphqlCall, SourceError> {
        let operation = self.operation(job)?;
        let scope = job.scope(rows, &self.service.encodings);
        let call = self.call(job, &scope, operation);
        call.map_err(|error| error.of(&self.service.name))
    }

    /// Bodies may be as long as they have to be.
    fn is_too_long(&self, _call: &GraphqlCall) -> bool {
        false
    }

    async fn send(
        &self,
        way: &Way,
        call: &GraphqlCall,
        with: With,
    ) -> Result<GraphqlReply, Failed> {
        let reply = match (way, &call.local) {
            (Way::Http(transport), _) => return self.over_http(transport, call, with).await,
            (Way::Local(service), local) => {
                let request = local_request(call, local.as_deref(), &with);
                whole(200, service.answer(request).await)
            }
        };
        Ok(GraphqlReply::new(reply))
    }

    fn travel(&self, reply: &GraphqlReply) -> Travel {
        reply.travel
    }

    fn aborted(&self, status: u16) -> Result<GraphqlReply, Failed> {
        Ok(GraphqlReply::new(whole(status, Bytes::new())))
    }

    fn verdict(&self, reply: &GraphqlReply) -> Verdict {
        let http = reply.http.status;
        let verdict = status::verdict(http, &reply.http.headers);
        match reply.refusal().and_then(|said| said.errors.first()) {
            Some(error) if verdict.outcome == Outcome::Ok => Verdict {
                outcome: outcome(errors::code(error, http)),
                ..verdict
            },
            _ => verdict,
        }
    }

    fn status(&self, reply: &GraphqlReply) -> Status {
        Status::Number(reply.http.status)
    }

    fn refuses_credentials(&self, reply: &GraphqlReply) -> bool {
        reply.http.status == 401 || (reply.refusal()).is_some_and(says_unauthenticated)
    }

    fn denies(&self, reply: &GraphqlReply) -> bool {
        let denied = |error| {
            let code = errors::code(error, reply.http.status);
            matches!(code, Code::Unauthenticated | Code::Forbidden)
        };
        let said = reply.said.as_ref();
        matches!(reply.http.status, 401 | 403)
            || said.is_some_and(|said| said.errors.iter().any(denied))
    }

    fn bytes(&self, reply: &GraphqlReply) -> usize {
        reply.http.body.len()
    }

    fn judge(
        &self,
        job: &Job<'_>,
        reply: &GraphqlReply,
    ) -> Result<Answer<GraphqlReply>, SourceError> {
        let http = &*reply.http;
        let is_success = (200..300).contains(&http.status);
        match &reply.said {
            Some(said) if !is_success || !said.data => Err(self.refused(job, reply, said)),
            None if !is_success => Err(self.failed_with(job, http)),
            _ if status::is_page(&http.headers) => Err(self.wrong_address(job)),
            _ => Ok(Answer::Reply(reply.clone())),
        }
    }

    fn keep(&self, reply: &GraphqlReply) -> Option<Kept> {
        let keeps = reply.said.is_none() && reply.http.is_whole() && !self.local;
        keeps.then(|| Kept::Http(reply.http.clone()))
    }

    fn kept(&self, kept: Kept) -> Option<GraphqlReply> {
        match kept {
            Kept::Http(reply) => Some(GraphqlReply::fine(reply)),
            Kept::Grpc(_) | Kept::Items(_) => None,
        }
    }

    fn caching<'r>(&self, reply: &'r GraphqlReply) -> Option<&'r HeaderMap> {
        Some(&reply.http.headers)
    }

    fn metadata<'r>(&self, reply: &'r GraphqlReply) -> Option<&'r HeaderMap> {
        Some(&reply.http.headers)
    }

    fn key(&self, call: &GraphqlCall) -> CallKey {
        CallKey::Http(call.http.clone())
    }

    fn shown<'c>(&self, call: &'c GraphqlCall) -> Shown<'c> {
        Shown {
            method: "GraphQL",
            target: &call.operation.title,
        }
    }

    fn body(&self, call: &GraphqlCall) -> Option<String> {
        Some(String::from_utf8_lossy(&call.http.body).into_owned())
    }

    fn facts(
        &self,
        _job: &Job<'_>,
        _rule: &Page,
        _reply: &GraphqlReply,
    ) -> Result<Facts, SourceError> {
        Ok(Facts::default())
    }

    fn decode(&self, fetch: &Fetch<'_>, replies: &[GraphqlReply]) -> Result<Tape, SourceError> {
        let job = Job::of(fetch);
        let [reply] = replies else {
            return Err(self.answered(&job, "one reply was expected"));
        };
        let body = reply.http.body.clone();
        let mut tape = json::decode(body, fetch.shape, reply.http.status)
            .map_err(|error| self.answered(&job, &error.0))?;
        match &reply.said {
            Some(said) => self.put_errors(&job, fetch, said, &mut tape),
            None if tape.root == Value::Absent => {
                self.check_data(&job, reply, &fetch.shape.unwrap)?;
            }
            None => {}
        }
        match tape.root {
            // Many parents wait for it, and each gets it at its own place.
            Value::Error(at) if fetch.resolver.batch.is_some() => {
                Err(self.as_failure(&job, tape.value_error(at)))
            }
            _ => Ok(tape),
        }
    }

    /// Composition queues no GraphQL call: what its field returns there nobody has said.
    fn defer(&self, _job: &Job<'_>, _rows: &[Row]) -> Result<Deferred, SourceError> {
        Err(self.failed(Code::InternalError, "a GraphQL call cannot be queued"))
    }

    fn resume(&self, _call: &Deferred, _resolver: Option<&Resolver>) -> Result<Self::Call, String> {
        Err("the source speaks GraphQL now, which cannot be queued".to_owned())
    }

    fn refusal(&self, _reply: &GraphqlReply, _resolver: Option<&Resolver>) -> Option<SourceError> {
        None
    }

    /// What one item was asked for, another operation may not have been.
    fn items(&self) -> Option<&dyn Items<GraphqlReply>> {
        None
    }
}

fn whole(status: u16, body: Bytes) -> HttpReply {
    HttpReply {
        status,
        headers: HeaderMap::new(),
        body,
    }
}

fn local_request(call: &GraphqlCall, local: Option<&LocalCall>, with: &With) -> LocalRequest {
    let nobody = || LocalCaller {
        headers: HeaderMap::new(),
        claims: Json::Null.into(),
        principal: None,
        correlation_id: "".into(),
    };
    LocalRequest {
        query: call.operation.text.clone(),
        operation_name: call.operation.name.clone(),
        variables: local
            .map(|local| local.variables.clone())
            .unwrap_or_default(),
        caller: local.map_or_else(|| Arc::new(nobody()), |local| local.caller.clone()),
        time: with.time,
    }
}

/// How a response without data is counted.
fn outcome(code: Code) -> Outcome {
    match code {
        Code::RateLimited => Outcome::RateLimited,
        Code::BadUserInput
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::Conflict => Outcome::Refused,
        Code::UpstreamTimeout => Outcome::TimedOut,
        Code::UpstreamUnavailable => Outcome::Unavailable,
        Code::UpstreamInvalidResponse => Outcome::Invalid,
        _ => Outcome::Failed,
    }
}

fn says_unauthenticated(said: &Said) -> bool {
    let mut errors = said.errors.iter();
    errors.all(|error| errors::code(error, 200) == Code::Unauthenticated)
}

impl Graphql {
    /// One operation, alone or with others of its request that are asked at the same time.
    async fn over_http(
        &self,
        transport: &Transport,
        call: &GraphqlCall,
        with: With,
    ) -> Result<GraphqlReply, Failed> {
        let luggage = call.luggage.as_ref().filter(|_| with.before == 0);
        let others = match luggage.map(|it| self.together.board(&it.company, call)) {
            None => Vec::new(),
            Some(Boarded::First(first)) => first.leave().await,
            Some(Boarded::Waits(told)) => match told.await {
                Ok(Some(told)) => {
                    return told.map(|reply| GraphqlReply {
                        travel: Travel::Along,
                        ..GraphqlReply::new(reply)
                    });
                }
                // Whoever was to leave is gone, or came back with nothing.
                Ok(None) | Err(_) => Vec::new(),
            },
        };
        let (others, strangers): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|other| other.call.http.headers == call.http.headers);
        strangers.into_iter().for_each(|it| it.tell(None));
        if others.is_empty() {
            let reply = self.reader.send(transport, &call.http, with).await?;
            return Ok(GraphqlReply::new(reply));
        }
        Box::pin(self.all_at_once(transport, call, others, with)).await
    }

    async fn all_at_once(
        &self,
        transport: &Transport,
        call: &GraphqlCall,
        others: Vec<Passenger>,
        with: With,
    ) -> Result<GraphqlReply, Failed> {
        let calls: Vec<GraphqlCall> = others.iter().map(|other| other.call.clone()).collect();
        let calls: Vec<&GraphqlCall> = std::iter::once(call).chain(&calls).collect();
        let sent = match together::combined(&calls) {
            Some(combined) => self.reader.send(transport, &combined, with.again()).await,
            None => self.reader.send(transport, &call.http, with.again()).await,
        };
        let reply = match sent {
            Ok(reply) => reply,
            Err(failed) => {
                others
                    .into_iter()
                    .for_each(|it| it.tell(Some(Err(failed.clone()))));
                return Err(failed);
            }
        };
        let parts = together::split(&calls, &reply);
        match parts {
            Some(mut parts) => {
                let rest = parts.split_off(1);
                for (other, part) in others.into_iter().zip(rest) {
                    other.tell(Some(Ok(part)));
                }
                Ok(GraphqlReply::new(parts.swap_remove(0)))
            }
            // Somebody else answered, or nobody could: that holds for all of them.
            None if reply.status >= 500 || reply.status == 429 => {
                others
                    .into_iter()
                    .for_each(|it| it.tell(Some(Ok(reply.clone()))));
                Ok(GraphqlReply::new(reply))
            }
            None => {
                others.into_iter().for_each(|it| it.tell(None));
                let in_vain = Status::Number(reply.status);
                let reply = self.reader.send(transport, &call.http, with).await?;
                Ok(GraphqlReply {
                    travel: Travel::AfterAll(in_vain),
                    ..GraphqlReply::new(reply)
                })
            }
        }
    }
}

// --- The reply ------------------------------------------------------------

impl Graphql {
    /// Puts each error where its path leads.
    fn put_errors(&self, job: &Job<'_>, fetch: &Fetch<'_>, said: &Said, tape: &mut Tape) {
        for error in &said.errors {
            let told = self.told(job, error, 200);
            calls::told(job.context, &told);
            place::put(tape, fetch.shape, error.get("path"), told);
        }
    }

    /// A response without data says why, in its errors: the first of them speaks for all.
    fn refused(&self, job: &Job<'_>, reply: &GraphqlReply, said: &Said) -> SourceError {
        let http = &reply.http;
        let error = said.errors.first().unwrap_or(&Json::Null);
        SourceError {
            retry_after: retry_after(&http.headers),
            outcome_unknown: job.is_unmarked_mutation() && status::is_unclear(http.status),
            ..self.told(job, error, http.status)
        }
    }

    /// A status without a GraphQL response: somebody else answered, or nobody could.
    fn failed_with(&self, job: &Job<'_>, http: &HttpReply) -> SourceError {
        if matches!(http.status, 404 | 405 | 410) {
            return self.wrong_address(job);
        }
        let code = status::code(http.status);
        let told = problem::told(
            http,
            code,
            &job.resolver.policy.errors,
            &self.service.errors,
        );
        SourceError {
            problem: Some(Box::new(told.problem)),
            retry_after: retry_after(&http.headers),
            outcome_unknown: job.is_unmarked_mutation() && status::is_unclear(http.status),
            internal: Some(problem::logged(http)),
            ..SourceError::new(code, &self.service.name, told.message)
        }
    }

    /// Nothing at the value's place is null only where its surroundings are there.
    fn check_data(
        &self,
        job: &Job<'_>,
        reply: &GraphqlReply,
        unwrap: &[String],
    ) -> Result<(), SourceError> {
        let field = &unwrap[..unwrap.len().min(2)];
        match json::reaches(&reply.http.body, field) {
            Ok(true) => Ok(()),
            _ => {
                let detail = format!("the response has no `{}`", field.join("."));
                Err(self.answered(job, &detail))
            }
        }
    }

    fn as_failure(&self, job: &Job<'_>, error: &ValueError) -> SourceError {
        match error {
            ValueError::Told(error) => (**error).clone(),
            ValueError::Mismatch(message) => self.answered(job, message),
        }
    }

    fn wrong_address(&self, job: &Job<'_>) -> SourceError {
        self.answered(job, "no GraphQL service stands there: the address is wrong")
    }

    /// The service answered, and so may have done its work.
    fn answered(&self, job: &Job<'_>, detail: &str) -> SourceError {
        SourceError {
            outcome_unknown: job.is_unmarked_mutation(),
            ..self.failed(Code::UpstreamInvalidResponse, detail)
        }
    }

    fn failed(&self, code: Code, detail: &str) -> SourceError {
        SourceError::new(code, &self.service.name, fixed_text(code)).internal(detail)
    }
}

#[cfg(test)]
mod tests;
