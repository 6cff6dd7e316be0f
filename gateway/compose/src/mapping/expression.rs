//! Expressions and literals inside a string.

use serde_json::Value as Json;

use super::cursor::Cursor;
use super::template;
use super::{Entry, Mapping, MappingKind, Reference, Root, Segment, Spot, SyntaxError};
use crate::suggest;

/// Reads a whole string as a mapping: an expression, a literal, or a text with holes.
pub(super) fn whole(cursor: &mut Cursor<'_>) -> Result<Mapping, SyntaxError> {
    cursor.skip_space();
    let start = cursor.at();
    if is_template(cursor.rest()) {
        let pieces = template::pieces(cursor)?;
        let spot = cursor.spot_from(start);
        return Ok(Mapping::new(MappingKind::Template(pieces), spot));
    }
    let bare = cursor.peek().is_some_and(char::is_alphabetic);
    let everything = cursor.spot(start..start + cursor.rest().trim_end().len());
    let read = expression(cursor).and_then(|found| cursor.finish().map(|()| found));
    read.map_err(|error| match bare {
        true => SyntaxError {
            bare_text: true,
            spot: everything,
            ..error
        },
        false => error,
    })
}

/// A string with a hole in it. An object literal begins with a brace as well, but a key follows.
fn is_template(text: &str) -> bool {
    let begins_otherwise = text.starts_with(['$', '\'', '"', '[']);
    text.contains('{') && !begins_otherwise && !is_object(text)
}

fn is_object(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('{').map(str::trim_start) else {
        return false;
    };
    let after_key = match inside.chars().next() {
        Some('}') => return true,
        Some(quote @ ('\'' | '"')) => inside[1..].split_once(quote).map(|(_, rest)| rest),
        _ => Some(inside.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')),
    };
    after_key.is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// `a ?? b ?? c`, or one of them.
pub(super) fn expression(cursor: &mut Cursor<'_>) -> Result<Mapping, SyntaxError> {
    cursor.deeper()?;
    let mut all = vec![operand(cursor)?];
    loop {
        cursor.skip_space();
        if !cursor.eat("??") {
            break;
        }
        cursor.skip_space();
        all.push(operand(cursor)?);
    }
    cursor.shallower();
    Ok(match all.len() {
        1 => all.remove(0),
        _ => {
            let spot = all[0].spot.to(&all[all.len() - 1].spot);
            Mapping::new(MappingKind::FirstOf(all), spot)
        }
    })
}

fn operand(cursor: &mut Cursor<'_>) -> Result<Mapping, SyntaxError> {
    let start = cursor.at();
    let kind = match cursor.peek() {
        Some('$') => reference(cursor)?,
        Some('\'') => MappingKind::Const(Json::String(cursor.quoted('\'')?)),
        Some('"') => return nested(cursor),
        Some('{') => MappingKind::Object(object(cursor)?),
        Some('[') => MappingKind::List(list(cursor)?),
        Some(c) if c == '-' || c.is_ascii_digit() => number(cursor)?,
        _ => word(cursor)?,
    };
    Ok(Mapping::new(kind, cursor.spot_from(start)))
}

fn reference(cursor: &mut Cursor<'_>) -> Result<MappingKind, SyntaxError> {
    let start = cursor.at();
    cursor.eat("$");
    let mut name = format!("${}", cursor.take_while(is_word));
    if name == "$request" && cursor.eat(".") {
        name = format!("$request.{}", cursor.take_while(is_word));
    }
    let Some((_, root)) = Root::WRITTEN.into_iter().find(|(text, _)| *text == name) else {
        return Err(unknown_root(cursor, start, &name));
    };
    let path = match cursor.eat(".") {
        true => cursor.segments(if root == Root::Headers { &['-'] } else { &[] })?,
        false => Vec::new(),
    };
    let reference = Reference { root, path };
    match reference.shape_error() {
        Some(message) => Err(cursor.error(start..cursor.at(), message)),
        None => Ok(MappingKind::Reference(reference)),
    }
}

impl Reference {
    fn shape_error(&self) -> Option<&'static str> {
        match (self.root, self.path.len()) {
            (Root::Response, _) | (Root::Status, 0) => None,
            (Root::Status, _) => Some("`$status` is a number and has no parts"),
            (Root::Args, 0) => Some("name the argument: $args.id"),
            (Root::This, 0) => Some("name the parent's field: $this.id"),
            (Root::Batch, 0) => Some("name the parents' field: $batch.id"),
            (Root::Env, 0) => Some("name the variable: $env.USERS_URL"),
            (Root::Config, 0) => Some("name the value: $config.region"),
            (Root::Claims, 0) => Some("name the claim: $claims.sub"),
            (Root::Headers, 0) => Some("name the header: $request.headers.accept-language"),
            (Root::Env | Root::Config | Root::Headers, 2..) => Some("this has no parts"),
            _ => None,
        }
    }
}

fn unknown_root(cursor: &Cursor<'_>, start: usize, name: &str) -> SyntaxError {
    let known = Root::WRITTEN.map(|(text, _)| text);
    let near = suggest::did_you_mean(&suggest::closest(name, known));
    cursor
        .error(start..cursor.at(), "there is no expression of this name")
        .help(near.unwrap_or_else(|| format!("expressions are {}", known.join(", "))))
}

/// A mapping in double quotes inside an object or list in a string: `{ id: "user_id" }`.
fn nested(cursor: &mut Cursor<'_>) -> Result<Mapping, SyntaxError> {
    cursor.deeper()?;
    let start = cursor.at() + 1;
    cursor.eat("\"");
    let inside = cursor.take_while(|c| c != '"').len();
    cursor.expect("\"", "at the end of the quoted mapping")?;
    let found = whole(&mut cursor.part(start..start + inside))?;
    cursor.shallower();
    Ok(found)
}

fn object(cursor: &mut Cursor<'_>) -> Result<Vec<Entry>, SyntaxError> {
    cursor.eat("{");
    let mut entries: Vec<Entry> = Vec::new();
    while !closes(cursor, "}")? {
        let key = object_key(cursor)?;
        if entries.iter().any(|entry| entry.key.name == key.name) {
            return Err(SyntaxError::new(key.spot, "this key stands here twice"));
        }
        cursor.skip_space();
        cursor.expect(":", "after the key")?;
        cursor.skip_space();
        let value = expression(cursor)?;
        entries.push(Entry { key, value });
    }
    Ok(entries)
}

fn object_key(cursor: &mut Cursor<'_>) -> Result<Segment, SyntaxError> {
    if cursor.peek() != Some('"') {
        return cursor.segment(&[]);
    }
    let start = cursor.at();
    let name = cursor.quoted('"')?;
    Ok(Segment {
        name,
        spot: cursor.spot_from(start),
    })
}

fn list(cursor: &mut Cursor<'_>) -> Result<Vec<Mapping>, SyntaxError> {
    cursor.eat("[");
    let mut items = Vec::new();
    while !closes(cursor, "]")? {
        items.push(expression(cursor)?);
    }
    Ok(items)
}

/// Steps over the closing bracket if it comes next. Commas are space, as in GraphQL.
fn closes(cursor: &mut Cursor<'_>, bracket: &str) -> Result<bool, SyntaxError> {
    cursor.take_while(|c| c.is_whitespace() || c == ',');
    match cursor.peek() {
        None => Err(cursor.unexpected(&format!("expected `{bracket}`"))),
        Some(_) => Ok(cursor.eat(bracket)),
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<MappingKind, SyntaxError> {
    let start = cursor.at();
    let text = cursor.take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match serde_json::from_str::<Json>(text) {
        Ok(number @ Json::Number(_)) => Ok(MappingKind::Const(number)),
        _ => Err(cursor
            .error(start..cursor.at(), "this is no number")
            .help(format!("write a text in quotes: '{text}'"))),
    }
}

fn word(cursor: &mut Cursor<'_>) -> Result<MappingKind, SyntaxError> {
    let path = cursor.segments(&[])?;
    let constant = match path.as_slice() {
        [one] => match one.name.as_str() {
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            "null" => Some(Json::Null),
            _ => None,
        },
        _ => None,
    };
    Ok(constant.map_or(MappingKind::Bare(path), MappingKind::Const))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl Mapping {
    pub(super) fn new(kind: MappingKind, spot: Spot) -> Self {
        Mapping { kind, spot }
    }
}
