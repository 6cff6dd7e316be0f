//! What is kept of an answer.
//!
//! Owns its form: a line of JSON about the answer, and behind it the body as it
//! was sent. Readers of a later release know this form; what they cannot read
//! they take for an answer that nobody has.

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use plan::code::Code;
use serde::Deserialize;
use serde::Serialize;

use crate::faults::Faults;

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Byte for byte.
    pub(crate) body: Bytes,
    pub(crate) faults: Faults,
    /// Of services' answers, for the client.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What it has cost, where that was counted.
    pub(crate) actual: Option<u64>,
    /// What its caller was not allowed to see then.
    pub(crate) denied: Vec<String>,
}

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct Head {
    /// By code, as clients read it.
    faults: Vec<(String, u32)>,
    headers: Vec<(String, String)>,
    actual: Option<u64>,
    denied: Vec<String>,
}

impl Stored {
    pub(super) fn encode(&self) -> Vec<u8> {
        let faults = self.faults.by_code();
        let headers = self.headers.iter();
        let head = Head {
            faults: faults
                .map(|(code, times)| (code.as_str().to_owned(), times))
                .collect(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            actual: self.actual,
            denied: self.denied.clone(),
        };
        // Of strings and numbers, which always can be written.
        let mut stored = serde_json::to_vec(&head).unwrap_or_default();
        stored.push(b'\n');
        stored.extend_from_slice(&self.body);
        stored
    }

    /// None where it cannot be read.
    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        // JSON on one line holds no line's end.
        let end = stored.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&stored[..end]).ok()?;
        let faults = head.faults.iter().map(|(name, times)| {
            let code = Code::ALL.into_iter().find(|code| code.as_str() == name)?;
            Some(std::iter::repeat_n(code, *times as usize))
        });
        let faults = faults.collect::<Option<Vec<_>>>()?;
        let headers = head.headers.iter().map(|(name, text)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, value(text)?))
        });
        Some(Self {
            body: Bytes::copy_from_slice(&stored[end + 1..]),
            faults: faults.into_iter().flatten().collect(),
            headers: headers.collect::<Option<_>>()?,
            actual: head.actual,
            denied: head.denied,
        })
    }
}

/// Each byte as the character of its number: what a header holds need not be text.
fn text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

fn value(text: &str) -> Option<HeaderValue> {
    let bytes = text.chars().map(|it| u8::try_from(u32::from(it)).ok());
    HeaderValue::from_bytes(&bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let cookie = HeaderValue::from_bytes(b"a=\xff\"; Path=/").unwrap();
        Stored {
            body: Bytes::from_static(b"{\"data\":\n\xf0\x9f}"),
            faults: [Code::Conflict, Code::NotFound, Code::Conflict]
                .into_iter()
                .collect(),
            headers: vec![(http::header::SET_COOKIE, cookie)],
            actual: Some(7),
            denied: vec!["User.email: Authenticated".into()],
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        assert_eq!(Stored::decode(&stored().encode()), Some(stored()));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let whole = stored().encode();
        let end = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for cut in 0..end {
            assert_eq!(Stored::decode(&whole[..cut]), None);
        }
        let strange = String::from_utf8_lossy(&whole).replace("CONFLICT", "NOT_YET_KNOWN");
        assert_eq!(Stored::decode(strange.as_bytes()), None);
    }
}
