//! What a document may hold before anyone parses it.
//!
//! Owns one pass over the bytes that counts characters, tokens and nesting
//! without building anything and without recursion, so that a bomb costs no
//! more than its own length. Follows the lexical grammar:
//! <https://spec.graphql.org/September2025/#sec-Appendix-Grammar-Summary.Lexical-Tokens>

use crate::code::Code;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// Limits on the text of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of the document.
    pub characters: usize,
    /// Lexical tokens; white space, commas and comments are none.
    pub tokens: usize,
    /// Brackets of any kind that stand open at once.
    pub nesting: usize,
    /// Validation errors that are answered.
    pub errors: usize,
    /// Steps of the planner's search.
    pub planning: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            characters: 15_000,
            tokens: 2_000,
            nesting: 64,
            errors: 20,
            planning: 100_000,
        }
    }
}

/// Refuses a document that exceeds a limit.
pub fn check(document: &str, limits: &DocumentLimits) -> Result<(), Refusal> {
    let size = document.len();
    if size > limits.characters {
        return Err(too_large("characters", size, limits.characters));
    }
    let mut scan = Scan {
        bytes: document.as_bytes(),
        at: 0,
    };
    let (mut tokens, mut depth, mut arguments) = (0, 0_usize, 0_usize);
    let mut before = 0;
    while let Some(token) = scan.next_token() {
        tokens += 1;
        match token {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match token {
            b'(' => arguments += 1,
            b')' => arguments = arguments.saturating_sub(1),
            b'}' if before == b'{' && arguments == 0 => {
                return Err(empty_selection(document, scan.at));
            }
            _ => {}
        }
        before = token;
        if tokens > limits.tokens {
            return Err(too_large("tokens", tokens, limits.tokens));
        }
        if depth > limits.nesting {
            return Err(too_large("levels of nesting", depth, limits.nesting));
        }
    }
    Ok(())
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
    }
}

fn too_large(what: &str, found: usize, limit: usize) -> Refusal {
    Refusal::new(
        Code::OperationTooLarge,
        format!("The operation has {found} {what} or more, and at most {limit} are allowed."),
    )
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
        let limits = DocumentLimits {
            tokens: 3,
            ..DocumentLimits::default()
        };
        assert!(check("{ a }", &limits).is_ok());
        let refusal = check("{ a b }", &limits).unwrap_err();
        assert_eq!(refusal.code, Code::OperationTooLarge);
        assert_eq!(
            refusal.errors[0].message,
            "The operation has 4 tokens or more, and at most 3 are allowed."
        );
    }

    #[test]
    fn nesting_is_counted_over_all_brackets_without_recursion() {
        let limits = DocumentLimits {
            characters: usize::MAX,
            tokens: usize::MAX,
            nesting: 64,
            ..DocumentLimits::default()
        };
        assert!(check(&"[".repeat(64), &limits).is_ok());
        assert!(check(&"{([".repeat(1_000_000), &limits).is_err());
    }
}
