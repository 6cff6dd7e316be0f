//! Text to a JSON value, from YAML or JSON.
//!
//! Documents come from elsewhere: nesting, aliases and size are bounded here. This module must not
//! know what an OpenAPI document is.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::contract::error::{ContractError, Position};

/// Values that a document may hold once its aliases are expanded. The largest public API
/// descriptions hold about a million; an alias bomb of a few kilobytes would hold billions.
const MAX_VALUES: u32 = 4_000_000;

/// Brackets that may be open at once in YAML, those of prose included. The parser refuses far less,
/// but only after a scan whose work grows with the square of the nesting.
const MAX_OPEN_BRACKETS: usize = 5_000;

/// The JSON value of a document.
pub(super) fn parse(file: &str, source: &str) -> Result<Value, ContractError> {
    let source = source.trim_start_matches('\u{feff}');
    let budget = Cell::new(MAX_VALUES);
    match is_json(file, source) {
        true => parse_json(file, source, &budget),
        false => parse_yaml(file, source, &budget),
    }
}

/// Whether a document is JSON rather than YAML: by its name, else by its first character.
pub(super) fn is_json(file: &str, source: &str) -> bool {
    let is_named_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
    file.ends_with(".json") || (!is_named_yaml && source.trim_start().starts_with('{'))
}

fn parse_json(file: &str, source: &str, budget: &Cell<u32>) -> Result<Value, ContractError> {
    let mut reader = serde_json::Deserializer::from_str(source);
    let merges = false;
    let read = ValueSeed { budget, merges }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| {
        let position = Position::new(error.line(), error.column());
        unreadable(file, "JSON", &error.to_string(), Some(position))
    })
}

fn parse_yaml(file: &str, source: &str, budget: &Cell<u32>) -> Result<Value, ContractError> {
    check_brackets(file, source)?;
    let reader = serde_yaml_ng::Deserializer::from_str(source);
    let merges = true;
    let read = ValueSeed { budget, merges }.deserialize(reader);
    read.map_err(|error| {
        let position = error
            .location()
            .map(|place| Position::new(place.line(), place.column()));
        unreadable(file, "YAML", &error.to_string(), position)
    })
}

fn check_brackets(file: &str, source: &str) -> Result<(), ContractError> {
    let mut open = 0usize;
    for (index, line) in source.lines().enumerate() {
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
        }
        if open > MAX_OPEN_BRACKETS {
            let position = Some(Position::new(index + 1, 1));
            return Err(ContractError::new(file, "nested too deeply").at(position));
        }
    }
    Ok(())
}

fn unreadable(
    file: &str,
    language: &str,
    message: &str,
    position: Option<Position>,
) -> ContractError {
    // Both parsers end their messages with the position, which the error carries as numbers.
    let message = match position {
        Some(Position { line, column }) => message
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(message),
        None => message,
    };
    ContractError::new(file, format!("not readable as {language}: {message}")).at(position)
}

/// Reads any value, with keys of any scalar type as texts: `200:` is a key in YAML.
#[derive(Clone, Copy)]
struct ValueSeed<'b> {
    budget: &'b Cell<u32>,
    /// Whether `<<` merges another mapping into this one, as it does in YAML.
    merges: bool,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    fn spend<E: Error>(self) -> Result<(), E> {
        match self.budget.get().checked_sub(1) {
            Some(rest) => {
                self.budget.set(rest);
                Ok(())
            }
            None => Err(E::custom("the document holds too many values")),
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.spend()?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.spend()?;
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.spend()?;
        Ok(value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.spend()?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.spend()?;
        Ok(Value::from(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.spend()?;
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.spend()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.spend()?;
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = access.next_key_seed(KeySeed { taken: &map })? {
            let value = access.next_value_seed(self)?;
            match key == "<<" && self.merges {
                true => merged.push(value),
                false => drop(map.insert(key, value)),
            }
        }
        merge(&mut map, merged);
        Ok(Value::Object(map))
    }
}

/// What a mapping says itself wins over what it merges, and an earlier merge over a later one.
fn merge(map: &mut Map<String, Value>, merged: Vec<Value>) {
    for value in merged {
        match value {
            Value::Array(values) => merge(map, values),
            Value::Object(entries) => {
                for (key, value) in entries {
                    map.entry(key).or_insert(value);
                }
            }
            _ => {}
        }
    }
}

/// Reads a key as text, and fails at the key's own position if it is taken.
pub(super) struct KeySeed<'m> {
    pub(super) taken: &'m Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        match self.taken.contains_key(key) {
            true => Err(E::custom(format!("the key `{key}` occurs twice"))),
            false => Ok(key.to_owned()),
        }
    }

    fn visit_bool<E: Error>(self, key: bool) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_f64<E: Error>(self, key: f64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        self.visit_str("null")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_texts_and_merges_are_applied() {
        let source = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n200: ok\n";
        let value = parse("a.yaml", source).unwrap();
        assert_eq!(value["use"], json!({"a": 1, "b": 3}));
        assert_eq!(value["200"], "ok");
    }

    #[test]
    fn json_is_read_by_name_or_by_its_first_character() {
        for file in ["a.json", "openapi"] {
            assert_eq!(parse(file, " {\"a\": [1.5, null]}").unwrap()["a"][0], 1.5);
        }
        let error = parse("a.json", "{\"a\": }").unwrap_err();
        assert_eq!((error.line, error.column), (Some(1), Some(7)));
        assert_eq!(error.message, "not readable as JSON: expected value");
    }

    #[test]
    fn yaml_errors_have_a_place() {
        let error = parse("a.yaml", "a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert_eq!(error.line, Some(3));
        let error = parse("a.yaml", "a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!((error.line, error.column), (Some(3), Some(1)));
        assert!(
            error.message.contains("the key `a` occurs twice"),
            "{error}"
        );
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        for unit in ["[", "{a: ", "- ", "? ", "{\n"] {
            let error = parse("a.yaml", &unit.repeat(100_000)).unwrap_err();
            assert!(error.line.is_some(), "{unit}: {error}");
        }
        let error = parse("a.json", &"[".repeat(100_000)).unwrap_err();
        assert!(error.message.contains("recursion limit"), "{error}");
    }

    #[test]
    fn an_alias_bomb_is_an_error() {
        let mut nested = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let row = vec![format!("*a{}", level - 1); 10].join(", ");
            nested += &format!("a{level}: &a{level} [{row}]\n");
        }
        assert!(parse("a.yaml", &nested).is_err());
        let wide = format!(
            "a: &a [{}]\nb: [{}]\n",
            "x, ".repeat(5_000),
            "*a, ".repeat(5_000)
        );
        let error = parse("a.yaml", &wide).unwrap_err();
        assert!(error.message.contains("too many values"), "{error}");
    }

    #[test]
    fn numbers_of_any_size_and_a_byte_order_mark_are_read() {
        let value = parse(
            "a.yaml",
            "\u{feff}a: 340282366920938463463374607431768211455\n",
        )
        .unwrap();
        assert!(value["a"].is_number());
        assert!(parse("a.yaml", "a: !secret x\n").is_err());
        assert!(parse("a.yaml", "a: 1\n---\nb: 2\n").is_err());
    }
}
