//! A client that speaks WebSocket by hand, so that it can also speak it badly.
//! <https://www.rfc-editor.org/rfc/rfc6455>

use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::binary::Gateway;
use super::raw::address;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// An open socket.
pub(super) struct WebSocket {
    socket: TcpStream,
    read: Vec<u8>,
    /// Times that the gateway has asked whether we are there.
    pub(super) pings: usize,
    /// Whether it is told so.
    pub(super) answers_pings: bool,
}

/// What came.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    Message(Json),
    Closed(u16, String),
    /// The connection ended without a word.
    Lost,
}

impl WebSocket {
    /// Over the newer protocol, begun and acknowledged.
    pub(super) async fn ready(gateway: &Gateway) -> Self {
        let mut socket = Self::open(gateway, "graphql-transport-ws", "").await;
        socket.say(&json!({ "type": "connection_init" })).await;
        socket.hears(json!({ "type": "connection_ack" })).await;
        socket
    }

    pub(super) async fn open(gateway: &Gateway, protocol: &str, headers: &str) -> Self {
        let (socket, head) = Self::try_open(gateway, protocol, headers).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        assert!(
            head.contains(&format!("sec-websocket-protocol: {protocol}\r\n")),
            "{head}"
        );
        socket
    }

    /// The socket, and the head of the answer to its handshake.
    pub(super) async fn try_open(
        gateway: &Gateway,
        protocol: &str,
        headers: &str,
    ) -> (Self, String) {
        let socket = TcpStream::connect(address(gateway)).await;
        let mut socket = Self {
            socket: socket.expect("it listens"),
            read: Vec::new(),
            pings: 0,
            answers_pings: true,
        };
        let handshake = format!(
            "GET /graphql HTTP/1.1\r\nhost: gateway.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {protocol}\r\n{headers}\r\n"
        );
        let sent = socket.socket.write_all(handshake.as_bytes()).await;
        sent.expect("it is taken");
        let end = loop {
            let found = socket.read.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(at) => break at + 4,
                None => assert!(socket.more().await, "the handshake is answered"),
            }
        };
        let head = String::from_utf8_lossy(&socket.read[..end]).into_owned();
        socket.read.drain(..end);
        (socket, head)
    }

    pub(super) async fn say(&mut self, message: &Json) {
        self.frame(TEXT, message.to_string().as_bytes()).await;
    }

    pub(super) async fn say_text(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes()).await;
    }

    pub(super) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.frame(BINARY, bytes).await;
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({ "query": query });
        self.say(&json!({ "id": id, "type": "subscribe", "payload": payload }))
            .await;
    }

    /// Masked, as a client's frames are; the mask is zeros.
    async fn frame(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        // The other end may have closed already.
        drop(timeout(PATIENCE, self.socket.write_all(&frame)).await);
    }

    /// The next message that must be this one.
    pub(super) async fn hears(&mut self, expected: Json) {
        assert_eq!(self.next().await, Came::Message(expected));
    }

    /// The next message of this type; with its payload.
    pub(super) async fn payload(&mut self, kind: &str, id: &str) -> Json {
        match self.next().await {
            Came::Message(mut message) if message["type"] == kind && message["id"] == id => {
                message["payload"].take()
            }
            other => panic!("{kind} of {id} was expected: {other:?}"),
        }
    }

    /// What comes next. Pings are answered on the way.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match self.take() {
                Some((TEXT, payload)) => {
                    return Came::Message(serde_json::from_slice(&payload).expect("JSON"));
                }
                Some((CLOSE, payload)) => {
                    let code = payload
                        .get(..2)
                        .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                    let reason = payload.get(2..).unwrap_or_default();
                    self.frame(CLOSE, &payload).await;
                    return Came::Closed(code, String::from_utf8_lossy(reason).into_owned());
                }
                Some((PING, payload)) => {
                    self.pings += 1;
                    if self.answers_pings {
                        self.frame(PONG, &payload).await;
                    }
                }
                Some((kind, _)) => panic!("a frame of kind {kind}"),
                None if !self.more().await => return Came::Lost,
                None => {}
            }
        }
    }

    pub(super) async fn closed(&mut self) -> u16 {
        match self.next().await {
            Came::Closed(code, _) => code,
            other => panic!("it is not closed: {other:?}"),
        }
    }

    async fn more(&mut self) -> bool {
        let read = self.socket.read_buf(&mut self.read);
        let read = timeout(PATIENCE, read).await.expect("something in time");
        read.unwrap_or(0) > 0
    }

    /// A whole frame, where there is one. The gateway masks none and splits none.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.read.first()?, *self.read.get(1)?);
        assert_eq!(first & 0x80, 0x80, "frames are whole");
        let (length, at) = match second {
            126 => {
                let length = self.read.get(2..4)?;
                (u64::from(u16::from_be_bytes(length.try_into().ok()?)), 4)
            }
            127 => (
                u64::from_be_bytes(self.read.get(2..10)?.try_into().ok()?),
                10,
            ),
            length => (u64::from(length), 2),
        };
        let end = at + usize::try_from(length).ok()?;
        let payload = self.read.get(at..end)?.to_vec();
        self.read.drain(..end);
        Some((first & 0xf, payload))
    }
}
