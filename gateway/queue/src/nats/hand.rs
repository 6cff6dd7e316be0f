//! A place at the head of a line, in somebody's hands.
//!
//! Owns that none is forgotten: whoever is interrupted gives it back. Knows
//! nothing of what the message says.

use crate::lines::Head;
use crate::lines::Next;
use crate::nats::names;
use crate::nats::shared::Hold;
use crate::nats::work::Owned;
use crate::store::Unavailable;

/// Until something is tried again that the brokers did not answer, in milliseconds.
const TRY_AGAIN: u64 = 500;

/// A place at the head of a line. It goes back where it is dropped.
pub(super) struct Hand {
    pub(super) shared: Hold,
    pub(super) owned: Owned,
    pub(super) head: Head,
    full: bool,
}

impl Drop for Hand {
    fn drop(&mut self) {
        if self.full {
            let now = self.shared.now();
            self.shared.work.again(&self.owned, self.head, now, now);
        }
    }
}

impl Hand {
    /// Of what was taken from the lines, or released by its holder.
    pub(super) fn new(shared: &Hold, owned: Owned, head: Head) -> Self {
        Self {
            shared: shared.clone(),
            owned,
            head,
            full: true,
        }
    }

    /// It is somebody else's from now on.
    pub(super) fn pass_on(mut self) {
        self.full = false;
    }

    /// It is due at this time.
    pub(super) fn due(mut self, due: u64) {
        self.full = false;
        let now = self.shared.now();
        self.shared.work.again(&self.owned, self.head, due, now);
    }

    /// It is due after so many milliseconds.
    pub(super) fn later(self, after: u64) {
        let due = self.shared.now().saturating_add(after);
        self.due(due);
    }

    /// It is due when what went wrong may be over.
    pub(super) fn try_again(self) {
        self.later(TRY_AGAIN);
    }

    /// The message itself lies elsewhere.
    pub(super) fn lies(mut self, position: u64) {
        self.full = false;
        let next = Next { position, due: 0 };
        let (now, seen) = (self.shared.now(), self.head.position);
        let work = &self.shared.work;
        work.gone(&self.owned, self.head, Some(next), seen, now);
    }

    /// The message is gone; what follows it is looked for.
    pub(super) async fn gone(mut self) {
        match self.step_on().await {
            Ok(()) => self.full = false,
            Err(_) => self.try_again(),
        }
    }

    async fn step_on(&self) -> Result<(), Unavailable> {
        let work = &self.shared.work;
        loop {
            let (seen, next) = match work.behind(&self.owned, self.head) {
                None => (self.head.position, None),
                Some(seen) => {
                    // A message without a key has no subject of its own, and behind it there is
                    // nothing but a copy of it.
                    let copy = Next {
                        position: seen,
                        due: 0,
                    };
                    (seen, Some(self.next_in_line().await?.unwrap_or(copy)))
                }
            };
            if work.gone(&self.owned, self.head, next, seen, self.shared.now()) {
                return Ok(());
            }
        }
    }

    async fn next_in_line(&self) -> Result<Option<Next>, Unavailable> {
        let (shared, owned) = (&self.shared, &self.owned);
        let line = Some(self.head.line);
        let subject = shared.names.line(&owned.queue, owned.partition, line);
        let (stream, from) = (shared.names.waiting(), self.head.position + 1);
        let next = shared.broker.next(&stream, &subject, from).await?;
        Ok(next.map(|next| Next {
            position: next.sequence,
            due: names::header(&next.headers, names::NOT_BEFORE).unwrap_or(0),
        }))
    }
}
