//! Tokens for a source, fetched from the operator's token endpoint.
//!
//! Owns when one is fetched: at the first call, in the background shortly
//! before it expires, and again after the service refused it. All who wait
//! share one fetch, and its failure. <https://www.rfc-editor.org/rfc/rfc6749#section-4.4>

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::time::Instant;

use super::CONNECT;
use super::OAuth;
use super::OAuthStyle;
use super::sensitive;
use crate::outbound::Outbound;
use crate::outbound::OutboundSettings;
use crate::outbound::encoded;

/// One fetch.
const TIME: Duration = Duration::from_secs(10);
/// After a failure nothing is fetched for this long: whoever needs a token gets that failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Of a token whose endpoint does not say.
const LIFETIME: Duration = Duration::from_secs(300);
/// A token is renewed this long before it expires, or a fifth of its life where that is less.
const MARGIN: Duration = Duration::from_secs(30);
/// A token answer is a few hundred bytes.
const LARGEST: usize = 64 * 1024;

/// The tokens of one source.
pub(super) struct TokenSource {
    endpoint: Outbound,
    oauth: OAuth,
    /// Joined as they are sent; empty asks for the default.
    scope: String,
    current: ArcSwapOption<Token>,
    /// Held by the one fetch that is under way.
    fetching: tokio::sync::Mutex<()>,
    failed: Mutex<Option<(Instant, String)>>,
}

struct Token {
    header: HeaderValue,
    renew: Instant,
    end: Instant,
}

/// A form.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.1>
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<f64>,
}

impl TokenSource {
    pub(super) fn new(oauth: &OAuth) -> Result<Arc<Self>, String> {
        let settings = OutboundSettings {
            connect_timeout: CONNECT,
            max_reply_bytes: LARGEST,
            tls: oauth.tls.clone(),
        };
        let endpoint = Outbound::new(&oauth.token_url, &settings);
        Ok(Arc::new(Self {
            endpoint: endpoint.map_err(|error| error.to_string())?,
            oauth: oauth.clone(),
            scope: oauth.scopes.join(" "),
            current: ArcSwapOption::empty(),
            fetching: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
        }))
    }

    /// The header of a token that is good now.
    pub(super) async fn header(self: &Arc<Self>) -> Result<HeaderValue, String> {
        let now = Instant::now();
        match self.current.load_full() {
            Some(token) if now < token.renew => Ok(token.header.clone()),
            Some(token) if now < token.end => {
                self.renew_in_background();
                Ok(token.header.clone())
            }
            _ => self.fetched().await,
        }
    }

    /// Forgets the token, unless another one took its place meanwhile.
    pub(super) fn forget(&self, refused: &HeaderValue) {
        let current = self.current.load_full();
        if current
            .as_ref()
            .is_some_and(|token| token.header == *refused)
        {
            let empty: Option<Arc<Token>> = None;
            self.current.compare_and_swap(&current, empty);
        }
    }

    /// On a task of its own: the fetch belongs to all who wait, not to the one who came first.
    async fn fetched(self: &Arc<Self>) -> Result<HeaderValue, String> {
        let tokens = self.clone();
        let fetch = tokio::spawn(async move { tokens.fetch_once().await });
        fetch
            .await
            .unwrap_or_else(|_| Err("the fetch failed".to_owned()))
    }

    async fn fetch_once(&self) -> Result<HeaderValue, String> {
        let _under_way = self.fetching.lock().await;
        if let Some(token) = self
            .current
            .load_full()
            .filter(|token| Instant::now() < token.end)
        {
            return Ok(token.header.clone());
        }
        if let Some(why) = self.failed_lately() {
            return Err(why);
        }
        self.fetch().await
    }

    fn renew_in_background(self: &Arc<Self>) {
        if self.failed_lately().is_some() || self.fetching.try_lock().is_err() {
            return;
        }
        let tokens = self.clone();
        tokio::spawn(async move {
            let Ok(_under_way) = tokens.fetching.try_lock() else {
                return;
            };
            let now = Instant::now();
            let current = tokens.current.load_full();
            if current.is_some_and(|token| now < token.renew) {
                return;
            }
            if let Err(why) = tokens.fetch().await {
                tracing::warn!(
                    endpoint = tokens.oauth.token_url,
                    why,
                    "a token could not be renewed"
                );
            }
        });
    }

    /// Whoever calls it holds `fetching`.
    async fn fetch(&self) -> Result<HeaderValue, String> {
        match self.ask().await {
            Ok(token) => {
                let header = token.header.clone();
                self.current.store(Some(Arc::new(token)));
                Ok(header)
            }
            Err(why) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    fn failed_lately(&self) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = failed.as_ref()?;
        (at.elapsed() < PAUSE).then(|| why.clone())
    }

    async fn ask(&self) -> Result<Token, String> {
        let asked = Instant::now();
        let (headers, fields) = self.question()?;
        let answer = self
            .endpoint
            .post_form(&fields, headers, asked + TIME)
            .await;
        let (status, body) = answer.map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(refusal(status, &body));
        }
        // An error of the parser would show what it stumbled over.
        let granted: Granted = serde_json::from_slice(&body)
            .map_err(|_| "the token endpoint's answer is not as RFC 6749 says".to_owned())?;
        granted.token(asked)
    }

    fn question(&self) -> Result<(HeaderMap, Fields<'_>), String> {
        let oauth = &self.oauth;
        let (id, secret) = (oauth.client_id.as_str(), oauth.client_secret.reveal());
        let mut headers = HeaderMap::new();
        let mut fields = vec![("grant_type", "client_credentials")];
        match oauth.style {
            OAuthStyle::Basic => {
                // Both are form-encoded first: <https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1>.
                let both = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {both}"))?);
            }
            OAuthStyle::Body => fields.extend([("client_id", id), ("client_secret", secret)]),
        }
        if !self.scope.is_empty() {
            fields.push(("scope", &self.scope));
        }
        fields.extend(
            oauth
                .audience
                .as_deref()
                .map(|audience| ("audience", audience)),
        );
        Ok((headers, fields))
    }
}

impl Granted {
    fn token(self, asked: Instant) -> Result<Token, String> {
        if !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err("the token endpoint grants tokens of another type than Bearer".to_owned());
        }
        let stated = self
            .expires_in
            .and_then(|s| Duration::try_from_secs_f64(s).ok());
        // Longer than a year is as good as a year, and does not overflow.
        let life = stated
            .unwrap_or(LIFETIME)
            .min(Duration::from_secs(365 * 24 * 3600));
        let margin = MARGIN.min(life / 5);
        Ok(Token {
            header: sensitive(&format!("Bearer {}", self.access_token))?,
            renew: asked + (life - margin),
            end: asked + life,
        })
    }
}

/// What the endpoint says is wrong, for the log: its `error` is a word from a list.
/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
fn refusal(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    match serde_json::from_slice::<Refused>(body) {
        Ok(refused) => {
            let word: String = refused.error.chars().take(60).collect();
            format!("the token endpoint answers {status}, {word:?}")
        }
        Err(_) => format!("the token endpoint answers {status}"),
    }
}
