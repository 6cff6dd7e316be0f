//! Requests that a browser sends across origins without asking first never run.
//!
//! Owns the rule: a JSON content type or one of the preflight headers makes a
//! browser ask first. Without either, a request runs only where the browser
//! itself says that it did not come from another origin: a fetch in mode
//! `cors` across origins always carries `Origin`, and no script can set a
//! `Sec-` header.

use http::HeaderMap;
use http::header::ORIGIN;

use super::negotiate::ContentType;
use super::problem::Kind;
use super::problem::Problem;

const PREFLIGHT: [&str; 3] = [
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
];

/// Refuses what a page of another origin could have sent unasked.
pub(super) fn check(headers: &HeaderMap, content: ContentType) -> Result<(), Problem> {
    let asked_first = content == ContentType::Json || has_preflight_header(headers);
    match asked_first || same_origin(headers) {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::CrossSiteRequest,
            "A browser could have sent this from another site. Send the Content-Type \
             application/json, or the header GraphQL-Require-Preflight with any value.",
        )),
    }
}

/// Whether a browser sends this on behalf of a web page.
pub(super) fn comes_from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none")
}

fn has_preflight_header(headers: &HeaderMap) -> bool {
    PREFLIGHT.iter().any(|name| headers.contains_key(*name))
}

fn same_origin(headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|v| v == value);
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => says("sec-fetch-mode", "cors") && !headers.contains_key(ORIGIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(content: ContentType, pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        check(&headers, content).is_ok()
    }

    #[test]
    fn json_and_preflight_headers_make_a_browser_ask_first() {
        assert!(verdict(ContentType::Json, &[("origin", "https://evil")]));
        for name in PREFLIGHT {
            assert!(verdict(ContentType::Missing, &[(name, "1")]), "{name}");
        }
    }

    #[test]
    fn what_any_page_can_send_is_refused() {
        for pairs in [
            &[][..],
            &[("origin", "https://evil")],
            &[("sec-fetch-mode", "no-cors")],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")],
            &[("sec-fetch-mode", "cors"), ("origin", "https://evil")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!verdict(ContentType::Missing, pairs), "{pairs:?}");
        }
    }

    #[test]
    fn a_fetch_within_the_origin_runs() {
        assert!(verdict(
            ContentType::Missing,
            &[("sec-fetch-site", "same-origin")]
        ));
        assert!(verdict(ContentType::Missing, &[("sec-fetch-mode", "cors")]));
    }
}
