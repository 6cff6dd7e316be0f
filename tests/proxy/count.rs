//! Calls in what a client sends: HTTP/1 requests with a length, and HTTP/2 streams.

use crate::frames::Frames;
use crate::frames::PREFACE;

/// Follows one connection from its first byte on.
#[derive(Debug)]
pub(crate) enum Calls {
    /// Not enough was said to tell.
    Begin(Vec<u8>),
    Http1(Requests),
    Http2(Frames),
}

/// What began in some bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Began {
    pub(crate) calls: u64,
    /// The last HTTP/2 stream.
    pub(crate) stream: Option<u32>,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self::Begin(Vec::new())
    }

    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Began {
        let mut began = Began::default();
        match self {
            Self::Begin(said) => {
                said.extend_from_slice(bytes);
                let same = said.iter().zip(PREFACE).take_while(|(a, b)| a == b).count();
                if same < said.len().min(PREFACE.len()) {
                    let said = std::mem::take(said);
                    *self = Self::Http1(Requests::default());
                    return self.follow(&said);
                }
                if same == PREFACE.len() {
                    let said = said.split_off(PREFACE.len());
                    *self = Self::Http2(Frames::default());
                    return self.follow(&said);
                }
            }
            Self::Http1(requests) => began.calls = requests.follow(bytes),
            Self::Http2(frames) => frames.follow(bytes, |stream| {
                began.calls += 1;
                began.stream = Some(stream);
            }),
        }
        began
    }
}

/// HTTP/1 requests, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    head: Vec<u8>,
    /// Bytes of the present body that are still to come.
    left: usize,
}

impl Requests {
    fn follow(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") {
                count += 1;
                self.left = length(&self.head);
                self.head.clear();
            }
        }
        count
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|length| length.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(bytes: &[u8], size: usize) -> u64 {
        let mut calls = Calls::new();
        bytes
            .chunks(size)
            .map(|piece| calls.follow(piece).calls)
            .sum()
    }

    #[test]
    fn requests_are_counted_wherever_the_bytes_are_cut() {
        let bytes =
            b"POST /a HTTP/1.1\r\nContent-Length: 8\r\n\r\n12\r\n\r\n34GET / HTTP/1.1\r\n\r\n";
        for size in 1..bytes.len() {
            assert_eq!(calls(bytes, size), 2, "in pieces of {size}");
        }
    }

    #[test]
    fn streams_are_counted_after_the_preface() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(crate::frames::settings());
        bytes.extend_from_slice(&[0, 0, 1, 1, 4, 0, 0, 0, 1, 7]);
        for size in 1..bytes.len() {
            assert_eq!(calls(&bytes, size), 1, "in pieces of {size}");
        }
    }
}
