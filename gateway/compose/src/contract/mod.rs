//! Contracts of upstream services, read into one neutral model.
//!
//! An OpenAPI document and a set of Protocol Buffers files say the same kind of thing: which calls
//! exist, what goes in, what comes out. [`model`] is the vocabulary both are lowered to; mappings
//! are checked against it and values are rendered by it.
//!
//! This room must not know GraphQL, subgraph files or how a call is made, and it reads text that
//! somebody else loaded: no file system, no network.

pub mod error;
pub mod model;
pub mod openapi;
pub mod proto;

pub use error::ContractError;
pub use model::{Contract, Kind, Place, Property, Type, TypeId};
pub use openapi::OpenApi;
pub use proto::Proto;
