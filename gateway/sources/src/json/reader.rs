//! JSON text, token by token.
//!
//! Owns the grammar, <https://www.rfc-editor.org/rfc/rfc8259>, to the letter:
//! a reply is JSON as a whole, also where nobody asked for it, or it is none.
//! Text is found, not copied. The only recursion follows the text's own
//! nesting and is bounded by [`MAX_DEPTH`]. Knows nothing of shapes.

use std::borrow::Cow;
use std::ops::Range;

use super::leaf::Scalar;

/// Values that nest deeper are refused, wherever the text's own structure is followed.
pub(super) const MAX_DEPTH: usize = 100;

/// Why a text is not JSON. Never quotes it: it may hold what is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: &'static str,
    /// Offset in the text, in bytes.
    pub(super) at: usize,
}

/// A place in a text.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

/// A string's contents, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Text {
    /// Where it stands as it is; `None` where it was escaped.
    #[inline]
    pub(super) fn plain(self) -> Option<Range<usize>> {
        (!self.escaped).then_some(self.start..self.end)
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self::within(text, 0..text.len())
    }

    /// One document of several that stand in one text.
    pub(super) fn within(text: &'t str, document: Range<usize>) -> Self {
        let text = text.get(..document.end).unwrap_or(text);
        Self {
            text,
            bytes: text.as_bytes(),
            at: document.start,
        }
    }

    /// The place of the next token: to come back to, or to take what follows as it stands.
    #[inline]
    pub(super) fn place(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// Comes back to a place.
    #[inline]
    pub(super) fn go_to(&mut self, place: usize) {
        self.at = place;
    }

    /// What stands between a place and here.
    pub(super) fn since(&self, place: usize) -> &'t str {
        self.text.get(place..self.at).unwrap_or_default()
    }

    /// The first byte of the next token, which is not passed over.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Fault> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(self.fault("the text ends too early")),
        }
    }

    /// Makes sure that nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => Err(self.fault("something follows the value")),
        }
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[cold]
    fn fault(&self, what: &'static str) -> Fault {
        Fault { what, at: self.at }
    }
}

// --- Lists and objects ----------------------------------------------------

impl Reader<'_> {
    /// Passes the opening bracket over; whether something stands between it and the closing one, which is then passed over too.
    #[inline]
    pub(super) fn opens(&mut self, closing: u8) -> Result<bool, Fault> {
        self.at += 1;
        if self.peek()? == closing {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After an item: passes the comma over, or the closing bracket, after which nothing comes.
    #[inline]
    pub(super) fn goes_on(&mut self, closing: u8) -> Result<bool, Fault> {
        let byte = self.peek()?;
        if byte != b',' && byte != closing {
            return Err(self.fault("a comma or a closing bracket is missing"));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Passes a property's name and the colon over.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Text, Fault> {
        if self.peek()? != b'"' {
            return Err(self.fault("a property's name is missing"));
        }
        let name = self.string()?;
        self.colon()?;
        Ok(name)
    }

    /// Passes a property's name and the colon over where the name is the one that stands there.
    #[inline]
    pub(super) fn name_is(&mut self, known: Range<usize>) -> Result<bool, Fault> {
        if self.peek()? != b'"' {
            return Err(self.fault("a property's name is missing"));
        }
        // With its closing quote, so that no longer name is taken for it.
        let known = &self.bytes[known.start..known.end + 1];
        let is = self.bytes[self.at + 1..].starts_with(known);
        if is {
            self.at += known.len() + 1;
            self.colon()?;
        }
        Ok(is)
    }

    /// Whether two names are written alike.
    pub(super) fn same(&self, one: &Range<usize>, other: &Range<usize>) -> bool {
        self.bytes[one.clone()] == self.bytes[other.clone()]
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Fault> {
        if self.peek()? != b':' {
            return Err(self.fault("a colon is missing"));
        }
        self.at += 1;
        Ok(())
    }
}

// --- Strings --------------------------------------------------------------

impl<'t> Reader<'t> {
    /// Passes over the string that begins here.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text, Fault> {
        let start = self.at + 1;
        let end = end_of_run(self.bytes, start);
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Ok(Text {
                    start,
                    end,
                    escaped: false,
                })
            }
            _ => self.escaped(start, end),
        }
    }

    #[cold]
    fn escaped(&mut self, start: usize, first: usize) -> Result<Text, Fault> {
        self.at = first;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("a control character stands in a string")),
                None => return Err(self.fault("a string does not end")),
            }
            self.at = end_of_run(self.bytes, self.at);
        }
        let end = self.at;
        self.at += 1;
        Ok(Text {
            start,
            end,
            escaped: true,
        })
    }

    /// Passes over one escape.
    fn escape(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let length = match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|b| b.is_ascii_hexdigit()) => 6,
            _ => return Err(self.fault("an escape is none")),
        };
        self.at += length;
        Ok(())
    }

    /// What a string says.
    pub(super) fn text(&self, text: Text) -> Result<Cow<'t, str>, Fault> {
        let written = self.text.get(text.start..text.end).unwrap_or_default();
        match text.escaped {
            false => Ok(Cow::Borrowed(written)),
            true => unescaped(written).map(Cow::Owned).ok_or(Fault {
                what: "half of a surrogate pair stands alone",
                at: text.start,
            }),
        }
    }

    /// Whether a string says this.
    #[inline]
    pub(super) fn says(&self, text: Text, wanted: &str) -> bool {
        match text.escaped {
            false => self.bytes.get(text.start..text.end) == Some(wanted.as_bytes()),
            true => self.text(text).is_ok_and(|text| text == wanted),
        }
    }
}

/// The first byte from here on that ends a run of plain text: a quote, a backslash or a control
/// character. Eight bytes at a time: a byte that is searched for is the lowest whose high bit is
/// set in the result, since a subtraction borrows from higher bytes only.
#[inline]
fn end_of_run(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * b'"' as u64;
    const SLASHES: u64 = ONES * b'\\' as u64;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let (quote, slash) = (word ^ QUOTES, word ^ SLASHES);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & HIGH != 0 {
            return at + (found & HIGH).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// `None` where half of a surrogate pair stands alone. The escapes are known to be some.
fn unescaped(written: &str) -> Option<String> {
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let (kind, after) = escape.split_at_checked(1)?;
        rest = after;
        out.push(match kind {
            "u" => code_point(&mut rest)?,
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            itself => itself.chars().next()?,
        });
    }
    out.push_str(rest);
    Some(out)
}

/// The character behind `\u`, which two escapes make where it is beyond the first plane.
fn code_point(rest: &mut &str) -> Option<char> {
    let first = code_unit(rest)?;
    let units = match first {
        0xd800..=0xdbff => {
            *rest = rest.strip_prefix("\\u")?;
            vec![first, code_unit(rest)?]
        }
        _ => vec![first],
    };
    char::decode_utf16(units).next()?.ok()
}

fn code_unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

// --- Numbers and words ----------------------------------------------------

impl<'t> Reader<'t> {
    /// Passes over a number, `true`, `false` or `null`.
    #[inline]
    pub(super) fn scalar(&mut self) -> Result<Scalar<'t>, Fault> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Scalar::Bool(true)),
            b'f' => self.word("false", Scalar::Bool(false)),
            b'n' => self.word("null", Scalar::Null),
            _ => Err(self.fault("no value begins like this")),
        }
    }

    fn word(&mut self, word: &str, means: Scalar<'t>) -> Result<Scalar<'t>, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("no value begins like this"));
        }
        self.at += word.len();
        Ok(means)
    }

    #[inline]
    fn number(&mut self) -> Result<Scalar<'t>, Fault> {
        let start = self.at;
        let negative = self.bytes.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let digits = self.at;
        let mut value = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let count = self.at - digits;
        if count == 0 || (count > 1 && self.bytes[digits] == b'0') {
            self.at = digits;
            return Err(self.fault("a number is none"));
        }
        if let Some(b'.' | b'e' | b'E') = self.bytes.get(self.at) {
            return self.fraction(start, negative, value, count);
        }
        // Eighteen digits fit whatever they are.
        if count <= 18 {
            let value = value as i64;
            return Ok(Scalar::Int(if negative { -value } else { value }));
        }
        Ok(long_integer(self.since(start)))
    }

    fn fraction(
        &mut self,
        start: usize,
        negative: bool,
        whole: u64,
        digits: usize,
    ) -> Result<Scalar<'t>, Fault> {
        let mut mantissa = whole;
        let mut decimals = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let first = self.at;
            while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
                let digit = u64::from(digit - b'0');
                mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
                self.at += 1;
            }
            decimals = self.at - first;
            if decimals == 0 {
                return Err(self.fault("a number is none"));
            }
        }
        let exponent = self.exponent()?;
        if !exponent && digits + decimals <= 15 {
            // Both are exact, and so is the rounding of one division.
            let value = mantissa as f64 / POWERS[decimals];
            return Ok(Scalar::Float(if negative { -value } else { value }));
        }
        Ok(float(self.since(start)))
    }

    fn exponent(&mut self) -> Result<bool, Fault> {
        let Some(b'e' | b'E') = self.bytes.get(self.at) else {
            return Ok(false);
        };
        self.at += 1;
        if let Some(b'+' | b'-') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let first = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        match self.at == first {
            true => Err(self.fault("a number is none")),
            false => Ok(true),
        }
    }
}

/// Powers of ten that a double holds exactly, as far as they are needed.
const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

fn long_integer(text: &str) -> Scalar<'_> {
    let signed = text.parse().map(Scalar::Int);
    signed
        .or_else(|_| text.parse().map(Scalar::UInt))
        .unwrap_or_else(|_| float(text))
}

fn float(text: &str) -> Scalar<'_> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Scalar::Float(value),
        _ => Scalar::Other("a larger number"),
    }
}

// --- Whole values ---------------------------------------------------------

impl Reader<'_> {
    /// Passes over a value and says what it was.
    pub(super) fn skip(&mut self) -> Result<&'static str, Fault> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, levels: usize) -> Result<&'static str, Fault> {
        match self.peek()? {
            b'"' => self.string().map(|_| "a text"),
            b'{' => self.skip_object(levels).map(|()| "an object"),
            b'[' => self.skip_list(levels).map(|()| "a list"),
            _ => self.scalar().map(Scalar::describe),
        }
    }

    fn skip_object(&mut self, levels: usize) -> Result<(), Fault> {
        let below = self.below(levels)?;
        let mut more = self.opens(b'}')?;
        while more {
            self.name()?;
            self.skip_within(below)?;
            more = self.goes_on(b'}')?;
        }
        Ok(())
    }

    fn skip_list(&mut self, levels: usize) -> Result<(), Fault> {
        let below = self.below(levels)?;
        let mut more = self.opens(b']')?;
        while more {
            self.skip_within(below)?;
            more = self.goes_on(b']')?;
        }
        Ok(())
    }

    fn below(&self, levels: usize) -> Result<usize, Fault> {
        levels
            .checked_sub(1)
            .ok_or_else(|| self.fault("a value nests deeper than 100 levels"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Option<String> {
        let mut reader = Reader::new(text);
        let scalar = reader.scalar().ok()?;
        reader.end().ok()?;
        Some(format!("{scalar:?}"))
    }

    fn string(text: &str) -> Option<String> {
        let mut reader = Reader::new(text);
        let found = reader.string().ok()?;
        reader.end().ok()?;
        reader.text(found).ok().map(Cow::into_owned)
    }

    fn is_json(text: &str) -> bool {
        let mut reader = Reader::new(text);
        reader.skip().is_ok() && reader.end().is_ok()
    }

    #[test]
    fn numbers_are_what_the_grammar_says() {
        let table = [
            ("0", "Int(0)"),
            ("-0", "Int(0)"),
            ("-12", "Int(-12)"),
            ("999999999999999999", "Int(999999999999999999)"),
            ("-9223372036854775808", "Int(-9223372036854775808)"),
            ("9223372036854775808", "UInt(9223372036854775808)"),
            ("18446744073709551616", "Float(1.8446744073709552e19)"),
            ("1.5", "Float(1.5)"),
            ("-0.1", "Float(-0.1)"),
            ("1.10", "Float(1.1)"),
            ("1e3", "Float(1000.0)"),
            ("1.25E-2", "Float(0.0125)"),
            ("0.1234567890123456789", "Float(0.12345678901234568)"),
            ("1e400", "Other(\"a larger number\")"),
        ];
        for (text, expected) in table {
            assert_eq!(scalar(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "", "-", "01", "00", "-01", "1.", ".5", "1e", "1e+", "+1", "1.e3", "0x1", "1_0", "tru",
            "nul", "truee", "NaN",
        ] {
            assert_eq!(scalar(text), None, "{text}");
        }
    }

    #[test]
    fn strings_are_what_the_grammar_says() {
        let table = [
            (r#""""#, ""),
            (r#""1234567""#, "1234567"),
            (r#""12345678""#, "12345678"),
            (r#""é漢😀 é漢😀 é漢😀""#, "é漢😀 é漢😀 é漢😀"),
            (r#""12345678\"12345678""#, "12345678\"12345678"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\uD83D\uDE00x""#, "é😀x"),
            (r#""\\""#, "\\"),
        ];
        for (text, expected) in table {
            assert_eq!(string(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "\"",
            "\"abc",
            "\"abc\\",
            "\"abc\\\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u123""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            "\"\n\"",
            "\"12345678\u{1f}\"",
        ] {
            assert_eq!(string(text), None, "{text}");
        }
    }

    #[test]
    fn a_run_of_text_ends_at_the_first_byte_that_ends_it() {
        for length in 0..40 {
            for end in [b'"', b'\\', 0x1f, 0] {
                let mut bytes = vec![0xff; length];
                bytes.push(end);
                bytes.extend_from_slice(b"\"\\\x00 more that is no part of it");
                assert_eq!(end_of_run(&bytes, 0), length);
            }
            assert_eq!(end_of_run(&vec![b' '; length], 0), length);
        }
    }

    #[test]
    fn structure_is_what_the_grammar_says() {
        for text in ["[]", "{}", " [ 1 , \"a\" ] ", "{\"a\":[{}],\"b\":null}"] {
            assert!(is_json(text), "{text}");
        }
        for text in [
            "[",
            "]",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1]",
            "[1}",
            "1 1",
            "\u{feff}1",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }

    #[test]
    fn the_bound_on_nesting_is_exact() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(&nested(MAX_DEPTH)));
        assert!(!is_json(&nested(MAX_DEPTH + 1)));
        assert!(is_json(&format!("[{}1]", "[[]],".repeat(10_000))));
    }
}
