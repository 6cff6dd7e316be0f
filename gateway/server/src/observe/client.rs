//! Which application asks, by its own word.
//!
//! Owns the headers by which it is told, and how little of them is believed: a
//! client can write anything, so the text is cut and cleaned. It is a label
//! for people who read logs and traces; nothing is counted or decided by it.

use http::HeaderMap;

/// Bytes of a name, and of a version.
const LONGEST: usize = 64;
const NAMES: [&str; 2] = ["graphql-client-name", "apollographql-client-name"];
const VERSIONS: [&str; 2] = ["graphql-client-version", "apollographql-client-version"];

/// What a client says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) name: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
}

impl Client {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let first = |names: [&str; 2]| names.iter().find_map(|name| headers.get(*name));
        let clean = |value: &http::HeaderValue| clean(value.as_bytes());
        Self {
            name: first(NAMES).and_then(clean),
            version: first(VERSIONS).and_then(clean),
        }
    }
}

/// Printable ASCII, as far as anyone would read it.
fn clean(value: &[u8]) -> Option<Box<str>> {
    let printable = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    let text: String = value.iter().take(LONGEST).map(printable).collect();
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(pairs: &[(&'static str, &[u8])]) -> Client {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (http::HeaderName::from_static(name), value)
        });
        Client::of(&pairs.collect())
    }

    #[test]
    fn a_client_is_known_by_either_pair_of_headers() {
        let shop = Client {
            name: Some("shop-ios".into()),
            version: Some("7.1".into()),
        };
        let apollo = client(&[
            ("apollographql-client-name", b"shop-ios"),
            ("apollographql-client-version", b"7.1"),
        ]);
        let plain = client(&[
            ("graphql-client-name", b"shop-ios"),
            ("graphql-client-version", b"7.1"),
        ]);
        assert_eq!((&apollo, &plain), (&shop, &shop));
        assert_eq!(client(&[]), Client::default());
    }

    #[test]
    fn what_a_client_says_is_cut_and_cleaned() {
        let long = [b'x'; 200];
        let odd = client(&[
            ("graphql-client-name", b"a\tb\xffc"),
            ("graphql-client-version", &long),
        ]);
        assert_eq!(odd.name.as_deref(), Some("a?b?c"));
        assert_eq!(odd.version.map(|it| it.len()), Some(LONGEST));
    }
}
