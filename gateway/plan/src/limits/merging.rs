//! How much work field merging would be.
//!
//! Owns a bound, no rule: <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>
//! is validated by apollo-compiler, which merges the selection sets below each
//! response key and remembers the merged sets it has seen. Fragments that
//! overlap in ever new combinations make exponentially many of them. Here the
//! same sets are walked first, with a budget.

use std::collections::VecDeque;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Name;
use apollo_compiler::Schema;
use apollo_compiler::executable::Selection;
use apollo_compiler::executable::SelectionSet;
use hashbrown::HashSet;
use indexmap::IndexMap;

use super::too_large;
use crate::refusal::Refusal;

/// Selections that are looked at, over all merged sets. Ten thousand fields in one set are a twentieth.
const MOST_SELECTIONS: usize = 200_000;

/// Refuses a document that would take too much work to validate.
pub(crate) fn check(schema: &Schema, document: &ExecutableDocument) -> Result<(), Refusal> {
    let mut work = Work {
        schema,
        document,
        left: MOST_SELECTIONS,
    };
    for merged_by in [MergedBy::Key, MergedBy::KeyAndType] {
        for operation in document.operations.iter() {
            work.operation(&operation.selection_set, merged_by)
                .ok_or_else(too_tangled)?;
        }
    }
    Ok(())
}

fn too_tangled() -> Refusal {
    too_large("The selections overlap in too many ways: select less at once.".into())
}

/// Which fields are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MergedBy {
    /// Shapes are compared over all types.
    Key,
    /// Names and arguments are compared where the types can be the same.
    KeyAndType,
}

/// What is selected below one response key, by the type that the key is selected on.
type Below<'d> = IndexMap<&'d Name, Vec<&'d SelectionSet>>;

struct Work<'d> {
    schema: &'d Schema,
    document: &'d ExecutableDocument,
    left: usize,
}

impl<'d> Work<'d> {
    /// `None` where the budget does not suffice.
    fn operation(&mut self, root: &'d SelectionSet, merged_by: MergedBy) -> Option<()> {
        let mut seen: HashSet<Vec<*const SelectionSet>> = HashSet::new();
        let mut open = vec![vec![root]];
        while let Some(sets) = open.pop() {
            for below in self.fields(&sets)?.into_values() {
                for merged in self.merged(below, merged_by) {
                    self.left = self.left.checked_sub(merged.len())?;
                    let key = merged.iter().map(|set| std::ptr::from_ref(*set)).collect();
                    if seen.insert(key) {
                        open.push(merged);
                    }
                }
            }
        }
        Some(())
    }

    /// The composite fields of merged sets by response key; each fragment counts once.
    fn fields(&mut self, sets: &[&'d SelectionSet]) -> Option<IndexMap<&'d str, Below<'d>>> {
        let mut fields: IndexMap<&str, Below<'d>> = IndexMap::new();
        let mut spread = HashSet::new();
        let mut open: VecDeque<&'d SelectionSet> = sets.iter().copied().collect();
        while let Some(set) = open.pop_front() {
            self.left = self.left.checked_sub(1 + set.selections.len())?;
            for selection in &set.selections {
                match selection {
                    Selection::Field(field) => {
                        if let Some(below) = &field.selection_set {
                            let key = fields.entry(field.response_name().as_str()).or_default();
                            key.entry(&set.ty).or_default().push(below);
                        }
                    }
                    Selection::InlineFragment(inline) => open.push_back(&inline.selection_set),
                    Selection::FragmentSpread(it) => {
                        let name = it.fragment_name.as_str();
                        let fragment = self.document.fragments.get(name);
                        let fragment = fragment.filter(|_| spread.insert(name));
                        open.extend(fragment.map(|it| &it.selection_set));
                    }
                }
            }
        }
        Some(fields)
    }

    /// The sets that are merged: those of each object type with those of all abstract types.
    fn merged(&self, below: Below<'d>, by: MergedBy) -> Vec<Vec<&'d SelectionSet>> {
        if by == MergedBy::Key {
            return vec![below.into_values().flatten().collect()];
        }
        let is_object = |ty: &Name| self.schema.get_object(ty).is_some();
        let (objects, others): (Vec<_>, Vec<_>) =
            below.into_iter().partition(|(ty, _)| is_object(ty));
        let others: Vec<_> = others.into_iter().flat_map(|(_, sets)| sets).collect();
        match objects.is_empty() {
            true => vec![others],
            false => {
                let with_others = |(_, mut sets): (&Name, Vec<&'d SelectionSet>)| {
                    sets.extend(&others);
                    sets
                };
                objects.into_iter().map(with_others).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = "type Query { a: T } type T { a: T b: T c: T }";

    fn is_bounded(text: &str) -> bool {
        let schema = Schema::parse_and_validate(SDL, "schema.graphql").unwrap();
        let document = ExecutableDocument::parse(&schema, text, "operation.graphql").unwrap();
        check(&schema, &document).is_ok()
    }

    #[test]
    fn what_repeats_itself_is_looked_at_once() {
        let mut text = String::from("{ a { ...F0 } }");
        for level in 0..60 {
            let next = level + 1;
            text.push_str(&format!(
                " fragment F{level} on T {{ a {{ ...F{next} }} b {{ ...F{next} ...F{next} }} }}"
            ));
        }
        text.push_str(" fragment F60 on T { __typename }");
        assert!(is_bounded(&text));
    }

    /// The sets below are the subset construction of an automaton that guesses: each level
    /// doubles the number of different ones.
    #[test]
    fn overlaps_that_never_repeat_are_refused() {
        let levels = 20;
        let mut text = String::from("{ a { ...G0 } }");
        for level in 0..levels {
            let next = level + 1;
            text.push_str(&format!(
                " fragment G{level} on T {{ a {{ ...G{next} ...H{next}_0 }} b {{ ...G{next} }} }}"
            ));
            for state in 0..level {
                text.push_str(&format!(
                    " fragment H{level}_{state} on T {{ a {{ ...H{next}_{0} }} b {{ ...H{next}_{0} }} }}",
                    state + 1
                ));
            }
        }
        text.push_str(&format!(" fragment G{levels} on T {{ __typename }}"));
        for state in 0..levels {
            text.push_str(&format!(
                " fragment H{levels}_{state} on T {{ c {{ c {{ __typename }} }} }}"
            ));
        }
        assert!(!is_bounded(&text));
    }
}
