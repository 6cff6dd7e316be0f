//! Whose page opens a socket.
//!
//! Owns the rule. No browser asks before it opens a WebSocket, and it sends
//! its cookies along: a page of another origin is refused unless CORS allows
//! it, and speaks without the browser's own credentials unless CORS allows
//! these too. Programs that are no browser send no `Origin`.

use http::HeaderMap;
use http::HeaderValue;
use http::Uri;
use http::header::AUTHORIZATION;
use http::header::COOKIE;
use http::header::HOST;
use http::header::ORIGIN;

use super::super::problem::Kind;
use super::super::problem::Problem;
use crate::config::Cors;

/// Refuses pages that may not speak here; takes credentials away from those that may not use them.
pub(super) fn judge(headers: &mut HeaderMap, cors: Option<&Cors>) -> Result<(), Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return Ok(()),
        (Some(origin), None) => origin,
        _ => return Err(refused()),
    };
    if is_own(origin, headers.get(HOST)) {
        return Ok(());
    }
    let cors = cors.filter(|cors| cors.lists(origin)).ok_or_else(refused)?;
    if !cors.credentials {
        headers.remove(COOKIE);
        headers.remove(AUTHORIZATION);
    }
    Ok(())
}

/// Whether a page comes from the host that it speaks to. Proxies may end TLS, so the scheme does not count.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let own = || {
        let origin: Uri = origin.to_str().ok()?.parse().ok()?;
        let scheme = origin.scheme_str()?;
        let (page, host) = (origin.authority()?.as_str(), host?.to_str().ok()?);
        let plain = |authority: &str| without_port(scheme, authority).to_ascii_lowercase();
        Some(plain(page) == plain(host))
    };
    own().unwrap_or(false)
}

/// The port that a scheme has anyway.
fn without_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let usual = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    authority.strip_suffix(usual).unwrap_or(authority)
}

fn refused() -> Problem {
    let detail = "A page of this origin may not open a socket here.";
    Problem::new(Kind::CrossSiteRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cors_for_tests as cors;

    /// Whether a page may speak, and with its browser's cookies.
    fn judged(origin: &[&'static str], host: &'static str, cors: Option<&Cors>) -> Option<bool> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        headers.insert(COOKIE, HeaderValue::from_static("session=1"));
        for origin in origin {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        judge(&mut headers, cors).ok()?;
        Some(headers.contains_key(COOKIE))
    }

    #[test]
    fn programs_and_pages_of_the_same_host_may_open_sockets() {
        for (origin, host) in [
            (&[][..], "api.example.com"),
            (&["https://api.example.com"], "api.example.com"),
            (&["https://API.example.com"], "api.example.com:443"),
            (&["http://localhost:4000"], "localhost:4000"),
            (&["http://localhost"], "localhost:80"),
        ] {
            assert_eq!(judged(origin, host, None), Some(true), "{origin:?} {host}");
        }
    }

    #[test]
    fn pages_of_other_origins_may_not_unless_cors_allows_it() {
        for origin in [
            &["https://evil.example"][..],
            &["null"],
            &["https://api.example.com:8443"],
            &["https://api.example.com.evil"],
            &["https://api.example.com", "https://evil.example"],
            &["file://"],
            &[""],
        ] {
            assert_eq!(judged(origin, "api.example.com", None), None, "{origin:?}");
        }
        let app = &["https://app.example.com"][..];
        let with = cors(app, true).unwrap();
        assert_eq!(judged(app, "api.example.com", Some(&with)), Some(true));
        assert_eq!(
            judged(&["https://evil"], "api.example.com", Some(&with)),
            None
        );
        let without = cors(app, false).unwrap();
        assert_eq!(judged(app, "api.example.com", Some(&without)), Some(false));
        let any = cors(&["*"], false).unwrap();
        assert_eq!(judged(&["https://evil"], "a", Some(&any)), Some(false));
    }
}
