//! Field collection: which fields are selected on one object type.
//!
//! Owns <https://spec.graphql.org/September2025/#CollectFields()>, with
//! conditions kept instead of decided. A fragment is visited once per
//! selection set and condition, however often it is spread.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Node;
use apollo_compiler::ast::Value;
use apollo_compiler::executable::Field;
use apollo_compiler::executable::Selection;
use apollo_compiler::executable::SelectionSet;
use compose::Supergraph;
use hashbrown::HashSet;
use indexmap::IndexMap;

use crate::access;
use crate::condition::All;
use crate::condition::Any;
use crate::condition::and;
use crate::condition::of_directives;
use crate::search::budget::Budget;

/// A selection set, and when it applies given that its field does.
pub(crate) type Conditional<'d> = (All, &'d SelectionSet);

/// All selections of one response key.
#[derive(Debug, Clone)]
pub(crate) struct Group<'d> {
    /// Any of them: valid documents agree on name and arguments.
    pub(crate) field: &'d Node<Field>,
    /// The other occurrences.
    pub(crate) twins: Vec<&'d Node<Field>>,
    /// The object type it was collected on.
    pub(crate) parent: Box<str>,
    /// When the key is in the response, given that its object is.
    pub(crate) condition: Any,
    /// What is demanded of the caller before it is read, on whatever terms.
    pub(crate) access: All,
    /// What is selected below it.
    pub(crate) below: Vec<Conditional<'d>>,
}

impl Group<'_> {
    pub(crate) fn is_typename(&self) -> bool {
        self.field.name == "__typename"
    }

    /// When its value is asked for, given that its object is: it is in the response, and the caller may see it.
    pub(crate) fn wanted(&self) -> Any {
        self.condition.given(&self.access)
    }

    /// An occurrence whose arguments differ from the first one's. Validation compares lists only
    /// up to the shorter one's length; here they are compared as a whole:
    /// <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>
    pub(crate) fn conflict(&self) -> Option<&Node<Field>> {
        let mut twins = self.twins.iter();
        twins
            .find(|twin| !same_arguments(self.field, twin))
            .copied()
    }
}

/// The fields selected on one object type.
#[derive(Debug, Default)]
pub(crate) struct Collected<'d> {
    /// By response key, in the order of first appearance.
    pub(crate) groups: IndexMap<&'d str, Group<'d>>,
    /// Every appearance: which group, and when. A key stands in the response where it first appears
    /// among those that are included.
    appearances: Vec<(u32, All)>,
}

impl Collected<'_> {
    /// Every appearance, where the order of keys depends on variables; otherwise none.
    pub(crate) fn conditional_order(&self) -> &[(u32, All)] {
        let mut seen = vec![None; self.groups.len()];
        let depends = self.appearances.iter().any(|(group, all)| {
            let first: &mut Option<&All> = &mut seen[*group as usize];
            match first {
                None => {
                    *first = Some(all);
                    false
                }
                // A later appearance counts only where the first may be left out without it.
                Some(first) => !first.iter().all(|term| all.contains(term)),
            }
        });
        if depends { &self.appearances } else { &[] }
    }
}

/// What collection needs to know besides the selections.
pub(crate) struct Collector<'d> {
    pub(crate) document: &'d ExecutableDocument,
    pub(crate) supergraph: &'d Supergraph,
    pub(crate) variables: &'d dyn Fn(&str) -> Option<u32>,
}

impl<'d> Collector<'d> {
    /// The fields that `sets` select on the object type `ty`, by response key, in order.
    pub(crate) fn collect(
        &self,
        ty: &str,
        sets: &[Conditional<'d>],
        budget: &mut Budget,
    ) -> Collected<'d> {
        let mut run = Run {
            collector: self,
            ty,
            visited: HashSet::new(),
            collected: Collected::default(),
        };
        for (all, set) in sets {
            run.selection_set(set, all, budget);
        }
        run.collected
    }

    fn applies(&self, condition: Option<&str>, ty: &str) -> bool {
        condition.is_none_or(|condition| {
            condition == ty
                || self
                    .supergraph
                    .type_def(condition)
                    .is_some_and(|def| def.possible_types.iter().any(|possible| possible == ty))
        })
    }
}

struct Run<'c, 'd> {
    collector: &'c Collector<'d>,
    ty: &'c str,
    visited: HashSet<(&'d str, All)>,
    collected: Collected<'d>,
}

impl<'d> Run<'_, 'd> {
    fn selection_set(&mut self, set: &'d SelectionSet, all: &All, budget: &mut Budget) {
        for selection in &set.selections {
            budget.spend(1);
            let directives = match selection {
                Selection::Field(field) => &field.directives,
                Selection::FragmentSpread(spread) => &spread.directives,
                Selection::InlineFragment(inline) => &inline.directives,
            };
            let Some(own) = of_directives(directives, self.collector.variables) else {
                continue;
            };
            if let Some(all) = and(all, &own) {
                self.selection(selection, all, budget);
            }
        }
    }

    fn selection(&mut self, selection: &'d Selection, all: All, budget: &mut Budget) {
        match selection {
            Selection::Field(field) => self.field(field, all),
            Selection::InlineFragment(inline) => {
                let condition = inline.type_condition.as_ref().map(|name| name.as_str());
                if self.collector.applies(condition, self.ty) {
                    self.selection_set(&inline.selection_set, &all, budget);
                }
            }
            Selection::FragmentSpread(spread) => self.spread(&spread.fragment_name, all, budget),
        }
    }

    fn spread(&mut self, name: &'d str, all: All, budget: &mut Budget) {
        if !self.visited.insert((name, all.clone())) {
            return;
        }
        let Some(fragment) = self.collector.document.fragments.get(name) else {
            return;
        };
        if self
            .collector
            .applies(Some(fragment.type_condition()), self.ty)
        {
            self.selection_set(&fragment.selection_set, &all, budget);
        }
    }

    fn field(&mut self, field: &'d Node<Field>, all: All) {
        let key = field.response_name().as_str();
        let (supergraph, ty) = (self.collector.supergraph, self.ty);
        let entry = self.collected.groups.entry(key);
        let appearance = (entry.index() as u32, all.clone());
        self.collected.appearances.push(appearance);
        let group = entry.or_insert_with(|| Group {
            field,
            twins: Vec::new(),
            parent: ty.into(),
            condition: Any::never(),
            access: access::of_field(supergraph, ty, &field.name),
            below: Vec::new(),
        });
        if !std::ptr::eq(group.field, field) {
            group.twins.push(field);
        }
        group.condition.or(all.clone());
        if let Some(set) = &field.selection_set {
            group.below.push((all, set));
        }
    }
}

fn same_arguments(left: &Field, right: &Field) -> bool {
    left.arguments.len() == right.arguments.len()
        && left.arguments.iter().all(|argument| {
            let other = right.specified_argument_by_name(&argument.name);
            other.is_some_and(|other| same_value(&argument.value, other, 0))
        })
}

/// Values of valid documents are nested no deeper than the limit on the text allows.
fn same_value(left: &Value, right: &Value, depth: usize) -> bool {
    match (left, right) {
        _ if depth > 256 => false,
        (Value::List(left), Value::List(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.all(|(l, r)| same_value(l, r, depth + 1))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| {
                    let mut others = right.iter();
                    let other = others.find(|(other, _)| other == name);
                    other.is_some_and(|(_, other)| same_value(value, other, depth + 1))
                })
        }
        (left, right) => left == right,
    }
}
