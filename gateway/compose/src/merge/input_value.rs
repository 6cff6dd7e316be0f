//! Arguments and input fields over subgraphs: the two places of an input value.
//!
//! Owns that a value which every subgraph must understand is declared by all of them.

use apollo_compiler::ast::{InputValueDefinition, Value};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::{Merging, Site, attributes, clash, variance};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Document;

/// One input value and the declarations that have it.
pub(super) type Declarations<'a> = Vec<(&'a Document, &'a Node<InputValueDefinition>)>;

/// The codes and words of one place of an input value.
pub(super) struct Rules {
    /// `argument`, `field`
    pub(super) noun: &'static str,
    pub(super) type_mismatch: &'static str,
    pub(super) default_mismatch: &'static str,
    pub(super) missing: &'static str,
    /// An optional one that not every subgraph declares.
    pub(super) left_out: &'static str,
}

/// Who declares a list of input values, and at which place each declaration stands.
pub(super) struct Owners<'a> {
    /// `A.field`, `Input`
    pub(super) name: String,
    pub(super) lists: Vec<(&'a Document, &'a Name, Vec<&'a Node<InputValueDefinition>>)>,
}

impl<'a> Merging<'a, '_> {
    /// The input values that every owner declares; one that is required somewhere must be everywhere.
    pub(super) fn input_values(
        &mut self,
        owners: &Owners<'a>,
        rules: &Rules,
    ) -> Vec<Node<InputValueDefinition>> {
        let mut values: IndexMap<&'a Name, Declarations<'a>> = IndexMap::new();
        for (document, _, list) in &owners.lists {
            for value in list {
                values
                    .entry(&value.name)
                    .or_default()
                    .push((document, value));
            }
        }
        let mut merged = Vec::new();
        for (name, of) in &values {
            if of.len() == owners.lists.len() {
                merged.push(Node::new(self.input_value(&owners.name, of, rules)));
            } else {
                self.missing_somewhere(owners, name, of, rules);
            }
        }
        merged
    }

    fn input_value(
        &mut self,
        owner: &str,
        of: &Declarations<'a>,
        rules: &Rules,
    ) -> InputValueDefinition {
        let first = of[0].1;
        let ty = variance::satisfying(of.iter().map(|(_, it)| &*it.ty));
        if ty.is_none() {
            self.push(type_mismatch(owner, of, rules));
        }
        let default_value = self.default_value(owner, of, rules);
        let alike = of.iter().all(|(_, it)| it.ty == first.ty);
        if ty.is_some() && !alike {
            self.push(other_types(owner, of, rules));
        }
        InputValueDefinition {
            description: self.description(
                &format!("{owner}.{}", first.name),
                of.iter()
                    .map(|(document, it)| (*document, &it.name, it.description.as_ref())),
            ),
            name: first.name.clone(),
            ty: ty.map_or_else(|| first.ty.clone(), |ty| first.ty.same_location(ty)),
            default_value,
            directives: attributes::kept(of.iter().map(|(_, it)| &it.directives)),
        }
    }

    /// The default that every declaration has; none where only some have one.
    fn default_value(
        &mut self,
        owner: &str,
        of: &Declarations<'a>,
        rules: &Rules,
    ) -> Option<Node<Value>> {
        let mut said = of.iter().filter_map(|(_, it)| it.default_value.as_ref());
        let first = said.next()?;
        if said.any(|it| it != first) {
            self.push(default_mismatch(owner, of, rules));
        } else if of.iter().any(|(_, it)| it.default_value.is_none()) {
            self.push(default_presence(owner, of, rules));
            return None;
        }
        Some(first.clone())
    }

    fn missing_somewhere(
        &mut self,
        owners: &Owners<'a>,
        name: &Name,
        of: &Declarations<'a>,
        rules: &Rules,
    ) {
        let required = of.iter().find(|(_, it)| it.is_required());
        let (document, declared) = required.unwrap_or(&of[0]);
        let has = |document: &Document| of.iter().any(|(it, _)| std::ptr::eq(*it, document));
        let site = Site {
            place: document.places.name(&declared.name),
            word: String::new(),
        };
        let missing =
            owners
                .lists
                .iter()
                .filter(|(it, ..)| !has(it))
                .map(|(document, owner, _)| Site {
                    place: document.places.name(owner),
                    word: format!("without `{name}` here"),
                });
        let sites = std::iter::once(site).chain(missing).collect();
        let what = format!("the {} `{name}` of `{}`", rules.noun, owners.name);
        self.push(match required {
            Some(_) => clash(
                rules.missing,
                format!("{what} is required here and missing in another subgraph"),
                sites,
            )
            .help("declare it in every subgraph, make it nullable, or give it a default"),
            None => milder(
                Severity::Warning,
                clash(
                    rules.left_out,
                    format!("{what} is left out: not every subgraph would understand it"),
                    sites,
                ),
            ),
        });
    }
}

/// The same finding, which keeps no graph from starting.
fn milder(severity: Severity, found: Diagnostic) -> Diagnostic {
    Diagnostic { severity, ..found }
}

fn other_types(owner: &str, of: &Declarations<'_>, rules: &Rules) -> Diagnostic {
    let mut found = type_mismatch(owner, of, rules);
    found.code = "INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE";
    found.help = Some("a value has to satisfy all of them".to_owned());
    milder(Severity::Hint, found)
}

fn default_presence(owner: &str, of: &Declarations<'_>, rules: &Rules) -> Diagnostic {
    let mut found = default_mismatch(owner, of, rules);
    found.code = "INCONSISTENT_DEFAULT_VALUE_PRESENCE";
    found.help = Some("no default is used: give the same one in every subgraph".to_owned());
    milder(Severity::Warning, found)
}

fn type_mismatch(owner: &str, of: &Declarations<'_>, rules: &Rules) -> Diagnostic {
    let sites = of.iter().map(|(document, it)| Site {
        place: document.places.node(&it.ty),
        word: format!("`{}` here", it.ty),
    });
    let (_, first) = of[0];
    let message = format!(
        "the {} `{}` of `{owner}` is `{}` here and another type elsewhere",
        rules.noun, first.name, first.ty
    );
    clash(rules.type_mismatch, message, sites.collect())
        .help("a value must fit every subgraph that takes it: declare one type")
}

fn default_mismatch(owner: &str, of: &Declarations<'_>, rules: &Rules) -> Diagnostic {
    let shown = |it: &InputValueDefinition| {
        it.default_value
            .as_ref()
            .map_or("no default".to_owned(), |v| format!("`{v}`"))
    };
    let sites = of.iter().map(|(document, it)| Site {
        place: match &it.default_value {
            Some(value) => document.places.node(value),
            None => document.places.name(&it.name),
        },
        word: format!("{} here", shown(it)),
    });
    let (_, first) = of[0];
    let message = format!(
        "the {} `{}` of `{owner}` has {} here and another default elsewhere",
        rules.noun,
        first.name,
        shown(first)
    );
    clash(rules.default_mismatch, message, sites.collect())
}
