//! Reading a stream from a place on, without a gap.
//!
//! Owns the pulling and the noticing that a reader was lost: readers live in the
//! memory of one server and die with it. What was read is whoever asks for it
//! to remember.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::StatusCode;
use async_nats::Subscriber;
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::nats::broker::Broker;
use crate::store::Unavailable;

/// Messages that are asked for at once.
const BATCH: usize = 1_000;
/// How long a request for messages stands.
const STANDS: Duration = Duration::from_secs(30);
/// How often the server says that it does.
const BEAT: Duration = Duration::from_secs(1);

/// Reads a stream.
pub(super) struct Pull {
    broker: Broker,
    consumer: PullConsumer,
    inbox: String,
    arriving: Subscriber,
    /// Messages that were asked for and have not come.
    outstanding: usize,
    /// Whether it waits for messages that are not there yet.
    waits: bool,
    /// The number of the next message; one is missing where another comes.
    expected: u64,
    /// Messages that were there when the reading began.
    pub(super) at_first: u64,
}

/// A message that was read.
pub(super) struct Pulled {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    pub(super) sequence: u64,
    /// Those that follow, for now.
    pub(super) pending: u64,
}

impl Pull {
    /// From a sequence on, and for as long as there is somebody who asks.
    pub(super) async fn follow(
        broker: &Broker,
        stream: &str,
        subject: &str,
        from: u64,
        headers_only: bool,
    ) -> Result<Self, Unavailable> {
        let pull = Self::open(broker, stream, subject, from, headers_only).await?;
        Ok(Self {
            waits: true,
            ..pull
        })
    }

    /// From a sequence on, up to what is there now.
    pub(super) async fn open(
        broker: &Broker,
        stream: &str,
        subject: &str,
        from: u64,
        headers_only: bool,
    ) -> Result<Self, Unavailable> {
        let consumer = broker.consumer(stream, subject, from, headers_only).await?;
        let inbox = broker.client().new_inbox();
        let arriving = broker
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(|error| Unavailable(error.to_string()))?;
        Ok(Self {
            at_first: consumer.cached_info().num_pending,
            broker: broker.clone(),
            consumer,
            inbox,
            arriving,
            outstanding: 0,
            waits: false,
            expected: 1,
        })
    }

    /// The next message: when there is one, or none where it does not wait.
    /// After an error nothing more is to be had of this reader.
    pub(super) async fn next(&mut self) -> Result<Option<Pulled>, Unavailable> {
        loop {
            if self.outstanding == 0 {
                self.ask().await?;
            }
            let silence = tokio::time::timeout(BEAT * 3, self.arriving.next()).await;
            let Ok(Some(message)) = silence else {
                return Err(Unavailable("the reader was lost".into()));
            };
            match message.status {
                None | Some(StatusCode::OK) => return self.read(message).map(Some),
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) if self.waits => {
                    self.outstanding = 0;
                }
                Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) if self.outstanding == BATCH => {
                    return Ok(None);
                }
                Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => self.outstanding = 0,
                Some(status) => {
                    let why = message.description.unwrap_or_default();
                    return Err(Unavailable(format!("the reader was ended: {status} {why}")));
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Unavailable> {
        let batch = if self.waits {
            BatchConfig {
                batch: BATCH,
                expires: Some(STANDS),
                idle_heartbeat: BEAT,
                ..BatchConfig::default()
            }
        } else {
            BatchConfig {
                batch: BATCH,
                no_wait: true,
                ..BatchConfig::default()
            }
        };
        self.outstanding = BATCH;
        self.consumer
            .request_batch(batch, self.inbox.as_str().into())
            .await
            .map_err(|error| Unavailable(error.to_string()))
    }

    fn read(&mut self, message: async_nats::Message) -> Result<Pulled, Unavailable> {
        let message = jetstream::Message {
            message,
            context: self.broker.context().clone(),
        };
        let info = message
            .info()
            .map_err(|error| Unavailable(error.to_string()))?;
        if info.consumer_sequence != self.expected {
            return Err(Unavailable("a message was missed".into()));
        }
        let (sequence, pending) = (info.stream_sequence, info.pending);
        self.expected += 1;
        self.outstanding -= 1;
        let message = message.message;
        Ok(Pulled {
            subject: message.subject.into_string(),
            headers: message.headers.unwrap_or_default(),
            payload: message.payload,
            sequence,
            pending,
        })
    }
}

/// Reads what is there now, and no more than that; one after the other, until told to stop.
pub(super) async fn scan(
    broker: &Broker,
    stream: &str,
    subject: &str,
    from: u64,
    headers_only: bool,
    mut visit: impl FnMut(Pulled) -> Visit,
) -> Result<(), Unavailable> {
    let mut pull = Pull::open(broker, stream, subject, from, headers_only).await?;
    if pull.at_first == 0 {
        return Ok(());
    }
    loop {
        let Some(pulled) = pull.next().await? else {
            return Ok(());
        };
        let last = pulled.pending == 0;
        if visit(pulled) == Visit::Enough || last {
            return Ok(());
        }
    }
}

/// Whether a scan goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// There may be more.
    More,
    /// Nothing else is wanted.
    Enough,
}
