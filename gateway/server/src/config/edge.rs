//! What the edge needs to know, from what the file says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use http::HeaderName;
use http::HeaderValue;
use ipnet::IpNet;

use super::convert::beside;
use super::file::edge as file;
use super::problem::only;

pub(crate) use file::ForwardedHeader;
pub(crate) use file::StatusProfile;

/// Beyond what a browser may send anyway.
const HEADERS: &str = "content-type, authorization, apollo-require-preflight, \
    apollographql-client-name, apollographql-client-version, graphql-client-name, \
    graphql-client-version, graphql-require-preflight, grpc-timeout, idempotency-key, traceparent, tracestate, \
    x-apollo-operation-name, x-correlation-id, x-request-timeout-ms";
/// Ours.
const EXPOSED: &str = "age, idempotency-replayed, ratelimit, ratelimit-policy, retry-after, x-correlation-id, x-request-id";
/// Shorter tokens are guessed.
const TOKEN: usize = 16;

/// What stands between a connection and a route. Read when the process starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Edge {
    pub(crate) cors: Option<Cors>,
    pub(crate) compression: Option<Compression>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) admin_tls: Option<TlsFiles>,
    /// Who may act on the port of operators.
    pub(crate) admin_tokens: Vec<Token>,
    /// How long browsers must come back over TLS.
    pub(crate) hsts: Option<Duration>,
}

/// Whose word is taken for a client's address.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientAddress {
    /// Proxies whose header is believed.
    pub(crate) trusted: Vec<IpNet>,
    /// The header that they write.
    pub(crate) header: ForwardedHeader,
}

/// Which pages of other origins may read answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cors {
    pub(crate) origins: Origins,
    pub(crate) credentials: bool,
    /// Request headers that pages may set.
    pub(crate) headers: HeaderValue,
    /// Response headers that pages may read.
    pub(crate) expose: HeaderValue,
    /// Seconds.
    pub(crate) max_age: u64,
}

/// Origins of pages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origins {
    Any,
    Listed(Vec<OriginPattern>),
}

/// One origin, or all below a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OriginPattern {
    before: String,
    /// What follows the names that may vary; none where nothing may.
    after: Option<String>,
}

impl OriginPattern {
    /// Whether this is one of them.
    pub(crate) fn covers(&self, origin: &[u8]) -> bool {
        let Some(after) = &self.after else {
            return origin == self.before.as_bytes();
        };
        let names = origin.strip_prefix(self.before.as_bytes());
        let names = names.and_then(|rest| rest.strip_suffix(after.as_bytes()));
        // Neither a port nor a path nor a user may hide in what varies.
        let name = |b: &u8| b.is_ascii_alphanumeric() || b"-.".contains(b);
        names.is_some_and(|names| !names.is_empty() && names.iter().all(name))
    }

    fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.replacen("*.", "any.", 1).parse().ok()?;
        let authority = uri.authority()?;
        let scheme = uri.scheme_str()?;
        let whole = format!("{scheme}://{authority}") == text.replacen("*.", "any.", 1);
        if !whole || authority.as_str().contains(['@', '*']) {
            return None;
        }
        let Some((before, after)) = text.split_once("*.") else {
            return Some(Self {
                before: text.into(),
                after: None,
            });
        };
        // A whole top-level domain is nobody's.
        let named = before.ends_with("://") && after.contains('.');
        named.then(|| Self {
            before: before.into(),
            after: Some(format!(".{after}")),
        })
    }
}

/// Compressing answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compression {
    /// Bytes below which an answer is sent as it is.
    pub(crate) threshold: usize,
}

/// The files of TLS on one port, as they are opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) clients: Option<TlsClients>,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsClients {
    pub(crate) ca: String,
    pub(crate) required: bool,
}

/// What an operator shows to be let in.
#[derive(Clone, PartialEq)]
pub(crate) struct Token {
    /// For the audit log.
    pub(crate) name: Arc<str>,
    pub(crate) secret: String,
}

/// Secrets are not printed.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

pub(super) fn client_address(written: file::ClientAddress) -> Result<ClientAddress, Diagnostics> {
    let trusted = written.trusted_proxies.iter().map(|text| network(text));
    Ok(ClientAddress {
        trusted: trusted.collect::<Result<_, _>>()?,
        header: written.header,
    })
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, Diagnostics> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        wrong(
            format!("client_address.trusted_proxies: `{text}` is no address or network"),
            "write an address, or a network such as 10.0.0.0/8",
        )
    })
}

pub(super) fn cors(written: file::Cors) -> Result<Option<Cors>, Diagnostics> {
    if written.origins.is_empty() {
        return Ok(None);
    }
    let any = written.origins.iter().any(|origin| origin == "*");
    if any && written.credentials {
        return Err(wrong(
            "cors: `credentials` and the origin `*` together would let every page act as its visitor".into(),
            "name the origins",
        ));
    }
    let origins = match any {
        true => Origins::Any,
        false => Origins::Listed(
            written
                .origins
                .iter()
                .map(|text| origin(text))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Some(Cors {
        origins,
        credentials: written.credentials,
        headers: header_names(HEADERS, &written.headers)?,
        expose: header_names(EXPOSED, &written.expose)?,
        max_age: written.max_age.0.as_secs(),
    }))
}

fn origin(text: &str) -> Result<OriginPattern, Diagnostics> {
    OriginPattern::parse(text).ok_or_else(|| {
        wrong(
            format!("cors.origins: `{text}` is no origin"),
            "write scheme, host and port, without a path: https://app.example.com, or https://*.example.com",
        )
    })
}

fn header_names(ours: &str, more: &[String]) -> Result<HeaderValue, Diagnostics> {
    let mut list = ours.to_owned();
    for name in more {
        let valid: Result<HeaderName, _> = name.parse();
        let valid =
            valid.map_err(|_| wrong(format!("cors: `{name}` is no header"), "write its name"))?;
        list.push_str(", ");
        list.push_str(valid.as_str());
    }
    HeaderValue::from_str(&list).map_err(|_| wrong("cors: too many headers".into(), "name fewer"))
}

pub(super) fn compression(written: &file::Compression) -> Option<Compression> {
    written.enabled.then_some(Compression {
        threshold: written.threshold.0,
    })
}

pub(super) fn tls(config: &Path, written: file::Tls) -> TlsFiles {
    TlsFiles {
        certificate: beside(config, &written.certificate),
        key: beside(config, &written.key),
        clients: written.clients.map(|clients| TlsClients {
            ca: beside(config, &clients.ca),
            required: clients.required,
        }),
    }
}

pub(super) fn tokens(written: BTreeMap<String, String>) -> Result<Vec<Token>, Diagnostics> {
    let token = |(name, secret): (String, String)| match secret.len() >= TOKEN {
        true => Ok(Token {
            name: name.into(),
            secret,
        }),
        false => Err(wrong(
            format!("admin.tokens.{name} is shorter than {TOKEN} characters"),
            "make one with: openssl rand -hex 32",
        )),
    };
    // `${TOKEN:-}`, where there is no such variable.
    let given = written.into_iter().filter(|(_, secret)| !secret.is_empty());
    given.map(token).collect()
}

fn wrong(what: String, help: &str) -> Diagnostics {
    only(Diagnostic::error("CONFIG_VALUE", what).help(help))
}
