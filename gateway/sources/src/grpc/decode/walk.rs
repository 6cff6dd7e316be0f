//! The walk over a reply's bytes.
//!
//! Owns running a [`Program`]: each message is gone through once, the records
//! that are wanted are noted, and then each wanted field is placed in its
//! slots. Noting first and placing later gives protobuf's meaning for records
//! that come more than once: the last scalar wins, lists go on, messages merge
//! as if their encodings were put together, and a oneof is its last member.
//! Recursion is bounded by the program, which is a finite tree.

use std::ops::Range;

use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use prost_reflect::FieldDescriptor;

use super::Malformed;
use super::finish;
use super::finish::Status;
use super::json::JsonReader;
use super::json::NoJson;
use super::json::ScalarMap;
use super::json::Style;
use super::layout::FieldLayout;
use super::place;
use super::program::AbstractItem;
use super::program::Collect;
use super::program::FieldRead;
use super::program::FieldReads;
use super::program::Fields;
use super::program::Item;
use super::program::MemberName;
use super::program::Numbered;
use super::program::ObjectItem;
use super::program::Program;
use super::program::Root;
use super::scalar;
use super::scalar::Scalar;
use super::scalar::ScalarKind;
use super::wire::Raw;
use super::wire::Reader;
use super::wire::Wire;

/// Slots of one reply: a message of two bytes may ask for many slots, so bytes alone are no bound.
const MAX_SLOTS: u32 = 1 << 24;

/// What a value without a declared type is read as.
const CUSTOM_SCALAR: Leaf = Leaf {
    kind: LeafKind::Json,
    format: None,
};

/// Ends a chain of records.
const END: u32 = u32::MAX;

/// Runs a program over the messages of one reply, which lie in the tape's bytes.
pub(super) fn run(
    program: &Program,
    tape: &mut Tape,
    messages: &[Range<usize>],
    status: Status<'_>,
) -> Result<Value, Malformed> {
    let bytes = tape.bytes().clone();
    let mut walker = Walker {
        reply: &bytes,
        tape,
        status,
        records: Vec::new(),
        heads: Vec::new(),
        last_set: Vec::new(),
    };
    match (&program.root, messages) {
        (Root::Streamed(collect), messages) => walker.streamed(collect, messages),
        (Root::Mismatch(message), _) => Ok(walker.tape.error(message.as_str())),
        (root, [message]) => walker.root(root, message),
        (root, pages) => walker.pages(root, pages),
    }
}

/// Reads leaves of a message into the slots from 0.
pub(super) fn slots(fields: &Fields, tape: &mut Tape, count: u32) -> Result<(), Malformed> {
    let bytes = tape.bytes().clone();
    let whole = 0..bytes.len();
    let base = tape.reserve(count);
    let mut walker = Walker {
        reply: &bytes,
        tape,
        status: Status::OK,
        records: Vec::new(),
        heads: Vec::new(),
        last_set: Vec::new(),
    };
    walker.fields(fields, Input::One(raw(&whole)), base)
}

fn raw(range: &Range<usize>) -> Raw {
    Raw::Range {
        at: range.start as u32,
        len: range.len() as u32,
    }
}

/// What a value is read from.
#[derive(Clone, Copy)]
enum Input {
    /// The field is absent: a scalar is its zero, a message is empty.
    Nothing,
    One(Raw),
    /// Several records of one message, merged: the first of a chain.
    Chain(u32),
}

/// A record of a field, and the field's next.
struct Record {
    raw: Raw,
    next: u32,
}

/// What was noted of one wanted field.
#[derive(Clone, Copy)]
struct Head {
    count: u32,
    /// The last record.
    raw: Raw,
    first: u32,
    last: u32,
}

const EMPTY: Head = Head {
    count: 0,
    raw: Raw::Number(0),
    first: END,
    last: END,
};

/// Where one message's notes begin.
#[derive(Clone, Copy)]
struct Frame {
    records: usize,
    heads: usize,
    oneofs: usize,
}

struct Walker<'a> {
    reply: &'a [u8],
    tape: &'a mut Tape,
    status: Status<'a>,
    // Notes of the messages that are open, as stacks.
    records: Vec<Record>,
    heads: Vec<Head>,
    last_set: Vec<u32>,
}

impl Walker<'_> {
    fn root(&mut self, root: &Root, message: &Range<usize>) -> Result<Value, Malformed> {
        let input = Input::One(raw(message));
        match root {
            Root::Message(item) => self.item(item, input),
            Root::Unwrapped(fields) => {
                let slot = self.reserve(1)?;
                self.fields(fields, input, slot)?;
                Ok(self.tape.get(slot))
            }
            Root::Streamed(_) | Root::Mismatch(_) => Ok(Value::Absent),
        }
    }

    /// The pages of one list, as if they were one reply.
    fn pages(&mut self, root: &Root, pages: &[Range<usize>]) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        for page in pages {
            if let Value::List { at, len } = self.root(root, page)? {
                items.extend_from_slice(self.tape.slots(at, len));
            }
        }
        self.list(&items)
    }

    fn streamed(
        &mut self,
        collect: &Collect,
        messages: &[Range<usize>],
    ) -> Result<Value, Malformed> {
        let mut items = Vec::with_capacity(messages.len());
        for range in messages {
            self.collect(collect, Input::One(raw(range)), &mut items)?;
        }
        self.list(&items)
    }

    fn list(&mut self, items: &[Value]) -> Result<Value, Malformed> {
        let at = self.reserve(items.len())?;
        for (slot, value) in (at..).zip(items) {
            self.tape.set(slot, *value);
        }
        Ok(Value::List {
            at,
            len: items.len() as u32,
        })
    }

    fn reserve(&mut self, count: usize) -> Result<u32, Malformed> {
        let room = u32::try_from(count)
            .ok()
            .filter(|count| *count <= MAX_SLOTS);
        let at = self.tape.reserve(room.unwrap_or(0));
        match room {
            Some(count) if at <= MAX_SLOTS - count => Ok(at),
            _ => Err(Malformed::new("the message holds too many values")),
        }
    }
}

/// Noting.
impl Walker<'_> {
    fn open(&mut self, fields: &Fields) -> Frame {
        let frame = Frame {
            records: self.records.len(),
            heads: self.heads.len(),
            oneofs: self.last_set.len(),
        };
        self.heads.resize(frame.heads + fields.reads.len(), EMPTY);
        self.last_set.resize(frame.oneofs + fields.oneofs, 0);
        frame
    }

    fn close(&mut self, frame: Frame) {
        self.records.truncate(frame.records);
        self.heads.truncate(frame.heads);
        self.last_set.truncate(frame.oneofs);
    }

    fn note_all(&mut self, fields: &Fields, input: Input, frame: Frame) -> Result<(), Malformed> {
        match input {
            Input::Nothing => Ok(()),
            Input::One(raw) => self.note_part(fields, raw, frame),
            Input::Chain(mut at) => {
                while at != END {
                    let Record { raw, next } = self.records[at as usize];
                    self.note_part(fields, raw, frame)?;
                    at = next;
                }
                Ok(())
            }
        }
    }

    fn note_part(&mut self, fields: &Fields, part: Raw, frame: Frame) -> Result<(), Malformed> {
        let mut reader = Reader::new(self.reply, part.range());
        while let Some((number, wire)) = reader.tag()? {
            match fields.find(number) {
                None => reader.skip(number, wire)?,
                Some(numbered) => {
                    self.note(fields, numbered, &mut reader, (number, wire), frame)?
                }
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        fields: &Fields,
        numbered: &Numbered,
        reader: &mut Reader<'_>,
        (number, wire): (u32, Wire),
        frame: Frame,
    ) -> Result<(), Malformed> {
        if !numbered.layout.accepts(wire) {
            return Err(Malformed::wire_type(&numbered.field));
        }
        let raw = reader.raw(number, wire)?;
        let was_unset = self.set_member(numbered, number, frame);
        let Some(read) = numbered.read else {
            return Ok(());
        };
        let head = frame.heads + read as usize;
        if was_unset {
            self.heads[head] = EMPTY;
        }
        if fields.reads[read as usize].every_record {
            self.append(head, raw);
        }
        self.heads[head].raw = raw;
        self.heads[head].count += 1;
        Ok(())
    }

    /// Whether another member of the oneof was set before, so that this one begins anew.
    fn set_member(&mut self, numbered: &Numbered, number: u32, frame: Frame) -> bool {
        match numbered.oneof {
            None => false,
            Some(oneof) => {
                let last = &mut self.last_set[frame.oneofs + oneof as usize];
                std::mem::replace(last, number) != number
            }
        }
    }

    fn append(&mut self, head: usize, raw: Raw) {
        let at = self.records.len() as u32;
        self.records.push(Record { raw, next: END });
        let head = &mut self.heads[head];
        match head.last {
            END => head.first = at,
            last => self.records[last as usize].next = at,
        }
        head.last = at;
    }

    /// What was noted of a field, unless another member of its oneof was set later.
    fn noted(&self, frame: Frame, index: usize, read: &FieldReads) -> Head {
        match read.oneof {
            Some(oneof) if self.last_set[frame.oneofs + oneof as usize] != read.number => EMPTY,
            _ => self.heads[frame.heads + index],
        }
    }
}

/// Placing.
impl Walker<'_> {
    /// Reads a message into the slots from `base`.
    fn fields(&mut self, fields: &Fields, input: Input, base: u32) -> Result<(), Malformed> {
        let frame = self.open(fields);
        self.note_all(fields, input, frame)?;
        for (index, read) in fields.reads.iter().enumerate() {
            let head = self.noted(frame, index, read);
            if let Some(nested) = read
                .nested
                .as_ref()
                .filter(|_| head.count > 0 || !read.presence)
            {
                self.fields(nested, head.message(), base)?;
            }
            for (slot, target) in &read.targets {
                let value = self.field(target, read, head)?;
                self.tape.set(base + slot, value);
            }
        }
        for member in &fields.members {
            self.member(member, frame, base);
        }
        self.close(frame);
        Ok(())
    }

    fn member(&mut self, member: &MemberName, frame: Frame, base: u32) {
        let last = self.last_set[frame.oneofs + member.oneof as usize];
        let Some((_, name)) = member.names.iter().find(|(number, _)| *number == last) else {
            return;
        };
        for (slot, leaf) in &member.targets {
            let value = scalar::leaf(self.tape, Scalar::Text(name), leaf);
            self.tape.set(base + slot, value);
        }
    }

    fn field(
        &mut self,
        target: &FieldRead,
        read: &FieldReads,
        head: Head,
    ) -> Result<Value, Malformed> {
        if head.count == 0 && read.presence {
            return Ok(Value::Absent);
        }
        match target {
            FieldRead::One(item) => self.item(item, head.value(read.every_record)),
            FieldRead::Many(item) => self.many(item, read.layout, head),
            FieldRead::Below(collect) => {
                let mut items = Vec::new();
                self.each(head, |walker, raw| {
                    walker.collect(collect, Input::One(raw), &mut items)
                })?;
                self.list(&items)
            }
            FieldRead::Map {
                key,
                value,
                layouts,
                field,
            } => match self.map_of_scalars((key, value), *layouts, head)? {
                Some(object) => Ok(self.tape.own_json(&object)),
                None => {
                    let shape = Shape::Leaf(CUSTOM_SCALAR);
                    self.field_as_json(field, head, (&[], &shape, Style::Client))
                }
            },
            FieldRead::Json {
                field,
                path,
                shape,
                style,
            } => self.field_as_json(field, head, (path, shape, *style)),
            FieldRead::Mismatch(message) => Ok(self.tape.error(message.as_str())),
        }
    }

    fn many(&mut self, item: &Item, layout: FieldLayout, head: Head) -> Result<Value, Malformed> {
        let reply = self.reply;
        let mut len = 0;
        self.each(head, |_, raw| {
            len += layout.count(reply, raw);
            Ok(())
        })?;
        let at = self.reserve(len)?;
        let mut slots = at..;
        self.each(head, |walker, raw| {
            walker.each_value(layout, raw, |walker, raw| {
                let value = walker.item(item, Input::One(raw))?;
                if let Some(slot) = slots.next() {
                    walker.tape.set(slot, value);
                }
                Ok(())
            })
        })?;
        Ok(Value::List {
            at,
            len: len as u32,
        })
    }

    fn each(
        &mut self,
        head: Head,
        mut visit: impl FnMut(&mut Self, Raw) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut at = head.first;
        while at != END {
            let Record { raw, next } = self.records[at as usize];
            visit(self, raw)?;
            at = next;
        }
        Ok(())
    }

    /// The values of one record: many where they are packed.
    fn each_value(
        &mut self,
        layout: FieldLayout,
        raw: Raw,
        mut visit: impl FnMut(&mut Self, Raw) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if !layout.is_packed(raw) {
            return visit(self, raw);
        }
        for number in layout.unpack(self.reply, raw.range()) {
            visit(self, number?)?;
        }
        Ok(())
    }

    fn collect(
        &mut self,
        collect: &Collect,
        input: Input,
        items: &mut Vec<Value>,
    ) -> Result<(), Malformed> {
        let (fields, next) = match collect {
            Collect::Item(item) => {
                let value = self.item(item, input)?;
                items.push(value);
                return Ok(());
            }
            Collect::Through(fields, next) => (fields, next),
        };
        let frame = self.open(fields);
        self.note_all(fields, input, frame)?;
        let read = &fields.reads[0];
        let head = self.noted(frame, 0, read);
        if numbered_list(fields, read) {
            self.each(head, |walker, raw| {
                walker.each_value(read.layout, raw, |walker, raw| {
                    walker.collect(next, Input::One(raw), items)
                })
            })?;
        } else if head.count == 0 && read.presence {
            items.push(Value::Null);
        } else {
            self.collect(next, head.value(read.every_record), items)?;
        }
        self.close(frame);
        Ok(())
    }

    fn item(&mut self, item: &Item, input: Input) -> Result<Value, Malformed> {
        match item {
            Item::Scalar { kind, leaf } => {
                let scalar = read_scalar(kind, self.reply, input);
                Ok(scalar::leaf(self.tape, scalar, leaf))
            }
            Item::Wrapper { kind, layout, leaf } => {
                let [value] = self.numbers(input, [(1, *layout)])?;
                let input = value.map_or(Input::Nothing, Input::One);
                let scalar = read_scalar(kind, self.reply, input);
                Ok(scalar::leaf(self.tape, scalar, leaf))
            }
            Item::Timestamp(leaf) => {
                let (seconds, nanos) = self.seconds_and_nanos(input)?;
                let text = scalar::timestamp(seconds, nanos);
                Ok(self.text(text, leaf, "a time out of range"))
            }
            Item::Duration(leaf) => {
                let (seconds, nanos) = self.seconds_and_nanos(input)?;
                let text = scalar::duration(seconds, nanos);
                Ok(self.text(text, leaf, "a duration out of range"))
            }
            Item::Object(object) => self.object(object, input),
            Item::Abstract(item) => self.abstract_item(item, input),
            Item::Json {
                message,
                shape,
                style,
            } => {
                let parts = self.parts(input);
                let json = JsonReader::new(self.reply, *style).message(message, &parts);
                self.json(json, &[], shape)
            }
            Item::Mismatch(message) => Ok(self.tape.error(message.as_str())),
        }
    }

    fn text(&mut self, text: Option<String>, leaf: &Leaf, otherwise: &'static str) -> Value {
        let scalar = match &text {
            Some(text) => Scalar::Text(text),
            None => Scalar::Invalid(otherwise),
        };
        scalar::leaf(self.tape, scalar, leaf)
    }

    fn object(&mut self, object: &ObjectItem, input: Input) -> Result<Value, Malformed> {
        let shape = &*object.shape;
        let base = self.reserve(shape.slots as usize)?;
        finish::begin(self.tape, shape, base);
        self.fields(&object.fields, input, base)?;
        for (slot, item) in &object.itself {
            let value = self.item(item, input)?;
            self.tape.set(base + slot, value);
        }
        finish::finish(self.tape, shape, base, self.status);
        Ok(Value::Object {
            at: base,
            layout: shape.layout,
        })
    }

    fn abstract_item(&mut self, item: &AbstractItem, input: Input) -> Result<Value, Malformed> {
        let slot = self.reserve(1)?;
        self.fields(&item.discriminator, input, slot)?;
        let found = finish::text_of(self.tape, self.tape.get(slot));
        match finish::variant(&item.shape, found.as_deref()) {
            Some(at) => self.object(&item.variants[at], input),
            None => Ok(finish::no_variant(self.tape, &item.shape)),
        }
    }

    /// The object of a map's entries; nothing where an entry needs more care than it takes here.
    fn map_of_scalars(
        &mut self,
        (key, value): (&ScalarKind, &ScalarKind),
        [key_layout, value_layout]: [FieldLayout; 2],
        head: Head,
    ) -> Result<Option<String>, Malformed> {
        let reply = self.reply;
        let mut object = ScalarMap::default();
        self.each(head, |walker, raw| {
            let fields = [(1, key_layout), (2, value_layout)];
            let [name, member] = walker.numbers(Input::One(raw), fields)?;
            let scalar = |kind, raw: Option<Raw>| {
                read_scalar(kind, reply, raw.map_or(Input::Nothing, Input::One))
            };
            object.insert(scalar(key, name), scalar(value, member));
            Ok(())
        })?;
        Ok(object.finish())
    }

    fn field_as_json(
        &mut self,
        field: &FieldDescriptor,
        head: Head,
        (path, shape, style): (&[String], &Shape, Style),
    ) -> Result<Value, Malformed> {
        let mut records = Vec::new();
        self.each(head, |_, raw| {
            records.push(raw);
            Ok(())
        })?;
        let json = JsonReader::new(self.reply, style).field(field, &records);
        self.json(json, path, shape)
    }

    fn json(
        &mut self,
        json: Result<serde_json::Value, NoJson>,
        path: &[String],
        shape: &Shape,
    ) -> Result<Value, Malformed> {
        match json {
            Ok(json) => match path.iter().try_fold(&json, |value, name| value.get(name)) {
                Some(value) => Ok(place::place(self.tape, value, shape, self.status)),
                None => Ok(Value::Absent),
            },
            Err(NoJson::Value(found)) => Ok(scalar::mismatch(self.tape, &LeafKind::Json, found)),
            Err(NoJson::Malformed(malformed)) => Err(malformed),
        }
    }

    fn parts(&self, input: Input) -> Vec<Range<usize>> {
        match input {
            Input::Nothing => Vec::new(),
            Input::One(raw) => vec![raw.range()],
            Input::Chain(first) => {
                let next = |at: &u32| Some(self.records[*at as usize].next).filter(|at| *at != END);
                std::iter::successors(Some(first), next)
                    .map(|at| self.records[at as usize].raw.range())
                    .collect()
            }
        }
    }

    fn seconds_and_nanos(&self, input: Input) -> Result<(i64, i64), Malformed> {
        let varint = FieldLayout::VARINT;
        let [seconds, nanos] = self.numbers(input, [(1, varint), (2, varint)])?;
        let number = |raw| match raw {
            Some(Raw::Number(number)) => number,
            _ => 0,
        };
        Ok((number(seconds) as i64, i64::from(number(nanos) as i32)))
    }

    /// The last records of a few fields of a small message.
    fn numbers<const N: usize>(
        &self,
        input: Input,
        fields: [(u32, FieldLayout); N],
    ) -> Result<[Option<Raw>; N], Malformed> {
        let mut found = [None; N];
        match input {
            Input::Nothing => {}
            Input::One(raw) => numbers_of(self.reply, raw.range(), fields, &mut found)?,
            Input::Chain(_) => {
                for part in self.parts(input) {
                    numbers_of(self.reply, part, fields, &mut found)?;
                }
            }
        }
        Ok(found)
    }
}

fn numbers_of<const N: usize>(
    reply: &[u8],
    part: Range<usize>,
    fields: [(u32, FieldLayout); N],
    found: &mut [Option<Raw>; N],
) -> Result<(), Malformed> {
    let mut reader = Reader::new(reply, part);
    while let Some((number, wire)) = reader.tag()? {
        match fields.iter().position(|(wanted, _)| *wanted == number) {
            Some(at) if fields[at].1.accepts(wire) => found[at] = Some(reader.raw(number, wire)?),
            Some(_) => return Err(Malformed::new("a well-known type is not as it is defined")),
            None => reader.skip(number, wire)?,
        }
    }
    Ok(())
}

impl Head {
    /// A message from all its records.
    fn message(self) -> Input {
        match self.count {
            0 => Input::Nothing,
            1 => Input::One(self.raw),
            _ => Input::Chain(self.first),
        }
    }

    fn value(self, every_record: bool) -> Input {
        match self.count {
            0 => Input::Nothing,
            _ if every_record => self.message(),
            _ => Input::One(self.raw),
        }
    }
}

fn numbered_list(fields: &Fields, read: &FieldReads) -> bool {
    fields
        .find(read.number)
        .is_some_and(|numbered| numbered.field.is_list())
}

fn read_scalar<'a>(kind: &'a ScalarKind, reply: &'a [u8], input: Input) -> Scalar<'a> {
    match input {
        Input::One(raw) => kind.read(reply, raw),
        Input::Nothing | Input::Chain(_) => kind.zero(),
    }
}
