//! What a paged reply says of itself.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::Page;
use plan::shape::Leaf;
use plan::shape::LeafKind;
use plan::shape::ObjectShape;
use plan::shape::Props;
use plan::shape::Shape;
use plan::tape::Tape;
use plan::tape::Value;
use prost_reflect::Kind;
use prost_reflect::MessageDescriptor;

use super::Malformed;
use super::finish;
use super::program::Fields;
use super::program::fields_at;
use super::walk;
use crate::page::Facts;

// The slots that are read.
const ITEMS: u32 = 0;
const NEXT: u32 = 1;
const HAS_MORE: u32 = 2;
const TOTAL: u32 = 3;
const SLOTS: u32 = 4;

/// Reads what a page says of itself, without decoding its items.
#[derive(Debug)]
pub(in crate::grpc) struct PageReader(Fields);

impl PageReader {
    /// The reader for pages of this type whose items stand at `unwrap`.
    pub(in crate::grpc) fn new(
        rule: &Page,
        unwrap: &[String],
        message: &MessageDescriptor,
    ) -> Self {
        let stated = [
            (NEXT, &rule.next),
            (HAS_MORE, &rule.has_more),
            (TOTAL, &rule.total),
        ];
        let stated = stated
            .into_iter()
            .filter_map(|(slot, path)| Some((path.as_deref()?, slot, json_leaf())));
        let items = Shape::List(Box::new(counted(message, unwrap)));
        Self(fields_at(
            message,
            std::iter::once((unwrap, ITEMS, items)).chain(stated),
        ))
    }

    /// Reads one page.
    pub(in crate::grpc) fn read(&self, page: Bytes) -> Result<Facts, Malformed> {
        let mut tape = Tape::new(page);
        walk::slots(&self.0, &mut tape, SLOTS)?;
        let items = match tape.get(ITEMS) {
            Value::List { len, .. } => len as usize,
            _ => 0,
        };
        let total = finish::text_of(&tape, tape.get(TOTAL)).and_then(|text| text.parse().ok());
        let next = finish::text_of(&tape, tape.get(NEXT)).filter(|text| !text.is_empty());
        Ok(Facts {
            items,
            next: next.map(Into::into),
            has_more: has_more(&tape),
            // A total of nothing beside items is a total that was not set.
            total: total.filter(|total| *total > 0 || items == 0),
        })
    }
}

/// A flag, or anything whose presence means more; nothing where the reply does not say.
fn has_more(tape: &Tape) -> Option<bool> {
    match tape.get(HAS_MORE) {
        Value::Absent | Value::Null | Value::Error(_) => None,
        Value::Bool(value) => Some(value),
        Value::Int(number) => Some(number != 0),
        value => Some(tape.str(value) != Some("")),
    }
}

fn json_leaf() -> Shape {
    Shape::Leaf(Leaf {
        kind: LeafKind::Json,
        format: None,
    })
}

/// What costs least to read for each item.
fn counted(message: &MessageDescriptor, path: &[String]) -> Shape {
    let last = path
        .iter()
        .try_fold(Kind::Message(message.clone()), |kind, name| {
            let message = kind.as_message()?;
            let field = message
                .get_field_by_name(name)
                .or_else(|| message.get_field_by_json_name(name));
            Some(field?.kind())
        });
    match last {
        Some(Kind::Message(_)) => Shape::Object(Arc::new(ObjectShape {
            layout: 0,
            slots: 0,
            props: Props::default(),
            embedded: Vec::new(),
            computed: Vec::new(),
            defaults: Vec::new(),
            itself: Vec::new(),
        })),
        _ => json_leaf(),
    }
}
