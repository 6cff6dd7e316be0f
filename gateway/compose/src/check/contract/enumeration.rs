//! Enums that fields read: whether each upstream value has a GraphQL value.

use apollo_compiler::ast::Type;
use apollo_compiler::schema::EnumType;

use super::hint::listed;
use super::inward::{Inward, Site};
use super::leaf;
use crate::contract::model::Enumeration;
use crate::contract::{Kind, TypeId};
use crate::diagnostic::Diagnostic;
use crate::model::ViewField;

impl Inward<'_, '_> {
    /// Checks a field of an enum type.
    pub(super) fn enumeration(
        &mut self,
        declared: &EnumType,
        field: &ViewField,
        ty: &Type,
        types: &[TypeId],
        site: &Site,
    ) {
        let contract = self.reading.contract;
        let is_mapped = field.enum_values.is_some();
        for upstream in types {
            match &contract[*upstream].kind {
                Kind::Enum(values) => {
                    let uncovered = uncovered(declared, field, ty, values);
                    self.coverage(declared, values, &uncovered, *upstream, site);
                }
                Kind::String { .. } | Kind::Null => {}
                Kind::Boolean | Kind::Integer { .. } if is_mapped => {}
                _ => {
                    let described = contract.describe(*upstream);
                    let message = format!(
                        "this is the enum `{}`, and the contract has {described}",
                        declared.name
                    );
                    let wanted = leaf::graphql_type(contract, *upstream, "an object type");
                    let help = format!("make it {wanted}");
                    self.mismatch_as("TYPE_MISMATCH", message, &[*upstream], &help, &site.place);
                }
            }
        }
    }

    fn coverage(
        &mut self,
        declared: &EnumType,
        values: &Enumeration,
        uncovered: &[&str],
        upstream: TypeId,
        site: &Site,
    ) {
        if uncovered.is_empty() {
            return;
        }
        let help = format!(
            "add a value to `{}`: @map(value: \"{}\"), or one for the rest: @map(value: \"*\")",
            declared.name, uncovered[0]
        );
        if uncovered.len() == values.values.len() {
            let message = format!(
                "no upstream value is one of `{}`: {}",
                declared.name,
                listed(uncovered)
            );
            return self.mismatch_as("TYPE_MISMATCH", message, &[upstream], &help, &site.place);
        }
        let (noun, verb) = if uncovered.len() == 1 {
            ("value", "has")
        } else {
            ("values", "have")
        };
        let message = format!(
            "the upstream {noun} {} {verb} no GraphQL value",
            listed(uncovered)
        );
        self.diagnostics.push(
            Diagnostic::warning("ENUM_UNCOVERED", message)
                .at(site.place.clone())
                .contract(self.reading.contract[upstream].place.to_string())
                .help(help),
        );
    }
}

/// Upstream values that would be errors. `…_UNSPECIFIED` is null where the field allows it.
fn uncovered<'v>(
    declared: &EnumType,
    field: &ViewField,
    ty: &Type,
    values: &'v Enumeration,
) -> Vec<&'v str> {
    let is_covered = |name: &str| match &field.enum_values {
        Some(mapped) => mapped.contains_key(name) || mapped.contains_key("*"),
        None => declared.values.contains_key(name),
    };
    let null = values.unspecified().filter(|_| !ty.is_non_null());
    let null = null.map(|value| value.name.as_str());
    let names = values.values.iter().map(|value| value.name.as_str());
    names
        .filter(|name| !is_covered(name) && Some(*name) != null)
        .collect()
}
