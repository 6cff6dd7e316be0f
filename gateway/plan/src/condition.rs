//! `@skip` and `@include` by variable, as conditions that the executor checks.
//!
//! Owns the algebra: a conjunction of terms for one occurrence of a field, a
//! disjunction over all its occurrences. Constant arguments are decided here.

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::ast::Value;

use crate::model::Condition;
use crate::model::Term;

/// All of these must hold; sorted, without repeats.
pub(crate) type All = Vec<Term>;

/// More conjunctions than this are not worth telling apart: the field counts as unconditional upstream.
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
            *self = Self::always();
        }
    }

    /// Holds where both do.
    pub(crate) fn and(&self, other: &Any) -> Any {
        if self.0.len() * other.0.len() > MOST {
            return if other.is_always() {
                self.clone()
            } else {
                other.clone()
            };
        }
        let mut both = Any::never();
        for left in &self.0 {
            for all in other.0.iter().filter_map(|right| and(left, right)) {
                both.or(all);
            }
        }
        both
    }

    /// As the plan keeps it; `None` where it always holds.
    pub(crate) fn into_condition(mut self) -> Option<Condition> {
        if self.is_always() {
            return None;
        }
        self.0.sort();
        Some(Condition { any: self.0 })
    }
}

/// Whether `narrow` holding means that `wide` holds.
fn implies(narrow: &All, wide: &All) -> bool {
    wide.iter().all(|term| narrow.contains(term))
}

/// Both together; `None` where they contradict each other.
pub(crate) fn and(left: &All, right: &All) -> Option<All> {
    let mut all = left.clone();
    for term in right {
        if all
            .iter()
            .any(|t| t.variable == term.variable && t.equals != term.equals)
        {
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
                let term = Term {
                    variable: variable(name)?,
                    equals,
                };
                all = and(&all, &vec![term])?;
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
        Term { variable, equals }
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
    fn contradictions_never_hold() {
        assert_eq!(and(&vec![term(0, true)], &vec![term(0, false)]), None);
        let left = Any(vec![vec![term(0, true)]]);
        let right = Any(vec![vec![term(0, false)]]);
        assert_eq!(left.and(&right), Any::never());
    }
}
