//! `@override`: one subgraph takes a field over from another.
//!
//! Owns whom it may be taken from, how a share of the requests is named, and what is left to do
//! once it is taken.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/migrate-fields>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};

use super::declared::Declared;
use super::field::FieldPart;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::first;
use crate::model::{FieldInSubgraph, Override};
use crate::suggest::{closest, did_you_mean};

/// `@override`, as written.
pub(super) fn written(it: &FieldPart<'_>) -> Option<Override> {
    let directive = first(&it.field.directives, "override")?;
    let text = |name: &str| directive.specified_argument_by_name(name)?.as_str();
    Some(Override {
        from: text("from")?.to_owned(),
        label: text("label").map(str::to_owned),
    })
}

/// Takes each overridden field from who had it.
pub(super) fn take_over(
    declared: &Declared<'_>,
    parts: &[FieldPart<'_>],
    subgraphs: &mut [FieldInSubgraph],
    diagnostics: &mut Diagnostics,
) {
    for index in 0..parts.len() {
        let Some(taken) = subgraphs[index].overrides.clone() else {
            continue;
        };
        let Some(directive) = first(&parts[index].field.directives, "override") else {
            continue;
        };
        let case = Case {
            declared,
            it: &parts[index],
            directive,
            taken: &taken,
            parts,
        };
        if let Some(problem) = case.problem(subgraphs) {
            diagnostics.push(problem);
            continue;
        }
        diagnostics.extend(case.hint());
        let from = parts.iter().position(|it| it.subgraph_name() == taken.from);
        // With a label a share of the requests still goes to the old owner.
        if let Some(from) = from.filter(|_| taken.label.is_none()) {
            subgraphs[from].external = true;
        }
    }
}

/// One `@override`.
struct Case<'a> {
    declared: &'a Declared<'a>,
    it: &'a FieldPart<'a>,
    directive: &'a Node<Directive>,
    taken: &'a Override,
    parts: &'a [FieldPart<'a>],
}

impl Case<'_> {
    fn problem(&self, subgraphs: &[FieldInSubgraph]) -> Option<Diagnostic> {
        self.wrong_label()
            .or_else(|| self.takes_from_itself())
            .or_else(|| self.collision())
            .or_else(|| self.takes_from_nobody())
            .or_else(|| self.chained(subgraphs))
    }

    fn argument(&self, name: &str) -> Option<&Node<Value>> {
        self.directive.specified_argument_by_name(name)
    }

    fn at_argument(&self, found: Diagnostic, name: &str) -> Diagnostic {
        let places = &self.it.part.document.places;
        match self.argument(name) {
            Some(value) => found.at(places.node(value)),
            None => found.at(places.directive(self.directive)),
        }
    }

    fn wrong_label(&self) -> Option<Diagnostic> {
        let label = self.taken.label.as_ref()?;
        if is_percent(label) || is_name(label) {
            return None;
        }
        let message = "neither a share of the requests nor the name of a label";
        let found = Diagnostic::error("OVERRIDE_LABEL_INVALID", message)
            .help("write percent(5), percent(0.5), or a name of letters, digits and _-:./");
        Some(self.at_argument(found, "label"))
    }

    fn takes_from_itself(&self) -> Option<Diagnostic> {
        let itself = self.taken.from == self.it.subgraph_name();
        let message = "a subgraph cannot take a field over from itself";
        let found = || Diagnostic::error("OVERRIDE_FROM_SELF_ERROR", message);
        itself.then(|| self.at_argument(found(), "from"))
    }

    /// A field that is not answered as it stands can neither be taken nor given.
    fn collision(&self) -> Option<Diagnostic> {
        const CODE: &str = "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE";
        let places = &self.it.part.document.places;
        if self.it.has("external") {
            let message = "@override is for who answers the field, and @external says that another subgraph does";
            let found = Diagnostic::error(CODE, message);
            return Some(found.at(places.directive(self.directive)));
        }
        let old = self.source()?;
        let kinds = ["external", "requires", "provides"].into_iter();
        let mut others = kinds.filter_map(|name| first(&old.field.directives, name));
        let other = others.next()?;
        let message = format!("a field with @{} cannot be taken over", other.name);
        Some(
            Diagnostic::error(CODE, message)
                .at(places.directive(self.directive))
                .related(old.part.document.places.directive(other), "it stands here"),
        )
    }

    /// The declaration that the field is taken from.
    fn source(&self) -> Option<&FieldPart<'_>> {
        let mut parts = self.parts.iter();
        parts.find(|it| it.subgraph_name() == self.taken.from)
    }

    fn takes_from_nobody(&self) -> Option<Diagnostic> {
        let documents = self.declared.documents;
        let mut names = documents.iter().map(|it| it.name.as_str());
        if names.any(|name| name == self.taken.from) {
            return None;
        }
        let found =
            Diagnostic::warning("FROM_SUBGRAPH_DOES_NOT_EXIST", "no subgraph has this name");
        let names = documents.iter().map(|it| it.name.as_str());
        let found = match did_you_mean(&closest(&self.taken.from, names)) {
            Some(help) => found.help(help),
            None => found,
        };
        Some(self.at_argument(found, "from"))
    }

    fn chained(&self, subgraphs: &[FieldInSubgraph]) -> Option<Diagnostic> {
        let mut both = self.parts.iter().zip(subgraphs);
        let (old, _) = both.find(|(it, known)| {
            it.subgraph_name() == self.taken.from && known.overrides.is_some()
        })?;
        let message = "the field is itself taken over by the subgraph that this takes it from";
        let found = Diagnostic::error("OVERRIDE_SOURCE_HAS_OVERRIDE", message);
        Some(
            self.at_argument(found, "from")
                .related(old.place(), "with an @override here"),
        )
    }

    /// What can be tidied up.
    fn hint(&self) -> Option<Diagnostic> {
        let found = match (self.source(), &self.taken.label) {
            (None, _) => {
                let message = format!("`{}` no longer declares the field", self.taken.from);
                let found = Diagnostic::hint("OVERRIDE_DIRECTIVE_CAN_BE_REMOVED", message);
                return Some(
                    self.at_argument(found, "from")
                        .help("leave the @override out"),
                );
            }
            (Some(_), Some(label)) => {
                let message = format!(
                    "`{label}` of the requests are answered here, the others by `{}`",
                    self.taken.from
                );
                let found = Diagnostic::hint("OVERRIDE_MIGRATION_IN_PROGRESS", message);
                return Some(self.at_argument(found, "label"));
            }
            (Some(old), None) => {
                let message = format!("`{}` answers this field now", self.it.subgraph_name());
                Diagnostic::hint("OVERRIDDEN_FIELD_CAN_BE_REMOVED", message).at(old.place())
            }
        };
        let place = self.it.part.document.places.directive(self.directive);
        Some(found.related(place, "taken over here"))
    }
}

/// `percent(5)`, `percent(0.5)`: up to two digits and up to eight decimals, or 100.
fn is_percent(label: &str) -> bool {
    let number = label
        .strip_prefix("percent(")
        .and_then(|it| it.strip_suffix(')'));
    let Some(number) = number else {
        return false;
    };
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    match number.split_once('.') {
        Some((whole, decimals)) => digits(whole, 2) && digits(decimals, 8),
        None => digits(number, 2) || number == "100",
    }
}

fn is_name(label: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "_-:./".contains(c);
    label.starts_with(|c: char| c.is_ascii_alphabetic()) && label.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_override_takes_the_field_from_its_owner() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! a: Int }",
            "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"a\") }",
        ]);
        assert!(!diagnostics.has_errors(), "{diagnostics}");
        let external: Vec<bool> = merged.types["A"].fields["a"]
            .subgraphs
            .iter()
            .map(|it| it.external)
            .collect();
        assert_eq!(external, [true, false]);
    }

    #[test]
    fn a_progressive_override_leaves_both_answering() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! a: Int }",
            "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"a\", label: \"percent(5)\") }",
        ]);
        assert!(!diagnostics.has_errors(), "{diagnostics}");
        let field = &merged.types["A"].fields["a"];
        assert!(field.subgraphs.iter().all(|it| !it.external));
        assert_eq!(
            field.subgraphs[1]
                .overrides
                .as_ref()
                .and_then(|o| o.label.as_deref()),
            Some("percent(5)")
        );
    }

    #[test]
    fn overrides_that_make_no_sense_are_refused() {
        let a = "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }";
        let b = |from: &str| {
            format!("type A @key(fields: \"id\") {{ id: ID! a: Int @override(from: \"{from}\") }}")
        };
        for (from, code) in [
            ("b", "OVERRIDE_FROM_SELF_ERROR"),
            ("a", "OVERRIDE_SOURCE_HAS_OVERRIDE"),
            ("zzz", "FROM_SUBGRAPH_DOES_NOT_EXIST"),
        ] {
            let said = said(&[a, &b(from)]);
            assert!(said.contains(&format!("[{code}] b.graphql:2:60")), "{said}");
        }
        assert!(
            said(&[
                "type A { a: Int @external @override(from: \"b\") }",
                "type A { a: Int }"
            ])
            .contains("error[OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE] a.graphql:2:27")
        );
    }

    #[test]
    fn a_field_that_is_not_answered_as_it_stands_is_not_taken_over() {
        let new = "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }";
        let old = "type A @key(fields: \"id\") { id: ID! x: Int @external a: Int @requires(fields: \"x\") }";
        let x = "type A @key(fields: \"id\") { id: ID! x: Int }";
        assert_eq!(
            said(&[new, old, x]),
            "error[OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE] a.graphql:2:44\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }\n    \
             |                                            ^^^^^^^^^ a field with @requires cannot be taken over\n  \
             at b.graphql:2:61\n  \
             2 | type A @key(fields: \"id\") { id: ID! x: Int @external a: Int @requires(fields: \"x\") }\n    \
             |                                                             ^^^^^^^^^ it stands here\n"
        );
    }

    #[test]
    fn a_label_is_a_share_or_a_name() {
        let labelled = |label: &str| {
            said(&[
                "type A @key(fields: \"id\") { id: ID! a: Int }",
                &format!(
                    "type A @key(fields: \"id\") {{ id: ID! a: Int @override(from: \"a\", label: \"{label}\") }}"
                ),
            ])
        };
        for label in [
            "percent(0)",
            "percent(12.34567890)",
            "percent(100)",
            "beta",
            "a_b-c:d.e/f",
        ] {
            assert!(!labelled(label).contains("error"), "{label}");
        }
        for label in [
            "",
            "percent(101)",
            "percent(1.123456789)",
            "percent()",
            "1a",
            "a b",
            "percent(5",
        ] {
            let said = labelled(label);
            assert!(
                said.starts_with("error[OVERRIDE_LABEL_INVALID] b.graphql:2:72\n"),
                "{label}: {said}"
            );
        }
    }

    #[test]
    fn what_is_left_to_tidy_up_is_told() {
        let new = "type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }";
        let hints = hinted(&[new, "type A @key(fields: \"id\") { id: ID! a: Int }"]);
        assert_eq!(
            hints,
            "hint[OVERRIDDEN_FIELD_CAN_BE_REMOVED] b.graphql:2:37\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int }\n    \
             |                                     ^ `a` answers this field now\n  \
             at a.graphql:2:44\n  \
             2 | type A @key(fields: \"id\") { id: ID! a: Int @override(from: \"b\") }\n    \
             |                                            ^^^^^^^^^ taken over here\n"
        );
        let done = hinted(&[new, "type A @key(fields: \"id\") { id: ID! }"]);
        assert!(
            done.starts_with("hint[OVERRIDE_DIRECTIVE_CAN_BE_REMOVED] a.graphql:2:60\n"),
            "{done}"
        );
    }
}
