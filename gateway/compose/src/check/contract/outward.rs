//! Values of a request against what the contract wants of them.
//!
//! Owns the walk over one expression: it meets the values in the order in which
//! they were lowered, so each is reported at its own token of the SDL.

use std::collections::{HashSet, VecDeque};

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::{self, Type};
use apollo_compiler::schema::ExtendedType;
use serde_json::Value as Json;

use super::called::Called;
use super::{constant, leaf};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Place};
use crate::lower::{Sent, Value};
use crate::model::{Encoding, EncodingId, Expr, Format, Outward, Piece};

/// How many unions of a contract are tried inside each other.
const MAX_UNIONS: usize = 3;

/// The codes of one part of a request, and how its values travel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// For what the contract does not have; none where lowering says so.
    pub(super) unknown: Option<&'static str>,
    pub(super) wrong: &'static str,
    /// Everything is text on the wire, so that a constant `'5'` is a number.
    pub(super) text: bool,
}

/// Where a value goes and what the contract says of that place.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Nothing where the contract does not say.
    pub(super) wants: Option<TypeId>,
    /// A request without it is wrong.
    pub(super) required: bool,
    /// One value is a list of one: `id=1`.
    pub(super) single_is_list: bool,
    /// The place in the contract.
    pub(super) place: String,
}

/// The values of one part of a request.
pub(super) struct Sending<'c, 'g> {
    pub(super) called: &'c Called<'g>,
    pub(super) way: Way,
    /// What was lowered for this part and is not met yet.
    sent: VecDeque<&'g Sent>,
    /// Input objects seen against types of the contract: both may contain themselves.
    pub(super) seen: HashSet<(Name, TypeId)>,
    unions: usize,
    pub(super) found: Vec<Diagnostic>,
}

impl Slot {
    /// The same place where another type is wanted.
    pub(super) fn of(&self, wants: TypeId) -> Self {
        Slot {
            wants: Some(wants),
            ..self.clone()
        }
    }

    /// An item of a list in the same place.
    pub(super) fn item(&self, wants: TypeId) -> Self {
        Slot {
            required: false,
            single_is_list: false,
            ..self.of(wants)
        }
    }

    fn optional(&self) -> Self {
        Slot {
            required: false,
            ..self.clone()
        }
    }

    /// A place of which the contract says nothing.
    pub(super) fn unstated(&self) -> Self {
        Slot {
            wants: None,
            ..self.optional()
        }
    }
}

impl<'c, 'g> Sending<'c, 'g> {
    pub(super) fn new(
        called: &'c Called<'g>,
        way: Way,
        sent: impl Iterator<Item = &'g Sent>,
    ) -> Self {
        Sending {
            called,
            way,
            sent: sent.collect(),
            seen: HashSet::new(),
            unions: 0,
            found: Vec::new(),
        }
    }

    /// Checks a value; `written` is the literal of the SDL that it comes from, where it is one.
    pub(super) fn expr(&mut self, expr: &Expr, slot: &Slot, written: Option<&'g Node<ast::Value>>) {
        match expr {
            Expr::Const(json) => self.constant(json, slot, written),
            Expr::Arg { path, encode } => self.argument(path, *encode, slot),
            Expr::Parent { encode, .. } | Expr::Batch { encode, .. } => self.parent(*encode, slot),
            Expr::Claim(_) | Expr::Header(_) => {
                self.take(|value| *value == Value::Opaque);
            }
            Expr::FirstOf(all) => self.first_of(all, slot),
            Expr::Template(pieces) => self.template(pieces, slot, written),
            Expr::Object(entries) => self.object(entries, slot, written),
            Expr::List(items) => self.list(&items.iter().collect::<Vec<_>>(), slot, written),
            Expr::Each(each) | Expr::Representations(each) => self.list(&[each], slot, written),
        }
    }

    fn constant(&mut self, json: &Json, slot: &Slot, written: Option<&'g Node<ast::Value>>) {
        let sent = self.take(|value| matches!(value, Value::Constant(_)));
        let at = sent.map_or_else(|| self.at(written), |sent| self.called.at(&sent.spot));
        let Some(wants) = slot.wants else {
            return;
        };
        let contract = self.called.contract;
        if json.is_null() && slot.required {
            self.wrong(
                &at,
                "null is left out, and the contract requires a value",
                slot,
                None,
            );
        } else if !constant::fits(contract, json, wants, self.way.text) {
            let message = format!(
                "{json} is not what the contract wants: {}",
                self.wanted(wants)
            );
            self.wrong(
                &at,
                message,
                slot,
                Some("write a constant of that type".to_owned()),
            );
        }
    }

    fn argument(&mut self, path: &[String], encode: EncodingId, slot: &Slot) {
        let Some(sent) = self.take(|value| matches!(value, Value::Argument(..))) else {
            return;
        };
        let Value::Argument(_, ty) = &sent.value else {
            return;
        };
        let at = self.called.at(&sent.spot);
        if slot.required && self.may_be_null(path) {
            let message = format!("`{ty}` may be null, and the contract requires a value");
            let help = format!("make it `{ty}!`, or give it a default");
            self.wrong(&at, message, slot, Some(help));
        }
        self.typed(ty, encode, slot, &at);
    }

    fn parent(&mut self, encode: EncodingId, slot: &Slot) {
        let Some(sent) = self.take(|value| matches!(value, Value::Parent(_) | Value::Keys(_)))
        else {
            return;
        };
        let at = self.called.at(&sent.spot);
        match &sent.value {
            Value::Keys(ty) => self.typed(&ty.clone().list(), encode, slot, &at),
            Value::Parent(ty) => self.typed(ty, encode, slot, &at),
            _ => {}
        }
    }

    /// All but the last may be null: the next stands in for them.
    fn first_of(&mut self, all: &[Expr], slot: &Slot) {
        let Some((last, others)) = all.split_last() else {
            return;
        };
        for expr in others {
            self.expr(expr, &slot.optional(), None);
        }
        self.expr(last, slot, None);
    }

    fn template(&mut self, pieces: &[Piece], slot: &Slot, written: Option<&'g Node<ast::Value>>) {
        let at = self.at(written);
        for piece in pieces {
            if let Piece::Hole(hole) = piece {
                self.expr(hole, &slot.unstated(), None);
            }
        }
        let Some(wants) = slot.wants.filter(|_| !self.way.text) else {
            return;
        };
        if !constant::fits(
            self.called.contract,
            &Json::String(String::new()),
            wants,
            false,
        ) && !matches!(self.called.contract[wants].kind, Kind::Enum(_))
        {
            let message = format!(
                "this is a text, and the contract wants {}",
                self.wanted(wants)
            );
            self.wrong(
                &at,
                message,
                slot,
                Some("send one value as it is: \"$args.name\"".into()),
            );
        }
    }

    fn list(&mut self, items: &[&Expr], slot: &Slot, written: Option<&'g Node<ast::Value>>) {
        let inner = match slot
            .wants
            .map(|wants| (wants, &self.called.contract[wants].kind))
        {
            None | Some((_, Kind::Any)) => slot.unstated(),
            Some((_, Kind::List(item))) => slot.item(*item),
            Some((_, Kind::Union(union))) => {
                let at = self.at(written);
                return self.any_of(&union.members, slot, &at, &mut |trial, slot| {
                    trial.list(items, slot, written);
                });
            }
            Some((wants, _)) => {
                let at = self.at(written);
                self.wrong_list(&at, wants, slot);
                slot.unstated()
            }
        };
        for (index, item) in items.iter().enumerate() {
            let written = written.and_then(|it| it.as_list()?.get(index));
            self.expr(item, &inner, written);
        }
    }

    /// Checks a value of a GraphQL type.
    pub(super) fn typed(&mut self, ty: &Type, encode: EncodingId, slot: &Slot, at: &Place) {
        let Some(wants) = slot.wants else {
            return;
        };
        match (&self.called.contract[wants].kind, ty.is_list()) {
            (Kind::Any, _) => {}
            (Kind::Union(union), _) => {
                self.any_of(&union.members, slot, at, &mut |trial, slot| {
                    trial.typed(ty, encode, slot, at);
                });
            }
            (Kind::List(item), true) => {
                self.typed(
                    ty.item_type(),
                    self.item_encoding(encode),
                    &slot.item(*item),
                    at,
                );
            }
            (Kind::List(item), false) if slot.single_is_list => {
                self.typed(ty, encode, &slot.item(*item), at);
            }
            (_, true) => self.wrong_list(at, wants, slot),
            (_, false) => self.named(ty, encode, wants, slot, at),
        }
    }

    fn named(&mut self, ty: &Type, encode: EncodingId, wants: TypeId, slot: &Slot, at: &Place) {
        let called = self.called;
        let name = ty.inner_named_type();
        match called.document.schema.types.get(name) {
            Some(ExtendedType::Enum(it)) => self.enumeration(it, encode, wants, slot, at),
            Some(ExtendedType::InputObject(it)) => self.input_object(it, encode, wants, slot, at),
            _ => {
                let format = self.format(encode);
                if !leaf::goes_out(name, format, &called.contract[wants].kind) {
                    self.wrong_leaf(ty, format, wants, slot, at);
                }
            }
        }
    }

    fn wrong_leaf(
        &mut self,
        ty: &Type,
        format: Option<Format>,
        wants: TypeId,
        slot: &Slot,
        at: &Place,
    ) {
        let formatted = if format.is_some() {
            " in the format of its @map"
        } else {
            ""
        };
        let message = format!(
            "this is `{ty}`{formatted}, and the contract wants {}",
            self.wanted(wants)
        );
        let wanted = leaf::graphql_type(self.called.contract, wants, "an input object");
        self.wrong(at, message, slot, Some(format!("make it {wanted}")));
    }

    pub(super) fn wrong_list(&mut self, at: &Place, wants: TypeId, slot: &Slot) {
        let message = format!(
            "this is a list, and the contract takes one value: {}",
            self.wanted(wants)
        );
        let help = "send one value, or name a place that takes a list".to_owned();
        self.wrong(at, message, slot, Some(help));
    }

    /// Accepts what any member of a union accepts.
    pub(super) fn any_of(
        &mut self,
        members: &[TypeId],
        slot: &Slot,
        at: &Place,
        check: &mut dyn FnMut(&mut Self, &Slot),
    ) {
        if self.unions >= MAX_UNIONS {
            return check(self, &slot.unstated());
        }
        let before = self.sent.clone();
        let mut reasons = Vec::new();
        for member in members {
            let mut trial = Sending {
                called: self.called,
                way: self.way,
                sent: before.clone(),
                seen: self.seen.clone(),
                unions: self.unions + 1,
                found: Vec::new(),
            };
            check(&mut trial, &slot.of(*member));
            self.sent = trial.sent;
            match trial.found.first() {
                None => return,
                Some(found) => {
                    reasons.push(format!("as {}: {}", self.wanted(*member), found.message))
                }
            }
        }
        let found = Diagnostic::error(
            self.way.wrong,
            "this is none of what the contract takes here",
        )
        .at(at.clone())
        .contract(slot.place.clone())
        .help("send what one of these wants");
        self.found
            .push(reasons.into_iter().fold(found, Diagnostic::note));
    }

    /// The next value, if it is of this kind. A text in a URL was not lowered as a value.
    fn take(&mut self, is_it: impl FnOnce(&Value) -> bool) -> Option<&'g Sent> {
        let next = self.sent.front().filter(|sent| is_it(&sent.value))?;
        let next = *next;
        self.sent.pop_front();
        Some(next)
    }

    /// The place of a literal, else of the next value, else of the path with the value in it.
    pub(super) fn at(&self, written: Option<&'g Node<ast::Value>>) -> Place {
        match (written, self.sent.front()) {
            (Some(written), _) => self.called.document.places.node(written),
            (None, Some(sent)) => self.called.at(&sent.spot),
            (None, None) => self.called.at_call(),
        }
    }

    pub(super) fn wrong(
        &mut self,
        at: &Place,
        message: impl Into<String>,
        slot: &Slot,
        help: Option<String>,
    ) {
        let found = Diagnostic::error(self.way.wrong, message)
            .at(at.clone())
            .contract(slot.place.clone());
        self.found.push(match help {
            Some(help) => found.help(help),
            None => found,
        });
    }

    /// What the contract wants, in words.
    pub(super) fn wanted(&self, wants: TypeId) -> String {
        self.called.contract.describe(wants)
    }

    pub(super) fn encoding(&self, encode: EncodingId) -> &'g Encoding {
        &self.called.graph.lowered.encodings[encode.index()]
    }

    fn item_encoding(&self, encode: EncodingId) -> EncodingId {
        match self.encoding(encode) {
            Encoding::List(item) => *item,
            _ => encode,
        }
    }

    fn format(&self, encode: EncodingId) -> Option<Format> {
        match self.encoding(encode) {
            Encoding::Leaf(Outward::Format(format)) => Some(*format),
            _ => None,
        }
    }
}
