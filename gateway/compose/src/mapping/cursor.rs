//! A place in a string that is being read, and the tokens that every grammar shares.

use std::ops::Range;

use super::{MAX_DEPTH, Segment, Spot, SyntaxError, Text};

/// Reads one string from left to right.
pub(super) struct Cursor<'a> {
    text: Text<'a>,
    at: usize,
    /// Where the part of the string that is being read ends.
    end: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: Text<'a>, depth: usize) -> Self {
        Cursor {
            text,
            at: 0,
            end: text.text.len(),
            depth,
        }
    }

    /// Reads a part of the string with the same offsets.
    pub(super) fn part(&self, range: Range<usize>) -> Cursor<'a> {
        Cursor {
            text: self.text,
            at: range.start,
            end: range.end,
            depth: self.depth,
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text.text[self.at..self.end]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn spot(&self, range: Range<usize>) -> Spot {
        Spot::Part(self.text.node.clone(), range)
    }

    pub(super) fn spot_from(&self, start: usize) -> Spot {
        self.spot(start..self.at)
    }

    pub(super) fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Steps over a token if it comes next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, what: &str) -> Result<(), SyntaxError> {
        match self.eat(token) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("expected `{token}` {what}"))),
        }
    }

    /// The longest run of characters that belong, which may be empty.
    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Enters one more level of nesting.
    pub(super) fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.unexpected("nested too deeply")),
            false => Ok(()),
        }
    }

    pub(super) fn shallower(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn finish(&self) -> Result<(), SyntaxError> {
        match self.rest().trim().is_empty() {
            true => Ok(()),
            false => Err(self.unexpected("the expression ends before this")),
        }
    }

    /// A text in `'` or `"`; the quote is doubled to stand for itself.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += quote.len_utf8();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c == quote && !self.eat(quote.encode_utf8(&mut [0; 4])) {
                true => return Ok(text),
                false => text.push(c),
            }
        }
        Err(self.error(start..self.at, "this quote is never closed"))
    }

    /// One name of a path: letters, digits and `_`, or anything in quotes.
    pub(super) fn segment(&mut self, also: &[char]) -> Result<Segment, SyntaxError> {
        let start = self.at;
        let name = match self.peek() {
            Some('\'') => self.quoted('\'')?,
            _ => self
                .take_while(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(&c))
                .to_owned(),
        };
        if name.is_empty() {
            return Err(self
                .unexpected("expected a name")
                .help("write a name with other characters in quotes: data.'user-list'"));
        }
        Ok(Segment {
            name,
            spot: self.spot_from(start),
        })
    }

    /// Names joined by dots.
    pub(super) fn segments(&mut self, also: &[char]) -> Result<Vec<Segment>, SyntaxError> {
        let mut path = vec![self.segment(also)?];
        while self.eat(".") {
            path.push(self.segment(also)?);
        }
        Ok(path)
    }

    /// An error at the next token.
    pub(super) fn unexpected(&self, message: &str) -> SyntaxError {
        let rest = self.rest();
        let word = rest
            .find(|c: char| c.is_whitespace() || ",:{}[]".contains(c))
            .unwrap_or(rest.len());
        let one = self.peek().map_or(0, char::len_utf8);
        self.error(self.at..self.at + word.max(one), message)
    }

    pub(super) fn error(&self, range: Range<usize>, message: &str) -> SyntaxError {
        SyntaxError::new(self.spot(range), message)
    }
}

impl SyntaxError {
    pub(super) fn new(spot: Spot, message: impl Into<String>) -> Self {
        SyntaxError {
            spot,
            message: message.into(),
            help: None,
            bare_text: false,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
