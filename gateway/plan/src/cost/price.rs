//! What one response field weighs, as the schema says it.

use std::sync::Arc;

use apollo_compiler::executable::Field;
use apollo_compiler::schema::ExtendedType;
use compose::Supergraph;
use compose::model::FieldDef;

use super::MUTATION;
use super::Milli;
use super::POINT;
use super::input::InputPrice;
use super::size::ListPrice;
use crate::model::Variables;

/// What a field weighs.
#[derive(Debug, Clone, Default)]
pub struct Price {
    /// Each value, where the field says it itself or its leaf type does; else the value's type does.
    pub each: Option<Milli>,
    /// Once for each parent, whatever the value.
    pub(super) fixed: Milli,
    /// Arguments that variables decide.
    pub(super) inputs: Vec<InputPrice>,
    /// `@listSize`, or what the mapping says of the list.
    pub(super) size: Option<Arc<ListPrice>>,
}

impl Price {
    /// Once for each parent, whatever the value.
    pub fn once(&self, supergraph: &Supergraph, variables: &Variables) -> Milli {
        let inputs = self.inputs.iter();
        inputs
            .map(|input| input.weigh(supergraph, variables))
            .fold(self.fixed, Milli::saturating_add)
    }

    pub(super) fn is_free(&self) -> bool {
        self.each.unwrap_or(0) == 0
            && self.fixed == 0
            && self.inputs.is_empty()
            && self.size.as_ref().is_none_or(|size| !size.exactly_one)
    }

    pub(super) fn is_dynamic(&self) -> bool {
        !self.inputs.is_empty()
    }
}

/// What pricing reads.
pub(crate) struct Pricing<'p> {
    pub(crate) supergraph: &'p Supergraph,
    pub(crate) variables: &'p dyn Fn(&str) -> Option<u32>,
}

impl Pricing<'_> {
    /// The price of a field on an object type; `None` where it has the usual weight.
    pub(crate) fn field(&self, ty: &str, field: &Field, mutation: bool) -> Option<Box<Price>> {
        let known = self.field_defs(ty, &field.name);
        let own = known.iter().find_map(|field| field.cost).map(milli);
        let leaf = field.definition.ty.inner_named_type();
        let of_leaf = || {
            let is_leaf = self.supergraph.type_def(leaf).is_none();
            let weight = self.supergraph.weights().of_type(leaf);
            weight.filter(|_| is_leaf).map(milli)
        };
        let (fixed, inputs) = self.inputs(ty, field);
        let size = ListPrice::of(self, &known, field);
        let price = Price {
            each: own.or_else(of_leaf),
            fixed: match mutation && own.is_none() {
                true => fixed.saturating_add(MUTATION),
                false => fixed,
            },
            inputs,
            size: size.map(Arc::new),
        };
        let usual = price.each.is_none() && price.size.is_none() && price.is_free();
        (!usual).then(|| Box::new(price))
    }

    /// The field on the type, then on the interfaces that it implements.
    fn field_defs(&self, ty: &str, field: &str) -> Vec<&FieldDef> {
        let interfaces = match self.supergraph.api().types.get(ty) {
            Some(ExtendedType::Object(object)) => Some(&object.implements_interfaces),
            _ => None,
        };
        let interfaces = interfaces.into_iter().flatten().map(|name| name.as_str());
        std::iter::once(ty)
            .chain(interfaces)
            .filter_map(|ty| self.supergraph.type_def(ty)?.fields.get(field))
            .collect()
    }

    /// What the arguments weigh: what is known now, and what variables decide.
    fn inputs(&self, ty: &str, field: &Field) -> (Milli, Vec<InputPrice>) {
        let prices = InputPrice::of_arguments(self, ty, field);
        let (dynamic, known): (Vec<_>, Vec<_>) =
            prices.into_iter().partition(InputPrice::is_dynamic);
        let nothing = Variables::default();
        let fixed = known
            .iter()
            .map(|input| input.weigh(self.supergraph, &nothing))
            .fold(0, Milli::saturating_add);
        (fixed, dynamic)
    }
}

/// What a value of a composite type weighs.
pub(crate) fn of_type(supergraph: &Supergraph, ty: &str) -> Milli {
    supergraph.weights().of_type(ty).map_or(POINT, milli)
}

/// A weight as the schema writes it, rounded up; what is out of range saturates.
pub(super) fn milli(weight: f64) -> Milli {
    (weight * POINT as f64).ceil() as Milli
}
