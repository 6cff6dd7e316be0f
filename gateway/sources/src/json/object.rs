//! Objects of one known type: the hot path.
//!
//! Owns finding each property's slot.

use plan::shape::ObjectShape;
use plan::shape::Prop;
use plan::shape::Props;
use plan::tape::Value;

use super::finish;
use super::leaf::Scalar;
use super::leaf::coerce;
use super::order::Seen;
use super::reader::Fault;
use super::reader::Text;
use super::value::Decoder;

impl Decoder<'_> {
    /// Reads one object.
    #[inline]
    pub(super) fn object(&mut self, shape: &ObjectShape) -> Result<Value, Fault> {
        if self.reader.peek()? != b'{' {
            return self.no_object(shape);
        }
        let base = self.begin(shape);
        self.fill(&shape.props, base)?;
        Ok(finish::object(self, shape, base))
    }

    /// A value that is no object: the record itself, where the shape reads one from it.
    fn no_object(&mut self, shape: &ObjectShape) -> Result<Value, Fault> {
        let scalar = match self.reader.peek()? {
            b'"' => {
                let text = self.reader.string()?;
                return self.itself_of_text(shape, text);
            }
            b'[' => Scalar::Other(self.reader.skip()?),
            _ => self.reader.scalar()?,
        };
        match scalar {
            Scalar::Null => Ok(Value::Null),
            scalar => Ok(self.itself(shape, scalar)),
        }
    }

    fn itself_of_text(&mut self, shape: &ObjectShape, text: Text) -> Result<Value, Fault> {
        let plain = text.plain().is_some();
        let text = self.reader.text(text)?;
        let scalar = match plain {
            true => Scalar::Plain(&text),
            false => Scalar::Text(&text),
        };
        Ok(self.itself(shape, scalar))
    }

    fn itself(&mut self, shape: &ObjectShape, scalar: Scalar<'_>) -> Value {
        if shape.itself.is_empty() || matches!(scalar, Scalar::Other(_)) {
            return self.mismatch("an object", scalar.describe());
        }
        let base = self.begin(shape);
        for (slot, leaf) in &shape.itself {
            let value = coerce(self, leaf, scalar);
            self.tape.set(base + slot, value);
        }
        finish::object(self, shape, base)
    }

    /// Reserves an object's slots, with the objects that are embedded in it.
    #[inline]
    fn begin(&mut self, shape: &ObjectShape) -> u32 {
        let base = self.tape.reserve(shape.slots);
        for embedded in &shape.embedded {
            let object = Value::Object {
                at: base + embedded.at,
                layout: embedded.layout,
            };
            self.tape.set(base + embedded.slot, object);
        }
        base
    }

    /// Reads an object's properties into the slots of one record.
    #[inline]
    fn fill(&mut self, props: &Props, base: u32) -> Result<(), Fault> {
        let mut more = self.reader.opens(b'}')?;
        let order = self.orders.of(props);
        let mut place = 0;
        while more {
            let index = match self.orders.seen(order, place) {
                Some(seen) if self.reader.name_is(seen.name.clone())? => seen.index,
                _ => self.named(props, order, &mut place)?,
            };
            place += 1;
            match index {
                Some(index) => self.property(&props.0[index], base)?,
                None => {
                    self.reader.skip()?;
                }
            }
            more = self.reader.goes_on(b'}')?;
        }
        Ok(())
    }

    /// Which property begins here, where another one was expected; none that nobody asked for.
    fn named(
        &mut self,
        props: &Props,
        order: usize,
        place: &mut usize,
    ) -> Result<Option<usize>, Fault> {
        let name = self.reader.name()?;
        let reader = &self.reader;
        let find = |name: Text| {
            props
                .0
                .iter()
                .position(|prop| reader.says(name, &prop.name))
        };
        let Some(written) = name.plain() else {
            return Ok(find(name));
        };
        let same = |seen: &Seen| reader.same(&seen.name, &written);
        if let Some(found) = self.orders.find(order, *place, same) {
            *place = found;
        } else {
            let seen = Seen {
                index: find(name),
                name: written,
            };
            self.orders.remember(order, *place, seen.clone());
            return Ok(seen.index);
        }
        let known = self.orders.seen(order, *place);
        Ok(known.and_then(|seen| seen.index))
    }

    #[inline]
    fn property(&mut self, prop: &Prop, base: u32) -> Result<(), Fault> {
        match (prop.targets.as_slice(), prop.nested.0.is_empty()) {
            ([target], true) => {
                let value = self.value(&target.shape)?;
                self.tape.set(base + target.slot, value);
                Ok(())
            }
            _ => self.several(prop, base),
        }
    }

    /// A property that several fields read: once for each.
    fn several(&mut self, prop: &Prop, base: u32) -> Result<(), Fault> {
        let place = self.reader.place();
        for target in &prop.targets {
            self.reader.go_to(place);
            let value = self.value(&target.shape)?;
            self.tape.set(base + target.slot, value);
        }
        if prop.nested.0.is_empty() && !prop.targets.is_empty() {
            return Ok(());
        }
        self.reader.go_to(place);
        self.forget(&prop.nested, base);
        match self.reader.peek()? {
            b'{' => self.fill(&prop.nested, base),
            // A path through anything but an object leads nowhere.
            _ => self.reader.skip().map(drop),
        }
    }

    /// Of two properties of one name the last counts, with nothing left of the first.
    fn forget(&mut self, props: &Props, base: u32) {
        for prop in &props.0 {
            for target in &prop.targets {
                self.tape.set(base + target.slot, Value::Absent);
            }
            self.forget(&prop.nested, base);
        }
    }
}
