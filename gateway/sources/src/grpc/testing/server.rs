//! A gRPC server that answers as a test says, well or badly.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::BufMut;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) message: Bytes,
}

/// How a call is answered.
pub(crate) enum Answer {
    /// Messages, then OK.
    Messages(Vec<Vec<u8>>),
    /// One message over and over.
    Endless(Vec<u8>),
    /// One message, and then this status.
    MessageThen(Vec<u8>, Status),
    /// This header, a message, then OK.
    Told(&'static str, &'static str, Vec<u8>),
    /// A status and nothing else.
    Status(Status),
    /// A body and no trailers, as a proxy would answer.
    Http(u16, &'static str, Vec<u8>),
    /// What stands before the service asks to come back later: a status, and `Retry-After`.
    Busy(u16, &'static str),
    /// No answer.
    Hang,
}

type Handler = dyn Fn(&Call) -> Answer + Send + Sync;

/// A server on a port of its own, until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Streams that were given up by the caller.
    abandoned: watch::Receiver<usize>,
    _running: watch::Sender<()>,
}

impl Upstream {
    /// Serves from now on.
    pub(crate) fn start(handler: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = incoming.local_addr().unwrap();
        let (running, mut stopped) = watch::channel(());
        let (abandon, abandoned) = watch::channel(0);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let served = Served {
            handler: Arc::new(handler),
            calls: calls.clone(),
            abandon: Arc::new(abandon),
        };
        let service = tower::service_fn(move |request| served.clone().answer(request));
        tokio::spawn(async move {
            let stop = async move { drop(stopped.changed().await) };
            Server::builder()
                .serve_with_incoming_shutdown(service, incoming, stop)
                .await
                .unwrap();
        });
        Self {
            address,
            calls,
            abandoned,
            _running: running,
        }
    }

    /// The server's address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The calls that have arrived.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Returns when a stream was given up.
    pub(crate) async fn abandoned(&mut self) {
        self.abandoned.wait_for(|count| *count > 0).await.unwrap();
    }
}

#[derive(Clone)]
struct Served {
    handler: Arc<Handler>,
    calls: Arc<Mutex<Vec<Call>>>,
    abandon: Arc<watch::Sender<usize>>,
}

impl Served {
    async fn answer(
        self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let call = Call {
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            message: body.slice(5..),
        };
        let answer = (self.handler)(&call);
        self.calls.lock().unwrap().push(call);
        Ok(match answer {
            Answer::Messages(messages) => streamed(messages, &Status::ok("")),
            Answer::Told(name, value, message) => {
                let mut told = streamed(vec![message], &Status::ok(""));
                told.headers_mut().insert(name, value.parse().unwrap());
                told
            }
            Answer::MessageThen(message, status) => streamed(vec![message], &status),
            Answer::Status(status) => status.into_http(),
            Answer::Endless(message) => self.endless(message),
            Answer::Http(status, content_type, body) => plain(status, content_type, body),
            Answer::Busy(status, wait) => {
                let mut busy = plain(status, "text/plain", Vec::new());
                let headers = busy.headers_mut();
                headers.insert("retry-after", wait.parse().unwrap());
                busy
            }
            Answer::Hang => std::future::pending().await,
        })
    }

    fn endless(&self, message: Vec<u8>) -> http::Response<Body> {
        let guard = Abandoned(self.abandon.clone());
        let frames = stream::repeat_with(move || {
            let _ = &guard;
            Ok::<_, Infallible>(Frame::data(framed(&message)))
        });
        grpc(Body::new(StreamBody::new(frames)))
    }
}

struct Abandoned(Arc<watch::Sender<usize>>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

fn streamed(messages: Vec<Vec<u8>>, status: &Status) -> http::Response<Body> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let data =
        stream::iter(messages).map(|message| Ok::<_, Infallible>(Frame::data(framed(&message))));
    let end = stream::once(async move { Ok(Frame::trailers(trailers)) });
    grpc(Body::new(StreamBody::new(data.chain(end))))
}

fn plain(status: u16, content_type: &str, body: Vec<u8>) -> http::Response<Body> {
    let frame = stream::once(async move { Ok::<_, Infallible>(Frame::data(Bytes::from(body))) });
    let mut response = http::Response::new(Body::new(StreamBody::new(frame)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
        .headers_mut()
        .insert("content-type", content_type.parse().unwrap());
    response
}

fn grpc(body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    response
        .headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    response
}

/// A message with its five bytes of prefix.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.into()
}
