//! What operators ask of the queue of a process.
//!
//! Owns what concerns store and deliveries together, or many dead letters at
//! once. For everything else the store suffices.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::deliver::Deliveries;
use crate::deliver::Told;
use crate::store::DeadLetter;
use crate::store::Depth;
use crate::store::NotRetried;
use crate::store::Status;
use crate::store::Store;
use crate::store::Unavailable;

/// Dead letters that are read at once.
const PAGE: usize = 500;

/// The queue of one process: where messages wait, and who delivers them.
#[derive(Clone)]
pub struct Queue {
    /// Where messages wait.
    pub store: Arc<dyn Store>,
    /// Who delivers them.
    pub deliveries: Deliveries,
}

/// How one queue stands.
#[derive(Clone)]
pub struct Standing {
    /// In the store.
    pub depth: Depth,
    /// Here, where it is worked on.
    pub told: Option<Told>,
}

/// What became of many dead letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// They wait again.
    pub retried: u64,
    /// Their keys have moved on since.
    pub moved_on: u64,
    /// What was stored of them cannot be read.
    pub damaged: u64,
}

/// Which dead letters: those that fit all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this queue.
    pub queue: Option<String>,
    /// That stand so.
    pub status: Option<Status>,
    /// That died before this time, in milliseconds since the Unix epoch.
    pub before: Option<u64>,
}

impl Which {
    fn fits(&self, letter: &DeadLetter) -> bool {
        self.status
            .is_none_or(|status| letter.delivery.status == status)
            && self.before.is_none_or(|before| letter.died_at < before)
    }
}

impl Queue {
    /// How all queues stand, by name: those that hold something, and those that are worked on here.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn standings(&self) -> Result<Vec<Standing>, Unavailable> {
        let depths = self.store.depths().await?.into_iter();
        let depths = depths.map(|depth| (depth.queue.clone(), (Some(depth), None)));
        let mut all: BTreeMap<String, (Option<Depth>, Option<Told>)> = depths.collect();
        for told in self.deliveries.told() {
            let queue = told.queue.clone();
            all.entry(queue).or_default().1 = Some(told);
        }
        let all = all.into_iter();
        let standing = all.map(|(queue, (depth, told))| Standing {
            depth: depth.unwrap_or_else(|| empty(queue)),
            told,
        });
        Ok(standing.collect())
    }

    /// Whether there is a queue of this name.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn knows(&self, queue: &str) -> Result<bool, Unavailable> {
        let standings = self.standings().await?;
        Ok(standings.iter().any(|it| it.depth.queue == queue))
    }

    /// Puts all dead letters of a queue back, in the order of their death, but for those whose key has moved on.
    ///
    /// # Errors
    /// When the store cannot answer; some were put back then.
    pub async fn retry_all(&self, queue: &str) -> Result<Retried, Unavailable> {
        let mut came = Retried::default();
        let which = Which {
            queue: Some(queue.to_owned()),
            ..Which::default()
        };
        for id in self.dead(&which).await? {
            match self.store.retry(id, false).await {
                Ok(()) => came.retried += 1,
                // Somebody else was quicker.
                Err(NotRetried::Unknown) => {}
                Err(NotRetried::MovedOn) => came.moved_on += 1,
                Err(NotRetried::Damaged) => came.damaged += 1,
                Err(NotRetried::Unavailable(error)) => return Err(error),
            }
        }
        Ok(came)
    }

    /// Deletes dead letters; how many. Those that blocked their lines let them go.
    ///
    /// # Errors
    /// When the store cannot answer; some were deleted then.
    pub async fn purge_all(&self, which: &Which) -> Result<u64, Unavailable> {
        let mut purged = 0;
        for id in self.dead(which).await? {
            purged += u64::from(self.store.purge(id).await?);
        }
        Ok(purged)
    }

    async fn dead(&self, which: &Which) -> Result<Vec<Uuid>, Unavailable> {
        let mut ids: Vec<Uuid> = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.dead_letters(which.queue.as_deref(), after, PAGE);
            let page = page.await?;
            after = page.last().map(|letter| letter.delivery.id);
            let fitting = page.iter().filter(|letter| which.fits(letter));
            ids.extend(fitting.map(|letter| letter.delivery.id));
            if page.len() < PAGE {
                return Ok(ids);
            }
        }
    }
}

fn empty(queue: String) -> Depth {
    Depth {
        queue,
        waiting: 0,
        bytes: 0,
        oldest: None,
        dead: 0,
        paused: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::deliver::Attempt;
    use crate::deliver::Handler;
    use crate::deliver::Outcome;
    use crate::deliver::QueueSettings;
    use crate::deliver::Settings;
    use crate::message::Message;
    use crate::message::message;
    use crate::plain::PlainStore;
    use crate::store::BoxFuture;
    use crate::store::Failure;
    use crate::store::Limits;
    use crate::store::Status;

    /// Refuses everything.
    struct Refuses;

    impl Handler for Refuses {
        fn deliver<'a>(&'a self, _: Attempt<'a>) -> BoxFuture<'a, Outcome> {
            let failure = Failure {
                code: "BAD_USER_INPUT".into(),
                message: "m".into(),
                status: "422".into(),
                internal: None,
                at: 1,
            };
            Box::pin(std::future::ready(Outcome::Refused(failure)))
        }
    }

    fn queue() -> Queue {
        let clock = Clock::default();
        let store = Arc::new(PlainStore::new(clock, Limits::default()));
        let named = ["email", "sms"].map(|it| (it.to_owned(), QueueSettings::default()));
        let settings = Settings(named.into());
        let deliveries = Deliveries::start(store.clone(), Arc::new(Refuses), settings, clock);
        Queue { store, deliveries }
    }

    fn of(id: u128, key: &str) -> Message {
        Message {
            key: Some(key.into()),
            ..message(id)
        }
    }

    async fn dies(queue: &Queue, message: Message) {
        let id = message.id;
        queue.store.append(vec![message]).await.remove(0).unwrap();
        let mut known = queue.store.find(id).await.unwrap().unwrap();
        while known.status != Status::DeadLettered {
            known = queue
                .store
                .changed(id, known.version)
                .await
                .unwrap()
                .unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_may_come_back_does_and_several_of_a_key_in_their_order() {
        let queue = queue();
        for id in 1..=600 {
            dies(&queue, message(id)).await;
        }
        dies(&queue, of(601, "a")).await;
        dies(&queue, of(602, "a")).await;
        queue.deliveries.pause("email", "to look").await.unwrap();
        let came = queue.retry_all("email").await.unwrap();
        assert_eq!((came.retried, came.moved_on), (602, 0));
        assert_eq!(queue.store.depths().await.unwrap()[0].waiting, 602);
        assert_eq!(queue.retry_all("sms").await, Ok(Retried::default()));
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_deleted_by_queue_status_and_age() {
        let queue = queue();
        for id in 1..=3 {
            dies(&queue, message(id)).await;
        }
        let died = |letters: &[DeadLetter]| letters.iter().map(|it| it.died_at).max();
        let letters = queue.store.dead_letters(None, None, 10).await.unwrap();
        let last = died(&letters).unwrap();
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        dies(&queue, message(4)).await;
        let none = Which {
            status: Some(Status::Expired),
            ..Which::default()
        };
        assert_eq!(queue.purge_all(&none).await, Ok(0));
        let others = Which {
            queue: Some("sms".into()),
            ..Which::default()
        };
        assert_eq!(queue.purge_all(&others).await, Ok(0));
        let old = Which {
            queue: Some("email".into()),
            status: Some(Status::DeadLettered),
            before: Some(last + 1),
        };
        assert_eq!(queue.purge_all(&old).await, Ok(3));
        assert_eq!(queue.purge_all(&Which::default()).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn queues_stand_in_the_store_and_here_together() {
        let queue = queue();
        dies(&queue, message(1)).await;
        let standings = queue.standings().await.unwrap();
        let names: Vec<_> = standings.iter().map(|it| &*it.depth.queue).collect();
        assert_eq!(names, ["email", "sms"]);
        assert_eq!(standings[0].depth.dead, 1);
        let told = standings[0].told.as_ref().unwrap();
        assert_eq!(told.numbers.dead(), [1, 0, 0, 0, 0]);
        assert_eq!(queue.knows("emial").await, Ok(false));
    }
}
