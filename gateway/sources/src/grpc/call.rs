//! One call: a message out, one message or a bounded stream back.
//!
//! Owns making the call on a connection and telling apart how it failed: what
//! the service said, what the way there did, and what is no gRPC at all.
//! Knows nothing of shapes, clients or what a failure means to them.

use std::error::Error;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::uri::PathAndQuery;
use http_body::Frame;
use http_body_util::BodyExt;
use tonic::Code;
use tonic::ConnectError;
use tonic::Extensions;
use tonic::Request;
use tonic::Status;
use tonic::Streaming;
use tonic::TimeoutExpired;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tower::Service;

use super::codec::Passed;
use crate::calls;
use crate::failure::is_refused_stream;
use crate::peers::Peers;
use crate::retry_after::retry_after;

/// The header and trailer that says how a call ended.
const GRPC_STATUS: &str = "grpc-status";

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// `/package.Service/Method`.
    pub(super) path: PathAndQuery,
    pub(super) metadata: HeaderMap,
    pub(super) message: Bytes,
    /// How many messages to read: one, or the bound of a stream.
    pub(super) take: Take,
    /// The largest reply, all messages together.
    pub(super) max_bytes: usize,
    /// Whether anybody wants to know what comes before the messages.
    pub(super) wants_metadata: bool,
}

/// How many messages a call's reply has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Take {
    /// Exactly one.
    One,
    /// As many as come, up to this; then the stream is cancelled.
    UpTo(u32),
}

/// What came back: every message in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(super) bytes: Bytes,
    pub(super) messages: Vec<Range<usize>>,
    /// What came before them, where it is wanted.
    pub(super) metadata: Option<Arc<HeaderMap>>,
}

impl Incoming {
    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.messages.len() * size_of::<Range<usize>>()
    }
}

/// How a call failed. The texts are for the log.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered with a status; whether headers of an answer came before it.
    Status(Box<Status>, bool),
    /// Nothing was sent.
    Unreachable(String),
    /// The service said that it did not look at it.
    Unprocessed(String),
    /// The connection broke; the service may have done its work. Whether headers of an answer had come.
    Broken(String, bool),
    /// An answer with this HTTP status and no gRPC status, and how long it asks to wait.
    Http(u16, Option<Duration>),
    /// The answer is not gRPC as it should be.
    NotGrpc(String),
    /// The answer is larger than accepted.
    TooLarge,
    /// The time that the call itself carried was over.
    TimedOut,
}

/// Makes a call on the first address that can be connected to.
pub(super) async fn call(
    peers: &Arc<Peers<Channel>>,
    outgoing: &Outgoing,
) -> Result<Incoming, Failure> {
    let mut gone = Vec::new();
    loop {
        let picked = peers.pick(calls::now(), &gone).await;
        let picked = picked.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let answer = call_on(picked.transport().clone(), outgoing).await;
        gone.push(picked.address());
        if !matches!(answer, Err(Failure::Unreachable(_))) || !peers.has_other(&gone) {
            return answer;
        }
    }
}

/// Makes a call on a connection.
pub(super) async fn call_on(channel: Channel, outgoing: &Outgoing) -> Result<Incoming, Failure> {
    let seen = Arc::new(Seen::default());
    let watched = Watched {
        channel,
        seen: seen.clone(),
    };
    let exchanged = exchange(watched, outgoing).await;
    exchanged.map_err(|failed| failed.told(&seen))
}

/// A failure before it is known who caused it.
enum Failed {
    Status(Box<Status>),
    Other(Failure),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Failed::Status(Box::new(status))
    }
}

/// A stream of messages that is read as they come. Dropping it cancels the call.
pub(super) struct Listening {
    stream: Streaming<Bytes>,
    seen: Arc<Seen>,
}

/// Makes a call on a connection whose messages are to be read one by one.
pub(super) async fn listen(channel: Channel, outgoing: &Outgoing) -> Result<Listening, Failure> {
    let seen = Arc::new(Seen::default());
    let watched = Watched {
        channel,
        seen: seen.clone(),
    };
    match begin(watched, outgoing).await {
        Ok((_, stream)) => Ok(Listening { stream, seen }),
        Err(failed) => Err(failed.told(&seen)),
    }
}

impl Listening {
    /// The next message; none at the stream's end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let message = self.stream.message().await;
        message.map_err(|status| self.seen.failure(status))
    }
}

impl Failed {
    fn told(self, seen: &Seen) -> Failure {
        match self {
            Failed::Status(status) => seen.failure(*status),
            Failed::Other(failure) => failure,
        }
    }
}

async fn exchange(watched: Watched, outgoing: &Outgoing) -> Result<Incoming, Failed> {
    let (metadata, mut stream) = begin(watched, outgoing).await?;
    let incoming = match outgoing.take {
        Take::One => only_message(&mut stream).await?,
        Take::UpTo(limit) => messages(&mut stream, limit, outgoing.max_bytes).await?,
    };
    let wanted = outgoing.wants_metadata;
    Ok(Incoming {
        metadata: wanted.then(|| Arc::new(metadata.into_headers())),
        ..incoming
    })
}

/// The call's metadata, and its messages to be read.
async fn begin(
    watched: Watched,
    outgoing: &Outgoing,
) -> Result<(MetadataMap, Streaming<Bytes>), Failed> {
    let mut grpc = Grpc::new(watched)
        .max_decoding_message_size(outgoing.max_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    grpc.ready()
        .await
        .map_err(|error| Failed::Other(Failure::Unreachable(chain(&error))))?;
    let metadata = MetadataMap::from_headers(outgoing.metadata.clone());
    let request = Request::from_parts(metadata, Extensions::default(), outgoing.message.clone());
    let codec = Passed::new(outgoing.message.len());
    let response = grpc
        .server_streaming(request, outgoing.path.clone(), codec)
        .await?;
    let (metadata, stream, _) = response.into_parts();
    Ok((metadata, stream))
}

async fn only_message(stream: &mut Streaming<Bytes>) -> Result<Incoming, Failed> {
    let first = stream.message().await?;
    let Some(bytes) = first else {
        return Err(Failed::Other(Failure::NotGrpc(
            "the reply has no message".to_owned(),
        )));
    };
    // The status comes after the message.
    if stream.message().await?.is_some() {
        return Err(Failed::Other(Failure::NotGrpc(
            "the reply has more than one message".to_owned(),
        )));
    }
    let whole = 0..bytes.len();
    Ok(Incoming {
        bytes,
        messages: vec![whole],
        metadata: None,
    })
}

/// Leaving the stream before its end cancels it.
async fn messages(
    stream: &mut Streaming<Bytes>,
    limit: u32,
    max_bytes: usize,
) -> Result<Incoming, Failed> {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    while messages.len() < limit as usize {
        let Some(message) = stream.message().await? else {
            break;
        };
        let start = buffer.len();
        if start + message.len() > max_bytes {
            return Err(Failed::Other(Failure::TooLarge));
        }
        buffer.extend_from_slice(&message);
        messages.push(start..buffer.len());
    }
    Ok(Incoming {
        bytes: buffer.freeze(),
        messages,
        metadata: None,
    })
}

/// What passed by on the way: tonic reports its own findings in the same type as the service's.
#[derive(Debug, Default)]
struct Seen {
    /// 0 before the answer's head.
    http_status: AtomicU16,
    grpc_status: AtomicBool,
    /// Whether the head came without the status: an answer had begun.
    begun: AtomicBool,
    /// Of a head that is none of gRPC's.
    retry_after: OnceLock<Duration>,
}

impl Seen {
    fn head(&self, status: http::StatusCode, headers: &HeaderMap) {
        self.http_status.store(status.as_u16(), Ordering::Relaxed);
        self.trailers(headers);
        if status != http::StatusCode::OK
            && let Some(wait) = retry_after(headers)
        {
            self.retry_after.get_or_init(|| wait);
        }
        let begun = !self.grpc_status.load(Ordering::Relaxed);
        self.begun.store(begun, Ordering::Relaxed);
    }

    fn trailers(&self, headers: &HeaderMap) {
        if headers.contains_key(GRPC_STATUS) {
            self.grpc_status.store(true, Ordering::Relaxed);
        }
    }

    fn failure(&self, status: Status) -> Failure {
        let begun = self.begun.load(Ordering::Relaxed);
        if self.grpc_status.load(Ordering::Relaxed) {
            return Failure::Status(Box::new(status), begun);
        }
        if let Some(source) = status.source() {
            return transport_failure(source, begun);
        }
        match self.http_status.load(Ordering::Relaxed) {
            0 | 200 => match status.code() {
                // tonic's own findings about a message that is too long, as it is or decompressed.
                Code::OutOfRange | Code::ResourceExhausted => Failure::TooLarge,
                _ => Failure::NotGrpc(status.message().to_owned()),
            },
            other => Failure::Http(other, self.retry_after.get().copied()),
        }
    }
}

fn transport_failure(error: &(dyn Error + 'static), begun: bool) -> Failure {
    if is_refused_stream(error) {
        return Failure::Unprocessed(chain(error));
    }
    let kind = causes(error).find_map(|cause| match () {
        () if cause.is::<ConnectError>() => Some(Failure::Unreachable(chain(error))),
        () if cause.is::<TimeoutExpired>() => Some(Failure::TimedOut),
        () => None,
    });
    kind.unwrap_or_else(|| Failure::Broken(chain(error), begun))
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        (*error).source()
    })
}

/// A channel that notes what passes by.
#[derive(Clone)]
struct Watched {
    channel: Channel,
    seen: Arc<Seen>,
}

type Answer =
    Pin<Box<dyn Future<Output = Result<http::Response<Body>, tonic::transport::Error>> + Send>>;

impl Service<http::Request<Body>> for Watched {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let answer = self.channel.call(request);
        let seen = self.seen.clone();
        Box::pin(async move {
            let answer = answer.await?;
            seen.head(answer.status(), answer.headers());
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame: Frame<Bytes>| {
                    if let Some(trailers) = frame.trailers_ref() {
                        seen.trailers(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tls;
    use crate::grpc::channel;
    use crate::grpc::channel::Dial;
    use crate::grpc::testing::server::Answer as Answered;
    use crate::grpc::testing::server::Upstream;
    use crate::grpc::testing::server::framed;
    use crate::peers::Address;
    use crate::peers::PeerSettings;
    use crate::peers::SystemResolver;
    use crate::tls::testing::Authority;

    const LIMIT: usize = 1024;

    const USUAL: PeerSettings = PeerSettings {
        lookup: Duration::from_secs(2),
        eject_after: 5,
        max_age: None,
    };

    fn connections(url: &str) -> Arc<Peers<Channel>> {
        let dial = Dial {
            timeout: Duration::from_secs(2),
            tls: Tls::default(),
        };
        with_dial(url, dial)
    }

    fn with_dial(url: &str, dial: Dial) -> Arc<Peers<Channel>> {
        let address = Address::parse(url).unwrap();
        channel::peers(address, dial, USUAL, Arc::new(SystemResolver))
    }

    fn outgoing(take: Take) -> Outgoing {
        let mut metadata = HeaderMap::new();
        metadata.insert("x-tenant", "seven".parse().unwrap());
        Outgoing {
            path: PathAndQuery::from_static("/test.Things/Get"),
            metadata,
            message: Bytes::from_static(b"question"),
            take,
            max_bytes: LIMIT,
            wants_metadata: false,
        }
    }

    async fn asked(url: &str, take: Take) -> Result<Incoming, Failure> {
        call(&connections(url), &outgoing(take)).await
    }

    async fn answered(
        take: Take,
        answer: impl Fn() -> Answered + Send + Sync + 'static,
    ) -> Result<Incoming, Failure> {
        let upstream = Upstream::start(move |_| answer());
        asked(&upstream.url(), take).await
    }

    fn texts(incoming: &Incoming) -> Vec<&[u8]> {
        incoming
            .messages
            .iter()
            .map(|range| &incoming.bytes[range.clone()])
            .collect()
    }

    /// A port on which nobody listens.
    fn closed_port() -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn a_message_goes_out_with_its_metadata_and_one_comes_back() {
        let upstream = Upstream::start(|_| Answered::Messages(vec![b"answer".to_vec()]));
        let incoming = asked(&upstream.url(), Take::One).await.unwrap();
        assert_eq!(texts(&incoming), [b"answer"]);
        let [call] = &upstream.calls()[..] else {
            panic!("one call was made")
        };
        assert_eq!(call.path, "/test.Things/Get");
        assert_eq!(&call.message[..], b"question");
        assert_eq!(call.headers["x-tenant"], "seven");
        assert_eq!(call.headers["te"], "trailers");
        assert!(
            call.headers["user-agent"]
                .to_str()
                .unwrap()
                .starts_with("switchboard/")
        );
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end_into_one_buffer() {
        let messages = || Answered::Messages(vec![b"a".to_vec(), Vec::new(), b"bc".to_vec()]);
        let incoming = answered(Take::UpTo(10), messages).await.unwrap();
        assert_eq!(texts(&incoming), [&b"a"[..], b"", b"bc"]);
        let none = answered(Take::UpTo(10), || Answered::Messages(Vec::new()))
            .await
            .unwrap();
        assert_eq!(none, Incoming::default());
    }

    #[tokio::test]
    async fn a_stream_without_end_is_cancelled_at_the_bound() {
        // A long one, of which few are on the way when the reader stops.
        let again = vec![b'x'; LIMIT / 3];
        let sent = again.clone();
        let mut upstream = Upstream::start(move |_| Answered::Endless(sent.clone()));
        let incoming = asked(&upstream.url(), Take::UpTo(3)).await.unwrap();
        assert_eq!(texts(&incoming), [&again; 3]);
        upstream.abandoned().await;
    }

    #[tokio::test]
    async fn a_status_is_the_services_own_word_wherever_it_comes() {
        let refused = answered(Take::One, || {
            Answered::Status(Status::not_found("no such thing"))
        })
        .await;
        assert!(
            matches!(refused, Err(Failure::Status(status, _)) if status.message() == "no such thing")
        );
        let late = || Answered::MessageThen(b"half".to_vec(), Status::internal("then it failed"));
        for take in [Take::One, Take::UpTo(10)] {
            let failed = answered(take, late).await;
            assert!(
                matches!(failed, Err(Failure::Status(status, _)) if status.code() == Code::Internal)
            );
        }
        // Codes that tonic also uses for its own findings.
        let limited = answered(Take::One, || {
            Answered::Status(Status::resource_exhausted("slow down"))
        })
        .await;
        assert!(
            matches!(limited, Err(Failure::Status(status, _)) if status.code() == Code::ResourceExhausted)
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_not_grpc_is_told_from_a_status() {
        let page = |status| {
            move || Answered::Http(status, "text/html", b"<html>Bad gateway</html>".to_vec())
        };
        assert!(matches!(
            answered(Take::One, page(502)).await,
            Err(Failure::Http(502, None))
        ));
        assert!(matches!(
            answered(Take::One, page(200)).await,
            Err(Failure::NotGrpc(_))
        ));
        let no_status = || Answered::Http(200, "application/grpc", framed(b"answer").to_vec());
        assert!(matches!(
            answered(Take::One, no_status).await,
            Err(Failure::NotGrpc(_))
        ));
        let cut = || Answered::Http(200, "application/grpc", framed(b"answer")[..8].to_vec());
        assert!(matches!(
            answered(Take::One, cut).await,
            Err(Failure::NotGrpc(_))
        ));
        let none = || Answered::Messages(Vec::new());
        assert!(matches!(
            answered(Take::One, none).await,
            Err(Failure::NotGrpc(_))
        ));
        let two = || Answered::Messages(vec![b"a".to_vec(), b"b".to_vec()]);
        assert!(matches!(
            answered(Take::One, two).await,
            Err(Failure::NotGrpc(_))
        ));
    }

    #[tokio::test]
    async fn a_reply_beyond_the_limit_is_refused() {
        let large = || Answered::Messages(vec![vec![0; LIMIT + 1]]);
        assert!(matches!(
            answered(Take::One, large).await,
            Err(Failure::TooLarge)
        ));
        let many = || Answered::Messages(vec![vec![0; LIMIT / 2]; 3]);
        assert!(matches!(
            answered(Take::UpTo(10), many).await,
            Err(Failure::TooLarge)
        ));
        let just = || Answered::Messages(vec![vec![0; LIMIT / 2]; 2]);
        assert!(answered(Take::UpTo(10), just).await.is_ok());
    }

    #[tokio::test]
    async fn a_refused_connection_is_no_call() {
        let url = format!("http://127.0.0.1:{}", closed_port());
        assert!(matches!(
            asked(&url, Take::One).await,
            Err(Failure::Unreachable(_))
        ));
    }

    #[tokio::test]
    async fn a_service_without_tls_is_not_reached_over_https() {
        let upstream = Upstream::start(|_| Answered::Messages(vec![Vec::new()]));
        let url = upstream.url().replace("http:", "https:");
        assert!(matches!(
            asked(&url, Take::One).await,
            Err(Failure::Unreachable(_))
        ));
        assert!(upstream.calls().is_empty());
    }

    #[tokio::test]
    async fn two_addresses_share_the_load() {
        let [one, two] =
            [(); 2].map(|()| Upstream::start(|_| Answered::Messages(vec![Vec::new()])));
        let connections = connections(&format!("{},{}", one.url(), two.url()));
        for _ in 0..60 {
            call(&connections, &outgoing(Take::One)).await.unwrap();
        }
        let (one, two) = (one.calls().len(), two.calls().len());
        assert!(one > 5 && two > 5 && one + two == 60, "{one} and {two}");
    }

    #[tokio::test]
    async fn an_address_that_refuses_leaves_the_call_to_the_next() {
        let upstream = Upstream::start(|_| Answered::Messages(vec![Vec::new()]));
        let connections = connections(&format!(
            "http://127.0.0.1:{},{}",
            closed_port(),
            upstream.url()
        ));
        for _ in 0..4 {
            call(&connections, &outgoing(Take::One)).await.unwrap();
        }
        assert_eq!(upstream.calls().len(), 4);
    }

    #[tokio::test]
    async fn certificates_are_asked_for_and_shown_as_they_are_for_rest() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let (open, strict) = (ours.serve(false).await, ours.serve(true).await);
        let asked = async |url: &str, tls: Tls| {
            let dial = Dial {
                timeout: Duration::from_secs(20),
                tls,
            };
            match call(&with_dial(url, dial), &outgoing(Take::One)).await {
                Err(Failure::Status(status, _)) => Some(status.code()),
                _ => None,
            }
        };
        let answered = Some(Code::NotFound);
        let own = || ours.trusted(Some(ours.identity()));
        assert_eq!(asked(&open, ours.trusted(None)).await, answered);
        assert_eq!(asked(&open, theirs.trusted(None)).await, None);
        assert_eq!(asked(&open, Tls::default()).await, None);
        assert_eq!(asked(&strict, own()).await, answered);
        assert_eq!(asked(&strict, ours.trusted(None)).await, None);
        let strange = ours.trusted(Some(theirs.identity()));
        assert_eq!(asked(&strict, strange).await, None);
    }
}
