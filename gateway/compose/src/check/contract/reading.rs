//! Following paths through the replies of a contract: what stands there, and how certain it is.

use crate::contract::model::{Access, Additional, Object, Place, Property};
use crate::contract::{Contract, Kind, TypeId};
use crate::lower::Upstream;

/// The replies of one source.
#[derive(Clone, Copy)]
pub(super) struct Reading<'g> {
    pub(super) upstream: &'g Upstream,
    pub(super) contract: &'g Contract,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// To a value of one of these types.
    Value {
        types: Vec<TypeId>,
        doubt: Option<Doubt>,
    },
    /// The contract says nothing there.
    Unstated,
    /// These types have no property of this name.
    Missing { on: Vec<TypeId>, name: String },
}

/// Why a value may not be there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Doubt {
    /// The contract allows null.
    Null(Place),
    /// The contract does not promise it.
    Absent(Place),
}

impl Doubt {
    /// The graver of two.
    pub(super) fn graver(left: Option<Doubt>, right: Option<Doubt>) -> Option<Doubt> {
        match (&left, &right) {
            (Some(Doubt::Absent(_)), Some(Doubt::Null(_))) | (None, _) => right,
            _ => left,
        }
    }
}

impl<'g> Reading<'g> {
    /// Nothing where the source has no contract.
    pub(super) fn of(upstream: &'g Upstream) -> Option<Self> {
        let contract = upstream.contract()?;
        Some(Reading { upstream, contract })
    }

    /// What stands at a path below a value.
    pub(super) fn follow(&self, from: TypeId, path: &[String]) -> Found {
        let (mut types, mut doubt) = (vec![from], None);
        for name in path {
            match self.step(&types, name) {
                Found::Value {
                    types: next,
                    doubt: more,
                } => {
                    types = next;
                    doubt = Doubt::graver(doubt, more);
                }
                other => return other,
            }
        }
        Found::Value { types, doubt }
    }

    /// A type, or the members of the union that it is.
    pub(super) fn alternatives(&self, types: &[TypeId]) -> Vec<TypeId> {
        let mut seen: Vec<TypeId> = Vec::new();
        let mut open: Vec<TypeId> = types.iter().rev().copied().collect();
        while let Some(ty) = open.pop() {
            if seen.contains(&ty) {
                continue;
            }
            seen.push(ty);
            if let Kind::Union(union) = &self.contract[ty].kind {
                open.extend(union.members.iter().rev());
            }
        }
        seen.retain(|ty| !matches!(self.contract[*ty].kind, Kind::Union(_)));
        seen
    }

    /// The properties that a reply may have there, for messages.
    pub(super) fn names(&self, types: &[TypeId]) -> Vec<&'g str> {
        let objects = self.alternatives(types).into_iter();
        let objects = objects.filter_map(|ty| self.contract[ty].kind.as_object());
        let mut names: Vec<&str> = objects
            .flat_map(|object| &object.properties)
            .filter(|(_, property)| property.access != Access::WriteOnly)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }

    /// What types are called in messages.
    pub(super) fn describe(&self, types: &[TypeId]) -> String {
        let described: Vec<String> = types.iter().map(|ty| self.contract.describe(*ty)).collect();
        described.join(" or ")
    }

    /// The name of the first type that has one.
    pub(super) fn name(&self, types: &[TypeId]) -> Option<&'g str> {
        let mut names = types
            .iter()
            .filter_map(|ty| self.contract[*ty].name.as_deref());
        names.next()
    }

    /// One name, in whichever of several types has it.
    fn step(&self, types: &[TypeId], name: &str) -> Found {
        let members = self.alternatives(types);
        let (mut found, mut doubts, mut lacking) = (Vec::new(), None, None);
        for member in members {
            match self.step_into(member, name) {
                Found::Value { types, doubt } => {
                    found.extend(types);
                    doubts = Doubt::graver(doubts, doubt);
                }
                Found::Unstated => return Found::Unstated,
                Found::Missing { .. } => lacking = Some(member),
            }
        }
        match lacking {
            Some(_) if found.is_empty() => Found::Missing {
                on: types.to_vec(),
                name: name.to_owned(),
            },
            lacking => Found::Value {
                types: found,
                doubt: Doubt::graver(doubts, lacking.map(|ty| Doubt::Absent(self.place(ty)))),
            },
        }
    }

    fn step_into(&self, ty: TypeId, name: &str) -> Found {
        match &self.contract[ty].kind {
            Kind::Any => Found::Unstated,
            Kind::Map(value) => self.undeclared(*value),
            Kind::Object(object) => self.property(ty, object, name),
            _ => Found::Missing {
                on: vec![ty],
                name: name.to_owned(),
            },
        }
    }

    fn property(&self, ty: TypeId, object: &Object, name: &str) -> Found {
        match (object.property(name), object.additional) {
            (Some((name, property)), _) if property.access != Access::WriteOnly => Found::Value {
                types: vec![property.ty],
                doubt: self.doubt(ty, name, property),
            },
            (None, Additional::Allowed(value)) => self.undeclared(value),
            (None, _) if object.says_nothing() => Found::Unstated,
            _ => Found::Missing {
                on: vec![ty],
                name: name.to_owned(),
            },
        }
    }

    /// A value whose key is data.
    fn undeclared(&self, value: TypeId) -> Found {
        let place = self.place(value);
        Found::Value {
            types: vec![value],
            doubt: Some(match self.contract[value].nullable {
                true => Doubt::Null(place),
                false => Doubt::Absent(place),
            }),
        }
    }

    fn doubt(&self, object: TypeId, name: &str, property: &Property) -> Option<Doubt> {
        if property.is_certain() || self.is_plain_message(object, name, property) {
            return None;
        }
        let place = property.place.clone();
        Some(match property.nullable {
            true => Doubt::Null(place),
            false => Doubt::Absent(place),
        })
    }

    /// Whether a property is a message that is only by its nature able to be unset: proto3 has no
    /// word for a message that is always there. `optional`, a `oneof` and the wrappers such as
    /// `google.protobuf.StringValue` do say that it may be unset.
    fn is_plain_message(&self, object: TypeId, name: &str, property: &Property) -> bool {
        let Upstream::Proto(proto) = self.upstream else {
            return false;
        };
        let field = self.contract[object].name.as_deref().and_then(|message| {
            let message = proto.pool().get_message_by_name(message)?;
            message.get_field_by_name(name)
        });
        let Some(field) = field.filter(|_| property.oneof.is_none()) else {
            return false;
        };
        let is_optional = field.field_descriptor_proto().proto3_optional();
        let message = field
            .kind()
            .as_message()
            .map(|it| it.full_name().to_owned());
        message.is_some_and(|message| !is_optional && !is_wrapper(&message))
    }

    fn place(&self, ty: TypeId) -> Place {
        self.contract[ty].place.clone()
    }
}

/// <https://protobuf.dev/reference/protobuf/google.protobuf/#double-value> and its kin.
fn is_wrapper(message: &str) -> bool {
    let name = message.strip_prefix("google.protobuf.");
    name.is_some_and(|name| name.ends_with("Value") && name != "ListValue")
}
