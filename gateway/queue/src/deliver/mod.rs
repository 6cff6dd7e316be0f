//! From a store to the targets. Start reading at [`Handler`].
//!
//! Owns when a message is attempted and what an attempt's outcome means for it
//! and for its queue. Knows neither where messages wait nor how targets are
//! reached.

mod handler;

pub use handler::Attempt;
pub use handler::Handler;
pub use handler::Outcome;
