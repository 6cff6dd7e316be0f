//! Objects of a request: literals of the SDL and GraphQL input objects.

use apollo_compiler::Node;
use apollo_compiler::ast::{self, InputValueDefinition};
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};

use super::hint::{hint, listed};
use super::outward::{Sending, Slot};
use crate::contract::model::{Access, Additional, Enumeration, Object, Property};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::Document;
use crate::model::{Encoding, EncodingId, Expr};
use crate::suggest::closest;

impl<'g> Sending<'_, 'g> {
    /// An object literal, or the object that unused arguments make.
    pub(super) fn object(
        &mut self,
        entries: &[(String, Expr)],
        slot: &Slot,
        written: Option<&'g Node<ast::Value>>,
    ) {
        let at = self.at(written);
        let wants = match slot
            .wants
            .map(|wants| (wants, &self.called.contract[wants].kind))
        {
            Some((_, Kind::Union(union))) => {
                return self.any_of(&union.members, slot, &at, &mut |trial, slot| {
                    trial.object(entries, slot, written);
                });
            }
            Some((wants, Kind::Object(_) | Kind::Map(_))) => Some(wants),
            Some((_, Kind::Any)) | None => None,
            Some((wants, _)) => {
                let message = format!(
                    "this is an object, and the contract wants {}",
                    self.wanted(wants)
                );
                self.wrong(
                    &at,
                    message,
                    slot,
                    Some("send one value: \"$args.name\"".to_owned()),
                );
                None
            }
        };
        for (name, value) in entries {
            let (at, written) = self.entry(name, wants, written);
            let slot = self.property(wants, name, slot, &at);
            self.expr(value, &slot, written);
        }
        if let Some(wants) = wants {
            let given: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
            self.missing(wants, &given, &at, None);
        }
    }

    /// A GraphQL input object, each field against its property.
    pub(super) fn input_object(
        &mut self,
        ty: &'g InputObjectType,
        encode: EncodingId,
        wants: TypeId,
        slot: &Slot,
        at: &Place,
    ) {
        if !matches!(
            self.called.contract[wants].kind,
            Kind::Object(_) | Kind::Map(_)
        ) {
            let message = format!(
                "`{}` is an object, and the contract wants {}",
                ty.name,
                self.wanted(wants)
            );
            let help = "send one of its fields: \"$args.input.name\"".to_owned();
            return self.wrong(at, message, slot, Some(help));
        }
        let Encoding::Object(names) = self.encoding(encode) else {
            return;
        };
        if !self.seen.insert((ty.name.clone(), wants)) {
            return;
        }
        let mut given: Vec<&str> = Vec::new();
        for field in ty.fields.values() {
            if let Some((name, encode)) = names.get(&field.name) {
                self.input_field(field, name, *encode, wants, slot);
                given.push(name);
            }
        }
        self.missing(wants, &given, at, Some(ty));
    }

    fn input_field(
        &mut self,
        field: &Node<InputValueDefinition>,
        name: &str,
        encode: EncodingId,
        wants: TypeId,
        slot: &Slot,
    ) {
        let at = self.called.document.places.name(&field.name);
        let inner = self.property(Some(wants), name, slot, &at);
        if inner.required && may_be_absent(field) {
            let message = format!(
                "`{}` may be left out, and the contract requires it",
                field.ty
            );
            let help = format!("make it `{}!`, or give it a default", field.ty);
            self.wrong(&at, message, &inner, Some(help));
        }
        self.typed(&field.ty, encode, &inner, &at);
    }

    /// Where a property goes. What the contract does not have is reported.
    fn property(&mut self, wants: Option<TypeId>, name: &str, slot: &Slot, at: &Place) -> Slot {
        let called = self.called;
        match wants.map(|wants| (wants, &called.contract[wants].kind)) {
            Some((_, Kind::Map(value))) => slot.item(*value),
            Some((wants, Kind::Object(object))) => {
                match (object.property(name), object.additional) {
                    (Some((_, property)), _) => self.known(property, name, at),
                    (None, Additional::Allowed(value)) => slot.item(value),
                    (None, _) => {
                        self.unknown(wants, object, name, at);
                        slot.unstated()
                    }
                }
            }
            _ => slot.unstated(),
        }
    }

    fn known(&mut self, property: &Property, name: &str, at: &Place) -> Slot {
        let slot = Slot {
            wants: Some(property.ty),
            required: property.must_be_sent(),
            single_is_list: false,
            place: property.place.to_string(),
        };
        if property.access == Access::ReadOnly {
            let message = format!("the contract has `{name}` in replies only");
            self.wrong(
                at,
                message,
                &slot,
                Some("leave it out of the request".to_owned()),
            );
        }
        slot
    }

    fn unknown(&mut self, wants: TypeId, object: &Object, name: &str, at: &Place) {
        let Some(code) = self.way.unknown.filter(|_| !object.says_nothing()) else {
            return;
        };
        let known = object.properties.keys().map(String::as_str);
        let help = hint(name, known, "it has no properties");
        let what = self.called.contract[wants].name.as_deref();
        let message = match what {
            Some(ty) => format!("the contract's `{ty}` has no `{name}`"),
            None => format!("the contract has no `{name}` here"),
        };
        self.found.push(
            Diagnostic::error(code, message)
                .at(at.clone())
                .contract(self.called.type_at(wants))
                .help(help),
        );
    }

    /// Required properties that nothing sends.
    fn missing(&mut self, wants: TypeId, given: &[&str], at: &Place, ty: Option<&InputObjectType>) {
        let called = self.called;
        let Some(object) = called.contract[wants].kind.as_object() else {
            return;
        };
        for (name, property) in &object.properties {
            let is_given = |it: &&str| *it == name || property.alias.as_deref() == Some(*it);
            // A name that is close and that the contract does not have was told already.
            let is_misspelt = |it: &&str| {
                object.property(it).is_none() && !closest(it, [name.as_str()]).is_empty()
            };
            if !property.must_be_sent() || given.iter().any(|it| is_given(it) || is_misspelt(it)) {
                continue;
            }
            let help = match ty {
                Some(ty) => format!("add a field for it to `{}`", ty.name),
                None => format!("send it: {{ {name}: \"$args.…\" }}"),
            };
            let message = format!("the contract requires `{name}`, which is never sent");
            self.found.push(
                Diagnostic::error("REQUIRED_PARAM_MISSING", message)
                    .at(at.clone())
                    .contract(property.place.to_string())
                    .help(help),
            );
        }
    }

    /// The place of an entry's key and the literal behind it.
    fn entry(
        &self,
        name: &str,
        wants: Option<TypeId>,
        written: Option<&'g Node<ast::Value>>,
    ) -> (Place, Option<&'g Node<ast::Value>>) {
        let alias = wants.and_then(|wants| {
            let (_, property) = self.called.contract.property(wants, name)?;
            property.alias.as_deref()
        });
        let mut entries = written.and_then(|it| it.as_object()).unwrap_or(&[]).iter();
        let found = entries.find(|(key, _)| *key == name || Some(key.as_str()) == alias);
        match found {
            Some((key, value)) => (self.called.document.places.name(key), Some(value)),
            None => (self.at(None), None),
        }
    }

    /// Every value of an enum, as it is sent.
    pub(super) fn enumeration(
        &mut self,
        ty: &'g EnumType,
        encode: EncodingId,
        wants: TypeId,
        slot: &Slot,
        at: &Place,
    ) {
        let kind = &self.called.contract[wants].kind;
        let spelled: Vec<_> = match self.encoding(encode) {
            Encoding::Enum(values) => ty
                .values
                .values()
                .map(|it| (it, values.get(&it.value)))
                .collect(),
            _ => ty.values.values().map(|it| (it, None)).collect(),
        };
        for (value, spelled) in spelled {
            let sent = spelled.map_or(value.value.as_str(), String::as_str);
            match kind {
                Kind::String { .. } => {}
                Kind::Enum(values) if values.contains(sent) => {}
                Kind::Enum(values) => {
                    let help = spelling(sent, values);
                    let place = self.called.document.places.name(&value.value);
                    self.wrong(
                        &place,
                        format!("the contract does not take `{sent}`"),
                        slot,
                        Some(help),
                    );
                }
                _ => {
                    let message = format!(
                        "this is the enum `{}`, and the contract wants {}",
                        ty.name,
                        self.wanted(wants)
                    );
                    let wanted =
                        super::leaf::graphql_type(self.called.contract, wants, "an input object");
                    return self.wrong(at, message, slot, Some(format!("make it {wanted}")));
                }
            }
        }
    }

    /// Whether an argument, or a field of one, may be null when it is sent.
    pub(super) fn may_be_null(&self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        let arguments = self
            .called
            .field()
            .map_or(&[][..], |field| &field.arguments);
        let Some(argument) = arguments.iter().find(|it| it.name == first.as_str()) else {
            return false;
        };
        let mut argument = argument;
        let mut nullable = may_be_absent(argument);
        for name in rest {
            match input_field(self.called.document, &argument.ty, name) {
                Some(field) => argument = field,
                None => return nullable,
            }
            nullable |= may_be_absent(argument);
        }
        nullable
    }
}

/// How the contract may spell a value that it does not know.
fn spelling(sent: &str, values: &Enumeration) -> String {
    let known: Vec<&str> = values.values.iter().map(|it| it.name.as_str()).collect();
    match closest(sent, known.iter().copied()).first() {
        Some(near) => format!("did you mean @map(value: \"{near}\")?"),
        None => format!("it takes {}", listed(&known)),
    }
}

fn may_be_absent(definition: &InputValueDefinition) -> bool {
    !definition.ty.is_non_null() && definition.default_value.is_none()
}

fn input_field<'d>(
    document: &'d Document,
    ty: &ast::Type,
    name: &str,
) -> Option<&'d Node<InputValueDefinition>> {
    match document.schema.types.get(ty.inner_named_type())? {
        ExtendedType::InputObject(object) => object.fields.get(name),
        _ => None,
    }
}
