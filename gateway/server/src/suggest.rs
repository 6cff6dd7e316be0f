//! `Did you mean`, beside validation errors, while a graph is developed.
//!
//! Owns which names of the schema could have been meant. In production it is
//! off: what it says would tell anyone the names of a schema whose
//! introspection is turned off.

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use plan::Refusal;

use crate::closest::closest;

/// Adds what was probably meant to each error that names something unknown.
pub(crate) fn suggest(schema: &Schema, mut refusal: Refusal) -> Refusal {
    for error in &mut refusal.errors {
        if let Some(meant) = meant(schema, &error.message) {
            error
                .message
                .push_str(&format!(" Did you mean \"{meant}\"?"));
        }
    }
    refusal
}

fn meant(schema: &Schema, message: &str) -> Option<String> {
    let words: Vec<&str> = message.split('"').collect();
    let (wrong, known) = match words.as_slice() {
        ["Cannot query field ", field, " on type ", ty, ..] => (field, fields(schema, ty)?),
        ["Field ", field, " is not defined by type ", ty, ..] => (field, input_fields(schema, ty)?),
        ["Unknown argument ", argument, " on field ", coordinate, ..] => {
            (argument, arguments(schema, coordinate)?)
        }
        ["Value ", value, " does not exist in ", ty, ..] => (value, enum_values(schema, ty)?),
        ["Unknown type ", ty, ..] => {
            let names = schema.types.keys().map(|name| name.as_str());
            (ty, names.filter(|name| !name.starts_with("__")).collect())
        }
        _ => return None,
    };
    closest(wrong, known).map(str::to_owned)
}

fn fields<'s>(schema: &'s Schema, ty: &str) -> Option<Vec<&'s str>> {
    match schema.types.get(ty)? {
        ExtendedType::Object(object) => Some(object.fields.keys().map(|n| n.as_str()).collect()),
        ExtendedType::Interface(interface) => {
            Some(interface.fields.keys().map(|n| n.as_str()).collect())
        }
        _ => None,
    }
}

fn input_fields<'s>(schema: &'s Schema, ty: &str) -> Option<Vec<&'s str>> {
    let input = schema.get_input_object(ty)?;
    Some(input.fields.keys().map(|name| name.as_str()).collect())
}

fn enum_values<'s>(schema: &'s Schema, ty: &str) -> Option<Vec<&'s str>> {
    let values = &schema.get_enum(ty)?.values;
    Some(values.keys().map(|name| name.as_str()).collect())
}

fn arguments<'s>(schema: &'s Schema, coordinate: &str) -> Option<Vec<&'s str>> {
    let (ty, field) = coordinate.split_once('.')?;
    let field = schema.type_field(ty, field).ok()?;
    Some(field.arguments.iter().map(|a| a.name.as_str()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Document;
    use plan::OperationLimits;

    fn message(operation: &str) -> String {
        let sdl = "type Query { user(id: ID, kind: Kind, filter: Filter): User } \
            type User { id: ID! name: String } enum Kind { ADMIN GUEST } input Filter { email: String }";
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").unwrap();
        let refused = Document::parse(&schema, operation, &OperationLimits::default());
        suggest(&schema, refused.unwrap_err()).errors[0]
            .message
            .clone()
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_likely_one() {
        for (operation, meant) in [
            ("{ usr { id } }", "user"),
            ("{ user { nmae } }", "name"),
            ("{ user(idd: 1) { id } }", "id"),
            ("{ user(kind: ADMN) { id } }", "ADMIN"),
            ("{ user(filter: { emial: \"a\" }) { id } }", "email"),
            ("query($f: Fitler) { user(filter: $f) { id } }", "Filter"),
        ] {
            let message = message(operation);
            assert!(
                message.ends_with(&format!("Did you mean \"{meant}\"?")),
                "{message}"
            );
        }
    }

    #[test]
    fn nothing_is_suggested_where_nothing_is_alike() {
        let message = message("{ user { zzzz } }");
        assert_eq!(message, "Cannot query field \"zzzz\" on type \"User\".");
    }
}
