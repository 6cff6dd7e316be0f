//! `@cost` over subgraphs: what an element weighs.
//!
//! Owns reading weights and sizes of lists, and what is made of several: nobody weighs less than
//! any subgraph says.
//! <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-Cost-Directive>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveList, InputValueDefinition};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

use super::declared::Declared;
use crate::document::first;
use crate::model::{ListSize, Weights};

/// The weights of everything but fields, which carry their own.
pub(super) fn gather(declared: &Declared<'_>, merged: &Schema) -> Weights {
    let mut weights = Weights::default();
    let parts = declared.types.iter().flat_map(|(name, parts)| {
        let parts = parts.iter();
        parts.map(move |part| (*name, part.ty))
    });
    for (name, ty) in parts.filter(|(name, _)| merged.types.contains_key(name.as_str())) {
        if let Some(weight) = weight_of(ty.directives()) {
            heaviest(weights.types.entry(name.clone()).or_insert(weight), weight);
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
        heaviest(weights.inputs.entry(place).or_insert(weight), weight);
    }
}

fn heaviest(known: &mut f64, weight: f64) {
    *known = known.max(weight);
}

/// The largest weight that any subgraph says of an element.
pub(super) fn largest<'d>(all: impl Iterator<Item = &'d DirectiveList>) -> Option<f64> {
    all.filter_map(weight_of).reduce(f64::max)
}

/// What all subgraphs together say of a list's length: the longest that any of them assumes, whatever
/// any of them slices by, and exactly one slicing argument only where all of them ask for it.
pub(super) fn list_size<'d>(all: impl Iterator<Item = &'d DirectiveList>) -> Option<ListSize> {
    all.filter_map(|it| Some(read_size(first(it, "listSize")?)))
        .reduce(|one, other| ListSize {
            assumed: one.assumed.max(other.assumed),
            slicing_arguments: united(one.slicing_arguments, other.slicing_arguments),
            sized_fields: united(one.sized_fields, other.sized_fields),
            require_one_slicing_argument: one.require_one_slicing_argument
                && other.require_one_slicing_argument,
        })
}

fn united(mut one: Vec<String>, other: Vec<String>) -> Vec<String> {
    for text in other {
        if !one.contains(&text) {
            one.push(text);
        }
    }
    one
}

/// The weight that an element's `@cost` says.
fn weight_of(directives: &DirectiveList) -> Option<f64> {
    first(directives, "cost").and_then(weight)
}

/// <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-List-Size-Directive>
fn read_size(directive: &Node<Directive>) -> ListSize {
    let texts = |name: &str| {
        let value = directive.specified_argument_by_name(name);
        let items = value.map(|it| it.as_list().unwrap_or(std::slice::from_ref(it)));
        let texts = items
            .unwrap_or_default()
            .iter()
            .filter_map(|it| it.as_str());
        texts.map(str::to_owned).collect()
    };
    let assumed = directive.specified_argument_by_name("assumedSize");
    let one = directive.specified_argument_by_name("requireOneSlicingArgument");
    ListSize {
        assumed: assumed.and_then(|it| u32::try_from(it.to_i32()?).ok()),
        slicing_arguments: texts("slicingArguments"),
        sized_fields: texts("sizedFields"),
        require_one_slicing_argument: one.and_then(|it| it.to_bool()).unwrap_or(true),
    }
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
    fn weights_of_types_arguments_and_input_fields_are_kept_and_the_largest_counts() {
        let (merged, _) = merged(&[
            "type A @shareable @cost(weight: 3) { a(n: Int @cost(weight: \"0.5\")): E } \
             enum E @cost(weight: 2) { X } input I { x: Int @cost(weight: -1) } scalar S @cost(weight: 7)",
            "type A @shareable @cost(weight: 4) { a(n: Int @cost(weight: 9)): E } enum E { X }",
        ]);
        let weights = &merged.weights;
        assert_eq!(weights.of_type("A"), Some(4.0));
        assert_eq!(weights.of_type("E"), Some(2.0));
        assert_eq!(weights.of_type("S"), Some(7.0));
        assert_eq!(weights.of_type("I"), None);
        let argument = |ty, field, name| weights.of_argument(ty, field, name);
        assert_eq!(argument(name!("A"), name!("a"), name!("n")), Some(9.0));
        assert_eq!(weights.of_input_field(name!("I"), name!("x")), Some(-1.0));
    }

    #[test]
    fn of_several_sizes_the_longest_list_counts() {
        let (merged, _) = merged(&[
            "type A @shareable { a(n: Int, m: Int): [Int] @cost(weight: 2) @listSize(slicingArguments: [\"n\"], assumedSize: 7) }",
            "type A @shareable { a(n: Int, m: Int): [Int] @cost(weight: 1) @listSize(slicingArguments: [\"m\", \"n\"], assumedSize: 9, requireOneSlicingArgument: false) }",
        ]);
        let field = &merged.types["A"].fields["a"];
        let size = field.list_size.as_ref().expect("a size");
        assert_eq!(size.assumed, Some(9));
        assert_eq!(size.slicing_arguments, ["n", "m"]);
        assert!(!size.require_one_slicing_argument);
        assert_eq!(field.cost, Some(2.0));
    }
}
