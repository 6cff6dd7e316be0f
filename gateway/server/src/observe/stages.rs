//! When the stages of a request ended, where somebody wants to know.
//!
//! Owns their names and their order: each begins where the one before ended.
//! Nothing is written down, and no clock is read, for a request that nobody
//! looks at.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// A part of what is done for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Who asks.
    Authenticate,
    /// The body, and what it says.
    Read,
    /// The rate limits of requests.
    Charge,
    /// Parsing, validating and planning, or finding that this was done.
    Plan,
    /// Variables, cost and rights.
    Admit,
    /// The steps of the plan, until all have answered.
    Execute,
    /// Writing the response.
    Write,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Authenticate => "authenticate",
            Stage::Read => "read",
            Stage::Charge => "charge",
            Stage::Plan => "plan",
            Stage::Admit => "admit",
            Stage::Execute => "execute",
            Stage::Write => "write",
        }
    }
}

/// A stage that has ended, and when, since the request arrived.
pub(crate) type Ended = (Stage, Duration);

/// The stages of one request. A clone writes down the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages(Option<Arc<Times>>);

#[derive(Debug)]
struct Times {
    received: Instant,
    ended: Mutex<Vec<Ended>>,
}

impl Stages {
    /// Of a request that arrived then, where they are wanted.
    pub(crate) fn begin(wanted: bool, received: Instant) -> Self {
        Self::of(wanted.then_some(received), Vec::new())
    }

    /// The same so far, for one of several operations of the request.
    pub(crate) fn fork(&self) -> Self {
        let received = self.0.as_ref().map(|times| times.received);
        Self::of(received, self.ended_so_far())
    }

    fn of(received: Option<Instant>, ended: Vec<Ended>) -> Self {
        let times = |received| {
            let ended = Mutex::new(ended);
            Arc::new(Times { received, ended })
        };
        Self(received.map(times))
    }

    /// This one has ended now.
    pub(crate) fn ended(&self, stage: Stage) {
        if let Some(times) = &self.0 {
            let ended = (stage, times.received.elapsed());
            // Nothing that could panic runs under the lock.
            let mut all = times.ended.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(ended);
        }
    }

    /// In the order in which they ended.
    pub(crate) fn ended_so_far(&self) -> Vec<Ended> {
        let ended = self.0.as_ref().map(|times| {
            let all = times.ended.lock().unwrap_or_else(PoisonError::into_inner);
            all.clone()
        });
        ended.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn each_operation_of_a_request_has_its_own_stages_after_those_in_common() {
        let request = Stages::begin(true, Instant::now());
        tokio::time::advance(MS).await;
        request.ended(Stage::Authenticate);
        let (one, other) = (request.fork(), request.fork());
        tokio::time::advance(MS).await;
        one.clone().ended(Stage::Plan);
        let authenticated = (Stage::Authenticate, MS);
        assert_eq!(one.ended_so_far(), [authenticated, (Stage::Plan, 2 * MS)]);
        assert_eq!(other.ended_so_far(), [authenticated]);
    }

    #[test]
    fn nothing_is_written_down_where_nobody_looks() {
        let request = Stages::default();
        request.ended(Stage::Authenticate);
        assert_eq!(request.fork().ended_so_far(), []);
    }
}
