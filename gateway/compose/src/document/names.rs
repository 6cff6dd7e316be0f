//! What a file calls each directive, and whose rules it follows.
//!
//! Owns what links make of names: imports, renames, namespaces. After [`Names::canonicalise`] nobody
//! else needs to know what a file called `@key`. <https://specs.apollo.dev/link/v1.0/>

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{
    self, Definition, Directive, DirectiveList, EnumValueDefinition, FieldDefinition,
    InputValueDefinition,
};
use apollo_compiler::{Name, Node};

use super::links::{self, Link};
use super::{Federation, Places, definitions, vocabulary};
use crate::diagnostic::Diagnostics;
use crate::files::SubgraphFile;

/// What one file calls directives.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) federation: Federation,
    /// Every `@link` of the file.
    pub(super) links: Vec<Link>,
    /// From the name in the file to what it stands for.
    meanings: HashMap<String, Meaning>,
    /// Directives that the file defines itself.
    defined: HashSet<String>,
    /// Those that it asks to be composed, and whether each is repeatable.
    composed: HashMap<String, bool>,
    /// Whether Federation's names must be imported.
    imports: bool,
    /// Whether a GraphQL service serves the file itself.
    served: bool,
}

/// What a name in a file stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A directive of the vocabulary.
    Known(&'static str),
    /// Something of a specification that is not ours, or of the file itself.
    Foreign,
    /// A directive of the vocabulary that this file did not import.
    NotImported(&'static str),
    /// Nothing.
    Unknown,
}

/// The prefix of names that mean something to nobody but the file.
pub(super) const FOREIGN: &str = "foreign__";
/// The prefix of names that the file asks to be composed: `@composeDirective`.
pub(crate) const COMPOSED: &str = "composed__";
/// The same, of a directive that an element can have only once.
pub(crate) const COMPOSED_ONCE: &str = "composed_once__";
/// The prefix of names that the file would have to import.
pub(super) const NOT_IMPORTED: &str = "not_imported__";
/// The namespace of our directives, where a link took the plain name.
const OUR_NAMESPACE: &str = "switchboard__";

/// Reads the links of a file.
pub(super) fn of(
    ast: &ast::Document,
    file: &SubgraphFile,
    places: &Places,
    diagnostics: &mut Diagnostics,
) -> Names {
    let links = links::read(schema_directives(ast));
    links::check(&links, places, diagnostics);
    let federation = links.iter().find(|link| link.is_federation());
    let declares_source =
        schema_directives(ast).any(|d| d.name == "source" || d.name == "switchboard__source");
    let served = file.url.is_some() && !declares_source;
    Names {
        federation: match federation {
            Some(link) => Federation::V2 {
                minor: link.minor(),
            },
            None if served => Federation::V1,
            None => Federation::V2 {
                minor: links::LATEST,
            },
        },
        imports: federation.is_some(),
        served,
        meanings: links.iter().flat_map(names_of).collect(),
        links,
        defined: defined(ast),
        composed: composed(ast),
    }
}

/// What `@composeDirective(name: "@x")` names, whatever the file calls that directive itself.
fn composed(ast: &ast::Document) -> HashMap<String, bool> {
    let repeatable = |name: &str| {
        ast.definitions.iter().any(|it| match it {
            Definition::DirectiveDefinition(it) => it.repeatable && it.name == name,
            _ => false,
        })
    };
    let asked = schema_directives(ast).filter(|it| it.name.ends_with("composeDirective"));
    let names = asked.filter_map(|it| it.specified_argument_by_name("name")?.as_str());
    let plain = names.filter_map(|name| name.strip_prefix('@'));
    plain
        .map(|name| (name.to_owned(), repeatable(name)))
        .collect()
}

fn schema_directives(ast: &ast::Document) -> impl Iterator<Item = &Node<Directive>> {
    ast.definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::SchemaDefinition(it) => Some(&it.directives),
            Definition::SchemaExtension(it) => Some(&it.directives),
            _ => None,
        })
        .flat_map(|directives| directives.iter())
}

fn defined(ast: &ast::Document) -> HashSet<String> {
    ast.definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::DirectiveDefinition(it) => Some(it.name.to_string()),
            _ => None,
        })
        .collect()
}

/// Every name that a link brings into the file.
fn names_of(link: &Link) -> Vec<(String, Meaning)> {
    let known = links::directives(link);
    let meaning = |name: &str| match known.iter().find(|known| **known == name) {
        Some(known) => Meaning::Known(known),
        // What the linked version does not have is a mistake in the link.
        None if link.is_federation() => Meaning::Unknown,
        None => Meaning::Foreign,
    };
    let namespaced = known.iter().map(|name| {
        let ours = format!("{}__{name}", link.namespace);
        (ours, Meaning::Known(name))
    });
    let own = (link.namespace.clone(), meaning(link.own_name()));
    let imports = link.imports.iter().filter_map(|import| {
        let theirs = import.theirs.strip_prefix('@')?;
        let ours = import.ours.strip_prefix('@')?;
        Some((ours.to_owned(), meaning(theirs)))
    });
    namespaced.chain([own]).chain(imports).collect()
}

impl Names {
    /// What a name stands for.
    pub(super) fn meaning(&self, name: &str) -> Meaning {
        if let Some(meaning) = self.meanings.get(name) {
            return meaning.clone();
        }
        let namespaced = name.split_once("__");
        if namespaced
            .is_some_and(|(namespace, _)| self.meanings.get(namespace) == Some(&Meaning::Foreign))
        {
            return Meaning::Foreign;
        }
        if let Some(ours) = name.strip_prefix(OUR_NAMESPACE)
            && let Some(known) = vocabulary::OURS.iter().find(|it| **it == ours)
        {
            return Meaning::Known(known);
        }
        let Some(known) = vocabulary::names().find(|it| *it == name) else {
            let own = self.defined.contains(name);
            return if own {
                Meaning::Foreign
            } else {
                Meaning::Unknown
            };
        };
        let free = vocabulary::OURS.contains(&known) || vocabulary::ALWAYS.contains(&known);
        if self.defined.contains(name) && self.may_be_its_own(known, free) {
            return Meaning::Foreign;
        }
        match (free, self.imports) {
            (true, _) | (_, false) => Meaning::Known(known),
            (false, true) => Meaning::NotImported(known),
        }
    }

    /// Whether a directive that the file defines is another than ours of the same name: a service
    /// that knows nothing of us may call its own as it likes, and so may who imports Federation's.
    fn may_be_its_own(&self, known: &str, free: bool) -> bool {
        match free {
            true => self.served && vocabulary::is_nobodys_but_ours(known),
            false => self.imports,
        }
    }

    /// What kind of type a specification defines under this name: `federation__FieldSet`, or `FieldSet` where
    /// a link imports it.
    pub(super) fn machinery(&self, name: &str) -> Option<&'static str> {
        if name.starts_with('_') {
            return definitions::kind_of_machinery(name);
        }
        let apollos = || self.links.iter().filter(|link| link.is_apollos());
        let imported = || {
            let mut imports = apollos().flat_map(|link| &link.imports);
            Some(imports.find(|it| it.ours == name)?.theirs.as_str())
        };
        let namespaced = || {
            let (namespace, plain) = name.split_once("__")?;
            let linked = apollos().any(|link| link.namespace == namespace);
            (linked || matches!(namespace, "link" | "federation" | "core")).then_some(plain)
        };
        imported()
            .or_else(namespaced)
            .and_then(definitions::kind_of_machinery)
    }

    /// The types of a file that a specification defines.
    pub(super) fn machinery_of(&self, ast: &ast::Document) -> HashSet<Name> {
        let names = ast.definitions.iter().filter_map(|it| it.name());
        names
            .filter(|name| self.machinery(name).is_some())
            .cloned()
            .collect()
    }

    /// The directives that the file defines and that are nobody's else.
    pub(super) fn own_directives(&self, ast: &ast::Document) -> HashSet<Name> {
        let definitions = ast.definitions.iter().filter_map(|it| match it {
            Definition::DirectiveDefinition(it) => Some(&it.name),
            _ => None,
        });
        let own = definitions.filter(|name| self.meaning(name) == Meaning::Foreign);
        own.cloned().collect()
    }

    /// Gives every directive the name by which the rest of the room knows it.
    pub(super) fn canonicalise(&self, ast: &mut ast::Document) {
        for definition in &mut ast.definitions {
            directive_lists(definition, &mut |directives| self.rename(directives));
        }
    }

    fn rename(&self, directives: &mut DirectiveList) {
        for directive in &mut directives.0 {
            if let Some(name) = self.canonical(&directive.name) {
                directive.make_mut().name = name;
            }
        }
    }

    /// The canonical name, where it is another than the file's.
    fn canonical(&self, name: &Name) -> Option<Name> {
        match self.meaning(name) {
            Meaning::Known(known) if name == known => None,
            Meaning::Known(known) => Some(Name::new_static_unchecked(known)),
            Meaning::Foreign => {
                let prefix = match self.composed.get(name.as_str()) {
                    Some(true) => COMPOSED,
                    Some(false) => COMPOSED_ONCE,
                    None => FOREIGN,
                };
                Some(Name::new_unchecked(&format!("{prefix}{name}")))
            }
            Meaning::NotImported(_) => Some(Name::new_unchecked(&format!("{NOT_IMPORTED}{name}"))),
            Meaning::Unknown => None,
        }
    }
}

/// Every list of directives below a definition.
pub(super) fn directive_lists(
    definition: &mut Definition,
    see: &mut dyn FnMut(&mut DirectiveList),
) {
    use Definition as D;
    match definition {
        D::SchemaDefinition(it) => see(&mut it.make_mut().directives),
        D::SchemaExtension(it) => see(&mut it.make_mut().directives),
        D::ScalarTypeDefinition(it) => see(&mut it.make_mut().directives),
        D::ScalarTypeExtension(it) => see(&mut it.make_mut().directives),
        D::UnionTypeDefinition(it) => see(&mut it.make_mut().directives),
        D::UnionTypeExtension(it) => see(&mut it.make_mut().directives),
        D::ObjectTypeDefinition(it) => fielded(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::ObjectTypeExtension(it) => fielded(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::InterfaceTypeDefinition(it) => fielded(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::InterfaceTypeExtension(it) => fielded(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::InputObjectTypeDefinition(it) => inputs(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::InputObjectTypeExtension(it) => inputs(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.fields),
            see,
        ),
        D::EnumTypeDefinition(it) => values(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.values),
            see,
        ),
        D::EnumTypeExtension(it) => values(
            it.make_mut(),
            |it| (&mut it.directives, &mut it.values),
            see,
        ),
        D::OperationDefinition(_)
        | D::FragmentDefinition(_)
        | D::DirectiveDefinition(_)
        | D::DirectiveExtension(_) => {}
    }
}

type Parts<'a, T> = (&'a mut DirectiveList, &'a mut Vec<Node<T>>);

fn fielded<T>(
    ty: &mut T,
    parts: impl Fn(&mut T) -> Parts<'_, FieldDefinition>,
    see: &mut dyn FnMut(&mut DirectiveList),
) {
    let (directives, fields) = parts(ty);
    see(directives);
    for field in fields {
        inputs(
            field.make_mut(),
            |it| (&mut it.directives, &mut it.arguments),
            see,
        );
    }
}

fn inputs<T>(
    ty: &mut T,
    parts: impl Fn(&mut T) -> Parts<'_, InputValueDefinition>,
    see: &mut dyn FnMut(&mut DirectiveList),
) {
    let (directives, inputs) = parts(ty);
    see(directives);
    for input in inputs {
        see(&mut input.make_mut().directives);
    }
}

fn values<T>(
    ty: &mut T,
    parts: impl Fn(&mut T) -> Parts<'_, EnumValueDefinition>,
    see: &mut dyn FnMut(&mut DirectiveList),
) {
    let (directives, values) = parts(ty);
    see(directives);
    for value in values {
        see(&mut value.make_mut().directives);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{all, parse};
    use super::*;

    fn canonical(sdl: &str) -> Vec<String> {
        let documents = parse(&files(sdl), &mut Diagnostics::default());
        let schema = &documents[0].schema;
        let ty = schema.get_object("A").expect("type A");
        let field = ty.fields.values().flat_map(|f| f.directives.iter());
        let names = ty
            .directives
            .iter()
            .chain(field)
            .map(|d| d.name.to_string());
        names.collect()
    }

    const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", ";

    #[test]
    fn an_import_may_rename() {
        let sdl = format!(
            r#"{LINK} import: ["@key", {{ name: "@shareable", as: "@shared" }}])
            type A @key(fields: "a") {{ a: Int @shared b: Int @federation__external }}"#
        );
        assert_eq!(canonical(&sdl), ["key", "shareable", "external"]);
    }

    #[test]
    fn a_link_may_rename_its_namespace() {
        let sdl = format!(r#"{LINK} as: "fed") type A @fed__key(fields: "a") {{ a: Int }}"#);
        assert_eq!(canonical(&sdl), ["key"]);
    }

    #[test]
    fn a_linked_name_takes_ours_which_keeps_its_namespace() {
        let sdl = r#"
            extend schema @link(url: "https://example.com/other/v1.0", import: ["@rest"])
              @switchboard__source(name: "s", http: { baseURL: "http://s" })
            type A { a: Int @rest b: Int @switchboard__rest(GET: "/b") c: Int @other__thing }"#;
        assert_eq!(
            canonical(sdl),
            ["foreign__rest", "rest", "foreign__other__thing"]
        );
        let documents = parse(&files(sdl), &mut Diagnostics::default());
        assert_eq!(documents[0].schema_directives("source").count(), 1);
        assert_eq!(
            all(&documents[0].schema.schema_definition.directives, "link").count(),
            1
        );
    }

    #[test]
    fn a_specification_of_apollo_is_named_like_its_directive() {
        let sdl = r#"extend schema @link(url: "https://specs.apollo.dev/tag/v0.3", as: "label")
            type A @label(name: "x") { a: Int }"#;
        assert_eq!(canonical(sdl), ["tag"]);
    }

    #[test]
    fn a_file_with_a_url_and_without_a_link_is_federation_1() {
        let mut files = files("type A @key(fields: \"a\") { a: Int }");
        files.subgraphs[0].url = Some("http://a".into());
        let federation =
            |files: &crate::SchemaFiles| parse(files, &mut Diagnostics::default())[0].federation;
        assert_eq!(federation(&files), Federation::V1);
        files.subgraphs[0].sdl = with_source("type A { a: Int }");
        assert_eq!(federation(&files), Federation::V2 { minor: 9 });
        files.subgraphs[0].sdl = format!("{LINK} import: []) type A {{ a: Int }}");
        assert_eq!(federation(&files), Federation::V2 { minor: 3 });
    }

    #[test]
    fn what_a_file_defines_itself_is_its_own_where_no_link_brings_the_name() {
        let mut files = files(
            "directive @rest(a: Int) on FIELD_DEFINITION directive @key(fields: String) on OBJECT type A @key(fields: \"a\") { a: Int @rest(a: 1) }",
        );
        files.subgraphs[0].url = Some("http://a".into());
        let names = |files: &crate::SchemaFiles| {
            let documents = parse(files, &mut Diagnostics::default());
            let ty = documents[0].schema.get_object("A").expect("type A");
            let field = &ty.fields["a"].directives[0].name;
            [ty.directives[0].name.to_string(), field.to_string()]
        };
        assert_eq!(names(&files), ["key", "foreign__rest"]);
        files.subgraphs[0].sdl = format!("{LINK} import: []) {}", files.subgraphs[0].sdl);
        assert_eq!(names(&files), ["foreign__key", "foreign__rest"]);
    }

    #[test]
    fn access_directives_are_those_of_the_linked_version() {
        let link = |version: &str| {
            format!(
                "extend schema @link(url: \"https://specs.apollo.dev/federation/{version}\", import: [\"@policy\", \"@key\"])"
            )
        };
        assert_eq!(said_of(&link("v2.6")).codes(), [""; 0]);
        assert_eq!(
            said_of(&link("v2.5")).to_string(),
            "error[INVALID_LINK_DIRECTIVE_USAGE] shop.graphql:1:79\n  \
             1 | extend schema @link(url: \"https://specs.apollo.dev/federation/v2.5\", import: [\"@policy\", \"@key\"])\n    \
             |                                                                               ^^^^^^^^^ @policy is not part of Federation v2.5\n  \
             help: link https://specs.apollo.dev/federation/v2.6 or later\n"
        );
    }

    #[test]
    fn an_unknown_version_of_federation_is_refused() {
        let sdl = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v9.0")"#;
        assert_eq!(
            said_of(sdl).to_string(),
            "error[UNKNOWN_FEDERATION_LINK_VERSION] shop.graphql:1:26\n  \
             1 | extend schema @link(url: \"https://specs.apollo.dev/federation/v9.0\")\n    \
             |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not a version of the Federation specification that is known here\n  \
             help: link a 2.x version: https://specs.apollo.dev/federation/v2.9\n"
        );
    }
}
