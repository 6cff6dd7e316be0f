//! Field sets: what `@key`, `@requires` and `@provides` name.

use apollo_compiler::Name;
use apollo_compiler::Schema;
use apollo_compiler::executable;
use apollo_compiler::executable::FieldSet;
use apollo_compiler::validation::Valid;
use serde_json::Value as Json;

#[derive(Clone, Default, Debug)]
pub(crate) struct Selection(pub(crate) Vec<Selected>);

#[derive(Clone, Debug)]
pub(crate) struct Selected {
    /// The type of the fragment around it.
    on: Option<String>,
    pub(crate) name: String,
    pub(crate) below: Selection,
}

impl Selection {
    pub(crate) fn parse(schema: &Valid<Schema>, ty: &Name, text: &str) -> Self {
        let set = FieldSet::parse(schema, ty.clone(), text, "fields")
            .unwrap_or_else(|bad| panic!("{ty}: {text}: {bad}"));
        let mut selection = Self::default();
        selection.take(&set.selection_set.selections, None);
        selection
    }

    fn take(&mut self, selections: &[executable::Selection], on: Option<&str>) {
        for selection in selections {
            match selection {
                executable::Selection::Field(field) => {
                    let mut below = Self::default();
                    if let Some(set) = &field.selection_set {
                        below.take(&set.selections, None);
                    }
                    self.0.push(Selected {
                        on: on.map(str::to_owned),
                        name: field.name.to_string(),
                        below,
                    });
                }
                executable::Selection::InlineFragment(it) => {
                    let on = it.type_condition.as_deref().or(on);
                    self.take(&it.selection_set.selections, on);
                }
                executable::Selection::FragmentSpread(_) => unreachable!("none is defined"),
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let mut all = self.0.iter();
        all.find(|it| it.name == name).map(|it| &it.below)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// What of it an object that was sent does not have: `dimensions.size`.
    pub(crate) fn missing(&self, sent: &Json, is_a: &dyn Fn(&str, &str) -> bool) -> Option<String> {
        if let Json::Array(items) = sent {
            return items.iter().find_map(|item| self.missing(item, is_a));
        }
        if sent.is_null() {
            return None;
        }
        self.0.iter().find_map(|it| it.missing(sent, is_a))
    }
}

impl Selected {
    fn missing(&self, sent: &Json, is_a: &dyn Fn(&str, &str) -> bool) -> Option<String> {
        if let Some(on) = &self.on {
            match sent["__typename"].as_str() {
                None => return Some("__typename".to_owned()),
                Some(ty) if !is_a(ty, on) => return None,
                Some(_) => {}
            }
        }
        let Some(value) = sent.get(&self.name) else {
            return Some(self.name.clone());
        };
        let below = self.below.missing(value, is_a)?;
        Some(format!("{}.{below}", self.name))
    }
}
