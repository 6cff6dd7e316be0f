//! Tokens that were seen before.
//!
//! Owns the way from a token's text to a principal, and remembering it: a token
//! is verified once, and then found by its hash until it ends or its issuer's
//! keys change. What is not good is not remembered.

use moka::sync::Cache;
use ring::digest::SHA256;
use ring::digest::digest;

use super::Denied;
use super::Principal;
use super::Timestamp;
use super::denied::TokenFault;
use super::jwt;
use super::jwt::Issuer;
use super::jwt::Token;
use crate::config::Jwt as Settings;

/// SHA-256: nobody can make two tokens with one.
pub(super) type Hash = [u8; 32];

/// The tokens of all issuers.
pub(super) struct Tokens {
    issuers: Vec<Issuer>,
    max_bytes: usize,
    seen: Cache<Hash, Seen, ahash::RandomState>,
}

/// What is remembered of a token.
#[derive(Clone)]
struct Seen {
    principal: Principal,
    end: Timestamp,
    issuer: usize,
    keys: u64,
}

impl Tokens {
    pub(super) fn new(settings: &Settings, previous: Option<&Self>) -> Result<Self, String> {
        let previous = previous.map_or(&[][..], |tokens| &tokens.issuers);
        let issuers = settings.issuers.iter();
        let issuers = issuers.map(|issuer| Issuer::new(issuer, previous));
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            max_bytes: settings.max_bytes,
            seen: Cache::builder()
                .max_capacity(settings.cache)
                .build_with_hasher(ahash::RandomState::default()),
        })
    }

    /// Whose token it is, if it is good now.
    pub(super) async fn principal(&self, text: &str, now: Timestamp) -> Result<Principal, Denied> {
        if text.len() > self.max_bytes {
            return Err(TokenFault::TooLong.into());
        }
        let hash = hash(text);
        if let Some(seen) = self.seen.get(&hash) {
            match self.is_good(&seen, now) {
                true => return Ok(seen.principal),
                false => self.seen.invalidate(&hash),
            }
        }
        let seen = self.verify(text, now).await?;
        self.seen.insert(hash, seen.clone());
        Ok(seen.principal)
    }

    fn is_good(&self, seen: &Seen, now: Timestamp) -> bool {
        now < seen.end && self.issuers[seen.issuer].keys_now() == Some(seen.keys)
    }

    async fn verify(&self, text: &str, now: Timestamp) -> Result<Seen, Denied> {
        let token = Token::parse(text)?;
        let own = |issuer: &Issuer| token.issuer() == Some(issuer.name());
        let issuer = self.issuers.iter().position(own);
        let issuer = issuer.ok_or(TokenFault::Issuer)?;
        let verified = self.issuers[issuer].verify(token, now).await?;
        let scopes = jwt::scopes(&verified.claims);
        Ok(Seen {
            principal: Principal::verified(verified.claims, scopes, None),
            end: verified.end,
            issuer,
            keys: verified.keys,
        })
    }
}

/// Of a token or of an API key.
pub(super) fn hash(text: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}
