//! What sockets and subscriptions need to know, from what the file says.

use std::time::Duration;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use http::HeaderName;

use super::authentication::Authentication;
use super::authentication::TokenPlace;
use super::file::subscriptions as file;
use super::problem::only;

pub(crate) use file::OnReload;
pub(crate) use file::WhenFull;

/// Operations that are answered again and again.
#[derive(Debug, Clone)]
pub(crate) struct Subscriptions {
    pub(crate) enabled: bool,
    pub(crate) legacy: bool,
    /// Operations of one socket.
    pub(crate) per_socket: usize,
    /// Subscriptions of all clients.
    pub(crate) open: usize,
    /// Bytes of a client's message.
    pub(crate) message: usize,
    pub(crate) init_timeout: Duration,
    pub(crate) keep_alive: Duration,
    /// Responses that may wait for a client. Never 0.
    pub(crate) buffer: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) on_reload: OnReload,
    /// What the payload of `connection_init` may stand in for: where credentials are looked for, and what the file names.
    pub(crate) init_headers: Vec<HeaderName>,
}

pub(super) fn subscriptions(
    file: &file::Subscriptions,
    authentication: &Authentication,
) -> Result<Subscriptions, Diagnostics> {
    let wrong = |what: &str| {
        let message = format!("subscriptions.{what}");
        Err(only(Diagnostic::error("CONFIG_VALUE", message)))
    };
    if file.buffer == 0 || file.per_socket == 0 {
        return wrong("buffer and per_socket are at least 1");
    }
    if file.keep_alive.0 < Duration::from_secs(1) {
        return wrong("keep_alive is at least 1s");
    }
    let mut init_headers = credentials(authentication);
    for name in &file.init_headers {
        match name.parse() {
            Ok(name) => init_headers.push(name),
            Err(_) => return wrong(&format!("init_headers: `{name}` is no name of a header")),
        }
    }
    Ok(Subscriptions {
        enabled: file.enabled,
        legacy: file.legacy,
        per_socket: file.per_socket,
        open: file.open,
        message: file.message.0,
        init_timeout: file.init_timeout.0,
        keep_alive: file.keep_alive.0,
        buffer: file.buffer,
        when_full: file.when_full,
        on_reload: file.on_reload,
        init_headers,
    })
}

/// The headers in which credentials are looked for.
fn credentials(authentication: &Authentication) -> Vec<HeaderName> {
    let places = authentication.jwt.iter().flat_map(|jwt| &jwt.places);
    let tokens = places.filter_map(|place| match place {
        TokenPlace::Header { name, .. } => Some(name.clone()),
        TokenPlace::Cookie(_) => None,
    });
    let keys = authentication
        .api_keys
        .iter()
        .map(|keys| keys.header.clone());
    tokens.chain(keys).collect()
}
