//! JSON replies, decoded once into the shape that a plan asks for.
//!
//! Owns reading JSON text into a [`Tape`] in one pass: what nobody asked for
//! is skipped, text stays where it is in the reply, and a value of a wrong
//! type is noted and passed over. The work is driven by a JSON deserializer
//! and the shape alone; recursion is bounded by the shape, and by
//! [`depth::MAX_DEPTH`] where the reply's own structure is followed. Knows
//! nothing of HTTP, plans or clients.

mod depth;
mod envelope;
mod finish;
mod leaf;
mod object;
mod raw;
mod value;

use bytes::Bytes;
use bytes::BytesMut;
use plan::shape::ObjectShape;
use plan::shape::ReplyShape;
use plan::tape::Tape;
use plan::tape::Value;
use serde::de::DeserializeSeed;

pub(crate) use envelope::facts;

use value::Decoder;
use value::To;

/// A reply that is no JSON document. The text is for the log: it never quotes the reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotJson(pub(crate) String);

impl From<sonic_rs::Error> for NotJson {
    fn from(error: sonic_rs::Error) -> Self {
        // The library's own text quotes the reply around the fault.
        Self(format!(
            "not JSON: {:?} error at byte {}",
            error.classify(),
            error.offset()
        ))
    }
}

impl From<std::str::Utf8Error> for NotJson {
    fn from(error: std::str::Utf8Error) -> Self {
        Self(format!("not UTF-8 at byte {}", error.valid_up_to()))
    }
}

/// Decodes one reply.
pub(crate) fn decode(reply: Bytes, shape: &ReplyShape, status: u16) -> Result<Tape, NotJson> {
    let body = reply.clone();
    // Once for the whole body: the deserializer then trusts every text in it.
    let text = std::str::from_utf8(&body)?;
    let mut decoder = Decoder::new(Tape::new(reply), text, status);
    let root = envelope::root(&mut decoder, text, shape)?;
    Ok(decoder.finish(root))
}

/// Decodes the pages of one list as if they were one reply.
pub(crate) fn decode_pages(
    pages: &[Bytes],
    shape: &ReplyShape,
    status: u16,
) -> Result<Tape, NotJson> {
    if let [page] = pages {
        return decode(page.clone(), shape, status);
    }
    let mut joined = BytesMut::with_capacity(pages.iter().map(Bytes::len).sum());
    pages.iter().for_each(|page| joined.extend_from_slice(page));
    let joined = joined.freeze();
    let body = joined.clone();
    let text = std::str::from_utf8(&body)?;
    let mut decoder = Decoder::new(Tape::new(joined), text, status);
    let mut items = Vec::new();
    let mut start = 0;
    for page in pages {
        // Each page was a text of its own, so its end is no inner byte of a character.
        let page = text.get(start..start + page.len()).unwrap_or_default();
        start += page.len();
        let root = envelope::root(&mut decoder, page, shape)?;
        decoder.items_of(root, &mut items);
    }
    let root = decoder.list(&items);
    Ok(decoder.finish(root))
}

/// Decodes the reply of an unsuccessful status as the object that stands for it. A body that is no
/// JSON object is read as an empty one: the status alone says enough.
pub(crate) fn decode_variant(reply: Bytes, shape: &ObjectShape, status: u16) -> Tape {
    match object(reply, shape, status) {
        Some(tape) => tape,
        None => object(Bytes::from_static(b"{}"), shape, status).unwrap_or_default(),
    }
}

fn object(reply: Bytes, shape: &ObjectShape, status: u16) -> Option<Tape> {
    let body = reply.clone();
    let text = std::str::from_utf8(&body).ok()?;
    let mut decoder = Decoder::new(Tape::new(reply), text, status);
    let mut json = sonic_rs::Deserializer::from_str(text);
    let seed = object::ObjectSeed {
        decoder: &mut decoder,
        shape,
        to: To::Root,
    };
    seed.deserialize(&mut json).ok()?;
    json.end().ok()?;
    let root = decoder.root();
    matches!(root, Value::Object { .. }).then(|| decoder.finish(root))
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
