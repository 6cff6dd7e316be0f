//! What the gateway keeps of services' replies, as a request sees it.
//!
//! Owns for whom replies are kept, what an answer's `Cache-Control` and `Age`
//! say, and what a mutation makes old. How replies are kept is known to
//! `sources` alone.

use std::sync::Arc;

use compose::model::SourceId;
use compose::model::Target;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AGE;
use http::header::CACHE_CONTROL;
use plan::Plan;
use plan::cache::Caching;
use plan::cache::Freshness;
use sources::Purge;
use sources::UpstreamRule;

use crate::authenticate::Principal;
use crate::config::Config;
use crate::graph::Graph;
use crate::plans::Planned;

/// Where a request may keep and take replies: how fresh they are; none where it may not.
pub(crate) fn caching(settings: &Config, plan: &Plan) -> Option<Caching> {
    let Some(cache) = &settings.cache else {
        return None;
    };
    let follows = cache.upstream == UpstreamRule::Follow && !plan.steps().is_empty();
    // What a mutation reads is read after it has written.
    let keeps = (plan.keeps() || follows) && !plan.is_mutation();
    keeps.then(Caching::default)
}

/// Who asks, where replies may be kept for one caller apart from others.
pub(crate) fn principal(
    plan: &Plan,
    caching: Option<&Caching>,
    caller: &Principal,
) -> Option<Arc<[u8]>> {
    let matters = caching.is_some() || plan.may_be_stale() || plan.asks_here();
    matters.then(|| key_of(caller)).flatten()
}

/// A caller in a form that no other has: the API key and the token's issuer and subject. A token without a subject is known by all that it claims.
pub(crate) fn key_of(caller: &Principal) -> Option<Arc<[u8]>> {
    if !caller.is_authenticated() {
        return None;
    }
    let mut key = Vec::new();
    let mut add = |part: Option<&str>| match part {
        Some(part) => {
            key.push(1);
            key.extend_from_slice(&(part.len() as u64).to_le_bytes());
            key.extend_from_slice(part.as_bytes());
        }
        None => key.push(0),
    };
    add(caller.api_key_id());
    add(caller.issuer());
    add(caller.subject());
    if caller.subject().is_none() {
        add(Some(&caller.claims().to_string()));
    }
    Some(key.into())
}

/// How fresh an answer without errors is. Only what nobody in particular asked for, and what no header or claim changed, is for everybody.
pub(crate) fn freshness(
    planned: &Planned,
    caching: Option<&Caching>,
    for_one: bool,
) -> Option<Freshness> {
    // What one client alone is given is nothing to keep.
    let caching = caching.filter(|_| !planned.propagates)?;
    let mut fresh = caching.freshness(planned.plan.cache())?;
    let same_for_all = planned.identity.is_empty() && planned.plan.demands().is_empty();
    fresh.private |= for_one || !same_for_all;
    Some(fresh)
}

/// Says it to the client, and to whoever stands between.
pub(crate) fn write(fresh: Freshness, headers: &mut HeaderMap) {
    let scope = match fresh.private {
        true => "private",
        false => "public",
    };
    // By RFC 9111, 4.2, a client counts the age against it.
    let lifetime = fresh.left.saturating_add(fresh.age);
    if let Ok(control) = HeaderValue::try_from(format!("max-age={lifetime}, {scope}")) {
        headers.insert(CACHE_CONTROL, control);
        headers.insert(AGE, fresh.age.into());
    }
}

/// What was kept of the sources that a mutation has called, and of the types that it has answered, is old; however it ended.
pub(crate) struct Written<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) plan: &'g Plan,
    /// The graph in service by now: the mutation may have begun on another one.
    pub(crate) current: &'g arc_swap::ArcSwap<Graph>,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        let graph = self.plan.supergraph();
        let writes = |id| {
            matches!(
                graph.resolver(id).target,
                Target::Root { mutation: true, .. }
            )
        };
        let steps = self.plan.steps();
        let sources: Vec<SourceId> = steps
            .iter()
            .filter(|step| writes(step.resolver))
            .map(|step| graph.resolver(step.resolver).source)
            .collect();
        let layouts = steps.iter().flat_map(|step| &step.shape.layouts);
        let types: Vec<Arc<str>> = layouts.map(|layout| layout.ty.clone()).collect();
        self.graph.written(&sources, &types);
        let current = self.current.load();
        if !std::ptr::eq(&**current, self.graph) {
            current.purge(&Purge::All);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(claims: serde_json::Value, api_key: Option<&str>) -> Arc<[u8]> {
        key_of(&Principal::for_tests(claims, api_key)).unwrap()
    }

    #[test]
    fn a_caller_is_known_by_key_issuer_and_subject() {
        let ada = || json!({ "iss": "a", "sub": "ada", "exp": 1 });
        assert_eq!(
            of(ada(), None),
            of(json!({ "iss": "a", "sub": "ada" }), None)
        );
        for other in [
            of(json!({ "iss": "b", "sub": "ada" }), None),
            of(json!({ "iss": "a", "sub": "bob" }), None),
            of(json!({ "iss": "aa", "sub": "da" }), None),
            of(ada(), Some("key")),
            of(json!({ "iss": "a" }), None),
        ] {
            assert_ne!(of(ada(), None), other);
        }
        assert_ne!(
            of(json!({ "iss": "a", "org": 1 }), None),
            of(json!({ "iss": "a", "org": 2 }), None)
        );
        assert_eq!(key_of(&Principal::anonymous()), None);
    }

    #[test]
    fn the_age_is_told_and_counts_against_the_time() {
        let mut headers = HeaderMap::new();
        let fresh = Freshness {
            age: 5,
            left: 55,
            private: false,
        };
        write(fresh, &mut headers);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60, public");
        assert_eq!(headers[AGE], "5");
    }
}
