//! The connection, and the few things that the store asks of its brokers.
//!
//! Owns timeouts and the words for what went wrong. Every answer is the stream
//! leader's: followers may be behind. Knows nothing of messages or their state.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectOptions;
use async_nats::Event;
use async_nats::HeaderMap;
use async_nats::connection::State;
use async_nats::jetstream;
use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::stream::RawMessageBuilder;
use async_nats::jetstream::stream::WithHeaders;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::nats::options::Credentials;
use crate::nats::options::Options;
use crate::store::Unavailable;

/// How long the brokers may take for one answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Publications that wait for their acknowledgement at once.
const IN_FLIGHT: usize = 4_096;

/// The brokers, as one.
#[derive(Clone)]
pub(super) struct Broker {
    client: Client,
    context: Context,
    /// How often it was connected.
    connections: watch::Receiver<u64>,
}

/// What must be true of a subject for a message to be stored there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    /// Nothing.
    Anything,
    /// Its last message has this sequence; 0 where there must be none.
    Last(u64),
}

/// A message was not stored.
#[derive(Debug)]
pub(super) enum NotPut {
    /// Another was first.
    Conflict,
    /// As much is stored as may.
    Full,
    /// Refused for good.
    Refused(String),
    /// Nobody knows whether it was.
    Unknown(String),
}

impl Broker {
    /// Connects, and stays connected.
    pub(super) async fn connect(options: &Options) -> Result<Self, String> {
        let (told, connections) = watch::channel(0);
        let client = connect_options(options, told)?
            .connect(&options.servers)
            .await
            .map_err(|error| {
                format!("cannot connect to {}: {error}", options.servers.join(", "))
            })?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .max_ack_inflight(IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            connections,
        })
    }

    /// Whether there is a connection now.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Changes whenever there is a connection again.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// What the library offers beyond.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// What is not stored.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The message of a sequence.
    pub(super) async fn get(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, Unavailable> {
        found(self.raw(stream).await?.sequence(sequence)).await
    }

    /// The last message of a subject.
    pub(super) async fn last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<StreamMessage>, Unavailable> {
        found(self.raw(stream).await?.last_by_subject(subject)).await
    }

    /// The first message of a subject from a sequence on.
    pub(super) async fn next(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, Unavailable> {
        let request = self.raw(stream).await?.sequence(from.max(1));
        found(request.next_by_subject(subject)).await
    }

    /// Stores a message; the sequence that it got.
    pub(super) async fn put(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        expect: Expect,
    ) -> Result<u64, NotPut> {
        if !self.is_connected() {
            // It would be sent whenever there is a connection again, whatever was answered meanwhile.
            return Err(NotPut::Unknown("not connected".into()));
        }
        let mut message = PublishMessage::build().headers(headers).payload(payload);
        if let Expect::Last(sequence) = expect {
            message = message.expected_last_subject_sequence(sequence);
        }
        let sent = self.context.send_publish(subject, message).await;
        let stored = match sent {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(acknowledged) => Ok(acknowledged.sequence),
            Err(error) => Err(not_put(&error)),
        }
    }

    /// Deletes the message of a sequence, where there is one. Its bytes are overwritten: a server
    /// that only remembers what was deleted may have forgotten that when it is killed.
    pub(super) async fn delete(&self, stream: &str, sequence: u64) -> Result<(), Unavailable> {
        #[derive(Deserialize)]
        struct Deleted {}
        let subject = format!("STREAM.MSG.DELETE.{stream}");
        let request = json!({ "seq": sequence });
        match self.context.request(subject, &request).await {
            Ok(Response::Ok(Deleted {})) => Ok(()),
            // There is no code of its own for a sequence that is not there.
            Ok(Response::Err { error }) if error.to_string().contains("not found") => Ok(()),
            Ok(Response::Err { error }) => Err(Unavailable(error.to_string())),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    /// How many messages there are under a subject.
    pub(super) async fn count(&self, stream: &str, subject: &str) -> Result<u64, Unavailable> {
        let consumer = self.consumer(stream, subject, 1, true).await?;
        let info = consumer.cached_info();
        let count = info.num_pending;
        // It would go of itself, later.
        let _ = self
            .context
            .delete_consumer_from_stream(&info.name, stream)
            .await;
        Ok(count)
    }

    /// Somebody who reads a subject from a sequence on, and acknowledges nothing.
    pub(super) async fn consumer(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
        headers_only: bool,
    ) -> Result<PullConsumer, Unavailable> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: from.max(1),
            },
            ack_policy: AckPolicy::None,
            filter_subject: subject.into(),
            headers_only,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        self.context
            .create_consumer_on_stream(config, stream)
            .await
            .map_err(|error| Unavailable(error.to_string()))
    }

    /// Tells those who listen; nothing is stored.
    pub(super) async fn tell(&self, subject: String, payload: Vec<u8>) {
        if self.is_connected() {
            // Whoever misses it looks again after a while.
            let _ = self.client.publish(subject, payload.into()).await;
        }
    }

    async fn raw(&self, stream: &str) -> Result<RawMessageBuilder<WithHeaders>, Unavailable> {
        if !self.is_connected() {
            return Err(Unavailable("not connected".into()));
        }
        let stream = self.context.get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| Unavailable(error.to_string()))?;
        Ok(stream.raw_message_builder())
    }
}

async fn found(
    request: RawMessageBuilder<WithHeaders>,
) -> Result<Option<StreamMessage>, Unavailable> {
    match request.send().await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Unavailable(error.to_string())),
    }
}

fn not_put(error: &jetstream::context::PublishError) -> NotPut {
    let kind = error.kind();
    if kind == PublishErrorKind::WrongLastSequence {
        return NotPut::Conflict;
    }
    if kind == PublishErrorKind::MaxPayloadExceeded {
        return NotPut::Refused(error.to_string());
    }
    let answered = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<jetstream::Error>());
    match answered {
        Some(answer) if answer.error_code() == ErrorCode::STREAM_STORE_FAILED => {
            let said = answer.to_string();
            if said.contains("maximum messages") || said.contains("maximum bytes") {
                NotPut::Full
            } else {
                NotPut::Refused(said)
            }
        }
        Some(answer) if answer.code() < 500 => NotPut::Refused(answer.to_string()),
        Some(answer) => NotPut::Unknown(answer.to_string()),
        None => NotPut::Unknown(error.to_string()),
    }
}

fn connect_options(options: &Options, told: watch::Sender<u64>) -> Result<ConnectOptions, String> {
    let told = Arc::new(told);
    let mut connect = ConnectOptions::new()
        .name("switchboard queue")
        .request_timeout(Some(ANSWER))
        .connection_timeout(ANSWER)
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempts| {
            // Quick at first, and then once in a second.
            Duration::from_millis(50 << attempts.min(5)).min(Duration::from_secs(1))
        })
        .event_callback(move |event| {
            seen(&event, &told);
            std::future::ready(())
        });
    connect = match options.credentials.clone() {
        Credentials::None => connect,
        Credentials::Password { user, password } => connect.user_and_password(user, password),
        Credentials::Token(token) => connect.token(token),
        Credentials::Nkey(seed) => connect.nkey(seed),
        Credentials::Credentials(text) => connect
            .credentials(&text)
            .map_err(|error| format!("the credentials cannot be read: {error}"))?,
    };
    if options.tls.required {
        connect = connect.require_tls(true);
    }
    if let Some(authorities) = &options.tls.authorities {
        connect = connect.add_root_certificates(authorities.clone());
    }
    if let Some((certificate, key)) = &options.tls.identity {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

fn seen(event: &Event, told: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            told.send_modify(|connections| *connections += 1);
            let reconnects = *told.borrow() - 1;
            if reconnects > 0 {
                tracing::warn!(reconnects, "connected to the queue's brokers again");
            }
        }
        Event::Disconnected => tracing::warn!("the queue's brokers cannot be reached"),
        Event::SlowConsumer(_) => tracing::warn!("the queue reads slower than its brokers send"),
        other => tracing::info!(event = %other, "of the queue's brokers"),
    }
}
