//! What an operation demands of its caller, and what was decided of it.
//!
//! Owns the demands of a plan and the verdicts on them: who is authenticated
//! and which scopes they have is decided here, what a policy says is asked of
//! whoever decides policies. A demand of which nothing was decided is not met.
//! Must not know tokens, transports, or who the caller is beyond that.

use apollo_compiler::Name;
use compose::Supergraph;
use compose::model::Demand;
use compose::model::DemandId;
use serde_json::Value as Json;

use crate::code::Code;
use crate::condition::All;
use crate::condition::Term;
use crate::model::ConditionId;
use crate::model::Plan;
use crate::model::Variables;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// One demand of an operation.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which demand of the graph.
    pub demand: DemandId,
    /// Counts only when it holds: something that is selected waits for this demand, as far as
    /// variables and cheaper demands tell.
    pub condition: Option<ConditionId>,
    /// What it protects in this operation, in document order: `User.email`, or a type.
    pub protects: Vec<Box<str>>,
    /// Line and column of the first of these.
    pub location: Option<(u32, u32)>,
}

/// What was decided of a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The caller may go on.
    Met,
    /// The caller has no identity, which is the first thing to have.
    Unauthenticated,
    /// The caller has an identity, and not the right.
    Forbidden,
    /// Nobody could be asked.
    Undecided,
}

/// Who asks, as far as demands go.
pub trait Asker {
    /// Whether the identity is verified.
    fn is_authenticated(&self) -> bool;
    /// Whether the identity was given this scope.
    fn has_scope(&self, scope: &str) -> bool;
}

/// The demands of one request while they are decided.
#[derive(Debug)]
pub struct Judgement<'p> {
    plan: &'p Plan,
    variables: Variables,
    authenticated: bool,
}

impl Plan {
    /// Decides what can be decided without asking anybody. Policies are not met until [`Judgement::decide`].
    pub fn judge(&self, mut variables: Variables, asker: &dyn Asker) -> Judgement<'_> {
        let authenticated = asker.is_authenticated();
        variables.0.truncate(self.variables.len());
        for asked in &self.demands {
            let met = match self.supergraph.demand(asked.demand) {
                Demand::Authenticated => authenticated,
                Demand::Scopes(lists) => any_whole(lists, |scope| asker.has_scope(scope)),
                Demand::Policies(_) => false,
            };
            variables
                .0
                .push(Some(verdict(met, authenticated).to_json()));
        }
        Judgement {
            plan: self,
            variables,
            authenticated,
        }
    }

    /// What was decided of a demand of this plan.
    pub fn verdict(&self, variables: &Variables, demand: usize) -> Verdict {
        let value = variables.0.get(self.variables.len() + demand);
        Verdict::of_json(value.and_then(Option::as_ref))
    }

    /// Why a condition on demands does not hold: the cheapest demand that is not met, and what was decided of it.
    pub fn denial(&self, id: ConditionId, variables: &Variables) -> Option<(&Demand, Verdict)> {
        let terms = self.conditions[id as usize].any.iter().flatten();
        let demands = terms.filter_map(|term| {
            let index = (term.variable as usize).checked_sub(self.variables.len())?;
            let demand = self.supergraph.demand(self.demands.get(index)?.demand);
            Some((demand, self.verdict(variables, index)))
        });
        demands
            .filter(|(_, verdict)| *verdict != Verdict::Met)
            .min_by_key(|(demand, verdict)| (*verdict == Verdict::Undecided, *demand))
    }
}

impl<'p> Judgement<'p> {
    /// Every policy that something waits for which nothing cheaper has denied; sorted, each once.
    pub fn policies(&self) -> Vec<&'p str> {
        let mut names: Vec<&str> = self
            .waited_for()
            .filter_map(|(_, asked)| policies(self.plan.supergraph.demand(asked.demand)))
            .flatten()
            .flatten()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Decides the policies: which of them hold, or that nobody could be asked.
    pub fn decide(&mut self, holds: Option<&dyn Fn(&str) -> bool>) {
        let plan = self.plan;
        for (index, asked) in plan.demands.iter().enumerate() {
            let Some(lists) = policies(plan.supergraph.demand(asked.demand)) else {
                continue;
            };
            let verdict = match holds {
                Some(holds) => verdict(any_whole(lists, holds), self.authenticated),
                None => Verdict::Undecided,
            };
            self.variables.0[plan.variables.len() + index] = Some(verdict.to_json());
        }
    }

    /// Whatever is asked for and denied, as a refusal of the whole operation; none where all is granted.
    pub fn refusal(&self) -> Option<Refusal> {
        let denied: Vec<(&Asked, Verdict)> = self
            .waited_for()
            .map(|(index, asked)| (asked, self.plan.verdict(&self.variables, index)))
            .filter(|(_, verdict)| *verdict != Verdict::Met)
            .collect();
        // What can be decided outweighs what cannot be: trying again would not help.
        let firm = denied
            .iter()
            .find(|(_, verdict)| *verdict != Verdict::Undecided);
        let code = firm.or(denied.first())?.1.code();
        let errors = denied
            .iter()
            .map(|(asked, verdict)| self.error(asked, *verdict));
        Some(Refusal {
            code,
            errors: errors.collect(),
            details: Vec::new(),
        })
    }

    fn error(&self, asked: &Asked, verdict: Verdict) -> RequestError {
        let what = asked.protects.first().map_or("The operation", |it| it);
        let place = asked.location.iter();
        RequestError {
            message: describe(what, self.plan.supergraph.demand(asked.demand), verdict),
            locations: place.map(|(l, c)| (*l as usize, *c as usize)).collect(),
        }
    }

    /// Demands that count in this request.
    fn waited_for(&self) -> impl Iterator<Item = (usize, &'p Asked)> {
        let (plan, variables) = (self.plan, &self.variables);
        plan.demands.iter().enumerate().filter(move |(_, asked)| {
            let condition = asked.condition.map(|id| &plan.conditions[id as usize]);
            condition.is_none_or(|condition| condition.holds(variables))
        })
    }

    /// Meets every demand, whatever was decided: what is only measured is not enforced.
    #[must_use]
    pub fn waived(mut self) -> Variables {
        for value in &mut self.variables.0[self.plan.variables.len()..] {
            *value = Some(Verdict::Met.to_json());
        }
        self.variables
    }

    /// The variables, with what was decided after them.
    pub fn into_variables(self) -> Variables {
        self.variables
    }
}

fn policies(demand: &Demand) -> Option<&Vec<Vec<String>>> {
    match demand {
        Demand::Policies(lists) => Some(lists),
        Demand::Authenticated | Demand::Scopes(_) => None,
    }
}

fn any_whole(lists: &[Vec<String>], has: impl Fn(&str) -> bool) -> bool {
    lists.iter().any(|list| list.iter().all(|name| has(name)))
}

fn verdict(met: bool, authenticated: bool) -> Verdict {
    match (met, authenticated) {
        (true, _) => Verdict::Met,
        (false, true) => Verdict::Forbidden,
        (false, false) => Verdict::Unauthenticated,
    }
}

impl Verdict {
    /// As [`Variables`] carry it: only `true` makes a condition hold, and what differs for the client differs here.
    fn to_json(self) -> Json {
        match self {
            Verdict::Met => Json::Bool(true),
            Verdict::Unauthenticated => Json::Null,
            Verdict::Forbidden => Json::Bool(false),
            Verdict::Undecided => Json::from(0),
        }
    }

    fn of_json(value: Option<&Json>) -> Self {
        match value {
            Some(Json::Bool(true)) => Verdict::Met,
            Some(Json::Null) => Verdict::Unauthenticated,
            Some(Json::Number(_)) => Verdict::Undecided,
            _ => Verdict::Forbidden,
        }
    }

    /// The code of what is denied.
    pub fn code(self) -> Code {
        match self {
            Verdict::Met | Verdict::Forbidden => Code::Forbidden,
            Verdict::Unauthenticated => Code::Unauthenticated,
            Verdict::Undecided => Code::AuthorizationUnavailable,
        }
    }
}

/// What is denied and what is missing, for clients. Scopes are named, since tokens are asked for with them;
/// policies are the operator's affair.
pub fn describe(what: &str, demand: &Demand, verdict: Verdict) -> String {
    match (demand, verdict) {
        (_, Verdict::Undecided) => {
            format!(
                "{what} is denied for now: whether it is allowed could not be decided. Try again."
            )
        }
        (Demand::Authenticated, _) => format!("{what} needs a verified identity."),
        (Demand::Scopes(lists), _) => format!("{what} needs {}.", describe_scopes(lists)),
        (Demand::Policies(_), _) => format!("{what} is denied by a policy."),
    }
}

/// "the scopes `a` and `b`, or `c`"
fn describe_scopes(lists: &[Vec<String>]) -> String {
    let list = |list: &Vec<String>| {
        let names: Vec<String> = list.iter().map(|name| format!("`{name}`")).collect();
        names.join(" and ")
    };
    let noun = match lists {
        [one] if one.len() == 1 => "scope",
        _ => "scopes",
    };
    let lists: Vec<String> = lists.iter().map(list).collect();
    format!("the {noun} {}", lists.join(", or "))
}

/// What a field of an object type demands.
pub(crate) fn of_field(graph: &Supergraph, ty: &str, field: &str) -> All {
    // Most graphs protect nothing, and this is asked of every field.
    if graph.demands().is_empty() {
        return Vec::new();
    }
    let field = graph.type_def(ty).and_then(|def| def.fields.get(field));
    let demands = field.into_iter().flat_map(|field| &field.demands);
    sorted(demands.map(|demanded| Term::Met(demanded.demand)).collect())
}

/// What an object of this type demands.
pub(crate) fn of_type(graph: &Supergraph, ty: &str) -> All {
    let demands = graph.type_def(ty).into_iter().flat_map(|def| &def.demands);
    sorted(demands.map(|demanded| Term::Met(demanded.demand)).collect())
}

/// What the fields of a path demand that is read below an object of this type.
pub(crate) fn of_path(graph: &Supergraph, ty: &str, path: &[Name]) -> All {
    if graph.demands().is_empty() {
        return Vec::new();
    }
    sorted(graph.demands_along(ty, path).map(Term::Met).collect())
}

/// All of both.
pub(crate) fn both(left: &All, right: &All) -> All {
    sorted([left.as_slice(), right].concat())
}

/// As a conjunction is kept.
fn sorted(mut all: All) -> All {
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(lists: &[&[&str]]) -> Vec<Vec<String>> {
        let list = |list: &&[&str]| list.iter().map(|name| name.to_string()).collect();
        lists.iter().map(list).collect()
    }

    #[test]
    fn a_message_names_scopes_and_no_policy() {
        let said = |demand: &Demand| describe("User.email", demand, Verdict::Forbidden);
        assert_eq!(
            said(&Demand::Authenticated),
            "User.email needs a verified identity."
        );
        assert_eq!(
            said(&Demand::Scopes(lists(&[&["a"]]))),
            "User.email needs the scope `a`."
        );
        assert_eq!(
            said(&Demand::Scopes(lists(&[&["a", "b"], &["c"]]))),
            "User.email needs the scopes `a` and `b`, or `c`."
        );
        assert_eq!(
            said(&Demand::Policies(lists(&[&["vip"]]))),
            "User.email is denied by a policy."
        );
    }

    #[test]
    fn every_verdict_reads_back_and_only_one_of_them_holds() {
        let all = [
            Verdict::Met,
            Verdict::Unauthenticated,
            Verdict::Forbidden,
            Verdict::Undecided,
        ];
        for verdict in all {
            let json = verdict.to_json();
            assert_eq!(Verdict::of_json(Some(&json)), verdict);
            assert_eq!(json == Json::Bool(true), verdict == Verdict::Met);
        }
        assert_ne!(Verdict::of_json(None), Verdict::Met);
    }

    #[test]
    fn one_whole_list_is_enough() {
        let demanded = lists(&[&["a", "b"], &["c"]]);
        let met = |has: &[&str]| any_whole(&demanded, |name| has.contains(&name));
        assert!(met(&["a", "b"]) && met(&["c"]));
        assert!(!met(&["a"]) && !met(&[]));
    }
}
