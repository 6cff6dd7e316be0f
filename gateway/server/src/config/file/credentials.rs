//! What the file says about who the gateway is to its sources.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;

/// Text that is never shown. Write `${NAME}`, so that it stands in the environment alone.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Who the gateway is to a source: one of these. It replaces what a header rule would send as `authorization`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// A name and a password.
    pub(crate) basic: Option<Basic>,
    /// A token from a token endpoint.
    pub(crate) oauth2: Option<OAuth2>,
}

/// A name and a password.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    /// Without a colon.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: Secret,
}

/// OAuth 2, client credentials: a token is fetched at the first call and renewed before it expires.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2 {
    /// The token endpoint.
    pub(crate) token_url: String,
    /// Who the gateway is there.
    pub(crate) client_id: String,
    /// What proves it.
    pub(crate) client_secret: Secret,
    /// What the token is to allow.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Whom the token is for, where the endpoint asks.
    pub(crate) audience: Option<String>,
    /// Where id and secret are sent.
    #[serde(default)]
    pub(crate) auth: ClientAuth,
    /// TLS towards the token endpoint.
    #[serde(default)]
    pub(crate) tls: Tls,
}

/// Where id and secret are sent.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// In the authorization header.
    #[default]
    Basic,
    /// In the form.
    Body,
}

/// TLS towards a service. Files are PEM, relative to this one, and read again when the graph is reloaded.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// The only authorities that are trusted, instead of the machine's.
    pub(crate) ca: Option<String>,
    /// The certificate that the gateway shows, with those between it and the authority.
    pub(crate) certificate: Option<String>,
    /// Its private key.
    pub(crate) key: Option<String>,
}
