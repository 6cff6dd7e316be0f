//! From what was written down of a request to its spans.
//!
//! Owns what each span is called and says, after OpenTelemetry's conventions
//! where there are some. Values that a client sent are left out: of a call's
//! query only the names remain.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use plan::Plan;
use plan::print::StepSummary;
use plan::source::CallRecord;
use plan::source::TraceContext;
use sources::Outcome;

use super::super::client::Client;
use super::super::metrics::Outcome as Answered;
use super::super::recording::Recording;
use super::super::seen::Asked;
use super::super::seen::Ending;
use super::super::seen::How;
use super::super::stages::Ended;
use super::super::stages::Stage;
use super::otlp::Attribute;
use super::otlp::Kind;
use super::otlp::Span;
use super::otlp::Status;
use super::otlp::Value;
use crate::coalesce::Role;
use crate::faults::Faults;
use crate::plans::Planned;

/// The request, and its stages at most.
const OWN: usize = 8;

/// All that was written down of one request, to be made spans of.
pub(super) struct Trace {
    trace: TraceContext,
    asked: Asked,
    client: Client,
    correlation_id: Arc<str>,
    planned: Option<Arc<Planned>>,
    cached: bool,
    /// When the request arrived, on the clock on the wall.
    began: SystemTime,
    took: Duration,
    stages: Vec<Ended>,
    calls: Vec<CallRecord>,
    end: End,
}

/// How the request ended.
struct End {
    status: u16,
    /// The code or problem, where it was not run.
    refused: Option<&'static str>,
    faults: Faults,
    coalesced: bool,
    cost: Option<u64>,
    bytes: usize,
}

impl End {
    fn of(how: How<'_>) -> Self {
        let refused = |status: u16, why| Self {
            status,
            refused: Some(why),
            faults: Faults::default(),
            coalesced: false,
            cost: None,
            bytes: 0,
        };
        match how {
            How::Answered(answer, status) => Self {
                status: status.as_u16(),
                refused: None,
                faults: answer.faults.clone(),
                coalesced: answer.role == Role::Follower,
                cost: Some(answer.cost.requested),
                bytes: answer.body.len(),
            },
            How::Streamed(course) => Self {
                status: 200,
                refused: None,
                faults: course.faults.clone(),
                coalesced: false,
                cost: None,
                bytes: 0,
            },
            How::Refused(code, status) => Self {
                faults: code.into(),
                ..refused(status.as_u16(), code.as_str())
            },
            How::Problem(kind) => refused(kind.status().as_u16(), kind.slug()),
            How::Abandoned => refused(499, "abandoned"),
        }
    }

    /// What went wrong on our side of the request.
    fn error(&self) -> Option<String> {
        let failed = Answered::of(&self.faults) == Answered::ServerError;
        let codes = self.faults.by_code().map(|(code, _)| code.as_str());
        match self.refused {
            Some(why) if self.status >= 499 => Some(why.to_owned()),
            _ => failed.then(|| codes.collect::<Vec<_>>().join(", ")),
        }
    }
}

impl Trace {
    pub(super) fn of(ending: &Ending<'_>, recording: &Recording) -> Self {
        Self {
            trace: recording.trace.clone(),
            asked: *ending.asked,
            client: ending.client.clone(),
            correlation_id: recording.correlation_id.clone(),
            planned: ending.planned.cloned(),
            cached: ending.cached,
            began: SystemTime::now() - ending.took,
            took: ending.took,
            stages: recording.stages.ended_so_far(),
            calls: without_bodies(recording.calls.take()),
            end: End::of(ending.how),
        }
    }

    /// How many spans it becomes.
    pub(super) fn spans(&self) -> usize {
        1 + self.stages.len() + self.calls.len()
    }

    pub(super) fn into_spans(self, spans: &mut Vec<Span>) {
        let root = new_id();
        let mut execute = root;
        spans.reserve(OWN + self.calls.len());
        spans.push(self.request(root));
        let mut begin = Duration::ZERO;
        for (stage, end) in &self.stages {
            let id = new_id();
            if *stage == Stage::Execute {
                execute = id;
            }
            let mut span = self.span(id, root, stage.name(), (begin, *end));
            if *stage == Stage::Plan {
                say(&mut span, "switchboard.plan.cached", self.cached);
            }
            spans.push(span);
            begin = *end;
        }
        let plan = self.planned.as_ref().map(|planned| &planned.plan);
        let steps = plan.map(Plan::summary).unwrap_or_default();
        for call in &self.calls {
            spans.push(self.call(call, steps.get(call.step), execute));
        }
    }

    fn request(&self, id: [u8; 8]) -> Span {
        let plan = self.planned.as_ref().map(|planned| &planned.plan);
        let kind = plan.map(|plan| match (plan.is_mutation(), plan.is_subscription()) {
            (true, _) => "mutation",
            (_, true) => "subscription",
            _ => "query",
        });
        let operation = plan.and_then(Plan::operation_name);
        let name = match (kind, operation) {
            (Some(kind), Some(operation)) => format!("{kind} {operation}"),
            (Some(kind), None) => kind.to_owned(),
            (None, _) => "/graphql".to_owned(),
        };
        let times = (Duration::ZERO, self.took);
        let mut span = self.span(id, self.trace.parent_id, &name, times);
        span.kind = Kind::Server.into();
        span.trace_state = self.trace.state.clone().unwrap_or_default();
        span.status = self.end.error().map(Status::error);
        say_some(&mut span, "graphql.operation.type", kind);
        say_some(&mut span, "graphql.operation.name", operation);
        say(&mut span, "url.path", "/graphql");
        say(
            &mut span,
            "http.response.status_code",
            u64::from(self.end.status),
        );
        say(&mut span, "http.response.body.size", self.end.bytes);
        say(&mut span, "client.address", self.asked.address.to_string());
        say_some(
            &mut span,
            "switchboard.client.name",
            self.client.name.as_deref(),
        );
        let version = self.client.version.as_deref();
        say_some(&mut span, "switchboard.client.version", version);
        say(
            &mut span,
            "switchboard.correlation_id",
            &*self.correlation_id,
        );
        let request_id = self.asked.request_id.to_string();
        say(&mut span, "switchboard.request_id", request_id);
        say(&mut span, "switchboard.coalesced", self.end.coalesced);
        say(&mut span, "switchboard.errors", self.end.faults.count());
        say_some(&mut span, "switchboard.cost", self.end.cost);
        say_some(&mut span, "error.type", self.end.refused);
        span
    }

    /// One attempt. Its id is what the service saw as its parent.
    fn call(&self, call: &CallRecord, step: Option<&StepSummary>, parent: [u8; 8]) -> Span {
        let id = match call.span {
            [0, 0, 0, 0, 0, 0, 0, 0] => new_id(),
            sent => sent,
        };
        let mut span = self.span(id, parent, &name(call, step), (call.start, call.end));
        let sent = call.span != [0; 8];
        span.kind = if sent { Kind::Client } else { Kind::Internal }.into();
        // Another attempt was faster, which is no failure.
        let failed = |error: &&String| **error != Outcome::Superseded.as_str();
        let failed = call.error.as_ref().filter(failed);
        span.status = failed.map(|error| Status::error(error.as_str()));
        match call.method.as_str() {
            "gRPC" => say_rpc(&mut span, call),
            "GraphQL" => {
                let (kind, name) = call.target.split_once(' ').unwrap_or_default();
                say(&mut span, "graphql.operation.type", kind);
                say(&mut span, "graphql.operation.name", name);
                say(&mut span, "http.request.method", "POST");
                say_status(&mut span, call);
            }
            method => {
                let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
                say(&mut span, "http.request.method", method);
                say(&mut span, "url.path", path);
                if !query.is_empty() {
                    say(&mut span, "url.query", without_values(query));
                }
                say_status(&mut span, call);
            }
        }
        if call.attempt > 0 {
            let resent = u64::from(call.attempt);
            say(&mut span, "http.request.resend_count", resent);
        }
        say(&mut span, "http.response.body.size", call.bytes);
        say(&mut span, "switchboard.step", call.step);
        say(&mut span, "switchboard.source", &*call.source);
        say(&mut span, "switchboard.batch.size", call.keys);
        say(&mut span, "switchboard.attempt", u64::from(call.attempt));
        say(&mut span, "switchboard.hedge", call.hedge);
        say(&mut span, "switchboard.breaker", call.breaker);
        say(&mut span, "switchboard.merged_or_kept", call.coalesced);
        span
    }

    /// Times since the request arrived.
    fn span(
        &self,
        id: [u8; 8],
        parent: [u8; 8],
        name: &str,
        (begin, end): (Duration, Duration),
    ) -> Span {
        let parent = match parent {
            [0, 0, 0, 0, 0, 0, 0, 0] => Vec::new(),
            parent => parent.to_vec(),
        };
        Span {
            trace_id: self.trace.trace_id.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent,
            name: name.to_owned(),
            kind: Kind::Internal.into(),
            start: nanos(self.began + begin),
            end: nanos(self.began + end),
            flags: self.trace.flags.into(),
            ..Span::default()
        }
    }
}

fn say_rpc(span: &mut Span, call: &CallRecord) {
    let (service, method) = call.target.rsplit_once('/').unwrap_or_default();
    say(span, "rpc.system", "grpc");
    say(span, "rpc.service", service);
    say(span, "rpc.method", method);
    say(span, "rpc.response.status_code", &*call.status);
}

fn say_status(span: &mut Span, call: &CallRecord) {
    match call.status.parse::<u64>() {
        Ok(status) => say(span, "http.response.status_code", status),
        Err(_) => say(span, "switchboard.status", &*call.status),
    }
}

/// `GET /users/{$args.id}`, `query users`, or `shop.Products/List`: as many names as the schema has calls.
fn name(call: &CallRecord, step: Option<&StepSummary>) -> String {
    let Some(step) = step else {
        return format!("{} {}", call.method, call.source);
    };
    let mut words = step.call.split([' ', '?']);
    match step.kind {
        "GRPC" => words.next().unwrap_or_default().to_owned(),
        "GRAPHQL" => step.call.split('(').next().unwrap_or_default().to_owned(),
        _ => format!(
            "{} {}",
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default()
        ),
    }
}

/// They are in no span, and what waits to be sent should stay small.
fn without_bodies(mut calls: Vec<CallRecord>) -> Vec<CallRecord> {
    for call in &mut calls {
        call.body = None;
    }
    calls
}

/// `id=REDACTED&limit=REDACTED`, as OpenTelemetry writes what is not shown; each name once, since a batch repeats it.
fn without_values(query: &str) -> String {
    let mut pairs: Vec<String> = Vec::new();
    for pair in query.split('&') {
        let shown = match pair.split_once('=') {
            Some((name, _)) => format!("{name}=REDACTED"),
            None => "REDACTED".to_owned(),
        };
        if !pairs.contains(&shown) {
            pairs.push(shown);
        }
    }
    pairs.join("&")
}

fn say(span: &mut Span, key: &str, value: impl Into<Value>) {
    span.attributes.push(Attribute::new(key, value));
}

fn say_some(span: &mut Span, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        say(span, key, value);
    }
}

/// Never nought, which is none.
fn new_id() -> [u8; 8] {
    rand::random::<u64>().max(1).to_be_bytes()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_only_the_names_remain() {
        assert_eq!(without_values("id=1&id=2&token"), "id=REDACTED&REDACTED");
    }
}
