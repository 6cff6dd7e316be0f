//! What is stored of one delivery.
//!
//! Owns its serialisation: JSON with a version, since messages outlive the
//! release that wrote them. A release reads what it and its predecessors wrote,
//! and leaves alone what it does not know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

/// The version that this release writes.
const VERSION: u32 = 1;

/// One delivery, without address or credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// UUIDv7: what the client was told, and what targets deduplicate by.
    pub id: Uuid,
    /// The queue's name.
    pub queue: String,
    /// Messages of one key are delivered in order; without one there is no order to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The source that is called, by name.
    pub source: String,
    /// What is called there.
    pub call: Call,
    /// The request's body, as JSON; gRPC makes its message of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
    /// Values taken from the client that a header or a target needs at delivery.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, Json>,
    /// The label of the request, kept through redelivery and dead letters.
    pub correlation_id: String,
    /// Milliseconds since the Unix epoch.
    pub accepted_at: u64,
}

/// What is called at a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A REST operation.
    Rest {
        /// `POST` and so on.
        method: String,
        /// Path and query below the source's address, rendered.
        path: String,
    },
    /// A gRPC method.
    Grpc {
        /// `package.Service/Method`
        method: String,
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: Uuid::from_u128(0x0192_f3a4_b5c6_7d8e_9fa0_b1c2_d3e4_f506),
            queue: "email".into(),
            key: Some("order-7".into()),
            source: "reviews".into(),
            call: Call::Rest {
                method: "POST".into(),
                path: "/orders/7/review-requests".into(),
            },
            body: Some(serde_json::json!({ "email": "ada@example.com" })),
            captured: BTreeMap::from([("tenant".into(), "t1".into())]),
            correlation_id: "checkout-1".into(),
            accepted_at: 1_730_000_000_000,
        }
    }

    /// What the first release wrote: it must be read for ever.
    const FIRST: &str = r#"{"v":1,"id":"0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506","queue":"email","key":"order-7","source":"reviews","call":{"rest":{"method":"POST","path":"/orders/7/review-requests"}},"body":{"email":"ada@example.com"},"captured":{"tenant":"t1"},"correlation_id":"checkout-1","accepted_at":1730000000000}"#;

    #[test]
    fn the_stored_form_does_not_change() {
        assert_eq!(String::from_utf8(message().encode()).unwrap(), FIRST);
        assert_eq!(Message::decode(FIRST.as_bytes()).unwrap(), message());
    }

    #[test]
    fn what_is_absent_is_not_stored() {
        let sparse = Message {
            key: None,
            body: None,
            captured: BTreeMap::new(),
            call: Call::Grpc {
                method: "mail.v1.Mail/Send".into(),
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
}
