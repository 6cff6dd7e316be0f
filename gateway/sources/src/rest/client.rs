//! The HTTP client of one source.
//!
//! Owns connections, time and size limits of one attempt, and what a broken
//! exchange means. Redirects, proxies and retries of the library are off: each
//! would call somebody or something that nobody asked for. Knows nothing of
//! what is sent or answered.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use compose::model::RestMethod;
use http::HeaderMap;
use http::Method;
use plan::code::Code;
use plan::source::SourceError;
use reqwest::Client;
use reqwest::Request;
use reqwest::Response;
use reqwest::Url;
use reqwest::redirect::Policy;

use super::request::RestCall;
use crate::ConnectError;
use crate::config::Settings;
use crate::failure::fixed_text;

/// Connections that are idle longer are closed.
const IDLE: Duration = Duration::from_secs(90);

/// A reply, read to its end within the limits.
#[derive(Debug, Clone)]
pub(crate) struct RestReply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The client, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RestClient {
    client: Client,
    base: Arc<str>,
    max_bytes: usize,
    service: Arc<str>,
}

impl RestClient {
    /// Dials nothing yet.
    pub(super) fn new(
        service: Arc<str>,
        base_url: &str,
        settings: &Settings,
    ) -> Result<Self, ConnectError> {
        let base = base_url.trim_end_matches('/');
        let url = parsed(&service, base)?;
        let client = built(settings, url.scheme() == "https");
        Ok(Self {
            client: client.map_err(|error| ConnectError::Client {
                source_name: service.to_string(),
                reason: chain(&error),
            })?,
            base: base.into(),
            max_bytes: settings.max_reply_bytes,
            service,
        })
    }

    /// One attempt, on its own: it may outlive whoever began it.
    pub(super) async fn attempt(
        self,
        call: Arc<RestCall>,
        labels: HeaderMap,
    ) -> Result<RestReply, Failure> {
        let request = self.request(&call, labels)?;
        let exchange = self.exchange(request);
        match tokio::time::timeout(call.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out(Code::UpstreamTimeout)),
        }
    }

    fn request(&self, call: &RestCall, labels: HeaderMap) -> Result<Request, Failure> {
        let address = format!("{}{}", self.base, call.target);
        let url = Url::parse(&address)
            .map_err(|error| self.failed(Code::InternalError, error.to_string()))?;
        let mut request = Request::new(method(call.method), url);
        request.headers_mut().extend(call.headers.iter().cloned());
        request.headers_mut().extend(labels);
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request) -> Result<RestReply, Failure> {
        let sent = self.client.execute(request).await;
        let mut response = sent.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = self.body(response).await?;
        Ok(RestReply {
            status,
            headers,
            body,
        })
    }

    /// The limit counts what was decompressed, as it comes in.
    async fn body(&self, mut response: Response) -> Result<Bytes, Failure> {
        let stated = response.content_length().unwrap_or(0);
        if stated > self.max_bytes as u64 {
            return Err(self.too_large());
        }
        let mut next = async || response.chunk().await.map_err(|error| self.broken(error));
        let Some(first) = next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 == stated {
            return Ok(first);
        }
        let mut body = BytesMut::with_capacity((stated as usize).max(2 * first.len()));
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if body.len() + bytes.len() > self.max_bytes {
                return Err(self.too_large());
            }
            body.extend_from_slice(&bytes);
            piece = next().await?;
        }
        Ok(body.freeze())
    }

    /// The whole address, in bytes.
    pub(super) fn url_len(&self, call: &RestCall) -> usize {
        self.base.len() + call.target.len()
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

    fn broken(&self, error: reqwest::Error) -> Failure {
        // The address must not even reach the log twice: the event that is logged has it.
        let error = error.without_url();
        let detail = chain(&error);
        if error.is_connect() {
            return self.failed(Code::UpstreamUnavailable, detail);
        }
        match error.is_decode() && !is_transport(&error) {
            true => self.maybe_done(Code::UpstreamInvalidResponse, "invalid", detail),
            false => self.maybe_done(Code::UpstreamUnavailable, "broken", detail),
        }
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
pub(super) struct Failure {
    pub(super) error: SourceError,
    /// What stands for the status.
    pub(super) word: &'static str,
    /// Whether the service may have done its work.
    pub(super) maybe_done: bool,
}

fn parsed(service: &Arc<str>, base: &str) -> Result<Url, ConnectError> {
    let refused = |reason: String| ConnectError::Url {
        source_name: service.to_string(),
        url: base.to_owned(),
        reason,
    };
    let url = Url::parse(base).map_err(|error| refused(error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(refused("it must begin with http:// or https://".to_owned())),
    }
}

fn built(settings: &Settings, encrypted: bool) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE);
    let builder = match settings.http2_prior_knowledge {
        true => builder.http2_prior_knowledge(),
        false => builder,
    };
    match encrypted {
        true => builder.build(),
        // The machine's certificates take time to load and are not needed.
        false => builder.tls_certs_only([]).build(),
    }
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

/// Whether a reply could not be read for want of a connection, and not for what was in it.
fn is_transport(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let wrapped = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause.is::<hyper::Error>() || wrapped.is_some_and(|inner| inner.is::<hyper::Error>())
    })
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}

/// An error and its causes, for the log.
fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}
