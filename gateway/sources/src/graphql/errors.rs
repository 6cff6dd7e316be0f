//! What a service's errors mean to a client.
//!
//! Owns the GraphQL column of the error table: codes that are widely used, and
//! whose words may pass. What a code does not tell stays a failure of the
//! service, whose text is ours. Knows nothing of where an error stands.

use compose::model::Errors;
use plan::code::Code;
use plan::source::Mapped;
use plan::source::SourceError;
use serde_json::Map;
use serde_json::Value as Json;

use super::Graphql;
use crate::failure::code_named;
use crate::failure::fixed_text;
use crate::failure::shortened;
use crate::protocol::Job;
use crate::transport::problem;
use crate::transport::status;

/// The code of an error of this kind; none for one that only its service knows.
fn known_code(stated: &str) -> Option<Code> {
    Some(match stated {
        "BAD_USER_INPUT" | "BAD_REQUEST" | "INVALID_ARGUMENT" => Code::BadUserInput,
        "UNAUTHENTICATED" | "UNAUTHORIZED" => Code::Unauthenticated,
        "FORBIDDEN" | "PERMISSION_DENIED" => Code::Forbidden,
        "NOT_FOUND" => Code::NotFound,
        "CONFLICT" => Code::Conflict,
        "RATE_LIMITED" | "TOO_MANY_REQUESTS" => Code::RateLimited,
        "SERVICE_UNAVAILABLE" | "UPSTREAM_UNAVAILABLE" => Code::UpstreamUnavailable,
        "TIMEOUT" | "UPSTREAM_TIMEOUT" | "DEADLINE_EXCEEDED" => Code::UpstreamTimeout,
        // The gateway wrote the operation: the service has another schema than was declared.
        "GRAPHQL_PARSE_FAILED" | "GRAPHQL_VALIDATION_FAILED" => Code::UpstreamInvalidResponse,
        "INTERNAL_SERVER_ERROR" => Code::UpstreamError,
        _ => return None,
    })
}

/// Whether the caller can act on it, so that the service's words may pass.
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

fn stated(error: &Json) -> Option<&str> {
    error.get("extensions")?.get("code")?.as_str()
}

/// The code of one error; the status tells where the error does not.
pub(super) fn code(error: &Json, http: u16) -> Code {
    let by_status = || match http {
        200..=299 => Code::UpstreamError,
        http => status::code(http),
    };
    stated(error).and_then(known_code).unwrap_or_else(by_status)
}

impl Graphql {
    /// One error of a response with this status.
    pub(super) fn told(&self, job: &Job<'_>, error: &Json, http: u16) -> SourceError {
        let (operation, source) = (&job.resolver.policy.errors, &self.service.errors);
        let chosen = chosen_code([operation, source], stated(error), http);
        let known = chosen.and_then(code_named);
        let code = known.unwrap_or_else(|| code(error, http));
        let callers = is_the_callers(code);
        let mut extensions = Map::new();
        if callers {
            extensions.extend(problem::mapped(source, error, http));
            extensions.extend(problem::mapped(operation, error, http));
        }
        let message = callers.then(|| {
            problem::message([operation, source], error, http).or_else(|| own_message(error))
        });
        let message = message.flatten();
        SourceError {
            mapped: Mapped::of(chosen.filter(|_| known.is_none()), extensions),
            internal: Some(logged(error)),
            ..SourceError::new(
                code,
                &self.service.name,
                message.unwrap_or_else(|| fixed_text(code).to_owned()),
            )
        }
    }
}

/// `errors: { codes: … }`, by the error's own code or the status; the operation's come first.
fn chosen_code<'a>(rules: [&'a Errors; 2], stated: Option<&str>, http: u16) -> Option<&'a str> {
    let mut rules = rules.into_iter().flat_map(|errors| &errors.codes);
    let rule = rules.find(|(pattern, _)| {
        Some(pattern.as_str()) == stated
            || (!(200..300).contains(&http) && status::matches(pattern, http))
    });
    rule.map(|(_, name)| name.as_str())
}

fn own_message(error: &Json) -> Option<String> {
    let message = error.get("message")?.as_str()?;
    (!message.is_empty()).then(|| shortened(message).to_owned())
}

/// What the log has of it.
fn logged(error: &Json) -> String {
    let code = stated(error).unwrap_or("no code");
    let message = own_message(error);
    let path = error.get("path").map(Json::to_string).unwrap_or_default();
    let message = message.unwrap_or_else(|| "no message".to_owned());
    format!("{code}: {message} {}", shortened(&path))
        .trim_end()
        .to_owned()
}
