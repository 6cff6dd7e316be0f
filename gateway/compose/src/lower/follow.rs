//! Following a path through a contract.

use super::upstream::Upstream;
use crate::contract::model::Additional;
use crate::contract::{Contract, Kind, TypeId};
use crate::model::UpstreamPath;

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// To a type of the contract.
    Type(TypeId),
    /// Nobody knows: there is no contract, or it says nothing there.
    Unstated,
    /// The contract has nothing there.
    Missing,
}

impl End {
    pub(super) fn ty(self) -> Option<TypeId> {
        match self {
            End::Type(ty) => Some(ty),
            End::Unstated | End::Missing => None,
        }
    }
}

impl Upstream {
    /// Follows a path and spells it as the contract does.
    pub(super) fn follow(&self, from: Option<TypeId>, path: &[String]) -> (UpstreamPath, End) {
        let mut end = from.map_or(End::Unstated, End::Type);
        let mut spelled = Vec::new();
        for name in path {
            let step = match (self.contract(), end) {
                (Some(contract), End::Type(ty)) => step(contract, ty, name),
                (_, other) => (None, other),
            };
            end = step.1;
            spelled.push(step.0.unwrap_or(name).to_owned());
        }
        (spelled, end)
    }
}

/// One property: its name in the contract and its type.
fn step<'c>(contract: &'c Contract, ty: TypeId, name: &str) -> (Option<&'c str>, End) {
    match &contract[ty].kind {
        Kind::Any => (None, End::Unstated),
        Kind::Map(value) => (None, End::Type(*value)),
        Kind::Object(object) => match object.property(name) {
            Some((spelled, property)) => (Some(spelled), End::Type(property.ty)),
            None => match object.additional {
                Additional::Allowed(value) => (None, End::Type(value)),
                _ if object.says_nothing() => (None, End::Unstated),
                _ => (None, End::Missing),
            },
        },
        // A property of any member may be there; which member it is shows in the reply.
        Kind::Union(union) => {
            let members = union.members.iter().filter(|member| **member != ty);
            let mut found = members.map(|member| match &contract[*member].kind {
                Kind::Union(_) => (None, End::Unstated),
                _ => step(contract, *member, name),
            });
            found
                .find(|(_, end)| *end != End::Missing)
                .unwrap_or((None, End::Missing))
        }
        _ => (None, End::Missing),
    }
}
