//! Directives that are no matter of join: those of linked specifications, and our own.
//!
//! Owns how those of several subgraphs become the supergraph's one.

use apollo_compiler::ast::{Argument, Directive, DirectiveList, DirectiveLocation, Value};
use apollo_compiler::{Name, Node, name};

use super::{Printer, relocated, specification};
use crate::document::{Document, is_ours};

impl<'a> Printer<'a> {
    /// What the supergraph says of an element as a whole: the directives of linked
    /// specifications that any subgraph gives it.
    pub(super) fn linked(
        &mut self,
        merged: &DirectiveList,
        parts: &[&'a DirectiveList],
    ) -> Vec<Node<Directive>> {
        let mut found: Vec<Node<Directive>> = Vec::new();
        for directive in parts.iter().flat_map(|it| it.iter()) {
            let Some(name) = specification::linked(&directive.name) else {
                continue;
            };
            self.used.insert(name);
            if merged.has(name) || found.contains(directive) {
                continue;
            }
            match found.iter_mut().find(|it| it.name == name) {
                Some(known) if matches!(name, "requiresScopes" | "policy") => {
                    both(known, directive)
                }
                // The first word counts, as it does in composition.
                Some(_) if name != "tag" => {}
                _ => found.push(Node::new(weighed(directive))),
            }
        }
        found
    }

    /// Our own directives on an element of one subgraph.
    pub(super) fn ours(
        &mut self,
        document: &Document,
        directives: &DirectiveList,
        at: DirectiveLocation,
    ) -> Vec<Node<Directive>> {
        // What stands nowhere nobody wrote: reading the supergraph adds it again.
        let written = directives.iter();
        let written = written.filter(|it| is_ours(&it.name) && it.location().is_some());
        let found: Vec<_> = written.map(|it| self.carried(document, it)).collect();
        if !found.is_empty() {
            self.places.insert(at);
        }
        found
    }

    fn carried(&self, document: &Document, directive: &Directive) -> Node<Directive> {
        let graph = Node::new(Value::Enum(self.graphs.value(document.subgraph)));
        let arguments = directive.arguments.iter().map(|it| {
            let value = relocated::argument(&it.name, &it.value, &document.file, self.directory);
            (it.name.clone(), value)
        });
        let arguments: Vec<_> = arguments.collect();
        let mut all = vec![
            argument(name!("graphs"), Value::List(vec![graph])),
            argument(name!("name"), Value::String(directive.name.to_string())),
        ];
        if !arguments.is_empty() {
            all.push(argument(name!("args"), Value::Object(arguments)));
        }
        joined("directive", all)
    }
}

/// Weights are whole numbers in the specification; we take numbers in quotes too.
fn weighed(directive: &Directive) -> Directive {
    let mut directive = directive.clone();
    for argument in &mut directive.arguments {
        let text = argument
            .value
            .as_str()
            .filter(|_| argument.name == "weight");
        if let Some(number) = text.and_then(|text| text.parse::<i32>().ok()) {
            argument.make_mut().value = Node::new(Value::Int(number.into()));
        }
    }
    directive
}

/// Whoever satisfies one list of each satisfies both: every list of one with every list of the other.
fn both(known: &mut Node<Directive>, other: &Directive) {
    let lists = |directive: &Directive| -> Vec<Vec<Node<Value>>> {
        let argument = directive.arguments.first();
        let lists = argument.and_then(|it| it.value.as_list());
        let lists = lists.unwrap_or_default().iter();
        lists
            .map(|it| it.as_list().unwrap_or_default().to_vec())
            .collect()
    };
    let mut product = Vec::new();
    for one in lists(known) {
        for two in lists(other) {
            let mut all = one.clone();
            all.extend(two.into_iter().filter(|it| !one.contains(it)));
            product.push(Node::new(Value::List(all)));
        }
    }
    if let Some(argument) = known.make_mut().arguments.first_mut() {
        argument.make_mut().value = Node::new(Value::List(product));
    }
}

/// A directive of join.
pub(super) fn joined(part: &str, arguments: Vec<Node<Argument>>) -> Node<Directive> {
    Node::new(Directive {
        name: Name::new_unchecked(&format!("join__{part}")),
        arguments,
    })
}

pub(super) fn argument(name: Name, value: Value) -> Node<Argument> {
    Node::new(Argument {
        name,
        value: Node::new(value),
    })
}
