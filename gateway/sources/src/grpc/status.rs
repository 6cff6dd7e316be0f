//! What a failed call means to a client.
//!
//! Owns the gRPC column of the error table: which code a status is, whose
//! message may pass, and problem details from the standard error details.
//! Knows nothing of how calls are made beyond [`Failure`].
//! <https://grpc.io/docs/guides/status-codes/>,
//! <https://google.aip.dev/193>.

use std::sync::Arc;
use std::time::Duration;

use compose::model::Errors;
use compose::model::Read;
use compose::model::ReadPiece;
use plan::code::Code;
use plan::source::Mapped;
use plan::source::SourceError;
use prost::Message;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use tonic::Status;

use super::call::Failure;
use crate::failure::Failed;
use crate::failure::LONGEST_WAIT;
use crate::failure::Unanswered;
use crate::failure::code_named;
use crate::failure::fixed_text;
use crate::failure::shortened;
use crate::resilience::Again;
use crate::resilience::Health;
use crate::resilience::Outcome;
use crate::resilience::Verdict;

/// How long a service asks to wait before another attempt, in milliseconds; below 0 for never.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What a service answered instead of a reply, ready for the executor.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(super) error: SourceError,
    /// The gRPC status's name; a word where there was none.
    pub(super) status: &'static str,
    /// The gRPC status's number; 2 (UNKNOWN) where there was none.
    pub(super) number: i64,
    /// What `@variant(status:)` reads, where the service answered with a status.
    pub(super) answer: Option<Json>,
    /// Whether the service may have done its work.
    pub(super) maybe_done: bool,
    pub(super) verdict: Verdict,
}

impl Refusal {
    /// As the mappings of `errors:` tell it; the operation's come before the source's.
    pub(super) fn told(&self, operation: &Errors, source: &Errors) -> SourceError {
        let mut error = self.error.clone();
        let Some(answer) = &self.answer else {
            return error;
        };
        let mut extensions = Map::new();
        if is_the_callers(error.code) {
            let members = [source, operation]
                .into_iter()
                .flat_map(|errors| &errors.extensions);
            extensions = members
                .filter_map(|(name, read)| Some((name.clone(), self.read(answer, read)?)))
                .collect();
            let messages = [operation, source]
                .into_iter()
                .filter_map(|errors| errors.message.as_ref());
            let message = messages
                .filter_map(|read| self.read(answer, read))
                .find_map(text);
            error.message = message.unwrap_or(error.message);
        }
        let mut codes = operation.codes.iter().chain(&source.codes);
        let chosen = codes.find(|(status, _)| status.eq_ignore_ascii_case(self.status));
        let chosen = chosen.map(|(_, name)| name.as_str());
        let known = chosen.and_then(code_named);
        if let Some(code) = known {
            // Our own text is that of the code.
            if error.message == fixed_text(error.code) {
                error.message = fixed_text(code).to_owned();
            }
            error.code = code;
        }
        error.mapped = Mapped::of(chosen.filter(|_| known.is_none()), extensions);
        error
    }

    /// A value of what the service answered. Its depth is that of the mapping.
    fn read(&self, answer: &Json, read: &Read) -> Option<Json> {
        match read {
            Read::Path(path) | Read::ListOf(path) => at(answer, path).cloned(),
            Read::Embedded => Some(answer.clone()),
            Read::FirstOf(options) => options.iter().find_map(|option| self.read(answer, option)),
            Read::Template(pieces) => {
                let texts = pieces.iter().map(|piece| match piece {
                    ReadPiece::Text(literal) => Some(literal.clone()),
                    ReadPiece::Path(path) => text(at(answer, path)?.clone()),
                });
                texts.collect::<Option<String>>().map(Json::String)
            }
            Read::Const(value) => Some(value.clone()),
            Read::Status => Some(self.status.into()),
        }
    }
}

fn at<'a>(answer: &'a Json, path: &[String]) -> Option<&'a Json> {
    let found = path
        .iter()
        .try_fold(answer, |value, name| value.get(name))?;
    (!found.is_null()).then_some(found)
}

fn text(value: Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(shortened(&text).to_owned()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a failure is: an answer of the service's, or none.
pub(super) fn told_apart(failure: Failure, service: &Arc<str>) -> Result<Refusal, Failed> {
    let (how, why) = match failure {
        Failure::Status(status, begun) => return Ok(answered(&status, begun, service)),
        Failure::Http(status, wait) => return Ok(of_http(status, wait, service)),
        Failure::Unreachable(why) => (Unanswered::Unreachable, why),
        Failure::Unprocessed(why) => (Unanswered::Unprocessed, why),
        Failure::Broken(why, false) => (Unanswered::Broken, why),
        Failure::Broken(why, true) => (Unanswered::BrokenReply, why),
        Failure::TimedOut => (Unanswered::TimedOut, "no complete reply in time".to_owned()),
        Failure::TooLarge => {
            let why = "the reply is larger than the source's limit".to_owned();
            (Unanswered::TooLarge, why)
        }
        Failure::NotGrpc(why) => (Unanswered::Unreadable, why),
    };
    Err(Failed::new(how, service, why))
}

/// What stands before the service answered in its place.
fn of_http(status: u16, wait: Option<Duration>, service: &Arc<str>) -> Refusal {
    let grpc = from_http(status);
    let code = classified(grpc);
    let internal = format!("HTTP status {status} without a gRPC status");
    let error = SourceError::new(code, service, fixed_text(code)).internal(internal);
    let verdict = verdict(grpc);
    Refusal {
        error: SourceError {
            retry_after: wait,
            ..error
        },
        status: name(grpc),
        number: tonic::Code::Unknown as i64,
        answer: None,
        maybe_done: is_unclear(grpc),
        verdict: Verdict { wait, ..verdict },
    }
}

/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn from_http(status: u16) -> tonic::Code {
    match status {
        400 => tonic::Code::Internal,
        401 => tonic::Code::Unauthenticated,
        403 => tonic::Code::PermissionDenied,
        404 => tonic::Code::Unimplemented,
        429 | 502 | 503 | 504 => tonic::Code::Unavailable,
        _ => tonic::Code::Unknown,
    }
}

fn answered(status: &Status, begun: bool, service: &Arc<str>) -> Refusal {
    let code = classified(status.code());
    let details = Details::read(status.details());
    let passes = is_the_callers(code);
    let message = match passes && !status.message().is_empty() {
        true => shortened(status.message()).to_owned(),
        false => fixed_text(code).to_owned(),
    };
    let problem = problem(code, status, &details, passes);
    let mut answer = problem.clone();
    answer.insert("code".to_owned(), name(status.code()).into());
    answer.insert("message".to_owned(), Json::from(message.as_str()));
    let mut error = SourceError::new(code, service, message);
    error.internal = Some(match status.message() {
        "" => name(status.code()).to_owned(),
        said => format!("{}: {said}", name(status.code())),
    });
    error.problem = Some(Box::new(problem));
    error.retry_after = details.retry_after;
    Refusal {
        error,
        status: name(status.code()),
        number: status.code() as i64,
        answer: Some(Json::Object(answer)),
        maybe_done: is_unclear(status.code()),
        verdict: verdict_of(status, begun, details.retry_after),
    }
}

/// What a status says about the service, and about another attempt.
/// <https://github.com/grpc/proposal/blob/master/A6-client-retries.md>
fn verdict_of(status: &Status, begun: bool, asked: Option<Duration>) -> Verdict {
    let mut verdict = verdict(status.code());
    verdict.wait = asked;
    if let Some(pushback) = status.metadata().get(PUSHBACK) {
        let millis = pushback.to_str().ok().and_then(|text| text.parse().ok());
        match millis.map(Duration::from_millis) {
            Some(wait) => verdict.wait = Some(wait.min(LONGEST_WAIT)),
            // Below nothing, or no number: not again.
            None => verdict.forbidden = true,
        }
    }
    verdict.replied = begun;
    verdict.forbidden |= begun;
    verdict
}

fn verdict(code: tonic::Code) -> Verdict {
    let (health, again, outcome) = match code {
        tonic::Code::Ok => (Health::Good, Again::Never, Outcome::Ok),
        tonic::Code::Unavailable => (Health::Bad, Again::Yes, Outcome::Unavailable),
        tonic::Code::ResourceExhausted => (Health::Good, Again::WhenTold, Outcome::RateLimited),
        tonic::Code::DeadlineExceeded => (Health::Bad, Again::Never, Outcome::TimedOut),
        tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::DataLoss => {
            (Health::Bad, Again::Never, Outcome::Failed)
        }
        // It is well, and does not know the method.
        tonic::Code::Unimplemented => (Health::Good, Again::Never, Outcome::Failed),
        tonic::Code::Cancelled => (Health::Silent, Again::Never, Outcome::Refused),
        tonic::Code::InvalidArgument
        | tonic::Code::NotFound
        | tonic::Code::AlreadyExists
        | tonic::Code::PermissionDenied
        | tonic::Code::FailedPrecondition
        | tonic::Code::Aborted
        | tonic::Code::OutOfRange
        | tonic::Code::Unauthenticated => (Health::Good, Again::Never, Outcome::Refused),
    };
    Verdict {
        health,
        again,
        outcome,
        wait: None,
        replied: false,
        forbidden: false,
    }
}

fn classified(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::BadUserInput,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::PermissionDenied => Code::Forbidden,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists | tonic::Code::Aborted | tonic::Code::FailedPrecondition => {
            Code::Conflict
        }
        tonic::Code::ResourceExhausted => Code::RateLimited,
        tonic::Code::Cancelled => Code::Cancelled,
        tonic::Code::Unavailable => Code::UpstreamUnavailable,
        tonic::Code::DeadlineExceeded => Code::UpstreamTimeout,
        tonic::Code::Ok
        | tonic::Code::Unknown
        | tonic::Code::Internal
        | tonic::Code::DataLoss
        | tonic::Code::Unimplemented => Code::UpstreamError,
    }
}

/// A status as gRPC writes it.
pub(super) fn name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unknown => "UNKNOWN",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The classes whose message says what the caller can do.
fn is_the_callers(code: Code) -> bool {
    matches!(
        code,
        Code::BadUserInput
            | Code::Unauthenticated
            | Code::Forbidden
            | Code::NotFound
            | Code::Conflict
            | Code::RateLimited
    )
}

/// After these nobody knows whether the work was done.
fn is_unclear(code: tonic::Code) -> bool {
    matches!(
        code,
        tonic::Code::Unknown
            | tonic::Code::Internal
            | tonic::Code::DeadlineExceeded
            | tonic::Code::Cancelled
            | tonic::Code::Unavailable
            | tonic::Code::DataLoss
    )
}

/// RFC 9457 members. Details pass only with the message: they say as much.
fn problem(code: Code, status: &Status, details: &Details, passes: bool) -> Map<String, Json> {
    let http = code.http_status();
    let title = http::StatusCode::from_u16(http)
        .ok()
        .and_then(|status| status.canonical_reason());
    let mut problem = Map::new();
    problem.insert("title".to_owned(), title.unwrap_or("Failed").into());
    problem.insert("status".to_owned(), http.into());
    problem.insert("grpcStatus".to_owned(), name(status.code()).into());
    if passes {
        if !status.message().is_empty() {
            problem.insert("detail".to_owned(), shortened(status.message()).into());
        }
        problem.extend(details.members.clone());
    }
    problem
}

/// What a client may read of `grpc-status-details-bin`.
#[derive(Debug, Default, PartialEq)]
struct Details {
    members: Map<String, Json>,
    retry_after: Option<Duration>,
}

impl Details {
    /// Details that are not as they should be are left out: the status stands without them.
    fn read(bytes: &[u8]) -> Self {
        let mut details = Self::default();
        for any in wire::Status::decode(bytes).unwrap_or_default().details {
            let name = any.type_url.rsplit('/').next().unwrap_or_default();
            details.add(
                name.strip_prefix("google.rpc.").unwrap_or_default(),
                &any.value,
            );
        }
        details
    }

    /// `DebugInfo` (stack traces) and whatever is not listed never leave.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        match name {
            "ErrorInfo" => self.error_info(wire::ErrorInfo::decode(bytes).unwrap_or_default()),
            "RetryInfo" => self.retry_info(wire::RetryInfo::decode(bytes).unwrap_or_default()),
            "BadRequest" => self.list(
                "errors",
                wire::BadRequest::decode(bytes).map(|it| it.json()),
            ),
            "QuotaFailure" => self.list(
                "quotaViolations",
                wire::QuotaFailure::decode(bytes).map(|it| it.json()),
            ),
            "PreconditionFailure" => {
                self.list(
                    "violations",
                    wire::PreconditionFailure::decode(bytes).map(|it| it.json()),
                );
            }
            "LocalizedMessage" => {
                let message = wire::LocalizedMessage::decode(bytes).unwrap_or_default();
                let json = json!({ "locale": message.locale, "message": message.message });
                self.members.insert("localizedMessage".to_owned(), json);
            }
            _ => {}
        }
    }

    fn error_info(&mut self, info: wire::ErrorInfo) {
        self.members.insert("reason".to_owned(), info.reason.into());
        self.members.insert("domain".to_owned(), info.domain.into());
        if !info.metadata.is_empty() {
            let metadata = info
                .metadata
                .into_iter()
                .map(|(name, value)| (name, Json::from(value)));
            self.members
                .insert("metadata".to_owned(), Json::Object(metadata.collect()));
        }
    }

    fn retry_info(&mut self, info: wire::RetryInfo) {
        let delay = info.retry_delay.unwrap_or_default();
        let seconds = u64::try_from(delay.seconds).unwrap_or_default();
        let nanos = u32::try_from(delay.nanos)
            .unwrap_or_default()
            .min(999_999_999);
        let delay = Duration::new(seconds, nanos).min(LONGEST_WAIT);
        self.retry_after = Some(delay).filter(|delay| !delay.is_zero());
    }

    fn list(&mut self, member: &str, items: Result<Vec<Json>, prost::DecodeError>) {
        match items {
            Ok(items) if !items.is_empty() => {
                drop(self.members.insert(member.to_owned(), items.into()))
            }
            _ => {}
        }
    }
}

/// The standard details as they lie on the wire.
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>
mod wire {
    use std::collections::BTreeMap;

    use serde_json::Value as Json;
    use serde_json::json;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Any {
        #[prost(string, tag = "1")]
        pub(super) type_url: String,
        #[prost(bytes = "bytes", tag = "2")]
        pub(super) value: bytes::Bytes,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ErrorInfo {
        #[prost(string, tag = "1")]
        pub(super) reason: String,
        #[prost(string, tag = "2")]
        pub(super) domain: String,
        #[prost(btree_map = "string, string", tag = "3")]
        pub(super) metadata: BTreeMap<String, String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        pub(super) retry_delay: Option<Delay>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Delay {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(super) nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct BadRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) violations: Vec<Violation>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct QuotaFailure {
        #[prost(message, repeated, tag = "1")]
        pub(super) violations: Vec<Violation>,
    }

    /// A field or a subject, and what is wrong with it.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Violation {
        #[prost(string, tag = "1")]
        pub(super) subject: String,
        #[prost(string, tag = "2")]
        pub(super) description: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct PreconditionFailure {
        #[prost(message, repeated, tag = "1")]
        pub(super) violations: Vec<TypedViolation>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TypedViolation {
        #[prost(string, tag = "1")]
        pub(super) kind: String,
        #[prost(string, tag = "2")]
        pub(super) subject: String,
        #[prost(string, tag = "3")]
        pub(super) description: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct LocalizedMessage {
        #[prost(string, tag = "1")]
        pub(super) locale: String,
        #[prost(string, tag = "2")]
        pub(super) message: String,
    }

    impl BadRequest {
        pub(super) fn json(&self) -> Vec<Json> {
            let json = |it: &Violation| json!({ "field": it.subject, "detail": it.description });
            self.violations.iter().map(json).collect()
        }
    }

    impl QuotaFailure {
        pub(super) fn json(&self) -> Vec<Json> {
            let json = |it: &Violation| json!({ "subject": it.subject, "detail": it.description });
            self.violations.iter().map(json).collect()
        }
    }

    impl PreconditionFailure {
        pub(super) fn json(&self) -> Vec<Json> {
            let json = |it: &TypedViolation| json!({ "type": it.kind, "subject": it.subject, "detail": it.description });
            self.violations.iter().map(json).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn refused(status: Status) -> Refusal {
        told_apart(Failure::Status(Box::new(status), false), &"orders".into()).unwrap()
    }

    fn with_details(code: tonic::Code, message: &str, details: Vec<(&str, Vec<u8>)>) -> Status {
        let details = details.into_iter().map(|(name, value)| wire::Any {
            type_url: format!("type.googleapis.com/google.rpc.{name}"),
            value: value.into(),
        });
        let status = wire::Status {
            details: details.collect(),
        };
        Status::with_details(code, message, status.encode_to_vec().into())
    }

    #[test]
    fn every_status_has_the_code_of_the_table() {
        let codes: Vec<(&str, &str)> = (1..=16)
            .map(tonic::Code::from_i32)
            .map(|code| (name(code), classified(code).as_str()))
            .collect();
        let table = [
            ("CANCELLED", "CANCELLED"),
            ("UNKNOWN", "UPSTREAM_ERROR"),
            ("INVALID_ARGUMENT", "BAD_USER_INPUT"),
            ("DEADLINE_EXCEEDED", "UPSTREAM_TIMEOUT"),
            ("NOT_FOUND", "NOT_FOUND"),
            ("ALREADY_EXISTS", "CONFLICT"),
            ("PERMISSION_DENIED", "FORBIDDEN"),
            ("RESOURCE_EXHAUSTED", "RATE_LIMITED"),
            ("FAILED_PRECONDITION", "CONFLICT"),
            ("ABORTED", "CONFLICT"),
            ("OUT_OF_RANGE", "BAD_USER_INPUT"),
            ("UNIMPLEMENTED", "UPSTREAM_ERROR"),
            ("INTERNAL", "UPSTREAM_ERROR"),
            ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
            ("DATA_LOSS", "UPSTREAM_ERROR"),
            ("UNAUTHENTICATED", "UNAUTHENTICATED"),
        ];
        assert_eq!(codes, table);
    }

    #[test]
    fn a_message_passes_where_the_caller_can_act_on_it() {
        let refused = refused(Status::failed_precondition("The order has been shipped."));
        assert_eq!(refused.error.message, "The order has been shipped.");
        assert_eq!(
            Json::Object(*refused.error.problem.unwrap()),
            json!({
                "title": "Conflict", "status": 409, "grpcStatus": "FAILED_PRECONDITION",
                "detail": "The order has been shipped.",
            })
        );
        assert!(!refused.maybe_done);
    }

    #[test]
    fn a_fault_of_the_service_gets_our_own_text_and_no_details() {
        let trace = wire::ErrorInfo {
            reason: "DB_DOWN".to_owned(),
            ..wire::ErrorInfo::default()
        };
        let details = vec![
            ("ErrorInfo", trace.encode_to_vec()),
            ("DebugInfo", vec![1, 2, 3]),
        ];
        let refused = refused(with_details(
            tonic::Code::Internal,
            "panic at db.go:7",
            details,
        ));
        assert_eq!(refused.error.message, "The service failed.");
        assert_eq!(
            refused.error.internal.as_deref(),
            Some("INTERNAL: panic at db.go:7")
        );
        assert_eq!(
            Json::Object(*refused.error.problem.unwrap()),
            json!({ "title": "Internal Server Error", "status": 500, "grpcStatus": "INTERNAL" })
        );
    }

    #[test]
    fn standard_details_become_members_of_the_problem() {
        let violation = |subject: &str| wire::Violation {
            subject: subject.to_owned(),
            description: "too small".to_owned(),
        };
        let info = wire::ErrorInfo {
            reason: "QUANTITY".to_owned(),
            domain: "shop".to_owned(),
            metadata: [("min".to_owned(), "1".to_owned())].into(),
        };
        let retry = wire::RetryInfo {
            retry_delay: Some(wire::Delay {
                seconds: 2,
                nanos: 500_000_000,
            }),
        };
        let bad = wire::BadRequest {
            violations: vec![violation("items[0].quantity")],
        };
        let quota = wire::QuotaFailure {
            violations: vec![violation("user:7")],
        };
        let precondition = wire::PreconditionFailure {
            violations: vec![wire::TypedViolation {
                kind: "TOS".to_owned(),
                subject: "user".to_owned(),
                description: "not accepted".to_owned(),
            }],
        };
        let localized = wire::LocalizedMessage {
            locale: "de".to_owned(),
            message: "zu klein".to_owned(),
        };
        let details = vec![
            ("ErrorInfo", info.encode_to_vec()),
            ("RetryInfo", retry.encode_to_vec()),
            ("BadRequest", bad.encode_to_vec()),
            ("QuotaFailure", quota.encode_to_vec()),
            ("PreconditionFailure", precondition.encode_to_vec()),
            ("LocalizedMessage", localized.encode_to_vec()),
            ("DebugInfo", vec![1, 2, 3]),
            ("BadRequest", vec![0xff]),
        ];
        let refused = refused(with_details(tonic::Code::InvalidArgument, "bad", details));
        assert_eq!(refused.error.retry_after, Some(Duration::from_millis(2500)));
        assert_eq!(
            Json::Object(*refused.error.problem.unwrap()),
            json!({
                "title": "Bad Request", "status": 400, "grpcStatus": "INVALID_ARGUMENT", "detail": "bad",
                "reason": "QUANTITY", "domain": "shop", "metadata": { "min": "1" },
                "errors": [{ "field": "items[0].quantity", "detail": "too small" }],
                "quotaViolations": [{ "subject": "user:7", "detail": "too small" }],
                "violations": [{ "type": "TOS", "subject": "user", "detail": "not accepted" }],
                "localizedMessage": { "locale": "de", "message": "zu klein" },
            })
        );
    }

    #[test]
    fn mappings_of_errors_choose_code_message_and_members() {
        let path = |path: &str| Read::Path(path.split('.').map(str::to_owned).collect());
        let rule = |status: &str, code: &str| (status.to_owned(), code.to_owned());
        let info = wire::ErrorInfo {
            reason: "SHIPPED".to_owned(),
            domain: "shop".to_owned(),
            metadata: [("order".to_owned(), "7".to_owned())].into(),
        };
        let details = vec![("ErrorInfo", info.encode_to_vec())];
        let refused = refused(with_details(tonic::Code::FailedPrecondition, "no", details));
        let source = Errors {
            message: Some(path("reason")),
            extensions: vec![("order".to_owned(), path("metadata.order"))],
            codes: vec![rule("FAILED_PRECONDITION", "FORBIDDEN")],
        };
        let told = refused.told(&Errors::default(), &source);
        assert_eq!((told.code, &*told.message), (Code::Forbidden, "SHIPPED"));
        assert_eq!(told.mapped.unwrap().extensions["order"], json!("7"));
        let pieces = vec![
            ReadPiece::Text("code ".to_owned()),
            ReadPiece::Path(vec!["code".to_owned()]),
        ];
        let operation = Errors {
            message: Some(Read::FirstOf(vec![path("nothing"), Read::Template(pieces)])),
            extensions: vec![("status".to_owned(), Read::Status)],
            codes: vec![rule("FAILED_PRECONDITION", "ORDER_SHIPPED")],
        };
        let told = refused.told(&operation, &source);
        assert_eq!(
            (told.code, &*told.message),
            (Code::Conflict, "code FAILED_PRECONDITION")
        );
        let mapped = told.mapped.unwrap();
        assert_eq!(mapped.code.as_deref(), Some("ORDER_SHIPPED"));
        assert_eq!(mapped.extensions["status"], json!("FAILED_PRECONDITION"));
    }

    #[test]
    fn what_the_service_says_of_its_own_faults_is_not_mapped() {
        let refused = refused(Status::internal("stack trace"));
        let errors = Errors {
            message: Some(Read::Path(vec!["message".to_owned()])),
            ..Errors::default()
        };
        assert_eq!(
            refused.told(&errors, &errors).message,
            "The service failed."
        );
    }

    #[test]
    fn a_long_message_is_cut() {
        let refused = refused(Status::not_found("x".repeat(100_000)));
        assert!(refused.error.message.len() < 10_000);
        assert!(
            refused.error.problem.unwrap()["detail"]
                .as_str()
                .unwrap()
                .len()
                < 10_000
        );
    }

    #[test]
    fn an_answer_without_a_grpc_status_has_that_of_its_http_status() {
        let told = |status| told_apart(Failure::Http(status, None), &"orders".into());
        let code = |status| told(status).unwrap().error.code;
        assert_eq!(code(401), Code::Unauthenticated);
        assert_eq!(code(403), Code::Forbidden);
        assert_eq!(code(404), Code::UpstreamError);
        assert_eq!(code(503), Code::UpstreamUnavailable);
        assert_eq!(code(418), Code::UpstreamError);
    }

    #[test]
    fn pushback_is_obeyed_and_nothing_is_repeated_once_an_answer_has_begun() {
        let pushed = |value: &'static str, begun| {
            let mut status = Status::unavailable("busy");
            status
                .metadata_mut()
                .insert(PUSHBACK, value.parse().unwrap());
            let failure = Failure::Status(Box::new(status), begun);
            let verdict = told_apart(failure, &"orders".into()).unwrap().verdict;
            match verdict.forbidden {
                true => (Again::Never, verdict.wait),
                false => (verdict.again, verdict.wait),
            }
        };
        let soon = Some(Duration::from_millis(250));
        assert_eq!(pushed("250", false), (Again::Yes, soon));
        assert_eq!(pushed("250", true), (Again::Never, soon));
        let day = Some(LONGEST_WAIT);
        assert_eq!(pushed("18446744073709551615", false), (Again::Yes, day));
        assert_eq!(pushed("-1", false), (Again::Never, None));
        assert_eq!(pushed("soon", false), (Again::Never, None));
    }
}
