//! What all parts of the store share, and how what is known of a message changes.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::nats::broker::Broker;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::control::View;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::names::Names;
use crate::nats::options::Options;
use crate::nats::record::Known;
use crate::nats::work::Work;
use crate::partition::partition;
use crate::seal::Line;
use crate::seal::Seal;
use crate::store::Unavailable;

/// Between two tries of something that the brokers did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// What all parts of the store share.
pub(super) struct Shared {
    pub(super) broker: Broker,
    pub(super) names: Names,
    pub(super) options: Options,
    pub(super) seal: Seal,
    pub(super) clock: Clock,
    /// This process among the others.
    pub(super) me: String,
    pub(super) work: Work,
    pub(super) view: Mutex<View>,
    /// The partitions are to be looked through again.
    pub(super) balance: Notify,
    /// There is something to tell the others.
    pub(super) news: AtomicBool,
    /// Until when what this process owns is certainly not taken over.
    pub(super) valid_until: Mutex<Instant>,
    /// When what crashes have left is looked for again.
    pub(super) next_sweep: Mutex<Instant>,
    /// For how long deduplication values are remembered by now.
    pub(super) remembered: Mutex<Duration>,
    pub(super) closed: AtomicBool,
    /// Messages that were refused though they may have been stored.
    pub(super) taken_back: tokio::sync::mpsc::Sender<Uuid>,
}

/// What is known of a message was not changed.
#[derive(Debug)]
pub(super) enum NotChanged {
    /// Another has changed it.
    Conflict,
    /// Nobody answers; it may have been changed.
    Unavailable(Unavailable),
}

/// A record and its revision.
pub(super) type Revised = (Known, u64);

impl Shared {
    /// What is seen of the others.
    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        // Nothing panics while it is held.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether this process may work on what it owns.
    pub(super) fn is_valid(&self) -> bool {
        let until = self.valid_until.lock();
        *until.unwrap_or_else(PoisonError::into_inner) > Instant::now()
    }

    /// Whether nothing more is taken or appended.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The partition of a line.
    pub(super) fn partition_of(&self, line: Line) -> u32 {
        partition(&names::hex(line), self.options.partitions)
    }

    /// What is known of a message that waits or blocks.
    pub(super) async fn known(&self, id: Uuid) -> Result<Option<Revised>, Unavailable> {
        let subject = self.names.of_message(Bucket::State, id);
        let stream = self.names.bucket(Bucket::State);
        let Some(stored) = self.broker.last(&stream, &subject).await? else {
            return Ok(None);
        };
        let known = Known::decode(&self.seal, id, &stored.payload)
            .map_err(|error| Unavailable(format!("what is known of {id}: {error}")))?;
        Ok(Some((known, stored.sequence)))
    }

    /// Changes what is known of a message from one revision to the next, which it answers. Durable then.
    ///
    /// Where the brokers do not answer it is read whether it was done, and tried again, for a while.
    pub(super) async fn change(
        &self,
        id: Uuid,
        known: &Known,
        revision: u64,
    ) -> Result<u64, NotChanged> {
        let deadline = Instant::now() + self.options.patience;
        let stored = Bytes::from(known.encode(&self.seal, id));
        loop {
            let put = self.put_known(id, known, stored.clone(), revision).await;
            let trouble = match put {
                Ok(revision) => {
                    self.broker.tell(self.names.changed(id), Vec::new()).await;
                    return Ok(revision);
                }
                Err(NotPut::Conflict) => None,
                Err(NotPut::Full) => Some("the bucket is full".to_owned()),
                Err(NotPut::Refused(why) | NotPut::Unknown(why)) => Some(why),
            };
            match self.known(id).await {
                Ok(Some((there, revision))) if there == *known => return Ok(revision),
                Ok(there)
                    if trouble.is_none() || there.as_ref().map_or(0, |(_, at)| *at) != revision =>
                {
                    return Err(NotChanged::Conflict);
                }
                Ok(_) | Err(_) => {}
            }
            if Instant::now() >= deadline {
                let why = trouble.unwrap_or_else(|| "nobody answers".into());
                return Err(NotChanged::Unavailable(Unavailable(why)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn put_known(
        &self,
        id: Uuid,
        known: &Known,
        stored: Bytes,
        revision: u64,
    ) -> Result<u64, NotPut> {
        let mut headers = HeaderMap::new();
        headers.insert(names::ID, id.to_string());
        if known.is_final() {
            headers.insert(names::FINAL, self.now().to_string());
        }
        let subject = self.names.of_message(Bucket::State, id);
        self.broker
            .put(subject, headers, stored, Expect::Last(revision))
            .await
    }

    /// Forgets what is known of a message that is elsewhere now.
    pub(super) async fn forget(&self, revision: u64) -> Result<(), Unavailable> {
        let stream = self.names.bucket(Bucket::State);
        self.broker.delete(&stream, revision).await
    }

    /// A dead letter.
    pub(super) async fn dead(&self, id: Uuid) -> Result<Option<StreamMessage>, Unavailable> {
        let subject = self.names.dead_anywhere(id);
        self.broker.last(&self.names.dead(), &subject).await
    }

    /// What was delivered.
    pub(super) async fn done(&self, id: Uuid) -> Result<Option<StreamMessage>, Unavailable> {
        let subject = self.names.of_message(Bucket::Done, id);
        self.broker
            .last(&self.names.bucket(Bucket::Done), &subject)
            .await
    }

    /// A record and its message.
    pub(super) fn decode(&self, id: Uuid, stored: &Bytes) -> Result<(Known, Bytes), Unavailable> {
        Known::decode_with(&self.seal, id, stored)
            .map_err(|error| Unavailable(format!("what is known of {id}: {error}")))
    }

    /// Tries again what the brokers did not answer, for a while.
    pub(super) async fn insist<T, F>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<T, Unavailable>>,
    {
        let deadline = Instant::now() + self.options.patience;
        loop {
            match attempt().await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                answer => return answer,
            }
        }
    }

    /// Stores what may be stored twice without harm, and tries again for a while.
    pub(super) async fn insist_on_put(
        &self,
        subject: &str,
        headers: &HeaderMap,
        payload: &Bytes,
    ) -> Result<u64, Unavailable> {
        let attempt = || async {
            let (headers, payload) = (headers.clone(), payload.clone());
            let put = self
                .broker
                .put(subject.to_owned(), headers, payload, Expect::Anything);
            put.await
                .map_err(|error| Unavailable(format!("{subject}: {error:?}")))
        };
        self.insist(attempt).await
    }
}

/// The store's parts hold each other.
pub(super) type Hold = Arc<Shared>;
