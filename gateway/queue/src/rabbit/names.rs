//! How queues, headers and keys are called. Messages outlive releases, and so do these names.

use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use uuid::Uuid;

use crate::seal::Line;

/// The id of a message.
pub(super) const ID: &str = "switchboard-id";
/// Its queue.
pub(super) const QUEUE: &str = "switchboard-queue";
/// Its partition.
pub(super) const PARTITION: &str = "switchboard-partition";
/// Its line: that of its key, or its own.
pub(super) const LINE: &str = "switchboard-line";
/// Its place in the line.
pub(super) const POSITION: &str = "switchboard-position";
/// Grows when it is put back as a dead letter.
pub(super) const VERSION: &str = "switchboard-version";
/// Of a copy in the vault: its number.
pub(super) const COPY: &str = "switchboard-copy";
/// Of what is no message: up to here everything was read.
pub(super) const MARKER: &str = "switchboard-marker";
/// When it was accepted, in milliseconds since the Unix epoch.
pub(super) const ACCEPTED: &str = "switchboard-accepted-at";
/// What labels of the request are called.
pub(super) const CORRELATION: &str = "x-correlation-id";
/// What the request itself is called.
pub(super) const REQUEST: &str = "x-request-id";
/// Its trace.
pub(super) const TRACE: &str = "traceparent";

/// Where a message lies that no owner has parked.
pub(super) const MAIN: &str = "main";

/// The names of one deployment.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// # Errors
    /// When the prefix cannot be part of a name.
    pub(super) fn new(prefix: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(fits) {
            return Err(format!(
                "the prefix \"{prefix}\" is not made of 1 to 64 letters, digits, - and _"
            ));
        }
        Ok(Self {
            prefix: prefix.into(),
        })
    }

    /// Where messages of a partition arrive.
    pub(super) fn main(&self, queue: &str, partition: u32) -> String {
        format!("{}.q.{queue}.{partition}", self.prefix)
    }

    /// Where those are parked that wait for long, and dead letters are kept.
    pub(super) fn vault(&self, queue: &str, partition: u32) -> String {
        format!("{}.v.{queue}.{partition}", self.prefix)
    }

    /// Where the brokers lay what they have given up.
    pub(super) fn given_up(&self) -> String {
        format!("{}.given-up", self.prefix)
    }

    /// A queue that holds nothing: how it was declared says how the deployment is laid out.
    pub(super) fn layout(&self) -> String {
        format!("{}.layout", self.prefix)
    }

    /// What all keys in Redis begin with; one slot of a Redis cluster.
    pub(super) fn keys(&self) -> String {
        format!("{{{}}}", self.prefix)
    }

    /// Where it is told in Redis what has changed.
    pub(super) fn news(&self) -> String {
        format!("{{{}}}:news", self.prefix)
    }
}

/// A line, or an id, as text.
pub(super) fn hex(line: Line) -> String {
    Uuid::from_bytes(line).simple().to_string()
}

/// Adds a header.
pub(super) fn put(headers: &mut FieldTable, name: &'static str, value: impl ToString) {
    let value = AMQPValue::LongString(value.to_string().into());
    headers.insert(name.into(), value);
}

/// What a header says, read.
pub(super) fn header<T: std::str::FromStr>(headers: &FieldTable, name: &'static str) -> Option<T> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        _ => None,
    }
}

/// Text that may stand in a header.
pub(super) fn safe(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_graphic() || *c == ' ';
    text.chars().filter(fits).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_text_and_read_again() {
        let mut headers = FieldTable::default();
        put(&mut headers, POSITION, 1_763_000_000_000_000_u64);
        assert_eq!(header(&headers, POSITION), Some(1_763_000_000_000_000_u64));
        assert_eq!(header::<u64>(&headers, VERSION), None);
        put(&mut headers, ID, "seven");
        assert_eq!(header::<Uuid>(&headers, ID), None);
    }

    #[test]
    fn a_prefix_is_one_part_of_a_name() {
        assert!(Names::new("shop-eu_1").is_ok());
        for prefix in ["", "a.b", "a b", "{"] {
            assert!(Names::new(prefix).is_err(), "{prefix}");
        }
    }
}
