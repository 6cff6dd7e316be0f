//! Who is at the other end of a socket or a stream.
//!
//! Owns what is known of it for all its operations, and which credentials the
//! first message of a socket may bring: browsers set no headers on a socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use serde_json::Map;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::graphql;
use super::super::graphql::Arrival;
use super::super::problem::Kind;
use super::super::problem::Problem;
use crate::authenticate::Principal;
use crate::graph::Graph;
use crate::pipeline::Gateway;

/// One client.
pub(super) struct Client {
    pub(super) gateway: Arc<Gateway>,
    /// The part of the graph that it sees; none for the whole.
    pub(super) contract: Option<Arc<str>>,
    pub(super) address: IpAddr,
    /// Of the request that began it, with the credentials of the first message.
    pub(super) headers: HeaderMap,
}

impl Client {
    pub(super) fn new(arrival: Arrival<'_>, address: IpAddr, headers: HeaderMap) -> Self {
        Self {
            gateway: arrival.gateway.clone(),
            contract: arrival.contract.cloned(),
            address,
            headers,
        }
    }

    /// The same, with credentials that came in a message.
    pub(super) fn with(&self, payload: &Map<String, Json>, may: &[HeaderName]) -> Self {
        Self {
            gateway: self.gateway.clone(),
            contract: self.contract.clone(),
            address: self.address,
            headers: merged(&self.headers, payload, may),
        }
    }

    /// Who asks, or why nobody is answered.
    pub(super) async fn principal(
        &self,
        graph: &Graph,
        deadline: Instant,
    ) -> Result<Principal, Problem> {
        match graphql::principal(graph, &self.headers, deadline).await {
            Ok(principal) => Ok(principal),
            Err(problem) => {
                let nobody = Principal::anonymous();
                Err(graphql::charged(graph, &nobody, self.address, deadline, problem).await)
            }
        }
    }

    /// Whether the credentials have ceased to be good: expired, withdrawn, or refused by new rules.
    /// That nobody can say so now changes nothing.
    pub(super) async fn is_denied(&self) -> bool {
        let graph = self.gateway.graph.load_full();
        let deadline = Instant::now() + Duration::from_secs(1);
        let asked = graphql::principal(&graph, &self.headers, deadline).await;
        asked.is_err_and(|problem| problem.kind() == Kind::Unauthenticated)
    }
}

/// Headers with those that a payload may stand in for. What a request carried, a proxy may have
/// set: it is never replaced. Names have no case; they stand in the payload or in its `headers`.
fn merged(headers: &HeaderMap, payload: &Map<String, Json>, may: &[HeaderName]) -> HeaderMap {
    let mut merged = headers.clone();
    let nested = payload.get("headers").and_then(Json::as_object);
    let said = [Some(payload), nested].into_iter().flatten().flatten();
    for (name, value) in said {
        let name = may
            .iter()
            .find(|may| may.as_str().eq_ignore_ascii_case(name));
        let value = value
            .as_str()
            .and_then(|text| HeaderValue::try_from(text).ok());
        if let (Some(name), Some(mut value)) = (name, value)
            && !headers.contains_key(name)
        {
            value.set_sensitive(true);
            merged.insert(name, value);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use serde_json::json;

    use super::*;

    fn merge(headers: &[(&'static str, &'static str)], payload: Json) -> Vec<(String, String)> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let may = [AUTHORIZATION, HeaderName::from_static("x-api-key")];
        let merged = merged(&headers.collect(), payload.as_object().unwrap(), &may);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let pairs = merged
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)));
        pairs.collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn credentials_stand_in_the_payload_or_in_its_headers() {
        let bearer = pair("authorization", "Bearer x");
        for payload in [
            json!({ "Authorization": "Bearer x" }),
            json!({ "headers": { "authorization": "Bearer x" } }),
        ] {
            assert_eq!(merge(&[], payload), std::slice::from_ref(&bearer));
        }
        let key = merge(&[("x-tenant", "7")], json!({ "X-API-Key": "k" }));
        assert_eq!(key, [pair("x-tenant", "7"), pair("x-api-key", "k")]);
    }

    #[test]
    fn a_payload_changes_nothing_that_is_no_credential_or_that_the_request_said() {
        assert_eq!(
            merge(&[], json!({ "x-forwarded-for": "::1", "cookie": "a" })),
            []
        );
        assert_eq!(
            merge(&[], json!({ "authorization": 7, "x-api-key": "a\nb" })),
            []
        );
        let kept = merge(
            &[("authorization", "Bearer a")],
            json!({ "authorization": "Bearer b" }),
        );
        assert_eq!(kept, [pair("authorization", "Bearer a")]);
    }
}
