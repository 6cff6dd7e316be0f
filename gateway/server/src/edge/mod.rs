//! The HTTP edge: what may come in, and how it is answered.
//!
//! Owns listening, limits on what a client sends, the ids of a request, the
//! rules of GraphQL over HTTP and the CSRF rule. Knows nothing of how an
//! operation is planned or run.

mod admin;
mod batch;
mod body;
mod client_address;
mod client_deadline;
mod compress;
mod connections;
mod cors;
mod csrf;
mod denied;
mod graphql;
mod health;
mod ids;
mod keyed;
mod live;
mod negotiate;
mod params;
mod playground;
pub(crate) mod problem;
mod purge;
mod queues;
mod routes;
mod serve;
mod socket;
mod status;
mod taken;
pub(crate) mod tls;
pub(crate) mod trace_context;

pub(crate) use routes::admin;
pub(crate) use routes::public;
pub(crate) use serve::Phase;
pub(crate) use serve::Port;
pub(crate) use serve::serve;

/// A response of ours: always whole.
type Response = http::Response<http_body_util::Full<bytes::Bytes>>;

/// A request as it arrives.
type Request = http::Request<hyper::body::Incoming>;
