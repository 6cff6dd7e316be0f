//! The header: `Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"`.
//!
//! Owns what a key is: a string as structured fields write it
//! (<https://www.rfc-editor.org/rfc/rfc9651#section-4.2.5>), or, as many clients
//! send it, the bare text.

use http::HeaderMap;
use http::HeaderName;

use super::Refused;

/// As clients send it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Characters of a key.
const LONGEST: usize = 255;

/// What a client calls one of its mutations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientKey(String);

impl ClientKey {
    /// None where there is no such header.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refused::Malformed(
                "There is more than one Idempotency-Key.",
            ));
        }
        let text = value.as_bytes().trim_ascii();
        let key = match text.strip_prefix(b"\"") {
            Some(rest) => quoted(rest),
            None => bare(text),
        };
        let key = key.ok_or(Refused::Malformed(
            "An Idempotency-Key is a quoted string of printable ASCII characters: \"8e03978e-40d5-43dd-bc93-6894a57f9324\".",
        ))?;
        match key.len() {
            0 => Err(Refused::Malformed("The Idempotency-Key is empty.")),
            1..=LONGEST => Ok(Some(Self(key))),
            _ => Err(Refused::Malformed(
                "An Idempotency-Key has at most 255 characters.",
            )),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn for_tests(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What stands behind the first quote. Parameters may follow the string, and mean nothing.
fn quoted(rest: &[u8]) -> Option<String> {
    let mut key = String::new();
    let mut bytes = rest.iter();
    loop {
        match *bytes.next()? {
            b'"' => break,
            b'\\' => match *bytes.next()? {
                escaped @ (b'"' | b'\\') => key.push(char::from(escaped)),
                _ => return None,
            },
            byte @ b' '..=b'~' => key.push(char::from(byte)),
            _ => return None,
        }
    }
    let after = bytes.as_slice();
    (after.is_empty() || after.starts_with(b";")).then_some(key)
}

/// Nothing that would mean something else where it is quoted.
fn bare(text: &[u8]) -> Option<String> {
    let fits = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\,".contains(byte);
    let text = text.iter().all(fits).then_some(text)?;
    Some(text.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, Refused> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        ClientKey::of(&headers).map(|key| key.map(|key| key.0))
    }

    #[test]
    fn a_key_is_a_quoted_string_or_bare() {
        for (value, meant) in [
            ("\"8e03978e-40d5\"", "8e03978e-40d5"),
            ("8e03978e-40d5", "8e03978e-40d5"),
            ("  \"a b\" ", "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("\"a\";v=1", "a"),
            ("\"a,b\"", "a,b"),
            ("a:b/c=", "a:b/c="),
        ] {
            assert_eq!(key(&[value]), Ok(Some(meant.to_owned())), "{value}");
        }
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            "",
            "\"\"",
            "\"a",
            "a\"",
            "\"a\"b",
            "\"a\", \"b\"",
            "a b",
            "a,b",
            r#""a\b""#,
            "\"é\"",
            "é",
            "\"a\tb\"",
            "\\",
            "\"a\\",
        ] {
            let told = key(&[value]);
            assert!(
                matches!(told, Err(Refused::Malformed(_))),
                "{value}: {told:?}"
            );
        }
        assert!(matches!(key(&["a", "a"]), Err(Refused::Malformed(_))));
    }

    #[test]
    fn a_key_has_at_most_255_characters() {
        let of = |length| "k".repeat(length);
        assert_eq!(key(&[&of(255)]), Ok(Some(of(255))));
        assert!(matches!(key(&[&of(256)]), Err(Refused::Malformed(_))));
        assert!(key(&[&format!("\"{}\"", of(255))]).is_ok());
        assert!(key(&[&format!("\"{}\"", of(256))]).is_err());
    }
}
