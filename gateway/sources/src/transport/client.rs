//! HTTP towards one service.
//!
//! Owns what calls to one address go over, size limits of an exchange, and
//! what a broken one means. Nothing is called that nobody asked for: no
//! redirects, no proxies, no retries. Knows nothing of what is sent or
//! answered.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use compose::model::RestMethod;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::header::ACCEPT_ENCODING;
use http::header::CONTENT_ENCODING;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;

use super::HttpCall;
use super::encoding;
use super::encoding::Undecodable;
use super::pool::Fixed;
use super::pool::IDLE;
use super::pool::Lease;
use super::pool::NoReply;
use super::pool::Pool;
use super::status;
use crate::ConnectError;
use crate::calls;
use crate::config::Settings;
use crate::failure::Failed;
use crate::failure::Unanswered;
use crate::failure::is_refused_stream;
use crate::peers::Address;
use crate::peers::Host;
use crate::peers::Peers;
use crate::peers::SystemResolver;
use crate::protocol::With;

/// Silence, while calls are in flight, after which an HTTP/2 connection is probed.
const PING_AFTER: Duration = Duration::from_secs(20);
/// A probe unanswered this long means the connection is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for connections without calls, left to the operating system.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// A reply, read to its end within the limits.
#[derive(Debug, Clone)]
pub(crate) struct HttpReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl HttpReply {
    /// Whether it carries what was asked for.
    pub(crate) fn is_whole(&self) -> bool {
        (200..300).contains(&self.status) && !status::is_page(&self.headers)
    }

    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| 64 + name.as_str().len() + value.len());
        self.body.len() + headers.sum::<usize>()
    }
}

/// The addresses of a service and what calls to them go over. Dials nothing yet.
pub(crate) fn peers<T: Send + Sync + 'static>(
    service: &str,
    url: &str,
    settings: &Settings,
    over: impl Fn(Transport) -> T + Send + Sync + 'static,
) -> Result<Arc<Peers<T>>, ConnectError> {
    let address = Address::parse_http(url).map_err(|bad| ConnectError::Url {
        source_name: service.to_owned(),
        url: url.to_owned(),
        reason: bad.to_string(),
    })?;
    let unusable = |error: &dyn Error| ConnectError::Client {
        source_name: service.to_owned(),
        reason: error.to_string(),
    };
    // The machine's certificates take time to load and are not needed otherwise.
    let encrypted = address.hosts.iter().any(|host| host.tls);
    let tls = encrypted.then(|| settings.tls.for_http()).transpose();
    let tls = tls.map_err(|error| unusable(&error))?;
    let made = Making {
        connect: settings.connect_timeout,
        http2: settings.http2_prior_knowledge,
        prefix: address.prefix.clone(),
        tls,
    };
    let make = move |host: &Host, at| made.transport(host, at).map(&over);
    let resolver = Arc::new(SystemResolver);
    Ok(Peers::new(address, settings.peers(), resolver, make))
}

/// A client for the gateway's own requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HttpClient {
    peers: Arc<Peers<Transport>>,
    reader: Reader,
}

impl HttpClient {
    /// Dials nothing yet.
    pub(crate) fn new(
        service: Arc<str>,
        url: &str,
        settings: &Settings,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            peers: peers(&service, url, settings, |it| it)?,
            reader: Reader {
                max_bytes: settings.max_reply_bytes,
                service,
            },
        })
    }

    /// One attempt.
    pub(crate) async fn attempt(
        &self,
        call: &HttpCall,
        headers: HeaderMap,
        time: Duration,
    ) -> Result<HttpReply, Failed> {
        let with = With {
            headers,
            idempotency_key: None,
            time,
            cut: false,
            before: 0,
        };
        let picked = self.peers.pick(calls::now(), &[]).await;
        let picked = picked.map_err(|error| {
            self.reader
                .failed(Unanswered::Unreachable, error.to_string())
        })?;
        let sent = self.reader.send(picked.transport(), call, with);
        let sent = tokio::time::timeout(time, sent).await;
        let reply = sent.unwrap_or_else(|_| {
            let why = "no complete reply in time".to_owned();
            Err(self.reader.failed(Unanswered::TimedOut, why))
        });
        if let Err(failed) = &reply
            && failed.how == Unanswered::Unreachable
        {
            self.peers.unreachable(&picked, calls::now());
        }
        reply
    }
}

/// Sends requests and reads replies, as far as they are no larger than this.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) max_bytes: usize,
    pub(crate) service: Arc<str>,
}

impl Reader {
    /// One exchange, without a bound in time.
    pub(crate) async fn send(
        &self,
        transport: &Transport,
        call: &HttpCall,
        with: With,
    ) -> Result<HttpReply, Failed> {
        let request = self.request(&transport.prefix, call, with)?;
        self.exchange(transport, request).await
    }

    fn request(
        &self,
        prefix: &str,
        call: &HttpCall,
        with: With,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let mut address = String::with_capacity(prefix.len() + call.target.len());
        address.push_str(prefix);
        address.push_str(&call.target);
        let uri = Uri::try_from(address)
            .map_err(|error| self.failed(Unanswered::Unsendable, error.to_string()))?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = method(call.method);
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = with.headers;
        headers.insert(REQUEST_TIMEOUT, millis(with.time));
        // What goes with every call is not for a rule to change.
        for (name, value) in call.headers.iter().cloned() {
            headers.entry(name).or_insert(value);
        }
        if let Some(key) = with.idempotency_key {
            headers.entry(IDEMPOTENCY_KEY).or_insert(key);
        }
        headers.entry(ACCEPT_ENCODING).or_insert(encoding::ACCEPTED);
        Ok(request)
    }

    async fn exchange(
        &self,
        transport: &Transport,
        request: Request<Full<Bytes>>,
    ) -> Result<HttpReply, Failed> {
        let sent = transport.send(request).await;
        let (reply, lease) = sent.map_err(|error| self.unsent(&error))?;
        let (head, body) = reply.into_parts();
        let body = self.body(&head.headers, body).await?;
        if let Some(lease) = lease {
            lease.finished();
        }
        let body = self.decoded(&head.headers, body)?;
        Ok(HttpReply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    /// The limit counts what comes in, as it comes in.
    async fn body(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Failed> {
        let stated = stated_length(headers);
        if stated > self.max_bytes {
            return Err(self.too_large());
        }
        let mut whole = match self.piece(&mut body).await? {
            None => return Ok(Bytes::new()),
            // Most replies arrive in one piece, which needs no copy.
            Some(first) if first.len() == stated => return Ok(first),
            Some(first) => {
                let mut whole = BytesMut::with_capacity(stated.max(2 * first.len()));
                whole.extend_from_slice(&first);
                whole
            }
        };
        while let Some(piece) = self.piece(&mut body).await? {
            if whole.len() + piece.len() > self.max_bytes {
                return Err(self.too_large());
            }
            whole.extend_from_slice(&piece);
        }
        match whole.len() > self.max_bytes {
            true => Err(self.too_large()),
            false => Ok(whole.freeze()),
        }
    }

    async fn piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failed> {
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| self.failed(Unanswered::BrokenReply, chain(&error)))?;
            // Trailers say nothing that is asked for.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The limit counts what was decompressed, too.
    fn decoded(&self, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failed> {
        let Some(coding) = headers.get(CONTENT_ENCODING) else {
            return Ok(body);
        };
        encoding::decode(coding, body, self.max_bytes).map_err(|bad| match bad {
            Undecodable::TooLarge => self.too_large(),
            Undecodable::Garbled(why) => self.failed(Unanswered::Unreadable, why),
        })
    }

    fn too_large(&self) -> Failed {
        let detail = format!(
            "the reply is larger than the limit of {} bytes",
            self.max_bytes
        );
        self.failed(Unanswered::TooLarge, detail)
    }

    fn unsent(&self, error: &Unsent) -> Failed {
        let (how, error) = match error {
            Unsent::Unreachable(error) => (Unanswered::Unreachable, error),
            Unsent::Broken(error) if is_refused_stream(&**error) => {
                (Unanswered::Unprocessed, error)
            }
            Unsent::Broken(error) => (Unanswered::Broken, error),
        };
        self.failed(how, chain(&**error))
    }

    fn failed(&self, how: Unanswered, why: String) -> Failed {
        Failed::new(how, &self.service, why)
    }
}

/// What calls to one address go over.
pub(crate) struct Transport {
    kind: Kind,
    /// What stands before every target: a path without its last slash, and what the connection wants before it.
    prefix: String,
}

/// How requests get there.
enum Kind {
    /// HTTP/1.1 without TLS: most services behind a gateway.
    Pooled(Pool),
    /// HTTP/2 without TLS, known beforehand.
    Multiplexed(Client<HttpConnector<Fixed>, Full<Bytes>>),
    /// With TLS; the handshake agrees on the version.
    Encrypted(Client<HttpsConnector<HttpConnector<Fixed>>, Full<Bytes>>),
}

/// Why there is no reply.
enum Unsent {
    Unreachable(Box<dyn Error + Send + Sync>),
    Broken(Box<dyn Error + Send + Sync>),
}

/// How transports of one service are made.
struct Making {
    connect: Duration,
    http2: bool,
    prefix: String,
    tls: Option<ClientConfig>,
}

impl Making {
    fn transport(&self, host: &Host, at: SocketAddr) -> io::Result<Transport> {
        let whole = || {
            format!(
                "{}{}",
                host.origin.to_string().trim_end_matches('/'),
                self.prefix
            )
        };
        if !host.tls && !self.http2 {
            // A connection of its own needs no address; a shared client chooses one by it.
            return Ok(Transport {
                kind: Kind::Pooled(Pool::new(at, self.connect, &host.origin)),
                prefix: self.prefix.clone(),
            });
        }
        let mut tcp = HttpConnector::new_with_resolver(Fixed(at));
        tcp.set_connect_timeout(Some(self.connect));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let mut client = Client::builder(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .http2_only(self.http2);
        let kind = match host.tls {
            false => Kind::Multiplexed(client.build(tcp)),
            true => {
                tcp.enforce_http(false);
                let tls = self.tls.clone().ok_or(io::ErrorKind::InvalidInput)?;
                let tls = HttpsConnectorBuilder::new().with_tls_config(tls);
                let tls = tls.https_only().enable_all_versions().wrap_connector(tcp);
                Kind::Encrypted(client.build(tls))
            }
        };
        Ok(Transport {
            kind,
            prefix: whole(),
        })
    }
}

impl Transport {
    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<Lease>), Unsent> {
        let shared = match &self.kind {
            Kind::Pooled(pool) => {
                let (reply, lease) = pool.send(request).await?;
                return Ok((reply, Some(lease)));
            }
            Kind::Multiplexed(client) => client.request(request).await,
            Kind::Encrypted(client) => client.request(request).await,
        };
        Ok((shared?, None))
    }
}

impl From<NoReply> for Unsent {
    fn from(error: NoReply) -> Self {
        match error {
            NoReply::Unreachable(error) => Self::Unreachable(error),
            NoReply::Broken(error) => Self::Broken(error.into()),
        }
    }
}

impl From<legacy::Error> for Unsent {
    fn from(error: legacy::Error) -> Self {
        match error.is_connect() {
            true => Self::Unreachable(error.into()),
            false => Self::Broken(error.into()),
        }
    }
}

fn stated_length(headers: &HeaderMap) -> usize {
    let stated = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    stated.and_then(|text| text.ok()?.parse().ok()).unwrap_or(0)
}

fn method(method: RestMethod) -> Method {
    match method {
        RestMethod::Get => Method::GET,
        RestMethod::Post => Method::POST,
        RestMethod::Put => Method::PUT,
        RestMethod::Patch => Method::PATCH,
        RestMethod::Delete => Method::DELETE,
    }
}

/// Whole milliseconds.
fn millis(time: Duration) -> HeaderValue {
    let millis = time.as_micros().div_ceil(1_000);
    HeaderValue::from(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// An error and its causes, for the log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
