//! Services that do not answer for entities as they should.
//!
//! Owns what becomes of a reply. What the gateway has to make of it no plain executor knows: it is recorded, and read.

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::json;

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lie {
    /// One entity too few.
    Fewer,
    /// One entity too many.
    More,
    /// No list of entities.
    NoList,
    /// A text in the place of the first entity.
    NoObject,
    /// Every value of the wrong type.
    WrongTypes,
    /// Errors that say nothing of where they belong.
    ErrorsWithoutPaths,
    /// Errors that belong to what is not there.
    ErrorsElsewhere,
    /// Nothing at all.
    NoData,
}

impl Lie {
    /// Makes of a true reply one that is not; what is not about entities stays true.
    pub(crate) fn spoil(self, reply: &mut Json) {
        let Some(entities) = reply.pointer_mut("/data/_entities") else {
            return;
        };
        match (self, entities.as_array_mut()) {
            (Self::Fewer, Some(entities)) => drop(entities.pop()),
            (Self::More, Some(entities)) => entities.extend(entities.last().cloned()),
            (Self::NoList, _) => *entities = json!({ "first": 1 }),
            (Self::NoObject, Some(entities)) => {
                if let Some(first) = entities.first_mut() {
                    *first = json!("text");
                }
            }
            (Self::WrongTypes, Some(entities)) => entities.iter_mut().for_each(wrong_types),
            (Self::ErrorsWithoutPaths, Some(_)) => {
                *entities = Json::Null;
                reply["errors"] = json!([{ "message": "something" }]);
            }
            (Self::ErrorsElsewhere, Some(_)) => {
                let path = json!(["_entities", 99, "nothing", 3]);
                reply["errors"] = json!([{ "message": "something", "path": path }]);
            }
            (Self::NoData, Some(_)) => *reply = json!({}),
            (_, None) => {}
        }
    }
}

fn wrong_types(value: &mut Json) {
    match value {
        Json::Object(members) => {
            let members = members.iter_mut().filter(|(name, _)| *name != "__typename");
            members.for_each(|(_, member)| wrong_types(member));
        }
        Json::Array(items) => items.iter_mut().for_each(wrong_types),
        leaf => *leaf = json!({ "not": "this" }),
    }
}
