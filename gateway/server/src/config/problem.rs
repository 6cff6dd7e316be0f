//! What is wrong with a configuration file, said with the line underlined.
//!
//! Owns reading the file and turning every error about it into a diagnostic of
//! the same form as those about subgraph files.

use std::path::Path;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use compose::diagnostic::Place;

use crate::closest::closest;

/// The file's text.
pub(super) fn read(path: &Path, name: &str) -> Result<String, Diagnostics> {
    let bytes = std::fs::read(path).map_err(|error| only(unreadable(name, &error)))?;
    String::from_utf8(bytes).map_err(|_| {
        only(Diagnostic::error(
            "CONFIG_SYNTAX",
            format!("{name} is not UTF-8 text"),
        ))
    })
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostic {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Diagnostic::error("FILE_NOT_FOUND", format!("there is no file {name}"))
                .help("say where it is with --config FILE")
        }
        _ => Diagnostic::error("FILE_NOT_FOUND", format!("{name} cannot be read: {error}")),
    }
}

/// One finding as all there is.
pub(super) fn only(diagnostic: Diagnostic) -> Diagnostics {
    Diagnostics(vec![diagnostic])
}

/// The place of `len` characters at a line and column, both one-based.
pub(super) fn place(name: &str, text: &str, line: usize, column: usize, len: usize) -> Place {
    Place {
        file: name.into(),
        line,
        column,
        len,
        source: text
            .lines()
            .nth(line.saturating_sub(1))
            .unwrap_or("")
            .into(),
    }
}

/// What the parser says, as a diagnostic.
pub(super) fn of_parser(name: &str, text: &str, error: &serde_yaml_ng::Error) -> Diagnostic {
    let (line, column) = error
        .location()
        .map_or((1, 1), |at| (at.line(), at.column()));
    let message = without_location(&error.to_string());
    let words: Vec<&str> = message.split('`').collect();
    match words.as_slice() {
        [start, key, rest @ ..] if start.ends_with("unknown field ") => {
            unknown_key(name, text, line, key, rest)
        }
        [start, key, ..] if start.ends_with("duplicate field ") => {
            let (line, column) = find_last_key(text, key).unwrap_or((line, column));
            let place = place(name, text, line, column, key.len());
            Diagnostic::error("DUPLICATE_KEY", "given twice").at(place)
        }
        [start, key, ..] if start.ends_with("missing field ") => {
            let place = place(name, text, line, column, 1);
            Diagnostic::error("MISSING_KEY", format!("`{key}` is needed here")).at(place)
        }
        _ => Diagnostic::error(code_of(&message), in_plain_words(&message))
            .at(value_place(name, text, line, column)),
    }
}

/// What a number is called in a file.
fn in_plain_words(message: &str) -> String {
    let Some((before, ty)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    match ty {
        "f32" | "f64" => format!("{before}expected a number"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            format!("{before}expected a whole number")
        }
        _ => message.to_owned(),
    }
}

/// A value of the wrong kind names its path; text that is not YAML has none.
fn code_of(message: &str) -> &'static str {
    let about_a_value = message.contains("invalid ") || message.contains("expected ");
    match about_a_value && !message.contains("while ") {
        true => "CONFIG_VALUE",
        false => "CONFIG_SYNTAX",
    }
}

fn value_place(name: &str, text: &str, line: usize, column: usize) -> Place {
    let rest = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let rest = rest.chars().skip(column.saturating_sub(1));
    let len = rest
        .take_while(|c| !c.is_whitespace() && !",]}".contains(*c))
        .count();
    place(name, text, line, column, len)
}

fn unknown_key(name: &str, text: &str, line: usize, key: &str, rest: &[&str]) -> Diagnostic {
    let known: Vec<&str> = rest.iter().skip(1).step_by(2).copied().collect();
    let (line, column) = find_key(text, line, key).unwrap_or((line, 1));
    let help = match closest(key, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    Diagnostic::error("UNKNOWN_KEY", "no such key")
        .at(place(name, text, line, column, key.chars().count()))
        .help(help)
}

/// Where `key` stands as a key, from a line on: the parser points at the mapping's start for some keys.
fn find_key(text: &str, from: usize, key: &str) -> Option<(usize, usize)> {
    keys(text, key).find(|(line, _)| *line >= from)
}

fn find_last_key(text: &str, key: &str) -> Option<(usize, usize)> {
    keys(text, key).last()
}

fn keys<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let at = line.match_indices(key).find(|(at, _)| {
            let before = line[..*at].trim_end_matches(['"', '\'']).trim_end();
            let after = line[at + key.len()..].trim_start_matches(['"', '\'']);
            (before.is_empty() || before.ends_with(['{', ',', '-']))
                && after.trim_start().starts_with(':')
        });
        at.map(|(at, _)| (index + 1, line[..at].chars().count() + 1))
    })
}

fn without_location(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(at) if !message[at..].contains(',') => message[..at].into(),
        _ => message.into(),
    }
}
