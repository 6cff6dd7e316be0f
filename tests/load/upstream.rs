//! The mock upstream: REST and gRPC on one port, answered from bytes made before the first request,
//! and a count of the calls. Knows nothing of the gateways that call it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};

use crate::{data, grpc};

/// JSON, or a gRPC message with its trailers.
type Reply = Response<Either<Full<Bytes>, WithTrailers<Full<Bytes>, Ready<Trailers>>>>;
type Trailers = Option<Result<HeaderMap, Infallible>>;

/// Serves until the process is killed, and prints its address first.
pub(crate) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("upstream http://{}", listener.local_addr()?);
    accept(listener).await
}

pub(crate) async fn accept(listener: TcpListener) -> anyhow::Result<()> {
    let content = Arc::new(Content::new());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, content.clone()));
    }
}

async fn connection(stream: TcpStream, content: Arc<Content>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| content.clone().serve(request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http2()
        .initial_stream_window_size(grpc::STREAM_WINDOW)
        .initial_connection_window_size(grpc::CONNECTION_WINDOW);
    // A connection that ends in an error ended: the caller, who is measured, counts it.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Every reply, made once.
struct Content {
    posts: Bytes,
    items: Bytes,
    users: Vec<Vec<u8>>,
    articles: Bytes,
    calls: AtomicU64,
}

impl Content {
    fn new() -> Self {
        Self {
            posts: data::posts().into(),
            items: data::items().into(),
            users: data::users(),
            articles: grpc::frame(&data::articles()),
            calls: AtomicU64::new(0),
        }
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> hyper::Result<Reply> {
        let reply = self.reply(request.uri());
        if request.method() == Method::POST {
            // An HTTP/2 stream that is answered before its request has ended counts as reset, and
            // a connection with too many of those is closed.
            request.into_body().collect().await?;
        }
        Ok(reply)
    }

    fn reply(&self, uri: &Uri) -> Reply {
        match uri.path() {
            "/__stats" => {
                return json(format!("{{\"requests\":{}}}", self.calls.load(Relaxed)).into());
            }
            "/__reset" => {
                return json(format!("{{\"requests\":{}}}", self.calls.swap(0, Relaxed)).into());
            }
            _ => self.calls.fetch_add(1, Relaxed),
        };
        match uri.path() {
            "/posts" => json(self.posts.clone()),
            "/users" => json(self.users_asked_for(uri.query().unwrap_or_default())),
            "/list32k" => json(self.items.clone()),
            grpc::LIST_ARTICLES => grpc_message(self.articles.clone()),
            _ => not_found(),
        }
    }

    /// `id=1&id=2`: these users in this order; an id that nobody has is left out.
    fn users_asked_for(&self, query: &str) -> Bytes {
        let ids = query.split('&').filter_map(|pair| pair.strip_prefix("id="));
        let users = ids.filter_map(|id| self.users.get(id.parse::<usize>().ok()?.checked_sub(1)?));
        let mut list = BytesMut::with_capacity(512 * self.users.len());
        for user in users {
            list.put_u8(if list.is_empty() { b'[' } else { b',' });
            list.put_slice(user);
        }
        if list.is_empty() {
            list.put_u8(b'[');
        }
        list.put_u8(b']');
        list.freeze()
    }
}

fn json(body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn grpc_message(frame: Bytes) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame).with_trailers(ready(Some(Ok(trailers))));
    let mut reply = Response::new(Either::Right(body));
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    reply
}

fn not_found() -> Reply {
    let mut reply = json(Bytes::from_static(b"{\"title\":\"no such page\"}"));
    *reply.status_mut() = StatusCode::NOT_FOUND;
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_in_the_order_asked_for_and_unknown_ones_are_left_out() {
        let users = Content::new().users_asked_for("id=3&id=99&id=1&id=0&id=x");
        let users: Vec<serde_json::Value> = serde_json::from_slice(&users).expect("a JSON list");
        let ids: Vec<_> = users.iter().map(|user| user["id"].clone()).collect();
        assert_eq!(ids, [3, 1]);
    }

    #[test]
    fn nobody_asked_for_is_an_empty_list() {
        assert_eq!(&Content::new().users_asked_for("")[..], b"[]");
    }
}
