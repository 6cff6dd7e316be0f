//! Whose bucket a request is charged to: `$apiKey.id ?? $claims.sub ?? $ip`.
//!
//! Owns what a key may be made of, which is only what a client cannot choose:
//! a verified identity, the address it comes from, and the name of an operation
//! that the operator's manifest knows. A key is never missing: what no
//! alternative answers is answered by the address, so that leaving a token away
//! leads to no unlimited place.

use std::net::IpAddr;

use serde_json::Value as Json;
use smallvec::SmallVec;

use crate::authenticate::Principal;

/// Long enough for an identifier and an address without an allocation.
pub(super) type KeyBytes = SmallVec<[u8; 96]>;

/// The parts that make a key together. None: one bucket for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Key(Vec<Part>);

/// Alternatives, the first of which that has a value counts.
type Part = Vec<Term>;

/// Something a request has that its client cannot vary.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// `$apiKey.id`
    ApiKeyId,
    /// `$claims.a.b`, with the issuer, since two issuers may know two Adas.
    Claim(Vec<String>),
    /// `$ip`, a /64 for IPv6: a client may have all of its addresses.
    Address,
    /// `$operation.name`, of trusted documents.
    Operation,
}

/// Who asks, and for what.
pub(crate) struct Who<'r> {
    pub(crate) principal: &'r Principal,
    /// Behind trusted proxies, the client's; the peer's otherwise.
    pub(crate) address: IpAddr,
    /// Where the document is trusted, its operation.
    pub(crate) operation: Option<&'r str>,
}

/// Tags begin what a part wrote, so that no two ways lead to one key by accident.
const FALLBACK: u8 = 0xff;

impl Key {
    /// Parses each part.
    pub(crate) fn parse<'t>(parts: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let parts = parts.into_iter().map(parse_part);
        parts.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a part is an operation's name.
    pub(crate) fn names_operations(&self) -> bool {
        let mut terms = self.0.iter().flatten();
        terms.any(|term| *term == Term::Operation)
    }

    pub(super) fn of(&self, who: &Who<'_>) -> KeyBytes {
        let mut key = KeyBytes::new();
        for part in &self.0 {
            let written = |(index, term): (usize, &Term)| {
                // A part has fewer alternatives than a byte has values.
                let tag = u8::try_from(index).unwrap_or(FALLBACK - 1);
                sized(&mut key, tag, |key| term.write(who, key))
            };
            if !part.iter().enumerate().any(written) {
                sized(&mut key, FALLBACK, |key| address(who.address, key));
            }
        }
        key
    }
}

fn parse_part(part: &str) -> Result<Part, String> {
    part.split("??")
        .map(|term| parse_term(term.trim()))
        .collect()
}

fn parse_term(term: &str) -> Result<Term, String> {
    match term {
        "$apiKey.id" => Ok(Term::ApiKeyId),
        "$ip" => Ok(Term::Address),
        "$operation.name" => Ok(Term::Operation),
        _ if term.starts_with("$request") => Err(format!(
            "`{term}` is whatever a client writes: one that is refused would write something else and have a new \
             bucket. Use what is verified: $apiKey.id, $claims.NAME or $ip"
        )),
        _ => match term.strip_prefix("$claims.") {
            Some(path) if path.split('.').all(|name| !name.is_empty()) => {
                Ok(Term::Claim(path.split('.').map(str::to_owned).collect()))
            }
            _ => Err(format!(
                "`{term}` is nothing a key is made of: $apiKey.id, $claims.NAME, $ip and $operation.name are, \
                 with ?? between alternatives"
            )),
        },
    }
}

impl Term {
    /// Whether there is a value; an empty one is none.
    fn write(&self, who: &Who<'_>, key: &mut KeyBytes) -> bool {
        match self {
            Term::ApiKeyId => text(who.principal.api_key_id(), key),
            Term::Claim(path) => claim(who.principal, path, key),
            Term::Address => address(who.address, key),
            // All that is not trusted is one operation: its name is the client's invention.
            Term::Operation => text(Some(who.operation.unwrap_or("?")), key),
        }
    }
}

fn text(value: Option<&str>, key: &mut KeyBytes) -> bool {
    let value = value.unwrap_or_default();
    key.extend_from_slice(value.as_bytes());
    !value.is_empty()
}

fn claim(principal: &Principal, path: &[String], key: &mut KeyBytes) -> bool {
    let claims = principal.claims();
    let found = path
        .iter()
        .try_fold(claims, |value, segment| value.get(segment));
    let begins = key.len();
    let written = match found {
        None | Some(Json::Null) => false,
        Some(Json::String(value)) => text(Some(value), key),
        // Writing to memory cannot fail.
        Some(value) => serde_json::to_writer(&mut *key, value).is_ok(),
    };
    if written && key.len() > begins {
        key.push(0);
        text(principal.issuer(), key);
    }
    written
}

fn address(address: IpAddr, key: &mut KeyBytes) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => key.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => key.extend_from_slice(&address.octets()[..8]),
    }
    true
}

/// A tag, the length of what follows, and that; nothing where there is nothing.
fn sized(key: &mut KeyBytes, tag: u8, write: impl FnOnce(&mut KeyBytes) -> bool) -> bool {
    let begins = key.len();
    key.push(tag);
    key.extend_from_slice(&[0; 4]);
    if !write(key) {
        key.truncate(begins);
        return false;
    }
    let length = u32::try_from(key.len() - begins - 5).unwrap_or(u32::MAX);
    key[begins + 1..begins + 5].copy_from_slice(&length.to_le_bytes());
    true
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::*;

    fn key(parts: &[&str]) -> Key {
        Key::parse(parts.iter().copied()).unwrap()
    }

    fn bytes(key: &Key, principal: &Principal, address: &str, operation: Option<&str>) -> KeyBytes {
        let address: IpAddr = address.parse().unwrap();
        key.of(&Who {
            principal,
            address,
            operation,
        })
    }

    fn user(issuer: &str, subject: Json) -> Principal {
        Principal::for_tests(json!({ "iss": issuer, "sub": subject }), None)
    }

    fn mobile() -> Principal {
        Principal::for_tests(Json::Null, Some("mobile"))
    }

    #[test]
    fn the_first_alternative_with_a_value_counts() {
        let key = key(&["$apiKey.id ?? $claims.sub ?? $ip"]);
        let of = |principal: &Principal, address| bytes(&key, principal, address, None);
        assert_eq!(of(&mobile(), "10.0.0.1"), of(&mobile(), "10.0.0.2"));
        let ada = user("https://id", "ada".into());
        assert_eq!(of(&ada, "10.0.0.1"), of(&ada, "10.0.0.2"));
        assert_ne!(of(&ada, "10.0.0.1"), of(&mobile(), "10.0.0.1"));
        let nobody = Principal::anonymous();
        assert_ne!(of(&nobody, "10.0.0.1"), of(&nobody, "10.0.0.2"));
        assert_eq!(
            of(&user("https://id", "".into()), "10.0.0.1"),
            of(&nobody, "10.0.0.1")
        );
    }

    #[test]
    fn who_leaves_the_identity_away_is_known_by_the_address() {
        let key = key(&["$claims.sub"]);
        let nobody = Principal::anonymous();
        let of = |address| bytes(&key, &nobody, address, None);
        assert_eq!(of("10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn two_issuers_may_know_two_people_of_one_name() {
        let key = key(&["$claims.sub"]);
        let of = |issuer| bytes(&key, &user(issuer, "ada".into()), "10.0.0.1", None);
        assert_ne!(of("https://a"), of("https://b"));
        assert_eq!(of("https://a"), of("https://a"));
    }

    #[test]
    fn a_network_of_version_6_is_one_client_and_an_address_of_version_4_is_one() {
        let key = key(&["$ip"]);
        let of = |address| bytes(&key, &Principal::anonymous(), address, None);
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[test]
    fn parts_make_a_key_together_and_none_is_mistaken_for_another() {
        let both = key(&["$claims.tenant", "$operation.name"]);
        let tenant = |tenant: &str| Principal::for_tests(json!({ "tenant": tenant }), None);
        let of = |principal: &Principal, operation| bytes(&both, principal, "10.0.0.1", operation);
        let one = of(&tenant("a"), Some("bc"));
        assert_eq!(one, of(&tenant("a"), Some("bc")));
        assert_ne!(one, of(&tenant("ab"), Some("c")));
        assert_ne!(one, of(&tenant("a"), None));
        assert!(both.names_operations() && !key(&["$ip"]).names_operations());
    }

    #[test]
    fn a_claim_may_lie_deep_and_be_a_number() {
        let key = key(&["$claims.org.id"]);
        let of = |id: Json| {
            let principal = Principal::for_tests(json!({ "org": { "id": id } }), None);
            bytes(&key, &principal, "10.0.0.1", None)
        };
        assert_eq!(of(7.into()), of(7.into()));
        assert_ne!(of(7.into()), of(8.into()));
        assert_eq!(
            of(Json::Null),
            bytes(&key, &Principal::anonymous(), "10.0.0.1", None)
        );
    }

    #[test]
    fn without_parts_everybody_shares_one_key() {
        let key = Key::default();
        let one = bytes(&key, &mobile(), "10.0.0.1", None);
        assert_eq!(one, bytes(&key, &Principal::anonymous(), "10.0.0.2", None));
    }

    #[test]
    fn what_a_client_can_vary_is_no_key() {
        for term in [
            "$request.headers.x-user",
            "$request.query.user",
            "$header.x",
            "sub",
            "$claims.",
            "",
        ] {
            let why = Key::parse([term]).unwrap_err();
            assert!(why.contains("$claims.NAME"), "{why}");
        }
    }
}
