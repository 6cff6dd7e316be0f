//! What the queue asks of whoever reaches the targets.

use std::time::Duration;

use crate::message::Message;
use crate::store::BoxFuture;
use crate::store::Failure;

/// Makes one attempt at a delivery.
pub trait Handler: Send + Sync + 'static {
    /// Sends the message once, in a bounded time. Dropping the future gives the attempt up.
    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome>;
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What is delivered.
    pub message: &'a Message,
    /// Which one: 1 is the first.
    pub number: u32,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has it.
    Delivered,
    /// Not now: the target is away, failed of itself, or wants fewer calls.
    Again {
        /// What went wrong.
        failure: Failure,
        /// The target asks to come back no earlier.
        after: Option<Duration>,
        /// The target was not reached or did not work at all, whatever was asked of it.
        down: bool,
    },
    /// The target refuses it for good.
    Refused(Failure),
    /// The target does not accept who asks.
    Denied(Failure),
    /// It was not sent, and so says nothing about the target: there was no room or no right to.
    NotSent {
        /// What held it back.
        failure: Failure,
        /// Worth another try then.
        after: Option<Duration>,
    },
}
