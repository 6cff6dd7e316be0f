//! The set of JSON types that a schema allows.

use serde_json::Value;

use super::document::{Document, Node};
use crate::contract::error::ContractError;
use crate::suggest;

/// A set of JSON types, null aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

/// A JSON type other than null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

const NAMES: [(&str, JsonType); 6] = [
    ("boolean", JsonType::Boolean),
    ("integer", JsonType::Integer),
    ("number", JsonType::Number),
    ("string", JsonType::String),
    ("array", JsonType::Array),
    ("object", JsonType::Object),
];

impl Types {
    pub(super) const NONE: Types = Types(0);
    pub(super) const OBJECT: Types = Types::only(JsonType::Object);
    const INTEGER: Types = Types::only(JsonType::Integer);
    const NUMBER: Types = Types::only(JsonType::Number);

    /// What the keyword `type` says: the types, and whether null is among them.
    pub(super) fn parse(
        document: &Document<'_>,
        stated: &Node<'_>,
    ) -> Result<(Types, bool), ContractError> {
        let names = match stated.value {
            Value::Array(_) => stated.items().collect(),
            _ => vec![stated.clone()],
        };
        let (mut types, mut null) = (Types::NONE, false);
        for name in &names {
            match name.value.as_str() {
                Some("null") => null = true,
                _ => types = types.union(Types::only(json_type(document, name)?)),
            }
        }
        Ok((types.normal(), null))
    }

    const fn only(json_type: JsonType) -> Types {
        Types(1 << json_type as u8)
    }

    /// The types that both allow; every integer is a number.
    pub(super) fn intersection(self, other: Types) -> Types {
        Types(self.widened().0 & other.widened().0).normal()
    }

    /// The types, in a fixed order.
    pub(super) fn list(self) -> Vec<JsonType> {
        let all = NAMES.iter().map(|(_, json_type)| *json_type);
        all.filter(|json_type| self.contains(*json_type)).collect()
    }

    pub(super) fn contains(self, json_type: JsonType) -> bool {
        self.0 & Types::only(json_type).0 != 0
    }

    fn union(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    fn widened(self) -> Types {
        match self.contains(JsonType::Number) {
            true => self.union(Types::INTEGER),
            false => self,
        }
    }

    /// Without the integers that the numbers include.
    fn normal(self) -> Types {
        match self.contains(JsonType::Number) {
            true => Types(self.0 & !Types::INTEGER.0 | Types::NUMBER.0),
            false => self,
        }
    }
}

fn json_type(document: &Document<'_>, name: &Node<'_>) -> Result<JsonType, ContractError> {
    let Some(text) = name.value.as_str() else {
        return Err(document.error(&name.at, "a type must be a name or a list of names"));
    };
    let known = NAMES.iter().find(|(known, _)| *known == text);
    known.map(|(_, json_type)| *json_type).ok_or_else(|| {
        let error = document.error(&name.at, format!("there is no type `{text}`"));
        let near = suggest::closest(text, NAMES.iter().map(|(known, _)| *known));
        match suggest::did_you_mean(&near) {
            Some(question) => error.help(question),
            None => {
                error.help("the types are string, number, integer, boolean, array, object and null")
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRING: Types = Types::only(JsonType::String);

    #[test]
    fn every_integer_is_a_number() {
        assert_eq!(Types::NUMBER.intersection(Types::INTEGER), Types::INTEGER);
        assert_eq!(Types::INTEGER.intersection(Types::NUMBER), Types::INTEGER);
        assert_eq!(Types::NUMBER.intersection(Types::NUMBER), Types::NUMBER);
        assert_eq!(Types::NUMBER.union(Types::INTEGER).normal(), Types::NUMBER);
    }

    #[test]
    fn types_without_overlap_leave_nothing() {
        assert_eq!(STRING.intersection(Types::OBJECT), Types::NONE);
        assert_eq!(STRING.union(Types::OBJECT).list().len(), 2);
    }
}
