//! Writing the response, once.
//!
//! Owns the walk over the selection, null propagation and error paths:
//! <https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>.
//! A null that may not stand is undone by cutting the buffer back to the
//! nearest place where null may.

use std::sync::Arc;

use plan::access::describe;
use plan::code::Code;
use plan::model::Condition;
use plan::model::ConditionId;
use plan::model::Origin;
use plan::model::OutField;
use plan::model::OutKind;
use plan::model::OutLeaf;
use plan::model::OutType;
use plan::model::Plan;
use plan::model::Selection;
use plan::model::Step;
use plan::model::Variables;
use plan::tape::Tape;
use plan::tape::Value;
use plan::tape::ValueError;

use crate::parents::Represented;
use crate::response::FieldError;
use crate::response::PathSegment;
use crate::store::Item;
use crate::store::ObjectAt;
use crate::store::Store;

/// Null where null may not stand: the nearest nullable parent becomes null.
enum Propagate {
    /// An error says why.
    Told,
    /// This step found no such entity, which is no error where the object may be null.
    Missing(usize),
}

type Written = Result<(), Propagate>;

/// The data and the errors beside it.
pub(crate) struct Writer<'w> {
    plan: &'w Plan,
    variables: &'w Variables,
    store: &'w Store,
    introspection: &'w [(String, String)],
    /// Which of the plan's conditions hold.
    holds: Vec<bool>,
    out: Vec<u8>,
    path: Vec<Segment<'w>>,
    errors: Vec<FieldError>,
    /// What was denied so far.
    denials: Vec<Denial<'w>>,
    /// Replies, by step and tape, whose errors as a whole are told.
    told_beside: Vec<(usize, u32)>,
}

/// Something of the operation that the caller may not see.
struct Denial<'w> {
    /// The field where it is denied: by its place in the plan, since a field may be selected twice.
    field: &'w OutField,
    /// Itself, or a type of its objects.
    what: &'w str,
    /// How many errors tell of it.
    told: usize,
    /// The last of them.
    last: usize,
}

/// So many places of one field are told one by one, whatever the length of a list; the last error counts the others.
const MOST_DENIALS: usize = 20;

/// A segment of the path while it is walked: nothing is counted or copied until an error needs it.
#[derive(Clone, Copy)]
enum Segment<'w> {
    Key(&'w Arc<str>),
    Index(u32),
}

impl Segment<'_> {
    fn owned(&self) -> PathSegment {
        match self {
            Segment::Key(key) => PathSegment::Key(Arc::clone(key)),
            Segment::Index(index) => PathSegment::Index(*index),
        }
    }
}

/// An object's place, while its fields are written.
#[derive(Clone, Copy)]
struct At<'w> {
    step: usize,
    tape: &'w Tape,
    at: u32,
}

/// Writes `{"data":…`; whether data is there, and the errors.
pub(crate) fn write(
    plan: &Plan,
    variables: &Variables,
    store: &Store,
    introspection: &[(String, String)],
) -> (Vec<u8>, bool, Vec<FieldError>) {
    let mut writer = Writer::new(plan, variables, store, introspection);
    writer.out.reserve(size_hint(store));
    writer.out.extend_from_slice(b"{\"data\":");
    let mark = writer.out.len();
    let has_data = writer.selection(None, plan.output()).is_ok();
    if !has_data {
        writer.out.truncate(mark);
        writer.out.extend_from_slice(b"null");
    }
    (writer.out, has_data, writer.errors)
}

fn size_hint(store: &Store) -> usize {
    let tapes = store.steps.iter().flat_map(|step| &step.tapes);
    128 + tapes.map(|tape| tape.bytes().len()).sum::<usize>()
}

/// What is sent of objects: selections, written like a response.
pub(crate) struct Representations<'w>(Writer<'w>);

impl<'w> Representations<'w> {
    pub(crate) fn new(plan: &'w Plan, variables: &'w Variables, store: &'w Store) -> Self {
        Self(Writer::new(plan, variables, store, &[]))
    }

    /// What `step` sends of one of its parents.
    pub(crate) fn of(
        &mut self,
        step: &'w Step,
        of_step: usize,
        parent: ObjectAt,
        selection: &'w Selection,
    ) -> Represented {
        let writer = &mut self.0;
        writer.out.clear();
        writer.errors.clear();
        // Each object's errors are its own.
        writer.denials.clear();
        writer.told_beside.clear();
        let object = At {
            step: of_step,
            tape: writer.store.steps[of_step].tape(parent.tape),
            at: parent.at,
        };
        let written = writer.selection(Some(object), selection);
        if !writer.errors.is_empty() {
            let first = writer.errors.swap_remove(0);
            let error = first.into_source(&writer.service(step.id));
            return Represented::Failed(Box::new(error));
        }
        match written {
            Ok(()) => Represented::Fields(std::mem::take(&mut writer.out)),
            Err(_) => Represented::Nothing,
        }
    }
}

impl<'w> Writer<'w> {
    fn new(
        plan: &'w Plan,
        variables: &'w Variables,
        store: &'w Store,
        introspection: &'w [(String, String)],
    ) -> Self {
        let holds = |condition: &Condition| condition.holds(variables);
        Self {
            plan,
            variables,
            store,
            introspection,
            holds: plan.conditions().iter().map(holds).collect(),
            out: Vec::new(),
            path: Vec::new(),
            errors: Vec::new(),
            denials: Vec::new(),
            told_beside: Vec::new(),
        }
    }

    fn selection(&mut self, object: Option<At<'w>>, selection: &'w Selection) -> Written {
        self.out.push(b'{');
        let start = self.out.len();
        if selection.appearances.is_empty() {
            for field in &selection.fields {
                if self.is_included(field.condition) {
                    self.member(start, object, field)?;
                }
            }
        } else {
            self.by_appearance(start, object, selection)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Variables decide where each key stands.
    fn by_appearance(
        &mut self,
        start: usize,
        object: Option<At<'w>>,
        selection: &'w Selection,
    ) -> Written {
        let mut written = vec![false; selection.fields.len()];
        for (index, condition) in &selection.appearances {
            let index = *index as usize;
            if self.is_included(*condition) && !std::mem::replace(&mut written[index], true) {
                self.member(start, object, &selection.fields[index])?;
            }
        }
        Ok(())
    }

    fn is_included(&self, condition: Option<ConditionId>) -> bool {
        condition.is_none_or(|id| self.holds[id as usize])
    }

    fn member(&mut self, start: usize, object: Option<At<'w>>, field: &'w OutField) -> Written {
        // The key is kept with its comma, which the first member goes without.
        let first = usize::from(self.out.len() == start);
        self.out.extend_from_slice(&field.key.as_bytes()[first..]);
        self.field(object, field)
    }

    fn field(&mut self, object: Option<At<'w>>, field: &'w OutField) -> Written {
        if let Origin::Const(json) = &field.from {
            self.out.extend_from_slice(json.as_bytes());
            return Ok(());
        }
        self.path.push(Segment::Key(&field.name));
        let written = match field.access {
            Some(id) if !self.holds[id as usize] => {
                self.denied(id, &field.coordinate, field, &field.ty)
            }
            _ => self.seen(object, field),
        };
        self.path.pop();
        written
    }

    /// A field that the caller may see.
    fn seen(&mut self, object: Option<At<'w>>, field: &'w OutField) -> Written {
        match (&field.from, object) {
            (Origin::Introspection, _) => self.introspected(field),
            (Origin::Root { step }, _) => {
                self.joined(*step, self.store.steps[*step].root, None, field)
            }
            (Origin::Slot(slot), Some(object)) => {
                let value = object.tape.get(object.at + slot);
                match value {
                    // An input that is a field of its own stands in a join slot.
                    Value::Join(_) | Value::JoinList { .. } | Value::Failed(_) => {
                        self.null(object.step, field, &field.ty)
                    }
                    value => self.value(object.step, object.tape, value, &field.ty, field),
                }
            }
            (Origin::Joined { join, step, slot }, Some(object)) => {
                let value = object.tape.get(object.at + join);
                self.joined(*step, value, Some(*slot), field)
            }
            (Origin::Join { join, step }, Some(object)) => {
                let value = object.tape.get(object.at + join);
                self.joined(*step, value, None, field)
            }
            // Only constants and roots stand outside of an object.
            _ => Err(Propagate::Told),
        }
    }

    fn introspected(&mut self, field: &'w OutField) -> Written {
        let known = self
            .introspection
            .iter()
            .find(|(key, _)| **key == *field.name);
        let json = known.map_or("null", |(_, json)| json.as_str());
        self.out.extend_from_slice(json.as_bytes());
        Ok(())
    }

    /// What another step has brought: the value itself, or one slot of it.
    fn joined(
        &mut self,
        step: usize,
        value: Value,
        slot: Option<u32>,
        field: &'w OutField,
    ) -> Written {
        let store = self.store;
        let data = &store.steps[step];
        match value {
            Value::Join(item) => {
                let item = data.item(item);
                let tape = data.tape(item.tape);
                if !tape.beside().is_empty() && !matches!(item.value, Value::Error(_)) {
                    self.tell_beside((step, item.tape), tape, slot, field);
                }
                match (slot, item.value) {
                    (None, value) => self.value(step, tape, value, &field.ty, field),
                    (Some(slot), Value::Object { at, .. }) => {
                        self.value(step, tape, tape.get(at + slot), &field.ty, field)
                    }
                    (Some(_), Value::Error(error)) => {
                        self.value(step, tape, Value::Error(error), &field.ty, field)
                    }
                    _ => self.missing(step, slot, field),
                }
            }
            Value::JoinList { at, len } => {
                let items = &data.items[at as usize..(at + len) as usize];
                for item in items {
                    let tape = data.tape(item.tape);
                    if !tape.beside().is_empty() {
                        self.tell_beside((step, item.tape), tape, slot, field);
                    }
                }
                self.item_list(step, items, field)
            }
            Value::Failed(failure) => {
                let error = FieldError::of_source(&data.failures[failure as usize]);
                self.fail(error, field, &field.ty)
            }
            _ => self.missing(step, slot, field),
        }
    }

    /// The step has nothing for the object. A slot of an entity that does not exist takes the entity away.
    fn missing(&mut self, step: usize, slot: Option<u32>, field: &'w OutField) -> Written {
        match slot {
            Some(_) if !field.ty.nullable => Err(Propagate::Missing(step)),
            _ => self.null(step, field, &field.ty),
        }
    }

    fn item_list(&mut self, step: usize, items: &[Item], field: &'w OutField) -> Written {
        let OutKind::List(ty) = &field.ty.kind else {
            return self.null(step, field, &field.ty);
        };
        let store = self.store;
        let values = items.iter().map(|item| {
            let tape = store.steps[step].tape(item.tape);
            (tape, item.value)
        });
        self.caught(field, &field.ty, |writer| {
            writer.list(step, values, ty, field)
        })
    }

    fn list(
        &mut self,
        step: usize,
        values: impl Iterator<Item = (&'w Tape, Value)>,
        ty: &'w OutType,
        field: &'w OutField,
    ) -> Written {
        self.out.push(b'[');
        for (index, (tape, value)) in values.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Segment::Index(index as u32));
            let written = self.value(step, tape, value, ty, field);
            self.path.pop();
            written?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A value on a tape, as the type says.
    fn value(
        &mut self,
        step: usize,
        tape: &'w Tape,
        value: Value,
        ty: &'w OutType,
        field: &'w OutField,
    ) -> Written {
        match value {
            Value::Null | Value::Absent => return self.null(step, field, ty),
            Value::Error(error) => return self.value_error(step, tape, error, field, ty),
            _ => {}
        }
        match &ty.kind {
            OutKind::Leaf(leaf) => {
                self.leaf(tape, value, leaf);
                Ok(())
            }
            OutKind::List(item) => match value {
                Value::List { at, len } => {
                    let values = tape.slots(at, len).iter().map(|value| (tape, *value));
                    self.caught(field, ty, |writer| writer.list(step, values, item, field))
                }
                _ => self.null(step, field, ty),
            },
            OutKind::Object(selections) => match value {
                Value::Object { at, layout } => {
                    let Some((_, selection)) = selections.iter().find(|(l, _)| *l == layout) else {
                        return self.null(step, field, ty);
                    };
                    if let Some(id) = selection.access.filter(|id| !self.holds[*id as usize]) {
                        let data = &self.plan.steps()[step];
                        let name = &data.shape.layouts[layout as usize].ty;
                        return self.denied(id, name, field, ty);
                    }
                    let object = At { step, tape, at };
                    if let (true, [itself]) = (selection.is_another, &selection.fields[..]) {
                        return self.seen(Some(object), itself);
                    }
                    self.caught(field, ty, |writer| {
                        writer.selection(Some(object), selection)
                    })
                }
                _ => self.null(step, field, ty),
            },
        }
    }

    /// Runs `write`; where null propagates to a type that may be null, null it is.
    fn caught(
        &mut self,
        field: &'w OutField,
        ty: &'w OutType,
        write: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        let mark = self.out.len();
        let depth = self.path.len();
        let Err(why) = write(self) else {
            return Ok(());
        };
        self.out.truncate(mark);
        self.path.truncate(depth);
        match why {
            Propagate::Missing(step) => self.null(step, field, ty),
            Propagate::Told if ty.nullable => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            Propagate::Told => Err(Propagate::Told),
        }
    }

    fn null(&mut self, step: usize, field: &'w OutField, ty: &'w OutType) -> Written {
        if ty.nullable {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        let message = format!(
            "{} may not be null, and its source gave no value.",
            field.coordinate
        );
        self.invalid(step, message, field, ty)
    }

    fn value_error(
        &mut self,
        step: usize,
        tape: &Tape,
        error: u32,
        field: &'w OutField,
        ty: &'w OutType,
    ) -> Written {
        match tape.value_error(error) {
            ValueError::Mismatch(message) => self.invalid(step, message.clone(), field, ty),
            ValueError::Told(error) => self.fail(FieldError::of_source(error), field, ty),
        }
    }

    /// What a reply says went wrong at none of its values: once, where the reply is first written.
    fn tell_beside(
        &mut self,
        (step, at): (usize, u32),
        tape: &Tape,
        slot: Option<u32>,
        field: &'w OutField,
    ) {
        if self.told_beside.contains(&(step, at)) {
            return;
        }
        self.told_beside.push((step, at));
        // A slot of what the step brought stands one field below it.
        let depth = self.path.len() - usize::from(slot.is_some());
        let errors = tape.beside().iter().map(|at| tape.value_error(*at));
        for error in errors {
            if let ValueError::Told(error) = error {
                let mut error = FieldError::of_source(error);
                error.location = field.location.filter(|_| slot.is_none());
                error.path = self.path[..depth].iter().map(Segment::owned).collect();
                self.errors.push(error);
            }
        }
    }

    /// The step's reply is not as declared.
    fn invalid(
        &mut self,
        step: usize,
        message: String,
        field: &'w OutField,
        ty: &'w OutType,
    ) -> Written {
        let mut error = FieldError::new(Code::UpstreamInvalidResponse, message);
        error.service = Some(self.service(step));
        self.fail(error, field, ty)
    }

    fn service(&self, step: usize) -> Arc<str> {
        let graph = self.plan.supergraph();
        let source = graph.resolver(self.plan.steps()[step].resolver).source;
        Arc::from(graph.source(source).name.as_str())
    }

    fn fail(&mut self, mut error: FieldError, field: &'w OutField, ty: &'w OutType) -> Written {
        error.path = self.path.iter().map(Segment::owned).collect();
        error.location = field.location;
        self.errors.push(error);
        self.nulled(ty)
    }

    /// Null, of which an error tells already.
    fn nulled(&mut self, ty: &OutType) -> Written {
        if ty.nullable {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        Err(Propagate::Told)
    }

    /// Null, and why; past the first places of a field only how many more there are.
    fn denied(
        &mut self,
        access: ConditionId,
        what: &'w str,
        field: &'w OutField,
        ty: &'w OutType,
    ) -> Written {
        let last = self.errors.len();
        let same = |it: &&mut Denial<'_>| std::ptr::eq(it.field, field) && it.what == what;
        match self.denials.iter_mut().find(same) {
            Some(known) if known.told == MOST_DENIALS => {
                self.errors[known.last].further += 1;
                return self.nulled(ty);
            }
            Some(known) => (known.told, known.last) = (known.told + 1, last),
            None => self.denials.push(Denial {
                field,
                what,
                told: 1,
                last,
            }),
        }
        let error = self.denial(access, what);
        self.fail(error, field, ty)
    }

    fn denial(&self, access: ConditionId, what: &str) -> FieldError {
        match self.plan.denial(access, self.variables) {
            Some((demand, verdict)) => {
                FieldError::new(verdict.code(), describe(what, demand, verdict))
            }
            None => FieldError::new(Code::Forbidden, format!("{what} is denied.")),
        }
    }

    fn leaf(&mut self, tape: &Tape, value: Value, leaf: &OutLeaf) {
        match (value, leaf) {
            (Value::Plain { at, len }, _) => self.plain(tape, at, len),
            (Value::Text { at, len }, _) => escape(&mut self.out, tape.raw(at, len)),
            (Value::RawJson { at, len }, _) => self.out.extend_from_slice(tape.raw(at, len)),
            (Value::Bool(value), _) => {
                let text: &[u8] = if value { b"true" } else { b"false" };
                self.out.extend_from_slice(text);
            }
            (Value::Int(value), OutLeaf::Text) => {
                self.quoted(itoa::Buffer::new().format(value).as_bytes());
            }
            (Value::UInt(value), OutLeaf::Text) => {
                self.quoted(itoa::Buffer::new().format(value).as_bytes());
            }
            (Value::Int(value), _) => {
                self.out
                    .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            (Value::UInt(value), _) => {
                self.out
                    .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            (Value::Float(value), _) => float(&mut self.out, value),
            (Value::Enum(index), OutLeaf::Enum(values)) => {
                self.quoted(values.names[index as usize].as_bytes());
            }
            (Value::Owned { .. }, _) => {
                escape(
                    &mut self.out,
                    tape.str(value).unwrap_or_default().as_bytes(),
                );
            }
            (value, _) => {
                let json = tape.str(value).unwrap_or("null");
                self.out.extend_from_slice(json.as_bytes());
            }
        }
    }

    /// Text of a JSON reply stands between quotes already: they are taken along in one copy.
    fn plain(&mut self, tape: &Tape, at: u32, len: u32) {
        match tape.quoted(at, len) {
            Some(quoted) => self.out.extend_from_slice(quoted),
            None => self.quoted(tape.raw(at, len)),
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }
}

/// The shortest text that reads back as the same number; a whole one without a fraction.
fn float(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc8259#section-7>
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut start = 0;
    for (index, byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&text[start..index]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"00");
            out.extend_from_slice(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
        }
        start = index + 1;
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_json_wants_it() {
        for text in [
            "plain",
            "a\"b\\c",
            "line\nbreak\r\t",
            "\u{0}\u{1f}",
            "é漢😀",
            "",
        ] {
            let mut out = Vec::new();
            escape(&mut out, text.as_bytes());
            let back: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(back, text);
        }
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction() {
        let written = |value: f64| {
            let mut out = Vec::new();
            float(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(3.0), "3");
        assert_eq!(written(0.1), "0.1");
        assert_eq!(written(-2.5e300), "-2.5e+300");
        assert_eq!(written(1e15), "1000000000000000.0");
    }
}
