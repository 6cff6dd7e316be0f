//! Header rules of the configuration, as composition takes them.

use compose::Diagnostics;
use compose::GivenHeader;
use compose::GivenHeaders;
use compose::GivenValue;
use compose::diagnostic::Diagnostic;
use compose::model::HeaderMerge;
use compose::model::ResponseRule as Propagated;
use http::HeaderName;
use http::HeaderValue;

use super::super::file::headers::Headers;
use super::super::file::headers::Merge;
use super::super::file::headers::RequestRule;
use super::super::file::headers::ResponseRule;
use super::only;

/// Hop by hop (RFC 9110, 7.6.1), of the message itself, or the gateway's own on every call.
const RESERVED: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-correlation-id",
    "traceparent",
    "tracestate",
];

/// What the gateway says of its answers itself, and what a browser takes as its policy.
const OWN: [&str; 18] = [
    "age",
    "alt-svc",
    "authentication-info",
    "clear-site-data",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "date",
    "referrer-policy",
    "refresh",
    "retry-after",
    "server",
    "strict-transport-security",
    "vary",
    "www-authenticate",
    "x-request-id",
];
const OWN_PREFIXES: [&str; 7] = [
    "access-control-",
    "content-security-policy",
    "cross-origin-",
    "grpc-",
    "ratelimit",
    "x-content-type-",
    "x-frame-",
];

pub(super) fn headers(written: &Headers) -> Result<GivenHeaders, Diagnostics> {
    let sources = written.sources.iter();
    let sources = sources.map(|(name, own)| Ok((name.clone(), rules(&own.request)?)));
    let own_answers = written.sources.iter();
    let own_answers = own_answers.map(|(name, own)| Ok((name.clone(), answers(&own.response)?)));
    Ok(GivenHeaders {
        all: rules(&written.request)?,
        sources: sources.collect::<Result<_, Diagnostics>>()?,
        all_answers: answers(&written.response)?,
        answers: own_answers.collect::<Result<_, Diagnostics>>()?,
    })
}

fn rules(written: &[RequestRule]) -> Result<Vec<GivenHeader>, Diagnostics> {
    written.iter().map(rule).collect()
}

fn rule(written: &RequestRule) -> Result<GivenHeader, Diagnostics> {
    let RequestRule {
        forward,
        renamed,
        set,
        value,
        remove,
    } = written;
    let (name, value) = match (forward, renamed, set, value, remove) {
        (Some(from), to, None, None, None) => {
            let name = to.as_ref().unwrap_or(from);
            (name, GivenValue::Client(any_name(from)?))
        }
        (None, None, Some(name), Some(text), None) => (name, GivenValue::Text(valid(name, text)?)),
        (None, None, None, None, Some(name)) => (name, GivenValue::Nothing),
        _ => {
            return Err(wrong(
                "headers: a rule does one thing".into(),
                "write { forward: x-a }, { forward: x-a, as: x-b }, { set: x-a, value: … } or { remove: x-a }",
            ));
        }
    };
    Ok(GivenHeader {
        name: sent_name(name)?,
        value,
    })
}

fn answers(written: &[ResponseRule]) -> Result<Vec<Propagated>, Diagnostics> {
    written.iter().map(answer).collect()
}

fn answer(written: &ResponseRule) -> Result<Propagated, Diagnostics> {
    let name = any_name(&written.propagate)?;
    let owned = OWN.contains(&name.as_str()) || OWN_PREFIXES.iter().any(|it| name.starts_with(it));
    if owned || RESERVED.contains(&name.as_str()) {
        return Err(wrong(
            format!("headers: `{name}` is not for a service to say to clients"),
            "it belongs to one connection, to the answer itself, or to what the gateway decides for browsers",
        ));
    }
    let merge = match (written.merge, name.as_str()) {
        (Some(Merge::First), _) => HeaderMerge::First,
        (Some(Merge::Last), _) => HeaderMerge::Last,
        (Some(Merge::Append), _) | (None, "set-cookie") => HeaderMerge::Append,
        (Some(Merge::MostRestrictive) | None, "cache-control") => HeaderMerge::MostRestrictive,
        (None, _) => HeaderMerge::First,
        (Some(Merge::MostRestrictive), _) => {
            return Err(wrong(
                format!(
                    "headers: what is most restrictive is known of cache-control, not of `{name}`"
                ),
                "merge first, last or append",
            ));
        }
    };
    Ok(Propagated { name, merge })
}

/// Lower case, as rules of subgraph files are kept.
fn any_name(name: &str) -> Result<String, Diagnostics> {
    let parsed: Result<HeaderName, _> = name.parse();
    let parsed =
        parsed.map_err(|_| wrong(format!("headers: `{name}` is no header"), "write its name"))?;
    Ok(parsed.as_str().to_owned())
}

fn sent_name(name: &str) -> Result<String, Diagnostics> {
    let name = any_name(name)?;
    let reserved = RESERVED.contains(&name.as_str()) || name.starts_with("grpc-");
    match reserved {
        true => Err(wrong(
            format!("headers: `{name}` is not for a rule to decide"),
            "it belongs to one connection, to the message itself, or to the gateway, which sends its ids with every call",
        )),
        false => Ok(name),
    }
}

fn valid(name: &str, text: &str) -> Result<String, Diagnostics> {
    match HeaderValue::from_str(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(wrong(
            format!("headers: the value of `{name}` holds a control character"),
            "write visible text",
        )),
    }
}

fn wrong(what: String, help: &str) -> Diagnostics {
    only(Diagnostic::error("CONFIG_VALUE", what).help(help))
}
