//! Constants of a mapping against the contract.

use serde_json::Value as Json;

use crate::contract::model::{EnumBase, Object};
use crate::contract::{Contract, Kind, TypeId};

/// How deep constants and unions are followed.
const MAX_DEPTH: usize = 16;

/// Whether a constant is what the contract wants. Where everything travels as `text`, `'5'` is a number.
pub(super) fn fits(contract: &Contract, json: &Json, wants: TypeId, text: bool) -> bool {
    Constants { contract, text }.fits(json, wants, 0)
}

struct Constants<'c> {
    contract: &'c Contract,
    text: bool,
}

impl Constants<'_> {
    fn fits(&self, json: &Json, wants: TypeId, depth: usize) -> bool {
        if depth > MAX_DEPTH || json.is_null() {
            return true;
        }
        match (&self.contract[wants].kind, json) {
            (Kind::Any, _) => true,
            (Kind::Null, _) => false,
            (Kind::Union(union), _) => {
                let mut members = union.members.iter();
                members.any(|member| self.fits(json, *member, depth + 1))
            }
            (Kind::List(item), Json::Array(items)) => {
                items.iter().all(|it| self.fits(it, *item, depth + 1))
            }
            // `id=1` is a list of one.
            (Kind::List(item), single) => self.text && self.fits(single, *item, depth + 1),
            (Kind::Map(value), Json::Object(entries)) => {
                entries.values().all(|it| self.fits(it, *value, depth + 1))
            }
            (Kind::Object(object), Json::Object(entries)) => entries.iter().all(|(name, it)| {
                property(object, name).is_none_or(|ty| self.fits(it, ty, depth + 1))
            }),
            (kind, json) => self.leaf_fits(kind, json),
        }
    }

    fn leaf_fits(&self, kind: &Kind, json: &Json) -> bool {
        match (kind, json) {
            (Kind::Boolean, Json::Bool(_)) => true,
            (Kind::Boolean, Json::String(it)) => {
                self.text && matches!(it.as_str(), "true" | "false")
            }
            (Kind::Integer { .. }, Json::Number(it)) => {
                it.as_f64().is_some_and(|it| it.fract() == 0.0)
            }
            (Kind::Number, Json::Number(_)) => true,
            (Kind::Integer { .. }, Json::String(it)) => self.text && it.parse::<i128>().is_ok(),
            (Kind::Number, Json::String(it)) => self.text && it.parse::<f64>().is_ok(),
            (Kind::String { .. }, Json::String(_)) => true,
            (Kind::String { .. }, Json::Number(_) | Json::Bool(_)) => self.text,
            (Kind::Enum(values), Json::String(it)) => {
                let is_text = matches!(values.base, EnumBase::Text | EnumBase::Symbol);
                values.contains(it) && (is_text || self.text)
            }
            (Kind::Enum(values), Json::Number(it)) => {
                let number = it.as_i64().and_then(|it| i32::try_from(it).ok());
                let is_number =
                    number.is_some() && values.values.iter().any(|v| v.number == number);
                is_number || (values.contains(&it.to_string()) && values.base != EnumBase::Text)
            }
            _ => false,
        }
    }
}

fn property(object: &Object, name: &str) -> Option<TypeId> {
    object.property(name).map(|(_, property)| property.ty)
}
