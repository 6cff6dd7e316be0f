//! From a JSON pointer back to a line.
//!
//! Values carry no positions. Where one is needed, the text is read once more, up to the place in
//! question: the normal path pays nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::text::{KeySeed, is_json};
use crate::contract::error::Position;

/// Where the value at a path begins: its key, or the value itself in a list.
pub(super) fn locate(file: &str, source: &str, path: &[String]) -> Option<Position> {
    let source = source.trim_start_matches('\u{feff}');
    let seed = LocateSeed { path };
    if is_json(file, source) {
        let mut reader = serde_json::Deserializer::from_str(source);
        let found = seed.deserialize(&mut reader).err()?;
        Some(Position::new(found.line(), found.column()))
    } else {
        let reader = serde_yaml_ng::Deserializer::from_str(source);
        let found = seed.deserialize(reader).err()?.location()?;
        Some(Position::new(found.line(), found.column()))
    }
}

/// Walks down a path and fails at its end: the parser then says where that was.
#[derive(Clone, Copy)]
struct LocateSeed<'p> {
    path: &'p [String],
}

impl LocateSeed<'_> {
    fn stop<E: Error>(self) -> Result<(), E> {
        match self.path.is_empty() {
            true => Err(E::custom("here")),
            false => Ok(()),
        }
    }

    fn enter(self) -> Self {
        LocateSeed {
            path: self.path.get(1..).unwrap_or_default(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for LocateSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LocateSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.stop()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.stop()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.stop()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.stop()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.stop()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.stop()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.stop()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.stop()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.stop()?;
        let wanted: Option<usize> = self.path[0].parse().ok();
        for index in 0.. {
            let more = match Some(index) == wanted {
                true => access.next_element_seed(self.enter())?.is_some(),
                false => access.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.stop()?;
        let mut taken = Map::new();
        if let [last] = self.path {
            // The last key is declared taken, so that reading it fails where it stands.
            taken.insert(last.clone(), Value::Null);
        }
        while let Some(key) = access.next_key_seed(KeySeed { taken: &taken })? {
            match key == self.path[0] {
                true => access.next_value_seed(self.enter())?,
                false => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str, source: &str, path: &[&str]) -> Option<(u32, u32)> {
        let path: Vec<String> = path.iter().map(|&segment| segment.to_owned()).collect();
        locate(file, source, &path).map(|p| (p.line, p.column))
    }

    #[test]
    fn keys_and_items_are_found_in_yaml() {
        let source = "a:\n  b:\n    - x\n    - c: 1\n      d: 2\n200: y\n";
        assert_eq!(place("a.yaml", source, &["a", "b"]), Some((2, 3)));
        assert_eq!(place("a.yaml", source, &["a", "b", "1", "d"]), Some((5, 7)));
        assert_eq!(place("a.yaml", source, &["a", "b", "0"]), Some((3, 7)));
        assert_eq!(place("a.yaml", source, &["200"]), Some((6, 1)));
        assert_eq!(place("a.yaml", source, &["a", "nothing"]), None);
        assert_eq!(place("a.yaml", source, &["a", "b", "7"]), None);
    }

    #[test]
    fn keys_are_found_in_json() {
        let source = "{\n  \"a\": {\n    \"b\": 1\n  }\n}";
        let (line, _) = place("a.json", source, &["a", "b"]).unwrap();
        assert_eq!(line, 3);
    }
}
