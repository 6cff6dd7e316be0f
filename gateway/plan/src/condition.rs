//! `@skip` and `@include` by variable, and what is demanded of the caller, as conditions that the executor checks.
//!
//! Owns the algebra: a conjunction of terms for one occurrence of a field, a
//! disjunction over all its occurrences. Constant arguments are decided here.
//! A condition that grows too long forgets variables, which costs a call that
//! nobody needed; it never forgets a demand, which would show what is denied.

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::ast::Value;
use compose::model::DemandId;

/// What a condition may depend on, while the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Term {
    /// A Boolean variable has this value.
    Variable(u32, bool),
    /// The caller meets this demand.
    Met(DemandId),
}

/// All of these must hold; sorted, without repeats.
pub(crate) type All = Vec<Term>;

/// More conjunctions than this are not worth telling apart: the field counts as unconditional upstream,
/// as far as variables are concerned.
const MOST: usize = 16;

/// Any of these must hold; the empty conjunction always does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Any(pub(crate) Vec<All>);

impl Any {
    /// Holds always.
    pub(crate) fn always() -> Self {
        Self(vec![Vec::new()])
    }

    /// Holds never: nothing has been added yet.
    pub(crate) fn never() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_always(&self) -> bool {
        self.0.iter().any(Vec::is_empty)
    }

    /// Adds another way to hold.
    pub(crate) fn or(&mut self, all: All) {
        if self.is_always() || self.0.iter().any(|known| implies(&all, known)) {
            return;
        }
        self.0.retain(|known| !implies(known, &all));
        self.0.push(all);
    }

    pub(crate) fn or_any(&mut self, other: &Any) {
        for all in &other.0 {
            self.or(all.clone());
        }
        if self.0.len() > MOST {
            *self = self.only(is_demand);
        }
    }

    /// Holds where both do.
    pub(crate) fn and(&self, other: &Any) -> Any {
        if self.0.len().min(other.0.len()) > 1 && self.0.len() * other.0.len() > MOST {
            return self.only(is_demand).product(other);
        }
        self.product(other)
    }

    /// Holds where it does and all of these do.
    pub(crate) fn given(&self, all: &All) -> Any {
        match all.is_empty() {
            true => self.clone(),
            false => self.product(&Any(vec![all.clone()])),
        }
    }

    fn product(&self, other: &Any) -> Any {
        let mut both = Any::never();
        for left in &self.0 {
            for all in other.0.iter().filter_map(|right| and(left, right)) {
                both.or(all);
            }
        }
        both
    }

    /// Wider: only the terms that are asked for still count.
    pub(crate) fn only(&self, keep: impl Fn(&Term) -> bool) -> Any {
        let mut wider = Any::never();
        for all in &self.0 {
            wider.or(all.iter().filter(|term| keep(term)).copied().collect());
        }
        wider
    }

    /// What is left to ask where these terms hold.
    pub(crate) fn without(&self, given: &All) -> Any {
        self.only(|term| !given.contains(term))
    }

    /// The terms that hold whenever the whole does.
    pub(crate) fn certain(&self) -> All {
        let Some((first, rest)) = self.0.split_first() else {
            return Vec::new();
        };
        let everywhere = |term: &&Term| rest.iter().all(|all| all.contains(term));
        first.iter().filter(everywhere).copied().collect()
    }
}

fn is_demand(term: &Term) -> bool {
    matches!(term, Term::Met(_))
}

/// Whether `narrow` holding means that `wide` holds.
fn implies(narrow: &All, wide: &All) -> bool {
    wide.iter().all(|term| narrow.contains(term))
}

impl Term {
    fn contradicts(&self, other: &Term) -> bool {
        match (self, other) {
            (Term::Variable(one, is), Term::Variable(other, must)) => one == other && is != must,
            _ => false,
        }
    }
}

/// Both together; `None` where they contradict each other.
pub(crate) fn and(left: &All, right: &All) -> Option<All> {
    let mut all = left.clone();
    for term in right {
        if all.iter().any(|known| known.contradicts(term)) {
            return None;
        }
        if !all.contains(term) {
            all.push(*term);
        }
    }
    all.sort();
    Some(all)
}

/// What the directives of one selection ask for; `None` where it is never included.
pub(crate) fn of_directives(
    directives: &DirectiveList,
    variable: &dyn Fn(&str) -> Option<u32>,
) -> Option<All> {
    let mut all = Vec::new();
    for (name, equals) in [("skip", false), ("include", true)] {
        let Some(directive) = directives.get(name) else {
            continue;
        };
        match directive
            .specified_argument_by_name("if")
            .map(|v| v.as_ref())
        {
            Some(Value::Boolean(value)) if *value != equals => return None,
            Some(Value::Variable(name)) => {
                all = and(&all, &vec![Term::Variable(variable(name)?, equals)])?;
            }
            _ => {}
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(variable: u32, equals: bool) -> Term {
        Term::Variable(variable, equals)
    }

    #[test]
    fn a_wider_way_to_hold_swallows_a_narrower_one() {
        let mut any = Any::never();
        any.or(vec![term(0, true), term(1, true)]);
        any.or(vec![term(0, true)]);
        assert_eq!(any, Any(vec![vec![term(0, true)]]));
        any.or(Vec::new());
        assert!(any.is_always());
    }

    #[test]
    fn what_grows_too_long_forgets_variables_and_no_demand() {
        let met = Term::Met(DemandId(7));
        let mut any = Any::never();
        for variable in 0..=MOST as u32 {
            any.or_any(&Any(vec![vec![term(variable, true), met]]));
        }
        assert_eq!(any, Any(vec![vec![met]]));
        let many = |from: u32, more: &[Term]| {
            let all = (from..from + 5).map(|it| [&[term(it, true)], more].concat());
            Any(all.collect())
        };
        let both = many(0, &[met]).and(&many(10, &[Term::Met(DemandId(8))]));
        let demands = [met, Term::Met(DemandId(8))];
        assert!(
            both.0
                .iter()
                .all(|all| demands.iter().all(|it| all.contains(it)))
        );
    }

    #[test]
    fn a_single_way_to_hold_is_never_forgotten() {
        let many = Any((0..2 * MOST as u32)
            .map(|it| vec![term(it, true)])
            .collect());
        let both = many.and(&Any(vec![vec![Term::Met(DemandId(0))]]));
        assert_eq!(both.0.len(), 2 * MOST);
    }

    #[test]
    fn contradictions_never_hold() {
        assert_eq!(and(&vec![term(0, true)], &vec![term(0, false)]), None);
        let left = Any(vec![vec![term(0, true)]]);
        let right = Any(vec![vec![term(0, false)]]);
        assert_eq!(left.and(&right), Any::never());
    }
}
