//! GraphQL services within this process.
//!
//! Owns what such a service is told of a call, and whose call it is. It is
//! asked like any other: with a plan's operation, a deadline and a breaker.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::Uri;
use plan::source::BoxFuture;
use plan::source::Claims;
use plan::source::Context;
use serde_json::Map;
use serde_json::Value as Json;

use super::Way;
use crate::peers::Address;
use crate::peers::Host;
use crate::peers::PeerSettings;
use crate::peers::Peers;
use crate::peers::Resolve;

/// A GraphQL service within this process: a source whose address is `local:`.
pub trait LocalService: Send + Sync {
    /// Answers one operation with a GraphQL response in JSON.
    fn answer(&self, request: LocalRequest) -> BoxFuture<'_, Bytes>;
}

/// One operation for a [`LocalService`].
#[derive(Debug, Clone)]
pub struct LocalRequest {
    /// The operation's text.
    pub query: String,
    /// Its name in the text.
    pub operation_name: String,
    /// Its variables.
    pub variables: Map<String, Json>,
    /// On whose behalf.
    pub caller: Arc<LocalCaller>,
    /// How long the answer is waited for.
    pub time: Duration,
}

/// The client on whose behalf a [`LocalService`] is asked.
#[derive(Debug, Clone)]
pub struct LocalCaller {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its verified claims; null without an identity.
    pub claims: Claims,
    /// Who it is, in a form that nobody else shares; none without credentials.
    pub principal: Option<Arc<[u8]>>,
    /// The label of its request, for logs.
    pub correlation_id: Arc<str>,
}

impl LocalCaller {
    pub(super) fn of(context: &Context) -> Self {
        Self {
            headers: context.headers.clone(),
            claims: context.claims.clone(),
            principal: context.principal.clone(),
            correlation_id: context.correlation_id.clone(),
        }
    }
}

/// A service may look at all of it, so that all of it tells two calls apart; but not the label.
impl PartialEq for LocalCaller {
    fn eq(&self, other: &Self) -> bool {
        self.principal == other.principal
            && *self.claims == *other.claims
            && self.headers == other.headers
    }
}

impl Eq for LocalCaller {}

impl Hash for LocalCaller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.principal.hash(state);
        self.claims.to_string().hash(state);
    }
}

/// The services within this process, by the source's name.
#[derive(Clone, Default)]
pub struct LocalServices(HashMap<String, Arc<dyn LocalService>>);

impl LocalServices {
    /// Serves a source.
    pub fn serve(&mut self, source: impl Into<String>, service: Arc<dyn LocalService>) {
        self.0.insert(source.into(), service);
    }

    pub(crate) fn get(&self, source: &str) -> Option<&Arc<dyn LocalService>> {
        self.0.get(source)
    }
}

impl fmt::Debug for LocalServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The way to a service that has no address: there is one of it, and it is always there.
pub(super) fn peers(service: Arc<dyn LocalService>, settings: PeerSettings) -> Arc<Peers<Way>> {
    let address = Address {
        hosts: vec![Host {
            origin: Uri::from_static("http://local"),
            name: "local".to_owned(),
            port: 0,
            tls: false,
        }],
        prefix: String::new(),
    };
    let make = move |_: &Host, _| Ok(Way::Local(service.clone()));
    Peers::new(address, settings, Arc::new(Here), make)
}

struct Here;

impl Resolve for Here {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]) })
    }
}
