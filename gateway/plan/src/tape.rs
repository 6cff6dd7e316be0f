//! Decoded upstream data.
//!
//! Owns the tape: one reply's bytes beside a flat table of slots, written once
//! while the reply is decoded and read once while the response is written.
//! Text is not copied: it points into the reply. Knows nothing of transports.

use bytes::Bytes;

use crate::source::SourceError;

/// A value on a [`Tape`]. Positions are relative to the tape it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing was there: read as null, and different from null only where a key or a default is looked for.
    #[default]
    Absent,
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A finite number.
    Float(f64),
    /// Unescaped UTF-8 text that needs no escaping in JSON: `bytes[at..at + len]` of the reply.
    Plain {
        /// Offset in the reply's bytes.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Unescaped UTF-8 text in the reply that may need escaping in JSON.
    Text {
        /// Offset in the reply's bytes.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Unescaped UTF-8 text in the tape's own buffer.
    Owned {
        /// Offset in the tape's own text.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Valid JSON text of any kind in the reply, written as it is.
    RawJson {
        /// Offset in the reply's bytes.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Valid JSON text of any kind in the tape's own buffer, written as it is.
    OwnedJson {
        /// Offset in the tape's own text.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// An enum value: index into the leaf's [`crate::shape::EnumValues`].
    Enum(u32),
    /// An object: its slots begin at `at`, laid out as `layout`.
    Object {
        /// The first slot.
        at: u32,
        /// Which [`crate::shape::ObjectShape`] of the step it is.
        layout: u32,
    },
    /// A list: its items are the slots from `at`.
    List {
        /// The first slot.
        at: u32,
        /// How many items.
        len: u32,
    },
    /// A value that could not be coerced: index into [`Tape::value_error`].
    Error(u32),
    /// Set by the executor: the item of another step that this object is joined to.
    Join(u32),
    /// Set by the executor: a run of items of another step.
    JoinList {
        /// The first item.
        at: u32,
        /// How many items.
        len: u32,
    },
    /// Set by the executor: the step behind this slot failed; index into its failures.
    Failed(u32),
}

/// Why one upstream value is not there.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueError {
    /// It could not be what the type asks for. What the client may read: which kind was expected and which arrived, never the value itself.
    Mismatch(String),
    /// The service itself said what went wrong there.
    Told(Box<SourceError>),
}

impl ValueError {
    /// What the client may read.
    pub fn message(&self) -> &str {
        match self {
            ValueError::Mismatch(message) => message,
            ValueError::Told(error) => &error.message,
        }
    }
}

/// One decoded reply.
#[derive(Debug, Default)]
pub struct Tape {
    bytes: Bytes,
    text: String,
    slots: Vec<Value>,
    errors: Vec<ValueError>,
    /// What the service said went wrong, and at which value nobody can tell: indices into the errors.
    beside: Vec<u32>,
    /// What the reply is: the value that `result:` unwraps to.
    pub root: Value,
}

impl Tape {
    /// A tape over a reply. Replies are limited far below 4 GiB, so positions are 32-bit.
    pub fn new(bytes: Bytes) -> Self {
        let slots = Vec::with_capacity(bytes.len() / 32 + 8);
        Self {
            bytes,
            slots,
            ..Self::default()
        }
    }

    /// The reply.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One slot.
    pub fn get(&self, at: u32) -> Value {
        self.slots[at as usize]
    }

    /// Writes one slot.
    pub fn set(&mut self, at: u32, value: Value) {
        self.slots[at as usize] = value;
    }

    /// Reserves `count` absent slots side by side and returns the first.
    pub fn reserve(&mut self, count: u32) -> u32 {
        let at = self.slots.len();
        self.slots.resize(at + count as usize, Value::Absent);
        at as u32
    }

    /// Appends a list's items.
    pub fn list(&mut self, items: &[Value]) -> Value {
        let at = self.slots.len() as u32;
        self.slots.extend_from_slice(items);
        Value::List {
            at,
            len: items.len() as u32,
        }
    }

    /// The items of a list, or the slots of an object of that many slots.
    pub fn slots(&self, at: u32, len: u32) -> &[Value] {
        &self.slots[at as usize..(at + len) as usize]
    }

    /// Keeps a text that is not a part of the reply as it stands.
    pub fn own(&mut self, text: &str) -> Value {
        let at = self.text.len() as u32;
        self.text.push_str(text);
        Value::Owned {
            at,
            len: text.len() as u32,
        }
    }

    /// Keeps JSON that is not a part of the reply as it stands. The caller vouches that it is valid.
    pub fn own_json(&mut self, json: &str) -> Value {
        let at = self.text.len() as u32;
        self.text.push_str(json);
        Value::OwnedJson {
            at,
            len: json.len() as u32,
        }
    }

    /// Records a value that could not be coerced.
    pub fn error(&mut self, message: impl Into<String>) -> Value {
        self.errors.push(ValueError::Mismatch(message.into()));
        Value::Error(self.errors.len() as u32 - 1)
    }

    /// Records what a service said went wrong at a value.
    pub fn told(&mut self, error: SourceError) -> Value {
        self.errors.push(ValueError::Told(Box::new(error)));
        Value::Error(self.errors.len() as u32 - 1)
    }

    /// Records what a service said went wrong at no value that is here. It is an error of the reply as a whole, whose data stays.
    pub fn told_beside(&mut self, error: SourceError) {
        self.told(error);
        self.beside.push(self.errors.len() as u32 - 1);
    }

    /// Errors of the reply as a whole.
    pub fn beside(&self) -> &[u32] {
        &self.beside
    }

    /// One recorded error.
    pub fn value_error(&self, index: u32) -> &ValueError {
        &self.errors[index as usize]
    }

    /// The text or JSON behind a value of a textual kind.
    pub fn str(&self, value: Value) -> Option<&str> {
        match value {
            Value::Plain { at, len } | Value::Text { at, len } | Value::RawJson { at, len } => {
                std::str::from_utf8(&self.bytes[at as usize..(at + len) as usize]).ok()
            }
            Value::Owned { at, len } | Value::OwnedJson { at, len } => {
                self.text.get(at as usize..(at + len) as usize)
            }
            _ => None,
        }
    }

    /// The reply's bytes behind [`Value::Plain`], [`Value::Text`] and [`Value::RawJson`]: known to be UTF-8, not checked again.
    pub fn raw(&self, at: u32, len: u32) -> &[u8] {
        &self.bytes[at as usize..(at + len) as usize]
    }

    /// The same bytes with the quotes around them, where the reply has quotes there.
    pub fn quoted(&self, at: u32, len: u32) -> Option<&[u8]> {
        let start = (at as usize).checked_sub(1)?;
        let quoted = self.bytes.get(start..(at + len) as usize + 1)?;
        (quoted[0] == b'"' && quoted[quoted.len() - 1] == b'"').then_some(quoted)
    }

    /// The value of a text slice that lies in the reply, by its place; else a copy.
    pub fn place(&mut self, text: &str) -> Value {
        match self.offset(text) {
            Some(at) => Value::Text {
                at,
                len: text.len() as u32,
            },
            None => self.own(text),
        }
    }

    /// The offset of a slice of the reply in the reply.
    pub fn offset(&self, text: &str) -> Option<u32> {
        let start = (text.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize)?;
        (start + text.len() <= self.bytes.len()).then_some(start as u32)
    }

    /// Bytes of memory that the tape holds.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.text.capacity() + self.slots.capacity() * size_of::<Value>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_sixteen_bytes() {
        assert!(size_of::<Value>() <= 16);
    }

    #[test]
    fn quotes_are_taken_along_only_where_they_stand() {
        let tape = Tape::new(Bytes::from_static(b"\"ab\"cd"));
        assert_eq!(tape.quoted(1, 2), Some(&b"\"ab\""[..]));
        assert_eq!(tape.quoted(4, 2), None);
        assert_eq!(tape.quoted(0, 2), None);
    }

    #[test]
    fn text_of_the_reply_is_pointed_to_and_other_text_is_copied() {
        let mut tape = Tape::new(Bytes::from_static(b"hello world"));
        let bytes = tape.bytes().clone();
        let inside = std::str::from_utf8(&bytes[6..]).unwrap();
        assert_eq!(tape.place(inside), Value::Text { at: 6, len: 5 });
        let outside = tape.place(&String::from("other"));
        assert_eq!(tape.str(outside), Some("other"));
    }
}
