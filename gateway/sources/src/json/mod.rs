//! JSON replies, decoded once into the shape that a plan asks for.
//!
//! Owns reading JSON text into a [`Tape`] in one pass: what nobody asked for
//! is skipped, text stays where it is in the reply, and a value of a wrong
//! type is noted and passed over. The work is driven by the shape: a property
//! is first compared with the one that should come next. Knows nothing of
//! HTTP, plans or clients.

mod envelope;
mod finish;
mod items;
mod leaf;
mod object;
mod order;
mod raw;
mod reader;
mod value;

use bytes::Bytes;
use bytes::BytesMut;
use plan::shape::ObjectShape;
use plan::shape::ReplyShape;
use plan::tape::Tape;
use plan::tape::Value;

pub(crate) use envelope::facts;
pub(crate) use envelope::reaches;
pub(crate) use envelope::response;
pub(crate) use items::items;
pub(crate) use items::joined;

use reader::Fault;
use reader::Reader;
use value::Decoder;

/// A reply that is no JSON document. The text is for the log: it never quotes the reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotJson(pub(crate) String);

impl From<Fault> for NotJson {
    fn from(fault: Fault) -> Self {
        Self(format!("not JSON: {} at byte {}", fault.what, fault.at))
    }
}

/// A reply's text: checked once, as a whole.
fn text(reply: &[u8]) -> Result<&str, NotJson> {
    simdutf8::basic::from_utf8(reply).map_err(|_| NotJson("not UTF-8".to_owned()))
}

/// Decodes one reply.
pub(crate) fn decode(reply: Bytes, shape: &ReplyShape, status: u16) -> Result<Tape, NotJson> {
    let body = reply.clone();
    let text = text(&body)?;
    let mut decoder = Decoder::new(Tape::new(reply), Reader::new(text), status);
    let root = envelope::root(&mut decoder, shape)?;
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
    let text = text(&body)?;
    let mut decoder = Decoder::new(Tape::new(joined), Reader::new(""), status);
    let mut items = Vec::new();
    let mut start = 0;
    for page in pages {
        decoder.reader = Reader::within(text, start..start + page.len());
        start += page.len();
        let root = envelope::root(&mut decoder, shape)?;
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
    let text = text(&body).ok()?;
    let mut decoder = Decoder::new(Tape::new(reply), Reader::new(text), status);
    let root = decoder.object(shape).ok()?;
    decoder.reader.end().ok()?;
    matches!(root, Value::Object { .. }).then(|| decoder.finish(root))
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
