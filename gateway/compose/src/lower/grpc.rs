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
use crate::contract::{Proto, TypeId};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::Spot;
use crate::model::{Expr, GrpcRequest, Request, SourceId};
use crate::suggest;

const DEFAULT_MAX_MESSAGES: u32 = 1_000;

impl<'a> Lowering<'a> {
    pub(super) fn grpc(&mut self, input: &Input<'_>, scope: &mut Scope<'a>) -> Option<Lowered> {
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
            prefix: Vec::new(),
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
        scope: &mut Scope<'a>,
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

    fn not_a_message(&mut self, scope: &Scope<'a>, spot: &Spot) {
        self.push(
            Diagnostic::error("INVALID_VALUE", "a request is a message: this is one value")
                .at(at(scope.document, spot))
                .help("write request: { field: \"$args.field\" }"),
        );
    }

    /// Arguments matched to the message's fields by name; a single input object stands for its fields.
    fn default_message(
        &mut self,
        scope: &mut Scope<'a>,
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
        scope: &mut Scope<'a>,
        path: &[String],
        fields: &[&Node<InputValueDefinition>],
        message: TypeId,
    ) -> Option<Vec<(String, Expr)>> {
        let mut entries = Vec::new();
        let mut complete = true;
        for field in fields {
            let Some((name, wants)) = self.message_field(scope, field, message) else {
                let spot = Spot::Whole(field.name.location());
                self.check_message_field(scope.document, scope.source, message, &field.name, &spot);
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
        scope: &Scope<'a>,
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

    /// Reports a name that a message has no field for, and says whether it did. OpenAPI bodies are
    /// checked as a whole, later.
    pub(super) fn check_message_field(
        &mut self,
        document: &Document,
        source: SourceId,
        object: TypeId,
        name: &str,
        spot: &Spot,
    ) -> bool {
        let Upstream::Proto(proto) = self.lowered.upstreams[source.index()].clone() else {
            return false;
        };
        let ty = &proto.contract()[object];
        let Some(message) = ty.kind.as_object() else {
            return false;
        };
        let known = message.properties.keys().map(String::as_str);
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
                .at(at(document, spot))
                .contract(ty.place.to_string())
                .help(help),
        );
        true
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

#[cfg(test)]
mod tests {
    use super::super::tests::{file, lowered_files, printed_files, said_of};
    use crate::SchemaFiles;
    use crate::model::Request;

    const PROTO: &str = "syntax = \"proto3\"; package v1; import \"google/protobuf/field_mask.proto\";
        service Items {
          rpc Get(GetRequest) returns (Item);
          rpc List(GetRequest) returns (stream Item);
          rpc Put(stream Item) returns (Item);
        }
        message GetRequest { int64 item_id = 1; Sort sort_by = 2; google.protobuf.FieldMask read_mask = 3; }
        message Sort { string field = 1; }
        message Item { int64 id = 1; string full_name = 2; }";

    fn with(declarations: &str) -> SchemaFiles {
        let source = "extend schema @source(name: \"items\", grpc: { url: \"http://a\", protos: [\"items.proto\"] })";
        let mut files = file(&format!(
            "{source}\n{declarations}\ntype Item {{ id: ID! fullName: String! }}"
        ));
        files.files.insert("items.proto".into(), PROTO.into());
        files
    }

    fn said(declarations: &str) -> String {
        said_of(&with(declarations))
    }

    #[test]
    fn arguments_are_matched_to_fields_by_proto_and_json_names() {
        let shown = printed_files(&with(
            "type Query { item(itemId: ID!, sort_by: Sort): Item @grpc(method: \"v1.Items/Get\") } input Sort { field: String }",
        ));
        assert_eq!(
            shown,
            "Query.item\n  \
             call    items: v1.Items.Get { item_id: $args.itemId as integer, sort_by: $args.sort_by as {field} } mask read_mask\n  \
             reply   Item { id, fullName: full_name }\n"
        );
        let shown = printed_files(&with(
            "type Query { item(input: In!): Item @grpc(method: \"v1.Items/Get\") } input In { itemId: ID! }",
        ));
        assert!(
            shown.contains("{ item_id: $args.input.itemId as integer }"),
            "{shown}"
        );
    }

    #[test]
    fn a_method_that_is_not_there_is_asked_for_by_the_nearest_name() {
        assert_eq!(
            said("type Query { item(itemId: ID!): Item @grpc(method: \"v1.Items/Gte\") }"),
            "error[UNKNOWN_RPC] shop.graphql:2:52\n  \
             2 | type Query { item(itemId: ID!): Item @grpc(method: \"v1.Items/Gte\") }\n    \
             |                                                    ^^^^^^^^^^^^^^ the contract has no method of this name\n  \
             help: did you mean `v1.Items/Get`, `v1.Items/Put` or `v1.Items/List`?\n"
        );
    }

    #[test]
    fn a_field_that_the_message_lacks_is_refused_wherever_it_is_named() {
        let said_one = said(
            "type Query { item(id: ID!): Item @grpc(method: \"v1.Items/Get\", request: { itm_id: \"$args.id\" }) }",
        );
        assert!(
            said_one.starts_with("error[REQUEST_FIELD_UNKNOWN] shop.graphql:2:75\n"),
            "{said_one}"
        );
        assert!(
            said_one.contains("contract: items.proto: v1.GetRequest"),
            "{said_one}"
        );
        assert!(
            said_one.contains("help: did you mean `item_id`?"),
            "{said_one}"
        );
        let argument = said("type Query { item(key: ID!): Item @grpc(method: \"v1.Items/Get\") }");
        assert!(
            argument.starts_with("error[REQUEST_FIELD_UNKNOWN] shop.graphql:2:19\n"),
            "{argument}"
        );
        let nested = said(
            "type Query { item(itemId: ID!, sortBy: Sort): Item @grpc(method: \"v1.Items/Get\") } input Sort { feild: String }",
        );
        assert!(
            nested.contains("`v1.Sort` has no field `feild`"),
            "{nested}"
        );
    }

    #[test]
    fn a_stream_has_an_end() {
        let bounded = with(
            "type Query { items(itemId: ID!): [Item!] @grpc(method: \"v1.Items/List\", maxMessages: 5) }",
        );
        let (lowered, diagnostics) = lowered_files(&bounded);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let Request::Grpc(grpc) = &lowered.resolvers[0].request else {
            panic!("a gRPC request");
        };
        assert_eq!(grpc.max_messages, 5);
        let unbounded = said(
            "type Query { items(itemId: ID!): [Item!] @grpc(method: \"v1.Items/List\", maxMessages: 0) }",
        );
        assert!(
            unbounded.starts_with("error[STREAM_UNBOUNDED] shop.graphql:2:86\n"),
            "{unbounded}"
        );
        let upwards = said("type Query { put(id: ID!): Item @grpc(method: \"v1.Items/Put\") }");
        assert!(upwards.starts_with("error[UNSUPPORTED]"), "{upwards}");
    }
}
