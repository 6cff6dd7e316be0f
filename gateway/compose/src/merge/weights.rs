//! `@cost` over subgraphs: what an element weighs.
//!
//! Owns reading weights; the first subgraph that says one counts.
//! <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-Cost-Directive>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveList, InputValueDefinition};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

use super::declared::Declared;
use crate::document::first;
use crate::model::Weights;

/// The weights of everything but fields, which carry their own.
pub(super) fn gather(declared: &Declared<'_>, merged: &Schema) -> Weights {
    let mut weights = Weights::default();
    let parts = declared.types.iter().flat_map(|(name, parts)| {
        let parts = parts.iter();
        parts.map(move |part| (*name, part.ty))
    });
    for (name, ty) in parts.filter(|(name, _)| merged.types.contains_key(name.as_str())) {
        if let Some(weight) = weight_of(ty.directives()) {
            weights.types.entry(name.clone()).or_insert(weight);
        }
        inputs(name, ty, &mut weights);
    }
    weights
}

fn inputs(name: &Name, ty: &ExtendedType, weights: &mut Weights) {
    let fields = match ty {
        ExtendedType::Object(it) => &it.fields,
        ExtendedType::Interface(it) => &it.fields,
        ExtendedType::InputObject(it) => {
            for input in it.fields.values() {
                add(name, None, input, weights);
            }
            return;
        }
        _ => return,
    };
    for field in fields.values() {
        for argument in &field.arguments {
            add(name, Some(&field.name), argument, weights);
        }
    }
}

fn add(ty: &Name, field: Option<&Name>, input: &InputValueDefinition, weights: &mut Weights) {
    if let Some(weight) = weight_of(&input.directives) {
        let place = (ty.clone(), field.cloned(), input.name.clone());
        weights.inputs.entry(place).or_insert(weight);
    }
}

/// The weight that an element's `@cost` says.
pub(super) fn weight_of(directives: &DirectiveList) -> Option<f64> {
    first(directives, "cost").and_then(weight)
}

fn weight(directive: &Node<Directive>) -> Option<f64> {
    let weight = directive.specified_argument_by_name("weight")?;
    let weight = match weight.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => weight.to_f64(),
    };
    weight.filter(|weight: &f64| !weight.is_nan())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use apollo_compiler::name;

    #[test]
    fn weights_of_types_arguments_and_input_fields_are_kept_and_the_first_counts() {
        let (merged, _) = merged(&[
            "type A @shareable @cost(weight: 3) { a(n: Int @cost(weight: \"0.5\")): E } \
             enum E @cost(weight: 2) { X } input I { x: Int @cost(weight: -1) } scalar S @cost(weight: 7)",
            "type A @shareable @cost(weight: 4) { a(n: Int @cost(weight: 9)): E } enum E { X }",
        ]);
        let weights = &merged.weights;
        assert_eq!(weights.of_type("A"), Some(3.0));
        assert_eq!(weights.of_type("E"), Some(2.0));
        assert_eq!(weights.of_type("S"), Some(7.0));
        assert_eq!(weights.of_type("I"), None);
        let argument = |ty, field, name| weights.of_argument(ty, field, name);
        assert_eq!(argument(name!("A"), name!("a"), name!("n")), Some(0.5));
        assert_eq!(weights.of_input_field(name!("I"), name!("x")), Some(-1.0));
    }
}
