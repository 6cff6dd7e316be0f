//! Media types: what a client sends, and what it wants back.
//!
//! <https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>

use http::HeaderMap;
use http::HeaderValue;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;

use super::problem::Kind;
use super::problem::Problem;

/// The media type of server-sent events.
const EVENTS: &str = "text/event-stream";

/// The media type of a GraphQL response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/graphql-response+json`: the status says whether the operation was run.
    GraphqlResponse,
    /// `application/json`: the status is 200 for whatever is a GraphQL response.
    Json,
}

impl MediaType {
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            MediaType::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            MediaType::Json => "application/json; charset=utf-8",
        })
    }

    fn essence(self) -> &'static str {
        match self {
            MediaType::GraphqlResponse => "application/graphql-response+json",
            MediaType::Json => "application/json",
        }
    }
}

/// The media type that the client prefers among ours. Without `Accept`, or with only wildcards, JSON.
pub(super) fn accepted(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let mut values = headers.get_all(ACCEPT).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None | Some(b"*/*" | b"application/json"), None) => return Ok(MediaType::Json),
        (Some(b"application/graphql-response+json"), None) => {
            return Ok(MediaType::GraphqlResponse);
        }
        _ => {}
    }
    let values = headers.get_all(ACCEPT).iter();
    let ranges: Vec<Range<'_>> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(Range::parse_all)
        .collect();
    let (graphql, json) = (
        preference(&ranges, MediaType::GraphqlResponse),
        preference(&ranges, MediaType::Json),
    );
    match (graphql, json) {
        (None, None) => Err(Problem::new(
            Kind::NotAcceptable,
            "Accept application/graphql-response+json or application/json.",
        )),
        (Some(graphql), json) if graphql.named && json.is_none_or(|json| graphql.q >= json.q) => {
            Ok(MediaType::GraphqlResponse)
        }
        (Some(_), None) => Ok(MediaType::GraphqlResponse),
        (_, Some(_)) => Ok(MediaType::Json),
    }
}

/// Whether the client would rather have server-sent events than anything else: the first of the ranges that it wants most.
pub(super) fn prefers_events(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter();
    let names_them = |value: &HeaderValue| {
        let mut words = value.as_bytes().windows(EVENTS.len());
        words.any(|word| word.eq_ignore_ascii_case(EVENTS.as_bytes()))
    };
    if !values.any(names_them) {
        return false;
    }
    let values = headers.get_all(ACCEPT).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut best: Option<Range<'_>> = None;
    for range in texts.flat_map(Range::parse_all) {
        if best.as_ref().is_none_or(|best| range.q > best.q) {
            best = Some(range);
        }
    }
    best.is_some_and(|range| range.q > 0 && range.essence.eq_ignore_ascii_case(EVENTS))
}

/// How much a client wants a media type.
#[derive(Debug, Clone, Copy)]
struct Preference {
    /// In thousandths, above zero.
    q: u16,
    /// Not just covered by a wildcard.
    named: bool,
}

/// The most specific range that covers a media type decides.
fn preference(ranges: &[Range<'_>], media: MediaType) -> Option<Preference> {
    let covering = ranges.iter().filter(|range| range.covers(media));
    let range = covering.max_by_key(|range| range.specificity())?;
    (range.q > 0).then_some(Preference {
        q: range.q,
        named: range.specificity() == 2,
    })
}

/// One range of an `Accept` header.
#[derive(Debug)]
struct Range<'h> {
    essence: &'h str,
    q: u16,
    utf8: bool,
}

impl<'h> Range<'h> {
    fn parse_all(header: &'h str) -> impl Iterator<Item = Self> {
        header.split(',').map(Self::parse)
    }

    fn parse(range: &'h str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let mut parsed = Self {
            essence: parts.next().unwrap_or(""),
            q: 1000,
            utf8: true,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                name if name.eq_ignore_ascii_case("q") => parsed.q = thousandths(value.trim()),
                name if name.eq_ignore_ascii_case("charset") => parsed.utf8 = is_utf8(value),
                _ => {}
            }
        }
        parsed
    }

    fn covers(&self, media: MediaType) -> bool {
        let names = self.essence.eq_ignore_ascii_case(media.essence());
        let covers = names || self.essence == "*/*" || self.is_application();
        covers && self.utf8
    }

    fn is_application(&self) -> bool {
        self.essence.eq_ignore_ascii_case("application/*")
    }

    fn specificity(&self) -> u8 {
        match self.essence {
            "*/*" => 0,
            _ if self.is_application() => 1,
            _ => 2,
        }
    }
}

/// A weight of RFC 9110, section 12.4.2. What is none counts as 1, as if it had not been written.
fn thousandths(q: &str) -> u16 {
    match q.parse::<f32>() {
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
        _ => 1000,
    }
}

fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// Whether a `Content-Type` is there, and JSON in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    Missing,
    Json,
    Other,
}

impl ContentType {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        match (values.next(), values.next()) {
            (None, _) => ContentType::Missing,
            (Some(value), None) if is_json(value.as_bytes()) => ContentType::Json,
            _ => ContentType::Other,
        }
    }
}

fn is_json(value: &[u8]) -> bool {
    if value == b"application/json" {
        return true;
    }
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let range = Range::parse(value);
    range.essence.eq_ignore_ascii_case("application/json") && range.utf8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_client_is_given_what_it_prefers() {
        let graphql = "application/graphql-response+json";
        let table: &[(&[&str], Option<MediaType>)] = &[
            (&[], Some(MediaType::Json)),
            (&["*/*"], Some(MediaType::Json)),
            (&["application/*"], Some(MediaType::Json)),
            (&["application/json"], Some(MediaType::Json)),
            (&["APPLICATION/JSON"], Some(MediaType::Json)),
            (&["application/json; charset=utf-8"], Some(MediaType::Json)),
            (&["application/json; charset=latin1"], None),
            (&[graphql], Some(MediaType::GraphqlResponse)),
            (
                &["application/graphql-response+json, application/json;q=0.9"],
                Some(MediaType::GraphqlResponse),
            ),
            (
                &["application/json, application/graphql-response+json"],
                Some(MediaType::GraphqlResponse),
            ),
            (
                &["application/json, application/graphql-response+json;q=0.5"],
                Some(MediaType::Json),
            ),
            (
                &["application/json", graphql],
                Some(MediaType::GraphqlResponse),
            ),
            (
                &["text/html,application/xhtml+xml,*/*;q=0.8"],
                Some(MediaType::Json),
            ),
            (
                &["application/json;q=0, */*"],
                Some(MediaType::GraphqlResponse),
            ),
            (&["*/*;q=0"], None),
            (&["text/html"], None),
            (&["text/event-stream"], None),
            (
                &["multipart/mixed, application/json"],
                Some(MediaType::Json),
            ),
            (&[""], None),
        ];
        for (accept, expected) in table {
            let given = accepted(&headers(ACCEPT, accept));
            match expected {
                Some(media) => assert_eq!(given.unwrap(), *media, "{accept:?}"),
                None => assert_eq!(given.unwrap_err().status(), 406, "{accept:?}"),
            }
        }
    }

    #[test]
    fn events_are_sent_to_those_who_want_them_most() {
        for (accept, expected) in [
            (&["text/event-stream"][..], true),
            (&["Text/Event-Stream; charset=utf-8"], true),
            (
                &["text/event-stream, multipart/mixed, application/json"],
                true,
            ),
            (&["application/json;q=0.5, text/event-stream"], true),
            (
                &["application/graphql-response+json, application/json, text/event-stream"],
                false,
            ),
            (&["application/json", "text/event-stream"], false),
            (&["text/event-stream;q=0"], false),
            (&["*/*"], false),
            (&[], false),
        ] {
            assert_eq!(
                prefers_events(&headers(ACCEPT, accept)),
                expected,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn only_json_in_utf8_is_a_json_content_type() {
        let table: &[(&[&str], ContentType)] = &[
            (&[], ContentType::Missing),
            (&["application/json"], ContentType::Json),
            (&["Application/JSON;charset=UTF-8"], ContentType::Json),
            (&["application/json; charset=\"utf-8\""], ContentType::Json),
            (&["application/json; charset=utf-16"], ContentType::Other),
            (&["text/plain"], ContentType::Other),
            (&["application/x-www-form-urlencoded"], ContentType::Other),
            (&["application/graphql-response+json"], ContentType::Other),
            (&["text/plain;application/json"], ContentType::Other),
            (&["application/json", "text/plain"], ContentType::Other),
            (&[""], ContentType::Other),
        ];
        for (values, expected) in table {
            let given = ContentType::of(&headers(CONTENT_TYPE, values));
            assert_eq!(given, *expected, "{values:?}");
        }
    }
}
