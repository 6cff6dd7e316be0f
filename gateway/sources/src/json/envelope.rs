//! What stands around the data: the envelope that `result:` unwraps, and what
//! a paged reply says of itself.

use std::ops::Range;

use bytes::Bytes;
use compose::model::Page;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use plan::tape::Value;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value as Json;

use super::NotJson;
use super::depth::Place;
use super::depth::Skip;
use super::value::Decoder;
use super::value::To;
use super::value::ValueSeed;
use crate::page::Facts;

/// Reads one document; an object that lacks the value gives an absent one, anything else an error.
pub(super) fn root(
    decoder: &mut Decoder<'_>,
    document: &str,
    shape: &ReplyShape,
) -> Result<Value, NotJson> {
    let mut json = sonic_rs::Deserializer::from_str(document);
    let unwrap = Unwrap {
        decoder: &mut *decoder,
        path: &shape.unwrap,
        shape: &shape.root,
        place: Place::Start,
    };
    unwrap.deserialize(&mut json)?;
    json.end()?;
    Ok(decoder.root())
}

struct Unwrap<'a, 't> {
    decoder: &'a mut Decoder<'t>,
    path: &'a [String],
    shape: &'a Shape,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Unwrap<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        // Of two envelopes of one name the last counts, also when it is empty.
        self.decoder.put(To::Root, Value::Absent);
        if !self.path.is_empty() {
            return json.deserialize_any(self);
        }
        ValueSeed {
            decoder: self.decoder,
            shape: self.shape,
            to: To::Root,
            place: self.place,
        }
        .deserialize(json)
    }
}

impl<'de> Visitor<'de> for Unwrap<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self {
            decoder,
            path,
            shape,
            ..
        } = self;
        let Some((first, rest)) = path.split_first() else {
            Skip::new().visit_map(entries)?;
            return Ok(());
        };
        let addresses = decoder.depth.addresses();
        while let Some(name) = entries.next_key_seed(NameIs {
            wanted: first,
            addresses: &addresses,
        })? {
            if name.is {
                entries.next_value_seed(Unwrap {
                    decoder: &mut *decoder,
                    path: rest,
                    shape,
                    place: name.place,
                })?;
            } else {
                entries.next_value_seed(Skip::new())?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        Skip::new().visit_seq(items)?;
        self.no_envelope("a list");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.no_envelope("a boolean");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_envelope("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_envelope("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_envelope("a number");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.no_envelope("a text");
        Ok(())
    }
}

impl Unwrap<'_, '_> {
    /// Nothing of the kind can hold the value: the mapping or the service is wrong, and null would hide it.
    fn no_envelope(self, found: &str) {
        let expected = format!("an object with `{}`", self.path.join("."));
        let error = self.decoder.mismatch(&expected, found);
        self.decoder.put(To::Root, error);
    }
}

/// Compares a property's name with the one that is looked for.
pub(super) struct NameIs<'a> {
    pub(super) wanted: &'a str,
    pub(super) addresses: &'a Range<usize>,
}

/// The answer of [`NameIs`].
pub(super) struct NameFound {
    pub(super) is: bool,
    pub(super) place: Place,
}

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = NameFound;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<NameFound, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameIs<'_> {
    type Value = NameFound;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a property's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<NameFound, E> {
        Ok(NameFound {
            is: name == self.wanted,
            place: Place::after(name, self.addresses),
        })
    }

    fn visit_str<E>(self, name: &str) -> Result<NameFound, E> {
        Ok(NameFound {
            is: name == self.wanted,
            place: Place::Unknown,
        })
    }
}

/// Reads what a paged reply says of itself, without decoding its items.
pub(crate) fn facts(reply: &Bytes, unwrap: &[String], page: &Page) -> Result<Facts, NotJson> {
    let text = std::str::from_utf8(reply)?;
    let mut json = sonic_rs::Deserializer::from_str(text);
    let mut facts = Facts::default();
    let mut wanted = vec![(Fact::Items, unwrap)];
    let stated = [
        (Fact::Next, &page.next),
        (Fact::HasMore, &page.has_more),
        (Fact::Total, &page.total),
    ];
    wanted.extend(
        stated
            .into_iter()
            .filter_map(|(fact, path)| Some((fact, path.as_deref()?))),
    );
    let seed = FactsSeed {
        facts: &mut facts,
        wanted,
    };
    seed.deserialize(&mut json)?;
    json.end()?;
    Ok(facts)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Items,
    Next,
    HasMore,
    Total,
}

fn note(facts: &mut Facts, fact: Fact, value: &Json) {
    match fact {
        Fact::Items => {}
        Fact::Next => facts.next = cursor(value),
        Fact::HasMore => facts.has_more = Some(says_yes(value)),
        Fact::Total => facts.total = count(value),
    }
}

fn cursor(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A flag, or anything whose presence means more: the next page's address.
fn says_yes(value: &Json) -> bool {
    match value {
        Json::Bool(value) => *value,
        Json::Null => false,
        Json::String(text) => !text.is_empty() && text != "false",
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::Array(_) | Json::Object(_) => true,
    }
}

fn count(value: &Json) -> Option<u64> {
    match value {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Walks the envelope towards several facts at once.
struct FactsSeed<'f, 'a> {
    facts: &'f mut Facts,
    wanted: Vec<(Fact, &'a [String])>,
}

impl<'a> FactsSeed<'_, 'a> {
    /// What is wanted below a property.
    fn below(&self, name: &str) -> Vec<(Fact, &'a [String])> {
        let under = |(fact, path): &(Fact, &'a [String])| match path.split_first() {
            Some((first, rest)) if first == name => Some((*fact, rest)),
            _ => None,
        };
        self.wanted.iter().filter_map(under).collect()
    }

    /// The fact that stands right here.
    fn here(&self) -> Option<Fact> {
        let here = self.wanted.iter().find(|(_, path)| path.is_empty());
        here.map(|(fact, _)| *fact)
    }
}

impl<'de> DeserializeSeed<'de> for FactsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl FactsSeed<'_, '_> {
    fn note<E>(self, value: &Json) -> Result<(), E> {
        if let Some(fact) = self.here() {
            note(self.facts, fact, value);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for FactsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            let wanted = self.below(&name);
            if wanted.is_empty() {
                entries.next_value_seed(Skip::new())?;
                continue;
            }
            entries.next_value_seed(FactsSeed {
                facts: &mut *self.facts,
                wanted,
            })?;
        }
        self.note(&Json::Object(Map::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut count = 0;
        while items.next_element_seed(Skip::new())?.is_some() {
            count += 1;
        }
        if self.here() == Some(Fact::Items) {
            self.facts.items = count;
        }
        self.note(&Json::Array(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.note(&Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.note(&value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.note(&value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.note(&value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.note(&value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.note(&value.into())
    }
}
