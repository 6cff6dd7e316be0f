//! Any value of a shape, and lists.

use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;

use super::order::Orders;
use super::raw;
use super::reader::Fault;
use super::reader::Reader;
use super::reader::Text;

/// The state of decoding one reply.
pub(super) struct Decoder<'t> {
    pub(super) reader: Reader<'t>,
    pub(super) tape: Tape,
    /// The HTTP status, for fields that are read from it.
    pub(super) status: u16,
    pub(super) orders: Orders,
    /// Items of the lists that are being read, innermost last.
    items: Vec<Value>,
}

impl<'t> Decoder<'t> {
    /// The reader's text is the tape's reply, byte by byte.
    pub(super) fn new(tape: Tape, reader: Reader<'t>, status: u16) -> Self {
        Self {
            reader,
            tape,
            status,
            orders: Orders::default(),
            items: Vec::new(),
        }
    }

    pub(super) fn finish(self, root: Value) -> Tape {
        let mut tape = self.tape;
        tape.root = root;
        tape
    }

    /// Reads one value as a shape. Recursion follows the shape, and so is bounded by it.
    #[inline]
    pub(super) fn value(&mut self, shape: &Shape) -> Result<Value, Fault> {
        match shape {
            Shape::Leaf(leaf) => self.leaf(leaf),
            Shape::Object(shape) => self.object(shape),
            Shape::List(item) => self.list_of(item),
            Shape::Abstract(shape) => raw::abstract_object(self, shape),
        }
    }

    fn list_of(&mut self, item: &Shape) -> Result<Value, Fault> {
        match self.reader.peek()? {
            b'[' => self.items(item),
            _ => match self.reader.skip()? {
                "null" => Ok(Value::Null),
                found => Ok(self.mismatch("a list", found)),
            },
        }
    }

    fn items(&mut self, item: &Shape) -> Result<Value, Fault> {
        let first = self.items.len();
        let mut more = self.reader.opens(b']')?;
        while more {
            let value = self.value(item)?;
            self.items.push(value);
            more = self.reader.goes_on(b']')?;
        }
        let list = self.tape.list(&self.items[first..]);
        self.items.truncate(first);
        Ok(list)
    }

    /// A string as it is kept: JSON text without escapes needs none when it is written.
    #[inline]
    pub(super) fn kept(&mut self, text: Text) -> Result<Value, Fault> {
        match text.plain() {
            Some(place) => Ok(Value::Plain {
                at: place.start as u32,
                len: place.len() as u32,
            }),
            None => {
                let text = self.reader.text(text)?;
                Ok(self.tape.own(&text))
            }
        }
    }

    /// A text that may stand in the reply.
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
