//! Field sets as Federation 1 takes them.
//!
//! Owns `fields: id` and `fields: ["id", "name"]`, which mean `"id"` and `"id name"`.

use apollo_compiler::ast::{Document, Value};
use apollo_compiler::{Name, Node};

use super::names::directive_lists;

/// Puts every field set of a file in quotes.
pub(super) fn quote(ast: &mut Document) {
    for definition in &mut ast.definitions {
        directive_lists(definition, &mut |directives| {
            for directive in &mut directives.0 {
                if is_field_set(&directive.name) && !directive.arguments.is_empty() {
                    for argument in &mut directive.make_mut().arguments {
                        let value = &mut argument.make_mut().value;
                        if let Some(text) = text(value) {
                            *value = value.same_location(Value::String(text));
                        }
                    }
                }
            }
        });
    }
}

fn is_field_set(directive: &Name) -> bool {
    matches!(directive.as_str(), "key" | "requires" | "provides")
}

/// The text that a value stands for, where it is not one itself.
fn text(value: &Node<Value>) -> Option<String> {
    match &**value {
        Value::Enum(name) => Some(name.to_string()),
        Value::List(items) => {
            let words = items.iter().map(|item| match &**item {
                Value::Enum(name) => Some(name.as_str()),
                Value::String(text) => Some(text.as_str()),
                _ => None,
            });
            Some(words.collect::<Option<Vec<_>>>()?.join(" "))
        }
        _ => None,
    }
}
