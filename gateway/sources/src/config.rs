//! What an operator decides about sources.
//!
//! Owns the settings, already converted from what the configuration file says,
//! and which of several places wins. Knows nothing of files or the environment.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use compose::model::Source;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use plan::rehearsal::Fault;

use crate::CacheSettings;
use crate::ConnectError;
use crate::Credentials;
use crate::LocalServices;
use crate::Secret;
use crate::Tls;
use crate::gate::Pace;
use crate::grpc::Dial;
use crate::peers::PeerSettings;
use crate::resilience::Resilience;
use crate::resilience::ResilienceRules;

/// Settings of all sources.
#[derive(Debug, Clone)]
pub struct SourcesConfig {
    /// One attempt's time, where neither the schema nor an override says one.
    pub timeout: Duration,
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// The largest reply that is read, in bytes, after decompression.
    pub max_reply_bytes: usize,
    /// Whether identical reads in flight become one call.
    pub merge_reads: bool,
    /// What happens when services fail, where neither the schema nor an override says otherwise.
    pub resilience: ResilienceRules,
    /// Connections of HTTP/2 are made anew when they are older; never without it.
    pub connection_age: Option<Duration>,
    /// Replies that are kept, where the schema or a service allows it.
    pub cache: CacheSettings,
    /// By the source's name.
    pub sources: HashMap<String, SourceOverride>,
    /// GraphQL services within this process.
    pub local: LocalServices,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            max_reply_bytes: 16 * 1024 * 1024,
            merge_reads: true,
            resilience: ResilienceRules::default(),
            connection_age: Some(Duration::from_secs(30 * 60)),
            cache: CacheSettings::default(),
            sources: HashMap::new(),
            local: LocalServices::default(),
        }
    }
}

/// What is different for one source. `None` leaves what the schema or the defaults say.
#[derive(Debug, Clone, Default)]
pub struct SourceOverride {
    /// Another address.
    pub url: Option<String>,
    /// One attempt's time.
    pub timeout: Option<Duration>,
    /// Time to establish a connection.
    pub connect_timeout: Option<Duration>,
    /// The largest reply that is read, in bytes.
    pub max_reply_bytes: Option<usize>,
    /// Whether identical reads in flight become one call.
    pub merge_reads: Option<bool>,
    /// HTTP/2 without TLS, for REST services that speak nothing else.
    pub http2_prior_knowledge: bool,
    /// Headers (gRPC: metadata) for every call; the schema's own rule for a name wins.
    pub headers: Vec<(String, Secret)>,
    /// Who the gateway is to the service, beyond its headers.
    pub credentials: Option<Credentials>,
    /// Whom to trust, and which certificate to show.
    pub tls: Tls,
    /// Calls a second; the schema's `limits: { requestsPerSecond }` otherwise.
    pub requests_per_second: Option<NonZeroU32>,
    /// Calls at once; those of one second otherwise.
    pub burst: Option<NonZeroU32>,
    /// How long a call may wait for its turn; not at all otherwise.
    pub rate_wait: Option<Duration>,
    /// What happens when it fails.
    pub resilience: ResilienceRules,
    /// What goes wrong with its calls, on purpose.
    pub fault: Option<Fault>,
}

/// The settings of one source, every place considered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) url: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_reply_bytes: usize,
    pub(crate) merge_reads: bool,
    pub(crate) http2_prior_knowledge: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: Tls,
    /// How many calls it gets; as many as there are without it.
    pub(crate) pace: Option<Pace>,
    pub(crate) resilience: Resilience,
    pub(crate) connection_age: Option<Duration>,
    pub(crate) fault: Option<Fault>,
}

impl SourcesConfig {
    /// An override beats the schema, which beats the defaults.
    pub(crate) fn settings(&self, source: &Source) -> Result<Settings, ConnectError> {
        let own = self.sources.get(&source.name).cloned().unwrap_or_default();
        let timeout = own.timeout.or(source.timeout).unwrap_or(self.timeout);
        let declared = ResilienceRules::declared(&source.limits, source.retry.as_ref());
        let rules = own.resilience.clone().or(declared);
        Ok(Settings {
            resilience: Resilience::of(rules.or(self.resilience.clone())),
            connection_age: self.connection_age,
            headers: static_headers(&source.name, &own.headers)?,
            pace: pace(source, &own),
            fault: own.fault,
            credentials: own.credentials,
            tls: own.tls,
            url: own.url,
            timeout,
            connect_timeout: own.connect_timeout.unwrap_or(self.connect_timeout),
            max_reply_bytes: own.max_reply_bytes.unwrap_or(self.max_reply_bytes),
            merge_reads: own.merge_reads.unwrap_or(self.merge_reads),
            http2_prior_knowledge: own.http2_prior_knowledge,
        })
    }
}

impl SourcesConfig {
    /// How a source is asked before the graph is there: what its subgraph file says is not known yet.
    pub(crate) fn before_the_graph(&self, source: &str) -> Result<Settings, ConnectError> {
        let own = self.sources.get(source).cloned().unwrap_or_default();
        let connect = own.connect_timeout.unwrap_or(self.connect_timeout);
        Ok(Settings {
            headers: static_headers(source, &own.headers)?,
            credentials: own.credentials,
            ..Settings::outbound(connect, self.max_reply_bytes, own.tls)
        })
    }
}

impl Settings {
    /// Of the gateway's own requests.
    pub(crate) fn outbound(connect_timeout: Duration, max_reply_bytes: usize, tls: Tls) -> Self {
        let usual = SourcesConfig::default();
        Self {
            url: None,
            timeout: usual.timeout,
            connect_timeout,
            max_reply_bytes,
            merge_reads: false,
            http2_prior_knowledge: false,
            headers: HeaderMap::new(),
            credentials: None,
            tls,
            pace: None,
            resilience: Resilience::of(ResilienceRules::default()),
            connection_age: usual.connection_age,
            fault: None,
        }
    }

    /// How its addresses are treated.
    pub(crate) fn peers(&self) -> PeerSettings {
        PeerSettings {
            lookup: self.connect_timeout,
            eject_after: self.resilience.eject_after,
            max_age: self.connection_age,
        }
    }

    /// How gRPC connections are made.
    pub(crate) fn dial(&self) -> Dial {
        Dial {
            timeout: self.connect_timeout,
            tls: self.tls.clone(),
        }
    }
}

fn pace(source: &Source, own: &SourceOverride) -> Option<Pace> {
    let declared = source.limits.requests_per_second;
    let declared = declared.and_then(NonZeroU32::new);
    let per_second = own.requests_per_second.or(declared)?;
    Some(Pace {
        per_second,
        burst: own.burst.unwrap_or(per_second),
        wait: own.rate_wait.unwrap_or_default(),
    })
}

fn static_headers(source: &str, headers: &[(String, Secret)]) -> Result<HeaderMap, ConnectError> {
    headers
        .iter()
        .map(|(name, value)| {
            let header = HeaderName::try_from(name.as_str()).ok();
            let value = HeaderValue::try_from(value.reveal()).ok();
            let value = value.map(|mut value| {
                value.set_sensitive(true);
                value
            });
            header.zip(value).ok_or_else(|| ConnectError::Header {
                source_name: source.to_owned(),
                header: name.clone(),
            })
        })
        .collect()
}
