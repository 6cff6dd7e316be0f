//! What a file defines although a specification has defined it already.
//!
//! Service libraries print the definitions of the directives that they use. Owns
//! whether these are what the specification means, within the freedom that libraries
//! take: an optional argument or a location may be missing, and every kind of text
//! is a `String` to somebody.

use apollo_compiler::ast::{self, Definition, DirectiveDefinition, InputValueDefinition, Type};
use apollo_compiler::{Name, Node};

use super::links::FEDERATION;
use super::names::{Meaning, Names};
use super::{Places, vocabulary};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Checks every definition of a file that is not the file's own.
pub(super) fn check(
    ast: &ast::Document,
    names: &Names,
    places: &Places,
    diagnostics: &mut Diagnostics,
) {
    let mut check = Check {
        names,
        places,
        diagnostics,
    };
    for definition in &ast.definitions {
        match definition {
            Definition::DirectiveDefinition(it) => check.directive(it),
            _ => check.ty(definition),
        }
    }
}

struct Check<'a> {
    names: &'a Names,
    places: &'a Places,
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    fn directive(&mut self, defined: &DirectiveDefinition) {
        for argument in &defined.arguments {
            self.hidden_argument(argument);
        }
        let Meaning::Known(name) = self.names.meaning(&defined.name) else {
            return;
        };
        let federations = FEDERATION.iter().any(|(known, _)| *known == name);
        let Some(ours) = vocabulary::directive(name).filter(|_| federations) else {
            return;
        };
        // Federation 1 never looked at definitions, and they are replaced.
        if self.names.federation == super::Federation::V1 {
            return;
        }
        self.arguments(defined, ours);
        let misplaced = defined
            .locations
            .iter()
            .find(|it| !ours.locations.contains(*it));
        if let Some(location) = misplaced {
            let message = format!("@{name} does not belong on {location}");
            self.invalid_directive(&defined.name, message);
        }
    }

    fn arguments(&mut self, defined: &DirectiveDefinition, ours: &DirectiveDefinition) {
        for argument in &defined.arguments {
            let wanted = ours.arguments.iter().find(|it| it.name == argument.name);
            match wanted {
                None => {
                    let message = format!("@{} has no argument `{}`", ours.name, argument.name);
                    self.invalid_directive(&argument.name, message);
                }
                Some(wanted) if !alike(&argument.ty, &wanted.ty) => {
                    let message =
                        format!("`{}` of @{} is `{}`", argument.name, ours.name, wanted.ty);
                    self.invalid_directive(&argument.name, message);
                }
                Some(_) => {}
            }
        }
        let has = |name: &Name| defined.arguments.iter().any(|it| it.name == *name);
        let mut required = ours.arguments.iter().filter(|it| it.is_required());
        if let Some(missing) = required.find(|it| !has(&it.name)) {
            let message = format!(
                "@{} has an argument `{}: {}`",
                ours.name, missing.name, missing.ty
            );
            self.invalid_directive(&defined.name, message);
        }
    }

    fn invalid_directive(&mut self, name: &Name, message: String) {
        self.diagnostics.push(
            Diagnostic::error("DIRECTIVE_DEFINITION_INVALID", message)
                .at(self.places.name(name))
                .help("leave the definition out: the specification's own is known here"),
        );
    }

    /// An argument of a directive is nothing that the schema of clients could leave out.
    fn hidden_argument(&mut self, argument: &Node<InputValueDefinition>) {
        let hidden = argument
            .directives
            .iter()
            .find(|it| self.names.meaning(&it.name) == Meaning::Known("inaccessible"));
        if let Some(directive) = hidden {
            self.diagnostics.push(
                Diagnostic::error(
                    "DISALLOWED_INACCESSIBLE",
                    "an argument of a directive cannot be @inaccessible",
                )
                .at(self.places.directive(directive)),
            );
        }
    }

    fn ty(&mut self, definition: &Definition) {
        let Some(name) = definition.name() else {
            return;
        };
        self.hidden_type(definition, name);
        let Some(wanted) = self.names.machinery(name) else {
            return;
        };
        let kind = kind(definition);
        if kind.is_some_and(|kind| kind != wanted) {
            let message = format!("a specification defines `{name}` as {wanted}");
            self.diagnostics.push(
                Diagnostic::error("TYPE_DEFINITION_INVALID", message)
                    .at(self.places.name(name))
                    .help("rename this type, or leave it out"),
            );
        }
    }

    /// What the language itself defines is in every schema.
    fn hidden_type(&mut self, definition: &Definition, name: &Name) {
        let built_in = matches!(name.as_str(), "Int" | "Float" | "String" | "Boolean" | "ID")
            || name.starts_with("__");
        let hidden = definition
            .directives()
            .iter()
            .find(|it| self.names.meaning(&it.name) == Meaning::Known("inaccessible"));
        let hidden = hidden.filter(|_| built_in);
        if let Some(directive) = hidden {
            let message = format!("`{name}` is part of the language and cannot be @inaccessible");
            self.diagnostics.push(
                Diagnostic::error("DISALLOWED_INACCESSIBLE", message)
                    .at(self.places.directive(directive)),
            );
        }
    }
}

/// The kind of a type that a specification defines, in words.
pub(super) fn kind_of_machinery(name: &str) -> Option<&'static str> {
    match name {
        "_Any" | "_FieldSet" | "FieldSet" | "Scope" | "Policy" | "ContextFieldValue" | "Import" => {
            Some(SCALAR)
        }
        "_Service" => Some(OBJECT),
        "_Entity" => Some(UNION),
        "Purpose" => Some(ENUM),
        _ => None,
    }
}

const SCALAR: &str = "a scalar";
const OBJECT: &str = "an object type";
const UNION: &str = "a union";
const ENUM: &str = "an enum";

fn kind(definition: &Definition) -> Option<&'static str> {
    use Definition as D;
    Some(match definition {
        D::ScalarTypeDefinition(_) | D::ScalarTypeExtension(_) => SCALAR,
        D::ObjectTypeDefinition(_) | D::ObjectTypeExtension(_) => OBJECT,
        D::UnionTypeDefinition(_) | D::UnionTypeExtension(_) => UNION,
        D::EnumTypeDefinition(_) | D::EnumTypeExtension(_) => ENUM,
        D::InterfaceTypeDefinition(_) | D::InterfaceTypeExtension(_) => "an interface",
        D::InputObjectTypeDefinition(_) | D::InputObjectTypeExtension(_) => "an input type",
        _ => return None,
    })
}

/// Whether two types mean the same, whatever they call a text, and whether or not null is said to be refused.
fn alike(written: &Type, ours: &Type) -> bool {
    match (written, ours) {
        (Type::List(a) | Type::NonNullList(a), Type::List(b) | Type::NonNullList(b)) => alike(a, b),
        (Type::Named(a) | Type::NonNullNamed(a), Type::Named(b) | Type::NonNullNamed(b)) => {
            a == b || same_family(plain(a), b)
        }
        _ => false,
    }
}

fn same_family(written: &str, ours: &str) -> bool {
    match ours {
        "Weight" => matches!(written, "Int" | "Float" | "String"),
        "link__Purpose" => written == "Purpose",
        _ => is_text(ours) && (is_text(written) || written == "_FieldSet"),
    }
}

/// `FieldSet` of `federation__FieldSet`
fn plain(name: &str) -> &str {
    name.rsplit_once("__").map_or(name, |(_, plain)| plain)
}

fn is_text(name: &str) -> bool {
    matches!(name, "String" | "Import" | "link__Import") || vocabulary::is_text(name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@cost\", \"@tag\", \"@inaccessible\", \"FieldSet\"])\n";

    fn said(sdl: &str) -> String {
        said_of(&format!("{LINK}{sdl}")).to_string()
    }

    #[test]
    fn what_libraries_print_is_accepted() {
        for sdl in [
            "directive @key(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE scalar federation__FieldSet",
            "directive @key(fields: String) on OBJECT",
            "directive @federation__external(reason: String) on OBJECT | FIELD_DEFINITION",
            "directive @cost(weight: Int!) on FIELD_DEFINITION",
            "directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA scalar link__Import enum link__Purpose { SECURITY EXECUTION }",
            "directive @mine(fields: Int @deprecated) on FIELD",
            "scalar FieldSet scalar _Any scalar Int",
        ] {
            assert_eq!(said(sdl), "", "{sdl}");
        }
    }

    #[test]
    fn another_definition_than_the_specifications_is_refused() {
        assert_eq!(
            said("directive @key(fields: Int!) on OBJECT"),
            "error[DIRECTIVE_DEFINITION_INVALID] shop.graphql:2:16\n  \
             2 | directive @key(fields: Int!) on OBJECT\n    \
             |                ^^^^^^ `fields` of @key is `FieldSet!`\n  \
             help: leave the definition out: the specification's own is known here\n"
        );
        for (sdl, message) in [
            (
                "directive @key on OBJECT",
                "@key has an argument `fields: FieldSet!`",
            ),
            (
                "directive @tag(name: String!, x: Int) on OBJECT",
                "@tag has no argument `x`",
            ),
            (
                "directive @tag(name: String!) on FIELD",
                "@tag does not belong on FIELD",
            ),
        ] {
            let said = said(sdl);
            assert!(
                said.contains("error[DIRECTIVE_DEFINITION_INVALID]"),
                "{said}"
            );
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn a_type_of_a_specification_has_its_kind() {
        for sdl in [
            "enum FieldSet { A }",
            "input _Any { a: Int }",
            "scalar _Entity",
            "scalar link__Purpose",
        ] {
            let said = said(sdl);
            assert!(
                said.contains("error[TYPE_DEFINITION_INVALID] shop.graphql:2:"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_not_ours_cannot_be_inaccessible() {
        assert_eq!(
            said("scalar Int @inaccessible"),
            "error[DISALLOWED_INACCESSIBLE] shop.graphql:2:12\n  \
             2 | scalar Int @inaccessible\n    \
             |            ^^^^^^^^^^^^^ `Int` is part of the language and cannot be @inaccessible\n"
        );
        let argument = said("directive @mine(a: Int @inaccessible) on OBJECT");
        assert!(
            argument.starts_with("error[DISALLOWED_INACCESSIBLE] shop.graphql:2:24\n"),
            "{argument}"
        );
    }
}
