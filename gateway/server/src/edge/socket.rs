//! A client's socket, which tells what happens on it.
//!
//! Owns noticing that a client sends, takes or stalls, and giving a body to
//! the answers that the HTTP/1 parser writes by itself: it knows a status and
//! nothing else. Knows nothing of what is said.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf as _;
use bytes::Bytes;
use http::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use super::connections::Pulse;
use super::problem::Pages;

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// Every answer of ours carries it, and none of the parser's does.
const OURS: &[u8] = b"x-request-id";

/// A socket between a client and the HTTP implementation.
pub(super) struct Socket<S> {
    inner: S,
    pulse: Arc<Pulse>,
    /// Nothing has been read yet.
    fresh: bool,
    answers: Answers,
}

/// What is written in place of the parser's own answer.
struct Answers {
    pages: Pages,
    instead: Option<Bytes>,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S, pulse: Arc<Pulse>, pages: super::problem::Pages) -> Self {
        Self {
            inner,
            pulse,
            fresh: true,
            answers: Answers {
                pages,
                instead: None,
            },
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let heard = &buf.filled()[before..];
        if !heard.is_empty() {
            if std::mem::take(&mut self.fresh) && heard.starts_with(PREFACE) {
                self.pulse.multiplexes();
            }
            self.pulse.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    fn tell<T>(&self, wrote: Poll<T>) -> Poll<T> {
        match wrote {
            Poll::Ready(_) => self.pulse.wrote(),
            Poll::Pending => self.pulse.stalls(),
        }
        wrote
    }

    /// Writes what stands in for the parser's answer; claims to have written `claimed`.
    fn write_instead(
        &mut self,
        cx: &mut Context<'_>,
        mut rest: Bytes,
        claimed: usize,
    ) -> Poll<io::Result<usize>> {
        while rest.has_remaining() {
            let wrote = Pin::new(&mut self.inner).poll_write(cx, &rest);
            match self.tell(wrote) {
                Poll::Ready(Ok(n)) if n > 0 => rest.advance(n),
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.answers.instead = Some(rest);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(claimed))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(instead) = self.answers.instead_of(buf) {
            return self.write_instead(cx, instead, buf.len());
        }
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.tell(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map_or(&[][..], |buf| buf);
        if let Some(instead) = self.answers.instead_of(first) {
            let claimed = bufs.iter().map(|buf| buf.len()).sum();
            return self.write_instead(cx, instead, claimed);
        }
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.tell(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Answers {
    /// What to write in place of these bytes, where they are the parser's own answer.
    fn instead_of(&mut self, written: &[u8]) -> Option<Bytes> {
        if let Some(rest) = self.instead.take() {
            return Some(rest);
        }
        // `HTTP/1.1 4`: nothing else is looked at.
        let refuses = written.get(9) == Some(&b'4') && written.starts_with(b"HTTP/1.");
        if !refuses || written.windows(OURS.len()).any(|window| window == OURS) {
            return None;
        }
        let status = StatusCode::from_bytes(written.get(9..12)?).ok()?;
        Some(self.pages.unreadable(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instead_of(written: &[u8]) -> Option<String> {
        let mut answers = Answers {
            pages: Pages::below("https://api.example.com"),
            instead: None,
        };
        let instead = answers.instead_of(written)?;
        Some(String::from_utf8(instead.to_vec()).unwrap())
    }

    #[test]
    fn the_parsers_own_answer_is_given_a_body() {
        for (status, slug) in [
            ("400 Bad Request", "malformed-request"),
            ("414 URI Too Long", "uri-too-long"),
            ("431 Request Header Fields Too Large", "headers-too-large"),
        ] {
            let own =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            let told = instead_of(own.as_bytes()).unwrap();
            assert!(
                told.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{told}"
            );
            assert!(
                told.contains("content-type: application/problem+json\r\n"),
                "{told}"
            );
            assert!(told.contains("connection: close\r\n"), "{told}");
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains(&format!("content-length: {}", body.len())),
                "{told}"
            );
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let expected = format!("https://api.example.com/problems/{slug}");
            assert_eq!(body["type"], expected);
        }
    }

    #[test]
    fn answers_of_ours_and_frames_are_left_alone() {
        for written in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\n\r\n",
            b"HTTP/1.1",
            b"\0\0\x06\x04\0\0\0\0\0",
            b"",
        ] {
            assert_eq!(instead_of(written), None);
        }
    }
}
