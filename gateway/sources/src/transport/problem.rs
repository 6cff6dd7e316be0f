//! What an unsuccessful reply says, and how much of it a client may read.
//!
//! Owns RFC 9457 problem details and the mappings of `errors:`. What is not
//! named here does not pass: bodies, addresses and stack traces stay inside.
//! <https://www.rfc-editor.org/rfc/rfc9457>

use compose::model::Errors;
use compose::model::Read;
use compose::model::ReadPiece;
use http::StatusCode;
use plan::code::Code;
use serde_json::Map;
use serde_json::Value as Json;

use super::client::HttpReply;
use super::status;
use crate::failure::fixed_text;
use crate::failure::shortened;

/// Members of problem details that are passed on where the caller can act on them, and what each may be.
/// One that is something else is ignored, as the RFC asks.
const MEMBERS: [(&str, Fits); 5] = [
    ("type", Json::is_string),
    ("title", Json::is_string),
    ("detail", Json::is_string),
    ("code", |code| code.is_string() || code.is_number()),
    ("errors", |errors| errors.is_array() || errors.is_object()),
];

type Fits = fn(&Json) -> bool;

/// Longer values of a member are left out.
const MAX_MEMBER: usize = 4_000;

/// What a client may read of an unsuccessful reply.
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) problem: Map<String, Json>,
    /// What `errors: { extensions: … }` reads.
    pub(crate) extensions: Map<String, Json>,
}

/// Reads an unsuccessful reply; the operation's mapping comes before the source's.
pub(crate) fn told(reply: &HttpReply, code: Code, operation: &Errors, source: &Errors) -> Told {
    let mut problem = of_status(reply.status);
    let document = document(reply).filter(|_| status::is_the_callers(reply.status));
    let Some(document) = document else {
        return Told {
            message: fixed_text(code).to_owned(),
            problem,
            extensions: Map::new(),
        };
    };
    if is_problem(reply) {
        problem.extend(members(&document));
    }
    let mut extensions = mapped(source, &document, reply.status);
    extensions.extend(mapped(operation, &document, reply.status));
    let message = message([operation, source], &document, reply.status);
    let message = message.or_else(|| detail_or_title(&problem, is_problem(reply)));
    Told {
        message: message.unwrap_or_else(|| fixed_text(code).to_owned()),
        problem,
        extensions,
    }
}

/// What the log has of it: the status, and what problem details say, whosever fault it is.
pub(crate) fn logged(reply: &HttpReply) -> String {
    let status = format!("status {}", reply.status);
    let stated = document(reply).filter(|_| is_problem(reply));
    let said = stated.and_then(|document| detail_or_title(&members(&document), true));
    match said {
        Some(said) => format!("{status}: {said}"),
        None => status,
    }
}

/// Whether the body is problem details.
pub(crate) fn is_problem(reply: &HttpReply) -> bool {
    status::media_type(&reply.headers) == "application/problem+json"
}

fn document(reply: &HttpReply) -> Option<Json> {
    let document: Json = serde_json::from_slice(&reply.body).ok()?;
    document.is_object().then_some(document)
}

fn of_status(status: u16) -> Map<String, Json> {
    let title = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let mut problem = Map::new();
    problem.insert("title".to_owned(), title.unwrap_or("Failed").into());
    problem.insert("status".to_owned(), status.into());
    problem
}

fn members(document: &Json) -> Map<String, Json> {
    let known = MEMBERS.iter().filter_map(|(name, fits)| {
        let value = document.get(name).filter(|value| fits(value))?;
        Some(((*name).to_owned(), passable(value)?))
    });
    known.collect()
}

fn passable(value: &Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(shortened(text).into()),
        value => (value.to_string().len() <= MAX_MEMBER).then(|| value.clone()),
    }
}

/// What `errors: { message: … }` reads; the first rule that finds one speaks.
pub(crate) fn message(rules: [&Errors; 2], document: &Json, status: u16) -> Option<String> {
    rules.into_iter().find_map(|errors| {
        let read = errors.message.as_ref()?;
        text(self::read(document, read, status)?)
    })
}

/// What `errors: { extensions: … }` reads.
pub(crate) fn mapped(errors: &Errors, document: &Json, status: u16) -> Map<String, Json> {
    let members = errors.extensions.iter().filter_map(|(name, read)| {
        let value = self::read(document, read, status)?;
        Some((name.clone(), passable(&value)?))
    });
    members.collect()
}

fn detail_or_title(problem: &Map<String, Json>, stated: bool) -> Option<String> {
    let member = |name: &str| problem.get(name).and_then(Json::as_str);
    let text = member("detail").or_else(|| member("title").filter(|_| stated))?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn text(value: Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(shortened(&text).to_owned()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A value of an error body. Its depth is that of the mapping.
fn read(document: &Json, read: &Read, status: u16) -> Option<Json> {
    match read {
        Read::Path(path) | Read::ListOf(path) => at(document, path).cloned(),
        Read::Embedded => Some(document.clone()),
        Read::FirstOf(options) => options
            .iter()
            .find_map(|option| self::read(document, option, status)),
        Read::Template(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                ReadPiece::Text(text) => Some(text.clone()),
                ReadPiece::Path(path) => text(at(document, path)?.clone()),
            })
            .collect::<Option<String>>()
            .map(Json::String),
        Read::Const(value) => Some(value.clone()),
        Read::Status => Some(status.into()),
    }
}

fn at<'a>(document: &'a Json, path: &[String]) -> Option<&'a Json> {
    let found = path
        .iter()
        .try_fold(document, |value, name| value.get(name))?;
    (!found.is_null()).then_some(found)
}
