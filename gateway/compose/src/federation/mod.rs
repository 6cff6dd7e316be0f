//! What the Federation specification asks of each file for itself.
//!
//! Owns the rules of composition that concern one subgraph: what `@key`, `@requires`,
//! `@provides`, `@external` and their kin may stand on and name. A file of Federation 1
//! is made one of Federation 2 first. Must not know what other subgraphs declare, which
//! is [`crate::merge`]'s to compare, nor how a field reaches a service.
//! <https://www.apollographql.com/docs/graphos/reference/federation/errors>

mod context;
mod cost;
mod external;
mod interface;
mod selection;
mod sharing;
mod upgrade;

use std::collections::HashSet;

use apollo_compiler::Name;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, Federation};
use selection::Selections;

pub(crate) use selection::parse;

/// The fields of a file that some `@provides` promises: type and field. In a supergraph whoever
/// owns them no longer says that they are shared.
pub(crate) fn provided(document: &Document) -> HashSet<(Name, Name)> {
    if document.is_composed {
        return HashSet::new();
    }
    let selections = Selections::of(document);
    let provided = selections.used_by(|kind| kind == selection::Kind::Provides);
    let provided = provided.into_iter();
    provided
        .map(|(ty, field)| (ty.clone(), field.clone()))
        .collect()
}

/// Brings every file to the rules of Federation 2 and holds it to them.
pub(crate) fn settle(documents: &mut [Document], diagnostics: &mut Diagnostics) {
    for document in documents {
        if document.federation == Federation::V1 {
            upgrade::upgrade(document, diagnostics);
        }
        // A supergraph no longer says everything that these rules ask for.
        if !document.is_composed {
            check(document, diagnostics);
        }
    }
}

fn check(document: &Document, diagnostics: &mut Diagnostics) {
    let selections = Selections::of(document);
    check_name(document, diagnostics);
    external::check(document, &selections, diagnostics);
    interface::check(document, &selections, diagnostics);
    sharing::check(document, diagnostics);
    cost::check(document, diagnostics);
    context::check(document, &selections, diagnostics);
}

fn check_name(document: &Document, diagnostics: &mut Diagnostics) {
    if document.name == "_" {
        diagnostics.push(Diagnostic::error(
            "INVALID_SUBGRAPH_NAME",
            "`_` cannot be the name of a subgraph",
        ));
    }
}

#[cfg(test)]
mod testing {
    //! What the tests of this room share.

    use super::*;
    use crate::merge::testing::files;

    /// What is said of one file that links Federation 2.9.
    pub(super) fn said(sdl: &str) -> String {
        said_of_version("2.9", sdl)
    }

    /// What is said of one file that links a version of Federation.
    pub(super) fn said_of_version(version: &str, sdl: &str) -> String {
        let link = format!(
            "@link(url: \"https://specs.apollo.dev/federation/v{version}\", import: [{}])",
            imports(version)
        );
        let mut files = files(&[sdl]);
        let file = &mut files.subgraphs[0];
        file.sdl = file
            .sdl
            .replacen("extend schema", &format!("extend schema {link}"), 1);
        let mut diagnostics = Diagnostics::default();
        let mut documents = crate::document::parse(&files, &mut diagnostics);
        settle(&mut documents, &mut diagnostics);
        diagnostics.to_string()
    }

    fn imports(version: &str) -> String {
        let minor: u32 = version.trim_start_matches("2.").parse().expect("a version");
        let names = crate::document::FEDERATION.iter();
        let names = names.filter(|(_, since)| *since <= minor);
        let names: Vec<String> = names.map(|(name, _)| format!("\"@{name}\"")).collect();
        names.join(", ")
    }

    /// One file of Federation 1 as it is after the upgrade, and what is said of it.
    pub(super) fn upgraded(sdl: &str) -> (String, String) {
        let mut files = files(&[]);
        files.subgraphs.push(crate::SubgraphFile {
            name: "a".into(),
            file: "a.graphql".into(),
            sdl: sdl.into(),
            url: Some("http://a".into()),
            ..Default::default()
        });
        let mut diagnostics = Diagnostics::default();
        let mut documents = crate::document::parse(&files, &mut diagnostics);
        settle(&mut documents, &mut diagnostics);
        let printed = documents[0].schema.serialize().no_indent().to_string();
        let types = printed.split_once("federation: true}) ").map(|it| it.1);
        (
            types.unwrap_or_default().to_owned(),
            diagnostics.to_string(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subgraph_is_not_called_by_an_underscore() {
        let mut files = crate::merge::testing::files(&["scalar S"]);
        files.subgraphs[0].name = "_".into();
        let mut diagnostics = Diagnostics::default();
        let mut documents = crate::document::parse(&files, &mut diagnostics);
        settle(&mut documents, &mut diagnostics);
        assert_eq!(diagnostics.codes(), ["INVALID_SUBGRAPH_NAME"]);
    }
}
