//! What an attempt says about its source, and whether another may follow.

use std::time::Duration;

/// What an attempt says about the source's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered as a healthy service does, be it with a refusal.
    Good,
    /// It failed.
    Bad,
    /// Nothing: it was not asked, or not given time.
    Silent,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would end the same.
    Never,
    /// One more, then no more.
    Once,
    /// Where the service says when.
    WhenTold,
    /// As often as there are attempts.
    Yes,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) health: Health,
    pub(crate) again: Again,
    /// How long the service asks to wait: never less.
    pub(crate) wait: Option<Duration>,
    /// Something of a reply came, so that its effect may be taken for done.
    pub(crate) replied: bool,
    /// The service or the protocol wants no other attempt, whatever a rule says.
    pub(crate) forbidden: bool,
    /// For the numbers.
    pub(crate) outcome: Outcome,
}

impl Verdict {
    /// All is well.
    pub(crate) const FINE: Self = Self {
        health: Health::Good,
        again: Again::Never,
        wait: None,
        replied: false,
        forbidden: false,
        outcome: Outcome::Ok,
    };
}

/// How an attempt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// An answer.
    Ok = 0,
    /// The service refused what the caller sent.
    Refused = 1,
    /// The service wants fewer calls.
    RateLimited = 2,
    /// The service failed of itself.
    Failed = 3,
    /// It could not be reached, or broke off.
    Unavailable = 4,
    /// It took longer than its limit.
    TimedOut = 5,
    /// Its answer is not as it should be.
    Invalid = 6,
    /// The caller's time was over.
    Deadline = 7,
    /// The breaker was open: nothing was sent.
    CircuitOpen = 8,
    /// A limit of the gateway's held it back: nothing was sent.
    HeldBack = 9,
    /// Another attempt was faster.
    Superseded = 10,
}

impl Outcome {
    /// All of them, in order.
    pub const ALL: [Outcome; 11] = [
        Outcome::Ok,
        Outcome::Refused,
        Outcome::RateLimited,
        Outcome::Failed,
        Outcome::Unavailable,
        Outcome::TimedOut,
        Outcome::Invalid,
        Outcome::Deadline,
        Outcome::CircuitOpen,
        Outcome::HeldBack,
        Outcome::Superseded,
    ];

    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::RateLimited => "rate_limited",
            Outcome::Failed => "failed",
            Outcome::Unavailable => "unavailable",
            Outcome::TimedOut => "timed_out",
            Outcome::Invalid => "invalid",
            Outcome::Deadline => "deadline",
            Outcome::CircuitOpen => "circuit_open",
            Outcome::HeldBack => "held_back",
            Outcome::Superseded => "superseded",
        }
    }
}
