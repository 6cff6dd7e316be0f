//! The body of an answer, which knows when a client has taken all of it.
//!
//! Over HTTP/1 a client that takes nothing stalls its socket. Over HTTP/2 it
//! may keep the socket busy and one answer back: the bytes of such an answer
//! are owed until they have gone out, and carry the debt with them.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

use super::connections::Owed;

/// A body that may be owed.
pub(super) struct Taken<B> {
    body: B,
    owed: Option<Owed>,
}

/// Bytes that are owed until they are dropped.
struct OwedBytes {
    bytes: Bytes,
    _owed: Owed,
}

impl AsRef<[u8]> for OwedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B> Taken<B> {
    pub(super) fn new(body: B, owed: Option<Owed>) -> Self {
        Self { body, owed }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let owed = self.owed.take();
        Poll::Ready(match (frame, owed) {
            (Some(Ok(frame)), Some(owed)) => {
                Some(Ok(frame.map_data(|bytes| {
                    Bytes::from_owner(OwedBytes { bytes, _owed: owed })
                })))
            }
            (frame, _) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
