//! INPUT_DEFAULT_CIRCLE: an input object whose defaults need themselves.
//!
//! <https://spec.graphql.org/September2025/#sec-Input-Objects.Type-Validation>:
//! such a default could never be filled in to its end.

use std::collections::HashSet;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::{InputValueDefinition, Value};
use apollo_compiler::schema::{ExtendedType, InputObjectType};

use super::Graph;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Reports each field whose default leads back to itself.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    for document in graph.documents {
        let mut walk = Walk {
            schema: &document.schema,
            on_the_way: Vec::new(),
            walked: HashSet::new(),
            circle: None,
        };
        for ty in document.schema.types.values() {
            let ExtendedType::InputObject(object) = ty else {
                continue;
            };
            walk.object(object, None);
            if let Some(field) = walk.circle.take() {
                diagnostics.push(
                    Diagnostic::error(
                        "INPUT_DEFAULT_CIRCLE",
                        "the default of this field needs the default of this field",
                    )
                    .at(document.places.name(&field.name))
                    .help("leave the default out, or give the field within it a value"),
                );
            }
        }
    }
}

struct Walk<'g> {
    schema: &'g Schema,
    /// Fields whose defaults are being filled in.
    on_the_way: Vec<&'g Node<InputValueDefinition>>,
    /// Fields whose defaults come to an end, or were told.
    walked: HashSet<*const InputValueDefinition>,
    circle: Option<&'g Node<InputValueDefinition>>,
}

impl<'g> Walk<'g> {
    /// Fills an object in: what is given, and the defaults of what is not.
    fn object(&mut self, object: &'g InputObjectType, given: Option<&'g Value>) {
        let entries = match given {
            Some(Value::Object(entries)) => entries.as_slice(),
            Some(Value::List(items)) => {
                let items: Vec<&'g Value> = items.iter().map(|item| &**item).collect();
                return items
                    .into_iter()
                    .for_each(|item| self.object(object, Some(item)));
            }
            None => &[],
            Some(_) => return,
        };
        for field in object.fields.values() {
            let Some(inner) = self.input_object(field.ty.inner_named_type()) else {
                continue;
            };
            match entries.iter().find(|(name, _)| *name == field.name) {
                Some((_, value)) => self.object(inner, Some(value)),
                None => self.default_of(field, inner),
            }
        }
    }

    fn default_of(&mut self, field: &'g Node<InputValueDefinition>, ty: &'g InputObjectType) {
        let Some(default) = &field.default_value else {
            return;
        };
        if self
            .on_the_way
            .iter()
            .any(|it| std::ptr::eq(&***it, &**field))
        {
            self.circle.get_or_insert(field);
            return;
        }
        if self.walked.insert(std::ptr::from_ref(&**field)) {
            self.on_the_way.push(field);
            self.object(ty, Some(default));
            self.on_the_way.pop();
        }
    }

    fn input_object(&self, name: &Name) -> Option<&'g InputObjectType> {
        match self.schema.types.get(name)? {
            ExtendedType::InputObject(object) => Some(object),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn told(inputs: &str) -> String {
        let query = "type Query { a(input: A): String @rest(POST: \"/a\") }";
        said(&[&format!("{query}\n{inputs}")])
    }

    #[test]
    fn a_default_that_needs_itself_is_told_once() {
        for circle in [
            "input A { a: A = {} }",
            "input A { b: B = {} } input B { a: A = {} }",
            "input A { a: [A] = [{ a: [] }, {}] }",
        ] {
            let told = told(circle);
            assert_eq!(told.matches("INPUT_DEFAULT_CIRCLE").count(), 1, "{told}");
        }
    }

    #[test]
    fn a_default_that_comes_to_an_end_is_none() {
        for fine in [
            "input A { a: A = { a: null } }",
            "input A { a: A x: Int = 1 }",
            "input A { b: B = {} } input B { a: A c: Int = 2 }",
            "input A { b: B = {} c: B = {} } input B { d: D = {} } input D { n: Int = 1 }",
        ] {
            let told = told(fine);
            assert!(!told.contains("INPUT_DEFAULT_CIRCLE"), "{told}");
        }
    }
}
