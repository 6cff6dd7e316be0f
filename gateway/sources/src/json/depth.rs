//! A bound on how deep a reply nests.
//!
//! The deserializer's own skipping and capturing of nested values recurse
//! without a bound: a reply of a million brackets would end the process. Owns
//! a skipping that counts, and looking ahead, over brackets and strings only,
//! before something is captured.

use std::ops::Range;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// Deeper values are refused.
pub(super) const MAX_DEPTH: usize = 100;

/// Where the value about to be read begins, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The text that is being read begins with it.
    Start,
    /// Behind the property's name, whose closing quote is at this offset of the reply.
    AfterName(usize),
    /// Within a value that was looked over already.
    Checked,
    /// Somewhere in the reply.
    Unknown,
}

/// Nests too deep.
#[derive(Debug, thiserror::Error)]
#[error("nests deeper than {MAX_DEPTH} levels")]
pub(super) struct TooDeep;

/// How far a reply is known not to nest too deep.
pub(super) struct Depth<'t> {
    body: &'t [u8],
    checked: usize,
}

impl<'t> Depth<'t> {
    pub(super) fn new(body: &'t str) -> Self {
        Self {
            body: body.as_bytes(),
            checked: 0,
        }
    }

    /// The addresses of the reply, by which a name is found in it.
    #[inline]
    pub(super) fn addresses(&self) -> Range<usize> {
        let range = self.body.as_ptr_range();
        range.start as usize..range.end as usize
    }

    /// Makes sure that the value may be skipped or captured.
    #[inline]
    pub(super) fn guard(&mut self, place: Place) -> Result<(), TooDeep> {
        match place {
            Place::Checked => Ok(()),
            Place::AfterName(quote) => {
                let start = value_start(self.body, quote);
                match self.body.get(start) {
                    Some(b'{' | b'[') if start >= self.checked => self.look_over(start),
                    _ => Ok(()),
                }
            }
            Place::Start | Place::Unknown if self.checked == self.body.len() => Ok(()),
            Place::Start | Place::Unknown => {
                whole(self.body)?;
                self.checked = self.body.len();
                Ok(())
            }
        }
    }

    fn look_over(&mut self, start: usize) -> Result<(), TooDeep> {
        self.checked = end_of_value(self.body, start)?;
        Ok(())
    }
}

/// Passes over a value.
pub(super) struct Skip {
    levels_left: usize,
}

impl Skip {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            levels_left: MAX_DEPTH,
        }
    }

    fn below<E: Error>(&self) -> Result<usize, E> {
        self.levels_left
            .checked_sub(1)
            .ok_or_else(|| E::custom(TooDeep))
    }
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let levels_left = self.below()?;
        while entries.next_key::<IgnoredAny>()?.is_some() {
            entries.next_value_seed(Skip { levels_left })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let levels_left = self.below()?;
        while items.next_element_seed(Skip { levels_left })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

impl Place {
    /// Behind a name that was borrowed from a text at these addresses.
    #[inline]
    pub(super) fn after(name: &str, addresses: &Range<usize>) -> Self {
        let end = name.as_ptr() as usize + name.len();
        match addresses.contains(&end) {
            true => Place::AfterName(end - addresses.start),
            false => Place::Unknown,
        }
    }
}

/// The first byte of a property's value.
fn value_start(body: &[u8], quote: usize) -> usize {
    let rest = body.get(quote + 1..).unwrap_or_default();
    let gap = rest
        .iter()
        .position(|byte| !matches!(byte, b':' | b' ' | b'\n' | b'\r' | b'\t'));
    quote + 1 + gap.unwrap_or(rest.len())
}

/// All values of the text.
fn whole(body: &[u8]) -> Result<usize, TooDeep> {
    let mut at = 0;
    while at < body.len() {
        at = end_of_value(body, at)?;
    }
    Ok(body.len())
}

/// The end of the value that begins here, or of the text where it is cut short.
fn end_of_value(body: &[u8], start: usize) -> Result<usize, TooDeep> {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = closing_quote(body, at + 1),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(TooDeep);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(body.len())
}

fn closing_quote(body: &[u8], mut at: usize) -> usize {
    loop {
        let rest = body.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => return body.len(),
            Some(found) if rest[found] == b'"' => return at + found,
            Some(found) => at += found + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = br#"{"a":"]]]}}}\"[[[","b":[1,{"c":"\\"}]} rest"#;
        assert_eq!(end_of_value(text, 0).unwrap(), text.len() - 5);
    }

    #[test]
    fn the_bound_is_exact() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(whole(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(whole(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    }

    #[test]
    fn many_values_side_by_side_are_not_deep() {
        let text = format!("[{}1]", "[[]],".repeat(10_000));
        assert_eq!(whole(text.as_bytes()).unwrap(), text.len());
    }

    #[test]
    fn text_that_is_cut_short_ends_where_it_ends() {
        for text in ["{\"a", "[\"\\", "[[", "", "}"] {
            assert_eq!(whole(text.as_bytes()).unwrap(), text.len());
        }
    }

    #[test]
    fn a_value_begins_behind_the_colon() {
        assert_eq!(value_start(b"\"a\" : 1", 2), 6);
        assert_eq!(value_start(b"\"a\"", 2), 3);
    }
}
