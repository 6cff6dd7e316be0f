//! Every service behind the gateway, behind one port.
//!
//! Owns building calls, making them and decoding what comes back, for REST,
//! gRPC and GraphQL: they differ only in building a request and reading a reply. The
//! only room besides the queue that dials out. Knows nothing of plans beyond
//! one fetch, and nothing of clients.

mod batch;
mod cache;
mod calls;
mod config;
mod credentials;
mod deferred;
mod exchange;
mod failure;
mod fetch;
mod format;
mod gate;
mod graphql;
mod grpc;
mod json;
mod merge_reads;
pub mod outbound;
mod page;
mod peers;
mod protocol;
mod render;
mod resilience;
mod rest;
mod retry_after;
mod secret;
mod service;
mod tls;
mod transport;

use std::collections::HashMap;
use std::sync::Arc;

use compose::Supergraph;
use compose::model::Resolver;
use compose::model::Source as Declared;
use compose::model::SourceId;
use compose::model::SourceKind;
use plan::outbox::Deferred;
use plan::source::BoxFuture;
use plan::source::Source;
use plan::source::Sources;

use cache::Cache;
use fetch::Fetcher;
use graphql::Graphql;
use grpc::Grpc;
use peers::SystemResolver;
use protocol::Protocol;
use render::Encodings;
use rest::Rest;
use service::Link;
use service::Service;

pub use cache::CacheSettings;
pub use cache::Purge;
pub use cache::UpstreamRule;
pub use config::SourceOverride;
pub use config::SourcesConfig;
pub use credentials::Credentials;
pub use credentials::OAuth;
pub use credentials::OAuthStyle;
pub use exchange::Fate;
pub use exchange::Label;
pub use exchange::NotDelivered;
pub use graphql::LocalCaller;
pub use graphql::LocalRequest;
pub use graphql::LocalService;
pub use graphql::LocalServices;
pub use graphql::NotDescribed;
pub use graphql::described;
pub use grpc::ReflectError;
pub use grpc::reflect;
pub use resilience::BATCHES;
pub use resilience::BreakerState;
pub use resilience::DURATIONS;
pub use resilience::Distribution;
pub use resilience::Outcome;
pub use resilience::ResilienceRules;
pub use resilience::Said;
pub use resilience::SourceNumbers;
pub use resilience::Told;
pub use resilience::explain;
pub use secret::Secret;
pub use tls::BadTls;
pub use tls::Identity;
pub use tls::Tls;

/// The sources of one graph, ready to be asked. Nothing is dialled before the first call.
pub struct ConnectedSources {
    sources: Vec<Box<dyn Connected>>,
    /// By the source's name.
    ways: HashMap<String, Way>,
    cache: Cache,
}

/// A source that also makes calls which were made durable before.
trait Connected: Source {
    /// One attempt.
    fn deliver<'a>(
        &'a self,
        call: &'a Deferred,
        resolver: Option<&'a Resolver>,
        label: Label,
    ) -> BoxFuture<'a, Result<(), NotDelivered>>;
}

impl<P: Protocol> Connected for Fetcher<P> {
    fn deliver<'a>(
        &'a self,
        call: &'a Deferred,
        resolver: Option<&'a Resolver>,
        label: Label,
    ) -> BoxFuture<'a, Result<(), NotDelivered>> {
        Box::pin(exchange::deliver(self.protocol(), call, resolver, label))
    }
}

/// The way to one source, which outlives its graph.
enum Way {
    Rest(Arc<Link<transport::Transport>>),
    Grpc(Arc<Link<grpc::Connection>>),
    Graphql(Arc<Link<graphql::Way>>),
}

/// Sets up every source of a graph. Connections of the graph before stay where nothing about a source has changed, and so does what is known of its health.
pub fn connect(
    graph: &Supergraph,
    config: &SourcesConfig,
    before: Option<&ConnectedSources>,
) -> Result<ConnectedSources, ConnectError> {
    install_provider();
    let cache = Cache::new(config.cache.clone(), graph);
    let connecting = Connecting {
        graph,
        config,
        before,
        encodings: Arc::new(Encodings::of(graph)),
        cache: cache.clone(),
    };
    let mut connected = ConnectedSources {
        sources: Vec::new(),
        ways: HashMap::new(),
        cache,
    };
    for (at, source) in graph.sources().iter().enumerate() {
        let (port, way) = connecting.connected(at, source)?;
        connected.sources.push(port);
        connected.ways.insert(source.name.clone(), way);
    }
    Ok(connected)
}

/// Fails where a provider is installed already, which serves as well.
fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

struct Connecting<'c> {
    graph: &'c Supergraph,
    config: &'c SourcesConfig,
    before: Option<&'c ConnectedSources>,
    encodings: Arc<Encodings>,
    cache: Cache,
}

impl Connecting<'_> {
    fn connected(
        &self,
        at: usize,
        source: &Declared,
    ) -> Result<(Box<dyn Connected>, Way), ConnectError> {
        let resolvers = self.graph.resolvers().iter();
        let service = Service::new(
            source,
            self.config.settings(source)?,
            self.encodings.clone(),
            self.cache.clone(),
            resolvers.filter(|resolver| resolver.source.index() == at),
        );
        let before = self.before.and_then(|it| it.ways.get(&source.name));
        match &source.kind {
            SourceKind::Http { base_url, .. } => {
                let before = match before {
                    Some(Way::Rest(link)) => Some(link),
                    _ => None,
                };
                let rest = Rest::new(service, base_url, before)?;
                let way = Way::Rest(rest.link().clone());
                Ok((Box::new(Fetcher::new(rest)), way))
            }
            SourceKind::Grpc { url, .. } => {
                let before = match before {
                    Some(Way::Grpc(link)) => Some(link),
                    _ => None,
                };
                let grpc = Grpc::new(service, url, Arc::new(SystemResolver), before)?;
                let way = Way::Grpc(grpc.link().clone());
                Ok((Box::new(Fetcher::new(grpc)), way))
            }
            SourceKind::Graphql { url } => {
                let before = match before {
                    Some(Way::Graphql(link)) => Some(link),
                    _ => None,
                };
                let graphql = Graphql::new(service, url, &self.config.local, before)?;
                let way = Way::Graphql(graphql.link().clone());
                Ok((Box::new(Fetcher::new(graphql)), way))
            }
        }
    }
}

impl ConnectedSources {
    /// Makes one attempt at a call that was made durable before, for the field that `resolver`
    /// resolves in this graph, where there still is one.
    ///
    /// # Errors
    /// Whatever keeps the service from having accepted it, and what that means.
    pub async fn deliver(
        &self,
        graph: &Supergraph,
        call: &Deferred,
        resolver: Option<&Resolver>,
        label: Label,
    ) -> Result<(), NotDelivered> {
        let mut all = graph.sources().iter().zip(&self.sources);
        let found = all.find(|(source, _)| *source.name == *call.source);
        match found {
            Some((_, source)) => source.deliver(call, resolver, label).await,
            None => Err(exchange::no_such_source(&call.source)),
        }
    }

    /// Takes kept replies away; how many that were.
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.cache.purge(purge)
    }

    /// What was counted of each source, by name.
    pub fn numbers(&self) -> Vec<SourceNumbers> {
        let numbers = self.ways.iter().map(|(name, way)| match way {
            Way::Rest(link) => link.numbers(name),
            Way::Grpc(link) => link.numbers(name),
            Way::Graphql(link) => link.numbers(name),
        });
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_by(|one, other| one.source.cmp(&other.source));
        numbers
    }

    /// Bytes that are kept now.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Says that a mutation has ended: what was kept of the sources that it called, and of the types that it answered, is old.
    pub fn written(&self, sources: &[SourceId], types: &[Arc<str>]) {
        self.cache.written(sources, types);
    }
}

impl Sources for ConnectedSources {
    fn source(&self, id: SourceId) -> &dyn Source {
        &*self.sources[id.index()]
    }
}

/// Why the sources of a graph cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address that is none.
    #[error("source `{source_name}`: `{url}` is not an address: {reason}")]
    Url {
        /// The source.
        source_name: String,
        /// As it was written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that cannot be sent.
    #[error(
        "source `{source_name}`: the header `{header}` has a name or value that HTTP does not allow"
    )]
    Header {
        /// The source.
        source_name: String,
        /// The header's name.
        header: String,
    },
    /// The client of the protocol cannot be set up.
    #[error("source `{source_name}`: {reason}")]
    Client {
        /// The source.
        source_name: String,
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = r#"
        extend schema @source(name: "users", http: { baseURL: "SERVICE" })
        type Query { user(id: ID!): User @rest(GET: "/users/{id}") }
        type User { name: String }
    "#;

    fn connected(url: &str, own: SourceOverride) -> Result<ConnectedSources, ConnectError> {
        let files = compose::SchemaFiles {
            subgraphs: vec![compose::SubgraphFile {
                name: "test".to_owned(),
                file: "test.graphql".to_owned(),
                sdl: SDL.replace("SERVICE", url),
                ..compose::SubgraphFile::default()
            }],
            ..compose::SchemaFiles::default()
        };
        let graph = compose::compose(&files).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let mut config = SourcesConfig::default();
        config.sources.insert("users".to_owned(), own);
        connect(&graph, &config, None)
    }

    #[test]
    fn sources_are_set_up_without_dialling() {
        let dead = connected("http://127.0.0.1:1", SourceOverride::default());
        assert!(dead.is_ok());
    }

    #[test]
    fn an_address_or_header_that_is_none_is_named() {
        let own = |url: Option<&str>, headers: &[(&str, &str)]| SourceOverride {
            url: url.map(str::to_owned),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()))
                .collect(),
            ..SourceOverride::default()
        };
        for url in ["ftp://users", "users:80", "http://", ""] {
            let error = connected("http://users", own(Some(url), &[]))
                .err()
                .unwrap();
            assert!(error.to_string().contains("source `users`"), "{error}");
        }
        for header in [("a b", "x"), ("x", "a\nb")] {
            let error = connected("http://users", own(None, &[header]))
                .err()
                .unwrap();
            assert!(error.to_string().contains("header"), "{error}");
        }
    }
}
