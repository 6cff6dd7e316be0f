//! What the file says about who asks, and how that is verified.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::units::Size;
use crate::config::units::Span;

/// Who asks, and how that is verified.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Authentication {
    /// Answer nobody without credentials. Wrong ones are refused in any case.
    pub(crate) required: bool,
    /// Signed tokens.
    pub(crate) jwt: Option<Jwt>,
    /// Keys that the gateway's operator gives out.
    pub(crate) api_keys: Option<ApiKeys>,
}

/// Signed tokens.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    /// Where a token stands, in this order; the authorization header with Bearer otherwise.
    #[serde(default)]
    pub(crate) from: Vec<Place>,
    /// Whose tokens are accepted.
    pub(crate) issuers: Vec<Issuer>,
    /// Longer tokens are refused before they are looked at.
    #[serde(default = "max_token")]
    pub(crate) max_token: Size,
    /// How many verified tokens are remembered, so that a signature is verified once.
    #[serde(default = "cache")]
    pub(crate) cache: u64,
}

fn max_token() -> Size {
    Size::kib(8)
}

fn cache() -> u64 {
    10_000
}

/// Where a token stands: in a header, or in a cookie.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The header's name.
    pub(crate) header: Option<String>,
    /// What stands before the token in the header: Bearer, say.
    #[serde(default)]
    pub(crate) prefix: String,
    /// The cookie's name.
    pub(crate) cookie: Option<String>,
}

/// Whose tokens are accepted, and which.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// What the tokens' `iss` says, to the letter.
    pub(crate) issuer: String,
    /// A token is for one of these, by its `aud`.
    pub(crate) audiences: Vec<String>,
    /// The issuer's public keys.
    pub(crate) jwks: Jwks,
    /// Which signatures are accepted.
    #[serde(default = "algorithms")]
    pub(crate) algorithms: Vec<Algorithm>,
    /// Claims that a token must have, beside `iss`, `aud` and `exp`.
    #[serde(default)]
    pub(crate) required_claims: Vec<String>,
    /// How wrong the clocks may be.
    #[serde(default = "leeway")]
    pub(crate) leeway: Span,
}

fn algorithms() -> Vec<Algorithm> {
    use Algorithm as A;
    vec![A::RS256, A::PS256, A::ES256, A::EdDSA]
}

fn leeway() -> Span {
    Span::seconds(30)
}

/// A JSON Web Key Set, in a file or at an address.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwks {
    /// A file, relative to this one; read again when it changes. Shared secrets are accepted from here only.
    pub(crate) file: Option<String>,
    /// Its address.
    pub(crate) url: Option<String>,
    /// How often the address is asked.
    #[serde(default = "refresh")]
    pub(crate) refresh: Span,
    /// How often, at most, it is asked because of a key that is not known.
    #[serde(default = "cool_down")]
    pub(crate) cool_down: Span,
}

fn refresh() -> Span {
    Span::seconds(600)
}

fn cool_down() -> Span {
    Span::seconds(30)
}

/// A signature's algorithm, as RFC 7518 and RFC 8037 name it. There is no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[allow(missing_docs, reason = "the standards' own names")]
pub(crate) enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// The one of this name, to the letter.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "EdDSA" | "Ed25519" => Self::EdDSA,
            "HS256" => Self::HS256,
            "HS384" => Self::HS384,
            "HS512" => Self::HS512,
            _ => return None,
        })
    }
}

/// Keys that the gateway's operator gives out.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeys {
    /// A file of hashes, relative to this one; read again when it changes. `switchboard api-key new` makes its lines.
    pub(crate) file: String,
    /// The header that carries a key.
    #[serde(default = "api_key_header")]
    pub(crate) header: String,
}

fn api_key_header() -> String {
    "x-api-key".into()
}
