//! The Protocol Buffers wire format: tags, varints and lengths.
//!
//! Owns reading a record's tag and value, and passing over records that nobody
//! wants. Never reads past its end and never recurses without a bound. Knows
//! nothing of descriptors.
//! <https://protobuf.dev/programming-guides/encoding/>

use std::ops::Range;

use super::Malformed;

/// Groups inside groups that are passed over; deeper nesting is refused.
const GROUP_DEPTH: usize = 100;

/// How a record's value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Bytes,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// A record's value as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw {
    /// A varint, or a fixed value widened to 64 bits.
    Number(u64),
    /// `bytes[at..at + len]`: text, bytes, a message, packed numbers, or a group's content.
    Range {
        /// Offset in the reply.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
}

impl Raw {
    /// The place of a text or message; a number has none.
    pub(super) fn range(self) -> Range<usize> {
        match self {
            Raw::Range { at, len } => at as usize..(at + len) as usize,
            Raw::Number(_) => 0..0,
        }
    }
}

/// Reads records one after another from a part of a reply.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes[range]`.
    pub(super) fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        debug_assert!(range.end <= bytes.len());
        Self {
            bytes,
            at: range.start,
            end: range.end,
        }
    }

    /// Whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The next record's field number and layout; nothing at the end.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<Option<(u32, Wire)>, Malformed> {
        if self.is_done() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number =
            u32::try_from(tag >> 3).map_err(|_| Malformed::new("a field number is too large"))?;
        if number == 0 {
            return Err(Malformed::new("a field has the number 0"));
        }
        Ok(Some((number, wire(tag & 7)?)))
    }

    /// The value behind a tag.
    #[inline]
    pub(super) fn raw(&mut self, number: u32, wire: Wire) -> Result<Raw, Malformed> {
        match wire {
            Wire::Varint => self.varint().map(Raw::Number),
            Wire::Fixed64 => self.fixed64().map(Raw::Number),
            Wire::Fixed32 => self.fixed32().map(Raw::Number),
            Wire::Bytes => self.length_delimited(),
            Wire::StartGroup => self.group(number),
            Wire::EndGroup => Err(Malformed::new("a group ends that did not begin")),
        }
    }

    /// Passes over the value behind a tag.
    #[inline]
    pub(super) fn skip(&mut self, number: u32, wire: Wire) -> Result<(), Malformed> {
        match wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Fixed64 => self.take(8).map(drop),
            Wire::Fixed32 => self.take(4).map(drop),
            Wire::Bytes => self.length_delimited().map(drop),
            Wire::StartGroup => self.group(number).map(drop),
            Wire::EndGroup => Err(Malformed::new("a group ends that did not begin")),
        }
    }

    /// A base-128 number of at most ten bytes.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let rest = &self.bytes[self.at..self.end];
        if let Some(&byte) = rest.first().filter(|byte| **byte < 0x80) {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, byte) in self.bytes[self.at..self.end].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.at += index + 1;
                return overlong(index, *byte, value);
            }
        }
        Err(Malformed::new("a number is truncated or too long"))
    }

    /// Eight little-endian bytes.
    pub(super) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("eight bytes were taken"),
        ))
    }

    /// Four little-endian bytes.
    pub(super) fn fixed32(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(4)?;
        let value = u32::from_le_bytes(bytes.try_into().expect("four bytes were taken"));
        Ok(u64::from(value))
    }

    #[inline]
    fn length_delimited(&mut self) -> Result<Raw, Malformed> {
        let len = self.varint()?;
        let len = usize::try_from(len).map_err(|_| truncated())?;
        let at = self.at as u32;
        self.take(len)?;
        Ok(Raw::Range {
            at,
            len: len as u32,
        })
    }

    /// A group's content, up to the tag that ends it. Groups are the old way to nest a message.
    fn group(&mut self, number: u32) -> Result<Raw, Malformed> {
        let start = self.at;
        let mut open = vec![number];
        loop {
            let end = self.at;
            let Some((inner, wire)) = self.tag()? else {
                return Err(truncated());
            };
            match wire {
                Wire::StartGroup if open.len() == GROUP_DEPTH => {
                    return Err(Malformed::new("groups are nested too deeply"));
                }
                Wire::StartGroup => open.push(inner),
                Wire::EndGroup if open.pop() != Some(inner) => {
                    return Err(Malformed::new("a group ends that did not begin"));
                }
                Wire::EndGroup if open.is_empty() => {
                    return Ok(Raw::Range {
                        at: start as u32,
                        len: (end - start) as u32,
                    });
                }
                Wire::EndGroup => {}
                other => self.skip(inner, other)?,
            }
        }
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if len > self.end - self.at {
            return Err(truncated());
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }
}

#[inline]
fn wire(bits: u64) -> Result<Wire, Malformed> {
    Ok(match bits {
        0 => Wire::Varint,
        1 => Wire::Fixed64,
        2 => Wire::Bytes,
        3 => Wire::StartGroup,
        4 => Wire::EndGroup,
        5 => Wire::Fixed32,
        _ => return Err(Malformed::new("a field has an unknown wire type")),
    })
}

/// The tenth byte has room for one bit only.
fn overlong(index: usize, last: u8, value: u64) -> Result<u64, Malformed> {
    match index == 9 && last > 1 {
        true => Err(Malformed::new("a number is truncated or too long")),
        false => Ok(value),
    }
}

fn truncated() -> Malformed {
    Malformed::new("the message is truncated")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(bytes, 0..bytes.len())
    }

    #[test]
    fn numbers_of_one_to_ten_bytes_are_read() {
        assert_eq!(reader(&[0x01]).varint().unwrap(), 1);
        assert_eq!(reader(&[0x96, 0x01]).varint().unwrap(), 150);
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(reader(&largest).varint().unwrap(), u64::MAX);
    }

    #[test]
    fn numbers_that_never_end_or_overflow_are_refused() {
        assert!(reader(&[]).varint().is_err());
        assert!(reader(&[0x80]).varint().is_err());
        assert!(reader(&[0xff; 11]).varint().is_err());
        let overflow = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(reader(&overflow).varint().is_err());
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let mut reader = reader(&[0x0a, 0x05, b'a']);
        let (number, wire) = reader.tag().unwrap().unwrap();
        assert_eq!((number, wire), (1, Wire::Bytes));
        assert!(reader.raw(number, wire).is_err());
    }

    #[test]
    fn a_group_ends_at_its_own_tag() {
        // group 1 { 2: 7, group 3 {} } then field 4.
        let bytes = [0x0b, 0x10, 0x07, 0x1b, 0x1c, 0x0c, 0x20, 0x01];
        let mut reader = reader(&bytes);
        let (number, wire) = reader.tag().unwrap().unwrap();
        let raw = reader.raw(number, wire).unwrap();
        assert_eq!(raw, Raw::Range { at: 1, len: 4 });
        assert_eq!(reader.tag().unwrap(), Some((4, Wire::Varint)));
    }

    #[test]
    fn groups_that_do_not_match_or_nest_without_end_are_refused() {
        let mut crossed = reader(&[0x0b, 0x14]);
        let (number, wire) = crossed.tag().unwrap().unwrap();
        assert!(crossed.skip(number, wire).is_err());
        let deep = [0x0b; 200];
        let mut nested = reader(&deep);
        let (number, wire) = nested.tag().unwrap().unwrap();
        assert!(nested.skip(number, wire).is_err());
    }
}
