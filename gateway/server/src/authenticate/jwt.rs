//! Signed tokens: <https://www.rfc-editor.org/rfc/rfc7519>, judged as
//! <https://www.rfc-editor.org/rfc/rfc8725> advises.
//!
//! Owns the order in which a token is judged. Nothing that it says is believed
//! before its signature is verified, except which issuer and key to ask.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use sources::outbound::Outbound;
use sources::outbound::OutboundSettings;

use super::Denied;
use super::Timestamp;
use super::denied::TokenFault;
use super::jwk::KeySet;
use super::kept::Kept;
use super::kept::Pace;
use super::kept::Version;
use crate::config::Algorithm;
use crate::config::Issuer as Settings;
use crate::config::KeyPlace;

/// A file is looked at this often.
pub(super) const FILE_PACE: Pace = Pace {
    every: Duration::from_secs(5),
    cool_down: Duration::from_secs(1),
};

/// Whose tokens are accepted, and which.
pub(super) struct Issuer {
    settings: Settings,
    keys: Arc<Kept<KeySet>>,
}

/// A token that was verified.
pub(super) struct Verified {
    pub(super) claims: Json,
    /// From then on it is none any more.
    pub(super) end: Timestamp,
    /// Of the keys that verified it.
    pub(super) keys: u64,
}

/// A token, taken apart.
pub(super) struct Token<'t> {
    header: Header,
    claims: Json,
    /// What is signed.
    message: &'t str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'t> Token<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, TokenFault> {
        let (message, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let claims: Json = json(claims)?;
        if !claims.is_object() {
            return Err(TokenFault::Malformed);
        }
        Ok(Self {
            header,
            claims,
            message,
            signature: decoded(signature)?,
        })
    }

    /// Who it says issued it: not to be believed yet.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenFault> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| TokenFault::Malformed)
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::Malformed)
}

impl Issuer {
    /// With the keys that are known already, where the address stayed the same.
    pub(super) fn new(settings: &Settings, previous: &[Issuer]) -> Result<Self, String> {
        let keys = match &settings.keys {
            KeyPlace::File(path) => Kept::file(path.clone(), KeySet::local, FILE_PACE)?,
            KeyPlace::Url {
                url,
                refresh,
                cool_down,
            } => {
                let address = Outbound::new(url, &OutboundSettings::default());
                let same = |other: &&Issuer| other.settings.keys == settings.keys;
                let known = previous.iter().find(same);
                let pace = Pace {
                    every: *refresh,
                    cool_down: *cool_down,
                };
                Kept::url(
                    address.map_err(|error| error.to_string())?,
                    KeySet::public,
                    pace,
                    known.and_then(|known| known.keys.current()),
                )
            }
        };
        Ok(Self {
            settings: settings.clone(),
            keys,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The number of the keys that are in force.
    pub(super) fn keys_now(&self) -> Option<u64> {
        self.keys.current().map(|keys| keys.number)
    }

    /// Judges a token of this issuer's.
    pub(super) async fn verify(
        &self,
        token: Token<'_>,
        now: Timestamp,
    ) -> Result<Verified, Denied> {
        let algorithm = self.accepted(&token.header.alg)?;
        let id = token.header.kid.as_deref();
        let keys = self.keys_for(id, algorithm).await?;
        let message = token.message.as_bytes();
        if !keys.value.verify(id, algorithm, message, &token.signature) {
            return Err(TokenFault::Signature.into());
        }
        Ok(Verified {
            end: self.judge(&token.claims, now)?,
            claims: token.claims,
            keys: keys.number,
        })
    }

    fn accepted(&self, name: &str) -> Result<Algorithm, TokenFault> {
        Algorithm::named(name)
            .filter(|algorithm| self.settings.algorithms.contains(algorithm))
            .ok_or(TokenFault::Algorithm)
    }

    /// A key that is not known may be a new one: the set is read anew, but not for every such token.
    async fn keys_for(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Version<KeySet>>, Denied> {
        let has = |keys: &Arc<Version<KeySet>>| keys.value.has(id, algorithm);
        let known = self.keys.current();
        if let Some(keys) = known.as_ref().filter(|keys| has(keys)) {
            return Ok(keys.clone());
        }
        let than = known.as_ref().map(|keys| keys.number);
        match self.keys.newer(than).await.or(known) {
            Some(keys) if has(&keys) => Ok(keys),
            Some(_) => Err(TokenFault::UnknownKey.into()),
            None => Err(Denied::KeysAway),
        }
    }

    /// When the token ends, if it is good now.
    fn judge(&self, claims: &Json, now: Timestamp) -> Result<Timestamp, TokenFault> {
        let leeway = self.settings.leeway.as_secs_f64();
        let end = time(claims, "exp")?.ok_or(TokenFault::NoExpiry)? + leeway;
        if now.0 >= end {
            return Err(TokenFault::Expired);
        }
        let begin = time(claims, "nbf")?;
        if begin.is_some_and(|begin| now.0 + leeway < begin) {
            return Err(TokenFault::NotYet);
        }
        if !self.is_audience(claims.get("aud")) {
            return Err(TokenFault::Audience);
        }
        let there = |name: &String| claims.get(name).is_some_and(|claim| !claim.is_null());
        match self.settings.required_claims.iter().all(there) {
            true => Ok(Timestamp(end)),
            false => Err(TokenFault::MissingClaim),
        }
    }

    /// One name, or a list of them.
    fn is_audience(&self, claim: Option<&Json>) -> bool {
        let ours = |name: &Json| {
            let mut audiences = self.settings.audiences.iter();
            audiences.any(|audience| name.as_str() == Some(audience))
        };
        match claim {
            Some(Json::Array(names)) => names.iter().any(ours),
            Some(name) => ours(name),
            None => false,
        }
    }
}

/// Seconds since 1970, perhaps with a fraction. What is no number is no time at all.
fn time(claims: &Json, name: &str) -> Result<Option<f64>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(time) => time.as_f64().map(Some).ok_or(TokenFault::Malformed),
    }
}

/// The `scope` claim of RFC 8693, a text, or `scp`, a text or a list.
pub(super) fn scopes(claims: &Json) -> Vec<String> {
    let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Json::String(text)) => words(text),
        Some(Json::Array(names)) => {
            let names = names.iter().filter_map(Json::as_str);
            names.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
