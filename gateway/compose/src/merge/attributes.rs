//! What an element carries besides its shape and description: directives, tags.
//!
//! Owns how these are merged: the first word counts, in the order of the configuration.

use apollo_compiler::ast::{Directive, DirectiveList};
use apollo_compiler::{Name, Node};

use crate::document::{COMPOSED, COMPOSED_ONCE, all};

/// The first of each directive that the merged schema keeps, and of composed ones that can be
/// repeated each that is different.
pub(super) fn kept<'a>(of: impl Iterator<Item = &'a DirectiveList>) -> DirectiveList {
    let mut kept: Vec<Node<Directive>> = Vec::new();
    for directive in of.flat_map(|directives| directives.iter()) {
        let wanted = matches!(
            directive.name.as_str(),
            "deprecated" | "specifiedBy" | "oneOf" | "inaccessible"
        );
        if wanted && !kept.iter().any(|it| it.name == directive.name) {
            kept.push(directive.clone());
        }
        let theirs = under_own_name(directive, COMPOSED).filter(|it| !kept.contains(it));
        let once = under_own_name(directive, COMPOSED_ONCE);
        let once = once.filter(|it| !kept.iter().any(|other| other.name == it.name));
        kept.extend(theirs.or(once));
    }
    DirectiveList(kept)
}

/// A directive that its file asks to be composed, under its own name.
fn under_own_name(directive: &Node<Directive>, prefix: &str) -> Option<Node<Directive>> {
    let name = directive.name.strip_prefix(prefix)?;
    let mut composed = directive.clone();
    composed.make_mut().name = Name::new_unchecked(name);
    Some(composed)
}

/// Whether the element is for subgraphs only.
pub(crate) fn inaccessible(directives: &DirectiveList) -> bool {
    directives.iter().any(|d| d.name == "inaccessible")
}

/// The `@tag` names, each once.
pub(super) fn tags<'a>(of: impl Iterator<Item = &'a DirectiveList>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for directive in of.flat_map(|directives| all(directives, "tag")) {
        let name = directive
            .specified_argument_by_name("name")
            .and_then(|it| it.as_str());
        if let Some(name) = name.filter(|name| !tags.iter().any(|tag| tag == name)) {
            tags.push(name.to_owned());
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn the_first_description_and_the_first_deprecation_count() {
        let sdl = printed(&[
            "type A @shareable { a: Int }",
            "\"Second\" type A @shareable { \"two\" a: Int @deprecated(reason: \"two\") }",
            "\"Third\" type A @shareable { \"three\" a: Int @deprecated(reason: \"three\") }",
        ]);
        assert_eq!(
            sdl,
            "\"Second\" type A { \"two\" a: Int @deprecated(reason: \"two\") }"
        );
    }

    #[test]
    fn tags_of_every_subgraph_are_kept() {
        let (merged, _) = merged(&[
            "type A @shareable @tag(name: \"x\") { a: Int @tag(name: \"f\") }",
            "type A @shareable @tag(name: \"x\") @tag(name: \"y\") { a: Int @inaccessible }",
        ]);
        let ty = &merged.types["A"];
        assert_eq!(ty.tags, ["x", "y"]);
        assert_eq!(ty.fields["a"].tags, ["f"]);
        assert!(ty.fields["a"].inaccessible && !ty.inaccessible);
    }
}
