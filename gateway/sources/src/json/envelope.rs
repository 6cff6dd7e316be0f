//! What stands around the data: the envelope that `result:` unwraps, and what
//! a paged reply says of itself.

use bytes::Bytes;
use compose::model::Page;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use plan::tape::Value;
use serde_json::Map;
use serde_json::Value as Json;

use super::NotJson;
use super::leaf::Scalar;
use super::reader::Fault;
use super::reader::Reader;
use super::value::Decoder;
use crate::page::Facts;

/// Reads one document; an object that lacks the value gives an absent one, anything else an error.
pub(super) fn root(decoder: &mut Decoder<'_>, shape: &ReplyShape) -> Result<Value, Fault> {
    let root = decoder.unwrapped(&shape.unwrap, &shape.root)?;
    decoder.reader.end()?;
    Ok(root)
}

impl Decoder<'_> {
    fn unwrapped(&mut self, path: &[String], shape: &Shape) -> Result<Value, Fault> {
        let Some((first, rest)) = path.split_first() else {
            return self.value(shape);
        };
        if self.reader.peek()? != b'{' {
            return self.no_envelope(path);
        }
        let mut found = Value::Absent;
        let mut more = self.reader.opens(b'}')?;
        while more {
            let name = self.reader.name()?;
            match self.reader.says(name, first) {
                // Of two envelopes of one name the last counts, also when it is empty.
                true => found = self.unwrapped(rest, shape)?,
                false => {
                    self.reader.skip()?;
                }
            }
            more = self.reader.goes_on(b'}')?;
        }
        Ok(found)
    }

    /// Nothing of the kind can hold the value: the mapping or the service is wrong, and null would hide it.
    fn no_envelope(&mut self, path: &[String]) -> Result<Value, Fault> {
        match self.reader.skip()? {
            "null" => Ok(Value::Absent),
            // A number is a number here, whole or not.
            "an integer" => Ok(self.misses(path, "a number")),
            found => Ok(self.misses(path, found)),
        }
    }

    fn misses(&mut self, path: &[String], found: &str) -> Value {
        self.mismatch(&format!("an object with `{}`", path.join(".")), found)
    }
}

/// A GraphQL response as a whole.
pub(crate) struct Response<'r> {
    /// Whether it has data, be it in part.
    pub(crate) data: bool,
    /// Its errors, as written.
    pub(crate) errors: Option<&'r str>,
}

/// Reads what a GraphQL response consists of, without its data.
pub(crate) fn response(reply: &[u8]) -> Result<Response<'_>, NotJson> {
    let mut reader = Reader::new(super::text(reply)?);
    let mut response = Response {
        data: false,
        errors: None,
    };
    let mut more = reader.opens(b'}')?;
    while more {
        let name = reader.name()?;
        let place = reader.place();
        let found = reader.skip()?;
        if reader.says(name, "data") {
            response.data = found != "null";
        } else if reader.says(name, "errors") {
            response.errors = Some(reader.since(place));
        }
        more = reader.goes_on(b'}')?;
    }
    reader.end()?;
    Ok(response)
}

/// Whether objects lead along the path to a value, be it null.
pub(crate) fn reaches(reply: &[u8], path: &[String]) -> Result<bool, NotJson> {
    let mut reader = Reader::new(super::text(reply)?);
    for name in path {
        if reader.peek()? != b'{' {
            return Ok(false);
        }
        let mut more = reader.opens(b'}')?;
        while more {
            let found = reader.name()?;
            if reader.says(found, name) {
                break;
            }
            reader.skip()?;
            more = reader.goes_on(b'}')?;
        }
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads what a paged reply says of itself, without decoding its items.
pub(crate) fn facts(reply: &Bytes, unwrap: &[String], page: &Page) -> Result<Facts, NotJson> {
    let text = super::text(reply)?;
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
    let mut facts = Facts::default();
    let mut reader = Reader::new(text);
    Walk {
        facts: &mut facts,
        reader: &mut reader,
    }
    .value(&wanted)?;
    reader.end()?;
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

/// Walks the envelope towards several facts at once. Recursion follows their paths.
struct Walk<'f, 't> {
    facts: &'f mut Facts,
    reader: &'f mut Reader<'t>,
}

type Wanted<'a> = (Fact, &'a [String]);

impl Walk<'_, '_> {
    fn value(&mut self, wanted: &[Wanted<'_>]) -> Result<(), Fault> {
        let here = wanted.iter().find(|(_, path)| path.is_empty());
        let json = match self.reader.peek()? {
            b'{' => {
                self.object(wanted)?;
                Json::Object(Map::new())
            }
            b'[' => {
                let items = self.list()?;
                if here.is_some_and(|(fact, _)| *fact == Fact::Items) {
                    self.facts.items = items;
                }
                Json::Array(Vec::new())
            }
            b'"' => {
                let text = self.reader.string()?;
                Json::String(self.reader.text(text)?.into_owned())
            }
            _ => json(self.reader.scalar()?),
        };
        if let Some((fact, _)) = here {
            note(self.facts, *fact, &json);
        }
        Ok(())
    }

    fn object(&mut self, wanted: &[Wanted<'_>]) -> Result<(), Fault> {
        let mut more = self.reader.opens(b'}')?;
        while more {
            let name = self.reader.name()?;
            let name = self.reader.text(name)?;
            let below = below(wanted, &name);
            match below.is_empty() {
                true => drop(self.reader.skip()?),
                false => self.value(&below)?,
            }
            more = self.reader.goes_on(b'}')?;
        }
        Ok(())
    }

    fn list(&mut self) -> Result<usize, Fault> {
        let mut items = 0;
        let mut more = self.reader.opens(b']')?;
        while more {
            self.reader.skip()?;
            items += 1;
            more = self.reader.goes_on(b']')?;
        }
        Ok(items)
    }
}

/// What is wanted below a property.
fn below<'a>(wanted: &[Wanted<'a>], name: &str) -> Vec<Wanted<'a>> {
    let under = |(fact, path): &Wanted<'a>| match path.split_first() {
        Some((first, rest)) if first == name => Some((*fact, rest)),
        _ => None,
    };
    wanted.iter().filter_map(under).collect()
}

fn json(scalar: Scalar<'_>) -> Json {
    match scalar {
        Scalar::Bool(value) => value.into(),
        Scalar::Int(value) => value.into(),
        Scalar::UInt(value) => value.into(),
        Scalar::Float(value) => value.into(),
        _ => Json::Null,
    }
}
