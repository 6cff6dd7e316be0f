//! The few things of gRPC that the mock upstream and the floor program share: the path, the frame
//! and the windows. Neither needs a gRPC library for one message each way.

use bytes::{BufMut, Bytes, BytesMut};

/// The `:path` of the only call there is.
pub(crate) const LIST_ARTICLES: &str = "/bench.v1.Articles/ListArticles";
/// Room for a whole reply, so that flow control never delays it.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
/// Room for the replies of every request in flight on one connection.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;
const PREFIX: usize = 5;

/// An uncompressed message with its five bytes of prefix.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a message of less than 4 GiB"));
    frame.put_slice(message);
    frame.freeze()
}

/// The message inside a body that holds one uncompressed frame and nothing else.
pub(crate) fn unframe(body: &[u8]) -> anyhow::Result<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX).unwrap_or_default();
    let whole = prefix == frame_prefix(message);
    anyhow::ensure!(whole, "not one uncompressed gRPC message");
    Ok(message)
}

fn frame_prefix(message: &[u8]) -> [u8; PREFIX] {
    let [a, b, c, d] = (message.len() as u32).to_be_bytes();
    [0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_gives_its_message_back() {
        assert_eq!(unframe(&frame(b"message")).expect("one frame"), b"message");
    }

    #[test]
    fn a_truncated_frame_is_refused() {
        let whole = frame(b"message");
        assert!((0..whole.len()).all(|end| unframe(&whole[..end]).is_err()));
    }
}
