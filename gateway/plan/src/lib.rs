//! From an operation to a plan.
//!
//! Owns limits, normalisation, the search over which source can answer what,
//! and the port through which the executor reaches sources. Pure: no clock,
//! no I/O. Must not know transports or response data.

pub mod access;
pub mod cache;
pub mod code;
mod collect;
mod condition;
pub mod cost;
mod document;
pub mod effects;
mod input;
mod introspection;
pub mod limits;
pub mod model;
mod operation;
pub mod outbox;
pub mod print;
pub mod propagated;
pub mod queued;
mod refusal;
pub mod rehearsal;
mod search;
pub mod shape;
pub mod source;
pub mod tape;

pub use document::Document;
pub use limits::OperationLimits;
pub use model::Plan;
pub use operation::plan;
pub use refusal::Refusal;
pub use refusal::RequestError;
