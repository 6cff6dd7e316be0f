//! Looking at, and meddling with, what the store has on the brokers, behind its back.

use async_nats::jetstream;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use queue::nats::Options;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::queue::brokers::until;

/// The brokers, without the store.
pub(super) struct Raw {
    context: Context,
    prefix: String,
}

impl Raw {
    pub(super) async fn connect(options: &Options) -> Self {
        let client = async_nats::connect(&options.servers).await;
        Self {
            context: jetstream::new(client.expect("it is connected")),
            prefix: options.prefix.clone(),
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The name of a stream: `queue`, `dead`, or that of a bucket.
    pub(super) fn stream(&self, name: &str) -> String {
        match name {
            "queue" | "dead" => format!("{}_{name}", self.prefix),
            bucket => format!("KV_{}_{bucket}", self.prefix),
        }
    }

    /// How many messages a stream holds.
    pub(super) async fn count(&self, name: &str) -> u64 {
        let stream = self.context.get_stream(self.stream(name)).await.unwrap();
        stream.get_info().await.unwrap().state.messages
    }

    /// All messages of a stream.
    pub(super) async fn all(&self, name: &str) -> Vec<StreamMessage> {
        let stream = self.context.get_stream(self.stream(name)).await.unwrap();
        let state = stream.get_info().await.unwrap().state;
        let mut all = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            all.extend(stream.get_raw_message(sequence).await.ok());
        }
        all
    }

    /// Stores a message as it was once.
    pub(super) async fn put_again(&self, message: &StreamMessage) -> u64 {
        let mut headers = message.headers.clone();
        headers.insert("Nats-Msg-Id", Uuid::new_v4().to_string());
        let put = self.context.publish_with_headers(
            message.subject.clone(),
            headers,
            message.payload.clone(),
        );
        put.await.unwrap().await.unwrap().sequence
    }

    /// Stores as many messages like this one, each with an id of its own.
    pub(super) async fn put_copies(&self, message: &StreamMessage, count: usize) {
        let client = self.context.client();
        let before = self.count("queue").await;
        for _ in 0..count {
            let mut headers = message.headers.clone();
            headers.insert("Nats-Msg-Id", "");
            headers.insert("Switchboard-Id", Uuid::now_v7().to_string());
            let (subject, payload) = (message.subject.clone(), message.payload.clone());
            let put = client.publish_with_headers(subject, headers, payload);
            put.await.unwrap();
        }
        let all = before + count as u64;
        until("all are stored", || async {
            self.count("queue").await == all
        })
        .await;
    }

    /// Stores bytes under a subject.
    pub(super) async fn put(&self, subject: String, payload: Vec<u8>) {
        let put = self.context.publish(subject, payload.into());
        put.await.unwrap().await.unwrap();
    }

    pub(super) async fn delete(&self, name: &str, sequence: u64) {
        let stream = self.context.get_stream(self.stream(name)).await.unwrap();
        assert!(stream.delete_message(sequence).await.unwrap());
    }

    /// What is known of a message, where nothing is sealed: after one byte that says so.
    pub(super) async fn known(&self, id: Uuid) -> Json {
        let stream = self.context.get_stream(self.stream("state")).await.unwrap();
        let subject = self.state_of(id);
        let stored = stream.get_last_raw_message_by_subject(&subject);
        serde_json::from_slice(&stored.await.unwrap().payload[1..]).unwrap()
    }

    pub(super) async fn set_known(&self, id: Uuid, known: &Json) {
        let json = serde_json::to_vec(known).unwrap();
        let stored = [&[0], &json[..]].concat();
        self.put(self.state_of(id), stored).await;
    }

    fn state_of(&self, id: Uuid) -> String {
        format!("$KV.{}_state.{}", self.prefix, id.simple())
    }
}
