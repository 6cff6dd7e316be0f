//! Services that speak REST over HTTP.
//!
//! Owns building an HTTP request and judging its reply, behind [`Protocol`].
//! Knows nothing of batches, pages and windows, which are the same for every
//! protocol.

mod body;
mod client;
mod encoding;
mod pool;
mod problem;
mod request;
mod status;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use compose::model::Errors;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::PageStyle;
use compose::model::Piece;
use compose::model::Request;
use compose::model::Source as Declared;
use http::HeaderMap;
use plan::code::Code;
use plan::shape::AbstractVariant;
use plan::shape::Shape;
use plan::source::BoxFuture;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

use crate::ConnectError;
use crate::cache::Cache;
use crate::cache::CallKey;
use crate::cache::Kept;
use crate::cache::Refresh;
use crate::calls;
use crate::calls::Ended;
use crate::calls::How;
use crate::calls::Observed;
use crate::config::Settings;
use crate::credentials::Bearer;
use crate::failure::code_named;
use crate::failure::fixed_text;
use crate::gate::Gate;
use crate::json;
use crate::json::NotJson;
use crate::merge_reads::MergeReads;
use crate::merge_reads::Work;
use crate::page::Ask;
use crate::page::Facts;
use crate::page::link;
use crate::page::position_parameter;
use crate::protocol::Answer;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::render::Encodings;
use client::Failure;
pub(crate) use client::RestClient;
pub(crate) use client::RestReply;
use request::MAX_URL;
pub(crate) use request::RestCall;
use request::Rules;

type Outcome = Result<Arc<RestReply>, Failure>;

/// One REST service.
pub(crate) struct Rest {
    name: Arc<str>,
    settings: Settings,
    rules: Vec<HeaderRule>,
    errors: Errors,
    encodings: Arc<Encodings>,
    client: RestClient,
    gate: Gate,
    bearer: Bearer,
    reads: MergeReads<(Arc<RestCall>, u64), Outcome>,
    cache: Cache,
}

impl Rest {
    /// Dials nothing yet.
    pub(crate) fn new(
        source: &Declared,
        base_url: &str,
        settings: Settings,
        encodings: Arc<Encodings>,
        cache: Cache,
    ) -> Result<Self, ConnectError> {
        let name: Arc<str> = source.name.as_str().into();
        let url = settings.url.as_deref().unwrap_or(base_url);
        Ok(Self {
            client: RestClient::new(name.clone(), url, &settings)?,
            gate: Gate::new(&name, settings.pace),
            bearer: Bearer::new(&name, &settings)?,
            name,
            rules: source.headers.clone(),
            errors: source.errors.clone(),
            settings,
            encodings,
            reads: MergeReads::default(),
            cache,
        })
    }
}

impl Protocol for Rest {
    type Call = Arc<RestCall>;
    type Reply = Arc<RestReply>;

    fn service(&self) -> &Arc<str> {
        &self.name
    }

    fn encodings(&self) -> &Encodings {
        &self.encodings
    }

    fn rules(&self) -> &[HeaderRule] {
        &self.rules
    }

    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Self::Call, SourceError> {
        let rules = Rules {
            configured: &self.settings.headers,
            source: &self.rules,
        };
        let scope = job.scope(rows, &self.encodings);
        let timeout = job.resolver.policy.timeout.unwrap_or(self.settings.timeout);
        match request::render(job, &rules, &scope, ask, timeout) {
            Ok(Some(call)) => Ok(Arc::new(call)),
            Ok(None) => Err(self.failed(Code::InternalError, "the resolver is not a REST one")),
            Err(error) => Err(error.of(&self.name)),
        }
    }

    fn is_too_long(&self, call: &Self::Call) -> bool {
        self.client.url_len(call) > MAX_URL
    }

    fn exchange<'a>(
        &'a self,
        job: &'a Job<'a>,
        call: Self::Call,
        keys: usize,
    ) -> BoxFuture<'a, Result<Answer<Self::Reply>, SourceError>> {
        Box::pin(async move {
            let start = calls::now();
            let (outcome, how) = self.outcome(job, &call, start).await;
            let answer = match &outcome {
                Ok(reply) => self.judge(job, reply),
                Err(failure) => Err(self.unanswered(job, failure)),
            };
            let done = Done {
                call: &call,
                keys,
                outcome: &outcome,
                error: answer.as_ref().err(),
                how,
            };
            self.write_down(job, start, &done);
            answer
        })
    }

    fn facts(&self, job: &Job<'_>, rule: &Page, reply: &Self::Reply) -> Result<Facts, SourceError> {
        if reply.body.is_empty() {
            return Ok(Facts::default());
        }
        let unwrap = &job.resolver.reply.unwrap;
        let facts = json::facts(&reply.body, unwrap, rule);
        let mut facts = facts.map_err(|error| self.not_json(job, &error))?;
        if let (PageStyle::LinkHeader, Some(parameter)) = (rule.style, position_parameter(rule)) {
            facts.next = link::next(&reply.headers, parameter);
        }
        Ok(facts)
    }

    fn decode(&self, fetch: &Fetch<'_>, replies: &[Self::Reply]) -> Result<Tape, SourceError> {
        let status = replies.first().map_or(0, |reply| reply.status);
        let bodies: Vec<Bytes> = replies
            .iter()
            .map(|reply| reply.body.clone())
            .filter(|body| !body.is_empty())
            .collect();
        if bodies.is_empty() {
            return Ok(null());
        }
        json::decode_pages(&bodies, fetch.shape, status)
            .map_err(|error| self.not_json(&Job::of(fetch), &error))
    }

    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn items(&self) -> Option<&dyn Items<Self::Reply>> {
        Some(self)
    }
}

impl Items<Arc<RestReply>> for Rest {
    fn split(&self, job: &Job<'_>, reply: &Arc<RestReply>) -> Option<Vec<(String, Bytes)>> {
        let by = &job.resolver.batch.as_ref()?.by;
        let paths: Vec<&[String]> = by.iter().map(|by| &by.path[..]).collect();
        json::items(&reply.body, &job.resolver.reply.unwrap, &paths)
    }

    fn join(&self, job: &Job<'_>, items: &[Bytes]) -> Arc<RestReply> {
        Arc::new(RestReply {
            status: 200,
            headers: HeaderMap::new(),
            body: json::joined(items, &job.resolver.reply.unwrap),
        })
    }

    fn headers<'r>(&self, reply: &'r Arc<RestReply>) -> &'r HeaderMap {
        &reply.headers
    }
}

// --- The call -------------------------------------------------------------

impl Rest {
    /// The reply of this call: one that was kept, where anybody allows it, or one that comes.
    async fn outcome(&self, job: &Job<'_>, call: &Arc<RestCall>, start: Instant) -> (Outcome, How) {
        if job.context.deadline <= start {
            return (Err(self.client.not_begun()), How::Called);
        }
        let Some(asking) = self.cache.asking(job) else {
            return self.called(job, call).await;
        };
        let key = CallKey::Rest(call.clone());
        if let Some(found) = asking.find(&key)
            && let Kept::Rest(reply) = found.kept
        {
            if let Some(refresh) = found.refresh {
                self.refresh(refresh, call);
            }
            return (Ok(reply), How::Kept);
        }
        let ticket = asking.ticket();
        let (outcome, how) = self.called(job, call).await;
        if let Ok(reply) = &outcome {
            match reply.is_whole() {
                true => asking.came(&ticket, Some(&reply.headers)),
                false => asking.lost(),
            }
            if reply.is_whole() && how == How::Called {
                ticket.store(key, Kept::Rest(reply.clone()), Some(&reply.headers));
            }
        }
        (outcome, how)
    }

    /// Fetches a reply anew that was answered already, in its own time and on nobody's behalf.
    fn refresh(&self, refresh: Refresh, call: &Arc<RestCall>) {
        let end = calls::now() + call.timeout;
        let work = self.attempt(call, HeaderMap::new(), end, Some(end));
        let key = CallKey::Rest(call.clone());
        tokio::spawn(async move {
            if let Ok(reply) = work.await
                && reply.is_whole()
            {
                let headers = Some(&reply.headers);
                refresh
                    .ticket
                    .store(key, Kept::Rest(reply.clone()), headers);
            }
        });
    }

    /// The reply of this call, or of an identical one in flight. Each waiter keeps its own deadline; the shared attempt has only its own time.
    async fn called(&self, job: &Job<'_>, call: &Arc<RestCall>) -> (Outcome, How) {
        let deadline = job.context.deadline;
        let (result, how) = match self.settings.merge_reads && job.may_merge() {
            true => {
                let begin = || self.work(job, call, None);
                let joined = self.reads.join((call.clone(), job.context.epoch), begin);
                let result = tokio::time::timeout_at(deadline.into(), joined.work).await;
                (result, How::joined(joined.follower))
            }
            // The attempt itself ends with the request: one timer is enough, unless a token is waited for.
            false => {
                let work = self.work(job, call, Some(deadline));
                let result = match self.bearer.may_wait() {
                    true => tokio::time::timeout_at(deadline.into(), work).await,
                    false => Ok(work.await),
                };
                (result, How::Called)
            }
        };
        let late = |_| Err(self.client.timed_out(Code::DeadlineExceeded));
        (result.unwrap_or_else(late), how)
    }

    /// One attempt. It ends at the request's deadline where there is one: work that is shared outlives a request.
    fn work(
        &self,
        job: &Job<'_>,
        call: &Arc<RestCall>,
        deadline: Option<Instant>,
    ) -> Work<Outcome> {
        // Room for what every call carries, and for some rules beside it.
        let mut labels = HeaderMap::with_capacity(12);
        calls::propagate(job.context, &mut labels);
        self.attempt(call, labels, job.context.deadline, deadline)
    }

    /// Waits for its turn no longer than `patience`.
    fn attempt(
        &self,
        call: &Arc<RestCall>,
        mut labels: HeaderMap,
        patience: Instant,
        deadline: Option<Instant>,
    ) -> Work<Outcome> {
        let (client, call) = (self.client.clone(), call.clone());
        let gate = self.gate.clone();
        let bearer = self.bearer.clone();
        Box::pin(async move {
            gate.pass(patience).await.map_err(Failure::limited)?;
            let signed = bearer.sign(&mut labels).await;
            signed.map_err(Failure::without_credentials)?;
            let sent = bearer.sent(&labels);
            let reply = client.attempt_before(deadline, call, labels).await?;
            if reply.status == 401 {
                bearer.refused(sent.as_ref());
            }
            Ok(Arc::new(reply))
        })
    }

    fn write_down(&self, job: &Job<'_>, start: Instant, done: &Done<'_>) {
        let call = done.call;
        let body = || String::from_utf8_lossy(&call.body).into_owned();
        let observed = Observed {
            context: job.context,
            step: job.step,
            source: &self.name,
            method: call.method.as_str(),
            target: &call.target,
            body: (!call.body.is_empty()).then_some(&body as &dyn Fn() -> String),
            keys: done.keys,
        };
        let mut digits = itoa::Buffer::new();
        observed.ended(
            start,
            &Ended {
                status: match done.outcome {
                    Ok(_) if done.how == How::Kept => calls::KEPT,
                    Ok(reply) => digits.format(reply.status),
                    Err(failure) => failure.word,
                },
                bytes: done.outcome.as_ref().map_or(0, |reply| reply.body.len()),
                error: done.error,
                coalesced: done.how != How::Called,
            },
        );
    }
}

/// A call that is over.
struct Done<'a> {
    call: &'a RestCall,
    keys: usize,
    outcome: &'a Outcome,
    error: Option<&'a SourceError>,
    how: How,
}

// --- The reply ------------------------------------------------------------

impl Rest {
    /// Whether a reply is data, a value that its status stands for, or an error.
    fn judge(
        &self,
        job: &Job<'_>,
        reply: &Arc<RestReply>,
    ) -> Result<Answer<Arc<RestReply>>, SourceError> {
        if (200..300).contains(&reply.status) {
            return match status::is_page(&reply.headers) {
                true => Err(self.wrong_address(job)),
                false => Ok(Answer::Reply(reply.clone())),
            };
        }
        if let Some(variant) = variant(job, reply.status) {
            let body = reply.body.clone();
            return Ok(Answer::Instead(json::decode_variant(
                body,
                &variant.shape,
                reply.status,
            )));
        }
        if matches!(reply.status, 404 | 410) {
            return self.missing(job, reply);
        }
        Err(self.refused(job, reply))
    }

    /// One that was asked for alone may be missing; an address that is missing is a mistake.
    fn missing(
        &self,
        job: &Job<'_>,
        reply: &RestReply,
    ) -> Result<Answer<Arc<RestReply>>, SourceError> {
        let resolver = job.resolver;
        if resolver.batch.is_some() || status::is_page(&reply.headers) {
            return Err(self.wrong_address(job));
        }
        let alone = has_key_in_path(&resolver.request) || problem::is_problem(reply);
        let may_be_null = !resolver.reply.ty.is_non_null()
            && !resolver.policy.not_found_is_error
            && !job.is_mutation();
        match alone && may_be_null {
            true => Ok(Answer::Instead(null())),
            false => Err(self.refused(job, reply)),
        }
    }

    fn refused(&self, job: &Job<'_>, reply: &RestReply) -> SourceError {
        let operation = &job.resolver.policy.errors;
        let chosen = self.chosen_code(operation, reply.status);
        let known = chosen.and_then(code_named);
        let code = known.unwrap_or_else(|| status::code(reply.status));
        let mut told = problem::told(reply, code, operation, &self.errors);
        // A name of the schema's own stands beside the code of our table.
        if let (Some(name), None) = (chosen, known) {
            told.problem.insert("code".to_owned(), name.into());
        }
        SourceError {
            problem: Some(Box::new(told.problem)),
            retry_after: status::retry_after(&reply.headers),
            outcome_unknown: is_unmarked_mutation(job) && status::is_unclear(reply.status),
            internal: Some(format!("status {}", reply.status)),
            ..SourceError::new(code, &self.name, told.message)
        }
    }

    /// `errors: { codes: … }`; the operation's come first.
    fn chosen_code<'a>(&'a self, operation: &'a Errors, status: u16) -> Option<&'a str> {
        let mut rules = operation.codes.iter().chain(&self.errors.codes);
        let rule = rules.find(|(pattern, _)| status::matches(pattern, status));
        rule.map(|(_, name)| name.as_str())
    }

    fn wrong_address(&self, job: &Job<'_>) -> SourceError {
        let detail = "a web page or nothing stands there: the address is wrong";
        self.answered(job, Code::UpstreamInvalidResponse, detail)
    }

    fn not_json(&self, job: &Job<'_>, error: &NotJson) -> SourceError {
        self.answered(job, Code::UpstreamInvalidResponse, &error.0)
    }

    /// The service answered, and so may have done its work.
    fn answered(&self, job: &Job<'_>, code: Code, detail: &str) -> SourceError {
        SourceError {
            outcome_unknown: is_unmarked_mutation(job),
            ..self.failed(code, detail)
        }
    }

    fn unanswered(&self, job: &Job<'_>, failure: &Failure) -> SourceError {
        SourceError {
            outcome_unknown: is_unmarked_mutation(job) && failure.maybe_done,
            ..failure.error.clone()
        }
    }

    fn failed(&self, code: Code, detail: &str) -> SourceError {
        SourceError::new(code, &self.name, fixed_text(code)).internal(detail)
    }
}

/// `@variant(status:)`
fn variant<'a>(job: &Job<'a>, status: u16) -> Option<&'a AbstractVariant> {
    let Shape::Abstract(shape) = &job.shape?.root else {
        return None;
    };
    let means = |variant: &&AbstractVariant| {
        variant
            .status
            .iter()
            .any(|pattern| status::matches(pattern, status))
    };
    shape.variants.iter().find(means)
}

fn has_key_in_path(request: &Request) -> bool {
    match request {
        Request::Rest(rest) => rest
            .path
            .iter()
            .any(|piece| matches!(piece, Piece::Hole(_))),
        Request::Grpc(_) => false,
    }
}

fn is_unmarked_mutation(job: &Job<'_>) -> bool {
    job.is_mutation() && !job.resolver.policy.idempotent
}

fn null() -> Tape {
    let mut tape = Tape::default();
    tape.root = Value::Null;
    tape
}

#[cfg(test)]
mod tests;
