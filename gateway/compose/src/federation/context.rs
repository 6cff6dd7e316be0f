//! `@context` and `@fromContext`: names, and what is selected of a context.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/use-contexts>

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use super::selection::{Kind, Selections, fields, parse};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, all, first};

pub(super) fn check(
    document: &Document,
    selections: &Selections<'_>,
    diagnostics: &mut Diagnostics,
) {
    let contexts = contexts(document, diagnostics);
    for ty in document.schema.types.values() {
        for field in fields(ty) {
            for argument in &field.arguments {
                let Some(value) = from_context(argument) else {
                    continue;
                };
                let site = Site {
                    document,
                    selections,
                    ty,
                    field: &field.name,
                    argument,
                    value,
                };
                diagnostics.extend(site.problem(&contexts));
            }
        }
    }
}

/// The types of each context.
type Contexts<'a> = HashMap<&'a str, Vec<&'a Name>>;

fn contexts<'a>(document: &'a Document, diagnostics: &mut Diagnostics) -> Contexts<'a> {
    let mut contexts = Contexts::new();
    for ty in document.schema.types.values() {
        for directive in all(ty.directives(), "context") {
            let Some(value) = directive.specified_argument_by_name("name") else {
                continue;
            };
            let name = value.as_str().unwrap_or("");
            contexts.entry(name).or_default().push(ty.name());
            let (code, message) = match () {
                () if name.contains('_') => (
                    "CONTEXT_NAME_CONTAINS_UNDERSCORE",
                    "a context's name has no underscore",
                ),
                () if !is_name(name) => (
                    "CONTEXT_NAME_INVALID",
                    "a context's name is of letters and digits",
                ),
                () => continue,
            };
            let found = Diagnostic::error(code, message);
            diagnostics.push(found.at(document.places.node(value)));
        }
    }
    contexts
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn from_context(argument: &InputValueDefinition) -> Option<&Node<Value>> {
    first(&argument.directives, "fromContext")?.specified_argument_by_name("field")
}

/// One argument that is filled in from a context.
struct Site<'a> {
    document: &'a Document,
    selections: &'a Selections<'a>,
    ty: &'a ExtendedType,
    field: &'a Name,
    argument: &'a Node<InputValueDefinition>,
    value: &'a Node<Value>,
}

impl Site<'_> {
    fn problem(&self, contexts: &Contexts<'_>) -> Option<Diagnostic> {
        let place = self.document.places.node(self.value);
        self.misplaced()
            .or_else(|| self.wrong_selection(contexts))
            .or_else(|| self.keyless())
            .map(|found| found.at(place))
    }

    /// Only an object type's own field is called with what the gateway fills in.
    fn misplaced(&self) -> Option<Diagnostic> {
        let message = match self.ty {
            ExtendedType::Interface(_) => "the field of an interface takes nothing from a context",
            ExtendedType::Object(it) if self.implements(it) => {
                "a field that an interface wants takes nothing from a context"
            }
            _ if self.argument.default_value.is_some() => {
                "an argument that is filled in has no default"
            }
            _ => return None,
        };
        Some(Diagnostic::error("CONTEXT_NOT_SET", message))
    }

    fn implements(&self, object: &apollo_compiler::schema::ObjectType) -> bool {
        super::external::implements(self.document, object, self.field)
    }

    fn wrong_selection(&self, contexts: &Contexts<'_>) -> Option<Diagnostic> {
        let text = self.value.as_str().unwrap_or("").trim();
        let Some((name, selection)) = split(text) else {
            let found = Diagnostic::error("NO_CONTEXT_IN_SELECTION", "no context is named");
            return Some(found.help("begin with one: $user { currency }"));
        };
        let Some(types) = contexts.get(name) else {
            let message = format!("no type of this file has @context(name: \"{name}\")");
            return Some(Diagnostic::error("CONTEXT_NOT_SET", message));
        };
        let mut problems = types.iter().filter_map(|ty| {
            let problem = selected(&self.document.schema, ty, selection, &self.argument.ty);
            problem.err().map(|message| (ty, message))
        });
        let (ty, message) = problems.next()?;
        let message = format!("from `{ty}`: {message}");
        Some(Diagnostic::error("CONTEXT_INVALID_SELECTION", message))
    }

    /// The field is called again for each object, which must be found again for that.
    fn keyless(&self) -> Option<Diagnostic> {
        let mut keys = self.selections.sets.iter().filter(|set| {
            set.kind == Kind::Key
                && set.ty == self.ty.name()
                && set
                    .directive
                    .specified_argument_by_name("resolvable")
                    .and_then(|it| it.to_bool())
                    != Some(false)
        });
        let message = format!(
            "`{}` has no resolvable @key, by which its objects would be found again",
            self.ty.name()
        );
        match keys.next() {
            Some(_) => None,
            None => Some(Diagnostic::error("CONTEXT_NO_RESOLVABLE_KEY", message)),
        }
    }
}

/// Whether a type is one of a context's.
pub(super) fn has(ty: &ExtendedType, context: &str) -> bool {
    let mut names = all(ty.directives(), "context").map(|it| it.specified_argument_by_name("name"));
    names.any(|name| name.and_then(|it| it.as_str()) == Some(context))
}

/// A selection without its outermost braces.
pub(super) fn bare(text: &str) -> &str {
    let text = text.trim();
    let braces = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    braces.unwrap_or(text)
}

/// `$user { currency }`: the name and the rest.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('$')?;
    let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    let (name, selection) = rest.split_at(end.unwrap_or(rest.len()));
    (!name.is_empty()).then_some((name, selection))
}

/// Whether a selection takes one value of a type, and one that the argument accepts.
fn selected(schema: &Schema, ty: &Name, text: &str, wanted: &Type) -> Result<(), String> {
    let schema = Valid::assume_valid_ref(schema);
    let (fragment, whole, _) = parse(schema, ty, bare(text));
    let Some(set) = fragment.filter(|_| whole) else {
        return Err("not a selection of its fields".to_owned());
    };
    let mut values = HashSet::new();
    one_value(schema, ty, &set.selection_set, &mut values)?;
    match values.iter().find(|value| !fits(value, wanted)) {
        Some(value) => Err(format!(
            "it selects `{value}`, and the argument is `{wanted}`"
        )),
        None => Ok(()),
    }
}

/// The type of the one value, on each object type that a condition names.
fn one_value(
    schema: &Schema,
    ty: &Name,
    set: &SelectionSet,
    values: &mut HashSet<Type>,
) -> Result<(), String> {
    let mut found = 0;
    let mut conditions = HashSet::new();
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                if field.alias.is_some() || !field.directives.is_empty() {
                    return Err("a selection has neither aliases nor directives".to_owned());
                }
                found += 1;
                below(schema, field, values)?;
            }
            Selection::InlineFragment(fragment) => {
                let on = fragment.type_condition.as_ref().unwrap_or(ty);
                if !conditions.insert(on) {
                    return Err(format!("two conditions on `{on}`"));
                }
                // Other types of the same context have conditions of their own.
                if on == ty || schema.is_subtype(ty, on) || schema.is_subtype(on, ty) {
                    found += 1;
                    one_value(schema, on, &fragment.selection_set, values)?;
                }
            }
            Selection::FragmentSpread(_) => return Err("a selection has no fragments".to_owned()),
        }
    }
    match found {
        1 => Ok(()),
        0 => Err("nothing is selected of it".to_owned()),
        _ if conditions.len() == found => Ok(()),
        _ => Err("more than one field is selected".to_owned()),
    }
}

fn below(
    schema: &Schema,
    field: &Node<apollo_compiler::executable::Field>,
    values: &mut HashSet<Type>,
) -> Result<(), String> {
    let ty = &field.definition.ty;
    let Some(set) = &field.selection_set else {
        let composite = schema.types.get(ty.inner_named_type());
        if composite.is_some_and(|it| !it.is_leaf()) {
            return Err(format!(
                "`{}` is an object: select one of its fields",
                field.name
            ));
        }
        values.insert(ty.clone());
        return Ok(());
    };
    one_value(schema, ty.inner_named_type(), set, values)
}

/// Whether a value may be given as an argument; its being null is decided when there is one.
fn fits(value: &Type, wanted: &Type) -> bool {
    value.item_type().inner_named_type() == wanted.item_type().inner_named_type()
        && depth(value) == depth(wanted)
}

fn depth(ty: &Type) -> usize {
    match ty {
        Type::List(item) | Type::NonNullList(item) => 1 + depth(item),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn of(field: &str) -> String {
        said(&format!(
            "type User @key(fields: \"id\") @context(name: \"user\") {{ id: ID! currency: String wallet: Wallet last: Deal }} type Wallet {{ code: String! n: Int }}\n\
             type Deal @key(fields: \"id\") {{ id: ID! amount(code: String @fromContext(field: \"{field}\")): Int }}"
        ))
    }

    #[test]
    fn a_value_is_selected_of_a_context() {
        assert_eq!(of("$user { currency }"), "");
        assert_eq!(of("$user { wallet { code } }"), "");
        assert_eq!(of("$user ... on User { currency }"), "");
        assert_eq!(
            of("$user { wallet }"),
            "error[CONTEXT_INVALID_SELECTION] a.graphql:3:80\n  \
             3 | type Deal @key(fields: \"id\") { id: ID! amount(code: String @fromContext(field: \"$user { wallet }\")): Int }\n    \
             |                                                                                ^^^^^^^^^^^^^^^^^^ from `User`: `wallet` is an object: select one of its fields\n"
        );
        for (field, code) in [
            ("{ currency }", "NO_CONTEXT_IN_SELECTION"),
            ("$nobody { currency }", "CONTEXT_NOT_SET"),
            ("$user { currency id }", "CONTEXT_INVALID_SELECTION"),
            ("$user { nothing }", "CONTEXT_INVALID_SELECTION"),
            ("$user { wallet { n } }", "CONTEXT_INVALID_SELECTION"),
            ("$user { c: currency }", "CONTEXT_INVALID_SELECTION"),
            ("$user", "CONTEXT_INVALID_SELECTION"),
        ] {
            let said = of(field);
            assert!(
                said.starts_with(&format!("error[{code}] a.graphql:3:80\n")),
                "{field}: {said}"
            );
        }
    }

    #[test]
    fn what_a_context_takes_may_be_another_subgraphs() {
        let sdl = "type User @key(fields: \"id\") @context(name: \"user\") { id: ID! c: String @external } \
             type Deal @key(fields: \"id\") { id: ID! amount(c: String @fromContext(field: \"$user { c }\")): Int }";
        assert_eq!(said(sdl), "");
    }

    #[test]
    fn a_context_has_a_plain_name() {
        for (name, code) in [
            ("a_b", "CONTEXT_NAME_CONTAINS_UNDERSCORE"),
            ("a b", "CONTEXT_NAME_INVALID"),
            ("1a", "CONTEXT_NAME_INVALID"),
        ] {
            let said = said(&format!("type A @context(name: \"{name}\") {{ a: Int }}"));
            assert!(
                said.starts_with(&format!("error[{code}] a.graphql:2:23\n")),
                "{said}"
            );
        }
    }

    #[test]
    fn only_objects_that_are_found_again_take_values_from_a_context() {
        let user = "type User @key(fields: \"id\") @context(name: \"user\") { id: ID! c: String }";
        let argument = "(c: String @fromContext(field: \"$user { c }\"))";
        let keyless = said(&format!("{user} type A {{ a{argument}: Int }}"));
        assert!(
            keyless.starts_with("error[CONTEXT_NO_RESOLVABLE_KEY]"),
            "{keyless}"
        );
        let interface = said(&format!("{user} interface I {{ a{argument}: Int }}"));
        assert!(
            interface.starts_with("error[CONTEXT_NOT_SET]"),
            "{interface}"
        );
    }
}
