//! `/playground`: the web page, carried in the binary.
//!
//! Owns content types, caching and the content security policy of the page's
//! files. A binary that was built without them serves a page that says how.

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_SECURITY_POLICY;
use http::header::CONTENT_TYPE;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http_body_util::Full;

use super::Response;

/// Path below `/playground/` and content.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/playground.rs"));

/// GraphiQL's dialogs and menus insert a style element; nothing else is inline, and nothing is from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const STUB: &str = "<!doctype html><meta charset=\"utf-8\"><title>Playground</title>\
    <h1>This binary was built without the playground</h1>\
    <p>Build the page, then the binary:</p>\
    <pre>cd playground &amp;&amp; npm ci &amp;&amp; npm run build\ncargo build --release</pre>\
    <p>The API itself is served at <code>/graphql</code>.</p>\n";

/// A file of the page; `None` where there is none of this name.
pub(super) fn file(path: &str) -> Option<Response> {
    let path = match path.trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    match FILES.iter().find(|(name, _)| *name == path) {
        Some((name, content)) => Some(respond(name, Bytes::from_static(content))),
        None if path == "index.html" => Some(respond(path, Bytes::from_static(STUB.as_bytes()))),
        None => None,
    }
}

fn respond(name: &str, content: Bytes) -> Response {
    let mut response = Response::new(Full::from(content));
    *response.status_mut() = StatusCode::OK;
    let pairs: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, content_type(name)),
        (CACHE_CONTROL, caching(name)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in pairs {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("md") => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Names under `assets/` carry a hash of their content.
fn caching(name: &str) -> &'static str {
    match name.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_html_and_is_not_kept_by_caches() {
        for path in ["", "/", "index.html"] {
            let response = file(path).unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
        assert!(file("../Cargo.toml").is_none());
    }

    #[test]
    fn hashed_names_are_kept_for_good() {
        assert_eq!(
            caching("assets/index-1.js"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(caching("favicon.svg"), "no-cache");
        assert_eq!(
            content_type("assets/index-1.js"),
            "text/javascript; charset=utf-8"
        );
    }
}
