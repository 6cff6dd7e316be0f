//! From a store to the targets. Start reading at [`Deliveries`].
//!
//! Owns when a message is attempted and what an attempt's outcome means for it
//! and for its queue. Knows neither where messages wait nor how targets are
//! reached.
//!
//! `deliveries` has a `worker` for each queue. It takes the first ones of
//! their lines from the store and asks the `desk`, which everybody shares who
//! works on the queue, what is done with each: its `life` may be over, or the
//! `lane` to its source closed. What is sent is an `attempt`; what comes of
//! it has its `meaning` for the message and for the lane.

mod attempt;
mod deliveries;
mod desk;
mod handler;
mod lane;
mod life;
mod meaning;
mod numbers;
mod pace;
mod settings;
#[cfg(test)]
mod tests;
mod worker;

pub use deliveries::Deliveries;
pub use deliveries::Told;
pub use desk::LaneTold;
pub use handler::Attempt;
pub use handler::Handler;
pub use handler::Outcome;
pub use lane::LaneState;
pub use numbers::BOUNDS;
pub use numbers::Count;
pub use numbers::Numbers;
pub use numbers::OUTCOMES;
pub use numbers::REASONS;
pub use settings::QueueSettings;
pub use settings::Settings;
