//! What a field set selects: with fragments, and with arguments where they are allowed.
//!
//! Plain field sets are read by [`field_set`], which underlines the very word that is wrong.

use std::sync::Arc;

use apollo_compiler::ast::Value;
use apollo_compiler::executable::{FieldSet, Selection, SelectionSet};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node};

use super::field_set::{self, Rules};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;

/// Reads a field set of a type. What is wrong is reported and nothing selected.
pub(super) fn read(
    document: &Document,
    ty: &Name,
    value: &Node<Value>,
    rules: &Rules,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<SelectionSet>> {
    let text = value.as_str()?;
    let is_plain = !text.contains(['(', '.']);
    if is_plain
        && field_set::read(document, ty, value, rules, diagnostics)
            .leaves
            .is_empty()
    {
        return None;
    }
    match parse(document, ty, text, rules) {
        Ok(set) => Some(Arc::new(set)),
        Err((code, message)) => {
            let found = Diagnostic::error(code, message);
            diagnostics.push(found.at(document.places.node(value)));
            None
        }
    }
}

fn parse(
    document: &Document,
    ty: &Name,
    text: &str,
    rules: &Rules,
) -> Result<SelectionSet, (&'static str, String)> {
    let schema = Valid::assume_valid_ref(&document.schema);
    // The parser of field sets alone is not for texts that are none.
    let (_, whole, _) = crate::federation::parse(schema, ty, text);
    if !whole {
        let message = format!("not a selection of fields of `{ty}`");
        return Err((rules.invalid, message));
    }
    let parsed = FieldSet::parse_and_validate(schema, ty.clone(), text, &document.file);
    let set = parsed.map_err(|invalid| {
        let found = invalid.errors.iter().next();
        let message = found.map_or_else(String::new, |found| found.error.to_string());
        (rules.invalid, message)
    })?;
    let set = set.into_inner().selection_set;
    if has_directives(&set) {
        let message = "a field set takes no directives".to_owned();
        return Err((rules.directives, message));
    }
    match with_arguments(&set).filter(|_| rules.without_arguments) {
        Some(field) => {
            let message = format!("`{field}` takes arguments, and nobody gives them here");
            Err((rules.arguments, message))
        }
        None => Ok(set),
    }
}

/// The text has been parsed, which bounds its depth.
fn has_directives(set: &SelectionSet) -> bool {
    set.selections.iter().any(|selection| match selection {
        Selection::Field(it) => {
            let below = it.selection_set.as_ref();
            !it.directives.is_empty() || below.is_some_and(has_directives)
        }
        Selection::InlineFragment(it) => {
            !it.directives.is_empty() || has_directives(&it.selection_set)
        }
        Selection::FragmentSpread(it) => !it.directives.is_empty(),
    })
}

/// A field that takes arguments.
fn with_arguments(set: &SelectionSet) -> Option<&Name> {
    set.selections.iter().find_map(|selection| match selection {
        Selection::Field(it) if !it.definition.arguments.is_empty() => Some(&it.name),
        Selection::Field(it) => with_arguments(it.selection_set.as_ref()?),
        Selection::InlineFragment(it) => with_arguments(&it.selection_set),
        Selection::FragmentSpread(_) => None,
    })
}
