//! The floor program's connections to the upstream: kept alive, one request at a time on HTTP/1.1,
//! all requests on one HTTP/2 connection for gRPC. Knows nothing of what it carries.

use std::net::SocketAddr;
use std::sync::Mutex;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::grpc;

/// Idle connections, the one used last on top, since its buffers are warm.
pub(crate) struct Pool {
    address: SocketAddr,
    host: HeaderValue,
    idle: Mutex<Vec<http1::SendRequest<Empty<Bytes>>>>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let host = HeaderValue::try_from(address.to_string())?;
        Ok(Self {
            address,
            host,
            idle: Mutex::default(),
        })
    }

    /// The body of a 200 reply to GET.
    pub(crate) async fn get(&self, path_and_query: Uri) -> anyhow::Result<Bytes> {
        let mut connection = self.connection().await?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = path_and_query;
        request.headers_mut().insert(HOST, self.host.clone());
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        let reply = connection.send_request(request).await?;
        let body = read(reply).await?;
        self.idle
            .lock()
            .expect("nobody panics here")
            .push(connection);
        Ok(body)
    }

    async fn connection(&self) -> anyhow::Result<http1::SendRequest<Empty<Bytes>>> {
        while let Some(mut idle) = self.take() {
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = connect(self.address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn take(&self) -> Option<http1::SendRequest<Empty<Bytes>>> {
        self.idle.lock().expect("nobody panics here").pop()
    }
}

/// One HTTP/2 connection, opened at the first call and again when it is lost.
pub(crate) struct GrpcChannel {
    address: SocketAddr,
    uri: Uri,
    open: tokio::sync::Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
}

impl GrpcChannel {
    pub(crate) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let uri = format!("http://{address}{}", grpc::LIST_ARTICLES).parse()?;
        Ok(Self {
            address,
            uri,
            open: tokio::sync::Mutex::default(),
        })
    }

    /// The body of an OK reply to a call with an empty message.
    pub(crate) async fn call(&self) -> anyhow::Result<Bytes> {
        let mut sender = self.sender().await?;
        let mut request = Request::post(self.uri.clone()).body(Full::new(grpc::frame(b"")))?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request
            .headers_mut()
            .insert(TE, HeaderValue::from_static("trailers"));
        let reply = sender
            .send_request(request)
            .await?
            .into_body()
            .collect()
            .await?;
        succeeded(reply.trailers())?;
        Ok(reply.to_bytes())
    }

    async fn sender(&self) -> anyhow::Result<http2::SendRequest<Full<Bytes>>> {
        let mut open = self.open.lock().await;
        if let Some(sender) = open.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TokioIo::new(connect(self.address).await?);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(grpc::STREAM_WINDOW)
            .initial_connection_window_size(grpc::CONNECTION_WINDOW)
            .handshake(stream)
            .await?;
        tokio::spawn(connection);
        *open = Some(sender.clone());
        Ok(sender)
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .context("the upstream does not answer")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A body that arrived in one piece is not copied.
async fn read(reply: Response<Incoming>) -> anyhow::Result<Bytes> {
    anyhow::ensure!(
        reply.status() == StatusCode::OK,
        "the upstream answered {}",
        reply.status()
    );
    let length = content_length(reply.headers());
    let mut body = reply.into_body();
    let first = next(&mut body).await?.unwrap_or_default();
    if length == Some(first.len()) {
        // Reading to the end of the body is what frees the connection for its next request.
        anyhow::ensure!(
            next(&mut body).await?.is_none(),
            "more bytes than the reply declared"
        );
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(length.unwrap_or(2 * first.len()));
    whole.extend_from_slice(&first);
    while let Some(more) = next(&mut body).await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

async fn next(body: &mut Incoming) -> anyhow::Result<Option<Bytes>> {
    let Some(frame) = body.frame().await else {
        return Ok(None);
    };
    Ok(Some(frame?.into_data().unwrap_or_default()))
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn succeeded(trailers: Option<&HeaderMap>) -> anyhow::Result<()> {
    let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
    anyhow::ensure!(
        status.is_some_and(|status| status == "0"),
        "the gRPC call failed: {status:?}"
    );
    Ok(())
}
