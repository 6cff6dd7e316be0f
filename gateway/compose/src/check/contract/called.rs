//! A resolver beside the call in the contract that it means, and the places of both.

use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, Value};

use super::super::Graph;
use crate::contract::openapi::Operation;
use crate::contract::proto::Method;
use crate::contract::{Contract, TypeId};
use crate::diagnostic::Place;
use crate::document::Document;
use crate::lower::{Call, Origin, Upstream};
use crate::mapping::Spot;
use crate::model::Resolver;

/// A resolver whose call the contract describes.
#[derive(Clone, Copy)]
pub(super) struct Called<'g> {
    pub(super) graph: &'g Graph<'g>,
    pub(super) resolver: &'g Resolver,
    pub(super) origin: &'g Origin,
    pub(super) document: &'g Document,
    pub(super) upstream: &'g Upstream,
    pub(super) contract: &'g Contract,
    pub(super) stated: Stated<'g>,
}

/// What the contract says of a call.
#[derive(Clone, Copy)]
pub(super) enum Stated<'g> {
    Operation(&'g Operation),
    Method(&'g Method),
}

impl<'g> Called<'g> {
    /// Nothing where there is no contract, or it has no such call, which is reported already.
    pub(super) fn of(graph: &'g Graph<'g>, resolver: &'g Resolver) -> Option<Self> {
        let origin = graph.lowered.origins.get(resolver.id.index())?;
        let upstream = &graph.lowered.upstreams[resolver.source.index()];
        let stated = match (&origin.call, upstream) {
            (Call::Operation(index), Upstream::OpenApi(document)) => {
                Stated::Operation(document.operations().get(*index)?)
            }
            (Call::Method(name), Upstream::Proto(proto)) => Stated::Method(proto.method(name)?),
            _ => return None,
        };
        Some(Called {
            graph,
            resolver,
            origin,
            document: &graph.documents[origin.subgraph.index()],
            upstream,
            contract: upstream.contract()?,
            stated,
        })
    }

    /// An argument of the directive.
    pub(super) fn argument(&self, name: &str) -> Option<&'g Node<Value>> {
        let value = self.origin.directive.specified_argument_by_name(name)?;
        (!value.is_null()).then_some(value)
    }

    /// A field of an argument that is an input object: `page: { next: … }`.
    pub(super) fn nested(&self, argument: &str, name: &str) -> Option<&'g Node<Value>> {
        let fields = self.argument(argument)?.as_object()?;
        let (_, value) = fields.iter().find(|(field, _)| field == name)?;
        Some(value)
    }

    /// The value of the first of these arguments that is given, else the directive.
    pub(super) fn at_argument(&self, names: &[&str]) -> Place {
        let given = names.iter().find_map(|name| self.argument(name));
        given.map_or_else(
            || self.at_directive(),
            |value| self.document.places.node(value),
        )
    }

    pub(super) fn at_directive(&self) -> Place {
        self.document.places.directive(&self.origin.directive)
    }

    /// Where the template of the path stands, or the name of the method.
    pub(super) fn at_call(&self) -> Place {
        self.at_argument(&["GET", "POST", "PUT", "PATCH", "DELETE", "method"])
    }

    pub(super) fn at(&self, spot: &Spot) -> Place {
        crate::lower::at(self.document, spot)
    }

    /// The field that the directive stands on; none for an entity.
    pub(super) fn field(&self) -> Option<&'g Node<FieldDefinition>> {
        self.origin.field.as_ref()
    }

    /// Where the contract declares the call.
    pub(super) fn stated_at(&self) -> String {
        match self.stated {
            Stated::Operation(operation) => operation.place.to_string(),
            Stated::Method(method) => method.place.to_string(),
        }
    }

    /// The reply is a stream of messages. Of a subscription each message is one.
    pub(super) fn is_streamed(&self) -> bool {
        let streams = matches!(self.stated, Stated::Method(method) if method.server_streaming);
        streams && !self.resolver.target.is_subscription()
    }

    /// Where the contract declares a type.
    pub(super) fn type_at(&self, ty: TypeId) -> String {
        self.contract[ty].place.to_string()
    }
}
