//! How queues are worked on, as the operator and the graph say.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Attempts of one queue at once, where nothing is said.
const CONCURRENCY: usize = 16;
/// Held of one queue, whatever is asked for.
const MOST_HELD: usize = 10_000;

/// The queues that fields name. One that waits in the store and is not among them is delivered with defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(pub BTreeMap<String, QueueSettings>);

/// How one queue is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// Attempts at once.
    pub concurrency: usize,
    /// Attempts that may begin in one second; none for as many as there is room for.
    pub per_second: Option<NonZeroU32>,
    /// Messages taken from the store at once; none for four times the concurrency.
    pub prefetch: Option<usize>,
    /// The sources that its fields call: while all of them are away, nothing is taken. None are known where it is empty.
    pub sources: BTreeSet<String>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            concurrency: CONCURRENCY,
            per_second: None,
            prefetch: None,
            sources: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// Of one queue.
    pub(super) fn of(&self, queue: &str) -> QueueSettings {
        self.0.get(queue).cloned().unwrap_or_default()
    }
}

impl QueueSettings {
    /// At least one.
    pub(super) fn attempts(&self) -> usize {
        self.concurrency.clamp(1, MOST_HELD)
    }

    /// Messages in our hands: at least as many as are attempted at once.
    pub(super) fn held(&self) -> usize {
        let asked = self.prefetch.unwrap_or(4 * self.attempts());
        asked.clamp(self.attempts(), MOST_HELD)
    }
}
