//! The HTTP client of one source.
//!
//! Owns connections, time and size limits of one attempt, and what a broken
//! exchange means. Nothing is called that nobody asked for: no redirects, no
//! proxies, no retries. Knows nothing of what is sent or answered.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use bytes::BytesMut;
use compose::model::RestMethod;
use http::HeaderMap;
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
use plan::code::Code;
use plan::source::SourceError;
use tokio::time::Instant;

use super::encoding;
use super::encoding::Undecodable;
use super::pool::IDLE;
use super::pool::Lease;
use super::pool::NoReply;
use super::pool::Pool;
use super::request::RestCall;
use super::status;
use crate::ConnectError;
use crate::config::Settings;
use crate::failure::fixed_text;

/// A reply, read to its end within the limits.
#[derive(Debug, Clone)]
pub(crate) struct RestReply {
    pub(crate) status: u16,
    pub(super) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl RestReply {
    /// Whether it carries what was asked for.
    pub(super) fn is_whole(&self) -> bool {
        (200..300).contains(&self.status) && !status::is_page(&self.headers)
    }

    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| 64 + name.as_str().len() + value.len());
        self.body.len() + headers.sum::<usize>()
    }
}

/// The client, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RestClient {
    transport: Transport,
    /// What stands before every target: a path without its last slash, and what the transport wants before it.
    prefix: Arc<str>,
    /// Bytes of the whole base address.
    base_len: usize,
    max_bytes: usize,
    service: Arc<str>,
}

impl RestClient {
    /// Dials nothing yet.
    pub(crate) fn new(
        service: Arc<str>,
        base_url: &str,
        settings: &Settings,
    ) -> Result<Self, ConnectError> {
        let base = base_url.trim_end_matches('/');
        let uri = parsed(&service, base)?;
        let transport = Transport::new(settings, &uri);
        let transport = transport.map_err(|error| ConnectError::Client {
            source_name: service.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            prefix: transport.prefix(base, &uri).into(),
            base_len: base.len(),
            transport,
            max_bytes: settings.max_reply_bytes,
            service,
        })
    }

    /// One attempt, on its own: it may outlive whoever began it.
    pub(crate) async fn attempt(
        self,
        call: Arc<RestCall>,
        labels: HeaderMap,
    ) -> Result<RestReply, Failure> {
        self.attempt_before(None, call, labels).await
    }

    /// One attempt that ends with its own time, or earlier, at a deadline.
    pub(super) async fn attempt_before(
        self,
        deadline: Option<std::time::Instant>,
        call: Arc<RestCall>,
        labels: HeaderMap,
    ) -> Result<RestReply, Failure> {
        let request = self.request(&call, labels)?;
        let own = Instant::now() + call.timeout;
        let (end, late) = match deadline.map(Instant::from) {
            Some(deadline) if deadline < own => (deadline, Code::DeadlineExceeded),
            _ => (own, Code::UpstreamTimeout),
        };
        match tokio::time::timeout_at(end, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out(late)),
        }
    }

    fn request(&self, call: &RestCall, labels: HeaderMap) -> Result<Request<Full<Bytes>>, Failure> {
        let mut address = String::with_capacity(self.prefix.len() + call.target.len());
        address.push_str(&self.prefix);
        address.push_str(&call.target);
        let uri = Uri::try_from(address)
            .map_err(|error| self.failed(Code::InternalError, error.to_string()))?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = method(call.method);
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = labels;
        // What goes with every call is not for a rule to change.
        for (name, value) in call.headers.iter().cloned() {
            headers.entry(name).or_insert(value);
        }
        headers.entry(ACCEPT_ENCODING).or_insert(encoding::ACCEPTED);
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<RestReply, Failure> {
        let sent = self.transport.send(request).await;
        let (reply, lease) = sent.map_err(|error| self.unsent(&error))?;
        let (head, body) = reply.into_parts();
        let body = self.body(&head.headers, body).await?;
        if let Some(lease) = lease {
            lease.finished();
        }
        let body = self.decoded(&head.headers, body)?;
        Ok(RestReply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    /// The limit counts what comes in, as it comes in.
    async fn body(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Failure> {
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

    async fn piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            // Trailers say nothing that is asked for.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The limit counts what was decompressed, too.
    fn decoded(&self, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
        let Some(coding) = headers.get(CONTENT_ENCODING) else {
            return Ok(body);
        };
        encoding::decode(coding, body, self.max_bytes).map_err(|bad| match bad {
            Undecodable::TooLarge => self.too_large(),
            Undecodable::Garbled(why) => {
                self.maybe_done(Code::UpstreamInvalidResponse, "invalid", why)
            }
        })
    }

    /// The whole address, in bytes.
    pub(super) fn url_len(&self, call: &RestCall) -> usize {
        self.base_len + call.target.len()
    }

    /// Nothing was sent: the request's time was over before.
    pub(super) fn not_begun(&self) -> Failure {
        let code = Code::DeadlineExceeded;
        Failure {
            error: self.error(code, "not begun".to_owned()),
            word: "not begun",
            maybe_done: false,
        }
    }

    fn too_large(&self) -> Failure {
        let detail = format!(
            "the reply is larger than the limit of {} bytes",
            self.max_bytes
        );
        self.maybe_done(Code::UpstreamInvalidResponse, "too large", detail)
    }

    /// The time is over: the attempt's, or the request's.
    pub(super) fn timed_out(&self, code: Code) -> Failure {
        self.maybe_done(code, "timeout", "no complete reply in time".to_owned())
    }

    fn unsent(&self, error: &Unsent) -> Failure {
        match error {
            Unsent::Unreachable(error) => self.failed(Code::UpstreamUnavailable, chain(&**error)),
            Unsent::Broken(error) => self.broken(&**error),
        }
    }

    fn broken(&self, error: &(dyn Error + 'static)) -> Failure {
        let mut failure = self.maybe_done(Code::UpstreamUnavailable, "broken", chain(error));
        failure.error.message = "The connection to the service broke off.".to_owned();
        failure
    }

    fn failed(&self, code: Code, detail: String) -> Failure {
        Failure {
            error: self.error(code, detail),
            word: "unreachable",
            maybe_done: false,
        }
    }

    fn maybe_done(&self, code: Code, word: &'static str, detail: String) -> Failure {
        Failure {
            error: self.error(code, detail),
            word,
            maybe_done: true,
        }
    }

    fn error(&self, code: Code, detail: String) -> SourceError {
        SourceError::new(code, &self.service, fixed_text(code)).internal(detail)
    }
}

/// A call without a reply.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(super) error: SourceError,
    /// What stands for the status.
    pub(super) word: &'static str,
    /// Whether the service may have done its work.
    pub(super) maybe_done: bool,
}

impl Failure {
    /// Nothing was sent: there is nothing to say who asks.
    pub(super) fn without_credentials(error: SourceError) -> Self {
        Self {
            error,
            word: "no credentials",
            maybe_done: false,
        }
    }

    /// Whether the attempt's time was over.
    pub(crate) fn is_timeout(&self) -> bool {
        self.error.code == Code::UpstreamTimeout
    }

    /// What went wrong, for the log.
    pub(crate) fn reason(self) -> String {
        self.error.internal.unwrap_or(self.error.message)
    }

    /// Nothing was sent: the source has had its calls.
    pub(super) fn limited(error: SourceError) -> Self {
        Self {
            error,
            word: "rate limited",
            maybe_done: false,
        }
    }
}

fn parsed(service: &Arc<str>, base: &str) -> Result<Uri, ConnectError> {
    let refused = |reason: String| ConnectError::Url {
        source_name: service.to_string(),
        url: base.to_owned(),
        reason,
    };
    let uri = Uri::try_from(base).map_err(|error| refused(error.to_string()))?;
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    match uri.scheme_str() {
        Some("http" | "https") if has_host && uri.query().is_none() => Ok(uri),
        Some("http" | "https") if has_host => Err(refused("it must have no query".to_owned())),
        _ => Err(refused("it must begin with http:// or https://".to_owned())),
    }
}

/// How requests get to the service.
#[derive(Debug, Clone)]
enum Transport {
    /// HTTP/1.1 without TLS: most services behind a gateway.
    Pooled(Pool),
    /// HTTP/2 without TLS, known beforehand.
    Multiplexed(Client<HttpConnector, Full<Bytes>>),
    /// With TLS; the handshake agrees on the version.
    Encrypted(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why there is no reply.
enum Unsent {
    Unreachable(Box<dyn Error>),
    Broken(Box<dyn Error>),
}

impl Transport {
    fn new(settings: &Settings, service: &Uri) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_nodelay(true);
        let encrypted = service.scheme_str() == Some("https");
        if !encrypted && !settings.http2_prior_knowledge {
            return Ok(Self::Pooled(Pool::new(tcp, service)));
        }
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .http2_only(settings.http2_prior_knowledge);
        if !encrypted {
            return Ok(Self::Multiplexed(client.build(tcp)));
        }
        tcp.enforce_http(false);
        // The machine's certificates take time to load and are not needed otherwise.
        let tls = match settings.tls.for_rest().map_err(std::io::Error::other)? {
            Some(config) => HttpsConnectorBuilder::new().with_tls_config(config),
            None => HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?,
        };
        let tls = tls.https_only().enable_all_versions().wrap_connector(tcp);
        Ok(Self::Encrypted(client.build(tls)))
    }

    /// A connection of its own needs no address; a shared client chooses one by it.
    fn prefix<'a>(&self, base: &'a str, uri: &'a Uri) -> &'a str {
        match self {
            Self::Pooled(_) => uri.path().trim_end_matches('/'),
            Self::Multiplexed(_) | Self::Encrypted(_) => base,
        }
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<Lease>), Unsent> {
        let shared = match self {
            Self::Pooled(pool) => {
                let (reply, lease) = pool.send(request).await?;
                return Ok((reply, Some(lease)));
            }
            Self::Multiplexed(client) => client.request(request).await,
            Self::Encrypted(client) => client.request(request).await,
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

/// An error and its causes, for the log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
