//! Header rules: what is forwarded, and nothing else.
//!
//! Owns which rule wins for a name and which values may not travel. gRPC
//! metadata follows the same rules.

use compose::model::HeaderRule;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use super::RenderError;
use super::Scope;
use super::text;

/// Headers that belong to the client of the protocol alone: a wrong one changes where a message ends, or asks for a coding that nobody would undo.
const OWN: [HeaderName; 6] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
];

/// Adds what the rules say; a rule replaces what an outer level said for its name, also with nothing.
pub(crate) fn apply(
    rules: &[HeaderRule],
    scope: &Scope<'_>,
    headers: &mut HeaderMap,
) -> Result<(), RenderError> {
    for rule in rules {
        let Some(name) = name(&rule.name) else {
            continue;
        };
        match text::eval(&rule.value, scope)? {
            Some(value) => drop(headers.insert(name, header_value(&rule.name, &value)?)),
            None => drop(headers.remove(name)),
        }
    }
    Ok(())
}

fn name(name: &str) -> Option<HeaderName> {
    let name = HeaderName::try_from(name).ok()?;
    (!OWN.contains(&name)).then_some(name)
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, RenderError> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        RenderError(format!(
            "The value for the header `{name}` holds a control character."
        ))
    })
}
