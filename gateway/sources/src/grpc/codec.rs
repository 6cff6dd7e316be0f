//! Messages as bytes: what tonic sends and hands over is encoded and decoded elsewhere.

use bytes::Buf;
use bytes::BufMut;
use bytes::Bytes;
use tonic::Status;
use tonic::codec::BufferSettings;
use tonic::codec::Codec;
use tonic::codec::DecodeBuf;
use tonic::codec::Decoder;
use tonic::codec::EncodeBuf;
use tonic::codec::Encoder;

/// A message's frame: a flag and a length.
const FRAME: usize = 5;
/// Replies begin with this much room and grow as they arrive.
const REPLY_ROOM: usize = 4 * 1024;
/// Messages of one request are sent together up to this size.
const SEND_TOGETHER: usize = 32 * 1024;

/// Passes messages through, with buffers of the right size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    room: usize,
}

impl Passed {
    /// For a call whose request has this length.
    pub(super) fn new(request: usize) -> Self {
        Self {
            room: request + FRAME,
        }
    }
}

impl Codec for Passed {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        Self { room: REPLY_ROOM }
    }
}

impl Encoder for Passed {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(self.room, SEND_TOGETHER)
    }
}

impl Decoder for Passed {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(self.room, SEND_TOGETHER)
    }
}
