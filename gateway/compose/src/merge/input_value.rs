//! Arguments and input fields over subgraphs: the two places of an input value.
//!
//! Owns that a value which every subgraph must understand is declared by all of them.

use apollo_compiler::ast::{InputValueDefinition, Value};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::{Merging, Site, attributes, clash, variance};
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
        if of.iter().any(|(_, it)| default(it) != default(first)) {
            self.push(default_mismatch(owner, of, rules));
        }
        InputValueDefinition {
            description: attributes::description(of.iter().map(|(_, it)| &it.description)),
            name: first.name.clone(),
            ty: ty.map_or_else(|| first.ty.clone(), |ty| first.ty.same_location(ty)),
            default_value: first.default_value.clone(),
            directives: attributes::kept(of.iter().map(|(_, it)| &it.directives)),
        }
    }

    fn missing_somewhere(
        &mut self,
        owners: &Owners<'a>,
        name: &Name,
        of: &Declarations<'a>,
        rules: &Rules,
    ) {
        let Some((document, required)) = of.iter().find(|(_, it)| it.is_required()) else {
            return;
        };
        let has = |document: &Document| of.iter().any(|(it, _)| std::ptr::eq(*it, document));
        let site = Site {
            place: document.places.name(&required.name),
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
        let message = format!(
            "the {} `{name}` of `{}` is required here and missing in another subgraph",
            rules.noun, owners.name
        );
        self.push(
            clash(
                rules.missing,
                message,
                std::iter::once(site).chain(missing).collect(),
            )
            .help("declare it in every subgraph, make it nullable, or give it a default"),
        );
    }
}

fn default(value: &InputValueDefinition) -> Option<&Value> {
    value.default_value.as_deref()
}

fn type_mismatch(
    owner: &str,
    of: &Declarations<'_>,
    rules: &Rules,
) -> crate::diagnostic::Diagnostic {
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

fn default_mismatch(
    owner: &str,
    of: &Declarations<'_>,
    rules: &Rules,
) -> crate::diagnostic::Diagnostic {
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
