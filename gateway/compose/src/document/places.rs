//! From a piece of a document back to its place in the file.
//!
//! Owns lines and columns, and the way from an offset inside a string's value
//! to the characters in the file that spell it. Must not know what is wrong there.

use std::ops::Range;
use std::sync::Arc;

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{Name, Node};

use crate::diagnostic::Place;
use crate::files::SubgraphFile;
use crate::join::Origin;

/// The text of one file and where its lines begin.
#[derive(Debug)]
pub(crate) struct Places {
    file: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// How many characters stand before each block of bytes: a generated file may be one line
    /// of megabytes, in which columns are not to be counted from its beginning each time.
    blocks: Vec<usize>,
    /// What people wrote, where they did not write this.
    origin: Option<Arc<Origin>>,
}

/// Bytes of a block.
const BLOCK: usize = 4_096;

/// A line longer than this is not shown: a generated file may be one line of megabytes.
const LONGEST_SHOWN_LINE: usize = 2_000;

impl Places {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1));
        let mut blocks = vec![0];
        for block in text.as_bytes().chunks(BLOCK) {
            blocks.push(blocks[blocks.len() - 1] + characters_in(block));
        }
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            lines: lines.collect(),
            blocks,
            origin: None,
        }
    }

    /// The places of a subgraph: in what people wrote, where it was read out of something else.
    pub(crate) fn of(file: &SubgraphFile) -> Self {
        Self {
            origin: file.origin.clone(),
            ..Self::new(&file.file, &file.sdl)
        }
    }

    /// The place of a name.
    pub(crate) fn name(&self, name: &Name) -> Place {
        self.span(name.location())
    }

    /// The place of a node; a node over several lines is underlined in its first.
    pub(crate) fn node<T: ?Sized>(&self, node: &Node<T>) -> Place {
        self.span(node.location())
    }

    /// The place of a directive's name, `@` included.
    pub(crate) fn directive(&self, directive: &Node<Directive>) -> Place {
        self.bytes(self.directive_range(directive))
    }

    /// The bytes of a directive's name, `@` included.
    pub(crate) fn directive_range(&self, directive: &Node<Directive>) -> Range<usize> {
        let Some(span) = directive.location() else {
            return 0..0;
        };
        let text = self.slice(span.offset()..span.end_offset()).unwrap_or("");
        let name = text.find(|c: char| c != '@' && c != '_' && !c.is_ascii_alphanumeric());
        span.offset()..span.offset() + name.unwrap_or(text.len())
    }

    /// The bytes of a node.
    pub(crate) fn node_range<T: ?Sized>(&self, node: &Node<T>) -> Range<usize> {
        node.location()
            .map_or(0..0, |span| self.without_trivia(span))
    }

    /// The bytes of a span without what GraphQL ignores around it.
    pub(crate) fn without_trivia(&self, span: SourceSpan) -> Range<usize> {
        let mut start = span.offset();
        let end = span.end_offset();
        while let Some(rest) = self.slice(start..end) {
            let blank = |c: char| matches!(c, ',' | ' ' | '\t' | '\r' | '\n' | '\u{feff}');
            let trimmed = rest.trim_start_matches(blank);
            start += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return start..start + trimmed.trim_end_matches(blank).len();
            }
            start += trimmed.find(['\r', '\n']).unwrap_or(trimmed.len());
        }
        start..end
    }

    /// The text of a range of bytes.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<&str> {
        self.text.get(range)
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: SourceSpan) -> &str {
        self.text
            .get(span.offset()..span.end_offset())
            .unwrap_or("")
            .trim()
    }

    /// The place of a span; without one, the file's beginning.
    pub(crate) fn span(&self, span: Option<SourceSpan>) -> Place {
        span.map_or_else(
            || self.bytes(0..0),
            |span| self.bytes(span.offset()..span.end_offset()),
        )
    }

    /// The place of a part of a string's value: `part` counts bytes of the
    /// value as GraphQL reads it, escapes resolved and blocks dedented. Of a
    /// value that is not a string, the place of the whole.
    pub(crate) fn in_string(&self, value: &Node<Value>, part: Range<usize>) -> Place {
        let (Some(span), Some(_)) = (value.location(), value.as_str()) else {
            return self.node(value);
        };
        let raw = self.text.get(span.offset()..span.end_offset());
        let Some(raw) = raw.map(|raw| raw.trim_start_matches([',', ' ', '\t', '\r', '\n'])) else {
            return self.node(value);
        };
        if !raw.starts_with('"') {
            return self.node(value);
        }
        let start = span.end_offset() - raw.len();
        let found = raw_range(raw, part);
        self.bytes(start + found.start..start + found.end)
    }

    /// The place of a range of bytes of the file.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Place {
        if let Some(origin) = &self.origin {
            return origin.place(range);
        }
        let start = floor(&self.text, range.start);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1) - 1;
        let begin = self.lines[line];
        let next = self
            .lines
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        let source = self.text[begin..next].trim_end_matches('\r');
        let end = floor(&self.text, range.end).clamp(start, next.max(start));
        let end = start + self.text[start..end].trim_end().len();
        let column = self.characters_before(start) - self.characters_before(begin) + 1;
        Place {
            file: self.file.clone(),
            line: line + 1,
            column,
            len: (self.characters_before(end) - self.characters_before(start)).max(1),
            source: shown(source),
        }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        let rest = &self.text.as_bytes()[block * BLOCK..offset];
        self.blocks[block] + characters_in(rest)
    }
}

/// How many characters begin in these bytes.
fn characters_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

fn shown(line: &str) -> String {
    if line.len() > LONGEST_SHOWN_LINE {
        return String::new();
    }
    line.to_owned()
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where the bytes `part` of a string's value stand in its source text, quotes included.
fn raw_range(raw: &str, part: Range<usize>) -> Range<usize> {
    let mut decoded = 0;
    let mut start = None;
    let mut end = 0;
    for (value, at) in characters(raw) {
        if decoded >= part.end && start.is_some() {
            return start.unwrap_or(at.start)..end;
        }
        if decoded >= part.start && start.is_none() {
            start = Some(at.start);
        }
        decoded += value.len_utf8();
        end = at.end;
    }
    // At or behind the value's last character: the closing quote.
    start.map_or(end.max(1)..end.max(1), |start| start..end)
}

/// The characters of a string's value, each with its range in the source text.
fn characters(raw: &str) -> Vec<(char, Range<usize>)> {
    match raw.strip_prefix("\"\"\"") {
        Some(_) => block_characters(raw),
        None => quoted_characters(raw),
    }
}

/// <https://spec.graphql.org/September2025/#StringCharacter>
fn quoted_characters(raw: &str) -> Vec<(char, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 1;
    while let Some(rest) = raw
        .get(at..)
        .filter(|r| !r.is_empty() && !r.starts_with('"'))
    {
        let (value, len) = quoted_character(rest);
        found.push((value, at..at + len));
        at += len;
    }
    found
}

/// The first character's value and how many bytes spell it.
fn quoted_character(rest: &str) -> (char, usize) {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or('"');
    if first != '\\' {
        return (first, first.len_utf8());
    }
    match chars.next() {
        Some('u') => unicode_escape(&rest[2..]),
        Some('b') => ('\u{8}', 2),
        Some('f') => ('\u{c}', 2),
        Some('n') => ('\n', 2),
        Some('r') => ('\r', 2),
        Some('t') => ('\t', 2),
        Some(other) => (other, 1 + other.len_utf8()),
        None => ('\\', 1),
    }
}

/// `{1F600}`, `0041`, or the two halves of a surrogate pair, after `\u`.
fn unicode_escape(rest: &str) -> (char, usize) {
    if let Some((digits, _)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
        let value = u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32);
        return (
            value.unwrap_or(char::REPLACEMENT_CHARACTER),
            digits.len() + 4,
        );
    }
    let unit = |from: usize| u16::from_str_radix(rest.get(from..from + 4)?, 16).ok();
    let low = || (rest.get(4..6) == Some("\\u")).then(|| unit(6)).flatten();
    let units = [unit(0), low()].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(value)) => (value, if value.len_utf16() == 2 { 12 } else { 6 }),
        _ => (char::REPLACEMENT_CHARACTER, 6.min(rest.len() + 2)),
    }
}

/// <https://spec.graphql.org/September2025/#BlockStringValue()>
fn block_characters(raw: &str) -> Vec<(char, Range<usize>)> {
    let lines = block_lines(raw);
    let indent = common_indent(raw, &lines);
    let blank = |line: &Range<usize>| raw[line.clone()].trim_matches([' ', '\t']).is_empty();
    let Some(first) = lines.iter().position(|line| !blank(line)) else {
        return Vec::new();
    };
    let last = lines.iter().rposition(|line| !blank(line)).unwrap_or(first);
    let mut found: Vec<(char, Range<usize>)> = Vec::new();
    for (index, line) in lines.iter().enumerate().take(last + 1).skip(first) {
        if index > first {
            found.push(('\n', lines[index - 1].end..line.start));
        }
        let cut = if index == 0 { 0 } else { indent };
        let start = (line.start + cut).min(line.end);
        push_block_line(raw, start..line.end, &mut found);
    }
    found
}

fn push_block_line(raw: &str, line: Range<usize>, found: &mut Vec<(char, Range<usize>)>) {
    let mut at = line.start;
    while at < line.end {
        let escaped = raw[at..].starts_with("\\\"\"\"");
        if escaped {
            found.extend([
                ('"', at..at + 2),
                ('"', at + 2..at + 3),
                ('"', at + 3..at + 4),
            ]);
            at += 4;
            continue;
        }
        let value = raw[at..].chars().next().unwrap_or('"');
        found.push((value, at..at + value.len_utf8()));
        at += value.len_utf8();
    }
}

/// The lines between the triple quotes, without their ends.
fn block_lines(raw: &str) -> Vec<Range<usize>> {
    let end = block_end(raw);
    let mut lines = Vec::new();
    let mut start = 3;
    let mut at = 3;
    while at < end {
        let len = match &raw.as_bytes()[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => {
                at += 1;
                continue;
            }
        };
        lines.push(start..at);
        at += len;
        start = at;
    }
    lines.push(start..end.max(start));
    lines
}

/// Where the closing triple quotes begin.
fn block_end(raw: &str) -> usize {
    let mut at = 3;
    while at < raw.len() {
        if raw.as_bytes()[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if raw.as_bytes()[at..].starts_with(b"\"\"\"") {
            return at;
        } else {
            at += 1;
        }
    }
    raw.len()
}

/// The indentation that all lines but the first share; blank lines do not count.
fn common_indent(raw: &str, lines: &[Range<usize>]) -> usize {
    let indents = lines.iter().skip(1).filter_map(|line| {
        let text = &raw[line.clone()];
        let trimmed = text.trim_start_matches([' ', '\t']);
        (!trimmed.is_empty()).then(|| text.len() - trimmed.len())
    });
    indents.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apollo_compiler::ast::{Definition, Document};

    /// The argument of the one directive of `scalar S @d(x: ...)`.
    fn argument(sdl: &str) -> Node<Value> {
        let ast = Document::parse(sdl, "a.graphql").expect("valid SDL");
        let Definition::ScalarTypeDefinition(scalar) = &ast.definitions[0] else {
            panic!("expected a scalar");
        };
        scalar.directives[0].arguments[0].value.clone()
    }

    fn underlined(sdl: &str, part: &str) -> (usize, usize, usize) {
        let value = argument(sdl);
        let text = value.as_str().expect("a string");
        let at = text.find(part).expect("the part is in the value");
        let place = Places::new("a.graphql", sdl).in_string(&value, at..at + part.len());
        (place.line, place.column, place.len)
    }

    #[test]
    fn an_offset_in_a_string_points_behind_its_quote() {
        assert_eq!(
            underlined(r#"scalar S @d(x: "/users/{id}")"#, "id"),
            (1, 25, 2)
        );
    }

    #[test]
    fn escapes_count_as_what_they_spell() {
        assert_eq!(
            underlined(r#"scalar S @d(x: "\n\u0041\u{1F600}é{id}")"#, "id"),
            (1, 36, 2)
        );
        assert_eq!(
            underlined(r#"scalar S @d(x: "\ud83d\ude00 {id}")"#, "id"),
            (1, 31, 2)
        );
    }

    #[test]
    fn block_strings_are_dedented() {
        let sdl = "scalar S @d(x: \"\"\"\n\n      first\n        {id}\n\n   \"\"\")";
        assert_eq!(underlined(sdl, "id"), (4, 10, 2));
        assert_eq!(underlined(sdl, "first"), (3, 7, 5));
    }

    #[test]
    fn a_part_over_several_lines_is_underlined_in_its_first() {
        let sdl = "scalar S @d(x: \"\"\"\r\n  one\r\n  two\r\n\"\"\")";
        assert_eq!(underlined(sdl, "one\ntwo"), (2, 3, 3));
    }

    #[test]
    fn the_end_of_a_value_is_its_closing_quote() {
        let sdl = r#"scalar S @d(x: "ab")"#;
        let place = Places::new("a.graphql", sdl).in_string(&argument(sdl), 2..2);
        assert_eq!((place.column, place.len), (19, 1));
        let sdl = r#"scalar S @d(x: "")"#;
        let place = Places::new("a.graphql", sdl).in_string(&argument(sdl), 0..0);
        assert_eq!((place.column, place.len), (17, 1));
    }

    #[test]
    fn characters_spell_what_the_parser_reads() {
        for raw in [
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u00e9\ud83d\ude00\u{1F600}""#,
            "\"\"\"one\n    two\n      three\n\n  \"\"\"",
            "\"\"\"\n\t\tone\n\n\t\ttwo \\\"\"\" three\n\t\"\"\"",
            "\"\"\"  \n \n\"\"\"",
            "\"\"\"é\r\n  ü\r  ö\"\"\"",
            "\"\"",
        ] {
            let value = argument(&format!("scalar S @d(x: {raw})"));
            let spelled: String = characters(raw).into_iter().map(|(c, _)| c).collect();
            assert_eq!(Some(spelled.as_str()), value.as_str(), "{raw}");
        }
    }

    #[test]
    fn a_line_of_megabytes_is_not_shown() {
        let sdl = "a".repeat(1 << 20);
        assert_eq!(Places::new("a.graphql", &sdl).bytes(5..7).source, "");
    }

    #[test]
    fn columns_count_characters_over_blocks() {
        let sdl = format!("{}\n{}x", "é".repeat(5_000), "ü".repeat(9_000));
        let place = Places::new("a.graphql", &sdl).bytes(sdl.len() - 1..sdl.len());
        assert_eq!((place.line, place.column, place.len), (2, 9_001, 1));
        let whole = Places::new("a.graphql", &"x".repeat(BLOCK)).bytes(BLOCK..BLOCK);
        assert_eq!(whole.column, BLOCK + 1);
    }

    #[test]
    fn a_place_outside_the_file_is_its_end() {
        let place = Places::new("a.graphql", "é").bytes(1..99);
        assert_eq!((place.line, place.column, place.len), (1, 1, 1));
    }
}
