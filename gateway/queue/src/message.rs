//! What is stored of one delivery.
//!
//! Owns its serialisation: JSON with a version, since messages outlive the
//! release that wrote them. A release reads what it and its predecessors wrote,
//! and leaves alone what it does not know. How the bytes are kept from readers
//! is [`crate::seal`]'s.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use uuid::Uuid;

/// The version that this release writes.
const VERSION: u32 = 1;

/// One delivery, without address or credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// UUIDv7: what the client was told. Unguessable enough to be a key to its status.
    pub id: Uuid,
    /// The queue's name.
    pub queue: String,
    /// The field that made it: `Mutation.requestReview`.
    pub field: String,
    /// Messages of one key are delivered in order; without one there is no order to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The source that is called, by name.
    pub source: String,
    /// What is called there.
    pub call: Call,
    /// What targets deduplicate by: the same on each attempt.
    pub idempotency_key: String,
    /// The same effect asked for again is not a second message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// Who made it; none for an anonymous caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The label of the request, kept through redelivery and dead letters.
    pub correlation_id: String,
    /// The id of the request that made it.
    pub request_id: String,
    /// W3C `traceparent` of the request that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub accepted_at: u64,
    /// Not delivered before this time, in milliseconds since the Unix epoch; its key waits with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// How long it is tried, in milliseconds of its own time: that clock stands still while its queue is paused or it waits behind its key.
    pub ttl: u64,
    /// How it is tried again.
    pub retry: Retry,
    /// One that cannot be delivered holds up those behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocks: bool,
}

/// What is called at a source, without what the operator's configuration adds at each delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `POST` and so on; `gRPC`; `PUBLISH` for an event.
    pub verb: String,
    /// Path and query below the source's address; `package.Service/Method`; an event's topic.
    pub target: String,
    /// Headers or metadata that depend on the client, by lower-case name; none takes one away that the configuration would add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Option<String>)>,
    /// As it is sent.
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

/// Bytes of a request. Stored as text where they are text, so that people can read what waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    /// Nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredBody<T> {
    Text(T),
    Base64(T),
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => StoredBody::Text(text).serialize(serializer),
            Err(_) => StoredBody::Base64(&*BASE64.encode(&self.0)).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match StoredBody::<String>::deserialize(deserializer)? {
            StoredBody::Text(text) => Ok(Self(text.into_bytes())),
            StoredBody::Base64(text) => match BASE64.decode(text) {
                Ok(bytes) => Ok(Self(bytes)),
                Err(error) => Err(serde::de::Error::custom(error)),
            },
        }
    }
}

/// What makes two messages one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dedupe {
    /// A hash of queue, field, caller and the value that the schema names.
    pub key: String,
    /// A hash of what is delivered: the same key with another one is a conflict.
    pub fingerprint: String,
    /// How long it is remembered, in milliseconds from acceptance.
    pub window: u64,
}

/// How a message is tried again. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts, the first included; none for as many as its time allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Before the second attempt; doubled for each further one.
    pub backoff: u64,
    /// Never longer, unless the target asks for more.
    pub max_backoff: u64,
}

impl Default for Retry {
    /// 1 s ×2 up to 5 min, as often as its time allows.
    fn default() -> Self {
        Self {
            attempts: None,
            backoff: 1_000,
            max_backoff: 300_000,
        }
    }
}

impl Retry {
    /// Before the attempt after so many, without jitter.
    pub fn backoff_after(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(63);
        let longest = self.max_backoff.max(self.backoff);
        let backoff = u128::from(self.backoff) << doublings;
        Duration::from_millis(u64::try_from(backoff).map_or(longest, |it| it.min(longest)))
    }
}

/// Why stored bytes are no message of this release.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Damaged, or written by something else.
    #[error("not a stored message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a later release.
    #[error("a message of version {0}, and this release reads up to {VERSION}")]
    Version(u32),
    /// Written with a key that this process does not have, or damaged.
    #[error("it cannot be decrypted: {0}")]
    Sealed(&'static str),
}

#[derive(Serialize)]
struct Stored<'m> {
    v: u32,
    #[serde(flatten)]
    message: &'m Message,
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl Message {
    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            v: VERSION,
            message: self,
        };
        serde_json::to_vec(&stored).expect("keys are text, and memory can be written to")
    }

    /// From what was stored.
    ///
    /// # Errors
    /// When the bytes are damaged, or of a later release.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Versioned { v } = serde_json::from_slice(bytes)?;
        match v {
            1..=VERSION => Ok(serde_json::from_slice(bytes)?),
            later => Err(DecodeError::Version(later)),
        }
    }
}

/// For tests: what a request asked for, without a key.
#[cfg(any(test, feature = "testing"))]
pub fn message(id: u128) -> Message {
    Message {
        id: Uuid::from_u128(id),
        queue: "email".into(),
        field: "Mutation.requestReview".into(),
        key: None,
        source: "reviews".into(),
        call: Call {
            verb: "POST".into(),
            target: "/orders/7/review-requests".into(),
            headers: vec![("x-tenant".into(), Some("t1".into()))],
            body: Body(br#"{"email":"ada@example.com"}"#.to_vec()),
        },
        idempotency_key: "k1".into(),
        dedupe: None,
        caller: Some("issuer|ada".into()),
        correlation_id: "checkout-1".into(),
        request_id: "0192f3a4".into(),
        trace: None,
        accepted_at: 1_730_000_000_000,
        not_before: None,
        ttl: 86_400_000,
        retry: Retry::default(),
        blocks: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            key: Some("order-7".into()),
            ..super::message(0x0192_f3a4_b5c6_7d8e_9fa0_b1c2_d3e4_f506)
        }
    }

    /// What the first release wrote: it must be read for ever.
    const FIRST: &str = r#"{"v":1,"id":"0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506","queue":"email","field":"Mutation.requestReview","key":"order-7","source":"reviews","call":{"verb":"POST","target":"/orders/7/review-requests","headers":[["x-tenant","t1"]],"body":{"text":"{\"email\":\"ada@example.com\"}"}},"idempotency_key":"k1","caller":"issuer|ada","correlation_id":"checkout-1","request_id":"0192f3a4","accepted_at":1730000000000,"ttl":86400000,"retry":{"backoff":1000,"max_backoff":300000}}"#;

    #[test]
    fn the_stored_form_does_not_change() {
        assert_eq!(String::from_utf8(message().encode()).unwrap(), FIRST);
        assert_eq!(Message::decode(FIRST.as_bytes()).unwrap(), message());
    }

    #[test]
    fn what_is_absent_is_not_stored_and_bytes_that_are_no_text_survive() {
        let sparse = Message {
            key: None,
            caller: None,
            call: Call {
                verb: "gRPC".into(),
                target: "mail.v1.Mail/Send".into(),
                headers: Vec::new(),
                body: Body(vec![0xff, 0, 1]),
            },
            ..message()
        };
        let stored = sparse.encode();
        let text = String::from_utf8_lossy(&stored);
        assert!(
            !text.contains("\"key\"") && !text.contains("null"),
            "{text}"
        );
        assert_eq!(Message::decode(&stored).unwrap(), sparse);
    }

    #[test]
    fn a_later_version_is_left_alone_and_damage_is_told_apart() {
        let later = FIRST.replace("\"v\":1", "\"v\":2");
        let error = Message::decode(later.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a message of version 2, and this release reads up to 1"
        );
        let error = Message::decode(&FIRST.as_bytes()[..40]).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed(_)));
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_never_overflows() {
        let retry = Retry::default();
        let seconds = |attempts| retry.backoff_after(attempts).as_secs();
        assert_eq!([1, 2, 3, 9, 10].map(seconds), [1, 2, 4, 256, 300]);
        assert_eq!(seconds(u32::MAX), 300);
    }
}
