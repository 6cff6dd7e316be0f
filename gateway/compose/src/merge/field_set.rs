//! Field sets: the text of `@key`, `@requires` and `@provides`.
//!
//! Owns the grammar and what each name means in its type, with the place of every word.
//! <https://specs.apollo.dev/federation/v2.0/#scalar-fieldset>

use std::ops::Range;

use apollo_compiler::Name;
use apollo_compiler::ast::Value;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::model::FieldPath;
use crate::suggest::{closest, did_you_mean};

/// Nobody identifies an entity at a greater depth; it bounds our own recursion.
const MAX_DEPTH: usize = 16;

/// What one directive allows in its field set.
pub(super) struct Rules {
    /// A name that is not a field, or a text that is not a field set.
    pub(super) invalid: &'static str,
    /// Arguments are given, or a field has some where values must be compared.
    pub(super) arguments: &'static str,
    /// Directives are given.
    pub(super) directives: &'static str,
    /// Whether fields that take arguments can be named at all.
    pub(super) without_arguments: bool,
    /// An interface or union where values must be compared.
    pub(super) ty: Option<&'static str>,
}

/// The leaf paths of a field set, and every field on the way: type and field.
#[derive(Debug, Default)]
pub(super) struct FieldSet {
    pub(super) leaves: Vec<FieldPath>,
    pub(super) fields: Vec<(Name, Name)>,
}

/// Reads a field set of a type. What is wrong is reported and left out.
pub(super) fn read(
    document: &Document,
    ty: &Name,
    value: &Node<Value>,
    rules: &Rules,
    diagnostics: &mut Diagnostics,
) -> FieldSet {
    let mut reader = Reader {
        schema: &document.schema,
        text: value.as_str().unwrap_or(""),
        at: 0,
        rules,
        found: FieldSet::default(),
        problem: None,
    };
    let read = reader.selection(ty, &mut Vec::new());
    if read.is_none() || reader.found.leaves.is_empty() {
        let problem = reader.problem.take();
        let (range, found) = problem.unwrap_or_else(|| {
            (
                0..reader.text.len(),
                Diagnostic::error(rules.invalid, "no field is named"),
            )
        });
        diagnostics.push(found.at(document.places.in_string(value, range)));
        return FieldSet::default();
    }
    reader.found
}

struct Reader<'a> {
    schema: &'a Schema,
    text: &'a str,
    at: usize,
    rules: &'a Rules,
    found: FieldSet,
    problem: Option<(Range<usize>, Diagnostic)>,
}

impl<'a> Reader<'a> {
    /// Fields up to a closing brace or the end; `None` after a problem.
    fn selection(&mut self, ty: &Name, path: &mut FieldPath) -> Option<()> {
        loop {
            let (token, range) = self.token();
            match token {
                "" if path.is_empty() => return Some(()),
                "}" if !path.is_empty() => return Some(()),
                "" => return self.refuse(range, "a brace is not closed"),
                _ if is_name(token) => self.field(ty, token, range, path)?,
                "." => return self.refuse(range, "fragments do not belong in a field set"),
                "(" => {
                    let found =
                        Diagnostic::error(self.rules.arguments, "a field set takes no arguments");
                    return self.refused(range, found);
                }
                "@" => {
                    let found =
                        Diagnostic::error(self.rules.directives, "a field set takes no directives");
                    return self.refused(range, found);
                }
                _ => return self.refuse(range, "not a field name"),
            }
        }
    }

    fn field(
        &mut self,
        ty: &Name,
        name: &str,
        range: Range<usize>,
        path: &mut FieldPath,
    ) -> Option<()> {
        let Some(field) = fields(self.schema, ty).find(|field| field.name == name) else {
            return self.unknown(ty, name, range);
        };
        self.found.fields.push((ty.clone(), field.name.clone()));
        let inner = field.ty.inner_named_type();
        let composite = self
            .schema
            .types
            .get(inner)
            .filter(|ty| !ty.is_leaf() && !ty.is_input_object());
        if self.rules.without_arguments && !field.arguments.is_empty() {
            let message = format!("`{ty}.{name}` takes arguments, and nobody gives them here");
            return self.refused(range, Diagnostic::error(self.rules.arguments, message));
        }
        self.comparable(ty, field, composite, range.clone())?;
        path.push(field.name.clone());
        let nested = self.peek() == "{";
        match (nested, composite) {
            (true, Some(_)) if path.len() < MAX_DEPTH => {
                self.token();
                self.nested(inner, path)?;
            }
            (true, Some(_)) => return self.refuse(range, "nested too deeply"),
            (true, None) => {
                return self.refuse(range, format!("`{inner}` has no fields to select"));
            }
            (false, Some(_)) => {
                return self.refuse(
                    range,
                    format!(
                        "`{ty}.{name}` is an object: say which of its fields, {name} {{ ... }}"
                    ),
                );
            }
            (false, None) => self.found.leaves.push(path.clone()),
        }
        path.pop();
        Some(())
    }

    fn nested(&mut self, ty: &Name, path: &mut FieldPath) -> Option<()> {
        let before = self.found.leaves.len();
        let start = self.at;
        self.selection(ty, path)?;
        if self.found.leaves.len() == before {
            return self.refuse(start..self.at, "no field is named");
        }
        Some(())
    }

    fn comparable(
        &mut self,
        ty: &Name,
        field: &apollo_compiler::ast::FieldDefinition,
        composite: Option<&ExtendedType>,
        range: Range<usize>,
    ) -> Option<()> {
        let Some(code) = self.rules.ty else {
            return Some(());
        };
        // A list is compared as a whole.
        let is_abstract = matches!(
            composite,
            Some(ExtendedType::Interface(_) | ExtendedType::Union(_))
        );
        if !is_abstract {
            return Some(());
        }
        let found = Diagnostic::error(
            code,
            format!(
                "`{ty}.{}` is an interface or union, which identifies nothing",
                field.name
            ),
        );
        self.refused(range, found)
    }

    fn unknown(&mut self, ty: &Name, name: &str, range: Range<usize>) -> Option<()> {
        let found = Diagnostic::error(
            self.rules.invalid,
            format!("`{ty}` has no field `{name}` in this file"),
        );
        let known = fields(self.schema, ty).map(|field| field.name.as_str());
        let found = match did_you_mean(&closest(name, known)) {
            Some(help) => found.help(help),
            None => found,
        };
        self.refused(range, found)
    }

    fn refuse(&mut self, range: Range<usize>, message: impl Into<String>) -> Option<()> {
        let found = Diagnostic::error(self.rules.invalid, message);
        self.refused(range, found)
    }

    fn refused(&mut self, range: Range<usize>, found: Diagnostic) -> Option<()> {
        self.problem = Some((range, found));
        None
    }

    fn peek(&mut self) -> &'a str {
        let before = self.at;
        let (token, _) = self.token();
        self.at = before;
        token
    }

    /// The next word or sign; empty at the end.
    fn token(&mut self) -> (&'a str, Range<usize>) {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', ',', '\u{feff}']);
        let start = self.text.len() - trimmed.len();
        let word = trimmed
            .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
            .unwrap_or(trimmed.len());
        let sign = trimmed.chars().next().map_or(0, char::len_utf8);
        let len = if word > 0 { word } else { sign };
        self.at = start + len;
        (&trimmed[..len], start..self.at)
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
}

fn fields<'a>(
    schema: &'a Schema,
    ty: &str,
) -> Box<dyn Iterator<Item = &'a Node<apollo_compiler::ast::FieldDefinition>> + 'a> {
    match schema.types.get(ty) {
        Some(ExtendedType::Object(it)) => Box::new(it.fields.values()),
        Some(ExtendedType::Interface(it)) => Box::new(it.fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}
