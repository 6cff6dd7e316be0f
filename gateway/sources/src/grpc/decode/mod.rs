//! From protobuf bytes to the tape.
//!
//! Owns decoding a reply straight into the shape that a plan asks for: a
//! [`Program`] is made once per step from the shape and the descriptors, and
//! run over each reply. Fields that nobody asked for are passed over. Knows
//! nothing of calls.

mod facts;
mod finish;
mod json;
mod layout;
mod place;
mod program;
mod scalar;
mod walk;
mod wire;

use std::ops::Range;

use bytes::Bytes;
use plan::shape::AbstractShape;
use plan::tape::Tape;
use plan::tape::Value;
use prost_reflect::FieldDescriptor;
use serde_json::Value as Json;

pub(super) use facts::PageReader;
pub(super) use finish::Status;
pub(in crate::grpc) use json::is_wrapper;
pub(super) use program::Program;

/// A reply that is no message of the declared type. For the log only. Small, since every step of
/// reading may return it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.what)]
pub(super) struct Malformed(Box<Cause>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    what: String,
}

impl Malformed {
    #[cold]
    fn new(what: &str) -> Self {
        Self::because(what.to_owned())
    }

    #[cold]
    fn wire_type(field: &FieldDescriptor) -> Self {
        Self::because(format!(
            "{} has another wire type than declared",
            field.full_name()
        ))
    }

    fn because(what: String) -> Self {
        Self(Box::new(Cause { what }))
    }
}

impl Program {
    /// Decodes the messages of one reply: one, or as many as were streamed.
    pub(super) fn decode(
        &self,
        reply: Bytes,
        messages: &[Range<usize>],
    ) -> Result<Tape, Malformed> {
        let mut tape = Tape::new(reply);
        tape.root = walk::run(self, &mut tape, messages, Status::OK)?;
        Ok(tape)
    }
}

/// A failure that the graph has a type for: `@variant(status:)`. Nothing where it has none.
pub(super) fn decode_failure(
    shape: &AbstractShape,
    status: Status<'_>,
    failure: &Json,
) -> Option<Tape> {
    let mut variants = shape.variants.iter();
    let variant = variants.find(|variant| variant.status.iter().any(|name| name == status.name))?;
    let mut tape = Tape::new(Bytes::new());
    let root: Value = place::place_object(&mut tape, failure, &variant.shape, status);
    tape.root = root;
    Some(tape)
}

#[cfg(test)]
mod tests;
