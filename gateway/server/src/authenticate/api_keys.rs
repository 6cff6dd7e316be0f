//! API keys, from a file of their hashes.
//!
//! Owns the file's form and finding a key. Keys are random and long, so a plain
//! SHA-256 tells nothing of them; they are found by it, so the time of looking
//! tells nothing either. Whoever reads the file cannot call the gateway.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use http::HeaderName;
use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;

use super::Denied;
use super::Principal;
use super::Timestamp;
use super::denied::ApiKeyFault;
use super::jwt::FILE_PACE;
use super::kept::Kept;
use super::tokens::Hash;
use super::tokens::hash;
use crate::config::ApiKeys as Settings;

/// Longer ones are not looked for.
const LONGEST: usize = 512;

/// The keys that are known.
pub(super) struct ApiKeys {
    pub(super) header: HeaderName,
    table: Arc<Kept<Table>>,
}

type Table = HashMap<Hash, ApiKey, ahash::RandomState>;

struct ApiKey {
    principal: Principal,
    end: Option<Timestamp>,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    hash: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    claims: Map<String, Json>,
    expires: Option<String>,
}

impl ApiKeys {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            header: settings.header.clone(),
            table: Kept::file(settings.file.clone(), parse, FILE_PACE)?,
        })
    }

    /// Whose key it is, if it is good now.
    pub(super) fn principal(&self, key: &str, now: Timestamp) -> Result<Principal, Denied> {
        let unknown = Denied::ApiKey(ApiKeyFault::Unknown);
        if key.len() > LONGEST {
            return Err(unknown);
        }
        let table = self.table.current().ok_or(unknown)?;
        let key = table.value.get(&hash(key)).ok_or(unknown)?;
        match key.end {
            Some(end) if now >= end => Err(Denied::ApiKey(ApiKeyFault::Expired)),
            _ => Ok(key.principal.clone()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Table, String> {
    let written: Vec<Written> =
        serde_yaml_ng::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut table = Table::default();
    for line in written {
        let id = line.id.clone();
        let (hash, key) = line
            .read()
            .map_err(|why| format!("the key `{id}`: {why}"))?;
        if table.insert(hash, key).is_some() {
            return Err(format!("the key `{id}` stands there twice"));
        }
    }
    Ok(table)
}

impl Written {
    fn read(self) -> Result<(Hash, ApiKey), String> {
        let hash =
            unhex(&self.hash).ok_or("its hash is not the 64 hexadecimal digits of SHA-256")?;
        let end = self.expires.map(|written| {
            let end = DateTime::parse_from_rfc3339(&written);
            end.map(|end| Timestamp(end.timestamp() as f64))
                .map_err(|_| format!("`{written}` is not a time such as 2030-01-31T00:00:00Z"))
        });
        let claims = match self.claims.is_empty() {
            true => Json::Null,
            false => Json::Object(self.claims),
        };
        let key = ApiKey {
            principal: Principal::verified(claims, self.scopes, Some(self.id)),
            end: end.transpose()?,
        };
        Ok((hash, key))
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// A fresh key, and the hash that stands in the file.
pub(crate) fn fresh() -> Option<(String, String)> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let key = format!("sbk_{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some((key, hash))
}
