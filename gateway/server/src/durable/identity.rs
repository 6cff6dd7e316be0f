//! Hashes that stand for what they are made of, and who a caller is to the queue.

use ring::digest::Context;
use ring::digest::SHA256;

use crate::authenticate::Principal;

/// A caller's name: issuer and subject, or an API key's id. None for an anonymous one.
pub(crate) fn caller_of(principal: &Principal) -> Option<String> {
    match (principal.subject(), principal.api_key_id()) {
        (Some(subject), _) => {
            let issuer = principal.issuer().unwrap_or_default();
            Some(format!("{issuer}|{subject}"))
        }
        (None, Some(key)) => Some(format!("key|{key}")),
        (None, None) => None,
    }
}

/// The same, from the form in which sources know a caller: the key's id, issuer and subject.
pub(super) fn caller_of_key(key: &[u8]) -> Option<String> {
    let mut rest = key;
    let [api_key, issuer, subject] = [part(&mut rest)?, part(&mut rest)?, part(&mut rest)?];
    match (subject, api_key) {
        (Some(subject), _) => Some(format!("{}|{subject}", issuer.unwrap_or_default())),
        (None, Some(api_key)) => Some(format!("key|{api_key}")),
        (None, None) => None,
    }
}

/// A text behind its length, or none.
fn part<'k>(rest: &mut &'k [u8]) -> Option<Option<&'k str>> {
    let (there, after) = rest.split_first()?;
    if *there == 0 {
        *rest = after;
        return Some(None);
    }
    let (length, after) = after.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(std::str::from_utf8(text).ok()?))
}

/// A hash of several parts, which no other parts have; 32 letters and digits.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Lengths go before, so that no part can pass for the end of another.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let half = digest.as_ref().iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hash_tells_its_parts_apart() {
        let hashes = [
            hash(&[b"ab", b"c"]),
            hash(&[b"a", b"bc"]),
            hash(&[b"abc"]),
            hash(&[b"abc", b""]),
        ];
        for (at, one) in hashes.iter().enumerate() {
            assert_eq!(one.len(), 32);
            assert!(!hashes[at + 1..].contains(one));
        }
    }

    #[test]
    fn a_caller_is_whom_its_issuer_speaks_of_or_its_key() {
        let of = |claims, key| caller_of(&Principal::for_tests(claims, key));
        assert_eq!(
            of(json!({ "iss": "a", "sub": "b" }), Some("k")).as_deref(),
            Some("a|b")
        );
        assert_eq!(of(json!(null), Some("k")).as_deref(), Some("key|k"));
        assert_eq!(caller_of(&Principal::anonymous()), None);
        for (claims, key) in [
            (json!({ "iss": "a", "sub": "b" }), Some("k")),
            (json!({ "sub": "b" }), None),
            (json!(null), Some("k")),
        ] {
            let principal = Principal::for_tests(claims, key);
            let known = crate::cache::key_of(&principal).unwrap();
            assert_eq!(caller_of_key(&known), caller_of(&principal));
        }
        assert_eq!(caller_of_key(b"\x01\xff"), None);
    }
}
