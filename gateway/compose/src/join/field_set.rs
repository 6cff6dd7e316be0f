//! The fields that a key, `requires` or `provides` names.
//!
//! Owns the grammar only: what is wrong with a field set is composition's to say, at its place.

use apollo_compiler::ast::{Definition, Document, Selection};
use apollo_compiler::{Name, name};

/// A field, with what is selected below it.
pub(super) struct Selected {
    /// The type that a fragment narrows to.
    pub(super) on: Option<Name>,
    pub(super) field: Name,
    pub(super) below: Vec<Selected>,
}

/// The selection of a text; empty where it is none.
pub(super) fn read(text: &str) -> Vec<Selected> {
    let text = text.trim();
    let braced = match text.starts_with('{') {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let Ok(document) = Document::parse(braced, "fields") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for definition in document.definitions {
        if let Definition::OperationDefinition(it) = definition {
            selected(&it.selection_set, None, &mut found);
        }
    }
    found
}

/// The parser bounds how deep selections are.
fn selected(selections: &[Selection], on: Option<&Name>, found: &mut Vec<Selected>) {
    for selection in selections {
        match selection {
            Selection::Field(it) if it.name == name!("__typename") => {}
            Selection::Field(it) => {
                let mut below = Vec::new();
                selected(
                    it.selection_set.as_deref().unwrap_or_default(),
                    None,
                    &mut below,
                );
                found.push(Selected {
                    on: on.cloned(),
                    field: it.name.clone(),
                    below,
                });
            }
            Selection::InlineFragment(it) => {
                selected(&it.selection_set, it.type_condition.as_ref().or(on), found);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}
