//! `$env` and `$config`: values that are known before any request.

use super::{Lowering, at, did_you_mean, listed};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{Reference, Root, Spot};

impl Lowering<'_> {
    /// The value of `$env.NAME` or `$config.name`; nothing for other expressions.
    pub(super) fn known_value(
        &mut self,
        document: &Document,
        reference: &Reference,
        spot: &Spot,
    ) -> Option<String> {
        let name = reference.path.first()?.name.as_str();
        match reference.root {
            Root::Env => self.variable(document, name, spot),
            Root::Config => self.configured(document, name, spot),
            _ => None,
        }
    }

    fn variable(&mut self, document: &Document, name: &str, spot: &Spot) -> Option<String> {
        let subgraph = &self.files.subgraphs[document.subgraph.index()];
        let (code, message, help) = match subgraph.env.get(name) {
            Some(Some(value)) => return Some(value.clone()),
            Some(None) => (
                "UNKNOWN_ENV",
                format!("the variable `{name}` is not set"),
                format!("set {name} in the gateway's environment"),
            ),
            None => {
                let allowed: Vec<&str> = subgraph.env.keys().map(String::as_str).collect();
                let allow = |_: &[&str]| {
                    let names = [&allowed[..], &[name]].concat().join(", ");
                    format!(
                        "allow it in switchboard.yaml: {}: {{ env: [{names}] }}",
                        document.name
                    )
                };
                (
                    "ENV_NOT_ALLOWED",
                    format!("this file may not read `{name}`"),
                    did_you_mean(name, allowed.iter().copied(), allow),
                )
            }
        };
        self.push(
            Diagnostic::error(code, message)
                .at(at(document, spot))
                .help(help),
        );
        None
    }

    fn configured(&mut self, document: &Document, name: &str, spot: &Spot) -> Option<String> {
        if let Some(value) = self.files.config.get(name) {
            return Some(value.clone());
        }
        let known = self.files.config.keys().map(String::as_str);
        let help = did_you_mean(name, known, |known| match known {
            [] => format!("add `{name}` under `config:` in switchboard.yaml"),
            _ => format!("the configuration has {}", listed(known)),
        });
        let message = format!("the configuration has no value `{name}`");
        self.push(
            Diagnostic::error("UNKNOWN_CONFIG", message)
                .at(at(document, spot))
                .help(help),
        );
        None
    }
}

/// Whether an expression is known before any request.
pub(super) fn is_known(reference: &Reference) -> bool {
    matches!(reference.root, Root::Env | Root::Config)
}
