//! What is known of an attempt when it is over.

use std::time::Instant;

use smallvec::SmallVec;

use crate::calls::Status;
use crate::failure::Failed;
use crate::protocol::Brought;
use crate::protocol::Protocol;
use crate::resilience::BreakerState;
use crate::resilience::Outcome;
use crate::resilience::Verdict;

/// One attempt, for those who look on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    /// Made beside another that took long.
    pub(crate) hedge: bool,
    /// The parent id that went with it; zeros where nothing was sent.
    pub(crate) span: [u8; 8],
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) status: Status,
    /// Of the answer.
    pub(crate) bytes: usize,
    pub(crate) outcome: Outcome,
    /// How the breaker stood when it began.
    pub(crate) breaker: BreakerState,
}

/// An attempt that is over, and what may follow from it.
pub(super) struct Tried<P: Protocol> {
    pub(super) brought: Brought<P>,
    pub(super) verdict: Verdict,
    /// It and those beside it.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
}

impl<P: Protocol> Tried<P> {
    pub(super) fn was_sent(&self) -> bool {
        match &self.brought {
            Ok(_) => true,
            Err(failed) => failed.how.was_sent(),
        }
    }

    /// One that was made beside it ended later.
    pub(super) fn followed_by(mut self, mut later: Self) -> Self {
        self.attempts.append(&mut later.attempts);
        later.attempts = self.attempts;
        later
    }

    pub(super) fn into_pursued(self) -> Pursued<P::Raw> {
        Pursued {
            brought: self.brought,
            attempts: self.attempts,
        }
    }
}

/// A call that is over: what its last attempt brought, and all of them in order.
#[derive(Debug, Clone)]
pub(crate) struct Pursued<R> {
    pub(crate) brought: Result<R, Failed>,
    pub(crate) attempts: SmallVec<[Attempt; 1]>,
}
