//! From a request to a WebSocket: <https://www.rfc-editor.org/rfc/rfc6455#section-4.2>.
//!
//! Owns what a handshake must hold, and which protocol is spoken after it. No
//! extension is accepted.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONNECTION;
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::header::SEC_WEBSOCKET_KEY;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::header::SEC_WEBSOCKET_VERSION;
use http::header::UPGRADE;
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use ring::digest::digest;

use super::super::Request;
use super::super::problem::Problem;
use super::Answer;
use super::Opening;
use super::client::Client;
use super::conversation::Dialect;
use super::origin;
use super::socket;
use crate::observe::log;

/// What a server shows that it has understood: a fixed text of the specification.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Answers a handshake, and leaves the socket behind.
pub(super) fn open(opening: Opening<'_>, mut request: Request) -> Result<Answer, Problem> {
    let Opening {
        arrival,
        stays,
        cors,
    } = opening;
    let graph = arrival.gateway.graph.load_full();
    let settings = &graph.settings.subscriptions;
    let accept = accept(request.headers())?;
    let dialect = dialect(request.headers(), settings.legacy)?;
    let mut headers = request.headers().clone();
    origin::judge(&mut headers, cors)?;
    let address = graph.settings.client_address.of(arrival.peer, &headers);
    let client = Client::new(arrival, address, without_hop(headers));
    let upgraded = hyper::upgrade::on(&mut request);
    let lasting = stays.begin();
    let settings = settings.clone();
    let socket = async move {
        match upgraded.await {
            Ok(upgraded) => {
                socket::converse(upgraded, dialect, Arc::new(client), lasting, settings).await;
            }
            Err(error) => tracing::debug!(%error, "a socket was not opened"),
        }
    };
    tokio::spawn(log::on_behalf(arrival.ids.labels(), socket));
    Ok(accepted(accept, dialect))
}

fn accepted(accept: HeaderValue, dialect: Dialect) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    let protocol = HeaderValue::from_static(dialect.name());
    headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    answer
}

/// What answers the client's key.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let upgrades = words(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"));
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    if !upgrades || version.is_none_or(|version| version != "13") {
        let detail =
            "A WebSocket is opened with Connection: Upgrade and Sec-WebSocket-Version: 13.";
        let known = HeaderValue::from_static("13");
        return Err(Problem::malformed(detail).header(SEC_WEBSOCKET_VERSION, known));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let nonce = key.and_then(|key| STANDARD.decode(key).ok());
    let (Some(key), Some(16)) = (key, nonce.map(|nonce| nonce.len())) else {
        let detail = "Sec-WebSocket-Key is 16 bytes in base64.";
        return Err(Problem::malformed(detail));
    };
    let both = [key, MAGIC.as_bytes()].concat();
    let shown = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &both));
    HeaderValue::try_from(shown).map_err(|_| Problem::malformed("The key is no base64."))
}

/// The first protocol of the client's that is spoken here.
fn dialect(headers: &HeaderMap, legacy: bool) -> Result<Dialect, Problem> {
    let known = words(headers, &SEC_WEBSOCKET_PROTOCOL).filter_map(Dialect::named);
    let mut known = known.filter(|dialect| legacy || *dialect == Dialect::TransportWs);
    known.next().ok_or_else(|| {
        let detail =
            "Name a protocol that is spoken here: Sec-WebSocket-Protocol: graphql-transport-ws.";
        Problem::malformed(detail)
    })
}

fn words<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// What was said of this connection says nothing of its operations, and a key names none of them.
fn without_hop(mut headers: HeaderMap) -> HeaderMap {
    let of_hop = |name: &&HeaderName| {
        let name = name.as_str();
        let of_one = matches!(name, "connection" | "upgrade" | "idempotency-key");
        of_one || name.starts_with("sec-websocket-")
    };
    let names: Vec<HeaderName> = headers.keys().filter(of_hop).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    const GOOD: [(&str, &str); 3] = [
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn a_key_is_answered_as_the_specification_shows() {
        assert_eq!(
            accept(&headers(&GOOD)).unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_handshake_that_is_none_is_refused() {
        for (name, value) in [
            ("connection", "keep-alive"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", "not base64"),
        ] {
            let mut bad = headers(&GOOD);
            bad.insert(name, HeaderValue::from_static(value));
            assert_eq!(accept(&bad).unwrap_err().status(), 400, "{name}: {value}");
        }
    }

    #[test]
    fn the_first_protocol_that_is_known_is_spoken() {
        let spoken = |offered: &'static str, legacy| {
            dialect(&headers(&[("sec-websocket-protocol", offered)]), legacy).ok()
        };
        assert_eq!(
            spoken("mqtt, graphql-transport-ws", true),
            Some(Dialect::TransportWs)
        );
        assert_eq!(
            spoken("graphql-ws, graphql-transport-ws", true),
            Some(Dialect::Legacy)
        );
        assert_eq!(
            spoken("graphql-ws, graphql-transport-ws", false),
            Some(Dialect::TransportWs)
        );
        assert_eq!(spoken("graphql-ws", false), None);
        assert_eq!(spoken("mqtt", true), None);
        assert_eq!(dialect(&HeaderMap::new(), true).ok(), None);
    }

    #[test]
    fn what_was_said_of_the_connection_is_not_said_of_operations() {
        let left = without_hop(headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("idempotency-key", "k"),
            ("x-tenant", "seven"),
        ]));
        assert_eq!(left, headers(&[("x-tenant", "seven")]));
    }
}
