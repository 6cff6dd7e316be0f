//! `@link`: which specifications a file uses, and what it calls their elements.
//!
//! Owns reading links, and whether each is one. What a name then stands for is
//! [`super::names`]' to say. <https://specs.apollo.dev/link/v1.0/>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};

use super::{Places, vocabulary};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::suggest::{closest, did_you_mean};

/// What Apollo's specifications begin with.
const APOLLO: &str = "https://specs.apollo.dev/";

/// The last minor version of Federation 2 whose directives are known here.
pub(crate) const LATEST: u32 = 9;

/// The directives of Federation 2, and the minor version that defines each.
pub(crate) const FEDERATION: [(&str, u32); 18] = [
    ("key", 0),
    ("shareable", 0),
    ("external", 0),
    ("requires", 0),
    ("provides", 0),
    ("override", 0),
    ("inaccessible", 0),
    ("tag", 0),
    ("extends", 0),
    ("composeDirective", 1),
    ("interfaceObject", 3),
    ("authenticated", 5),
    ("requiresScopes", 5),
    ("policy", 6),
    ("context", 8),
    ("fromContext", 8),
    ("cost", 9),
    ("listSize", 9),
];

/// The types of Federation 2 that a file may import.
const TYPES: [&str; 4] = ["FieldSet", "Scope", "Policy", "ContextFieldValue"];

/// One `@link`.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) directive: Node<Directive>,
    /// `https://specs.apollo.dev/federation`
    pub(crate) identity: String,
    /// `(2, 3)`
    pub(crate) version: Option<(u32, u32)>,
    /// What un-imported names begin with.
    pub(crate) namespace: String,
    /// What the file imports.
    pub(crate) imports: Vec<Import>,
}

/// One element that a link imports.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// What the specification calls it: `@key`, `FieldSet`.
    pub(crate) theirs: String,
    /// What the file calls it.
    pub(crate) ours: String,
    value: Node<Value>,
}

/// The links among the directives of a schema.
pub(super) fn read<'a>(directives: impl Iterator<Item = &'a Node<Directive>>) -> Vec<Link> {
    directives
        .filter(|it| it.name == "link")
        .filter_map(Link::read)
        .collect()
}

/// Checks every link of a file.
pub(super) fn check(links: &[Link], places: &Places, diagnostics: &mut Diagnostics) {
    for (index, link) in links.iter().enumerate() {
        if !link.check_identifier(places, diagnostics) {
            continue;
        }
        link.check_known(places, diagnostics);
        link.check_imports(places, diagnostics);
        let before = &links[..index];
        if let Some(earlier) = before.iter().find(|it| it.clashes_with(link)) {
            diagnostics.push(linked_twice(link, earlier, places));
        }
    }
}

impl Link {
    fn read(directive: &Node<Directive>) -> Option<Self> {
        let text = |name: &str| directive.specified_argument_by_name(name)?.as_str();
        let url = text("url")?.trim_end_matches('/');
        let (identity, version) = match url.rsplit_once('/') {
            Some((identity, last)) if looks_like_version(last) => (identity, version(last)),
            _ => (url, None),
        };
        let own_name = identity.rsplit('/').next().unwrap_or(identity);
        let imports = directive.specified_argument_by_name("import");
        let imports = imports.and_then(|it| it.as_list()).unwrap_or_default();
        Some(Self {
            directive: directive.clone(),
            identity: identity.to_owned(),
            version,
            namespace: text("as").unwrap_or(own_name).to_owned(),
            imports: imports.iter().filter_map(import).collect(),
        })
    }

    pub(crate) fn is_federation(&self) -> bool {
        self.identity == "https://specs.apollo.dev/federation"
    }

    /// Whether Apollo publishes it: some directives (`tag`, `cost`) are specifications of their own.
    pub(super) fn is_apollos(&self) -> bool {
        self.identity.starts_with(APOLLO)
    }

    /// `federation`
    pub(super) fn own_name(&self) -> &str {
        let last = self.identity.rsplit('/').next();
        last.unwrap_or(&self.identity)
    }

    /// The minor version of Federation 2; the last one known where it says another.
    pub(super) fn minor(&self) -> u32 {
        self.version.map_or(LATEST, |(_, minor)| minor.min(LATEST))
    }

    /// What the file calls one of the specification's elements, where it imports it.
    pub(crate) fn name_of(&self, theirs: &str) -> Option<&str> {
        let found = self.imports.iter().find(|it| it.theirs == theirs)?;
        Some(&found.ours)
    }

    fn url_place(&self, places: &Places) -> Place {
        match self.directive.specified_argument_by_name("url") {
            Some(url) => places.node(url),
            None => places.node(&self.directive),
        }
    }

    /// Where an imported element is named.
    pub(crate) fn import_place(&self, theirs: &str, places: &Places) -> Place {
        match self.imports.iter().find(|it| it.theirs == theirs) {
            Some(import) => places.node(&import.value),
            None => self.url_place(places),
        }
    }

    fn check_identifier(&self, places: &Places, diagnostics: &mut Diagnostics) -> bool {
        let url = self.directive.specified_argument_by_name("url");
        let url = url.and_then(|it| it.as_str()).unwrap_or("");
        let path = url.split_once("://").and_then(|(_, it)| it.split_once('/'));
        let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or("");
        let message = match path {
            None => "not the URL of a specification",
            Some((_, path)) if path.trim_matches('/').is_empty() => {
                "this URL has no path, and so the specification no name"
            }
            _ if looks_like_version(last) && self.version.is_none() => {
                "a version is written vMAJOR.MINOR"
            }
            _ => return true,
        };
        diagnostics.push(
            Diagnostic::error("INVALID_LINK_IDENTIFIER", message)
                .at(self.url_place(places))
                .help("such as https://specs.apollo.dev/federation/v2.9"),
        );
        false
    }

    /// Whether the specification, and this version of it, is one that can be obeyed.
    fn check_known(&self, places: &Places, diagnostics: &mut Diagnostics) {
        let found = match self.identity.strip_prefix(APOLLO) {
            Some("federation") if !self.is_known_federation() => Diagnostic::error(
                "UNKNOWN_FEDERATION_LINK_VERSION",
                "not a version of the Federation specification that is known here",
            )
            .help("link a 2.x version: https://specs.apollo.dev/federation/v2.9"),
            Some("link") if self.version.is_some_and(|it| it != (1, 0)) => Diagnostic::error(
                "UNKNOWN_LINK_VERSION",
                "not a version of the link specification that is known here",
            )
            .help("link https://specs.apollo.dev/link/v1.0"),
            Some("connect") => Diagnostic::error(
                "UNSUPPORTED_LINKED_FEATURE",
                "this specification is not supported",
            )
            .help("declare the service with @source and its fields with @rest"),
            None if self.is_essential() => Diagnostic::error(
                "UNSUPPORTED_LINKED_FEATURE",
                "nobody here knows this specification, and `for` says that it must be obeyed",
            )
            .help("leave out `for` where it need not be"),
            _ => return,
        };
        diagnostics.push(found.at(self.url_place(places)));
    }

    fn is_known_federation(&self) -> bool {
        // What later minor versions add (connectors) is a specification of its own.
        self.version
            .is_some_and(|(major, minor)| major == 2 && minor <= LATEST + 3)
    }

    fn is_essential(&self) -> bool {
        let purpose = self.directive.specified_argument_by_name("for");
        purpose.is_some_and(|it| it.as_enum().is_some())
    }

    fn check_imports(&self, places: &Places, diagnostics: &mut Diagnostics) {
        for import in &self.imports {
            let problem = match import.theirs.starts_with('@') == import.ours.starts_with('@') {
                false => Some(
                    Diagnostic::error(
                        "INVALID_LINK_DIRECTIVE_USAGE",
                        format!(
                            "`{}` and `{}` are not both directives",
                            import.theirs, import.ours
                        ),
                    )
                    .help("a directive's name begins with @, a type's does not"),
                ),
                true => self.unknown_import(import),
            };
            diagnostics.extend(problem.map(|it| it.at(places.node(&import.value))));
        }
    }

    /// Whoever imports a directive means it: it must be one of the linked version.
    fn unknown_import(&self, import: &Import) -> Option<Diagnostic> {
        if !self.is_federation() || !self.is_known_federation() {
            return None;
        }
        let usage = |message: String| Diagnostic::error("INVALID_LINK_DIRECTIVE_USAGE", message);
        let Some(name) = import.theirs.strip_prefix('@') else {
            let known = TYPES.contains(&import.theirs.as_str());
            let message = format!("Federation defines no type `{}`", import.theirs);
            return (!known).then(|| usage(message));
        };
        match FEDERATION.iter().find(|(known, _)| *known == name) {
            Some((_, since)) if self.minor() < *since => {
                let minor = self.minor();
                let message = format!("@{name} is not part of Federation v2.{minor}");
                Some(usage(message).help(format!(
                    "link https://specs.apollo.dev/federation/v2.{since} or later"
                )))
            }
            Some(_) => None,
            None => {
                let found = usage(format!("Federation defines no directive @{name}"));
                let near = closest(name, FEDERATION.iter().map(|(name, _)| *name));
                let near: Vec<String> = near.iter().map(|name| format!("@{name}")).collect();
                Some(match did_you_mean(&near) {
                    Some(help) => found.help(help),
                    None => found,
                })
            }
        }
    }

    fn clashes_with(&self, other: &Self) -> bool {
        self.identity == other.identity || self.namespace == other.namespace
    }
}

fn linked_twice(link: &Link, earlier: &Link, places: &Places) -> Diagnostic {
    let message = match link.identity == earlier.identity {
        true => "this specification is linked already".to_owned(),
        false => format!("two specifications are called `{}`", link.namespace),
    };
    Diagnostic::error("INVALID_LINK_DIRECTIVE_USAGE", message)
        .at(link.url_place(places))
        .related(earlier.url_place(places), "linked here")
}

/// Whether a segment of a URL is meant as a version.
fn looks_like_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or("");
    rest.starts_with(|c: char| c.is_ascii_digit())
}

/// `v2.3`
fn version(segment: &str) -> Option<(u32, u32)> {
    let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `"@key"` or `{ name: "@key", as: "@primaryKey" }`
fn import(value: &Node<Value>) -> Option<Import> {
    let (theirs, ours) = match value.as_str() {
        Some(name) => (name, name),
        None => {
            let entries = value.as_object()?;
            let text = |key: &str| entries.iter().find(|(name, _)| name == key)?.1.as_str();
            let name = text("name")?;
            (name, text("as").unwrap_or(name))
        }
    };
    Some(Import {
        theirs: theirs.to_owned(),
        ours: ours.to_owned(),
        value: value.clone(),
    })
}

/// The directives that a link's specification defines, as far as they are known here.
pub(super) fn directives(link: &Link) -> Vec<&'static str> {
    let in_version = |name: &str| {
        let known = FEDERATION.iter().find(|(known, _)| *known == name);
        !link.is_federation() || known.is_some_and(|(_, since)| *since <= link.minor())
    };
    vocabulary::names()
        .filter(|name| link.is_apollos() && in_version(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn said(links: &str) -> String {
        said_of(&format!("extend schema {links}")).to_string()
    }

    #[test]
    fn a_link_names_a_specification() {
        for (url, message) in [
            ("federation", "not the URL of a specification"),
            ("https://example.com/", "this URL has no path"),
            (
                "https://example.com/a/v1",
                "a version is written vMAJOR.MINOR",
            ),
        ] {
            let said = said(&format!("@link(url: \"{url}\")"));
            assert!(
                said.starts_with("error[INVALID_LINK_IDENTIFIER] shop.graphql:1:26\n")
                    && said.contains(message),
                "{said}"
            );
        }
        assert_eq!(said("@link(url: \"https://example.com/a\")"), "");
    }

    #[test]
    fn an_unknown_specification_that_must_be_obeyed_is_refused() {
        assert_eq!(
            said("@link(url: \"https://example.com/a/v1.0\", for: SECURITY)"),
            "error[UNSUPPORTED_LINKED_FEATURE] shop.graphql:1:26\n  \
             1 | extend schema @link(url: \"https://example.com/a/v1.0\", for: SECURITY)\n    \
             |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ nobody here knows this specification, and `for` says that it must be obeyed\n  \
             help: leave out `for` where it need not be\n"
        );
        let connect =
            said("@link(url: \"https://specs.apollo.dev/connect/v0.1\", import: [\"@connect\"])");
        assert!(
            connect.starts_with("error[UNSUPPORTED_LINKED_FEATURE]"),
            "{connect}"
        );
        let link = said("@link(url: \"https://specs.apollo.dev/link/v9.0\")");
        assert!(link.starts_with("error[UNKNOWN_LINK_VERSION]"), "{link}");
    }

    #[test]
    fn an_import_is_an_element_of_the_specification() {
        let import = |it: &str| {
            said(&format!(
                "@link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [{it}])"
            ))
        };
        assert_eq!(import("\"@key\", \"FieldSet\""), "");
        assert_eq!(
            import("\"@shareabel\""),
            "error[INVALID_LINK_DIRECTIVE_USAGE] shop.graphql:1:79\n  \
             1 | extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@shareabel\"])\n    \
             |                                                                               ^^^^^^^^^^^^ Federation defines no directive @shareabel\n  \
             help: did you mean `@shareable`?\n"
        );
        for wrong in [
            "\"Nothing\"",
            "{ name: \"@key\", as: \"key\" }",
            "\"@cost\"",
        ] {
            let said = import(wrong);
            assert!(
                said.starts_with("error[INVALID_LINK_DIRECTIVE_USAGE]"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_specification_is_linked_once_and_under_its_own_name() {
        let twice = "@link(url: \"https://specs.apollo.dev/federation/v2.3\")\n@link(url: \"https://specs.apollo.dev/federation/v2.5\", as: \"other\")";
        let said_twice = said(twice);
        assert!(
            said_twice.starts_with("error[INVALID_LINK_DIRECTIVE_USAGE] shop.graphql:2:12\n")
                && said_twice.contains("at shop.graphql:1:26"),
            "{said_twice}"
        );
        let one_name = "@link(url: \"https://a.com/x/v1.0\") @link(url: \"https://b.com/x/v1.0\")";
        assert!(said(one_name).contains("two specifications are called `x`"));
    }
}
