//! Which fields clients use: how often each was part of an operation that ran.
//!
//! Owns counting them without touching each of them at each request. A plan
//! counts how often it ran, which is one addition; when somebody looks, or the
//! plan goes away, that number is added to each of its fields. What there is to
//! count is bounded by the schema.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use apollo_compiler::schema::ExtendedType;
use compose::Supergraph;
use plan::Plan;
use plan::model::Origin;
use plan::model::OutKind;
use plan::model::OutType;
use plan::model::Selection;

use super::number::Counter;
use super::text::Text;

/// By coordinate: `Type.field`.
type Known = BTreeMap<Box<str>, Arc<Counter>>;

/// The fields of the graph, as far as they were used.
pub(super) struct Fields {
    known: Mutex<Known>,
}

/// The fields of one plan.
#[derive(Debug, Default)]
pub(crate) struct PlanFields {
    fields: Box<[Arc<Counter>]>,
    /// Since they were last added.
    ran: Counter,
}

impl PlanFields {
    /// The operation ran once more.
    pub(crate) fn used(&self) {
        self.ran.count();
    }

    /// Adds what was counted to each field.
    pub(crate) fn settle(&self) {
        let times = self.ran.take();
        if times > 0 {
            for field in &self.fields {
                field.add(times);
            }
        }
    }
}

impl Drop for PlanFields {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Fields {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
        }
    }

    /// The fields that a plan answers, each once, whether or not variables leave them out.
    pub(super) fn of(&self, plan: &Plan) -> PlanFields {
        let mut found = BTreeMap::new();
        let mut known = self.known();
        walk(plan.output(), &mut |coordinate| {
            if !found.contains_key(coordinate) {
                let counter = known.entry(coordinate.into()).or_default().clone();
                found.insert(coordinate.to_owned(), counter);
            }
        });
        PlanFields {
            fields: found.into_values().collect(),
            ran: Counter::default(),
        }
    }

    /// Forgets what a new graph does not have.
    pub(super) fn keep_those_of(&self, graph: &Supergraph) {
        let types = &graph.api().types;
        self.known().retain(|coordinate, _| {
            let (ty, field) = coordinate.split_once('.').unwrap_or_default();
            let fields = types.get(ty).map(|ty| match ty {
                ExtendedType::Object(object) => object.fields.contains_key(field),
                ExtendedType::Interface(interface) => interface.fields.contains_key(field),
                _ => false,
            });
            fields.unwrap_or(false)
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> Vec<(String, u64)> {
        let known = self.known();
        let used = known.iter().map(|(it, used)| (it.to_string(), used.get()));
        used.collect()
    }

    pub(super) fn write(&self, text: &mut Text) {
        let mut family = text.counter(
            "switchboard_field_requests_total",
            "Operations that ran and select the field, by its coordinate.",
        );
        for (coordinate, used) in self.known().iter() {
            let (ty, field) = coordinate.split_once('.').unwrap_or_default();
            let used = used.get();
            if used > 0 {
                family.sample(&[("type", ty), ("field", field)], used);
            }
        }
    }
}

/// Plans nest no deeper than documents may.
fn walk(selection: &Selection, found: &mut impl FnMut(&str)) {
    for field in &selection.fields {
        if !matches!(field.from, Origin::Const(_) | Origin::Introspection) {
            found(&field.coordinate);
            walk_type(&field.ty, found);
        }
    }
}

fn walk_type(ty: &OutType, found: &mut impl FnMut(&str)) {
    match &ty.kind {
        OutKind::Leaf(_) => {}
        OutKind::List(item) => walk_type(item, found),
        OutKind::Object(layouts) => {
            for (_, selection) in layouts {
                walk(selection, found);
            }
        }
    }
}
