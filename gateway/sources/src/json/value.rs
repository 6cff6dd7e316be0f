//! Any value of a shape, and lists.

use plan::shape::LeafKind;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::depth::Depth;
use super::depth::Place;
use super::depth::Skip;
use super::depth::TooDeep;
use super::leaf::LeafSeed;
use super::object::ObjectSeed;
use super::raw;

/// The state of decoding one reply.
pub(super) struct Decoder<'t> {
    pub(super) tape: Tape,
    /// The HTTP status, for fields that are read from it.
    pub(super) status: u16,
    pub(super) depth: Depth<'t>,
    /// Items of the lists that are being read, innermost last.
    items: Vec<Value>,
    /// The value of the document that is being read.
    root: Value,
}

/// Where a value goes once it is read. Values are put there rather than returned: through the
/// layers of the deserializer that costs more than reading them.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// Into a slot of the tape.
    Slot(u32),
    /// To the items of the list that is being read.
    Item,
    /// It is the document's own value.
    Root,
}

impl<'t> Decoder<'t> {
    pub(super) fn new(tape: Tape, body: &'t str, status: u16) -> Self {
        Self {
            tape,
            status,
            depth: Depth::new(body),
            items: Vec::new(),
            root: Value::Absent,
        }
    }

    /// Puts a value where it belongs.
    #[inline]
    pub(super) fn put(&mut self, to: To, value: Value) {
        match to {
            To::Slot(at) => self.tape.set(at, value),
            To::Item => self.items.push(value),
            To::Root => self.root = value,
        }
    }

    /// The value of the document that was read last.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    pub(super) fn finish(self, root: Value) -> Tape {
        let mut tape = self.tape;
        tape.root = root;
        tape
    }

    /// The place of a text that was borrowed from the reply; JSON text without escapes needs none when it is written.
    #[inline]
    pub(super) fn borrowed(&mut self, text: &str) -> Value {
        match self.tape.offset(text) {
            Some(at) => Value::Plain {
                at,
                len: text.len() as u32,
            },
            None => self.tape.own(text),
        }
    }

    pub(super) fn list(&mut self, items: &[Value]) -> Value {
        self.tape.list(items)
    }

    /// Appends a list's items; anything else has none.
    pub(super) fn items_of(&self, list: Value, out: &mut Vec<Value>) {
        if let Value::List { at, len } = list {
            out.extend_from_slice(self.tape.slots(at, len));
        }
    }

    /// Notes a value of a wrong kind.
    pub(super) fn mismatch(&mut self, expected: &str, found: &str) -> Value {
        self.tape
            .error(format!("expected {expected}, found {found}"))
    }
}

/// Reads one value as a shape.
pub(super) struct ValueSeed<'a, 't> {
    pub(super) decoder: &'a mut Decoder<'t>,
    pub(super) shape: &'a Shape,
    pub(super) to: To,
    pub(super) place: Place,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self {
            decoder,
            shape,
            to,
            place,
        } = self;
        match shape {
            Shape::Leaf(leaf) if matches!(leaf.kind, LeafKind::Json) => {
                raw::json_leaf(decoder, leaf, to, place, json)
            }
            Shape::Leaf(leaf) => LeafSeed { decoder, leaf, to }.deserialize(json),
            Shape::Object(shape) => ObjectSeed { decoder, shape, to }.deserialize(json),
            Shape::List(item) => json.deserialize_any(ListVisitor {
                decoder,
                item,
                to,
                place,
            }),
            Shape::Abstract(shape) => raw::abstract_object(decoder, shape, to, place, json),
        }
    }
}

struct ListVisitor<'a, 't> {
    decoder: &'a mut Decoder<'t>,
    item: &'a Shape,
    to: To,
    place: Place,
}

impl ListVisitor<'_, '_> {
    fn mismatch<E>(self, found: &str) -> Result<(), E> {
        let value = self.decoder.mismatch("a list", found);
        self.decoder.put(self.to, value);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ListVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self {
            decoder,
            item,
            to,
            place,
        } = self;
        let place = decoder.items_place(item, place).map_err(A::Error::custom)?;
        let first = decoder.items.len();
        while list
            .next_element_seed(ValueSeed {
                decoder: &mut *decoder,
                shape: item,
                to: To::Item,
                place,
            })?
            .is_some()
        {}
        let value = decoder.tape.list(&decoder.items[first..]);
        decoder.items.truncate(first);
        decoder.put(to, value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.decoder.put(self.to, Value::Null);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        Skip::new().visit_map(entries)?;
        self.mismatch("an object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.mismatch("a boolean")
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.mismatch("an integer")
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.mismatch("an integer")
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.mismatch("a number")
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.mismatch("a text")
    }
}

impl Decoder<'_> {
    /// Where a list's items stand. Items that will be captured are looked over with the list, since where each begins is not known.
    fn items_place(&mut self, item: &Shape, list: Place) -> Result<Place, TooDeep> {
        if !captures(item) {
            return Ok(Place::Unknown);
        }
        self.depth.guard(list)?;
        Ok(Place::Checked)
    }
}

fn captures(shape: &Shape) -> bool {
    match shape {
        Shape::Leaf(leaf) => matches!(leaf.kind, LeafKind::Json),
        Shape::List(item) => captures(item),
        Shape::Abstract(_) => true,
        Shape::Object(_) => false,
    }
}
