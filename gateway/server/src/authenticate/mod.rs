//! Who asks, verified before anything else looks at a request.
//!
//! Owns the way from a request's credentials to a [`Principal`]. Knows nothing
//! of what a principal may do, and nothing of operations. Credentials are never
//! logged, and a refusal says what is wrong with them without showing them.

mod api_keys;
mod denied;
mod jwk;
mod jwt;
mod kept;
mod presented;
mod principal;
mod tokens;

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::HeaderValue;

use self::api_keys::ApiKeys;
use self::tokens::Tokens;
use crate::config::Authentication as Settings;
use crate::config::TokenPlace;

pub(crate) use api_keys::fresh as fresh_api_key;
pub(crate) use denied::Denied;
pub(crate) use principal::Principal;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Timestamp(f64);

impl Timestamp {
    /// By the clock on the wall, which is what tokens are made by.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.map_or(0.0, |since| since.as_secs_f64()))
    }

    /// Whole seconds since 1970.
    pub(crate) fn seconds(self) -> u64 {
        self.0 as u64
    }
}

/// Verifies callers as the operator says.
pub(crate) struct Authenticator {
    required: bool,
    places: Vec<TokenPlace>,
    tokens: Option<Tokens>,
    api_keys: Option<ApiKeys>,
    /// What a caller without credentials could send.
    challenge: HeaderValue,
}

impl Authenticator {
    /// Keys that `previous` has fetched are known from the beginning.
    ///
    /// # Errors
    /// Where a file cannot be read, or says what it should not.
    pub(crate) fn new(settings: &Settings, previous: Option<&Self>) -> Result<Self, String> {
        let jwt = settings.jwt.as_ref();
        let before = previous.and_then(|previous| previous.tokens.as_ref());
        Ok(Self {
            required: settings.required,
            places: jwt.map(|jwt| jwt.places.clone()).unwrap_or_default(),
            tokens: jwt.map(|jwt| Tokens::new(jwt, before)).transpose()?,
            api_keys: settings.api_keys.as_ref().map(ApiKeys::new).transpose()?,
            challenge: match jwt {
                Some(_) => HeaderValue::from_static("Bearer"),
                None => HeaderValue::from_static("ApiKey"),
            },
        })
    }

    /// Who asks: anonymous without credentials, and nobody at all with wrong ones.
    ///
    /// With a token and an API key both must be good. The token says who asks and
    /// what is granted; of the key its name remains.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Principal, Denied> {
        let key = self.by_api_key(headers, now)?;
        let token = match &self.tokens {
            None => None,
            Some(tokens) => match presented::token(headers, &self.places)? {
                None => None,
                Some(text) => Some(tokens.principal(text, now).await?),
            },
        };
        match (token, key) {
            (None, None) if self.required => Err(Denied::Missing),
            (None, None) => Ok(Principal::anonymous()),
            (Some(who), None) | (None, Some(who)) => Ok(who),
            (Some(who), Some(key)) => Ok(who.with_api_key(&key)),
        }
    }

    fn by_api_key(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Principal>, Denied> {
        let Some(keys) = &self.api_keys else {
            return Ok(None);
        };
        match presented::only(headers, &keys.header)? {
            None => Ok(None),
            Some(key) => keys.principal(key, now).map(Some),
        }
    }

    /// `WWW-Authenticate` for a refusal.
    pub(crate) fn challenge(&self, denied: Denied) -> HeaderValue {
        denied.challenge(&self.challenge)
    }
}

#[cfg(test)]
mod tests;
