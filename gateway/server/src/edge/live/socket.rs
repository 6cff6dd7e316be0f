//! One WebSocket, from its first message to its last.
//!
//! Owns the order in which things that happen are looked at, the times after
//! which a client is given up, and the operations that run. What is said is
//! decided in [`super::conversation`]. One task reads and writes: a client
//! that takes nothing is read from no further either, and is cut after the
//! time that any client has for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use futures_util::stream;
use futures_util::stream::SelectAll;
use futures_util::stream::Stream;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval_at;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::super::connections::Lasting;
use super::super::problem::Kind;
use super::client::Client;
use super::conversation::Act;
use super::conversation::Close;
use super::conversation::Conversation;
use super::conversation::Dialect;
use super::operation::Operation;
use super::operation::Told;
use crate::config::OnReload;
use crate::config::Subscriptions;
use crate::observe::metrics::OpenSocket;

/// Between two looks at whether the client's credentials are still good.
pub(super) const RECHECK: Duration = Duration::from_secs(5);
/// For the client to close, once it was told to.
const FAREWELL: Duration = Duration::from_secs(2);
/// Times that a client is asked whether it is there before it is given up.
const SILENT: u32 = 2;
/// Bytes read at once. Many sockets are open that say little.
const READ: usize = 4 * 1024;
/// Bytes that may wait to be written beside the largest message.
const WRITE: usize = 8 * 1024;

/// Talks to a client until one of both has had enough.
pub(super) async fn converse(
    upgraded: Upgraded,
    dialect: Dialect,
    client: Arc<Client>,
    lasting: Lasting,
    settings: Subscriptions,
) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(Some(settings.message))
        .max_frame_size(Some(settings.message));
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let _open = OpenSocket::begin(&client.gateway.metrics);
    let talk = Talk {
        conversation: Conversation::new(dialect, settings.per_socket),
        replaced: client.gateway.replacements(),
        operations: Operations::default(),
        silent: 0,
        socket,
        client,
        lasting,
        settings,
    };
    talk.run().await;
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A socket and everything that goes on over it.
struct Talk {
    socket: Socket,
    conversation: Conversation,
    client: Arc<Client>,
    operations: Operations,
    lasting: Lasting,
    replaced: watch::Receiver<()>,
    settings: Subscriptions,
    /// Times in a row that the client was asked whether it is there.
    silent: u32,
}

/// What happens next.
enum Happens {
    Heard(Option<Result<Message, Error>>),
    Told(String, Option<Told>),
    /// Time to say that we are there.
    Beat,
    /// Time to look whether the client's credentials are still good.
    Recheck,
    Closes(Close),
    /// The client takes nothing.
    Cut,
}

/// The conversation is over.
struct Over;

impl Talk {
    async fn run(mut self) {
        let begun = Instant::now();
        let init = begun + self.settings.init_timeout;
        let mut beat = every(self.settings.keep_alive);
        let mut recheck = every(RECHECK);
        loop {
            let happens = tokio::select! {
                biased;
                () = self.lasting.cut() => Happens::Cut,
                () = self.lasting.told_to_end() => {
                    Happens::Closes(Close::new(Close::GOING_AWAY, "Going away"))
                }
                _ = self.replaced.changed(), if self.settings.on_reload == OnReload::End => {
                    Happens::Closes(Close::new(Close::RESTART, "Another graph is in service"))
                }
                () = tokio::time::sleep_until(init), if !self.conversation.is_ready() => {
                    Happens::Closes(Close::init_timeout())
                }
                _ = beat.tick() => Happens::Beat,
                _ = recheck.tick() => Happens::Recheck,
                heard = self.socket.next() => Happens::Heard(heard),
                Some((id, told)) = self.operations.next() => Happens::Told(id, told),
            };
            if self.follow(happens).await.is_err() {
                return;
            }
        }
    }

    async fn follow(&mut self, happens: Happens) -> Result<(), Over> {
        match happens {
            Happens::Cut => Err(Over),
            Happens::Closes(close) => self.close(close).await,
            Happens::Beat => self.beat().await,
            Happens::Recheck => self.recheck().await,
            Happens::Told(id, told) => {
                let acts = self.conversation.tells(&id, told);
                self.act(acts).await
            }
            Happens::Heard(None) => Err(Over),
            Happens::Heard(Some(heard)) => {
                self.silent = 0;
                self.hear(heard).await
            }
        }
    }

    async fn hear(&mut self, heard: Result<Message, Error>) -> Result<(), Over> {
        let acts = match heard {
            Ok(Message::Text(text)) => self.conversation.hears(&text),
            Ok(Message::Binary(_)) => self.conversation.hears(""),
            // Pings are answered by the implementation, and what is left is no message.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Vec::new(),
            Ok(Message::Close(_)) => return Err(self.farewell().await),
            Err(Error::Capacity(_)) => {
                vec![Act::Close(Close::new(
                    Close::TOO_BIG,
                    "The message is too long",
                ))]
            }
            Err(error) => {
                tracing::debug!(%error, "a socket ended early");
                return Err(Over);
            }
        };
        self.act(acts).await
    }

    async fn act(&mut self, acts: Vec<Act>) -> Result<(), Over> {
        for act in acts {
            match act {
                Act::Send(text) => self.send(Message::text(text)).await?,
                Act::Stop(id) => self.operations.stop(&id),
                Act::Begin { id, payload } => {
                    let operation = Operation::of_socket(self.client.clone(), payload);
                    self.operations
                        .begin(id, operation.begin(self.settings.buffer));
                }
                Act::Close(close) => return self.close(close).await,
                Act::Verify(payload) => {
                    let client = self.client.with(&payload, &self.settings.init_headers);
                    self.client = Arc::new(client);
                    let acts = self.verify().await;
                    // Boxed, since what follows may act again.
                    Box::pin(self.act(acts)).await?;
                }
            }
        }
        Ok(())
    }

    /// Whose credentials came, within the time that a client has to say so.
    async fn verify(&mut self) -> Vec<Act> {
        let graph = self.client.gateway.graph.load_full();
        let deadline = Instant::now() + self.settings.init_timeout;
        match self.client.principal(&graph, deadline).await {
            Ok(_) => self.conversation.accepts(),
            Err(problem) if problem.kind() == Kind::Unauthenticated => {
                self.conversation.rejects(Close::forbidden())
            }
            Err(problem) => {
                let close = Close::new(Close::TRY_AGAIN, problem.detail());
                self.conversation.rejects(close)
            }
        }
    }

    async fn beat(&mut self) -> Result<(), Over> {
        if self.silent >= SILENT {
            tracing::debug!("a client is silent: its socket is given up");
            return Err(Over);
        }
        self.silent += 1;
        self.send(Message::Ping(Default::default())).await?;
        let acts = self.conversation.keep_alive();
        self.act(acts.into_iter().collect()).await
    }

    async fn recheck(&mut self) -> Result<(), Over> {
        match self.conversation.is_ready() && self.client.is_denied().await {
            true => self.close(Close::forbidden()).await,
            false => Ok(()),
        }
    }

    /// Over where the client takes nothing.
    async fn send(&mut self, message: Message) -> Result<(), Over> {
        tokio::select! {
            biased;
            () = self.lasting.cut() => Err(Over),
            sent = self.socket.send(message) => sent.map_err(|_| Over),
        }
    }

    /// Says why, and lets the client close: its last messages would otherwise undo ours.
    async fn close(&mut self, close: Close) -> Result<(), Over> {
        self.operations = Operations::default();
        let frame = CloseFrame {
            code: close.code.into(),
            reason: close.reason.into(),
        };
        self.send(Message::Close(Some(frame))).await?;
        Err(self.farewell().await)
    }

    async fn farewell(&mut self) -> Over {
        let silence = async { while let Some(Ok(_)) = self.socket.next().await {} };
        // Whoever does not close in time is cut off.
        let _ = tokio::time::timeout(FAREWELL, silence).await;
        Over
    }
}

fn every(period: Duration) -> Interval {
    let mut every = interval_at(Instant::now() + period, period);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

/// What one operation tells, under its id; nothing at its end.
type Telling = Pin<Box<dyn Stream<Item = (String, Option<Told>)> + Send>>;

/// The operations that run.
#[derive(Default)]
struct Operations {
    tell: SelectAll<Telling>,
    /// Dropped, an operation ends.
    run: HashMap<String, oneshot::Sender<()>>,
}

impl Operations {
    fn begin(&mut self, id: String, told: mpsc::Receiver<Told>) {
        let (run, stopped) = oneshot::channel();
        self.run.insert(id.clone(), run);
        let told = stream::unfold(told, |mut told| async {
            let next = told.recv().await?;
            Some((Some(next), told))
        });
        let told = told.chain(stream::iter([None])).take_until(stopped);
        let named = told.map(move |told| (id.clone(), told));
        self.tell.push(Box::pin(named));
    }

    fn stop(&mut self, id: &str) {
        self.run.remove(id);
    }

    /// Waits for as long as there are none.
    async fn next(&mut self) -> Option<(String, Option<Told>)> {
        match self.tell.next().await {
            None => std::future::pending().await,
            Some((id, told)) => {
                if told.is_none() {
                    self.run.remove(&id);
                }
                Some((id, told))
            }
        }
    }
}
