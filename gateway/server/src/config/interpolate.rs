//! `${NAME}` and `${NAME:-default}` in the configuration file.
//!
//! Owns the one place where variables are filled in: in the text, before it is
//! parsed, so that numbers and flags may come from the environment too. A value
//! cannot break out of the scalar that it stands in: it is escaped for its
//! quotes, and refused where there are none and it would change the structure.
//! Values never span lines, so every line keeps its number. `$${` is a literal
//! `${`.

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;

use super::env::Environment;
use super::problem::place;

/// The text with every variable filled in; every missing one is reported.
pub(super) fn interpolate(
    name: &str,
    text: &str,
    environment: &Environment,
) -> Result<String, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut out = String::with_capacity(text.len());
    let mut quotes = Quotes::default();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mut line = Line {
            text: line,
            at: 0,
            quotes: &mut quotes,
        };
        while let Some(part) = line.next_part() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Hole(hole) => match hole.value(environment) {
                    Ok(value) => out.push_str(&value),
                    Err(problem) => {
                        let place = place(name, text, index + 1, hole.column, hole.len);
                        problems.push((*problem).at(place));
                    }
                },
            }
        }
    }
    match problems.is_empty() {
        true => Ok(out),
        false => Err(problems),
    }
}

/// Which quotes stand open; a quoted scalar may span lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Quotes {
    #[default]
    None,
    Single,
    Double,
}

enum Part<'a> {
    Text(&'a str),
    Hole(Hole<'a>),
}

struct Hole<'a> {
    name: &'a str,
    default: Option<&'a str>,
    column: usize,
    len: usize,
    quotes: Quotes,
}

struct Line<'a, 'q> {
    text: &'a str,
    at: usize,
    quotes: &'q mut Quotes,
}

impl<'a> Line<'a, '_> {
    fn next_part(&mut self) -> Option<Part<'a>> {
        let start = self.at;
        if start == self.text.len() {
            return None;
        }
        if let Some(hole) = self.hole() {
            return Some(Part::Hole(hole));
        }
        if self.text[start..].starts_with("$${") {
            self.at += 3;
            return Some(Part::Text("${"));
        }
        while self.at < self.text.len() {
            self.step();
            if self.text[self.at..].starts_with('$') {
                break;
            }
        }
        Some(Part::Text(&self.text[start..self.at]))
    }

    /// Passes over one character, a comment, or an escape; keeps track of quotes.
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        let first = rest.chars().next().unwrap_or('\n');
        match (*self.quotes, first) {
            (Quotes::Double, '\\') if rest.len() > 1 && rest.is_char_boundary(2) => self.at += 1,
            (Quotes::Double, '"') | (Quotes::Single, '\'') => *self.quotes = Quotes::None,
            (Quotes::None, '"') if self.begins_scalar() => *self.quotes = Quotes::Double,
            (Quotes::None, '\'') if self.begins_scalar() => *self.quotes = Quotes::Single,
            (Quotes::None, '#') if self.begins_comment() => {
                self.at = self.text.len();
                return;
            }
            _ => {}
        }
        self.at += first.len_utf8();
    }

    fn begins_scalar(&self) -> bool {
        let before = self.text[..self.at].trim_end();
        before.is_empty() || before.ends_with([':', ',', '[', '{', '-'])
    }

    fn begins_comment(&self) -> bool {
        let before = &self.text[..self.at];
        before.is_empty() || before.ends_with([' ', '\t'])
    }

    fn hole(&mut self) -> Option<Hole<'a>> {
        let rest = &self.text[self.at..];
        let inside = rest.strip_prefix("${")?;
        let inside = &inside[..inside.find('}')?];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let hole = Hole {
            name,
            default,
            column: self.text[..self.at].chars().count() + 1,
            len: inside.chars().count() + 3,
            quotes: *self.quotes,
        };
        self.at += inside.len() + 3;
        Some(hole)
    }
}

impl Hole<'_> {
    fn value(&self, environment: &Environment) -> Result<String, Box<Diagnostic>> {
        let set = environment
            .get(self.name)
            .filter(|value| !value.is_empty() || self.default.is_none());
        match set.or(self.default) {
            _ if !is_name(self.name) => Err(Box::new(Diagnostic::error(
                "CONFIG_SYNTAX",
                "not a variable: ${NAME} or ${NAME:-default}",
            ))),
            Some(value) => self.quoted(value),
            None => Err(Box::new(Diagnostic::error("MISSING_ENV", "not set").help(
                format!(
                    "set {0} in the environment, or give a default: ${{{0}:-...}}",
                    self.name
                ),
            ))),
        }
    }

    fn quoted(&self, value: &str) -> Result<String, Box<Diagnostic>> {
        let escape = |c: char| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", c as u32),
            c => c.to_string(),
        };
        match self.quotes {
            Quotes::Double => Ok(value.chars().map(escape).collect()),
            Quotes::Single if !value.contains('\n') => Ok(value.replace('\'', "''")),
            Quotes::None if is_plain(value) => Ok(value.into()),
            _ => Err(Box::new(
                Diagnostic::error("CONFIG_VALUE", "its value needs double quotes around it")
                    .help(format!("write \"${{{}}}\"", self.name)),
            )),
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Characters that mean nothing to YAML wherever they stand inside a plain scalar.
fn is_plain(value: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_./+=@~-".contains(c);
    let colon = |(at, c): (usize, char)| {
        c == ':'
            && value[at + 1..]
                .chars()
                .next()
                .is_some_and(|c| !c.is_whitespace())
    };
    value
        .char_indices()
        .all(|(at, c)| harmless(c) || colon((at, c)))
}
