//! `@grpc` to [`GrpcRequest`].

use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;
use prost_reflect::{Kind as ProtoKind, MessageDescriptor};

use super::input::Input;
use super::origin::{Call, Destination};
use super::rest::{Lowered, input_object};
use super::scope::{Scope, Slot};
use super::upstream::Upstream;
use super::{Lowering, at, did_you_mean, listed};
use crate::contract::proto::Method;
use crate::contract::{Kind, Proto, TypeId};
use crate::diagnostic::Diagnostic;
use crate::mapping::{Segment, Spot};
use crate::model::{Expr, GrpcRequest, Request};
use crate::suggest;

const DEFAULT_MAX_MESSAGES: u32 = 1_000;

impl Lowering<'_> {
    pub(super) fn grpc(&mut self, input: &Input<'_>, scope: &mut Scope<'_>) -> Option<Lowered> {
        let Upstream::Proto(proto) = self.lowered.upstreams[scope.source.index()].clone() else {
            return None;
        };
        let method = self.grpc_method(&proto, input)?;
        let max_messages = self.max_messages(input, method);
        let message = self.message(input, scope, method);
        let metadata = self.headers(scope, &input.nested_list("metadata"));
        let message = message?;
        Some(Lowered {
            request: Request::Grpc(GrpcRequest {
                field_mask: field_mask(&method.descriptor.input(), &message),
                method: method.descriptor.clone(),
                message: Expr::Object(message),
                metadata,
                max_messages,
            }),
            call: Call::Method(method.name.clone()),
            reply: Some(method.output),
            streamed: method.server_streaming,
        })
    }

    fn grpc_method<'p>(&mut self, proto: &'p Proto, input: &Input<'_>) -> Option<&'p Method> {
        let name = input.text("method")?;
        let place = input.at_value("method");
        let Some(method) = proto.method(name) else {
            let near = proto.closest(name);
            let help = suggest::did_you_mean(&near).unwrap_or_else(|| {
                let known: Vec<&str> = proto.methods().map(|it| it.name.as_str()).take(5).collect();
                format!("the service has {}", listed(&known))
            });
            let message = "the contract has no method of this name";
            self.push(
                Diagnostic::error("UNKNOWN_RPC", message)
                    .at(place)
                    .help(help),
            );
            return None;
        };
        if method.client_streaming {
            self.push(
                Diagnostic::error(
                    "UNSUPPORTED",
                    "a method that takes a stream of messages cannot be called",
                )
                .at(place)
                .contract(method.place.to_string()),
            );
            return None;
        }
        for problem in proto
            .contract()
            .problems_within([method.input, method.output])
        {
            self.contract_error(place.clone(), problem);
        }
        Some(method)
    }

    fn max_messages(&mut self, input: &Input<'_>, method: &Method) -> u32 {
        let Some(value) = input.get("maxMessages") else {
            return DEFAULT_MAX_MESSAGES;
        };
        let bound = value
            .to_i32()
            .and_then(|it| u32::try_from(it).ok())
            .filter(|it| *it > 0);
        if bound.is_none() && method.server_streaming {
            self.push(
                Diagnostic::error(
                    "STREAM_UNBOUNDED",
                    "a stream without an end would never be answered",
                )
                .at(input.at_value("maxMessages"))
                .contract(method.place.to_string())
                .help(format!(
                    "give at least 1, or leave it out: {DEFAULT_MAX_MESSAGES}"
                )),
            );
        }
        bound.unwrap_or(DEFAULT_MAX_MESSAGES)
    }

    fn message(
        &mut self,
        input: &Input<'_>,
        scope: &mut Scope<'_>,
        method: &Method,
    ) -> Option<Vec<(String, Expr)>> {
        let slot = Slot::new(Destination::Body(Vec::new()), Some(method.input));
        if !input.has("request") {
            return self.default_message(scope, method.input);
        }
        let mapping = self.request_mapping(input, "request")?;
        match &mapping.kind {
            crate::mapping::MappingKind::Object(_) => self.object(scope, &mapping, &slot),
            crate::mapping::MappingKind::Reference(reference)
                if reference.root == crate::mapping::Root::Args =>
            {
                let argument = self.argument(scope, &reference.path)?;
                let object = input_object(scope.document, &argument.ty);
                let Some(object) = object else {
                    self.not_a_message(scope, &mapping.spot);
                    return None;
                };
                let fields: Vec<_> = object.fields.values().collect();
                self.fields_as_message(scope, &argument.path, &fields, method.input)
            }
            _ => {
                self.not_a_message(scope, &mapping.spot);
                None
            }
        }
    }

    fn not_a_message(&mut self, scope: &Scope<'_>, spot: &Spot) {
        self.push(
            Diagnostic::error("INVALID_VALUE", "a request is a message: this is one value")
                .at(at(scope.document, spot))
                .help("write request: { field: \"$args.field\" }"),
        );
    }

    /// Arguments matched to the message's fields by name; a single input object stands for its fields.
    fn default_message(
        &mut self,
        scope: &mut Scope<'_>,
        message: TypeId,
    ) -> Option<Vec<(String, Expr)>> {
        let unused = scope.unused();
        if let [one] = unused.as_slice()
            && let Some(object) = input_object(scope.document, &one.ty)
            && self.message_field(scope, one, message).is_none()
        {
            scope.used.insert(one.name.to_string());
            let fields: Vec<_> = object.fields.values().collect();
            return self.fields_as_message(scope, &[one.name.to_string()], &fields, message);
        }
        for argument in &unused {
            scope.used.insert(argument.name.to_string());
        }
        self.fields_as_message(scope, &[], &unused, message)
    }

    fn fields_as_message(
        &mut self,
        scope: &mut Scope<'_>,
        path: &[String],
        fields: &[&Node<InputValueDefinition>],
        message: TypeId,
    ) -> Option<Vec<(String, Expr)>> {
        let mut entries = Vec::new();
        let mut complete = true;
        for field in fields {
            let Some((name, wants)) = self.message_field(scope, field, message) else {
                self.unknown_request_field(
                    scope,
                    message,
                    &field.name,
                    &Spot::Whole(field.name.location()),
                );
                complete = false;
                continue;
            };
            let slot = Slot::new(Destination::Body(vec![name.clone()]), Some(wants));
            let path = [path, &[field.name.to_string()]].concat();
            let spot = Spot::Whole(field.name.location());
            entries.push((name, self.whole_argument(scope, path, field, &slot, &spot)));
        }
        complete.then_some(entries)
    }

    fn message_field(
        &self,
        scope: &Scope<'_>,
        field: &InputValueDefinition,
        message: TypeId,
    ) -> Option<(String, TypeId)> {
        let (document, directives) = (scope.document, &field.directives);
        let name = self.sent_name(
            document,
            scope.source,
            &field.name,
            directives,
            Some(message),
        );
        let upstream = &self.lowered.upstreams[scope.source.index()];
        let (name, property) = upstream.property(message, &name)?;
        Some((name.to_owned(), property.ty))
    }

    /// Reports a key that the message has no field for. OpenAPI bodies are checked as a whole, later.
    pub(super) fn is_unknown_request_field(
        &mut self,
        scope: &Scope<'_>,
        object: TypeId,
        key: &Segment,
    ) -> bool {
        let upstream = &self.lowered.upstreams[scope.source.index()];
        let Upstream::Proto(proto) = upstream else {
            return false;
        };
        let is_message = matches!(proto.contract()[object].kind, Kind::Object(_));
        if is_message {
            self.unknown_request_field(scope, object, &key.name, &key.spot);
        }
        is_message
    }

    fn unknown_request_field(
        &mut self,
        scope: &Scope<'_>,
        message: TypeId,
        name: &str,
        spot: &Spot,
    ) {
        let upstream = self.lowered.upstreams[scope.source.index()].clone();
        let Some(contract) = upstream.contract() else {
            return;
        };
        let ty = &contract[message];
        let known = upstream
            .object(message)
            .map(|object| object.properties.keys());
        let known = known.into_iter().flatten().map(String::as_str);
        let help = did_you_mean(name, known, |known| match known {
            [] => "the message has no fields".to_owned(),
            _ => format!("it has {}", listed(known)),
        });
        let message = match &ty.name {
            Some(message) => format!("`{message}` has no field `{name}`"),
            None => format!("there is no field `{name}`"),
        };
        self.push(
            Diagnostic::error("REQUEST_FIELD_UNKNOWN", message)
                .at(at(scope.document, spot))
                .contract(ty.place.to_string())
                .help(help),
        );
    }
}

/// The field mask of a request that says which fields the reply shall have. One for an update says
/// what to change, which is not for a selection to say.
fn field_mask(message: &MessageDescriptor, given: &[(String, Expr)]) -> Option<String> {
    let is_mask = |kind: ProtoKind| match kind {
        ProtoKind::Message(message) => message.full_name() == "google.protobuf.FieldMask",
        _ => false,
    };
    let mut masks = message.fields().filter(|field| {
        !field.is_list() && is_mask(field.kind()) && !field.name().contains("update")
    });
    let name = masks.next()?.name().to_owned();
    (!given.iter().any(|(it, _)| *it == name)).then_some(name)
}
