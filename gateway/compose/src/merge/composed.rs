//! `@composeDirective`: directives of one's own that the supergraph keeps.
//!
//! Owns which directives these are, that all files mean the same by one name, and their
//! definitions. Where they are applied they are kept by [`super::attributes`].
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#composedirective>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveDefinition, Value};

use super::{Merging, Site, clash};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Document, FEDERATION, Link};
use crate::suggest::{closest, did_you_mean};

const CODE: &str = "DIRECTIVE_COMPOSITION_ERROR";

/// One directive that one file asks to be composed.
struct Composed<'a> {
    document: &'a Document,
    /// What the file calls it.
    name: &'a str,
    /// What its specification calls it.
    theirs: String,
    link: &'a Link,
    definition: &'a Node<DirectiveDefinition>,
    place: Place,
}

impl<'a> Merging<'a, '_> {
    /// Merges the definitions of the directives that files ask to be composed.
    pub(super) fn composed_directives(&mut self) {
        let mut all: Vec<Composed<'a>> = Vec::new();
        for document in self.declared.documents {
            for directive in document.schema_directives("composeDirective") {
                match composed(document, directive) {
                    Ok(composed) => all.push(composed),
                    Err(found) => self.push(*found),
                }
            }
        }
        for (index, one) in all.iter().enumerate() {
            let mut others = all[..index].iter();
            if let Some(found) = others.find_map(|other| disagreement(other, one)) {
                self.push(found);
            }
        }
        for one in &all {
            let alike = all.iter().filter(|it| it.name == one.name);
            // The last word is the highest version's; of equal ones the first.
            let highest = alike.rev().max_by_key(|it| it.link.version);
            let definition = highest.map_or(one.definition, |it| it.definition);
            let definitions = &mut self.schema.directive_definitions;
            definitions.insert(definition.name.clone(), definition.clone());
        }
        self.import_names();
    }

    /// What the supergraph keeps of Federation's own directives has one name in all files.
    fn import_names(&mut self) {
        const KEPT: [&str; 7] = [
            "@tag",
            "@inaccessible",
            "@authenticated",
            "@requiresScopes",
            "@policy",
            "@cost",
            "@listSize",
        ];
        for theirs in KEPT {
            let named = self.declared.documents.iter().filter_map(|document| {
                let link = document.links.iter().find(|it| it.is_federation())?;
                Some((document, link, link.name_of(theirs)?))
            });
            let named: Vec<_> = named.collect();
            if named.iter().all(|(.., name)| *name == named[0].2) {
                continue;
            }
            let sites = named.iter().map(|(document, link, name)| Site {
                place: link.import_place(theirs, &document.places),
                word: format!("`{name}` here"),
            });
            let message = format!("{theirs} has another name in another subgraph");
            self.push(
                clash("LINK_IMPORT_NAME_MISMATCH", message, sites.collect())
                    .help("the supergraph keeps it: import it under one name everywhere"),
            );
        }
    }
}

/// What a file asks to be composed, or what is wrong with that.
fn composed<'a>(
    document: &'a Document,
    directive: &'a Node<Directive>,
) -> Result<Composed<'a>, Box<Diagnostic>> {
    let value = directive.specified_argument_by_name("name");
    let written = value.and_then(|it| it.as_str()).unwrap_or("");
    let place = value.map_or_else(
        || document.places.directive(directive),
        |it: &Node<Value>| document.places.node(it),
    );
    let refused = |message: String, help: Option<String>| {
        let found = Diagnostic::error(CODE, message).at(place.clone());
        Box::new(match help {
            Some(help) => found.help(help),
            None => found,
        })
    };
    let Some(name) = written.strip_prefix('@') else {
        let help = format!("write \"@{written}\"");
        return Err(refused(
            "a directive's name begins with @".to_owned(),
            Some(help),
        ));
    };
    let own = || document.own_directives.iter().map(|it| it.as_str());
    let definition = document.schema.directive_definitions.get(name);
    let Some(definition) = definition.filter(|_| own().any(|it| it == name)) else {
        if FEDERATION.iter().any(|(known, _)| *known == name) {
            let message = format!("@{name} is Federation's own, which is composed as it says");
            return Err(refused(message, None));
        }
        let near: Vec<String> = closest(name, own())
            .iter()
            .map(|it| format!("@{it}"))
            .collect();
        let message = format!("this file defines no directive @{name}");
        return Err(refused(message, did_you_mean(&near)));
    };
    let Some((link, theirs)) = origin(document, written) else {
        let message = format!("no @link of this file imports @{name}: nobody knows whose it is");
        let help = format!(
            "link the specification that it belongs to: @link(url: \"https://example.com/{name}/v1.0\", import: [\"@{name}\"])"
        );
        return Err(refused(message, Some(help)));
    };
    Ok(Composed {
        document,
        name,
        theirs,
        link,
        definition,
        place,
    })
}

/// The specification that a file has a directive from, and what it is called there.
fn origin<'a>(document: &'a Document, written: &str) -> Option<(&'a Link, String)> {
    document.links.iter().find_map(|link| {
        let mut imports = link.imports.iter();
        if let Some(import) = imports.find(|it| it.ours == written) {
            return Some((link, import.theirs.clone()));
        }
        let plain = written.strip_prefix('@')?;
        if plain == link.namespace {
            return Some((link, written.to_owned()));
        }
        let theirs = plain.strip_prefix(&link.namespace)?.strip_prefix("__")?;
        Some((link, format!("@{theirs}")))
    })
}

/// What two files that compose a directive do not agree on.
fn disagreement(one: &Composed<'_>, other: &Composed<'_>) -> Option<Diagnostic> {
    let same_origin = one.link.identity == other.link.identity;
    let message = match (same_origin, one.name == other.name) {
        (true, false) if one.theirs == other.theirs => {
            format!("{} has another name in another subgraph", one.theirs)
        }
        (false, true) => format!(
            "@{} is of another specification in another subgraph",
            one.name
        ),
        (true, true) if major(one.link) != major(other.link) => {
            format!(
                "@{} has another major version in another subgraph",
                one.name
            )
        }
        _ => return None,
    };
    let site = |it: &Composed<'_>| Site {
        place: it.place.clone(),
        word: format!(
            "`@{}` of {} in `{}`",
            it.name, it.link.identity, it.document.name
        ),
    };
    Some(clash(CODE, message, vec![site(one), site(other)]))
}

fn major(link: &Link) -> Option<u32> {
    link.version.map(|(major, _)| major)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn linked(version: &str, rest: &str) -> String {
        format!(
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@composeDirective\", \"@shareable\"]) \
             @link(url: \"https://example.com/mine/{version}\", import: [\"@mine\"])\n{rest}"
        )
    }

    const DEFINITION: &str = "directive @mine(a: Int) repeatable on OBJECT | FIELD_DEFINITION";

    #[test]
    fn what_files_ask_for_is_kept_with_its_definition() {
        let a = format!(
            "extend schema @composeDirective(name: \"@mine\") {DEFINITION} type A @shareable @mine(a: 1) {{ a: Int @mine }}"
        );
        let b = format!(
            "extend schema @composeDirective(name: \"@mine\") {DEFINITION} type A @shareable @mine(a: 1) @mine(a: 2) {{ a: Int }}"
        );
        let c = "directive @mine on OBJECT type A @shareable @mine { a: Int }";
        assert_eq!(
            printed(&[&linked("v1.0", &a), &linked("v1.1", &b), &linked("v1.0", c)]),
            format!("{DEFINITION} type A @mine(a: 1) @mine(a: 2) {{ a: Int @mine }}")
        );
    }

    #[test]
    fn what_an_element_has_once_is_what_the_first_says() {
        let file = |number: u32| {
            linked(
                "v1.0",
                &format!(
                    "extend schema @composeDirective(name: \"@mine\") directive @mine(a: Int) on OBJECT type A @shareable @mine(a: {number}) {{ a: Int }}"
                ),
            )
        };
        assert_eq!(
            printed(&[&file(1), &file(2)]),
            "directive @mine(a: Int) on OBJECT type A @mine(a: 1) { a: Int }"
        );
    }

    #[test]
    fn only_what_a_file_has_from_elsewhere_is_composed() {
        let asked = |name: &str, rest: &str| {
            said(&[&linked(
                "v1.0",
                &format!("extend schema @composeDirective(name: \"{name}\") {rest}"),
            )])
        };
        for (name, rest, message) in [
            ("mine", DEFINITION, "a directive's name begins with @"),
            ("@minn", DEFINITION, "this file defines no directive @minn"),
            ("@key", "", "@key is Federation's own"),
            (
                "@own",
                "directive @own on OBJECT",
                "no @link of this file imports @own",
            ),
        ] {
            let said = asked(name, rest);
            assert!(
                said.starts_with("error[DIRECTIVE_COMPOSITION_ERROR] a.graphql:3:39\n")
                    && said.contains(message),
                "{said}"
            );
        }
        assert!(asked("@minn", DEFINITION).contains("help: did you mean `@mine`?"));
    }

    #[test]
    fn all_files_mean_the_same_by_a_composed_directive() {
        let asked = format!("extend schema @composeDirective(name: \"@mine\") {DEFINITION}");
        let said = said(&[&linked("v1.0", &asked), &linked("v2.0", &asked)]);
        assert!(
            said.starts_with("error[DIRECTIVE_COMPOSITION_ERROR] a.graphql:3:39\n")
                && said.contains("has another major version in another subgraph")
                && said.contains("at b.graphql:3:39"),
            "{said}"
        );
    }

    #[test]
    fn what_the_supergraph_keeps_has_one_name() {
        let tag = |import: &str| {
            format!(
                "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [{import}])"
            )
        };
        let said = said(&[
            &tag("\"@tag\""),
            &tag("{ name: \"@tag\", as: \"@label\" }"),
            &tag("\"@key\""),
        ]);
        assert!(
            said.starts_with("error[LINK_IMPORT_NAME_MISMATCH] a.graphql:2:")
                && said.contains("^ `@label` here"),
            "{said}"
        );
    }
}
