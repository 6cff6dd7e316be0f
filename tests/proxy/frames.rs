//! Where HTTP/2 frames begin in a stream of bytes.
//! <https://www.rfc-editor.org/rfc/rfc9113#name-frame-format>

/// What a client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Follows one direction of a connection, from its first frame on.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    left: usize,
}

impl Frames {
    /// The streams that began in these bytes; HEADERS that end one (trailers) count too.
    pub(crate) fn follow(&mut self, mut bytes: &[u8], mut began: impl FnMut(u32)) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (9 - self.head.len()).min(bytes.len());
            if self.left > 0 || taken == 0 {
                continue;
            }
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [a, b, c, kind, _, d, e, f, g] = self.head[..] {
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                if kind == HEADERS {
                    began(u32::from_be_bytes([d & 0x7f, e, f, g]));
                }
                self.head.clear();
            }
        }
    }

    /// Whether a frame of our own may stand here.
    pub(crate) fn is_between(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }
}

/// An empty SETTINGS, which has to come first.
pub(crate) fn settings() -> Vec<u8> {
    vec![0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]
}

/// GOAWAY without an error: streams after `last` were not taken.
pub(crate) fn goaway(last: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&last.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_seen_wherever_the_bytes_are_cut() {
        let mut bytes = settings();
        for stream in [1_u8, 3] {
            bytes.extend_from_slice(&[0, 0, 2, HEADERS, 4, 0, 0, 0, stream, 7, 7]);
            bytes.extend_from_slice(&[0, 0, 3, 0, 1, 0, 0, 0, stream, 7, 7, 7]);
        }
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut streams = Vec::new();
            for piece in bytes.chunks(size) {
                frames.follow(piece, |stream| streams.push(stream));
            }
            assert_eq!(streams, [1, 3], "in pieces of {size}");
            assert!(frames.is_between());
        }
    }
}
