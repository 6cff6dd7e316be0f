//! What an operation costs, before it runs.
//!
//! Owns the compact program that planning makes of a plan's output and that
//! each request evaluates with its variables, without allocating:
//! <https://ibm.github.io/graphql-specs/cost-spec.html>. A value of a composite
//! type weighs 1, of a leaf 0, each root field of a mutation 10 more; `@cost`
//! says otherwise, and lists multiply. What has arrived is counted by
//! `execute`, with the same weights.

mod input;
mod price;
mod size;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use compose::Supergraph;
use compose::model::SourceId;

use crate::code::Code;
use crate::model::Condition;
use crate::model::ConditionId;
use crate::model::Origin;
use crate::model::OutField;
use crate::model::OutKind;
use crate::model::Plan;
use crate::model::Selection;
use crate::model::Step;
use crate::model::Variables;
use crate::refusal::Refusal;
pub use price::Price;
pub(crate) use price::Pricing;
pub(crate) use price::of_type;
use size::ListPrice;

/// Thousandths of a point: sums are exact, in whatever order they are made, and saturate.
pub type Milli = i64;

/// One point.
pub(crate) const POINT: Milli = 1_000;
/// What a root field of a mutation weighs besides its value.
const MUTATION: Milli = 10 * POINT;

/// The cost of one plan.
#[derive(Debug)]
pub(crate) struct Program {
    root: Vec<Node>,
    /// Items of a list that nobody sizes.
    unsized_list: u64,
    /// Whether variables decide anything.
    dynamic: bool,
    /// Whether a list must be sized by exactly one argument.
    rules: bool,
    /// The whole cost, where variables decide nothing.
    constant: Option<u64>,
}

/// One response field that costs something.
#[derive(Debug)]
struct Node {
    coordinate: Box<str>,
    condition: Option<ConditionId>,
    /// Who answers it.
    source: Option<SourceId>,
    price: Price,
    /// How many values it has, a factor for each level of lists.
    size: Size,
    /// Each object type that a value can have: its weight, and what is selected of it.
    below: Vec<(Milli, Vec<Node>)>,
}

/// How many values a field has.
#[derive(Debug)]
struct Size {
    list: Option<Arc<ListPrice>>,
    /// Levels of lists whose length nobody says.
    unsized_levels: u32,
}

/// What an evaluation reads.
struct Evaluation<'e> {
    supergraph: &'e Supergraph,
    conditions: &'e [Condition],
    variables: &'e Variables,
    unsized_list: u64,
    /// Only what this source answers; everything where none is named.
    source: Option<SourceId>,
}

impl Plan {
    /// What it costs at most with these variables, in points. Lists count as long as `@listSize` says.
    pub fn cost(&self, variables: &Variables) -> u64 {
        match self.cost.constant {
            Some(cost) => cost,
            None => self.cost_of(variables, None),
        }
    }

    /// The part of the cost that one source answers.
    pub fn source_cost(&self, variables: &Variables, source: SourceId) -> u64 {
        self.cost_of(variables, Some(source))
    }

    fn cost_of(&self, variables: &Variables, source: Option<SourceId>) -> u64 {
        let evaluation = Evaluation {
            supergraph: &self.supergraph,
            conditions: &self.conditions,
            variables,
            unsized_list: self.cost.unsized_list,
            source,
        };
        points(evaluation.nodes(&self.cost.root))
    }

    /// Whether the cost is the same for all variables.
    pub fn has_constant_cost(&self) -> bool {
        self.cost.constant.is_some()
    }

    /// Refuses lists that must be sized by exactly one argument and are not.
    pub fn check_slicing(&self, variables: &Variables) -> Result<(), Refusal> {
        if !self.cost.rules {
            return Ok(());
        }
        self.check_nodes(&self.cost.root, variables)
    }

    fn check_nodes(&self, nodes: &[Node], variables: &Variables) -> Result<(), Refusal> {
        for node in nodes {
            let condition = node.condition.map(|id| &self.conditions[id as usize]);
            if condition.is_some_and(|condition| !condition.holds(variables)) {
                continue;
            }
            let own = node.price.size.as_deref();
            if let Some(list) = own.filter(|list| list.breaks_its_rule(variables)) {
                return Err(unsliced(&node.coordinate, list, variables));
            }
            for (_, below) in &node.below {
                self.check_nodes(below, variables)?;
            }
        }
        Ok(())
    }

    /// Compiles the cost of a finished plan.
    pub(crate) fn priced(mut self, unsized_list: u64) -> Self {
        let source = |step: &Step| self.supergraph.resolver(step.resolver).source;
        let sources: Vec<SourceId> = self.steps.iter().map(source).collect();
        let mut compile = Compile {
            sources: &sources,
            dynamic: false,
            rules: false,
        };
        let root = compile.selection(&self.output, None, &[]);
        let (dynamic, rules) = (compile.dynamic, compile.rules);
        self.cost = Program {
            root,
            unsized_list,
            dynamic,
            rules,
            constant: None,
        };
        if !self.cost.dynamic {
            self.cost.constant = Some(self.cost_of(&Variables::default(), None));
        }
        self
    }
}

impl Default for Program {
    fn default() -> Self {
        Self {
            root: Vec::new(),
            unsized_list: 0,
            dynamic: false,
            rules: false,
            constant: Some(0),
        }
    }
}

/// Whole points, rounded up: what costs anything is never free.
pub fn points(cost: Milli) -> u64 {
    u64::try_from(cost.max(0))
        .unwrap_or(0)
        .div_ceil(POINT as u64)
}

fn unsliced(coordinate: &str, list: &ListPrice, variables: &Variables) -> Refusal {
    let names = list.names();
    let message = match list.given(variables).explicit {
        0 => format!(
            "{coordinate} needs one of its arguments {names}: it says how long the list is."
        ),
        _ => format!("{coordinate} takes exactly one of its arguments {names}."),
    };
    Refusal::new(Code::SlicingArgument, message)
}

impl Evaluation<'_> {
    fn nodes(&self, nodes: &[Node]) -> Milli {
        let mut sum: Milli = 0;
        for node in nodes {
            sum = sum.saturating_add(self.node(node));
        }
        sum
    }

    fn node(&self, node: &Node) -> Milli {
        let condition = node.condition.map(|id| &self.conditions[id as usize]);
        if condition.is_some_and(|condition| !condition.holds(self.variables)) {
            return 0;
        }
        let counts = self.source.is_none() || self.source == node.source;
        let once = match counts {
            true => node.price.once(self.supergraph, self.variables),
            false => 0,
        };
        let mut value: Milli = 0;
        for (weight, below) in &node.below {
            let weight = node.price.each.unwrap_or(*weight);
            let own = if counts { weight } else { 0 };
            value = value.max(own.saturating_add(self.nodes(below)));
        }
        if node.below.is_empty() && counts {
            value = node.price.each.unwrap_or(0);
        }
        times(value, self.size(&node.size)).saturating_add(once)
    }

    fn size(&self, size: &Size) -> u64 {
        let own = size.list.as_ref().map(|list| {
            list.given(self.variables)
                .longest
                .or(list.assumed)
                .unwrap_or(self.unsized_list)
        });
        let others = self.unsized_list.saturating_pow(size.unsized_levels);
        own.unwrap_or(1).saturating_mul(others)
    }
}

fn times(value: Milli, count: u64) -> Milli {
    value.saturating_mul(Milli::try_from(count).unwrap_or(Milli::MAX))
}

/// From a plan's output to its program.
struct Compile<'p> {
    /// The source that each step calls.
    sources: &'p [SourceId],
    dynamic: bool,
    rules: bool,
}

/// A list below a field whose `@listSize` names it in `sizedFields`, by the rest of its path.
type Sized<'s> = (&'s [String], &'s Arc<ListPrice>);

impl Compile<'_> {
    fn selection(
        &mut self,
        selection: &Selection,
        step: Option<usize>,
        sized: &[Sized<'_>],
    ) -> Vec<Node> {
        let fields = selection.fields.iter();
        fields
            .filter_map(|field| self.field(field, step, sized))
            .collect()
    }

    fn field(
        &mut self,
        field: &OutField,
        parent: Option<usize>,
        sized: &[Sized<'_>],
    ) -> Option<Node> {
        let step = match field.from {
            Origin::Root { step } | Origin::Join { step, .. } | Origin::Joined { step, .. } => {
                Some(step)
            }
            Origin::Slot(_) => parent,
            Origin::Const(_) | Origin::Introspection => return None,
        };
        let price = field.price.as_deref().cloned().unwrap_or_default();
        let (levels, kind) = field.ty.innermost();
        if matches!(kind, OutKind::Leaf(_)) && price.is_free() {
            return None;
        }
        let name = field.coordinate.rsplit('.').next().unwrap_or_default();
        let inherited = sized.iter().copied().filter(|(path, _)| path[0] == name);
        let (here, deeper): (Vec<_>, Vec<_>) = inherited.partition(|(path, _)| path.len() == 1);
        let mut below_sized: Vec<Sized<'_>> = deeper
            .into_iter()
            .map(|(path, list)| (&path[1..], list))
            .collect();
        if let Some(list) = &price.size {
            below_sized.extend(list.sized_fields.iter().map(|path| (&path[..], list)));
        }
        let below = match kind {
            OutKind::Object(objects) => objects
                .iter()
                .map(|(_, selection)| {
                    let nodes = self.selection(selection, step, &below_sized);
                    (selection.weight, nodes)
                })
                .collect(),
            _ => Vec::new(),
        };
        let own = price
            .size
            .clone()
            .filter(|list| list.sized_fields.is_empty());
        let list = own.or_else(|| here.first().map(|(_, list)| Arc::clone(list)));
        let list = list.filter(|_| levels > 0);
        let source = step.map(|step| self.sources[step]);
        let node = Node {
            coordinate: field.coordinate.clone(),
            condition: field.condition,
            source,
            size: Size {
                unsized_levels: levels - u32::from(list.is_some()),
                list,
            },
            price,
            below,
        };
        self.note(&node);
        Some(node)
    }

    fn note(&mut self, node: &Node) {
        let list = node.size.list.as_deref();
        self.dynamic |= node.condition.is_some()
            || node.price.is_dynamic()
            || list.is_some_and(ListPrice::is_dynamic);
        let own = node.price.size.as_deref();
        self.rules |= own.is_some_and(|list| list.exactly_one);
    }
}
