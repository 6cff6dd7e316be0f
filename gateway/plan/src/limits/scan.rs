//! What a document may hold before anyone parses it.
//!
//! Owns one pass over the bytes that counts characters, tokens and nesting
//! without building anything and without recursion, so that a bomb costs no
//! more than its own length. Follows the lexical grammar:
//! <https://spec.graphql.org/September2025/#sec-Appendix-Grammar-Summary.Lexical-Tokens>

use super::Excess;
use super::Kind;
use super::MOST_NESTING;
use super::OperationLimits;
use super::too_large;
use crate::code::Code;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// What is known of a document before it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) characters: u64,
    pub(crate) tokens: u64,
    pub(crate) nesting: u64,
}

/// Counts, and refuses as soon as an enforced limit is exceeded.
pub(crate) fn scan(document: &str, limits: &OperationLimits) -> Result<Scanned, Refusal> {
    let most = |kind| limits.get(kind).enforced();
    let characters = document.chars().count() as u64;
    if characters > most(Kind::Characters) {
        return Err(refuse(limits, Kind::Characters, characters));
    }
    let (most_tokens, most_nesting) = (most(Kind::Tokens), most(Kind::Nesting));
    let mut scan = Scan {
        bytes: document.as_bytes(),
        at: 0,
    };
    let mut scanned = Scanned {
        characters,
        tokens: 0,
        nesting: 0,
    };
    let mut brackets = Brackets::default();
    while let Some(token) = scan.next_token() {
        scanned.tokens += 1;
        if brackets.is_empty_selection(token) {
            return Err(empty_selection(document, scan.at));
        }
        scanned.nesting = scanned.nesting.max(brackets.open);
        if scanned.tokens > most_tokens {
            return Err(refuse(limits, Kind::Tokens, scanned.tokens));
        }
        if brackets.open > most_nesting {
            return Err(refuse(limits, Kind::Nesting, brackets.open));
        }
        if brackets.open > MOST_NESTING {
            return Err(too_large(format!(
                "The document has more than {MOST_NESTING} brackets open at once."
            )));
        }
    }
    Ok(scanned)
}

fn refuse(limits: &OperationLimits, kind: Kind, found: u64) -> Refusal {
    let limit = limits.get(kind);
    Excess { kind, found, limit }.refusal()
}

/// The brackets that stand open.
#[derive(Default)]
struct Brackets {
    open: u64,
    arguments: u64,
    before: u8,
}

impl Brackets {
    /// Follows one token; whether it ends a selection set that holds nothing.
    fn is_empty_selection(&mut self, token: u8) -> bool {
        match token {
            b'{' | b'(' | b'[' => self.open += 1,
            b'}' | b')' | b']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        match token {
            b'(' => self.arguments += 1,
            b')' => self.arguments = self.arguments.saturating_sub(1),
            _ => {}
        }
        let before = std::mem::replace(&mut self.before, token);
        token == b'}' && before == b'{' && self.arguments == 0
    }
}

/// The grammar wants at least one selection; the parser lets an empty set through.
/// Inside parentheses empty braces are an input object.
fn empty_selection(document: &str, end: usize) -> Refusal {
    let before = &document[..end - 1];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Refusal {
        code: Code::GraphqlParseFailed,
        errors: vec![RequestError {
            message: "A selection set needs at least one field.".into(),
            locations: vec![(line, column)],
        }],
        details: Vec::new(),
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    /// The first byte of the next token, which is passed over.
    fn next_token(&mut self) -> Option<u8> {
        self.skip_ignored();
        let first = *self.bytes.get(self.at)?;
        match first {
            b'"' => self.skip_string(),
            b'.' => self.skip_while(|b| b == b'.'),
            b if is_word(b) => self.skip_while(|b| is_word(b) || b == b'.'),
            _ => self.at += 1,
        }
        Some(first)
    }

    fn skip_ignored(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                b'#' => self.skip_while(|b| b != b'\n' && b != b'\r'),
                0xEF if self.bytes[self.at..].starts_with(b"\xEF\xBB\xBF") => self.at += 3,
                _ => return,
            }
        }
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|b| keep(*b)) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) {
        if self.bytes[self.at..].starts_with(b"\"\"\"") {
            self.at += 3;
            self.skip_block();
        } else {
            self.at += 1;
            self.skip_line_string();
        }
    }

    fn skip_block(&mut self) {
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"\\\"\"\"") {
                self.at += 4;
            } else if rest.starts_with(b"\"\"\"") {
                self.at += 3;
                return;
            } else {
                self.at += 1;
            }
        }
    }

    fn skip_line_string(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' | b'\n' | b'\r' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limit;

    fn tokens_of(document: &str) -> usize {
        let mut scan = Scan {
            bytes: document.as_bytes(),
            at: 0,
        };
        std::iter::from_fn(|| scan.next_token()).count()
    }

    #[test]
    fn tokens_are_counted_as_the_grammar_says() {
        assert_eq!(tokens_of("{ a, b # { not } these\n c }"), 5);
        assert_eq!(tokens_of(r#"{ a(x: "br{ace\" }", y: -1.5e3) }"#), 11);
        assert_eq!(tokens_of("{ ...F }"), 4);
        assert_eq!(tokens_of(r#"{ a(x: """ " {{ \""" """) }"#), 8);
        assert_eq!(tokens_of("\u{FEFF}{ a }"), 3);
        assert_eq!(tokens_of("\"unterminated { {"), 1);
        assert_eq!(tokens_of("\"ends in a backslash\\"), 1);
    }

    #[test]
    fn a_document_at_the_limit_passes_and_one_over_it_does_not() {
        let limits = OperationLimits::default().with(Kind::Tokens, Limit::enforce(3));
        assert!(scan("{ a }", &limits).is_ok());
        let refusal = scan("{ a b }", &limits).unwrap_err();
        assert_eq!(refusal.code, Code::TooManyTokens);
        assert_eq!(
            refusal.errors[0].message,
            "The document has 4 tokens or more, and at most 3 are allowed."
        );
    }

    #[test]
    fn characters_are_not_bytes() {
        let limits = OperationLimits::default().with(Kind::Characters, Limit::enforce(5));
        assert!(scan("{a}#\u{1F600}", &limits).is_ok());
        let refusal = scan("{a}#ab", &limits).unwrap_err();
        assert_eq!(refusal.code, Code::DocumentTooLarge);
    }

    #[test]
    fn nesting_is_counted_over_all_brackets_without_recursion() {
        let nesting = |limit| OperationLimits::off().with(Kind::Nesting, limit);
        let limits = nesting(Limit::enforce(64));
        assert_eq!(scan(&"[".repeat(64), &limits).unwrap().nesting, 64);
        let refusal = scan(&"{([".repeat(1_000_000), &limits).unwrap_err();
        assert_eq!(refusal.code, Code::DocumentTooNested);
        let refusal = scan(&"{([".repeat(1_000_000), &nesting(Limit::OFF)).unwrap_err();
        assert_eq!(refusal.code, Code::OperationTooLarge);
    }
}
