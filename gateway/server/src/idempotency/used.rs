//! One use of a key: what makes two of them the same, and what their caller may see.

use std::sync::Arc;
use std::time::Duration;

use plan::Plan;
use plan::access::Verdict;
use plan::code::Code;
use plan::effects::Effects;
use plan::model::Variables;
use queue::keys::Asked;
use serde_json::Map;
use serde_json::Value as Json;

use super::ClientEffects;
use super::ClientKey;
use super::Refused;
use super::Stored;
use crate::authenticate::Principal;
use crate::durable::caller_of;
use crate::durable::hash;

/// What a key is used for.
pub(crate) struct Mutation<'r> {
    pub(crate) document: &'r str,
    pub(crate) operation_name: Option<&'r str>,
    /// As the client sent them.
    pub(crate) variables: &'r Map<String, Json>,
    pub(crate) plan: &'r Plan,
    /// With what was decided of its demands.
    pub(crate) decided: &'r Variables,
}

/// One use of a key.
pub(crate) struct Used {
    /// None of an anonymous caller, who is answered nothing again: everybody is.
    pub(super) asked: Option<Asked>,
    pub(super) effects: Arc<ClientEffects>,
    denied: Vec<Denied>,
}

/// What the caller may not see.
struct Denied {
    what: String,
    verdict: Verdict,
}

impl Used {
    pub(crate) fn new(
        key: &ClientKey,
        by: &Principal,
        mutation: &Mutation<'_>,
        keep: Duration,
    ) -> Self {
        let caller = caller_of(by);
        let fingerprint = mutation.fingerprint(caller.as_deref());
        let whose = match &caller {
            Some(caller) => caller.as_str(),
            // Nobody tells two of them apart, but for what they want.
            None => &fingerprint,
        };
        let kind: &[u8] = if caller.is_some() {
            b"caller"
        } else {
            b"nobody"
        };
        let name = hash(&[kind, whose.as_bytes(), key.as_str().as_bytes()]);
        let asked = caller.is_some().then(|| Asked {
            name: name.clone(),
            fingerprint: fingerprint.clone(),
            repeatable: mutation.plan.may_be_repeated(mutation.decided),
            keep,
        });
        Self {
            asked,
            effects: Arc::new(ClientEffects::new(name, keep, mutation.plan)),
            denied: mutation.denied(),
        }
    }

    /// For the calls that it causes.
    pub(crate) fn effects(&self) -> Arc<dyn Effects> {
        self.effects.clone()
    }

    /// What the caller may not see, as it is kept with the answer.
    pub(crate) fn denied(&self) -> Vec<String> {
        self.denied.iter().map(|it| it.what.clone()).collect()
    }

    /// Whether nothing is denied now that was not denied then.
    pub(super) fn check(&self, stored: &Stored) -> Result<(), Refused> {
        let lost = |it: &&Denied| !stored.denied.contains(&it.what);
        let mut lost = self.denied.iter().filter(lost);
        let Some(first) = lost.next() else {
            return Ok(());
        };
        // What nobody could decide may be decided later.
        let undecided = first.verdict == Verdict::Undecided;
        let undecided = undecided && lost.all(|it| it.verdict == Verdict::Undecided);
        Err(Refused::Denied(match undecided {
            true => Code::AuthorizationUnavailable,
            false => Code::Forbidden,
        }))
    }
}

impl Mutation<'_> {
    fn fingerprint(&self, caller: Option<&str>) -> String {
        let mut variables = Json::Object(self.variables.clone());
        // Clients that send the same again may do so in another order.
        variables.sort_all_objects();
        let named = self.operation_name.unwrap_or_default();
        hash(&[
            self.document.as_bytes(),
            named.as_bytes(),
            variables.to_string().as_bytes(),
            caller.unwrap_or_default().as_bytes(),
        ])
    }

    /// Each place that is denied, in words that mean the same in another version of the graph.
    fn denied(&self) -> Vec<Denied> {
        let graph = self.plan.supergraph();
        let demands = self.plan.demands().iter().enumerate();
        let denied = demands.filter_map(|(at, asked)| {
            let verdict = self.plan.verdict(self.decided, at);
            (verdict != Verdict::Met).then_some((asked, verdict))
        });
        let places = denied.flat_map(|(asked, verdict)| {
            let demand = graph.demand(asked.demand);
            asked.protects.iter().map(move |place| Denied {
                what: format!("{place}: {demand:?}"),
                verdict,
            })
        });
        places.collect()
    }
}
