//! `@rest` to [`RestRequest`].

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type};
use apollo_compiler::schema::{ExtendedType, InputObjectType};

use super::input::Input;
use super::origin::{Call, Destination, Value};
use super::scope::{Scope, Slot};
use super::upstream::Upstream;
use super::{Lowering, at, listed};
use crate::contract::openapi::{
    Encoding as ContentEncoding, Location, Operation, ParameterStyle, PathPart,
};
use crate::contract::{OpenApi, TypeId};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{Mapping, MappingKind, Spot, TemplatePiece, Text, names, template};
use crate::model::{
    BodyEncoding, Expr, ListStyle, Piece, QueryParam, Request, RestMethod, RestRequest, SourceId,
};

const METHODS: [(&str, RestMethod); 5] = [
    ("GET", RestMethod::Get),
    ("POST", RestMethod::Post),
    ("PUT", RestMethod::Put),
    ("PATCH", RestMethod::Patch),
    ("DELETE", RestMethod::Delete),
];

/// A request and what the contract says of its reply.
pub(super) struct Lowered {
    pub(super) request: Request,
    pub(super) call: Call,
    pub(super) reply: Option<TypeId>,
    /// The reply is a stream: a list of messages.
    pub(super) streamed: bool,
}

/// The directive, and the operation of the contract that it means.
struct Rest<'d, 'o> {
    input: &'o Input<'d>,
    method: RestMethod,
    operation: Option<&'o Operation>,
    /// What the contract wants in each hole of the path.
    holes: Vec<Option<TypeId>>,
    lists: ListStyle,
    encoding: BodyEncoding,
}

impl<'a> Lowering<'a> {
    pub(super) fn rest(&mut self, input: &Input<'_>, scope: &mut Scope<'a>) -> Option<Lowered> {
        let (method, pieces) = self.method_and_path(input)?;
        let upstream = self.lowered.upstreams[scope.source.index()].clone();
        let (call, operation, holes) = match &upstream {
            Upstream::OpenApi(contract) => self.operation(contract, input, method)?,
            _ => (Call::Unknown, None, Vec::new()),
        };
        let rest = Rest {
            input,
            method,
            operation,
            holes,
            lists: self.list_style(input, scope.source),
            encoding: body_encoding(input),
        };
        let request = self.request(&rest, &pieces, scope)?;
        Some(Lowered {
            request: Request::Rest(request),
            call,
            reply: operation.and_then(reply_type),
            streamed: false,
        })
    }

    fn request(
        &mut self,
        rest: &Rest<'_, '_>,
        pieces: &[TemplatePiece],
        scope: &mut Scope<'a>,
    ) -> Option<RestRequest> {
        let (path, inline) = split_query(pieces);
        let path = self.rest_path(rest, &path, scope);
        let inline = self.inline_query(rest, &inline, scope);
        let query = self.explicit_query(rest, scope);
        let body = self.explicit_body(rest, scope);
        let headers = self.headers(scope, &rest.input.nested_list("headers"));
        let (default_query, default_body) = self.defaults(rest, scope);
        let mut parameters = inline?;
        parameters.extend(query?);
        parameters.extend(default_query);
        Some(RestRequest {
            method: rest.method,
            path: path?,
            query: parameters,
            body: body?.or(default_body),
            encoding: rest.encoding,
            headers,
        })
    }

    /// The one method of the directive and the template behind it.
    fn method_and_path(&mut self, input: &Input<'_>) -> Option<(RestMethod, Vec<TemplatePiece>)> {
        let given: Vec<_> = METHODS
            .into_iter()
            .filter(|(name, _)| input.has(name))
            .collect();
        let (name, method) = match given.as_slice() {
            [one] => *one,
            [] => {
                self.push(
                    Diagnostic::error("NO_METHOD", "this names no method")
                        .at(input.place.clone())
                        .help("give one of GET, POST, PUT, PATCH and DELETE: @rest(GET: \"/users/{id}\")"),
                );
                return None;
            }
            [(first, _), (second, _), ..] => {
                self.push(
                    Diagnostic::error(
                        "TWO_METHODS",
                        format!("one call has one method: {first} or {second}"),
                    )
                    .at(input.at_name(second))
                    .help("two calls are two directives"),
                );
                return None;
            }
        };
        let pieces = template(Text::of(input.get(name)?)?);
        let pieces = pieces
            .map_err(|error| self.syntax(input.document, error))
            .ok()?;
        self.check_path(input, name, &pieces)?;
        Some((method, pieces))
    }

    fn check_path(
        &mut self,
        input: &Input<'_>,
        name: &str,
        pieces: &[TemplatePiece],
    ) -> Option<()> {
        if matches!(pieces.first(), Some(TemplatePiece::Text(text)) if text.starts_with('/')) {
            return Some(());
        }
        self.push(
            Diagnostic::error("MAPPING_SYNTAX", "a path begins with a slash")
                .at(input.at_value(name))
                .help("the address before it belongs to the source's baseURL"),
        );
        None
    }

    /// The contract's operation; nothing, and a message, where it has none.
    fn operation<'o>(
        &mut self,
        contract: &'o OpenApi,
        input: &Input<'_>,
        method: RestMethod,
    ) -> Option<(Call, Option<&'o Operation>, Vec<Option<TypeId>>)> {
        let written = input.text(method.as_str())?;
        let place = input.at_value(method.as_str());
        let Some(matched) = contract.operation(method.as_str(), written) else {
            let near = contract.closest(method.as_str(), written);
            let near: Vec<&str> = near.iter().map(String::as_str).collect();
            let help = match near.as_slice() {
                [] => "add the operation to the document, or correct the path".to_owned(),
                near => format!("the contract has {}", listed(near)),
            };
            let message = format!("the contract has no {} of this path", method.as_str());
            self.push(
                Diagnostic::error("UNKNOWN_OPERATION", message)
                    .at(place)
                    .help(help),
            );
            return None;
        };
        for problem in contract.problems_of(matched.operation) {
            self.contract_error(place.clone(), problem);
        }
        let holes = matched.bindings.iter().flat_map(|binding| {
            let parameter = matched
                .operation
                .parameter(Location::Path, &binding.parameter);
            let ty = parameter
                .map(|it| it.ty)
                .filter(|_| binding.given.len() == 1);
            let holes = binding
                .given
                .iter()
                .filter(|part| matches!(part, PathPart::Hole(_)));
            holes.map(move |_| ty)
        });
        let holes = holes.collect();
        let operations = contract.operations().iter();
        let index = operations
            .enumerate()
            .find(|(_, it)| std::ptr::eq(*it, matched.operation));
        let call = index.map_or(Call::Unknown, |(index, _)| Call::Operation(index));
        Some((call, Some(matched.operation), holes))
    }

    fn rest_path(
        &mut self,
        rest: &Rest<'_, '_>,
        pieces: &[TemplatePiece],
        scope: &mut Scope<'a>,
    ) -> Option<Vec<Piece>> {
        let mut hole = 0;
        let mut path = Some(Vec::new());
        for piece in pieces {
            let lowered = match piece {
                TemplatePiece::Text(text) => Some(Piece::Text(text.clone())),
                TemplatePiece::Hole(mapping) => {
                    let wants = rest.holes.get(hole).copied().flatten();
                    let slot = Slot::new(Destination::Path(hole), wants);
                    hole += 1;
                    self.hole(scope, mapping, &slot).map(Piece::Hole)
                }
            };
            path = path.zip(lowered).map(|(mut path, piece)| {
                path.push(piece);
                path
            });
        }
        path
    }

    /// Parameters written into the path: `/users?active=true&id={id}`.
    fn inline_query(
        &mut self,
        rest: &Rest<'_, '_>,
        parameters: &[(String, Vec<TemplatePiece>)],
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        let lowered: Vec<_> = parameters
            .iter()
            .map(|(name, pieces)| {
                let slot = rest.query_slot(name);
                let value = match pieces.as_slice() {
                    [TemplatePiece::Hole(hole)] => self.hole(scope, hole, &slot)?,
                    [] => Expr::Const("".into()),
                    [TemplatePiece::Text(text)] => Expr::Const(text.as_str().into()),
                    pieces => Expr::Template(self.pieces(scope, pieces, &slot)?),
                };
                Some(rest.parameter(name.clone(), value))
            })
            .collect();
        lowered.into_iter().collect()
    }

    fn explicit_query(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        if !rest.input.has("query") {
            return Some(Vec::new());
        }
        let mapping = self.request_mapping(rest.input, "query")?;
        match &mapping.kind {
            MappingKind::Object(entries) => {
                let lowered: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let slot = rest.query_slot(&entry.key.name);
                        let value = self.expression(scope, &entry.value, &slot)?;
                        Some(rest.parameter(entry.key.name.clone(), value))
                    })
                    .collect();
                lowered.into_iter().collect()
            }
            _ => self.query_of_object(rest, &mapping, scope),
        }
    }

    /// `query: "$args.filter"`: the fields of an input object are the parameters.
    fn query_of_object(
        &mut self,
        rest: &Rest<'_, '_>,
        mapping: &Mapping,
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        if let MappingKind::Reference(reference) = &mapping.kind
            && reference.root == crate::mapping::Root::Args
        {
            let argument = self.argument(scope, &reference.path)?;
            if let Some(object) = input_object(scope.document, &argument.ty) {
                let path = names(&reference.path);
                return Some(self.fields_as_query(rest, scope, &path, object, &mapping.spot));
            }
        }
        self.push(
            Diagnostic::error("INVALID_VALUE", "parameters have names: this is one value")
                .at(at(scope.document, &mapping.spot))
                .help("write query: { name: \"$args.name\" }"),
        );
        None
    }

    fn fields_as_query(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
        path: &[String],
        object: &InputObjectType,
        spot: &Spot,
    ) -> Vec<QueryParam> {
        let fields = object.fields.values();
        fields
            .map(|field| {
                let path = [path, &[field.name.to_string()]].concat();
                self.default_parameter(rest, scope, path, field, spot)
            })
            .collect()
    }

    fn explicit_body(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Option<Option<Expr>> {
        if !rest.input.has("body") {
            return Some(None);
        }
        let mapping = self.request_mapping(rest.input, "body")?;
        let slot = Slot::new(Destination::Body(Vec::new()), rest.body_type());
        self.expression(scope, &mapping, &slot).map(Some)
    }

    /// Where the unused arguments go when the directive does not say.
    fn defaults(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> (Vec<QueryParam>, Option<Expr>) {
        let in_query = matches!(rest.method, RestMethod::Get | RestMethod::Delete);
        match in_query {
            true if !rest.input.has("query") => (self.default_query(rest, scope), None),
            false if !rest.input.has("body") => (Vec::new(), self.default_body(rest, scope)),
            _ => (Vec::new(), None),
        }
    }

    fn default_query(&mut self, rest: &Rest<'_, '_>, scope: &mut Scope<'a>) -> Vec<QueryParam> {
        let mut parameters = Vec::new();
        for argument in scope.unused() {
            scope.used.insert(argument.name.to_string());
            let path = vec![argument.name.to_string()];
            let spot = Spot::Whole(argument.name.location());
            let object = input_object(scope.document, &argument.ty);
            let document = scope.document;
            let name = self.sent_name(
                document,
                scope.source,
                &argument.name,
                &argument.directives,
                None,
            );
            match object.filter(|_| rest.query_type(&name).is_none()) {
                Some(object) => {
                    parameters.extend(self.fields_as_query(rest, scope, &path, object, &spot));
                }
                None => parameters.push(self.default_parameter(rest, scope, path, argument, &spot)),
            }
        }
        parameters
    }

    fn default_parameter(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
        path: Vec<String>,
        definition: &Node<InputValueDefinition>,
        spot: &Spot,
    ) -> QueryParam {
        let (document, directives) = (scope.document, &definition.directives);
        let name = self.sent_name(document, scope.source, &definition.name, directives, None);
        let slot = rest.query_slot(&name);
        let value = self.whole_argument(scope, path, definition, &slot, spot);
        rest.parameter(name, value)
    }

    fn default_body(&mut self, rest: &Rest<'_, '_>, scope: &mut Scope<'a>) -> Option<Expr> {
        let unused = scope.unused();
        let slot = Slot::new(Destination::Body(Vec::new()), rest.body_type());
        if let [one] = unused.as_slice()
            && input_object(scope.document, &one.ty).is_some()
        {
            scope.used.insert(one.name.to_string());
            let spot = Spot::Whole(one.name.location());
            return Some(self.whole_argument(scope, vec![one.name.to_string()], one, &slot, &spot));
        }
        let entries: Vec<_> = unused
            .into_iter()
            .map(|argument| self.body_property(scope, argument, slot.wants))
            .collect();
        (!entries.is_empty()).then_some(Expr::Object(entries))
    }

    fn body_property(
        &mut self,
        scope: &mut Scope<'a>,
        argument: &Node<InputValueDefinition>,
        body: Option<TypeId>,
    ) -> (String, Expr) {
        let (document, directives) = (scope.document, &argument.directives);
        let name = self.sent_name(document, scope.source, &argument.name, directives, body);
        let upstream = &self.lowered.upstreams[scope.source.index()];
        let wants = body.and_then(|body| Some(upstream.property(body, &name)?.1.ty));
        let slot = Slot::new(Destination::Body(vec![name.clone()]), wants);
        scope.used.insert(argument.name.to_string());
        let path = vec![argument.name.to_string()];
        let spot = Spot::Whole(argument.name.location());
        (
            name,
            self.whole_argument(scope, path, argument, &slot, &spot),
        )
    }

    /// An argument or a field of one that is sent because nothing else was said of it.
    pub(super) fn whole_argument(
        &mut self,
        scope: &mut Scope<'a>,
        path: Vec<String>,
        definition: &Node<InputValueDefinition>,
        slot: &Slot,
        spot: &Spot,
    ) -> Expr {
        let (document, directives) = (scope.document, &definition.directives);
        let encode = self.input_encoding(
            document,
            scope.source,
            &definition.ty,
            directives,
            slot.wants,
        );
        scope.sends(
            spot,
            slot,
            Value::Argument(path.clone(), (*definition.ty).clone()),
        );
        Expr::Arg { path, encode }
    }

    fn list_style(&mut self, input: &Input<'_>, source: SourceId) -> ListStyle {
        let own = input.word("lists").and_then(list_style_named);
        own.unwrap_or(self.lowered.sources[source.index()].lists)
    }

    /// Checks an argument that stands in the path.
    pub(super) fn check_path_argument(
        &mut self,
        scope: &Scope<'a>,
        ty: &Type,
        nullable: bool,
        spot: &Spot,
    ) {
        if ty.is_list() {
            self.list_in_path(scope, spot);
        } else if nullable {
            let message = format!("this is `{ty}`, and a path needs a value");
            self.push(
                Diagnostic::error("NULLABLE_IN_PATH", message)
                    .at(at(scope.document, spot))
                    .help(format!(
                        "make it `{ty}!`, or say what stands for null: {{$args.x ?? 'all'}}"
                    )),
            );
        }
    }

    pub(super) fn list_in_path(&mut self, scope: &Scope<'a>, spot: &Spot) {
        self.push(
            Diagnostic::error("LIST_IN_PATH", "a list cannot stand in a path")
                .at(at(scope.document, spot))
                .help("send it in the query string: query: { id: \"$batch.id\" }"),
        );
    }

    /// Arguments that go nowhere.
    pub(super) fn check_unused(&mut self, scope: &Scope<'a>) {
        for argument in scope.unused() {
            let message = "this argument goes nowhere: only what the mapping names is sent";
            let help = format!("send it with \"$args.{}\", or remove it", argument.name);
            self.push(
                Diagnostic::warning("UNUSED_ARGUMENT", message)
                    .at(scope.document.places.name(&argument.name))
                    .help(help),
            );
        }
    }
}

impl Rest<'_, '_> {
    fn query_type(&self, name: &str) -> Option<TypeId> {
        Some(self.operation?.parameter(Location::Query, name)?.ty)
    }

    fn query_slot(&self, name: &str) -> Slot {
        Slot::new(Destination::Query(name.to_owned()), self.query_type(name))
    }

    /// A parameter; how its lists travel is for the contract to say.
    fn parameter(&self, name: String, value: Expr) -> QueryParam {
        let operation = self.operation;
        let parameter = operation.and_then(|it| it.parameter(Location::Query, &name));
        let stated = parameter.and_then(|parameter| match parameter.style {
            ParameterStyle::Repeated => Some(ListStyle::Repeated),
            ParameterStyle::Comma => Some(ListStyle::Comma),
            ParameterStyle::Brackets => Some(ListStyle::Brackets),
            _ => None,
        });
        QueryParam {
            name,
            value,
            lists: stated.unwrap_or(self.lists),
        }
    }

    fn body_type(&self) -> Option<TypeId> {
        let encoding = match self.encoding {
            BodyEncoding::Json => ContentEncoding::Json,
            BodyEncoding::Form => ContentEncoding::Form,
            BodyEncoding::Multipart => ContentEncoding::Multipart,
            BodyEncoding::Text => ContentEncoding::Text,
        };
        Some(self.operation?.body.as_ref()?.encoded(encoding)?.ty)
    }
}

fn reply_type(operation: &Operation) -> Option<TypeId> {
    Some(operation.success()?.json()?.ty)
}

fn body_encoding(input: &Input<'_>) -> BodyEncoding {
    match input.word("encoding") {
        Some("FORM") => BodyEncoding::Form,
        Some("MULTIPART") => BodyEncoding::Multipart,
        Some("TEXT") => BodyEncoding::Text,
        _ => BodyEncoding::Json,
    }
}

pub(super) fn list_style_named(word: &str) -> Option<ListStyle> {
    match word {
        "REPEATED" => Some(ListStyle::Repeated),
        "COMMA" => Some(ListStyle::Comma),
        "BRACKETS" => Some(ListStyle::Brackets),
        _ => None,
    }
}

/// The input object that an argument is, lists left out.
pub(super) fn input_object<'d>(document: &'d Document, ty: &Type) -> Option<&'d InputObjectType> {
    match document.schema.types.get(ty.inner_named_type())? {
        ExtendedType::InputObject(object) if !ty.is_list() => Some(object),
        _ => None,
    }
}

type Parameters = Vec<(String, Vec<TemplatePiece>)>;

/// A template before and after its first `?`, the part after it as parameters.
fn split_query(pieces: &[TemplatePiece]) -> (Vec<TemplatePiece>, Parameters) {
    let mut path = Vec::new();
    let mut query: Option<Vec<TemplatePiece>> = None;
    for piece in pieces {
        match (&mut query, piece) {
            (Some(query), piece) => query.push(piece.clone()),
            (None, TemplatePiece::Text(text)) => match text.split_once('?') {
                Some((before, after)) => {
                    push_text(&mut path, before);
                    query = Some(vec![TemplatePiece::Text(after.to_owned())]);
                }
                None => path.push(piece.clone()),
            },
            (None, hole) => path.push(hole.clone()),
        }
    }
    (path, parameters(&query.unwrap_or_default()))
}

fn push_text(pieces: &mut Vec<TemplatePiece>, text: &str) {
    if !text.is_empty() {
        pieces.push(TemplatePiece::Text(text.to_owned()));
    }
}

fn parameters(pieces: &[TemplatePiece]) -> Parameters {
    let mut found: Parameters = Vec::new();
    for piece in pieces {
        match piece {
            TemplatePiece::Text(text) => {
                for (index, part) in text.split('&').enumerate() {
                    let continues = index == 0 && !found.is_empty();
                    match (continues, part.split_once('=')) {
                        (true, _) => push_text(&mut found.last_mut().expect("not empty").1, part),
                        (false, _) if part.is_empty() => {}
                        (false, Some((name, value))) => {
                            found.push((name.to_owned(), Vec::new()));
                            push_text(&mut found.last_mut().expect("just pushed").1, value);
                        }
                        (false, None) => found.push((part.to_owned(), Vec::new())),
                    }
                }
            }
            hole => {
                if let Some((_, value)) = found.last_mut() {
                    value.push(hole.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, printed, said, said_of};
    use super::*;

    fn call(declarations: &str) -> String {
        let shown = printed(declarations);
        let call = shown
            .lines()
            .find_map(|line| line.strip_prefix("  call    shop: "));
        call.expect("a call").to_owned()
    }

    #[test]
    fn unused_arguments_become_parameters_of_a_get() {
        assert_eq!(
            call(
                "type Query { a(id: ID!, pageSize: Int = 3, tags: [String!]): Int @rest(GET: \"/a/{id}\") }"
            ),
            "GET /a/{$args.id as string}?page_size=$args.pageSize&tags=$args.tags"
        );
        assert_eq!(
            call(
                "type Query { a(filter: F, x: Int @map(to: \"X-1\")): Int @rest(GET: \"/a\") } input F { minPrice: Float }"
            ),
            "GET /a?min_price=$args.filter.minPrice&X-1=$args.x"
        );
    }

    #[test]
    fn a_query_may_be_written_out_or_be_an_input_object() {
        assert_eq!(
            call(
                "type Query { a(b: ID!): Int @rest(GET: \"/a?all=true&b={b}\", query: { c: \"$args.b\", d: 5 }) }"
            ),
            "GET /a?all=\"true\"&b=$args.b as string&c=$args.b as string&d=5"
        );
        assert_eq!(
            call(
                "type Query { a(filter: F!): Int @rest(GET: \"/a\", query: \"$args.filter\") } input F { x: Int y: ID }"
            ),
            "GET /a?x=$args.filter.x&y=$args.filter.y as string"
        );
        let one = said("type Query { a(b: Int): Int @rest(GET: \"/a\", query: \"$args.b\") }");
        assert!(
            one.contains("parameters have names: this is one value"),
            "{one}"
        );
    }

    #[test]
    fn a_body_is_the_single_input_object_else_an_object_of_the_arguments() {
        assert_eq!(
            call(
                "type Mutation { a(id: ID!, input: I!): Int @rest(PATCH: \"/a/{id}\") } input I { unitPrice: Float! }"
            ),
            "PATCH /a/{$args.id as string} body $args.input as {unit_price}"
        );
        assert_eq!(
            call("type Mutation { a(name: String, userId: ID): Int @rest(POST: \"/a\") }"),
            "POST /a body { name: $args.name, user_id: $args.userId as string }"
        );
        assert_eq!(
            call("type Mutation { a(id: ID!): Int @rest(POST: \"/a/{id}/go\") }"),
            "POST /a/{$args.id as string}/go"
        );
        assert_eq!(
            call(
                "type Mutation { a(b: Int): Int @rest(POST: \"/a\", body: { x: \"$args.b\", kind: \"'gift'\", y: [1, true] }) }"
            ),
            "POST /a body { x: $args.b, kind: \"gift\", y: [1, true] }"
        );
    }

    #[test]
    fn one_call_has_one_method() {
        let two = said("type Query { a: Int @rest(GET: \"/a\", POST: \"/b\") }");
        assert!(
            two.starts_with("error[TWO_METHODS] shop.graphql:2:38\n"),
            "{two}"
        );
        let none = said("type Query { a: Int @rest(query: { b: 1 }) }");
        assert!(
            none.starts_with("error[NO_METHOD] shop.graphql:2:21\n"),
            "{none}"
        );
    }

    #[test]
    fn a_path_begins_with_a_slash() {
        let said = said("type Query { a: Int @rest(GET: \"http://shop/a\") }");
        assert!(
            said.starts_with("error[MAPPING_SYNTAX] shop.graphql:2:32\n"),
            "{said}"
        );
    }

    #[test]
    fn null_and_lists_cannot_stand_in_a_path() {
        assert_eq!(
            said("type Query { a(id: ID): Int @rest(GET: \"/a/{id}\") }"),
            "error[NULLABLE_IN_PATH] shop.graphql:2:45\n  \
             2 | type Query { a(id: ID): Int @rest(GET: \"/a/{id}\") }\n    \
             |                                             ^^ this is `ID`, and a path needs a value\n  \
             help: make it `ID!`, or say what stands for null: {$args.x ?? 'all'}\n"
        );
        assert_eq!(
            said("type Query { a(id: ID): Int @rest(GET: \"/a/{id ?? 'me'}\") }"),
            ""
        );
        assert_eq!(
            said("type Query { a(n: Int = 1): Int @rest(GET: \"/a/{n}\") }"),
            ""
        );
        let last = said("type Query { a(x: ID, y: ID): Int @rest(GET: \"/a/{x ?? y}\") }");
        assert!(
            last.starts_with("error[NULLABLE_IN_PATH] shop.graphql:2:56\n"),
            "{last}"
        );
        let list = said("type Query { a(ids: [ID!]!): Int @rest(GET: \"/a/{ids}\") }");
        assert!(list.starts_with("error[LIST_IN_PATH]"), "{list}");
    }

    #[test]
    fn an_argument_that_goes_nowhere_is_a_warning() {
        assert_eq!(
            said(
                "type Query { a(b: Int, c: Int): Int @rest(GET: \"/a\", query: { b: \"$args.b\" }) }"
            ),
            "warning[UNUSED_ARGUMENT] shop.graphql:2:24\n  \
             2 | type Query { a(b: Int, c: Int): Int @rest(GET: \"/a\", query: { b: \"$args.b\" }) }\n    \
             |                        ^ this argument goes nowhere: only what the mapping names is sent\n  \
             help: send it with \"$args.c\", or remove it\n"
        );
    }

    #[test]
    fn the_contract_decides_types_and_how_lists_travel() {
        let contract = "
openapi: 3.1.0
info: { title: a, version: '1' }
paths:
  /a/{key}:
    get:
      parameters:
        - { name: key, in: path, required: true, schema: { type: integer } }
        - { name: tag, in: query, explode: false, schema: { type: array, items: { type: integer } } }
      responses: { '200': { description: a, content: { application/json: { schema: { type: object } } } } }
";
        let sdl = |path: &str| {
            let source = "extend schema @source(name: \"shop\", http: { baseURL: \"http://a\", openapi: \"a.yaml\" })";
            let mut files = file(&format!(
                "{source}\ntype Query {{ a(id: ID!, tag: [ID!]): A @rest(GET: \"{path}\") }} type A {{ x: String }}"
            ));
            files.files.insert("a.yaml".into(), contract.into());
            files
        };
        let (lowered, diagnostics) = super::super::tests::lowered_files(&sdl("/a/{id}"));
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let Request::Rest(rest) = &lowered.resolvers[0].request else {
            panic!("a REST request");
        };
        assert_eq!(rest.query[0].lists, ListStyle::Comma);
        assert_eq!(lowered.origins[0].call, Call::Operation(0));
        assert!(
            lowered.origins[0]
                .sent
                .iter()
                .all(|sent| sent.wants.is_some())
        );
        let unknown = said_of(&sdl("/b/{id}"));
        assert!(
            unknown.starts_with("error[UNKNOWN_OPERATION] shop.graphql:2:51\n"),
            "{unknown}"
        );
        assert!(
            unknown.contains("the contract has `GET /a/{key}`"),
            "{unknown}"
        );
    }

    #[test]
    fn a_template_is_split_at_its_question_mark() {
        let pieces = [
            TemplatePiece::Text("/a?x=1&y=".into()),
            TemplatePiece::Text("2&flag".into()),
        ];
        let (path, query) = split_query(&pieces);
        assert_eq!(path, [TemplatePiece::Text("/a".into())]);
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x", "y", "flag"]);
    }
}
