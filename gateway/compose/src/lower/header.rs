//! Headers towards a source.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::Lowering;
use super::input::Input;
use super::origin::Destination;
use super::scope::{Scope, Slot};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::{Expr, HeaderRule, Piece};

/// Headers whose value identifies or authorises someone.
pub(super) const SECRETS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
];

impl<'a> Lowering<'a> {
    /// The rules of one level, in order.
    pub(super) fn headers(
        &mut self,
        scope: &mut Scope<'a>,
        rules: &[Input<'_>],
    ) -> Vec<HeaderRule> {
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut headers = Vec::new();
        for rule in rules {
            let Some(name) = rule.text("name").map(str::to_lowercase) else {
                continue;
            };
            let place = rule.at_value("name");
            if let Some(first) = seen.get(&name) {
                self.push(
                    Diagnostic::error("HEADER_TWICE", format!("`{name}` stands here twice"))
                        .at(place)
                        .related(first.clone(), "first here"),
                );
                continue;
            }
            seen.insert(name.clone(), place);
            self.check_name(rule, &name);
            if let Some(value) = self.header_value(scope, rule, &name) {
                self.check_secret(rule, &name, &value);
                headers.push(HeaderRule { name, value });
            }
        }
        headers
    }

    fn header_value(
        &mut self,
        scope: &mut Scope<'a>,
        rule: &Input<'_>,
        name: &str,
    ) -> Option<Expr> {
        match (rule.text("from"), rule.has("value")) {
            (Some(from), false) => Some(Expr::Header(from.to_lowercase())),
            (None, true) => {
                let pieces = self.template(rule, "value")?;
                let slot = Slot::untyped(Destination::Header(name.to_owned()));
                let mut pieces = self.pieces(scope, &pieces, &slot)?;
                Some(match pieces.len() {
                    1 => match pieces.remove(0) {
                        Piece::Text(text) => Expr::Const(Json::String(text)),
                        Piece::Hole(hole) => hole,
                    },
                    _ => Expr::Template(pieces),
                })
            }
            _ => {
                self.push(
                    Diagnostic::error("INVALID_VALUE", "a header has one origin")
                        .at(rule.place.clone())
                        .help("give from: \"x-tenant\" to pass the client's header on, or value: \"{$env.KEY}\""),
                );
                None
            }
        }
    }

    fn check_name(&mut self, rule: &Input<'_>, name: &str) {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            self.refuse(rule, "name", "this is no name of a header");
        }
    }

    /// A credential belongs into the environment, not into a file that everybody reads.
    fn check_secret(&mut self, rule: &Input<'_>, name: &str, value: &Expr) {
        let written = rule.text("value").unwrap_or_default();
        let is_literal = !written.contains('{') && !written.trim().is_empty();
        if SECRETS.contains(&name) && is_literal && matches!(value, Expr::Const(_)) {
            self.push(
                Diagnostic::error(
                    "LITERAL_SECRET",
                    "a credential stands here for everybody to read",
                )
                .at(rule.at_value("value"))
                .help("read it from the environment: value: \"Bearer {$env.TOKEN}\""),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, printed, said, said_of};

    #[test]
    fn a_name_stands_once_at_each_level() {
        let said = said(
            "type Query { a: Int @rest(GET: \"/a\", headers: [{ name: \"X-A\", value: \"1\" }, { name: \"x-a\", from: \"b\" }]) }",
        );
        assert!(
            said.starts_with("error[HEADER_TWICE] shop.graphql:2:85\n"),
            "{said}"
        );
        assert!(said.contains("first here"), "{said}");
    }

    #[test]
    fn a_credential_does_not_stand_in_the_file() {
        let sdl = |value: &str| {
            format!(
                "extend schema @source(name: \"shop\", http: {{ baseURL: \"http://a\" }}, headers: [{{ name: \"Authorization\", value: \"{value}\" }}])"
            )
        };
        let said = said_of(&file(&sdl("Bearer abc")));
        assert!(
            said.starts_with("error[LITERAL_SECRET] shop.graphql:1:110\n"),
            "{said}"
        );
        let mut files = file(&sdl("Bearer {$env.TOKEN}"));
        files.subgraphs[0]
            .env
            .insert("TOKEN".into(), Some("abc".into()));
        assert_eq!(said_of(&files), "");
    }

    #[test]
    fn a_header_is_passed_on_or_made() {
        let shown = printed(
            "type Query { a(b: ID!): Int @rest(GET: \"/a\", query: {}, headers: [{ name: \"X-Tenant\", from: \"X-Tenant\" }, { name: \"x-b\", value: \"b-{b}\" }, { name: \"x-sub\", value: \"{$claims.sub}\" }]) }",
        );
        assert!(shown.contains("GET /a x-tenant: $request.headers.x-tenant x-b: 'b-{$args.b as string}' x-sub: $claims.sub"), "{shown}");
    }
}
