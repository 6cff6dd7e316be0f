//! What the file says about the edge: who a client is, and what it may do.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::units::Size;
use crate::config::units::Span;

/// Whose word is taken for a client's address.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientAddress {
    /// Proxies whose header is believed: addresses, or networks such as 10.0.0.0/8. Without any, a client is whoever connects.
    pub(crate) trusted_proxies: Vec<String>,
    /// Which header these proxies write. The other one is never read, since a client could have written it.
    pub(crate) header: ForwardedHeader,
}

/// Which header a proxy writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    /// A list of addresses.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// How GraphQL over HTTP is spoken.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// Which statuses tell refusals and partial answers apart, with the media type application/graphql-response+json.
    pub(crate) status_profile: StatusProfile,
    /// Tells browsers, over TLS only, to come back over TLS for this long (Strict-Transport-Security).
    pub(crate) hsts: Option<Span>,
}

/// Which HTTP statuses are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatusProfile {
    /// As the public audit of GraphQL over HTTP expects: 400 for whatever is refused, 200 with data.
    #[default]
    Audit,
    /// As the draft of August 2026: 422 for what parses and is refused, 294 for data with errors.
    Draft,
}

/// Which pages of other origins may read answers. None, unless they are named.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cors {
    /// Origins such as `https://app.example.com`; `https://*.example.com` covers those below a name; "*" covers all, without credentials.
    pub(crate) origins: Vec<String>,
    /// Whether a browser may send cookies and other credentials of its own.
    pub(crate) credentials: bool,
    /// Request headers that pages may set beyond the usual ones of GraphQL clients.
    pub(crate) headers: Vec<String>,
    /// Response headers that pages may read beyond the gateway's own.
    pub(crate) expose: Vec<String>,
    /// How long a browser need not ask again.
    pub(crate) max_age: Span,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            credentials: false,
            headers: Vec::new(),
            expose: Vec::new(),
            max_age: Span::seconds(600),
        }
    }
}

/// Compressing answers for clients that accept it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Compression {
    /// Off by default: it costs more than answering does. A proxy in front often does it already.
    pub(crate) enabled: bool,
    /// Smaller answers are sent as they are.
    pub(crate) threshold: Size,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            enabled: false,
            threshold: Size::kib(2),
        }
    }
}

/// Lists of operations in one request.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Batching {
    /// Whether a list is accepted.
    pub(crate) enabled: bool,
    /// Operations of one list. Each is limited and charged like a request of its own.
    pub(crate) max: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            enabled: false,
            max: 10,
        }
    }
}

/// TLS on a port. Files are relative to this one, and are read again when they change and at SIGHUP.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate and its chain: PEM.
    pub(crate) certificate: String,
    /// Its private key: PEM.
    pub(crate) key: String,
    /// Which certificates of clients are accepted.
    #[serde(default)]
    pub(crate) clients: Option<TlsClients>,
}

/// Certificates of clients.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsClients {
    /// The authorities that issue them: PEM.
    pub(crate) ca: String,
    /// Whether a client without one is refused.
    #[serde(default = "yes")]
    pub(crate) required: bool,
}

fn yes() -> bool {
    true
}
