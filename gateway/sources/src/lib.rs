//! Every service behind the gateway, behind one port.
//!
//! Owns building calls, making them and decoding what comes back, for REST and
//! gRPC: the two differ only in building a request and reading a reply. The
//! only room besides the queue that dials out. Knows nothing of plans beyond
//! one fetch, and nothing of clients.

mod batch;
mod cache;
mod calls;
mod config;
mod credentials;
mod failure;
mod fetch;
mod format;
mod gate;
mod grpc;
mod json;
mod merge_reads;
pub mod outbound;
mod page;
mod protocol;
mod render;
mod rest;
mod secret;
mod tls;

use std::sync::Arc;

use compose::Supergraph;
use compose::model::Source as Declared;
use compose::model::SourceId;
use compose::model::SourceKind;
use plan::source::Source;
use plan::source::Sources;

use cache::Cache;
use fetch::Fetcher;
use grpc::Grpc;
use grpc::SystemResolver;
use render::Encodings;
use rest::Rest;

pub use cache::CacheSettings;
pub use cache::Purge;
pub use cache::UpstreamRule;
pub use config::SourceOverride;
pub use config::SourcesConfig;
pub use credentials::Credentials;
pub use credentials::OAuth;
pub use credentials::OAuthStyle;
pub use grpc::ReflectError;
pub use grpc::reflect;
pub use secret::Secret;
pub use tls::BadTls;
pub use tls::Identity;
pub use tls::Tls;

/// The sources of one graph, ready to be asked. Nothing is dialled before the first call.
pub struct ConnectedSources {
    sources: Vec<Box<dyn Source>>,
    cache: Cache,
}

/// Sets up every source of a graph.
pub fn connect(
    graph: &Supergraph,
    config: &SourcesConfig,
) -> Result<ConnectedSources, ConnectError> {
    install_provider();
    let encodings = Arc::new(Encodings::of(graph));
    let cache = Cache::new(config.cache.clone(), graph);
    let sources = graph.sources().iter();
    let sources = sources.map(|source| connected(source, config, &encodings, &cache));
    Ok(ConnectedSources {
        sources: sources.collect::<Result<_, _>>()?,
        cache,
    })
}

/// Fails where a provider is installed already, which serves as well.
fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn connected(
    source: &Declared,
    config: &SourcesConfig,
    encodings: &Arc<Encodings>,
    cache: &Cache,
) -> Result<Box<dyn Source>, ConnectError> {
    let settings = config.settings(source)?;
    let (encodings, cache) = (encodings.clone(), cache.clone());
    match &source.kind {
        SourceKind::Http { base_url, .. } => {
            let rest = Rest::new(source, base_url, settings, encodings, cache)?;
            Ok(Box::new(Fetcher::new(rest)))
        }
        SourceKind::Grpc { .. } => {
            let resolver = Arc::new(SystemResolver);
            let grpc = Grpc::new(source, settings, encodings, resolver, cache)?;
            Ok(Box::new(Fetcher::new(grpc)))
        }
    }
}

impl ConnectedSources {
    /// Takes kept replies away; how many that were.
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.cache.purge(purge)
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
        connect(&graph, &config)
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
