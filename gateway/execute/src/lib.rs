//! From a plan to a response.
//!
//! Owns running the steps of a plan as their inputs arrive, joining what comes
//! back to the objects that asked for it, and writing the response once. Knows
//! sources only as `dyn Source`; must not know HTTP, gRPC or retries.

mod assign;
mod count;
mod parents;
mod response;
mod run;
mod store;
mod subscribe;
mod write;

pub use response::FieldError;
pub use response::PathSegment;
pub use response::Response;
pub use run::Arrived;
pub use run::arrive;
pub use run::execute;
pub use subscribe::answer;
pub use subscribe::failed;
pub use subscribe::subscribe;
