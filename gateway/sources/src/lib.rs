//! Every service behind the gateway, behind one port.
//!
//! Owns building calls, making them and decoding what comes back, for REST and
//! gRPC: the two differ only in building a request and reading a reply. The
//! only room besides the queue that dials out. Knows nothing of plans beyond
//! one fetch, and nothing of clients.

mod calls;
mod config;
mod failure;
mod format;
mod grpc;
mod json;
mod merge_reads;
mod page;
mod render;

pub use config::SourceOverride;
pub use config::SourcesConfig;
pub use grpc::ReflectError;
pub use grpc::reflect;

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
