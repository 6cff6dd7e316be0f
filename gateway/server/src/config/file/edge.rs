//! What the file says about the edge: who a client is, and what it may do.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

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
