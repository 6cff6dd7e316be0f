//! How a field's values lie on the wire.
//!
//! Owns the rules that tie a declared field to what a record may look like.
//! Knows nothing of shapes.

use std::ops::Range;

use prost_reflect::FieldDescriptor;
use prost_reflect::prost::encoding::WireType;

use super::Malformed;
use super::wire::Raw;
use super::wire::Reader;
use super::wire::Wire;

/// What a field's records look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldLayout {
    wire: Wire,
    /// Numbers of a repeated field may also come side by side in one record.
    packable: bool,
}

impl FieldLayout {
    /// A single varint.
    pub(super) const VARINT: Self = Self {
        wire: Wire::Varint,
        packable: false,
    };

    /// The layout of a declared field.
    pub(super) fn new(field: &FieldDescriptor) -> Self {
        let wire = match field.kind().wire_type() {
            _ if field.is_group() => Wire::StartGroup,
            WireType::Varint => Wire::Varint,
            WireType::SixtyFourBit => Wire::Fixed64,
            WireType::ThirtyTwoBit => Wire::Fixed32,
            _ => Wire::Bytes,
        };
        Self {
            wire,
            packable: field.is_list() && !matches!(wire, Wire::Bytes | Wire::StartGroup),
        }
    }

    /// Whether a record may be this field's.
    pub(super) fn accepts(self, wire: Wire) -> bool {
        wire == self.wire || (self.packable && wire == Wire::Bytes)
    }

    /// Whether a record of this field holds several values.
    pub(super) fn is_packed(self, raw: Raw) -> bool {
        self.packable && matches!(raw, Raw::Range { .. })
    }

    /// How many values a record holds.
    pub(super) fn count(self, reply: &[u8], raw: Raw) -> usize {
        if !self.is_packed(raw) {
            return 1;
        }
        let range = raw.range();
        match self.wire {
            Wire::Fixed64 => range.len() / 8,
            Wire::Fixed32 => range.len() / 4,
            _ => reply[range].iter().filter(|byte| **byte < 0x80).count(),
        }
    }

    /// The values of a packed record, one after another.
    pub(super) fn unpack(self, reply: &[u8], range: Range<usize>) -> Packed<'_> {
        Packed {
            wire: self.wire,
            reader: Reader::new(reply, range),
        }
    }
}

/// The numbers of one packed record.
pub(super) struct Packed<'a> {
    wire: Wire,
    reader: Reader<'a>,
}

impl Iterator for Packed<'_> {
    type Item = Result<Raw, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_done() {
            return None;
        }
        let number = match self.wire {
            Wire::Fixed64 => self.reader.fixed64(),
            Wire::Fixed32 => self.reader.fixed32(),
            _ => self.reader.varint(),
        };
        Some(number.map(Raw::Number))
    }
}
