//! The arguments of a directive, and of the input objects inside it.
//!
//! That each argument exists and has the right type is checked before; a value
//! of another type reads as absent here.

use std::time::Duration;

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::{Name, Node};

use super::Lowering;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::Document;
use crate::mapping::{self, Mapping, Segment, TemplatePiece, Text};

/// Named values in a document.
#[derive(Clone)]
pub(super) struct Input<'a> {
    pub(super) document: &'a Document,
    values: Vec<(&'a Name, &'a Node<Value>)>,
    /// Where it stands as a whole.
    pub(super) place: Place,
}

impl<'a> Input<'a> {
    pub(super) fn of(document: &'a Document, directive: &'a Node<Directive>) -> Self {
        let values = directive.arguments.iter();
        Input {
            document,
            values: values.map(|it| (&it.name, &it.value)).collect(),
            place: document.places.directive(directive),
        }
    }

    fn object(document: &'a Document, value: &'a Node<Value>) -> Option<Self> {
        let fields = value.as_object()?.iter();
        Some(Input {
            document,
            values: fields.map(|(name, value)| (name, value)).collect(),
            place: document.places.node(value),
        })
    }

    /// The value of a name; null is absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node<Value>> {
        let (_, value) = self.values.iter().find(|(it, _)| *it == name)?;
        (!value.is_null()).then_some(value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Where a name stands, else the whole.
    pub(super) fn at_name(&self, name: &str) -> Place {
        let found = self.values.iter().find(|(it, _)| *it == name);
        found.map_or_else(
            || self.place.clone(),
            |(it, _)| self.document.places.name(it),
        )
    }

    /// Where the value of a name stands, else the whole.
    pub(super) fn at_value(&self, name: &str) -> Place {
        let value = self.get(name);
        value.map_or_else(|| self.place.clone(), |it| self.document.places.node(it))
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.to_bool()
    }

    /// An enum value.
    pub(super) fn word(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_enum().map(Name::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.to_f64()
    }

    /// A list's items; one value stands for a list of one.
    fn items(&self, name: &str) -> Vec<&'a Node<Value>> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        match value.as_list() {
            Some(items) => items.iter().collect(),
            None => vec![value],
        }
    }

    pub(super) fn texts(&self, name: &str) -> Vec<&'a str> {
        let items = self.items(name).into_iter();
        items.filter_map(|item| item.as_str()).collect()
    }

    pub(super) fn nested(&self, name: &str) -> Option<Input<'a>> {
        Input::object(self.document, self.get(name)?)
    }

    pub(super) fn nested_list(&self, name: &str) -> Vec<Input<'a>> {
        let items = self.items(name).into_iter();
        items
            .filter_map(|item| Input::object(self.document, item))
            .collect()
    }
}

/// Values in the language of mappings. What cannot be read is reported and absent.
impl Lowering<'_> {
    pub(super) fn duration(&mut self, input: &Input<'_>, name: &str) -> Option<Duration> {
        let text = Text::of(input.get(name)?)?;
        match mapping::duration(text) {
            Ok(duration) if !duration.is_zero() => Some(duration),
            Ok(_) => {
                self.refuse(input, name, "this must be longer than nothing");
                None
            }
            Err(error) => {
                self.syntax(input.document, error);
                None
            }
        }
    }

    /// A number of at least one.
    pub(super) fn count(&mut self, input: &Input<'_>, name: &str) -> Option<u32> {
        let value = input.get(name)?.to_i32()?;
        let count = u32::try_from(value).ok().filter(|count| *count > 0);
        if count.is_none() {
            self.refuse(input, name, "this must be at least 1");
        }
        count
    }

    pub(super) fn refuse(&mut self, input: &Input<'_>, name: &str, message: &str) {
        let place = input.at_value(name);
        self.push(Diagnostic::error("INVALID_VALUE", message).at(place));
    }

    pub(super) fn mapping(&mut self, input: &Input<'_>, name: &str) -> Option<Mapping> {
        let read = mapping::mapping(input.get(name)?);
        read.map_err(|error| self.syntax(input.document, error))
            .ok()
    }

    pub(super) fn path(&mut self, input: &Input<'_>, name: &str) -> Option<Vec<Segment>> {
        let read = mapping::path(Text::of(input.get(name)?)?);
        read.map_err(|error| self.syntax(input.document, error))
            .ok()
    }

    pub(super) fn template(&mut self, input: &Input<'_>, name: &str) -> Option<Vec<TemplatePiece>> {
        let read = mapping::template(Text::of(input.get(name)?)?);
        read.map_err(|error| self.syntax(input.document, error))
            .ok()
    }
}
