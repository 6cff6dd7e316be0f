//! What a file calls each directive, and whose rules it follows.
//!
//! Owns `@link`: imports, renames, namespaces. After [`Names::canonicalise`] nobody
//! else needs to know what a file called `@key`. <https://specs.apollo.dev/link/v1.0/>

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{
    self, Definition, Directive, DirectiveList, EnumValueDefinition, FieldDefinition,
    InputValueDefinition, Value,
};
use apollo_compiler::{Name, Node};

use super::{Federation, Places, vocabulary};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::SubgraphFile;

/// What one file calls directives.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) federation: Federation,
    /// From the name in the file to what it stands for.
    links: HashMap<String, Meaning>,
    /// Directives that the file defines itself.
    defined: HashSet<String>,
    /// Whether Federation's names must be imported.
    imports: bool,
}

/// What a name in a file stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
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
    let links: Vec<Link> = schema_directives(ast)
        .filter(|d| d.name == "link")
        .filter_map(Link::read)
        .collect();
    let federation = links.iter().find(|link| link.is_federation());
    if let Some(link) = federation {
        link.check_version(places, diagnostics);
        link.check_imports(places, diagnostics);
    }
    let declares_source =
        schema_directives(ast).any(|d| d.name == "source" || d.name == "switchboard__source");
    let v1 = federation.is_none() && !declares_source && file.url.is_some();
    Names {
        federation: if v1 { Federation::V1 } else { Federation::V2 },
        imports: federation.is_some(),
        links: links.iter().flat_map(Link::names).collect(),
        defined: defined(ast),
    }
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

/// Access directives and the Federation v2 minor version that defines each.
const SINCE: [(&str, u32); 3] = [("authenticated", 5), ("requiresScopes", 5), ("policy", 6)];

/// One `@link`.
struct Link<'a> {
    directive: &'a Node<Directive>,
    /// `https://specs.apollo.dev/federation`
    identity: &'a str,
    /// `v2.3`
    version: Option<&'a str>,
    /// What un-imported names begin with.
    namespace: &'a str,
    /// What the specification and the file call each imported directive.
    imports: Vec<(&'a str, &'a str)>,
}

impl<'a> Link<'a> {
    fn read(directive: &'a Node<Directive>) -> Option<Self> {
        let url = directive
            .specified_argument_by_name("url")?
            .as_str()?
            .trim_end_matches('/');
        let (identity, version) = match url.rsplit_once('/') {
            Some((identity, version)) if is_version(version) => (identity, Some(version)),
            _ => (url, None),
        };
        let alias = directive
            .specified_argument_by_name("as")
            .and_then(|v| v.as_str());
        let imports = directive
            .specified_argument_by_name("import")
            .and_then(|v| v.as_list());
        Some(Self {
            directive,
            identity,
            version,
            namespace: alias.unwrap_or_else(|| identity.rsplit('/').next().unwrap_or(identity)),
            imports: imports
                .unwrap_or_default()
                .iter()
                .filter_map(import)
                .collect(),
        })
    }

    fn is_federation(&self) -> bool {
        self.identity == "https://specs.apollo.dev/federation"
    }

    fn check_version(&self, places: &Places, diagnostics: &mut Diagnostics) {
        if self
            .version
            .is_some_and(|version| version.starts_with("v2."))
        {
            return;
        }
        let place = match self.directive.specified_argument_by_name("url") {
            Some(url) => places.node(url),
            None => places.node(self.directive),
        };
        diagnostics.push(
            Diagnostic::error(
                "UNKNOWN_FEDERATION_LINK_VERSION",
                "not a version of the Federation specification that is known here",
            )
            .at(place)
            .help("link a 2.x version: https://specs.apollo.dev/federation/v2.9"),
        );
    }

    /// Whoever imports a directive that protects data means it: it must be one of the linked version.
    fn check_imports(&self, places: &Places, diagnostics: &mut Diagnostics) {
        let minor = self.version.and_then(|it| it.strip_prefix("v2."));
        let Some(minor) = minor.and_then(|it| it.parse::<u32>().ok()) else {
            return;
        };
        let later = |theirs: &str| {
            SINCE
                .iter()
                .find(|(name, since)| *name == theirs && minor < *since)
        };
        let imports = self.directive.specified_argument_by_name("import");
        let items = imports.and_then(|it| it.as_list()).unwrap_or_default();
        for item in items {
            let Some((name, since)) = import(item).and_then(|(theirs, _)| later(theirs)) else {
                continue;
            };
            let message = format!("@{name} is not part of Federation v2.{minor}");
            diagnostics.push(
                Diagnostic::error("INVALID_LINK_DIRECTIVE_USAGE", message)
                    .at(places.node(item))
                    .help(format!(
                        "link https://specs.apollo.dev/federation/v2.{since} or later"
                    )),
            );
        }
    }

    /// Every name that the link brings into the file.
    fn names(&self) -> Vec<(String, Meaning)> {
        // Apollo publishes some directives (`tag`, `inaccessible`, `cost`) as specifications of their own.
        let apollo = self.identity.starts_with("https://specs.apollo.dev/");
        let meaning = |name: &str| match vocabulary::names().find(|known| *known == name) {
            Some(known) if apollo => Meaning::Known(known),
            _ => Meaning::Foreign,
        };
        let mut names: Vec<(String, Meaning)> = Vec::new();
        for name in vocabulary::names().filter(|_| apollo) {
            names.push((format!("{}__{name}", self.namespace), meaning(name)));
        }
        let own_name = self.identity.rsplit('/').next().unwrap_or(self.identity);
        names.push((self.namespace.to_owned(), meaning(own_name)));
        names.extend(
            self.imports
                .iter()
                .map(|(theirs, ours)| ((*ours).to_owned(), meaning(theirs))),
        );
        names
    }
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or("");
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `"@key"` or `{ name: "@key", as: "@primaryKey" }`; types are not ours to rename.
fn import(value: &Node<Value>) -> Option<(&str, &str)> {
    if let Some(name) = value.as_str() {
        let name = name.strip_prefix('@')?;
        return Some((name, name));
    }
    let object = value.as_object()?;
    let text = |key: &str| {
        object
            .iter()
            .find(|(name, _)| name == key)?
            .1
            .as_str()?
            .strip_prefix('@')
    };
    let name = text("name")?;
    Some((name, text("as").unwrap_or(name)))
}

impl Names {
    fn meaning(&self, name: &str) -> Meaning {
        if let Some(meaning) = self.links.get(name) {
            return meaning.clone();
        }
        let namespaced = name.split_once("__");
        if namespaced
            .is_some_and(|(namespace, _)| self.links.get(namespace) == Some(&Meaning::Foreign))
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
        match (free, self.imports) {
            (true, _) | (_, false) => Meaning::Known(known),
            (false, true) => Meaning::NotImported(known),
        }
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
            Meaning::Foreign => Some(Name::new_unchecked(&format!("{FOREIGN}{name}"))),
            Meaning::NotImported(_) => Some(Name::new_unchecked(&format!("{NOT_IMPORTED}{name}"))),
            Meaning::Unknown => None,
        }
    }
}

/// Every list of directives below a definition.
fn directive_lists(definition: &mut Definition, see: &mut dyn FnMut(&mut DirectiveList)) {
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
        assert_eq!(federation(&files), Federation::V2);
        files.subgraphs[0].sdl = format!("{LINK} import: []) type A {{ a: Int }}");
        assert_eq!(federation(&files), Federation::V2);
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
