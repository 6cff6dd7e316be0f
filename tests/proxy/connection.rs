//! One connection through the proxy: what passes each way, and how it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Fault;
use crate::Shared;
use crate::Switched;
use crate::count::Calls;
use crate::frames;
use crate::frames::Frames;

/// The most that is read at once.
const CHUNK: usize = 64 * 1024;
/// How long a client that was told of the end may go on speaking.
const LAST_WORDS: Duration = Duration::from_secs(1);
const GARBAGE: &[u8] = b"\x00\xff\x13\x37 NO SUCH PROTOCOL secret-garbage \r\n\r\n\xde\xad";

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// With FIN, when all that was to be said is said.
    Closed,
    /// With RST.
    Reset,
    /// With bytes of no protocol.
    Garbled,
    /// With GOAWAY, or closed where that cannot be said.
    GoneAway { last: Option<u32> },
}

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let _open = Open::new(shared.clone());
    // The connection ends either way.
    drop(connection(&shared, client).await);
}

async fn connection(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut fault = Faults::of(shared);
    let (read, write) = client.into_split();
    let mut downward = Downward {
        faults: fault.clone(),
        to: write,
        sent: 0,
        frames: Frames::default(),
    };
    if fault.now() == Fault::Close {
        return end(Ending::Closed, read, &mut downward).await;
    }
    let upstream = TcpStream::connect(shared.upstream).await?;
    upstream.set_nodelay(true)?;
    let (replies, requests) = upstream.into_split();
    let mut upward = Upward {
        shared,
        faults: fault.clone(),
        from: read,
        to: requests,
        calls: Calls::new(),
    };
    let (come, coming) = mpsc::unbounded_channel();
    let ending = tokio::select! {
        ending = upward.run() => ending,
        ending = downward.run(shared, coming) => ending,
        ending = receive(replies, come) => ending,
        ending = fault.cut() => Ok(ending),
    };
    end(ending?, upward.from, &mut downward).await
}

async fn end(ending: Ending, mut from: OwnedReadHalf, down: &mut Downward) -> io::Result<()> {
    match ending {
        Ending::Reset => return from.as_ref().set_zero_linger(),
        Ending::Garbled => down.to.write_all(GARBAGE).await?,
        Ending::GoneAway { last: Some(last) } if down.frames.is_between() => {
            if down.sent == 0 {
                down.to.write_all(&frames::settings()).await?;
            }
            down.to.write_all(&frames::goaway(last)).await?;
        }
        Ending::Closed | Ending::GoneAway { .. } => {}
    }
    down.to.shutdown().await?;
    // What is left unread would turn the end into a reset.
    let mut rest = vec![0; CHUNK];
    let last_words = async { while from.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    drop(tokio::time::timeout(LAST_WORDS, last_words).await);
    Ok(())
}

/// The fault as one connection meets it.
#[derive(Clone)]
struct Faults {
    switched: watch::Receiver<Switched>,
    /// Which fault was on when the connection began.
    born: u64,
    /// The connection never speaks again.
    dead: bool,
}

impl Faults {
    fn of(shared: &Shared) -> Self {
        let switched = shared.fault.subscribe();
        let born = switched.borrow().number;
        Self {
            switched,
            born,
            dead: false,
        }
    }

    fn now(&mut self) -> Fault {
        let switched = *self.switched.borrow_and_update();
        self.dead = switched.silenced > self.born;
        switched.fault
    }

    /// Returns as soon as something may pass.
    async fn passable(&mut self) -> Fault {
        loop {
            let fault = self.now();
            if self.dead {
                std::future::pending::<()>().await;
            }
            if fault != Fault::BlackHole {
                return fault;
            }
            self.changed().await;
        }
    }

    async fn changed(&mut self) {
        if self.switched.changed().await.is_err() {
            // The proxy is gone, and this connection with it.
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the fault ends connections.
    async fn cut(&mut self) -> Ending {
        loop {
            match self.now() {
                Fault::Refuse => return Ending::Reset,
                Fault::Close => return Ending::Closed,
                _ => self.changed().await,
            }
        }
    }
}

/// From the client to the service.
struct Upward<'a> {
    shared: &'a Shared,
    faults: Faults,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    calls: Calls,
}

impl Upward<'_> {
    async fn run(&mut self) -> io::Result<Ending> {
        let mut bytes = vec![0; CHUNK];
        loop {
            let read = self.from.read(&mut bytes).await?;
            if read == 0 {
                return Ok(Ending::Closed);
            }
            let began = self.calls.follow(&bytes[..read]);
            let counters = &self.shared.counters;
            counters.requests.fetch_add(began.calls, Ordering::Relaxed);
            counters.bytes_up.fetch_add(read as u64, Ordering::Relaxed);
            match self.faults.passable().await {
                Fault::Reset if self.asks(began.calls) => return Ok(Ending::Reset),
                Fault::Garbage => return Ok(Ending::Garbled),
                Fault::GoAway { .. } if !self.is_http2() => return Ok(Ending::Closed),
                Fault::GoAway { taken } if began.calls > 0 => {
                    let before = if taken { 0 } else { 2 };
                    let last = began.stream.map(|stream| stream.saturating_sub(before));
                    return Ok(Ending::GoneAway { last });
                }
                _ => self.to.write_all(&bytes[..read]).await?,
            }
        }
    }

    /// Whether something is asked. HTTP/2 begins with words that ask nothing.
    fn asks(&self, calls: u64) -> bool {
        calls > 0 || !self.is_http2()
    }

    fn is_http2(&self) -> bool {
        matches!(self.calls, Calls::Http2(_))
    }
}

/// Takes replies from the service as they come, so that a delay of one delays no other.
async fn receive(
    mut from: OwnedReadHalf,
    come: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
) -> io::Result<Ending> {
    loop {
        let mut bytes = vec![0; CHUNK];
        let read = from.read(&mut bytes).await?;
        bytes.truncate(read);
        if read == 0 || come.send((Instant::now(), bytes)).is_err() {
            break;
        }
    }
    // What has come is still to be passed on: that ends the connection.
    drop(come);
    std::future::pending().await
}

/// From the service to the client.
struct Downward {
    faults: Faults,
    to: OwnedWriteHalf,
    /// Bytes that were passed on.
    sent: usize,
    frames: Frames,
}

impl Downward {
    async fn run(
        &mut self,
        shared: &Shared,
        mut coming: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    ) -> io::Result<Ending> {
        let mut truncated = 0;
        while let Some((came, bytes)) = coming.recv().await {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let fault = self.faults.passable().await;
                let (most, pause) = match fault {
                    Fault::Drip { bytes, every } => (bytes, every),
                    Fault::Delay(late) => (rest.len(), (came + late) - Instant::now()),
                    Fault::Truncate { after } if truncated >= after => return Ok(Ending::Closed),
                    Fault::Truncate { after } => (after - truncated, Duration::ZERO),
                    _ => (rest.len(), Duration::ZERO),
                };
                if !pause.is_zero() && self.is_over_before(pause).await {
                    continue;
                }
                let sent = self.to.write(&rest[..most.min(rest.len())]).await?;
                self.sent += sent;
                self.frames.follow(&rest[..sent], |_| ());
                shared
                    .counters
                    .bytes_down
                    .fetch_add(sent as u64, Ordering::Relaxed);
                if matches!(fault, Fault::Truncate { .. }) {
                    truncated += sent;
                }
                rest = &rest[sent..];
            }
        }
        Ok(Ending::Closed)
    }

    /// Whether the fault changes before a pause is over.
    async fn is_over_before(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.faults.changed())
            .await
            .is_ok()
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}
