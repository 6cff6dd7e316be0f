//! The brokers and the Redis of a store, seen and changed from outside.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use queue::rabbit::Options;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use uuid::Uuid;

/// So long nothing comes where nothing is left.
const SILENCE: Duration = Duration::from_millis(300);

/// Both, for one prefix.
pub(super) struct Raw {
    connection: Connection,
    channel: Channel,
    redis: MultiplexedConnection,
    prefix: String,
}

/// What lies in a queue.
pub(super) struct Lying {
    pub(super) properties: BasicProperties,
    pub(super) data: Vec<u8>,
}

impl Raw {
    pub(super) async fn connect(options: &Options) -> Self {
        let connecting =
            Connection::connect(&options.servers[0], ConnectionProperties::default()).await;
        let connection = connecting.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let confirmed = ConfirmSelectOptions::default();
        channel.confirm_select(confirmed).await.unwrap();
        let client = redis::Client::open(options.redis.as_str()).unwrap();
        Self {
            connection,
            channel,
            redis: client.get_multiplexed_async_connection().await.unwrap(),
            prefix: options.prefix.clone(),
        }
    }

    /// `q` or `v`, a queue and a partition, as the broker calls it.
    pub(super) fn name(&self, kind: &str, queue: &str, partition: u32) -> String {
        format!("{}.{kind}.{queue}.{partition}", self.prefix)
    }

    /// A queue of this name that is not what it should be.
    pub(super) async fn declare(&self, name: &str, arguments: &[(&str, &str)]) {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.connection.create_channel().await.unwrap();
        channel
            .queue_declare(name.into(), options, table)
            .await
            .unwrap();
    }

    /// How many are ready in both partitions.
    pub(super) async fn ready(&self, kind: &str, queue: &str) -> u32 {
        let mut count = 0;
        for partition in 0..2 {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let name = self.name(kind, queue, partition);
            let told =
                self.channel
                    .queue_declare(name.as_str().into(), options, FieldTable::default());
            count += told.await.unwrap().message_count();
        }
        count
    }

    /// Everything that lies in both partitions, taken away; nobody else may read them.
    pub(super) async fn drain(&self, kind: &str, queue: &str) -> Vec<(u32, Lying)> {
        let mut all = Vec::new();
        for partition in 0..2 {
            let name = self.name(kind, queue, partition);
            let channel = self.connection.create_channel().await.unwrap();
            let consumer = channel.basic_consume(
                name.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            // Where there is none, nothing has ever needed it.
            let Ok(mut consumer) = consumer.await else {
                continue;
            };
            while let Ok(Some(delivered)) = timeout(SILENCE, consumer.next()).await {
                let delivered = delivered.unwrap();
                let acked = delivered.acker.ack(BasicAckOptions::default());
                acked.await.unwrap();
                let lying = Lying {
                    properties: delivered.properties,
                    data: delivered.data,
                };
                all.push((partition, lying));
            }
            channel.close(200, "".into()).await.unwrap();
        }
        all
    }

    /// The one dead letter of a vault, as it is published when it is put back.
    pub(super) async fn put_back(&self, queue: &str) -> (u32, Lying) {
        let (partition, dead) = self.drain("v", queue).await.remove(0);
        self.put("v", queue, partition, &dead).await;
        let (length, _) = dead.data.split_first_chunk().unwrap();
        let stamp = 4 + u32::from_be_bytes(*length) as usize;
        let mut headers = FieldTable::default();
        for (name, value) in dead.properties.headers().as_ref().unwrap().inner() {
            if name.as_str() != "switchboard-copy" {
                headers.insert(name.clone(), value.clone());
            }
        }
        headers.insert(
            "switchboard-version".into(),
            AMQPValue::LongString("2".into()),
        );
        let lying = Lying {
            properties: dead.properties.with_headers(headers),
            data: dead.data[stamp..].to_vec(),
        };
        (partition, lying)
    }

    pub(super) async fn put(&self, kind: &str, queue: &str, partition: u32, lying: &Lying) {
        let name = self.name(kind, queue, partition);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let sent = self.channel.basic_publish(
            "".into(),
            name.as_str().into(),
            options,
            &lying.data,
            lying.properties.clone(),
        );
        let confirmed = sent.await.unwrap().await.unwrap();
        assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    }

    async fn redis(&self, words: &[&str]) -> Value {
        let mut asked = redis::cmd(words[0]);
        for word in &words[1..] {
            asked.arg(word);
        }
        asked.query_async(&mut self.redis.clone()).await.unwrap()
    }

    fn key(&self, what: &str) -> String {
        format!("{{{}}}:{what}", self.prefix)
    }

    fn message(&self, id: Uuid) -> String {
        self.key(&format!("m:{}", id.simple()))
    }

    /// A field of what Redis knows of a message.
    pub(super) async fn field(&self, id: Uuid, name: &str) -> String {
        let told = self.redis(&["HGET", &self.message(id), name]).await;
        redis::from_redis_value(told).unwrap()
    }

    pub(super) async fn set_field(&self, id: Uuid, name: &str, value: &str) {
        self.redis(&["HSET", &self.message(id), name, value]).await;
    }

    /// As if its publisher had not come to say that it is stored: its line waits for it.
    pub(super) async fn begin_only(&self, id: Uuid) {
        let now = crate::queue::suite::messages::now();
        let (line, partition) = (self.field(id, "l").await, self.field(id, "p").await);
        let until = (now + 10_000).to_string();
        let ready = self.key(&format!("ready:{partition}:a"));
        let later = self.key(&format!("later:{partition}:a"));
        self.set_field(id, "ph", "P").await;
        self.set_field(id, "until", &until).await;
        self.redis(&["ZREM", &ready, &line]).await;
        self.redis(&["ZADD", &later, &until, &line]).await;
        let pending = self.key("pending");
        let (now, name) = (now.to_string(), id.simple().to_string());
        self.redis(&["ZADD", &pending, &now, &name]).await;
        let dedupe = self.field(id, "dk").await;
        if !dedupe.is_empty() {
            let dedupe = self.key(&format!("dedupe:{dedupe}"));
            self.redis(&["HSET", &dedupe, "confirmed", "0"]).await;
        }
    }

    /// As if its client had been told that it was not accepted.
    pub(super) async fn refuse(&self, id: Uuid) {
        self.set_field(id, "ph", "R").await;
        let line = self.field(id, "l").await;
        let key = self.key(&format!("line:{line}"));
        self.redis(&["ZREM", &key, &id.simple().to_string()]).await;
    }

    /// Redis forgets everything, and goes on.
    pub(super) async fn forget_all(&self) {
        self.redis(&["FLUSHALL"]).await;
    }
}
