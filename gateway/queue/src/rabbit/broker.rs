//! The way to the brokers.
//!
//! Owns the connections, how queues are declared, and what a confirmation means.
//! One connection publishes and another reads: a broker that is short of memory
//! or disk stops listening to those who publish.

use std::collections::HashSet;
use std::sync::Mutex as SyncMutex;
use std::sync::PoisonError;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::Channel;
use lapin::Confirmation;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::ExchangeKind;
use lapin::options::BasicPublishOptions;
use lapin::options::BasicQosOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::ExchangeDeclareOptions;
use lapin::options::QueueBindOptions;
use lapin::options::QueueDeclareOptions;
use lapin::tcp::OwnedIdentity;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use tokio::sync::Mutex;

use crate::rabbit::names::Names;
use crate::rabbit::options::Options;
use crate::store::Unavailable;

/// How often a message may come back to its queue before the broker gives it up.
pub(super) const DELIVERIES: i32 = 20;
/// Seconds after which a silent connection is thought dead.
const HEARTBEAT: u16 = 10;
/// How long one step of a conversation with the broker may take.
const STEP: Duration = Duration::from_secs(10);
/// Written to disk by every node that holds it.
const PERSISTENT: u8 = 2;

/// The way to the brokers.
pub(super) struct Broker {
    options: Options,
    names: Names,
    publishing: Mutex<Option<Publishing>>,
    reading: Mutex<Option<Connection>>,
    declared: SyncMutex<HashSet<String>>,
}

#[derive(Clone)]
struct Publishing {
    connection: std::sync::Arc<Connection>,
    channel: Channel,
}

/// A message was not stored, or nobody knows.
#[derive(Debug)]
pub(super) enum NotPublished {
    /// Nothing was sent.
    Away(String),
    /// It may be stored.
    Unknown(String),
    /// The broker does not take it.
    Refused(String),
}

impl From<NotPublished> for Unavailable {
    fn from(error: NotPublished) -> Self {
        let (NotPublished::Away(why) | NotPublished::Unknown(why) | NotPublished::Refused(why)) =
            error;
        Self(format!("RabbitMQ: {why}"))
    }
}

impl Broker {
    pub(super) fn new(options: Options, names: Names) -> Self {
        Self {
            options,
            names,
            publishing: Mutex::new(None),
            reading: Mutex::new(None),
            declared: SyncMutex::new(HashSet::new()),
        }
    }

    /// Stores a message; durable when it is answered.
    pub(super) async fn publish(
        &self,
        queue: &str,
        headers: FieldTable,
        payload: &[u8],
    ) -> Result<(), NotPublished> {
        let link = self.publishing().await.map_err(NotPublished::Away)?;
        let sent = async {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_headers(headers);
            let sent =
                link.channel
                    .basic_publish("".into(), queue.into(), options, payload, properties);
            sent.await?.await
        };
        match tokio::time::timeout(self.options.patience, sent).await {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(returned)))) => {
                self.declared().remove(queue);
                Err(NotPublished::Refused(format!(
                    "{queue}: {}",
                    returned.reply_text
                )))
            }
            Ok(Ok(Confirmation::Nack(_) | Confirmation::NotRequested)) => {
                Err(NotPublished::Refused(format!("{queue}: not accepted")))
            }
            Ok(Err(error)) => {
                *self.publishing.lock().await = None;
                Err(NotPublished::Unknown(error.to_string()))
            }
            Err(_) => Err(NotPublished::Unknown(format!(
                "not confirmed within {:?}",
                self.options.patience
            ))),
        }
    }

    async fn publishing(&self) -> Result<Publishing, String> {
        let mut current = self.publishing.lock().await;
        if let Some(link) = &*current
            && link.connection.status().connected()
            && link.channel.status().connected()
        {
            return Ok(link.clone());
        }
        let connection = self.connect().await?;
        let channel = within(connection.create_channel()).await?;
        within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let link = Publishing {
            connection: std::sync::Arc::new(connection),
            channel,
        };
        *current = Some(link.clone());
        Ok(link)
    }

    /// A channel that reads, and holds at most so many messages.
    pub(super) async fn reader(&self, window: u16) -> Result<Channel, Unavailable> {
        let mut current = self.reading.lock().await;
        let usable = current.as_ref().is_some_and(|it| it.status().connected());
        if !usable {
            *current = Some(self.connect().await.map_err(Unavailable)?);
        }
        let Some(connection) = &*current else {
            return Err(Unavailable("not connected".into()));
        };
        let channel = within(connection.create_channel())
            .await
            .map_err(Unavailable)?;
        drop(current);
        within(channel.basic_qos(window, BasicQosOptions::default()))
            .await
            .map_err(Unavailable)?;
        Ok(channel)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let mut troubles = Vec::new();
        for server in &self.options.servers {
            match self.connect_to(server).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) => troubles.push(trouble),
            }
        }
        Err(troubles.join("; "))
    }

    async fn connect_to(&self, server: &str) -> Result<Connection, String> {
        let mut uri: AMQPUri = server.parse().map_err(|error: String| error)?;
        let place = format!("{}:{}", uri.authority.host, uri.authority.port);
        if let Some((user, password)) = &self.options.user {
            uri.authority.userinfo.username.clone_from(user);
            uri.authority.userinfo.password.clone_from(password);
        }
        uri.query.heartbeat = Some(HEARTBEAT);
        let tls = &self.options.tls;
        let tls = OwnedTLSConfig {
            identity: tls
                .identity
                .as_ref()
                .map(|(pem, key)| OwnedIdentity::PKCS8 {
                    pem: pem.clone().into_bytes(),
                    key: key.clone().into_bytes(),
                }),
            cert_chain: tls.authorities.clone(),
        };
        let properties = ConnectionProperties::default().with_connection_name("switchboard".into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        let connecting = Connection::connect_uri_with_config(uri, properties, tls, runtime);
        let connected = tokio::time::timeout(self.options.patience, connecting).await;
        match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("cannot connect to {place}: {error}")),
            Err(_) => Err(format!("cannot connect to {place}: no answer")),
        }
    }

    fn declared(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // Nothing panics while it is held.
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue that messages arrive in, and the vault of their partition: quorum queues, where they are missing.
    pub(super) async fn declare(&self, queue: &str, partition: u32) -> Result<(), String> {
        for name in [
            self.names.main(queue, partition),
            self.names.vault(queue, partition),
        ] {
            if self.declared().contains(&name) {
                continue;
            }
            let mut arguments = quorum();
            let given_up = text(&self.names.given_up());
            arguments.insert("x-dead-letter-exchange".into(), given_up);
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERIES));
            // One of all who read it: ownership is the broker's to give, too.
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            self.declare_queue(&name, arguments).await?;
            self.declared().insert(name);
        }
        Ok(())
    }

    /// Where the brokers lay what they give up, and what says how the deployment is laid out.
    pub(super) async fn prepare(&self, mark: u64) -> Result<(), String> {
        let given_up = self.names.given_up();
        let mut kept = quorum();
        // Nobody gives up what lies there.
        kept.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::MAX));
        self.declare_queue(&given_up, kept).await?;
        let channel = self.reader(1).await.map_err(|error| error.0)?;
        let exchange = channel.exchange_declare(
            given_up.as_str().into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            FieldTable::default(),
        );
        within(exchange).await?;
        let bound = channel.queue_bind(
            given_up.as_str().into(),
            given_up.as_str().into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within(bound).await?;
        // Brokers compare how a queue is declared, and nothing else that could be written there.
        let mut layout = quorum();
        let partitions = i64::from(self.options.partitions.get());
        layout.insert("x-max-length".into(), AMQPValue::LongLongInt(partitions));
        let mark = i64::try_from(mark >> 16).unwrap_or(i64::MAX);
        layout.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(mark));
        let declared = self.declare_queue(&self.names.layout(), layout).await;
        declared.map_err(|why| {
            if why.contains("x-max-length-bytes") {
                "what is stored was sealed with another key".to_owned()
            } else if why.contains("x-max-length") {
                format!(
                    "the queues were made for another number of partitions than {partitions}: {why}"
                )
            } else {
                why
            }
        })
    }

    async fn declare_queue(&self, name: &str, arguments: FieldTable) -> Result<(), String> {
        let channel = self.reader(1).await.map_err(|error| error.0)?;
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(name.into(), options, arguments);
        match within(declared).await {
            Ok(_) => {
                let closed = channel.close(200, "".into());
                drop(within(closed).await);
                Ok(())
            }
            Err(why) if why.contains("PRECONDITION_FAILED") => Err(format!(
                "the queue {name} is there already and is not as safe as it must be: delete it when it is empty, or choose another prefix ({why})"
            )),
            Err(why) => Err(why),
        }
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A step of the conversation, in time.
pub(super) async fn within<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(STEP, step).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the broker does not answer".into()),
    }
}
