//! Where credentials stand in a request.
//!
//! Owns finding a token in the headers and cookies that the operator names.
//! Knows nothing of what a token is.

use http::HeaderMap;
use http::HeaderName;
use http::header::COOKIE;

use super::Denied;
use crate::config::TokenPlace;

/// The first token that there is, in the order of the places.
pub(super) fn token<'h>(
    headers: &'h HeaderMap,
    places: &[TokenPlace],
) -> Result<Option<&'h str>, Denied> {
    for place in places {
        let found = match place {
            TokenPlace::Header { name, prefix } => {
                let value = only(headers, name)?;
                value.and_then(|value| without_prefix(value, prefix))
            }
            TokenPlace::Cookie(name) => cookie(headers, name)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The value of a header that must stand once.
pub(super) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, Denied> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Denied::Unreadable),
        _ => Err(Denied::Ambiguous),
    }
}

/// The name of a scheme has no case: <https://www.rfc-editor.org/rfc/rfc9110#section-11.1>.
fn without_prefix<'h>(value: &'h str, prefix: &str) -> Option<&'h str> {
    if prefix.is_empty() {
        return Some(value.trim());
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case(prefix).then(|| token.trim())
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Denied> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs
        .filter(|(own, _)| *own == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Denied::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use super::*;

    fn found(pairs: &[(&'static str, &'static str)]) -> Result<Option<String>, Denied> {
        let places = [
            TokenPlace::Header {
                name: AUTHORIZATION,
                prefix: "Bearer".into(),
            },
            TokenPlace::Header {
                name: HeaderName::from_static("x-token"),
                prefix: String::new(),
            },
            TokenPlace::Cookie("session".into()),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        token(&headers, &places).map(|found| found.map(str::to_owned))
    }

    fn is(token: &str) -> Result<Option<String>, Denied> {
        Ok(Some(token.to_owned()))
    }

    #[test]
    fn a_token_is_found_in_headers_and_cookies_in_the_order_of_the_places() {
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[("authorization", "bearer  a.b.c")]), is("a.b.c"));
        assert_eq!(found(&[("authorization", "Basic YTpi")]), Ok(None));
        assert_eq!(found(&[("x-token", "t"), ("cookie", "session=c")]), is("t"));
        let cookies = ("cookie", "a=1; session=c=d; sessions=2");
        assert_eq!(found(&[cookies]), is("c=d"));
        assert_eq!(
            found(&[("authorization", "Basic YTpi"), cookies]),
            is("c=d")
        );
    }

    #[test]
    fn a_credential_that_is_given_twice_is_refused() {
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(found(&twice), Err(Denied::Ambiguous));
        assert_eq!(
            found(&[("cookie", "session=a; session=b")]),
            Err(Denied::Ambiguous)
        );
    }

    #[test]
    fn an_empty_token_is_a_token_that_will_not_do() {
        assert_eq!(found(&[("authorization", "Bearer")]), is(""));
    }
}
