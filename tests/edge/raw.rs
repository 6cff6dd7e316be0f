//! A client that writes bytes, whatever they are, and reads what comes back.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::binary::Gateway;

/// An open connection to a gateway.
pub(super) struct Raw {
    pub(super) socket: TcpStream,
    read: Vec<u8>,
}

/// An HTTP/1 answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Raw {
    pub(super) async fn connect(gateway: &Gateway) -> Self {
        let socket = TcpStream::connect(address(gateway)).await;
        Self::over(socket.expect("it listens"))
    }

    /// One that has little room for what it does not read.
    pub(super) async fn connect_narrow(gateway: &Gateway) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        let socket = socket.connect(address(gateway)).await;
        Self::over(socket.expect("it listens"))
    }

    fn over(socket: TcpStream) -> Self {
        Self {
            socket,
            read: Vec::new(),
        }
    }

    /// Sends as much as is taken: the other end may close at any time.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(PATIENCE, self.socket.write_all(bytes)).await;
        matches!(sent, Ok(Ok(())))
    }

    /// The next answer, or none where the connection ends before it is whole.
    pub(super) async fn reply(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.take() {
                return Some(reply);
            }
            let read = self.socket.read_buf(&mut self.read);
            let read = timeout(PATIENCE, read).await.expect("an answer or an end");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything until the connection ends.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        loop {
            let read = self.socket.read_buf(&mut self.read);
            let read = timeout(PATIENCE, read).await.expect("an end in time");
            if read.unwrap_or(0) == 0 {
                return std::mem::take(&mut self.read);
            }
        }
    }

    fn take(&mut self) -> Option<Reply> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a number"));
        if self.read.len() < end + length {
            return None;
        }
        let body = String::from_utf8_lossy(&self.read[end..end + length]).into_owned();
        self.read.drain(..end + length);
        let status = head[9..12].parse().expect("a status");
        Some(Reply { status, head, body })
    }
}

/// Where clients connect.
pub(super) fn address(gateway: &Gateway) -> SocketAddr {
    let (_, rest) = gateway.url.split_once("://").expect("an address");
    let (address, _) = rest.split_once('/').expect("a path");
    address.parse().expect("an address")
}

/// A whole POST of this body.
pub(super) fn post(body: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
