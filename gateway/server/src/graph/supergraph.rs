//! Where a ready-made supergraph comes from: a file, or an address that is asked again and again.
//!
//! Owns the question whether there is another one, and that the last good one
//! stays: in memory while the process runs, and on disk for a start at which the
//! address does not answer. What it means is composition's to say.

use std::sync::Arc;

use compose::diagnostic::Diagnostic;
use http::HeaderValue;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::ETAG;
use http::header::IF_NONE_MATCH;
use sources::outbound::Outbound;
use sources::outbound::OutboundSettings;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Supergraph;
use crate::config::SupergraphAddress;
use crate::config::SupergraphOrigin;

use super::kept::kept;

/// What was seen last, shared by all who load the graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastSeen(Arc<Mutex<Option<Seen>>>);

/// What an address answered.
#[derive(Debug, Clone)]
struct Seen {
    url: String,
    etag: Option<HeaderValue>,
    text: Arc<str>,
}

/// A supergraph's text, and what diagnostics call it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: String,
    pub(super) sdl: Arc<str>,
}

impl LastSeen {
    /// The supergraph as it is known. An address is asked where nothing is known of it.
    pub(super) async fn text(&self, supergraph: &Supergraph) -> Result<Text, Box<Diagnostic>> {
        match &supergraph.origin {
            SupergraphOrigin::File(file) => read(file),
            SupergraphOrigin::Address(address) => self.of_address(address).await,
        }
    }

    async fn of_address(&self, address: &SupergraphAddress) -> Result<Text, Box<Diagnostic>> {
        let named = |sdl: Arc<str>| Text {
            file: address.url.clone(),
            sdl,
        };
        if let Some(text) = self.known(address).await {
            return Ok(named(text));
        }
        let why = match self.ask(address).await {
            Ok(_) => match self.known(address).await {
                Some(text) => return Ok(named(text)),
                None => "it answers that nothing has changed".to_owned(),
            },
            Err(why) => why,
        };
        let Some(text) = kept(address.keep.as_deref()) else {
            return Err(unreachable(address, &why));
        };
        tracing::warn!(
            url = address.url,
            why,
            "the supergraph's address does not answer: the last good copy serves"
        );
        let text: Arc<str> = text.into();
        self.remember(address, None, text.clone()).await;
        Ok(named(text))
    }

    /// Asks the address; whether it has another supergraph than the one known.
    pub(super) async fn ask(&self, address: &SupergraphAddress) -> Result<bool, String> {
        let seen = self.0.lock().await.clone();
        let seen = seen.filter(|seen| seen.url == address.url);
        let mut headers = address.headers.clone();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(
            "application/graphql, text/plain, */*",
        ));
        if let Some(etag) = seen.as_ref().and_then(|seen| seen.etag.clone()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        let settings = OutboundSettings {
            max_reply_bytes: address.max_bytes,
            tls: address.tls.clone(),
            ..OutboundSettings::default()
        };
        let client = Outbound::new(&address.url, &settings).map_err(|why| why.to_string())?;
        let deadline = Instant::now() + address.timeout;
        let reply = client.fetch(headers, deadline).await;
        let reply = reply.map_err(|why| why.to_string())?;
        if reply.status == StatusCode::NOT_MODIFIED.as_u16() && seen.is_some() {
            return Ok(false);
        }
        if reply.status != StatusCode::OK.as_u16() {
            return Err(format!("it answers {}", reply.status));
        }
        let text = std::str::from_utf8(&reply.body).map_err(|_| "it is no text".to_owned())?;
        let changed = seen.is_none_or(|seen| *seen.text != *text);
        let etag = reply.headers.get(ETAG).cloned();
        self.remember(address, etag, text.into()).await;
        Ok(changed)
    }

    async fn known(&self, address: &SupergraphAddress) -> Option<Arc<str>> {
        let seen = self.0.lock().await;
        let seen = seen.as_ref().filter(|seen| seen.url == address.url);
        seen.map(|seen| seen.text.clone())
    }

    async fn remember(
        &self,
        address: &SupergraphAddress,
        etag: Option<HeaderValue>,
        text: Arc<str>,
    ) {
        *self.0.lock().await = Some(Seen {
            url: address.url.clone(),
            etag,
            text,
        });
    }
}

fn read(file: &str) -> Result<Text, Box<Diagnostic>> {
    let sdl = std::fs::read_to_string(file).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {file}"),
            _ => format!("{file} cannot be read: {error}"),
        };
        let help = "the configuration names it as `supergraph`";
        Box::new(Diagnostic::error("FILE_NOT_FOUND", why).help(help))
    })?;
    Ok(Text {
        file: file.to_owned(),
        sdl: sdl.into(),
    })
}

fn unreachable(address: &SupergraphAddress, why: &str) -> Box<Diagnostic> {
    let what = format!("there is no supergraph at {}: {why}", address.url);
    let help = "nothing is kept from an earlier start either (supergraph.keep)";
    Box::new(Diagnostic::error("SUPERGRAPH_UNREACHABLE", what).help(help))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex as Lock;
    use std::time::Duration;

    use axum::Router;
    use axum::extract::State;
    use axum::response::IntoResponse;
    use axum::response::Response;
    use axum::routing::get;
    use http::HeaderMap;

    use super::super::kept::ToKeep;
    use super::super::kept::keep;
    use super::*;

    /// What a registry answers, and the `If-None-Match` of those who asked.
    #[derive(Clone, Default)]
    struct Registry {
        answer: Arc<Lock<Option<(&'static str, &'static str)>>>,
        asked: Arc<Lock<Vec<Option<String>>>>,
    }

    impl Registry {
        fn answers(&self, etag: &'static str, text: &'static str) {
            *self.answer.lock().unwrap() = Some((etag, text));
        }

        fn falls(&self) {
            *self.answer.lock().unwrap() = None;
        }

        fn asked(&self) -> Vec<Option<String>> {
            std::mem::take(&mut *self.asked.lock().unwrap())
        }

        /// An address at which it answers.
        async fn serve(&self, keep: Option<PathBuf>) -> Supergraph {
            let routes = Router::new()
                .route("/graph", get(answer))
                .with_state(self.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, routes).await });
            let address = SupergraphAddress {
                url: format!("http://{address}/graph"),
                poll: Duration::from_secs(30),
                timeout: Duration::from_secs(20),
                max_bytes: 1024,
                headers: HeaderMap::from_iter([(
                    http::header::AUTHORIZATION,
                    "Bearer t".parse().unwrap(),
                )]),
                tls: Default::default(),
                keep,
            };
            Supergraph {
                origin: SupergraphOrigin::Address(Box::new(address)),
                env: Default::default(),
                sources: Default::default(),
            }
        }
    }

    async fn answer(State(registry): State<Registry>, headers: HeaderMap) -> Response {
        let sent = headers.get(IF_NONE_MATCH);
        let sent = sent.map(|etag| etag.to_str().unwrap().to_owned());
        registry.asked.lock().unwrap().push(sent.clone());
        let known = headers
            .get("authorization")
            .is_some_and(|it| it == "Bearer t");
        match *registry.answer.lock().unwrap() {
            Some((etag, _)) if sent.as_deref() == Some(etag) => {
                StatusCode::NOT_MODIFIED.into_response()
            }
            Some((etag, text)) if known => ([(ETAG, etag)], text).into_response(),
            _ => StatusCode::BAD_GATEWAY.into_response(),
        }
    }

    /// A file in a directory of its own.
    fn file() -> PathBuf {
        let name = format!("switchboard-supergraph-{}", uuid::Uuid::now_v7());
        std::env::temp_dir().join(name).join("kept.graphql")
    }

    #[tokio::test]
    async fn an_address_is_asked_for_another_supergraph_than_the_one_known() {
        let registry = Registry::default();
        let supergraph = registry.serve(None).await;
        let address = supergraph.address().unwrap();
        let last_seen = LastSeen::default();
        registry.answers("\"1\"", "one");
        assert_eq!(&*last_seen.text(&supergraph).await.unwrap().sdl, "one");
        assert_eq!(last_seen.ask(address).await, Ok(false));
        registry.answers("\"2\"", "two");
        assert_eq!(last_seen.ask(address).await, Ok(true));
        assert_eq!(&*last_seen.text(&supergraph).await.unwrap().sdl, "two");
        let etags = [None, Some("\"1\"".to_owned()), Some("\"1\"".to_owned())];
        assert_eq!(registry.asked(), etags);
    }

    #[tokio::test]
    async fn the_last_good_supergraph_stays_while_its_address_is_away() {
        let registry = Registry::default();
        let supergraph = registry.serve(None).await;
        let address = supergraph.address().unwrap();
        let last_seen = LastSeen::default();
        registry.answers("\"1\"", "one");
        assert_eq!(&*last_seen.text(&supergraph).await.unwrap().sdl, "one");
        registry.falls();
        assert_eq!(
            last_seen.ask(address).await,
            Err("it answers 502".to_owned())
        );
        assert_eq!(&*last_seen.text(&supergraph).await.unwrap().sdl, "one");
    }

    #[tokio::test]
    async fn what_was_kept_serves_a_start_without_the_address() {
        let registry = Registry::default();
        let path = file();
        let supergraph = registry.serve(Some(path.clone())).await;
        let address = supergraph.address().unwrap();
        let told = LastSeen::default().text(&supergraph).await.unwrap_err();
        assert_eq!(told.code, "SUPERGRAPH_UNREACHABLE");
        for text in ["kept", "kept again"] {
            let path = path.clone();
            keep(&[ToKeep {
                path,
                text: text.into(),
            }]);
        }
        let last_seen = LastSeen::default();
        assert_eq!(
            &*last_seen.text(&supergraph).await.unwrap().sdl,
            "kept again"
        );
        registry.answers("\"1\"", "one");
        assert_eq!(last_seen.ask(address).await, Ok(true));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
