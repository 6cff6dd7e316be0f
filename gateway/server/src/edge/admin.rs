//! The port of operators: who may act, and what is written down about it.
//!
//! Owns bearer tokens and the actions. Health is told to anyone, as on the
//! port of clients; whatever changes or reveals something needs a token, where
//! there are any. Each action and each refusal is a line of the audit log.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::header::WWW_AUTHENTICATE;
use http_body_util::Full;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::Request;
use super::Response;
use super::csrf;
use super::problem::Kind;
use super::problem::Problem;
use crate::config::Token;
use crate::graph::reload::Wanted;
use crate::observe::audit;

/// Who acts.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    /// The name of the token; none where none is needed.
    pub(super) name: Option<Arc<str>>,
    pub(super) address: IpAddr,
}

/// Lets operators in.
pub(super) struct Guard {
    pub(super) tokens: Vec<Token>,
}

impl Guard {
    /// Who this is, if they may act.
    pub(super) fn admit(&self, address: IpAddr, request: &Request) -> Result<Operator, Problem> {
        let path = request.uri().path();
        let mut operator = Operator {
            name: None,
            address,
        };
        if path.starts_with("/health/") {
            return Ok(operator);
        }
        // A page that somebody visits on this machine reaches the loopback address, too.
        if csrf::comes_from_a_page(request.headers()) {
            audit::refused(&operator.address, request.method(), path);
            let detail = "This port answers no web pages.";
            return Err(Problem::new(Kind::CrossSiteRequest, detail));
        }
        if !self.tokens.is_empty() {
            operator.name = self.holder(request.headers());
            if operator.name.is_none() {
                audit::refused(&operator.address, request.method(), path);
                return Err(unauthenticated());
            }
        }
        Ok(operator)
    }

    /// Whose token this is. All are compared, each in constant time.
    fn holder(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let given = bearer(headers)?;
        let mut holder = None;
        for token in &self.tokens {
            if bool::from(token.secret.as_bytes().ct_eq(given.as_bytes())) {
                holder = Some(token.name.clone());
            }
        }
        holder
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated() -> Problem {
    let detail = "Send a token of this gateway's configuration: Authorization: Bearer TOKEN.";
    Problem::new(Kind::Unauthenticated, detail).header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"admin\""),
    )
}

/// `POST /reload`: reads everything anew and says what became of it.
pub(super) async fn reload(
    reloads: mpsc::Sender<Wanted>,
    Extension(operator): Extension<Operator>,
) -> Result<Response, Problem> {
    let (told, outcome) = oneshot::channel();
    // Neither fails before the process ends.
    let asked = reloads.send(Some(told)).await.is_ok();
    let outcome = outcome.await.ok().filter(|_| asked);
    let name = operator.name.as_deref();
    match outcome {
        Some(Ok(version)) => {
            audit::acted(&operator.address, name, "reload", "done");
            let body = json!({ "status": "reloaded", "graph": version });
            Ok(Response::new(Full::from(body.to_string())))
        }
        Some(Err(codes)) => {
            audit::acted(&operator.address, name, "reload", "refused");
            let detail = "The graph in service stays. The log says what is wrong and where.";
            Err(Problem::new(Kind::ReloadRefused, detail).member("codes", codes))
        }
        None => {
            audit::acted(&operator.address, name, "reload", "stopping");
            Err(Problem::new(Kind::Overloaded, "The gateway is stopping."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(headers: &[&'static str]) -> Option<Arc<str>> {
        let token = |name: &str, secret: &str| Token {
            name: name.into(),
            secret: secret.into(),
        };
        let guard = Guard {
            tokens: vec![
                token("deploy", "0123456789abcdef"),
                token("ops", "fedcba9876543210"),
            ],
        };
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        guard.holder(&map)
    }

    #[test]
    fn a_token_names_its_holder() {
        assert_eq!(
            holder(&["Bearer 0123456789abcdef"]).as_deref(),
            Some("deploy")
        );
        assert_eq!(holder(&["bearer fedcba9876543210"]).as_deref(), Some("ops"));
    }

    #[test]
    fn anything_else_names_nobody() {
        for wrong in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdeff"],
            &["Basic 0123456789abcdef"],
            &["0123456789abcdef"],
            &["Bearer 0123456789abcdef", "Bearer fedcba9876543210"],
        ] {
            assert_eq!(holder(wrong), None, "{wrong:?}");
        }
    }
}
