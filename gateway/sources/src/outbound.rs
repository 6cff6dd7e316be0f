//! The gateway's own requests: keys of token issuers, tokens for sources, decisions about policies.
//!
//! Owns a small client over the one of REST sources, with the same limits: one
//! address, one attempt, no redirects, a bounded reply. What is asked and what
//! the answer means is the caller's affair.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compose::model::RestMethod;
use http::HeaderMap;
use http::HeaderValue;
use http::Uri;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::config::Settings;
use crate::failure::Unanswered;
use crate::tls::Tls;
use crate::transport::HttpCall;
use crate::transport::HttpClient;

/// How the gateway's own requests are made.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// The largest answer that is read, in bytes, after decompression.
    pub max_reply_bytes: usize,
    /// Whom to trust, and who the gateway is.
    pub tls: Tls,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            max_reply_bytes: 256 * 1024,
            tls: Tls::default(),
        }
    }
}

/// A client for one address. Cheap to clone; dials nothing before the first request.
#[derive(Clone)]
pub struct Outbound {
    client: HttpClient,
    /// Path and query.
    target: String,
    url: String,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outbound").field(&self.url).finish()
    }
}

/// Why there is no answer. The texts are for the log: they name addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address or its certificates cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// No complete answer in time.
    #[error("no complete answer in time")]
    TimedOut,
    /// The exchange failed.
    #[error("{0}")]
    Failed(String),
}

/// All of an answer that an asker may go by.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// Every header.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// A status and a body.
pub type Answer = (u16, Bytes);

impl Outbound {
    /// A client for an address that begins with `http://` or `https://`.
    ///
    /// # Errors
    /// Where the address or a certificate is none.
    pub fn new(url: &str, settings: &OutboundSettings) -> Result<Self, OutboundError> {
        crate::install_provider();
        let unusable = |reason: &dyn std::fmt::Display| {
            OutboundError::Unusable(format!("`{url}` cannot be asked: {reason}"))
        };
        let uri: Uri = url.parse().map_err(|error| unusable(&error))?;
        let authority = uri
            .authority()
            .ok_or_else(|| unusable(&"it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(unusable(
                &"a user name or password in an address is not sent",
            ));
        }
        let scheme = uri.scheme_str().unwrap_or_default();
        let base = format!("{scheme}://{authority}");
        let client = HttpClient::new(Arc::from(authority.host()), &base, &settings_of(settings));
        Ok(Self {
            url: url.to_owned(),
            client: client.map_err(|error| unusable(&error))?,
            target: uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
        })
    }

    /// The address, for the log.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for what stands at the address.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn get(
        &self,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        self.send(RestMethod::Get, None, headers, deadline).await
    }

    /// Asks for what stands at the address, and for the headers of the answer.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn fetch(
        &self,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Fetched, OutboundError> {
        self.exchange(RestMethod::Get, None, headers, deadline)
            .await
    }

    /// Deletes what stands at the address.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn delete(
        &self,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        self.send(RestMethod::Delete, None, headers, deadline).await
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn post_json(
        &self,
        body: &Json,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        let body = (body.to_string().into(), "application/json");
        self.send(RestMethod::Post, Some(body), headers, deadline)
            .await
    }

    /// Sends what is neither JSON nor a form.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn post(
        &self,
        body: Bytes,
        media: &'static str,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        let body = Some((body, media));
        self.send(RestMethod::Post, body, headers, deadline).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// Where no complete answer comes by the deadline, whatever its status would be.
    pub async fn post_form(
        &self,
        fields: &[(&str, &str)],
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        let body = (form(fields).into(), "application/x-www-form-urlencoded");
        self.send(RestMethod::Post, Some(body), headers, deadline)
            .await
    }

    async fn send(
        &self,
        method: RestMethod,
        body: Option<(Bytes, &'static str)>,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, OutboundError> {
        let fetched = self.exchange(method, body, headers, deadline).await?;
        Ok((fetched.status, fetched.body))
    }

    async fn exchange(
        &self,
        method: RestMethod,
        body: Option<(Bytes, &'static str)>,
        mut headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Fetched, OutboundError> {
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        if let Some((_, media)) = &body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        let call = HttpCall {
            method,
            target: self.target.clone(),
            body: body.map(|(body, _)| body).unwrap_or_default(),
            headers: Vec::new(),
        };
        let time = deadline.saturating_duration_since(Instant::now());
        match self.client.attempt(&call, headers, time).await {
            Ok(reply) => Ok(Fetched {
                status: reply.status,
                headers: reply.headers,
                body: reply.body,
            }),
            Err(failed) if failed.how == Unanswered::TimedOut => Err(OutboundError::TimedOut),
            Err(failed) => Err(OutboundError::Failed(failed.reason())),
        }
    }
}

fn settings_of(settings: &OutboundSettings) -> Settings {
    Settings::outbound(
        settings.connect_timeout,
        settings.max_reply_bytes,
        settings.tls.clone(),
    )
}

/// <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// Every byte but letters and digits is written as `%XX`, which every decoder undoes.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use serde_json::json;

    use super::*;

    /// An address where `routes` answer.
    async fn served(routes: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn asking(url: &str) -> Outbound {
        Outbound::new(url, &OutboundSettings::default()).unwrap()
    }

    #[tokio::test]
    async fn what_is_sent_arrives_and_what_is_answered_comes_back() {
        let echo = |headers: HeaderMap, body: String| async move {
            let kind = headers[CONTENT_TYPE]
                .to_str()
                .unwrap_or_default()
                .to_owned();
            (http::StatusCode::ACCEPTED, format!("{kind} {body}"))
        };
        let routes = Router::new().route("/a", get(async || "keys").post(echo));
        let there = asking(&format!("{}/a?tenant=1", served(routes).await));
        let answer = there.get(HeaderMap::new(), soon()).await.unwrap();
        assert_eq!(answer, (200, "keys".into()));
        let json = there
            .post_json(&json!({ "a": 1 }), HeaderMap::new(), soon())
            .await;
        assert_eq!(json.unwrap(), (202, "application/json {\"a\":1}".into()));
        let fields = [("scope", "a b"), ("secret", "ü&=")];
        let form = there.post_form(&fields, HeaderMap::new(), soon()).await;
        let expected = "application/x-www-form-urlencoded scope=a%20b&secret=%C3%BC%26%3D";
        assert_eq!(form.unwrap(), (202, expected.into()));
    }

    #[tokio::test]
    async fn an_answer_is_bounded_in_size_and_time() {
        let routes = Router::new()
            .route("/large", get(async || vec![b' '; 300 * 1024]))
            .route("/never", get(std::future::pending::<()>));
        let url = served(routes).await;
        let large = asking(&format!("{url}/large"))
            .get(HeaderMap::new(), soon())
            .await;
        let large = large.unwrap_err().to_string();
        assert!(large.contains("larger than the limit"), "{large}");
        let past = Instant::now() + Duration::from_millis(50);
        let never = asking(&format!("{url}/never"))
            .get(HeaderMap::new(), past)
            .await;
        assert_eq!(never.unwrap_err(), OutboundError::TimedOut);
    }

    #[test]
    fn an_address_that_cannot_be_asked_is_said_so() {
        for url in [
            "",
            "ftp://x/",
            "/keys",
            "https://",
            "https://user:secret@host/",
        ] {
            let refused = Outbound::new(url, &OutboundSettings::default());
            assert!(matches!(refused, Err(OutboundError::Unusable(_))), "{url}");
        }
    }
}
