//! Objects of one known type: the hot path.
//!
//! Owns finding each property's slot. The objects of a list repeat the order
//! of their properties, so the property after the last one found is tried first.

use std::ops::Range;

use plan::shape::ObjectShape;
use plan::shape::Prop;
use plan::shape::Props;
use plan::tape::Value;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::depth::Place;
use super::depth::Skip;
use super::finish;
use super::leaf::Scalar;
use super::leaf::coerce;
use super::raw;
use super::value::Decoder;
use super::value::To;
use super::value::ValueSeed;

/// Reads one object.
pub(super) struct ObjectSeed<'a, 't> {
    pub(super) decoder: &'a mut Decoder<'t>,
    pub(super) shape: &'a ObjectShape,
    pub(super) to: To,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl ObjectSeed<'_, '_> {
    /// A value that is no object: the record itself, where the shape reads one from it.
    fn itself<E>(self, scalar: Scalar<'_>) -> Result<(), E> {
        let Self { decoder, shape, to } = self;
        if shape.itself.is_empty() {
            let value = decoder.mismatch("an object", scalar.describe());
            decoder.put(to, value);
            return Ok(());
        }
        let base = decoder.begin(shape);
        for (slot, leaf) in &shape.itself {
            let value = coerce(decoder, leaf, scalar);
            decoder.tape.set(base + slot, value);
        }
        let value = finish::object(decoder, shape, base);
        decoder.put(to, value);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let Self { decoder, shape, to } = self;
        let base = decoder.begin(shape);
        decoder.fill(&shape.props, base, entries)?;
        let value = finish::object(decoder, shape, base);
        decoder.put(to, value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.decoder.put(self.to, Value::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        Skip::new().visit_seq(items)?;
        let value = self.decoder.mismatch("an object", "a list");
        self.decoder.put(self.to, value);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.itself(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.itself(Scalar::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.itself(Scalar::unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.itself(Scalar::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.itself(Scalar::Plain(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.itself(Scalar::Text(value))
    }
}

impl Decoder<'_> {
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
    fn fill<'de, A: MapAccess<'de>>(
        &mut self,
        props: &Props,
        base: u32,
        mut entries: A,
    ) -> Result<(), A::Error> {
        let mut expected = 0;
        let addresses = self.depth.addresses();
        while let Some(name) = entries.next_key_seed(NameSeed {
            props,
            expected,
            addresses: &addresses,
        })? {
            match props.0.get(name.index) {
                Some(prop) => {
                    expected = name.index + 1;
                    self.property(prop, base, name.place, &mut entries)?;
                }
                None => {
                    entries.next_value_seed(Skip::new())?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn property<'de, A: MapAccess<'de>>(
        &mut self,
        prop: &Prop,
        base: u32,
        place: Place,
        entries: &mut A,
    ) -> Result<(), A::Error> {
        match (prop.targets.as_slice(), prop.nested.0.is_empty()) {
            ([target], true) => entries.next_value_seed(ValueSeed {
                decoder: self,
                shape: &target.shape,
                to: To::Slot(base + target.slot),
                place,
            }),
            ([], _) => entries.next_value_seed(NestedSeed {
                decoder: self,
                props: &prop.nested,
                base,
            }),
            _ => self.twice(prop, base, place, entries),
        }
    }

    /// A property that several fields read: captured once, decoded for each.
    fn twice<'de, A: MapAccess<'de>>(
        &mut self,
        prop: &Prop,
        base: u32,
        place: Place,
        entries: &mut A,
    ) -> Result<(), A::Error> {
        self.depth.guard(place).map_err(A::Error::custom)?;
        let raw = entries.next_value::<sonic_rs::LazyValue<'de>>()?;
        let text = raw.as_raw_str();
        for target in &prop.targets {
            let seed = ValueSeed {
                decoder: &mut *self,
                shape: &target.shape,
                to: To::Slot(base + target.slot),
                place: Place::Checked,
            };
            raw::read(text, seed)?;
        }
        if prop.nested.0.is_empty() {
            return Ok(());
        }
        let nested = NestedSeed {
            decoder: self,
            props: &prop.nested,
            base,
        };
        raw::read(text, nested)
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

/// A property's name, looked up while it is read.
struct NameSeed<'a> {
    props: &'a Props,
    expected: usize,
    addresses: &'a Range<usize>,
}

struct Name {
    /// Index into the properties; beyond them where nobody asked for it.
    index: usize,
    place: Place,
}

impl NameSeed<'_> {
    #[inline]
    fn find(&self, name: &str) -> usize {
        let props = &self.props.0;
        let is = |prop: &Prop| *prop.name == *name;
        match props.get(self.expected) {
            Some(prop) if is(prop) => self.expected,
            _ => props.iter().position(is).unwrap_or(usize::MAX),
        }
    }
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Name, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a property's name")
    }

    #[inline]
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name, E> {
        Ok(Name {
            index: self.find(name),
            place: Place::after(name, self.addresses),
        })
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(Name {
            index: self.find(name),
            place: Place::Unknown,
        })
    }
}

/// Reads properties of a property into the slots of the same record.
struct NestedSeed<'a, 't> {
    decoder: &'a mut Decoder<'t>,
    props: &'a Props,
    base: u32,
}

impl<'de> DeserializeSeed<'de> for NestedSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.decoder.forget(self.props, self.base);
        json.deserialize_any(self)
    }
}

/// A path through anything but an object leads nowhere.
impl<'de> Visitor<'de> for NestedSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        self.decoder.fill(self.props, self.base, entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        Skip::new().visit_seq(items)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}
