//! Who the gateway is to a source.
//!
//! Owns the `authorization` that goes with every call of a source, where the
//! operator says one. It is the gateway's own and the same for all callers: it
//! is added where a call leaves, below batches and merged reads, and is part
//! of none of their keys. It replaces what a header rule would have sent.

mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use plan::code::Code;
use plan::source::SourceError;

use self::token::TokenSource;
use crate::ConnectError;
use crate::Secret;
use crate::Tls;
use crate::config::Settings;
use crate::failure::fixed_text;

/// What an operator says of a source's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// <https://www.rfc-editor.org/rfc/rfc7617>
    Basic {
        /// Holds no colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// OAuth 2, client credentials: <https://www.rfc-editor.org/rfc/rfc6749#section-4.4>
    OAuth(OAuth),
}

/// Where tokens come from, and who asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The token endpoint.
    pub token_url: String,
    /// Who the gateway is.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// What the tokens are to allow; the endpoint's default for none.
    pub scopes: Vec<String>,
    /// Whom the tokens are for, where the endpoint asks.
    pub audience: Option<String>,
    /// Where id and secret are sent.
    pub style: OAuthStyle,
    /// Whom to trust at the endpoint, and which certificate to show.
    pub tls: Tls,
}

/// Where id and secret are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OAuthStyle {
    /// In the `authorization` header.
    #[default]
    Basic,
    /// In the form.
    Body,
}

/// How long a token endpoint may take to connect; all of it is bounded in [`token`].
const CONNECT: Duration = Duration::from_secs(2);

/// What a source's calls carry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bearer {
    service: Arc<str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Nothing of the gateway's own.
    None,
    Fixed(HeaderValue),
    Token(Arc<TokenSource>),
}

impl Bearer {
    /// Fetches nothing yet.
    pub(crate) fn new(service: &Arc<str>, settings: &Settings) -> Result<Self, ConnectError> {
        let unusable = |reason: String| ConnectError::Client {
            source_name: service.to_string(),
            reason,
        };
        let kind = match &settings.credentials {
            None => Kind::None,
            Some(Credentials::Basic { user, password }) => {
                Kind::Fixed(basic(user, password.reveal()).map_err(unusable)?)
            }
            Some(Credentials::OAuth(oauth)) => {
                Kind::Token(TokenSource::new(oauth).map_err(unusable)?)
            }
        };
        Ok(Self {
            service: service.clone(),
            kind,
        })
    }

    /// What a call that is about to leave carries. What came back is told to [`Bearer::refused`].
    pub(crate) async fn value(&self) -> Result<Option<HeaderValue>, SourceError> {
        match &self.kind {
            Kind::None => Ok(None),
            Kind::Fixed(value) => Ok(Some(value.clone())),
            Kind::Token(tokens) => {
                let token = tokens.header().await;
                token.map(Some).map_err(|why| self.failed(&why))
            }
        }
    }

    /// The service does not accept what it was sent: where that is a token, the next call brings a fresh one.
    pub(crate) fn refused(&self, sent: Option<&HeaderValue>) {
        if let (Kind::Token(tokens), Some(sent)) = (&self.kind, sent) {
            tokens.forget(sent);
        }
    }

    fn failed(&self, why: &str) -> SourceError {
        let code = Code::UpstreamUnavailable;
        let internal = format!("no token for the service: {why}");
        SourceError::new(code, &self.service, fixed_text(code)).internal(internal)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A colon in the name would end it.
fn basic(user: &str, password: &str) -> Result<HeaderValue, String> {
    if user.contains(':') {
        return Err("a user name for basic credentials holds no colon".to_owned());
    }
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|_| "a credential holds a control character".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
