//! Which specifications a supergraph links, and what it calls their parts.
//!
//! Owns `@link` and its forerunner `@core`: the version of join, the prefix of
//! its names, and that a specification which must be understood to serve the
//! graph is refused unless it is. <https://specs.apollo.dev/link/v1.0/>

use apollo_compiler::ast::Directive;
use apollo_compiler::{Node, Schema};

use super::wrong;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{self, Places};

/// What a supergraph links.
#[derive(Debug)]
pub(super) struct Links<'a> {
    /// What the names of join begin with.
    prefix: &'a str,
    /// The minor version of join: 1 to 5.
    pub(super) version: u32,
    /// Every other specification, in the order written.
    pub(super) others: Vec<Link<'a>>,
}

/// One linked specification.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) directive: &'a Node<Directive>,
    url: &'a str,
    /// The address without its version: `https://specs.apollo.dev/tag`.
    identity: &'a str,
    version: &'a str,
    /// What its names begin with here, where they are not imported.
    pub(super) namespace: &'a str,
}

const JOIN: &str = "https://specs.apollo.dev/join";
/// How files say what they link, which is nothing to be passed on.
const LINKING: [&str; 2] = [
    "https://specs.apollo.dev/link",
    "https://specs.apollo.dev/core",
];

/// Reads the links. None where the file is no supergraph that can be read.
pub(super) fn of<'a>(
    schema: &'a Schema,
    places: &Places,
    diagnostics: &mut Diagnostics,
) -> Option<Links<'a>> {
    let directives = &schema.schema_definition.directives;
    let links = directives
        .iter()
        .filter(|it| matches!(it.name.as_str(), "link" | "core"));
    let links: Vec<Link<'a>> = links.filter_map(Link::read).collect();
    let Some(join) = links.iter().find(|link| link.identity == JOIN) else {
        diagnostics.push(
            wrong("this is not a supergraph: it does not link the join specification", places.bytes(0..0))
                .help("a supergraph begins with schema @link(url: \"https://specs.apollo.dev/join/v0.5\", for: EXECUTION); name files of subgraphs under `subgraphs`"),
        );
        return None;
    };
    let (prefix, version) = (join.namespace, join.minor());
    let place = places.directive(join.directive);
    let Some(version) = version else {
        let message = format!("join {} is not known here", join.version);
        let found = Diagnostic::error("UNSUPPORTED", message).at(place);
        diagnostics.push(found.help("compose the supergraph for one of join v0.1 to v0.5"));
        return None;
    };
    let others = links
        .into_iter()
        .filter(|link| link.identity != JOIN && !LINKING.contains(&link.identity));
    let links = Links {
        prefix,
        version,
        others: others.collect(),
    };
    for link in &links.others {
        link.check(places, diagnostics);
    }
    Some(links)
}

impl<'a> Link<'a> {
    fn read(directive: &'a Node<Directive>) -> Option<Self> {
        let text = |name: &str| directive.specified_argument_by_name(name)?.as_str();
        let url = text("url").or_else(|| text("feature"))?;
        let (identity, version) = url.trim_end_matches('/').rsplit_once('/')?;
        let own = identity.rsplit('/').next().unwrap_or(identity);
        Some(Self {
            directive,
            url,
            identity,
            version,
            namespace: text("as").unwrap_or(own),
        })
    }

    /// `v0.3` is 3. The examples of the specification call v0.1 `v1.0`.
    fn minor(&self) -> Option<u32> {
        if self.version == "v1.0" {
            return Some(1);
        }
        let minor = self.version.strip_prefix("v0.")?.parse().ok()?;
        (1..=5).contains(&minor).then_some(minor)
    }

    /// What the specification is called by everybody: `tag`.
    fn own_name(&self) -> &'a str {
        self.identity.rsplit('/').next().unwrap_or(self.identity)
    }

    /// Whoever links a specification `for` something must have it understood.
    fn check(&self, places: &Places, diagnostics: &mut Diagnostics) {
        let purpose = self.directive.specified_argument_by_name("for");
        let Some(purpose) = purpose.filter(|it| it.as_enum().is_some()) else {
            return;
        };
        let apollo = self.identity.starts_with("https://specs.apollo.dev/");
        if apollo && document::is_known_directive(self.own_name()) {
            return;
        }
        let message = format!(
            "`{}` must be understood to serve this graph (for: {purpose}), and is not supported by this release",
            self.url
        );
        let place = places.directive(self.directive);
        diagnostics.push(Diagnostic::error("UNSUPPORTED", message).at(place));
    }

    /// Whether it is the specification of Apollo's with this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.identity.strip_prefix("https://specs.apollo.dev/") == Some(name)
    }

    /// What a subgraph writes to link the same: `as` and `import` stay, the purpose is the supergraph's.
    pub(super) fn arguments(&self) -> String {
        let mut arguments = format!("url: {:?}", self.url);
        for name in ["as", "import"] {
            if let Some(value) = self.directive.specified_argument_by_name(name) {
                arguments.push_str(&format!(", {name}: {}", value.serialize().no_indent()));
            }
        }
        arguments
    }
}

impl Links<'_> {
    /// Whether a name is the join specification's `part`, under whatever prefix.
    pub(super) fn is_join(&self, name: &str, part: &str) -> bool {
        self.part_of_join(name) == Some(part)
    }

    /// What the join specification calls it.
    pub(super) fn part_of_join<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.prefix)?.strip_prefix("__")
    }

    /// Whether a directive or type belongs to a specification and not to the graph.
    pub(super) fn is_machinery(&self, name: &str) -> bool {
        let Some((namespace, _)) = name.split_once("__") else {
            return matches!(name, "link" | "core");
        };
        let of_other = || self.others.iter().any(|link| link.namespace == namespace);
        namespace == self.prefix || matches!(namespace, "link" | "core") || of_other()
    }

    /// What is called `@context` here.
    pub(super) fn is_context(&self, directive: &str) -> bool {
        let mut links = self.others.iter();
        links.any(|link| link.is("context") && link.namespace == directive)
    }
}
