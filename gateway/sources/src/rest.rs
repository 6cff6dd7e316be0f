//! Services that speak REST over HTTP.
//!
//! Owns building an HTTP request and judging its reply, behind [`Protocol`].
//! Knows nothing of batches, pages and windows, which are the same for every
//! protocol.

mod body;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use compose::model::Errors;
use compose::model::Page;
use compose::model::PageStyle;
use compose::model::Piece;
use compose::model::Request;
use compose::model::Resolver;
use http::HeaderMap;
use plan::code::Code;
use plan::outbox::Deferred;
use plan::shape::AbstractVariant;
use plan::shape::Shape;
use plan::source::Fetch;
use plan::source::Mapped;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

use crate::ConnectError;
use crate::cache::CallKey;
use crate::cache::Kept;
use crate::calls::Status;
use crate::exchange::Reads;
use crate::failure::Failed;
use crate::failure::code_named;
use crate::failure::fixed_text;
use crate::json;
use crate::json::NotJson;
use crate::page::Ask;
use crate::page::Facts;
use crate::page::link;
use crate::page::position_parameter;
use crate::protocol::Answer;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::protocol::Shown;
use crate::protocol::With;
use crate::resilience::Verdict;
use crate::retry_after::retry_after;
use crate::service::Link;
use crate::service::Service;
use crate::transport;
use crate::transport::HttpCall;
use crate::transport::HttpReply;
use crate::transport::Reader;
use crate::transport::Transport;
use crate::transport::problem;
use crate::transport::status;
use request::MAX_URL;

/// One REST service.
pub(crate) struct Rest {
    service: Service,
    link: Arc<Link<Transport>>,
    reader: Reader,
    reads: Reads<Self>,
    /// Bytes of the whole base address.
    base_len: usize,
}

impl Rest {
    /// Over a link that is there already, where it still fits. Dials nothing yet.
    pub(crate) fn new(
        service: Service,
        base_url: &str,
        old: Option<&Arc<Link<Transport>>>,
    ) -> Result<Self, ConnectError> {
        let Service { name, settings, .. } = &service;
        let url = settings.url.as_deref().unwrap_or(base_url);
        let link = match old.filter(|old| old.fits(url, settings)) {
            Some(old) => old.clone(),
            None => Link::new(
                name,
                url,
                settings,
                transport::peers(name, url, settings, |it| it)?,
            )?,
        };
        Ok(Self {
            base_len: url.trim_end_matches('/').len(),
            reader: Reader {
                max_bytes: settings.max_reply_bytes,
                service: name.clone(),
            },
            reads: Reads::<Self>::default(),
            service,
            link,
        })
    }
}

impl Protocol for Rest {
    type Call = Arc<HttpCall>;
    type Raw = Arc<HttpReply>;
    type Reply = Arc<HttpReply>;
    type Transport = Transport;

    fn service(&self) -> &Service {
        &self.service
    }

    fn link(&self) -> &Arc<Link<Transport>> {
        &self.link
    }

    fn reads(&self) -> &Reads<Self> {
        &self.reads
    }

    fn render(
        &self,
        job: &Job<'_>,
        rows: &[Row],
        ask: Option<&Ask>,
    ) -> Result<Self::Call, SourceError> {
        let Service {
            name,
            settings,
            rules,
            encodings,
            ..
        } = &self.service;
        let scope = job.scope(rows, encodings);
        match request::render(job, &settings.headers, rules, &scope, ask) {
            Ok(Some(call)) => Ok(Arc::new(call)),
            Ok(None) => Err(self.failed(Code::InternalError, "the resolver is not a REST one")),
            Err(error) => Err(error.of(name)),
        }
    }

    fn is_too_long(&self, call: &Self::Call) -> bool {
        self.base_len + call.target.len() > MAX_URL
    }

    async fn send(
        &self,
        transport: &Transport,
        call: &Self::Call,
        with: With,
    ) -> Result<Arc<HttpReply>, Failed> {
        let reply = self.reader.send(transport, call, with).await?;
        Ok(Arc::new(reply))
    }

    fn aborted(&self, status: u16) -> Result<Arc<HttpReply>, Failed> {
        Ok(Arc::new(HttpReply {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }))
    }

    fn verdict(&self, reply: &Arc<HttpReply>) -> Verdict {
        status::verdict(reply.status, &reply.headers)
    }

    fn status(&self, reply: &Arc<HttpReply>) -> Status {
        Status::Number(reply.status)
    }

    fn refuses_credentials(&self, reply: &Arc<HttpReply>) -> bool {
        reply.status == 401
    }

    fn denies(&self, reply: &Arc<HttpReply>) -> bool {
        matches!(reply.status, 401 | 403)
    }

    fn bytes(&self, reply: &Arc<HttpReply>) -> usize {
        reply.body.len()
    }

    fn judge(
        &self,
        job: &Job<'_>,
        reply: &Arc<HttpReply>,
    ) -> Result<Answer<Arc<HttpReply>>, SourceError> {
        self.judged(job, reply)
    }

    fn keep(&self, reply: &Arc<HttpReply>) -> Option<Kept> {
        reply.is_whole().then(|| Kept::Http(reply.clone()))
    }

    fn kept(&self, kept: Kept) -> Option<Arc<HttpReply>> {
        match kept {
            Kept::Http(reply) => Some(reply),
            Kept::Grpc(_) | Kept::Items(_) => None,
        }
    }

    fn caching<'r>(&self, reply: &'r Arc<HttpReply>) -> Option<&'r HeaderMap> {
        Some(&reply.headers)
    }

    fn metadata<'r>(&self, reply: &'r Arc<HttpReply>) -> Option<&'r HeaderMap> {
        Some(&reply.headers)
    }

    fn key(&self, call: &Self::Call) -> CallKey {
        CallKey::Http(call.clone())
    }

    fn shown<'c>(&self, call: &'c Self::Call) -> Shown<'c> {
        Shown {
            method: call.method.as_str(),
            target: &call.target,
        }
    }

    fn body(&self, call: &Self::Call) -> Option<String> {
        let text = || String::from_utf8_lossy(&call.body).into_owned();
        (!call.body.is_empty()).then(text)
    }

    fn facts(
        &self,
        job: &Job<'_>,
        rule: &Page,
        reply: &Arc<HttpReply>,
    ) -> Result<Facts, SourceError> {
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

    fn decode(&self, fetch: &Fetch<'_>, replies: &[Arc<HttpReply>]) -> Result<Tape, SourceError> {
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

    fn defer(&self, job: &Job<'_>, rows: &[Row]) -> Result<Deferred, SourceError> {
        let Service {
            name,
            rules,
            encodings,
            ..
        } = &self.service;
        let scope = job.scope(rows, encodings);
        match request::defer(name, job.resolver, rules, &scope) {
            Ok(Some(call)) => Ok(call),
            Ok(None) => Err(self.failed(Code::InternalError, "the resolver is not a REST one")),
            Err(error) => Err(error.of(name)),
        }
    }

    fn resume(&self, call: &Deferred, resolver: Option<&Resolver>) -> Result<Self::Call, String> {
        let Service {
            settings, rules, ..
        } = &self.service;
        let scope = self.service.nobody();
        request::resume(call, resolver, &settings.headers, rules, &scope).map(Arc::new)
    }

    fn refusal(&self, reply: &Arc<HttpReply>, resolver: Option<&Resolver>) -> Option<SourceError> {
        let page = status::is_page(&reply.headers);
        if page && !matches!(reply.status, 401 | 403 | 429 | 500..) {
            let code = Code::UpstreamInvalidResponse;
            return Some(self.failed(code, WRONG_ADDRESS));
        }
        let errors = resolver.map(|resolver| &resolver.policy.errors);
        let success = (200..300).contains(&reply.status);
        (!success).then(|| self.told(errors.unwrap_or(&NO_ERRORS), reply))
    }

    fn items(&self) -> Option<&dyn Items<Arc<HttpReply>>> {
        Some(self)
    }
}

const WRONG_ADDRESS: &str = "a web page or nothing stands there: the address is wrong";
/// What a schema says that says nothing of errors.
const NO_ERRORS: Errors = Errors {
    message: None,
    extensions: Vec::new(),
    codes: Vec::new(),
};

impl Items<Arc<HttpReply>> for Rest {
    fn split(&self, job: &Job<'_>, reply: &Arc<HttpReply>) -> Option<Vec<(String, Bytes)>> {
        let by = &job.resolver.batch.as_ref()?.by;
        let paths: Vec<&[String]> = by.iter().map(|by| &by.path[..]).collect();
        json::items(&reply.body, &job.resolver.reply.unwrap, &paths)
    }

    fn join(&self, job: &Job<'_>, items: &[Bytes]) -> Arc<HttpReply> {
        Arc::new(HttpReply {
            status: 200,
            headers: HeaderMap::new(),
            body: json::joined(items, &job.resolver.reply.unwrap),
        })
    }

    fn headers<'r>(&self, reply: &'r Arc<HttpReply>) -> &'r HeaderMap {
        &reply.headers
    }
}

// --- The reply ------------------------------------------------------------

impl Rest {
    /// Whether a reply is data, a value that its status stands for, or an error.
    fn judged(
        &self,
        job: &Job<'_>,
        reply: &Arc<HttpReply>,
    ) -> Result<Answer<Arc<HttpReply>>, SourceError> {
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
        reply: &HttpReply,
    ) -> Result<Answer<Arc<HttpReply>>, SourceError> {
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

    fn refused(&self, job: &Job<'_>, reply: &HttpReply) -> SourceError {
        SourceError {
            outcome_unknown: job.is_unmarked_mutation() && status::is_unclear(reply.status),
            ..self.told(&job.resolver.policy.errors, reply)
        }
    }

    /// What an unsuccessful reply says, whatever was asked.
    fn told(&self, operation: &Errors, reply: &HttpReply) -> SourceError {
        let chosen = self.chosen_code(operation, reply.status);
        let known = chosen.and_then(code_named);
        let code = known.unwrap_or_else(|| status::code(reply.status));
        let told = problem::told(reply, code, operation, &self.service.errors);
        SourceError {
            problem: Some(Box::new(told.problem)),
            mapped: Mapped::of(chosen.filter(|_| known.is_none()), told.extensions),
            retry_after: retry_after(&reply.headers),
            internal: Some(problem::logged(reply)),
            ..SourceError::new(code, &self.service.name, told.message)
        }
    }

    /// `errors: { codes: … }`; the operation's come first.
    fn chosen_code<'a>(&'a self, operation: &'a Errors, status: u16) -> Option<&'a str> {
        let mut rules = operation.codes.iter().chain(&self.service.errors.codes);
        let rule = rules.find(|(pattern, _)| status::matches(pattern, status));
        rule.map(|(_, name)| name.as_str())
    }

    fn wrong_address(&self, job: &Job<'_>) -> SourceError {
        self.answered(job, Code::UpstreamInvalidResponse, WRONG_ADDRESS)
    }

    fn not_json(&self, job: &Job<'_>, error: &NotJson) -> SourceError {
        self.answered(job, Code::UpstreamInvalidResponse, &error.0)
    }

    /// The service answered, and so may have done its work.
    fn answered(&self, job: &Job<'_>, code: Code, detail: &str) -> SourceError {
        SourceError {
            outcome_unknown: job.is_unmarked_mutation(),
            ..self.failed(code, detail)
        }
    }

    fn failed(&self, code: Code, detail: &str) -> SourceError {
        SourceError::new(code, &self.service.name, fixed_text(code)).internal(detail)
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
        Request::Grpc(_) | Request::Graphql(_) => false,
    }
}

fn null() -> Tape {
    let mut tape = Tape::default();
    tape.root = Value::Null;
    tape
}

#[cfg(test)]
mod tests;
