//! Which key an entity's resolver takes.

use apollo_compiler::Name;

use super::scope::Scope;
use super::site::Site;
use super::{Lowering, at};
use crate::diagnostic::Diagnostic;
use crate::model::{FieldPath, Key};

impl Lowering<'_> {
    /// The key whose fields are exactly those that the request reads of its parents.
    pub(super) fn entity_key(
        &mut self,
        site: &Site<'_>,
        scope: &Scope<'_>,
        ty: &Name,
    ) -> Option<Vec<FieldPath>> {
        let keys = self.keys(site.document, ty).to_vec();
        if keys.is_empty() {
            self.no_key(site, ty);
            return None;
        }
        let taken = |key: &&Key| {
            let inputs = &scope.inputs;
            key.fields.len() == inputs.len()
                && inputs.iter().all(|input| key.fields.contains(&input.path))
        };
        match keys.iter().find(taken) {
            Some(key) => Some(key.fields.clone()),
            None => {
                self.not_the_key(site, scope, ty, &keys);
                None
            }
        }
    }

    fn no_key(&mut self, site: &Site<'_>, ty: &Name) {
        let message = format!("`{ty}` has no @key by which one could be asked for");
        self.push(
            Diagnostic::error("KEY_UNRESOLVABLE", message)
                .at(site.place())
                .help("add @key(fields: \"id\") to the type"),
        );
    }

    fn not_the_key(&mut self, site: &Site<'_>, scope: &Scope<'_>, ty: &Name, keys: &[Key]) {
        let root = if scope.is_batch() { "$batch" } else { "$this" };
        let expressions = keys[0]
            .fields
            .iter()
            .map(|path| format!("\"{root}.{}\"", dotted(path)));
        let expressions: Vec<String> = expressions.collect();
        let help = format!("send the whole key: {}", expressions.join(" and "));
        let foreign = scope
            .inputs
            .iter()
            .find(|input| !keys.iter().any(|key| key.fields.contains(&input.path)));
        let code = match scope.is_batch() {
            true => "BATCH_KEY_NOT_A_KEY",
            false => "KEY_UNRESOLVABLE",
        };
        let (message, place) = match (foreign, scope.inputs.is_empty()) {
            (Some(input), _) => (
                format!("`{}` is in no key of `{ty}`", dotted(&input.path)),
                at(site.document, &input.spot),
            ),
            (None, true) => (
                format!("the request does not say which `{ty}` it asks for"),
                site.place(),
            ),
            (None, false) => (
                format!("what the request sends is not one whole key of `{ty}`"),
                at(site.document, &scope.inputs[0].spot),
            ),
        };
        self.push(Diagnostic::error(code, message).at(place).help(help));
    }
}

pub(super) fn dotted(path: &FieldPath) -> String {
    let names: Vec<&str> = path.iter().map(Name::as_str).collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    #[test]
    fn the_key_is_the_one_whose_fields_are_sent() {
        let shown = printed(
            "type User @key(fields: \"id\") @key(fields: \"org { id } email\")
               @rest(GET: \"/users/{$this.id}\")
               @rest(GET: \"/users\", query: { email: \"$this.email\", org: \"$this.org.id\" })
             { id: ID! email: String! org: Org! } type Org { id: ID! }",
        );
        let heads: Vec<&str> = shown
            .lines()
            .filter(|line| !line.starts_with(' '))
            .collect();
        assert_eq!(heads, ["User by id", "User by org.id email"]);
    }

    #[test]
    fn a_field_that_is_in_no_key_brings_no_entity() {
        let one = said(
            "type User @key(fields: \"id\") @rest(GET: \"/users/{$this.email}\") { id: ID! email: String! }",
        );
        assert!(
            one.starts_with("error[KEY_UNRESOLVABLE] shop.graphql:2:50\n"),
            "{one}"
        );
        let many = said(
            "type User @key(fields: \"id\") @rest(GET: \"/users\", query: { email: \"$batch.email\" }) { id: ID! email: String! }",
        );
        assert_eq!(
            many,
            "error[BATCH_KEY_NOT_A_KEY] shop.graphql:2:68\n  \
             2 | type User @key(fields: \"id\") @rest(GET: \"/users\", query: { email: \"$batch.email\" }) { id: ID! email: String! }\n    \
             |                                                                    ^^^^^^^^^^^^ `email` is in no key of `User`\n  \
             help: send the whole key: \"$batch.id\"\n"
        );
        let none = said("type User @key(fields: \"id\") @rest(GET: \"/users\") { id: ID! }");
        assert!(
            none.contains("the request does not say which `User` it asks for"),
            "{none}"
        );
        let keyless = said("type User @rest(GET: \"/users/{$this.id}\") { id: ID! }");
        assert!(keyless.contains("`User` has no @key"), "{keyless}");
    }
}
