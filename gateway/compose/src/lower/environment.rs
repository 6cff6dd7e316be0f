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

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said_of};

    const SDL: &str =
        "extend schema @source(name: \"shop\", http: { baseURL: \"{$env.SHOP_URL}\" })";

    #[test]
    fn a_variable_that_the_file_may_not_read_is_refused() {
        let mut files = file(SDL);
        assert_eq!(
            said_of(&files),
            "error[ENV_NOT_ALLOWED] shop.graphql:1:56\n  \
             1 | extend schema @source(name: \"shop\", http: { baseURL: \"{$env.SHOP_URL}\" })\n    \
             |                                                        ^^^^^^^^^^^^^ this file may not read `SHOP_URL`\n  \
             help: allow it in switchboard.yaml: shop: { env: [SHOP_URL] }\n"
        );
        files.subgraphs[0].env.insert("SHOP_URLS".into(), None);
        assert!(said_of(&files).contains("help: did you mean `SHOP_URLS`?"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let mut files = file(SDL);
        files.subgraphs[0].env.insert("SHOP_URL".into(), None);
        let said = said_of(&files);
        assert!(
            said.starts_with("error[UNKNOWN_ENV] shop.graphql:1:56\n"),
            "{said}"
        );
        assert!(
            said.contains("help: set SHOP_URL in the gateway's environment"),
            "{said}"
        );
    }

    #[test]
    fn a_value_that_the_configuration_lacks_is_named() {
        let sdl =
            "extend schema @source(name: \"shop\", http: { baseURL: \"http://{$config.host}\" })";
        let mut files = file(sdl);
        assert!(said_of(&files).starts_with("error[UNKNOWN_CONFIG] shop.graphql:1:63\n"));
        files.config.insert("host".into(), "a".into());
        assert_eq!(said_of(&files), "");
    }
}
