//! `@rest` to [`RestRequest`].

use apollo_compiler::ast::Type;
use apollo_compiler::schema::{ExtendedType, InputObjectType};

use super::input::Input;
use super::origin::{Call, Destination};
use super::query::split_query;
use super::scope::{Scope, Slot};
use super::upstream::Upstream;
use super::{Lowering, at, listed};
use crate::contract::openapi::{Location, Operation, PathPart};
use crate::contract::{OpenApi, TypeId};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{Spot, TemplatePiece, Text, template};
use crate::model::{
    BodyEncoding, Expr, ListStyle, Piece, QueryParam, Request, RestMethod, RestRequest, SourceId,
    UpstreamPath,
};

pub(super) const METHODS: [(&str, RestMethod); 5] = [
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
    /// What stands around the reply in every answer of the protocol.
    pub(super) prefix: UpstreamPath,
}

/// The directive, and the operation of the contract that it means.
pub(super) struct Rest<'d, 'o> {
    pub(super) input: &'o Input<'d>,
    pub(super) method: RestMethod,
    pub(super) operation: Option<&'o Operation>,
    /// What the contract wants in each hole of the path.
    pub(super) holes: Vec<Option<TypeId>>,
    pub(super) lists: ListStyle,
    pub(super) encoding: BodyEncoding,
}

/// An operation of the contract.
struct Found<'o> {
    operation: &'o Operation,
    index: usize,
    /// What it wants in each hole of the path.
    holes: Vec<Option<TypeId>>,
}

impl<'a> Lowering<'a> {
    pub(super) fn rest(&mut self, input: &Input<'_>, scope: &mut Scope<'a>) -> Option<Lowered> {
        let (method, pieces) = self.method_and_path(input)?;
        let upstream = self.lowered.upstreams[scope.source.index()].clone();
        let found = match &upstream {
            Upstream::OpenApi(contract) => Some(self.operation(contract, input, method)?),
            _ => None,
        };
        let operation = found.as_ref().map(|found| found.operation);
        let call = found.as_ref().map(|found| Call::Operation(found.index));
        let rest = Rest {
            input,
            method,
            operation,
            holes: found.map_or_else(Vec::new, |found| found.holes),
            lists: self.list_style(input, scope.source),
            encoding: body_encoding(input),
        };
        let request = self.request(&rest, &pieces, scope)?;
        Some(Lowered {
            request: Request::Rest(request),
            call: call.unwrap_or(Call::Unknown),
            reply: operation.and_then(reply_type),
            streamed: false,
            prefix: Vec::new(),
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
    ) -> Option<Found<'o>> {
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
        let is_this = |it: &Operation| std::ptr::eq(it, matched.operation);
        Some(Found {
            operation: matched.operation,
            index: contract.operations().iter().position(is_this)?,
            holes,
        })
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

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said, said_of};
    use super::*;

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
}
