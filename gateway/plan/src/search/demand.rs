//! What a plan demands of its caller, while the plan is made.
//!
//! Owns which demands the operation meets on its way, in which order the plan
//! keeps them, and when each of them counts. Must not decide any.

use apollo_compiler::Name;
use compose::Supergraph;
use compose::model::Demand;
use compose::model::DemandId;

use crate::access;
use crate::access::Asked;
use crate::collect::Group;
use crate::condition::All;
use crate::condition::Any;
use crate::condition::Term;
use crate::model::Condition;
use crate::model::ConditionId;
use crate::search::Search;

/// The demands met so far; the plan's conditions name them after the operation's variables.
#[derive(Debug)]
pub(crate) struct Demands {
    variables: usize,
    met: Vec<Waiting>,
}

/// A demand and what waits for it.
#[derive(Debug)]
struct Waiting {
    demand: DemandId,
    /// Without what policies say: it decides which of them are asked.
    condition: Any,
    protects: Vec<Box<str>>,
    location: Option<(u32, u32)>,
}

impl Demands {
    /// After so many variables.
    pub(crate) fn after(variables: usize) -> Self {
        Self {
            variables,
            met: Vec::new(),
        }
    }

    /// A condition as the plan keeps it; `None` where it always holds.
    pub(crate) fn condition(&mut self, any: Any) -> Option<Condition> {
        if any.is_always() {
            return None;
        }
        let conjunctions = any.0.iter().map(|all| {
            let mut terms: Vec<_> = all.iter().map(|term| self.term(*term)).collect();
            terms.sort_unstable();
            terms
        });
        let mut any: Vec<_> = conjunctions.collect();
        any.sort_unstable();
        Some(Condition { any })
    }

    fn term(&mut self, term: Term) -> crate::model::Term {
        match term {
            Term::Variable(variable, equals) => crate::model::Term { variable, equals },
            Term::Met(demand) => crate::model::Term {
                variable: (self.variables + self.index(demand)) as u32,
                equals: true,
            },
        }
    }

    fn index(&mut self, demand: DemandId) -> usize {
        let known = self.met.iter().position(|it| it.demand == demand);
        known.unwrap_or_else(|| {
            self.met.push(Waiting {
                demand,
                condition: Any::never(),
                protects: Vec::new(),
                location: None,
            });
            self.met.len() - 1
        })
    }

    /// Something waits for a demand.
    fn wait(&mut self, demand: DemandId, condition: &Any, what: &str, at: Option<(u32, u32)>) {
        let index = self.index(demand);
        let waiting = &mut self.met[index];
        waiting.condition.or_any(condition);
        if waiting.protects.iter().all(|known| **known != *what) {
            waiting.protects.push(what.into());
        }
        waiting.location = waiting.location.or(at);
    }
}

impl<'d> Search<'d> {
    /// What reading a field demands beyond what seeing its object does.
    pub(crate) fn field_access(
        &mut self,
        position: &Any,
        group: &Group<'d>,
        demanded: &All,
    ) -> Option<ConditionId> {
        if demanded.is_empty() {
            return None;
        }
        let what = self.coordinate(group);
        self.access(position, group, demanded, &group.condition, &what)
    }

    /// What seeing an object demands beyond what the field does that returns it, and when it is seen then.
    pub(crate) fn type_access(
        &mut self,
        field: &Any,
        group: &Group<'d>,
        ty: &Name,
    ) -> (Option<ConditionId>, Any) {
        let demanded = match group.field.ty().inner_named_type() == ty {
            // The field demands it.
            true => All::new(),
            false => access::of_type(self.graph, ty),
        };
        let access = self.access(field, group, &demanded, &Any::always(), ty);
        (access, field.given(&demanded))
    }

    fn access(
        &mut self,
        position: &Any,
        group: &Group<'d>,
        demanded: &All,
        condition: &Any,
        what: &str,
    ) -> Option<ConditionId> {
        let known = position.certain();
        let left: All = demanded
            .iter()
            .filter(|term| !known.contains(term))
            .copied()
            .collect();
        if left.is_empty() {
            return None;
        }
        let at = self.location(group);
        let graph = self.graph;
        let seen = position.only(|term| !is_policy(graph, term)).and(condition);
        for demand in demands(&left) {
            let cheaper = left.iter().filter(|term| is_cheaper(graph, term, demand));
            let waits = seen.given(&cheaper.copied().collect());
            self.demands.wait(demand, &waits, what, at);
        }
        self.condition(Any(vec![left]))
    }

    /// Every demand of the operation, in the order in which conditions name them.
    pub(crate) fn finish_demands(&mut self) -> Vec<Asked> {
        let waiting = std::mem::take(&mut self.demands.met);
        // Conditions are numbered by the same table.
        for it in &waiting {
            self.demands.index(it.demand);
        }
        waiting
            .into_iter()
            .map(|it| Asked {
                demand: it.demand,
                condition: self.condition(it.condition),
                protects: it.protects,
                location: it.location,
            })
            .collect()
    }
}

fn demands(all: &All) -> impl Iterator<Item = DemandId> {
    all.iter().filter_map(|term| match term {
        Term::Met(demand) => Some(*demand),
        Term::Variable(..) => None,
    })
}

fn is_policy(graph: &Supergraph, term: &Term) -> bool {
    matches!(term, Term::Met(demand) if matches!(graph.demand(*demand), Demand::Policies(_)))
}

/// Whether a term is decided before a demand: identity, then scopes, then policies.
fn is_cheaper(graph: &Supergraph, term: &Term, than: DemandId) -> bool {
    let rank = |demand: DemandId| std::mem::discriminant(graph.demand(demand));
    match term {
        Term::Met(demand) => {
            rank(*demand) != rank(than) && graph.demand(*demand) < graph.demand(than)
        }
        Term::Variable(..) => false,
    }
}
