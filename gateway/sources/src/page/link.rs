//! The `Link` header: <https://www.rfc-editor.org/rfc/rfc8288#section-3>.
//!
//! Only one parameter's value is taken from the next page's address. Its host
//! and path are never followed: a reply must not choose whom the gateway calls.

use http::HeaderMap;
use http::header::LINK;
use percent_encoding::percent_decode_str;

/// The parameter's value in the address of the next page.
pub(crate) fn next(headers: &HeaderMap, parameter: &str) -> Option<String> {
    let lines = headers
        .get_all(LINK)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let target = lines.flat_map(links).find(|link| link.is_next())?.target;
    let query = target.split_once('?')?.1.split('#').next()?;
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name)? == parameter).then(|| decoded(value))?
    })
}

fn decoded(text: &str) -> Option<String> {
    let spaces = text.replace('+', " ");
    let text = percent_decode_str(&spaces).decode_utf8().ok()?;
    Some(text.into_owned())
}

struct Link<'a> {
    target: &'a str,
    parameters: &'a str,
}

impl Link<'_> {
    /// `rel` may name several relations, in quotes or as one bare word; only the first `rel` counts.
    fn is_next(&self) -> bool {
        let mut parameters = split_outside_quotes(self.parameters, ';').into_iter();
        let rel = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("rel")
                .then(|| value.trim().trim_matches('"'))
        });
        rel.is_some_and(|rel| {
            rel.split_ascii_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("next"))
        })
    }
}

/// The links of one header line.
fn links(line: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let parameters = split_outside_quotes(after, ',')
            .first()
            .copied()
            .unwrap_or_default();
        links.push(Link { target, parameters });
        rest = &after[parameters.len()..];
    }
    links
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn next_of(line: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static(line));
        next(&headers, "page")
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let line = r#"<https://a/x?page=1>; rel="prev", <https://a/x?q=1&page=3>; title="a, b; rel=\"no\""; rel="last next""#;
        assert_eq!(next_of(line), Some("3".into()));
        assert_eq!(next_of("</x?page=a%20b+c>; rel=next"), Some("a b c".into()));
    }

    #[test]
    fn only_the_named_parameter_is_taken() {
        assert_eq!(
            next_of("<http://evil.example/steal?token=1>; rel=next"),
            None
        );
        assert_eq!(
            next_of("<http://evil.example/?page=2#frag>; rel=next"),
            Some("2".into())
        );
    }

    #[test]
    fn what_is_no_link_says_nothing() {
        for line in [
            "",
            "<",
            "<x",
            "rel=next",
            "<x?page=2>",
            "<x?page=2>; rel=\"prev\"",
            "<x>; rel=next",
        ] {
            assert_eq!(next_of(line), None, "{line}");
        }
    }

    #[test]
    fn links_may_stand_in_several_lines() {
        let mut headers = HeaderMap::new();
        headers.append(LINK, HeaderValue::from_static("<a?page=1>; rel=prev"));
        headers.append(LINK, HeaderValue::from_static("<a?page=2>; REL=Next"));
        assert_eq!(next(&headers, "page"), Some("2".into()));
    }
}
