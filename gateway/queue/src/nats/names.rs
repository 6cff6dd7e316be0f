//! How streams and subjects are called. Messages outlive releases, and so do these names.

use std::fmt::Write as _;

use async_nats::HeaderMap;
use uuid::Uuid;

use crate::seal::Line;

/// The id of a message.
pub(super) const ID: &str = "Switchboard-Id";
/// Its line, where it has a key.
pub(super) const LINE: &str = "Switchboard-Line";
/// When it was accepted, in milliseconds since the Unix epoch.
pub(super) const ACCEPTED: &str = "Switchboard-Accepted-At";
/// When it is due, where it is not at once.
pub(super) const NOT_BEFORE: &str = "Switchboard-Not-Before";
/// A name of its caller that tells nobody who that is.
pub(super) const CALLER: &str = "Switchboard-Caller";
/// Of what is known of a message: since when nothing more will happen to it.
pub(super) const FINAL: &str = "Switchboard-Final";
/// What labels of the request are called.
pub(super) const CORRELATION: &str = "X-Correlation-ID";
/// What the request itself is called.
pub(super) const REQUEST: &str = "X-Request-ID";
/// Its trace.
pub(super) const TRACE: &str = "traceparent";

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

    /// The stream of what waits.
    pub(super) fn waiting(&self) -> String {
        format!("{}_queue", self.prefix)
    }

    /// The stream of dead letters.
    pub(super) fn dead(&self) -> String {
        format!("{}_dead", self.prefix)
    }

    /// The stream of a key-value bucket.
    pub(super) fn bucket(&self, bucket: Bucket) -> String {
        format!("KV_{}_{}", self.prefix, bucket.name())
    }

    /// All of what waits.
    pub(super) fn all_waiting(&self) -> String {
        format!("{}.q.>", self.prefix)
    }

    /// What waits in a queue.
    pub(super) fn queue(&self, queue: &str) -> String {
        format!("{}.q.{}.>", self.prefix, token(queue))
    }

    /// What waits in a partition of it.
    pub(super) fn partition(&self, queue: &str, partition: u32) -> String {
        format!("{}.q.{}.{partition}.*", self.prefix, token(queue))
    }

    /// What waits in a line; those without a key share a subject.
    pub(super) fn line(&self, queue: &str, partition: u32, line: Option<Line>) -> String {
        let mut subject = format!("{}.q.{}.{partition}.", self.prefix, token(queue));
        match line {
            Some(line) => subject.push_str(&hex(line)),
            None => subject.push('_'),
        }
        subject
    }

    /// All dead letters.
    pub(super) fn all_dead(&self) -> String {
        format!("{}.d.>", self.prefix)
    }

    /// A dead letter, wherever it was queued.
    pub(super) fn dead_anywhere(&self, id: Uuid) -> String {
        format!("{}.d.*.*.{}", self.prefix, id.simple())
    }

    /// Dead letters of a queue; of those only that block their lines or do not.
    pub(super) fn dead_of(&self, queue: &str, blocks: Option<bool>) -> String {
        let blocks = blocks.map_or("*", mark);
        format!("{}.d.{}.{blocks}.*", self.prefix, token(queue))
    }

    /// A dead letter.
    pub(super) fn dead_letter(&self, queue: &str, blocks: bool, id: Uuid) -> String {
        let (queue, blocks) = (token(queue), mark(blocks));
        format!("{}.d.{queue}.{blocks}.{}", self.prefix, id.simple())
    }

    /// Lines that have lost a message to the dead letters.
    pub(super) fn all_fallen(&self) -> String {
        format!("{}.l.>", self.prefix)
    }

    /// Those of a partition.
    pub(super) fn fallen_of(&self, queue: &str, partition: u32) -> String {
        format!("{}.l.{}.{partition}.*", self.prefix, token(queue))
    }

    /// That one of them.
    pub(super) fn fallen(&self, queue: &str, partition: u32, line: Line) -> String {
        let (queue, line) = (token(queue), hex(line));
        format!("{}.l.{queue}.{partition}.{line}", self.prefix)
    }

    /// A key of a bucket.
    pub(super) fn key(&self, bucket: Bucket, key: &str) -> String {
        format!("$KV.{}_{}.{key}", self.prefix, bucket.name())
    }

    /// What is known of a message.
    pub(super) fn of_message(&self, bucket: Bucket, id: Uuid) -> String {
        self.key(bucket, &id.simple().to_string())
    }

    /// Where it is said that what is known of a message has changed. Nothing is stored of it.
    pub(super) fn changed(&self, id: Uuid) -> String {
        format!("{}.changed.{}", self.prefix, id.simple())
    }

    /// Where the owner of a partition is told to look at a line again. Nothing is stored of it.
    pub(super) fn look(&self) -> String {
        format!("{}.look", self.prefix)
    }
}

/// The key-value buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucket {
    /// What is known of messages that wait or block.
    State,
    /// What was delivered.
    Done,
    /// Deduplication values.
    Dedupe,
    /// Members, leases, pauses.
    Control,
}

impl Bucket {
    fn name(self) -> &'static str {
        match self {
            Bucket::State => "state",
            Bucket::Done => "done",
            Bucket::Dedupe => "dedupe",
            Bucket::Control => "control",
        }
    }
}

fn mark(blocks: bool) -> &'static str {
    if blocks { "b" } else { "c" }
}

/// Text as a token of a subject: letters, digits, `-` and `_` as they are, others as `=` and two digits.
pub(super) fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => token.push(byte.into()),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(token, "={other:02X}");
            }
        }
    }
    token
}

/// The text of a token.
pub(super) fn untoken(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?.to_owned();
        bytes.push(u8::from_str_radix(&digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// A line as text.
pub(super) fn hex(line: Line) -> String {
    Uuid::from_bytes(line).simple().to_string()
}

/// What a header says, read.
pub(super) fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Option<T> {
    headers.get(name)?.as_str().parse().ok()
}

/// The id that headers name.
pub(super) fn id_of(headers: &HeaderMap) -> Option<Uuid> {
    header(headers, ID)
}

/// The line that headers name: that of the key, or the message's own.
pub(super) fn line_of(headers: &HeaderMap) -> Option<Line> {
    let line = header::<Uuid>(headers, LINE).or_else(|| id_of(headers))?;
    Some(line.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_queue_becomes_one_token_and_is_read_again() {
        for name in ["email", "e.mail", "*", ">", "a b", "größe", "="] {
            let token = token(name);
            assert!(!token.contains(['.', '*', '>', ' ']), "{token}");
            assert_eq!(untoken(&token).as_deref(), Some(name));
        }
        assert_eq!(untoken("=4"), None);
        assert_eq!(untoken("=zz"), None);
    }

    #[test]
    fn a_prefix_is_one_part_of_a_name() {
        assert!(Names::new("shop-eu_1").is_ok());
        for prefix in ["", "a.b", "a b", ">"] {
            assert!(Names::new(prefix).is_err(), "{prefix}");
        }
    }

    #[test]
    fn messages_with_a_key_have_the_subject_of_their_line() {
        let names = Names::new("sb").unwrap();
        assert_eq!(
            names.line("e.mail", 3, Some([1; 16])),
            "sb.q.e=2Email.3.01010101010101010101010101010101"
        );
        assert_eq!(names.line("email", 3, None), "sb.q.email.3._");
    }
}
