//! Whether directives are used as the vocabulary says.
//!
//! Owns names, locations, repetition, and the kinds of arguments. Must not look
//! inside texts: what a template or a key means is for others to say.

use std::collections::HashSet;

use apollo_compiler::ast::{Directive, DirectiveDefinition, DirectiveLocation, Type, Value};
use apollo_compiler::schema::{ExtendedType, InputValueDefinition};
use apollo_compiler::{Name, Node};

use super::elements::{self, Element};
use super::names::{COMPOSED, COMPOSED_ONCE, FOREIGN, NOT_IMPORTED};
use super::{Document, Places, invalid_graphql, vocabulary};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::suggest::{closest, did_you_mean};

/// Checks every directive of a document.
pub(super) fn check(document: &Document, diagnostics: &mut Diagnostics) {
    let mut check = Check {
        places: &document.places,
        diagnostics,
    };
    elements::visit(&document.schema, &mut |element| check.element(&element));
}

struct Check<'a> {
    places: &'a Places,
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    fn element(&mut self, element: &Element<'_>) {
        let mut seen: HashSet<&Name> = HashSet::new();
        for directive in element.directives.iter() {
            let theirs = [FOREIGN, COMPOSED, COMPOSED_ONCE];
            if theirs.iter().any(|it| directive.name.starts_with(it)) {
                continue;
            }
            let Some(definition) = vocabulary::directive(&directive.name) else {
                self.unknown(directive);
                continue;
            };
            if !seen.insert(&directive.name) && !definition.repeatable {
                self.repeated(directive);
            }
            self.location(directive, definition, element.location);
            self.arguments(directive, definition);
        }
    }

    fn unknown(&mut self, directive: &Node<Directive>) {
        let written = self.places.directive(directive);
        let found = match directive.name.strip_prefix(NOT_IMPORTED) {
            Some(name) => invalid_graphql(format!("@{name} is not imported by the @link of this file")).help(format!(
                "add \"@{name}\" to the import of the Federation @link, or write @federation__{name}"
            )),
            None => {
                let near: Vec<String> = closest(&directive.name, vocabulary::names())
                    .iter()
                    .map(|name| format!("@{name}"))
                    .collect();
                let found = invalid_graphql(format!("there is no directive @{}", directive.name));
                with_help(found, did_you_mean(&near))
            }
        };
        self.diagnostics.push(found.at(written));
    }

    fn repeated(&mut self, directive: &Node<Directive>) {
        self.diagnostics.push(
            invalid_graphql(format!(
                "@{} is given twice for one element",
                directive.name
            ))
            .at(self.places.directive(directive))
            .help("keep one"),
        );
    }

    fn location(
        &mut self,
        directive: &Node<Directive>,
        definition: &DirectiveDefinition,
        at: DirectiveLocation,
    ) {
        // On the schema's built-in directives apollo-compiler lists the locations of executable documents too.
        if definition.locations.contains(&at) {
            return;
        }
        let allowed: Vec<&str> = definition
            .locations
            .iter()
            .map(|it| described(*it))
            .collect();
        self.diagnostics.push(
            invalid_graphql(format!(
                "@{} does not belong on {}",
                directive.name,
                described(at)
            ))
            .at(self.places.directive(directive))
            .help(format!("it belongs on {}", or(&allowed))),
        );
    }

    fn arguments(&mut self, directive: &Node<Directive>, definition: &DirectiveDefinition) {
        let mut seen: HashSet<&Name> = HashSet::new();
        for argument in &directive.arguments {
            if !seen.insert(&argument.name) {
                self.twice(&argument.name);
                continue;
            }
            match definition
                .arguments
                .iter()
                .find(|it| it.name == argument.name)
            {
                Some(wanted) if not_a_field_set(&argument.value, &wanted.ty) => {
                    self.not_a_field_set(directive, &argument.value);
                }
                Some(wanted) => self.value(&argument.value, &wanted.ty),
                None => self.unknown_argument(directive, &argument.name, definition),
            }
        }
        for wanted in definition.arguments.iter().filter(|it| it.is_required()) {
            if !seen.contains(&wanted.name) {
                self.missing(
                    &format!("@{}", directive.name),
                    wanted,
                    self.places.directive(directive),
                );
            }
        }
    }

    /// Federation has codes of its own for this.
    fn not_a_field_set(&mut self, directive: &Node<Directive>, value: &Node<Value>) {
        let code = match directive.name.as_str() {
            "key" => "KEY_INVALID_FIELDS_TYPE",
            "requires" => "REQUIRES_INVALID_FIELDS_TYPE",
            _ => "PROVIDES_INVALID_FIELDS_TYPE",
        };
        self.diagnostics.push(
            Diagnostic::error(code, "not field names in quotes")
                .at(self.places.node(value))
                .help("such as \"id\""),
        );
    }

    fn unknown_argument(
        &mut self,
        directive: &Node<Directive>,
        name: &Name,
        definition: &DirectiveDefinition,
    ) {
        let known: Vec<&str> = definition
            .arguments
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let found = invalid_graphql(format!("@{} has no argument `{name}`", directive.name))
            .at(self.places.name(name));
        self.diagnostics
            .push(with_help(found, suggestion(name, &known)));
    }

    fn missing(
        &mut self,
        owner: &str,
        wanted: &InputValueDefinition,
        place: crate::diagnostic::Place,
    ) {
        self.diagnostics.push(
            invalid_graphql(format!("{owner} needs `{}: {}`", wanted.name, wanted.ty)).at(place),
        );
    }

    fn twice(&mut self, name: &Name) {
        self.diagnostics
            .push(invalid_graphql(format!("`{name}` is given twice")).at(self.places.name(name)));
    }

    /// <https://spec.graphql.org/September2025/#sec-Values-of-Correct-Type>
    fn value(&mut self, value: &Node<Value>, ty: &Type) {
        match (&**value, ty) {
            (Value::Null, Type::Named(_) | Type::List(_)) => {}
            (Value::List(items), Type::List(item) | Type::NonNullList(item)) => {
                for it in items {
                    self.value(it, item);
                }
            }
            (_, Type::List(item) | Type::NonNullList(item)) => self.value(value, item),
            (_, Type::Named(name) | Type::NonNullNamed(name)) => self.named(value, name),
        }
    }

    fn named(&mut self, value: &Node<Value>, name: &Name) {
        match vocabulary::ty(name) {
            Some(ExtendedType::Enum(it)) => {
                let known: Vec<&str> = it.values.keys().map(Name::as_str).collect();
                self.enum_value(value, name, &known);
            }
            Some(ExtendedType::InputObject(it)) => self.object(value, name, it.fields.values()),
            _ => self.scalar(value, name),
        }
    }

    fn enum_value(&mut self, value: &Node<Value>, ty: &Name, known: &[&str]) {
        if let Value::Enum(name) = &**value
            && known.contains(&name.as_str())
        {
            return;
        }
        let help = match &**value {
            Value::Enum(name) => suggestion(name, known),
            Value::String(text) if known.contains(&text.as_str()) => {
                Some(format!("without quotes: {text}"))
            }
            _ => suggestion("", known),
        };
        let found = invalid_graphql(format!("not a value of {ty}")).at(self.places.node(value));
        self.diagnostics.push(with_help(found, help));
    }

    fn object<'a>(
        &mut self,
        value: &Node<Value>,
        ty: &Name,
        wanted: impl Iterator<Item = &'a Node<InputValueDefinition>>,
    ) {
        let wanted: Vec<_> = wanted.collect();
        let Value::Object(entries) = &**value else {
            let example = wanted.first().map_or("", |it| it.name.as_str());
            self.diagnostics.push(
                invalid_graphql(format!("{ty} is an object"))
                    .at(self.places.node(value))
                    .help(format!("write {{ {example}: ... }}")),
            );
            return;
        };
        let mut seen: HashSet<&Name> = HashSet::new();
        for (name, entry) in entries {
            if !seen.insert(name) {
                self.twice(name);
                continue;
            }
            match wanted.iter().find(|it| it.name == *name) {
                Some(it) => self.value(entry, &it.ty),
                None => self.unknown_field(ty, name, &wanted),
            }
        }
        for it in wanted
            .iter()
            .filter(|it| it.is_required() && !seen.contains(&it.name))
        {
            self.missing(ty, it, self.places.node(value));
        }
    }

    fn unknown_field(&mut self, ty: &Name, name: &Name, wanted: &[&Node<InputValueDefinition>]) {
        let known: Vec<&str> = wanted.iter().map(|it| it.name.as_str()).collect();
        let found =
            invalid_graphql(format!("{ty} has no field `{name}`")).at(self.places.name(name));
        self.diagnostics
            .push(with_help(found, suggestion(name, &known)));
    }

    fn scalar(&mut self, value: &Node<Value>, ty: &Name) {
        let fits = match ty.as_str() {
            "String" => value.as_str().is_some(),
            "Boolean" => value.to_bool().is_some(),
            "Int" => value.to_i32().is_some(),
            "Float" => matches!(&**value, Value::Int(_) | Value::Float(_)),
            "Weight" => matches!(&**value, Value::Int(_) | Value::Float(_) | Value::String(_)),
            text if vocabulary::is_text(text) => value.as_str().is_some(),
            // Mappings and JSON take any literal.
            _ => true,
        };
        if fits {
            return;
        }
        let found = invalid_graphql(format!("not {}", article(ty))).at(self.places.node(value));
        let quoted =
            matches!(&**value, Value::Enum(_)) && (ty == "String" || vocabulary::is_text(ty));
        self.diagnostics.push(with_help(
            found,
            quoted.then(|| format!("in quotes: \"{value}\"")),
        ));
    }
}

fn not_a_field_set(value: &Value, ty: &Type) -> bool {
    ty.inner_named_type() == "FieldSet" && value.as_str().is_none()
}

fn with_help(found: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => found.help(help),
        None => found,
    }
}

/// The near names, or all of them where none is near and they are few.
fn suggestion(written: &str, known: &[&str]) -> Option<String> {
    const FEW: usize = 12;
    let near = did_you_mean(&closest(written, known.iter().copied()));
    near.or_else(|| {
        (!known.is_empty() && known.len() <= FEW).then(|| format!("there are {}", and(known)))
    })
}

fn and(items: &[&str]) -> String {
    joined(items, "and")
}

fn or(items: &[&str]) -> String {
    joined(items, "or")
}

fn joined(items: &[&str], word: &str) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

fn article(ty: &str) -> &str {
    match ty {
        "String" => "a text in quotes",
        "Boolean" => "true or false",
        "Int" => "a whole number of 32 bits",
        "Float" => "a number",
        "Weight" => "a number, with or without quotes",
        "Template" => "a template in quotes, such as \"/users/{id}\"",
        "Path" => "a path in quotes, such as \"data.users\"",
        "Duration" => "a duration in quotes, such as \"250ms\"",
        "FieldSet" => "field names in quotes, such as \"id\"",
        _ => "a text in quotes",
    }
}

fn described(location: DirectiveLocation) -> &'static str {
    match location {
        DirectiveLocation::Schema => "the schema",
        DirectiveLocation::Scalar => "a scalar",
        DirectiveLocation::Object => "an object type",
        DirectiveLocation::FieldDefinition => "a field",
        DirectiveLocation::ArgumentDefinition => "an argument",
        DirectiveLocation::Interface => "an interface",
        DirectiveLocation::Union => "a union",
        DirectiveLocation::Enum => "an enum",
        DirectiveLocation::EnumValue => "an enum value",
        DirectiveLocation::InputObject => "an input type",
        DirectiveLocation::InputFieldDefinition => "an input field",
        DirectiveLocation::DirectiveDefinition => "a directive",
        _ => "an operation",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    /// What is said of the first line of `sdl`, which stands on the second line of the file.
    fn said(sdl: &str) -> String {
        said_of(&with_source(sdl)).to_string()
    }

    #[test]
    fn an_unknown_directive_suggests_the_one_that_was_meant() {
        assert_eq!(
            said("type A { a: Int @shareble }"),
            "error[INVALID_GRAPHQL] shop.graphql:2:17\n  \
             2 | type A { a: Int @shareble }\n    \
             |                 ^^^^^^^^^ there is no directive @shareble\n  \
             help: did you mean `@shareable`?\n"
        );
    }

    #[test]
    fn a_directive_that_the_link_does_not_import_is_unknown() {
        let said = said_of(
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\"])\n\
             scalar A @inaccessible",
        );
        assert_eq!(
            said.to_string(),
            "error[INVALID_GRAPHQL] shop.graphql:2:10\n  \
             2 | scalar A @inaccessible\n    \
             |          ^^^^^^^^^^^^^ @inaccessible is not imported by the @link of this file\n  \
             help: add \"@inaccessible\" to the import of the Federation @link, or write @federation__inaccessible\n"
        );
    }

    #[test]
    fn a_directive_of_the_file_itself_is_not_checked() {
        assert_eq!(
            said("directive @own(x: Int) on OBJECT type A @own(x: 1) { a: Int }"),
            ""
        );
    }

    #[test]
    fn an_argument_that_does_not_exist_is_told_with_those_that_do() {
        assert_eq!(
            said("type Query { a: Int @rest(GTE: \"/a\") }"),
            "error[INVALID_GRAPHQL] shop.graphql:2:27\n  \
             2 | type Query { a: Int @rest(GTE: \"/a\") }\n    \
             |                           ^^^ @rest has no argument `GTE`\n  \
             help: did you mean `GET`?\n"
        );
        assert!(
            said("type Query { a: Int @map(zzzzzz: 1) }")
                .contains("help: there are from, to, value, format, default and source")
        );
    }

    #[test]
    fn values_have_the_kind_that_the_argument_wants() {
        for (written, message) in [
            (
                "GET: 1",
                "not a template in quotes, such as \"/users/{id}\"",
            ),
            (
                "GET: users",
                "not a template in quotes, such as \"/users/{id}\"",
            ),
            ("fanout: \"1\"", "not a whole number of 32 bits"),
            ("fanout: 3000000000", "not a whole number of 32 bits"),
            ("hedge: 1", "not true or false"),
            (
                "timeout: 250",
                "not a duration in quotes, such as \"250ms\"",
            ),
            ("encoding: XML", "not a value of Encoding"),
            ("encoding: \"JSON\"", "not a value of Encoding"),
            ("batch: 5", "Batch is an object"),
            ("batch: { mox: 5 }", "Batch has no field `mox`"),
            ("batch: { max: 5, max: 6 }", "`max` is given twice"),
            (
                "page: { size: \"limit\" }",
                "Page needs `style: PageStyle!`",
            ),
            (
                "headers: [{ value: \"x\" }]",
                "HeaderRule needs `name: String!`",
            ),
            ("source: \"s\", source: \"s\"", "`source` is given twice"),
        ] {
            let said = said(&format!("type Query {{ a: Int @rest({written}) }}"));
            assert!(said.contains(message), "{written}: {said}");
            assert_eq!(said.matches("error[").count(), 1, "{written}: {said}");
        }
    }

    #[test]
    fn one_value_stands_for_a_list_of_one_and_a_number_for_a_quoted_weight() {
        let sdl = "type Query { a: [Int] @rest(GET: \"/a\", headers: { name: \"x\" }) @cost(weight: \"2.5\") @listSize(slicingArguments: \"n\") }";
        assert_eq!(said(sdl), "");
    }

    #[test]
    fn a_missing_argument_is_told_at_the_directive() {
        assert_eq!(
            said("type A @key { a: Int }"),
            "error[INVALID_GRAPHQL] shop.graphql:2:8\n  \
             2 | type A @key { a: Int }\n    \
             |        ^^^^ @key needs `fields: FieldSet!`\n"
        );
    }

    #[test]
    fn a_directive_in_the_wrong_place_is_told_where_it_belongs() {
        assert_eq!(
            said("enum E { A @rest(GET: \"/a\") }"),
            "error[INVALID_GRAPHQL] shop.graphql:2:12\n  \
             2 | enum E { A @rest(GET: \"/a\") }\n    \
             |            ^^^^^ @rest does not belong on an enum value\n  \
             help: it belongs on a field, an object type or an interface\n"
        );
    }

    #[test]
    fn only_a_repeatable_directive_is_repeated() {
        assert_eq!(
            said("type A @key(fields: \"a\") @key(fields: \"b\") { a: Int b: Int }"),
            ""
        );
        assert_eq!(
            said("type A { a: Int @external @external }"),
            "error[INVALID_GRAPHQL] shop.graphql:2:27\n  \
             2 | type A { a: Int @external @external }\n    \
             |                           ^^^^^^^^^ @external is given twice for one element\n  \
             help: keep one\n"
        );
    }
}
