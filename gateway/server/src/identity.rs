//! What of a caller an operation depends on.
//!
//! Owns the walk over a plan's requests for every header and claim that they
//! name, and the key that two callers must share before one answer may serve
//! both. Correlation, request and trace ids are labels and never part of it.

use compose::model::Expr;
use compose::model::HeaderRule;
use compose::model::Piece;
use compose::model::Request;
use compose::model::Resolver;
use http::HeaderMap;
use plan::Plan;
use plan::model::Variables;
use serde_json::Value as Json;

/// The headers and claims that the upstream calls of a plan are made from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Lower case, sorted.
    headers: Vec<String>,
    /// Paths into the claims, sorted.
    claims: Vec<Vec<String>>,
    /// A service of the gateway's own is told who asks, and may look at all of it.
    whole: bool,
}

impl Identity {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut identity = Self::default();
        let graph = plan.supergraph();
        for step in plan.steps() {
            let single = step.single.as_ref().map(|single| single.resolver);
            for id in [Some(step.resolver), single].into_iter().flatten() {
                let resolver = graph.resolver(id);
                let source = graph.source(resolver.source);
                identity.rules(&source.headers);
                identity.whole |= source.kind.is_local();
                identity.resolver(resolver);
            }
        }
        identity.headers.sort_unstable();
        identity.headers.dedup();
        identity.claims.sort_unstable();
        identity.claims.dedup();
        identity
    }

    /// Whether its calls are the same for everybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.claims.is_empty() && !self.whole
    }

    fn resolver(&mut self, resolver: &Resolver) {
        match &resolver.request {
            Request::Rest(request) => {
                self.pieces(&request.path);
                request
                    .query
                    .iter()
                    .for_each(|param| self.expr(&param.value));
                request.body.iter().for_each(|body| self.expr(body));
                self.rules(&request.headers);
            }
            Request::Grpc(request) => {
                self.expr(&request.message);
                self.rules(&request.metadata);
            }
            Request::Graphql(request) => {
                let values = request.args.iter().map(|(_, value)| value);
                values.for_each(|value| value.visit(&mut |expr| self.expr(expr)));
            }
        }
        let limit = resolver
            .batch
            .as_ref()
            .and_then(|batch| batch.limit.as_ref());
        limit.into_iter().for_each(|limit| self.expr(limit));
    }

    fn rules(&mut self, rules: &[HeaderRule]) {
        rules.iter().for_each(|rule| self.expr(&rule.value));
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            if let Piece::Hole(expr) = piece {
                self.expr(expr);
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Header(name) => self.headers.push(name.clone()),
            Expr::Claim(path) => self.claims.push(path.clone()),
            Expr::Each(inner) | Expr::Representations(inner) => self.expr(inner),
            Expr::FirstOf(items) | Expr::List(items) => items.iter().for_each(|e| self.expr(e)),
            Expr::Object(fields) => fields.iter().for_each(|(_, e)| self.expr(e)),
            Expr::Template(pieces) => self.pieces(pieces),
            Expr::Const(_) | Expr::Arg { .. } | Expr::Parent { .. } | Expr::Batch { .. } => {}
        }
    }

    /// Everything that distinguishes one request for the plan from another. Empty where nothing does.
    pub(crate) fn key(
        &self,
        variables: &Variables,
        headers: &HeaderMap,
        claims: &Json,
    ) -> Box<[u8]> {
        let mut key = Vec::new();
        for variable in &variables.0 {
            match variable {
                Some(value) => json(&mut key, value),
                // No JSON text begins like this: a variable that was not given is not null.
                None => key.push(b'-'),
            }
            key.push(0);
        }
        for name in &self.headers {
            for value in headers.get_all(name) {
                sized(&mut key, value.as_bytes());
            }
            key.push(0);
        }
        for path in &self.claims {
            let claim = path
                .iter()
                .try_fold(claims, |value, segment| value.get(segment));
            claim.into_iter().for_each(|claim| json(&mut key, claim));
            key.push(0);
        }
        if self.whole {
            for (name, value) in headers {
                sized(&mut key, name.as_str().as_bytes());
                sized(&mut key, value.as_bytes());
            }
            json(&mut key, claims);
        }
        key.into()
    }
}

fn json(key: &mut Vec<u8>, value: &Json) {
    // Writing to memory cannot fail, and a value's keys are text.
    let _ = serde_json::to_writer(key, value);
}

/// With its length before it, since a header may hold any byte but line ends.
fn sized(key: &mut Vec<u8>, bytes: &[u8]) {
    key.push(1);
    key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    key.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expr: Expr) -> Identity {
        let mut identity = Identity::default();
        identity.expr(&expr);
        identity
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn headers_and_claims_are_found_at_any_depth() {
        let header = Expr::Header("authorization".into());
        let nested = Expr::Object(vec![(
            "a".into(),
            Expr::List(vec![Expr::Each(Box::new(Expr::FirstOf(vec![
                Expr::Template(vec![Piece::Text("x".into()), Piece::Hole(header)]),
                Expr::Claim(vec!["org".into(), "id".into()]),
            ])))]),
        )]);
        let identity = of(nested);
        assert_eq!(identity.headers, ["authorization"]);
        assert_eq!(identity.claims, [["org", "id"]]);
    }

    #[test]
    fn callers_share_a_key_only_when_every_header_that_counts_is_the_same() {
        let identity = of(Expr::Header("authorization".into()));
        let key = |pairs: &[(&'static str, &'static str)]| {
            identity.key(&Variables::default(), &headers(pairs), &Json::Null)
        };
        let ada = key(&[("authorization", "ada"), ("x-request-id", "1")]);
        assert_eq!(ada, key(&[("authorization", "ada"), ("x-request-id", "2")]));
        assert_ne!(ada, key(&[("authorization", "bob")]));
        assert_ne!(ada, key(&[]));
        assert_ne!(key(&[]), key(&[("authorization", "")]));
        assert_ne!(
            key(&[("authorization", "a"), ("authorization", "b")]),
            key(&[("authorization", "ab")])
        );
    }

    #[test]
    fn callers_share_a_key_only_when_the_claims_that_count_are_the_same() {
        let identity = of(Expr::Claim(vec!["sub".into()]));
        let key = |claims| identity.key(&Variables::default(), &HeaderMap::new(), &claims);
        let ada = key(serde_json::json!({ "sub": "ada", "iat": 1 }));
        assert_eq!(ada, key(serde_json::json!({ "sub": "ada", "iat": 2 })));
        assert_ne!(ada, key(serde_json::json!({ "sub": "bob" })));
        assert_ne!(ada, key(Json::Null));
    }

    #[test]
    fn a_variable_that_was_not_given_differs_from_null() {
        let key = |variables| Identity::default().key(&variables, &HeaderMap::new(), &Json::Null);
        let given = key(Variables(vec![Some(Json::Null)]));
        assert_ne!(given, key(Variables(vec![None])));
        assert_ne!(given, key(Variables(vec![Some(Json::from("null"))])));
        assert_eq!(given, key(Variables(vec![Some(Json::Null)])));
        assert!(key(Variables::default()).is_empty());
    }
}
