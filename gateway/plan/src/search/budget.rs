//! The planner's budget: steps of work, since planning has no clock.

/// Counts down; when it is used up, searches take the best found so far.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

/// What finishing a plan may cost once the search is over: collecting fields and building shapes, without choices.
const GRACE: usize = 4;

impl Budget {
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            left: steps.saturating_mul(GRACE + 1),
        }
    }

    pub(crate) fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
    }

    /// Nothing is left even for finishing: the operation is refused.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// Whether searching for something better is still allowed.
    pub(crate) fn allows_search(&self, total: usize) -> bool {
        self.left > total.saturating_mul(GRACE)
    }
}
