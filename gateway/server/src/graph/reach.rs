//! Whether each service accepts connections, for those who watch the gateway.
//!
//! Owns asking, and not asking too often: whoever may read the answer cannot
//! make the gateway flood its services.

use std::collections::BTreeMap;
use std::time::Duration;

use compose::Supergraph;
use futures_util::future::join_all;
use http::Uri;
use sources::SourcesConfig;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);
/// What does not accept within this is called unreachable. Shorter than those wait who ask whether
/// the gateway is ready: a service that swallows connections must not make it look dead.
const PATIENCE: Duration = Duration::from_millis(250);

/// Whether a service accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Reachable,
    /// In words that tell nothing of its address.
    Unreachable(&'static str),
}

/// The addresses of a graph's services.
pub(crate) struct Sources {
    /// Host and port by source name.
    addresses: BTreeMap<String, Option<(String, u16)>>,
    last: Mutex<Option<(Instant, States)>>,
}

type States = BTreeMap<String, Reach>;

impl Sources {
    pub(crate) fn of(graph: &Supergraph, config: &SourcesConfig) -> Self {
        let address = |source: &compose::model::Source| {
            let overridden = config
                .sources
                .get(&source.name)
                .and_then(|s| s.url.as_ref());
            let address = host_and_port(overridden.map_or(source.kind.url(), String::as_str));
            (source.name.clone(), address)
        };
        // What the gateway serves itself is there.
        let elsewhere = graph.sources().iter().filter(|it| !it.kind.is_local());
        Self {
            addresses: elsewhere.map(address).collect(),
            last: Mutex::default(),
        }
    }

    /// The state of each, at most [`FRESH`] old. Callers at the same time share one round of asking.
    pub(crate) async fn states(&self) -> States {
        let mut last = self.last.lock().await;
        if let Some((asked, states)) = &*last
            && asked.elapsed() < FRESH
        {
            return states.clone();
        }
        let asked = self.addresses.iter().map(|(name, address)| async move {
            let state = match address {
                Some((host, port)) => ask(host, *port).await,
                None => Reach::Unreachable("no address"),
            };
            (name.clone(), state)
        });
        let states: States = join_all(asked).await.into_iter().collect();
        *last = Some((Instant::now(), states.clone()));
        states
    }
}

async fn ask(host: &str, port: u16) -> Reach {
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await;
    match connected {
        Ok(Ok(_)) => Reach::Reachable,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Reach::Unreachable("connection refused")
        }
        Ok(Err(_)) => Reach::Unreachable("no connection"),
        Err(_) => Reach::Unreachable("no answer in time"),
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let host = uri.host()?.trim_matches(['[', ']']);
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_has_the_one_of_its_scheme() {
        let of = |url| host_and_port(url);
        assert_eq!(of("http://users/api"), Some(("users".into(), 80)));
        assert_eq!(of("https://users"), Some(("users".into(), 443)));
        assert_eq!(of("http://[::1]:8080"), Some(("::1".into(), 8080)));
        assert_eq!(of("not an address"), None);
    }

    #[tokio::test]
    async fn a_service_that_accepts_is_reachable_and_one_that_is_gone_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(ask("127.0.0.1", port).await, Reach::Reachable);
        drop(listener);
        let gone = Reach::Unreachable("connection refused");
        assert_eq!(ask("127.0.0.1", port).await, gone);
    }
}
