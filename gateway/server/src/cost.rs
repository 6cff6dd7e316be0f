//! What an operation may cost, and what is said of it.
//!
//! Owns the comparison of costs with the caller's limit and with the budgets of
//! sources. What a cost is made of is `plan`'s to know.

use std::collections::BTreeMap;

use compose::Supergraph;
use compose::model::SourceId;
use plan::Refusal;
use plan::code::Code;
use plan::limits::Limit;
use plan::limits::Mode;
use plan::model::Variables;

use crate::limits::Limits;
use crate::limits::Measured;
use crate::plans::Planned;

/// What the operator decides of costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CostSettings {
    /// Whether a client may ask what its operation costs.
    pub(crate) expose: bool,
    pub(crate) longer: Longer,
    /// By source: what one operation may cost there.
    pub(crate) sources: BTreeMap<String, Limit>,
}

/// What follows when a list comes longer than was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Longer {
    /// It is charged afterwards, where costs are charged at all.
    Charge,
    /// The answer is withheld; a mutation's never is.
    Refuse,
}

/// The settings over one graph.
pub(crate) struct Costs {
    longer: Longer,
    sources: Vec<SourceBudget>,
}

struct SourceBudget {
    id: SourceId,
    name: String,
    limit: Limit,
}

/// What an operation was charged before it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Static cost, in points.
    pub(crate) requested: u64,
    /// What the caller may spend; `None` without a limit.
    pub(crate) limit: Option<u64>,
    /// Whether what has arrived is counted too.
    pub(crate) counts: bool,
    /// Whether an answer that costs more is withheld.
    strict: bool,
}

/// What an operation cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) requested: u64,
    /// Where it was counted.
    pub(crate) actual: Option<u64>,
}

impl Costs {
    pub(crate) fn new(settings: &CostSettings, graph: &Supergraph) -> Self {
        let budget = |(index, source): (usize, &compose::model::Source)| {
            Some(SourceBudget {
                id: SourceId(u32::try_from(index).ok()?),
                name: source.name.clone(),
                limit: *settings.sources.get(&source.name)?,
            })
        };
        Self {
            longer: settings.longer,
            sources: graph
                .sources()
                .iter()
                .enumerate()
                .filter_map(budget)
                .collect(),
        }
    }

    /// What the operation costs with these variables, where it may cost that.
    pub(crate) fn charge(
        &self,
        planned: &Planned,
        variables: &Variables,
        limits: &Limits,
        wanted: bool,
    ) -> Result<Charge, Refusal> {
        planned.plan.check_slicing(variables)?;
        let requested = planned.plan.cost(variables);
        if limits.cost.is_exceeded_by(requested) {
            let over = Over {
                what: "The operation".into(),
                requested,
                limit: limits.cost,
            };
            over.judge(planned, limits, Measured::Cost)?;
        }
        for budget in &self.sources {
            budget.check(planned, variables, limits)?;
        }
        let strict = self.longer == Longer::Refuse && !planned.plan.is_mutation();
        Ok(Charge {
            requested,
            limit: (limits.cost.mode != Mode::Off).then_some(limits.cost.max),
            counts: wanted || strict || limits.cost.mode == Mode::Measure,
            strict,
        })
    }
}

impl SourceBudget {
    fn check(
        &self,
        planned: &Planned,
        variables: &Variables,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let requested = planned.plan.source_cost(variables, self.id);
        if !self.limit.is_exceeded_by(requested) {
            return Ok(());
        }
        let over = Over {
            what: format!("What the source \"{}\" answers", self.name),
            requested,
            limit: self.limit,
        };
        over.judge(planned, limits, Measured::SourceCost)
    }
}

/// A cost above a limit.
struct Over {
    what: String,
    requested: u64,
    limit: Limit,
}

impl Over {
    fn judge(self, planned: &Planned, limits: &Limits, measured: Measured) -> Result<(), Refusal> {
        let (requested, max) = (self.requested, self.limit.max);
        if self.limit.mode == Mode::Enforce {
            let message = format!(
                "{} costs {requested}, and at most {max} is allowed: select less, or ask for shorter lists.",
                self.what
            );
            let mut refusal = Refusal::new(Code::CostLimitExceeded, message);
            refusal.details = vec![("requested", requested), ("limit", max)];
            return Err(refusal);
        }
        planned
            .told()
            .tell(limits.profile, measured, requested, max);
        Ok(())
    }
}

impl Charge {
    /// Refuses an answer that costs more than was charged, where that is wanted.
    pub(crate) fn settle(&self, actual: Option<u64>) -> Result<(), Refusal> {
        let requested = self.requested;
        match actual {
            Some(actual) if self.strict && actual > requested => {
                let message = format!(
                    "The answer costs {actual}, and {requested} was charged: a list is longer than its @listSize says."
                );
                let mut refusal = Refusal::new(Code::CostUnderestimated, message);
                refusal.details = vec![("requested", requested), ("actual", actual)];
                Err(refusal)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_costs_more_than_was_charged_is_withheld_only_where_that_is_wanted() {
        let charge = |strict| Charge {
            requested: 10,
            limit: Some(20),
            counts: true,
            strict,
        };
        assert!(charge(true).settle(Some(10)).is_ok());
        assert!(charge(true).settle(None).is_ok());
        assert!(charge(false).settle(Some(11)).is_ok());
        let refusal = charge(true).settle(Some(11)).unwrap_err();
        assert_eq!(refusal.code, Code::CostUnderestimated);
        assert_eq!(refusal.details, [("requested", 10), ("actual", 11)]);
    }
}
