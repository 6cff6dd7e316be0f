//! What a request sends against what the contract takes.
//!
//! Owns parameters, headers and the body as parts of a call; the values in them
//! are for [`super::outward`].

use super::called::{Called, Stated};
use super::hint::hint;
use super::outward::{Sending, Slot, Way};
use crate::contract::TypeId;
use crate::contract::openapi::{
    Body, Encoding as ContentEncoding, Location, Operation, Parameter, ParameterStyle,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::lower::{Destination, Sent};
use crate::model::{BodyEncoding, Expr, Piece, QueryParam, Request, RestRequest};

const PARAMETER: Way = Way {
    unknown: Some("UNKNOWN_PARAM"),
    wrong: "PARAM_TYPE",
    text: true,
};
const JSON_BODY: Way = Way {
    unknown: Some("BODY_SHAPE"),
    wrong: "BODY_SHAPE",
    text: false,
};
const TEXT_BODY: Way = Way {
    text: true,
    ..JSON_BODY
};
/// Fields that a message does not have are reported where they are lowered. The JSON of Protocol
/// Buffers reads a number from text.
const MESSAGE: Way = Way {
    unknown: None,
    wrong: "PARAM_TYPE",
    text: true,
};

/// Headers that the gateway itself sends, or that a contract cannot speak of (OpenAPI 3.1, 4.8.12).
const OWN_HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "content-length",
    "host",
    "x-correlation-id",
    "traceparent",
    "tracestate",
];

/// Checks the request of a resolver.
pub(super) fn check(called: &Called<'_>, diagnostics: &mut Diagnostics) {
    match (called.stated, &called.resolver.request) {
        (Stated::Operation(operation), Request::Rest(rest)) => {
            let mut check = Rest {
                called,
                operation,
                rest,
                diagnostics,
            };
            check.path();
            check.query();
            check.required_parameters();
            check.required_headers();
            check.body();
        }
        (Stated::Method(method), Request::Grpc(grpc)) => {
            let slot = Slot {
                wants: Some(method.input),
                required: true,
                single_is_list: false,
                place: called.type_at(method.input),
            };
            let mut sending = Sending::new(called, MESSAGE, sent_in_body(called));
            sending.expr(&grpc.message, &slot, called.argument("request"));
            report(sending.found, diagnostics);
        }
        _ => {}
    }
}

struct Rest<'c, 'g> {
    called: &'c Called<'g>,
    operation: &'g Operation,
    rest: &'g RestRequest,
    diagnostics: &'c mut Diagnostics,
}

impl<'g> Rest<'_, 'g> {
    fn path(&mut self) {
        let holes = self.rest.path.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        });
        for (index, hole) in holes.enumerate() {
            let to = Destination::Path(index);
            let first = self.sent(&to).next();
            if let Some(wants) = first.and_then(|sent| sent.wants) {
                let slot = self.hole(wants);
                self.value(hole, &slot, &to, None);
            }
        }
    }

    /// What stands in a hole of the path. That it may be null is reported where it is lowered.
    fn hole(&self, wants: TypeId) -> Slot {
        let mut parameters = self.operation.parameters_in(Location::Path);
        let parameter = parameters.find(|parameter| parameter.ty == wants);
        Slot {
            wants: Some(wants),
            required: false,
            single_is_list: true,
            place: parameter.map_or_else(
                || self.called.type_at(wants),
                |parameter| parameter.place.to_string(),
            ),
        }
    }

    fn query(&mut self) {
        for parameter in &self.rest.query {
            match self.declared(&parameter.name) {
                Some(slot) => {
                    let to = Destination::Query(parameter.name.clone());
                    self.value(&parameter.value, &slot, &to, Some(&parameter.name));
                }
                None => self.unknown_parameter(parameter),
            }
        }
    }

    fn value(&mut self, expr: &Expr, slot: &Slot, to: &Destination, key: Option<&str>) {
        let sent = self.called.origin.sent.iter().filter(|sent| sent.to == *to);
        let written = key.and_then(|key| self.called.nested("query", key));
        let mut sending = Sending::new(self.called, PARAMETER, sent);
        sending.expr(expr, slot, written);
        report(sending.found, self.diagnostics);
    }

    /// The parameter of this name, or the part of one: `filter[status]`, or a property of an
    /// object whose properties are parameters.
    fn declared(&self, name: &str) -> Option<Slot> {
        let find = |name: &str| self.operation.parameter(Location::Query, name);
        let plain = find(name).or_else(|| find(name.strip_suffix("[]")?));
        if let Some(parameter) = plain {
            return Some(slot(parameter));
        }
        if let Some((outer, inner)) = name.strip_suffix(']').and_then(|it| it.split_once('[')) {
            return self.part(find(outer)?, inner);
        }
        let mut spread = self.operation.parameters_in(Location::Query);
        spread.find_map(|parameter| match parameter.style {
            ParameterStyle::Repeated => self.part(parameter, name),
            _ => None,
        })
    }

    fn part(&self, parameter: &Parameter, name: &str) -> Option<Slot> {
        let (_, property) = self.called.contract.property(parameter.ty, name)?;
        Some(Slot {
            wants: Some(property.ty),
            required: property.must_be_sent() && parameter.required,
            single_is_list: true,
            place: property.place.to_string(),
        })
    }

    fn unknown_parameter(&mut self, parameter: &QueryParam) {
        let name = &parameter.name;
        let known = self.operation.parameters_in(Location::Query);
        let help = hint(
            name,
            known.map(|it| it.name.as_str()),
            "it has no query parameters: add it to the document, or do not send it",
        );
        self.diagnostics.push(
            Diagnostic::warning(
                "UNKNOWN_PARAM",
                format!("the contract has no query parameter `{name}`"),
            )
            .at(self.at_parameter(name))
            .contract(self.called.stated_at())
            .help(help),
        );
    }

    /// The key of `query`, else the argument that is sent, else the path with the parameter in it.
    fn at_parameter(&self, name: &str) -> Place {
        let called = self.called;
        let entries = called.argument("query").and_then(|it| it.as_object());
        let mut entries = entries.unwrap_or(&[]).iter();
        if let Some((key, _)) = entries.find(|(key, _)| key == name) {
            return called.document.places.name(key);
        }
        let sent = self.sent(&Destination::Query(name.to_owned())).next();
        sent.map_or_else(|| called.at_call(), |sent| called.at(&sent.spot))
    }

    fn required_parameters(&mut self) {
        let required = self.operation.parameters_in(Location::Query);
        for parameter in required.filter(|parameter| parameter.required) {
            if !self.is_sent(parameter) {
                let name = &parameter.name;
                let help =
                    format!("send it: query: {{ {name}: \"$args.…\" }}, or add an argument for it");
                self.missing_parameter(parameter, "query parameter", help);
            }
        }
    }

    fn is_sent(&self, parameter: &Parameter) -> bool {
        let page = self.called.resolver.page.as_ref();
        let paging = page.into_iter().flat_map(|page| [&page.size, &page.at]);
        let paging = paging.filter_map(|name| name.as_deref());
        let sent = self.rest.query.iter().map(|sent| sent.name.as_str());
        sent.chain(paging).any(|name| {
            let outer = name.split('[').next();
            let is_part = || self.part(parameter, name).is_some();
            name == parameter.name || outer == Some(&parameter.name) || is_part()
        })
    }

    fn required_headers(&mut self) {
        for parameter in self.operation.parameters.iter().filter(|it| it.required) {
            let (header, what) = match parameter.location {
                Location::Header => (parameter.name.to_lowercase(), "header"),
                Location::Cookie => ("cookie".to_owned(), "cookie"),
                Location::Path | Location::Query => continue,
            };
            if !self.sends_header(&header) {
                let help =
                    format!("send it: headers: [{{ name: \"{header}\", from: \"{header}\" }}]");
                self.missing_parameter(parameter, what, help);
            }
        }
    }

    fn sends_header(&self, name: &str) -> bool {
        let called = self.called;
        let source = &called.graph.lowered.sources[called.resolver.source.index()];
        let mut rules = self.rest.headers.iter().chain(&source.headers);
        OWN_HEADERS.contains(&name)
            || (name == "idempotency-key" && called.resolver.policy.idempotent)
            || rules.any(|rule| rule.name == name)
    }

    fn missing_parameter(&mut self, parameter: &Parameter, what: &str, help: String) {
        let message = format!(
            "the contract requires the {what} `{}`, which is never sent",
            parameter.name
        );
        self.diagnostics.push(
            Diagnostic::error("REQUIRED_PARAM_MISSING", message)
                .at(self.called.at_call())
                .contract(parameter.place.to_string())
                .help(help),
        );
    }

    fn body(&mut self) {
        match (&self.operation.body, &self.rest.body) {
            (Some(stated), Some(body)) => self.stated_body(stated, body),
            (Some(stated), None) if stated.required => self.bad_body(
                "the contract requires a body, and none is sent",
                stated.place.to_string(),
                "send one: body: { … }, or add arguments for it".to_owned(),
            ),
            (None, Some(_)) => self.bad_body(
                "the contract takes no body here",
                self.operation.place.to_string(),
                "put what is sent into the path or into query: { … }".to_owned(),
            ),
            _ => {}
        }
    }

    fn stated_body(&mut self, stated: &Body, body: &Expr) {
        let (encoding, way) = match self.rest.encoding {
            BodyEncoding::Json => (ContentEncoding::Json, JSON_BODY),
            BodyEncoding::Form => (ContentEncoding::Form, TEXT_BODY),
            BodyEncoding::Multipart => (ContentEncoding::Multipart, TEXT_BODY),
            BodyEncoding::Text => (ContentEncoding::Text, TEXT_BODY),
        };
        let Some(content) = stated.encoded(encoding) else {
            return self.wrong_encoding(stated);
        };
        let slot = Slot {
            wants: Some(content.ty),
            required: stated.required,
            single_is_list: false,
            place: self.called.type_at(content.ty),
        };
        let mut sending = Sending::new(self.called, way, sent_in_body(self.called));
        sending.expr(body, &slot, self.called.argument("body"));
        report(sending.found, self.diagnostics);
    }

    fn wrong_encoding(&mut self, stated: &Body) {
        let types = stated
            .content
            .iter()
            .map(|content| content.media_type.as_str());
        let types = types.collect::<Vec<_>>().join(" or ");
        let accepted = stated.content.iter().find_map(|it| match it.encoding {
            ContentEncoding::Json => Some("JSON"),
            ContentEncoding::Form => Some("FORM"),
            ContentEncoding::Multipart => Some("MULTIPART"),
            ContentEncoding::Text => Some("TEXT"),
            ContentEncoding::Other => None,
        });
        let help = match accepted {
            Some(encoding) => format!("write encoding: {encoding}"),
            None => "call another operation: bodies are JSON, FORM, MULTIPART or TEXT".to_owned(),
        };
        let message = format!("the contract takes {types}, and this body is another");
        self.bad_body(&message, stated.place.to_string(), help);
    }

    fn bad_body(&mut self, message: &str, contract: String, help: String) {
        let found = Diagnostic::error(JSON_BODY.wrong, message)
            .at(self
                .called
                .at_argument(&["encoding", "body", "POST", "PUT", "PATCH", "GET", "DELETE"]))
            .contract(contract)
            .help(help);
        self.diagnostics.push(found);
    }

    fn sent<'s>(&self, to: &'s Destination) -> impl Iterator<Item = &'g Sent> + use<'g, 's> {
        let sent = self.called.origin.sent.iter();
        sent.filter(move |sent| sent.to == *to)
    }
}

fn slot(parameter: &Parameter) -> Slot {
    Slot {
        wants: Some(parameter.ty),
        required: parameter.required,
        single_is_list: true,
        place: parameter.place.to_string(),
    }
}

fn sent_in_body<'g>(called: &Called<'g>) -> impl Iterator<Item = &'g Sent> + use<'g> {
    let sent = called.origin.sent.iter();
    sent.filter(|sent| matches!(sent.to, Destination::Body(_)))
}

fn report(found: Vec<Diagnostic>, diagnostics: &mut Diagnostics) {
    for diagnostic in found {
        diagnostics.push(diagnostic);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grpc, rest};

    #[test]
    fn a_required_parameter_that_is_never_sent_is_told() {
        let said = rest(
            r#"type Query { orders: String @rest(GET: "/orders") }"#,
            r##"paths:
  /orders:
    get:
      parameters: [{ name: tenant, in: query, required: true, schema: { type: string } }, { name: X-Shop, in: header, required: true, schema: { type: string } }, { name: Accept, in: header, required: true, schema: { type: string } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[REQUIRED_PARAM_MISSING] shop.graphql:2:40
  2 | type Query { orders: String @rest(GET: "/orders") }
    |                                        ^^^^^^^^^ the contract requires the query parameter `tenant`, which is never sent
  contract: shop.yaml#/paths/~1orders/get/parameters/0
  help: send it: query: { tenant: "$args.…" }, or add an argument for it

error[REQUIRED_PARAM_MISSING] shop.graphql:2:40
  2 | type Query { orders: String @rest(GET: "/orders") }
    |                                        ^^^^^^^^^ the contract requires the header `X-Shop`, which is never sent
  contract: shop.yaml#/paths/~1orders/get/parameters/1
  help: send it: headers: [{ name: "x-shop", from: "x-shop" }]
"##
        );
    }

    #[test]
    fn a_parameter_is_of_the_type_that_the_contract_wants() {
        let said = rest(
            r#"type Query {
  orders(page: String, state: State, ids: [Int!], since: Float): String @rest(GET: "/orders")
  order(id: Boolean!): String @rest(GET: "/orders/{id}")
  fixed: String @rest(GET: "/orders?page=last", query: { since: "'now'" })
}
enum State { PAID @map(value: "paid") SENT }"#,
            r##"paths:
  /orders:
    get:
      parameters: [{ name: page, in: query, schema: { type: integer } }, { name: state, in: query, schema: { type: string, enum: [paid, sent] } }, { name: ids, in: query, schema: { type: integer } }, { name: since, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
  /orders/{id}:
    get:
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[PARAM_TYPE] shop.graphql:3:10
  3 |   orders(page: String, state: State, ids: [Int!], since: Float): String @rest(GET: "/orders")
    |          ^^^^ this is `String`, and the contract wants integer
  contract: shop.yaml#/paths/~1orders/get/parameters/0
  help: make it `Int`

error[PARAM_TYPE] shop.graphql:7:39
  7 | enum State { PAID @map(value: "paid") SENT }
    |                                       ^^^^ the contract does not take `SENT`
  contract: shop.yaml#/paths/~1orders/get/parameters/1
  help: did you mean @map(value: "sent")?

error[PARAM_TYPE] shop.graphql:3:38
  3 |   orders(page: String, state: State, ids: [Int!], since: Float): String @rest(GET: "/orders")
    |                                      ^^^ this is a list, and the contract takes one value: integer
  contract: shop.yaml#/paths/~1orders/get/parameters/2
  help: send one value, or name a place that takes a list

error[PARAM_TYPE] shop.graphql:3:51
  3 |   orders(page: String, state: State, ids: [Int!], since: Float): String @rest(GET: "/orders")
    |                                                   ^^^^^ this is `Float`, and the contract wants integer
  contract: shop.yaml#/paths/~1orders/get/parameters/3
  help: make it `Int`

error[PARAM_TYPE] shop.graphql:4:52
  4 |   order(id: Boolean!): String @rest(GET: "/orders/{id}")
    |                                                    ^^ this is `Boolean!`, and the contract wants integer
  contract: shop.yaml#/paths/~1orders~1{id}/get/parameters/0
  help: make it `Int`

error[PARAM_TYPE] shop.graphql:5:28
  5 |   fixed: String @rest(GET: "/orders?page=last", query: { since: "'now'" })
    |                            ^^^^^^^^^^^^^^^^^^^ "last" is not what the contract wants: integer
  contract: shop.yaml#/paths/~1orders/get/parameters/0
  help: write a constant of that type

error[PARAM_TYPE] shop.graphql:5:66
  5 |   fixed: String @rest(GET: "/orders?page=last", query: { since: "'now'" })
    |                                                                  ^^^^^ "now" is not what the contract wants: integer
  contract: shop.yaml#/paths/~1orders/get/parameters/3
  help: write a constant of that type
"##
        );
    }

    #[test]
    fn what_may_be_null_is_not_sent_where_a_value_is_required() {
        let said = rest(
            r#"type Query {
  a(tenant: String): String @rest(GET: "/orders")
  b(tenant: String = "de"): String @rest(GET: "/orders")
  c(tenant: String): String @rest(GET: "/orders", query: { tenant: "$args.tenant ?? 'de'" })
}"#,
            r##"paths:
  /orders:
    get:
      parameters: [{ name: tenant, in: query, required: true, schema: { type: string } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[PARAM_TYPE] shop.graphql:3:5
  3 |   a(tenant: String): String @rest(GET: "/orders")
    |     ^^^^^^ `String` may be null, and the contract requires a value
  contract: shop.yaml#/paths/~1orders/get/parameters/0
  help: make it `String!`, or give it a default
"##
        );
    }

    #[test]
    fn an_id_fits_integers_and_texts_and_a_batch_fits_a_list() {
        let said = rest(
            r#"type Query {
  order(id: ID!): Order @rest(GET: "/orders/{id}")
  named(code: ID!): String @rest(GET: "/names", query: { code: "$args.code", limit: 5, active: true })
  inline: String @rest(GET: "/names?limit=7&active=false")
}
type Order @key(fields: "id") @rest(GET: "/orders", query: { id: "$batch.id" }) { id: ID! }"#,
            r##"paths:
  /orders/{id}:
    get:
      parameters: [{ name: id, in: path, required: true, schema: { type: integer, format: int64 } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } } }
  /orders:
    get:
      parameters: [{ name: id, in: query, schema: { type: array, items: { type: integer } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Order" } } } } } }
  /names:
    get:
      parameters: [{ name: code, in: query, schema: { type: string } }, { name: limit, in: query, schema: { type: integer } }, { name: active, in: query, schema: { type: boolean } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
components: { schemas: { Order: { type: object, required: [id], properties: { id: { type: integer } } } } }
"##,
        );
        assert_eq!(said, "");
    }

    #[test]
    fn a_parameter_that_the_contract_does_not_have_is_a_warning() {
        let said = rest(
            r#"type Query {
  a: String @rest(GET: "/orders", query: { statu: "'paid'" })
  b: String @rest(GET: "/orders?colour=red")
  c(colour: String): String @rest(GET: "/orders")
}"#,
            r##"paths:
  /orders:
    get:
      parameters: [{ name: status, in: query, schema: { type: string } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"warning[UNKNOWN_PARAM] shop.graphql:3:44
  3 |   a: String @rest(GET: "/orders", query: { statu: "'paid'" })
    |                                            ^^^^^ the contract has no query parameter `statu`
  contract: shop.yaml#/paths/~1orders/get
  help: did you mean `status`?

warning[UNKNOWN_PARAM] shop.graphql:4:24
  4 |   b: String @rest(GET: "/orders?colour=red")
    |                        ^^^^^^^^^^^^^^^^^^^^ the contract has no query parameter `colour`
  contract: shop.yaml#/paths/~1orders/get
  help: it has `status`

warning[UNKNOWN_PARAM] shop.graphql:5:5
  5 |   c(colour: String): String @rest(GET: "/orders")
    |     ^^^^^^ the contract has no query parameter `colour`
  contract: shop.yaml#/paths/~1orders/get
  help: it has `status`
"##
        );
    }

    #[test]
    fn parts_of_an_object_are_parameters() {
        let said = rest(
            r#"type Query {
  a(status: String): String @rest(GET: "/deep?filter[status]={status}")
  b(status: Int): String @rest(GET: "/spread")
}"#,
            r##"paths:
  /deep:
    get:
      parameters: [{ name: filter, in: query, required: true, style: deepObject, explode: true, schema: { type: object, properties: { status: { type: string } } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
  /spread:
    get:
      parameters: [{ name: filter, in: query, required: true, style: form, explode: true, schema: { type: object, properties: { status: { type: boolean } } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[PARAM_TYPE] shop.graphql:4:5
  4 |   b(status: Int): String @rest(GET: "/spread")
    |     ^^^^^^ this is `Int`, and the contract wants boolean
  contract: shop.yaml#/paths/~1spread/get/parameters/0/schema/properties/status
  help: make it `Boolean`
"##
        );
    }

    #[test]
    fn a_body_has_the_shape_of_the_contract() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation { add(input: New!): String @rest(POST: "/a") }
input New { id: ID name: String aeg: Int age: String lines: [Line!]! }
input Line { count: Int! skuu: String! }"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
    post:
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/New" } } }
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
components:
  schemas:
    New:
      type: object
      required: [name, lines]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string }
        age: { type: integer }
        lines: { type: array, items: { type: object, required: [sku], properties: { sku: { type: string }, count: { type: integer } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BODY_SHAPE] shop.graphql:4:13
  4 | input New { id: ID name: String aeg: Int age: String lines: [Line!]! }
    |             ^^ the contract has `id` in replies only
  contract: shop.yaml#/components/schemas/New/properties/id
  help: leave it out of the request

error[BODY_SHAPE] shop.graphql:4:20
  4 | input New { id: ID name: String aeg: Int age: String lines: [Line!]! }
    |                    ^^^^ `String` may be left out, and the contract requires it
  contract: shop.yaml#/components/schemas/New/properties/name
  help: make it `String!`, or give it a default

error[BODY_SHAPE] shop.graphql:4:33
  4 | input New { id: ID name: String aeg: Int age: String lines: [Line!]! }
    |                                 ^^^ the contract's `New` has no `aeg`
  contract: shop.yaml#/components/schemas/New
  help: did you mean `age`?

error[BODY_SHAPE] shop.graphql:4:42
  4 | input New { id: ID name: String aeg: Int age: String lines: [Line!]! }
    |                                          ^^^ this is `String`, and the contract wants integer
  contract: shop.yaml#/components/schemas/New/properties/age
  help: make it `Int`

error[BODY_SHAPE] shop.graphql:5:26
  5 | input Line { count: Int! skuu: String! }
    |                          ^^^^ the contract has no `skuu` here
  contract: shop.yaml#/components/schemas/New/properties/lines/items
  help: did you mean `sku`?
"##
        );
    }

    #[test]
    fn a_body_in_the_sdl_is_told_at_its_own_keys() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation { add(name: String!): String @rest(POST: "/a", body: { name: "$args.name", agee: 3, age: "'old'", lines: [{ count: "{$args.name}" }] }) }"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
    post:
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/New" } } }
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
components:
  schemas:
    New:
      type: object
      required: [name, lines]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string }
        age: { type: integer }
        lines: { type: array, items: { type: object, required: [sku], properties: { sku: { type: string }, count: { type: integer } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BODY_SHAPE] shop.graphql:3:90
  3 | type Mutation { add(name: String!): String @rest(POST: "/a", body: { name: "$args.name", agee: 3, age: "'old'", lines: [{ count: "{$args.name}" }] }) }
    |                                                                                          ^^^^ the contract's `New` has no `agee`
  contract: shop.yaml#/components/schemas/New
  help: did you mean `age`?

error[BODY_SHAPE] shop.graphql:3:105
  3 | type Mutation { add(name: String!): String @rest(POST: "/a", body: { name: "$args.name", agee: 3, age: "'old'", lines: [{ count: "{$args.name}" }] }) }
    |                                                                                                         ^^^^^ "old" is not what the contract wants: integer
  contract: shop.yaml#/components/schemas/New/properties/age
  help: write a constant of that type

error[BODY_SHAPE] shop.graphql:3:130
  3 | type Mutation { add(name: String!): String @rest(POST: "/a", body: { name: "$args.name", agee: 3, age: "'old'", lines: [{ count: "{$args.name}" }] }) }
    |                                                                                                                                  ^^^^^^^^^^^^^^ this is a text, and the contract wants integer
  contract: shop.yaml#/components/schemas/New/properties/lines/items/properties/count
  help: send one value as it is: "$args.name"

error[REQUIRED_PARAM_MISSING] shop.graphql:3:121
  3 | type Mutation { add(name: String!): String @rest(POST: "/a", body: { name: "$args.name", agee: 3, age: "'old'", lines: [{ count: "{$args.name}" }] }) }
    |                                                                                                                         ^^^^^^^^^^^^^^^^^^^^^^^^^ the contract requires `sku`, which is never sent
  contract: shop.yaml#/components/schemas/New/properties/lines/items/properties/sku
  help: send it: { sku: "$args.…" }
"##
        );
    }

    #[test]
    fn a_body_is_sent_where_one_is_taken() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation {
  none: String @rest(POST: "/a")
  some(name: String!): String @rest(POST: "/b")
  form(name: String!): String @rest(POST: "/a", encoding: FORM)
}"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
    post:
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/New" } } }
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
  /b:
    post:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
components:
  schemas:
    New:
      type: object
      required: [name, lines]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string }
        age: { type: integer }
        lines: { type: array, items: { type: object, required: [sku], properties: { sku: { type: string }, count: { type: integer } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BODY_SHAPE] shop.graphql:4:28
  4 |   none: String @rest(POST: "/a")
    |                            ^^^^ the contract requires a body, and none is sent
  contract: shop.yaml#/paths/~1a/post/requestBody
  help: send one: body: { … }, or add arguments for it

error[BODY_SHAPE] shop.graphql:5:43
  5 |   some(name: String!): String @rest(POST: "/b")
    |                                           ^^^^ the contract takes no body here
  contract: shop.yaml#/paths/~1b/post
  help: put what is sent into the path or into query: { … }

error[BODY_SHAPE] shop.graphql:6:59
  6 |   form(name: String!): String @rest(POST: "/a", encoding: FORM)
    |                                                           ^^^^ the contract takes application/json, and this body is another
  contract: shop.yaml#/paths/~1a/post/requestBody
  help: write encoding: JSON
"##
        );
    }

    #[test]
    fn one_of_several_bodies_is_enough() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation {
  card(number: String!): String @rest(POST: "/pay")
  none(cash: Boolean!): String @rest(POST: "/pay")
}"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
  /pay:
    post:
      requestBody: { required: true, content: { application/json: { schema: { oneOf: [{ type: object, required: [number], properties: { number: { type: string } } }, { type: object, required: [iban], properties: { iban: { type: string } } }] } } } }
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BODY_SHAPE] shop.graphql:5:8
  5 |   none(cash: Boolean!): String @rest(POST: "/pay")
    |        ^^^^ this is none of what the contract takes here
    |        as object: the contract has no `cash` here
    |        as object: the contract has no `cash` here
  contract: shop.yaml#/paths/~1pay/post/requestBody/content/application~1json/schema
  help: send what one of these wants
"##
        );
    }

    #[test]
    fn a_message_is_of_the_types_of_the_proto() {
        let said = grpc(
            r#"type Query { find(age: String, filter: Filter, ids: String, kind: Kind): Int @grpc(method: "shop.Shop/Find", result: "count") }
input Filter { name: Int }
enum Kind { KIND_BOOK KIND_TOY }"#,
            r##"service Shop { rpc Find(Query) returns (Found); }
message Query { int32 age = 1; Filter filter = 2; repeated int64 ids = 3; Kind kind = 4; }
message Filter { bool name = 1; }
message Found { int32 count = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_BOOK = 1; }
"##,
        );
        assert_eq!(
            said,
            r##"error[PARAM_TYPE] shop.graphql:2:19
  2 | type Query { find(age: String, filter: Filter, ids: String, kind: Kind): Int @grpc(method: "shop.Shop/Find", result: "count") }
    |                   ^^^ this is `String`, and the contract wants int32
  contract: shop.proto: shop.Query.age
  help: make it `Int`

error[PARAM_TYPE] shop.graphql:3:16
  3 | input Filter { name: Int }
    |                ^^^^ this is `Int`, and the contract wants boolean
  contract: shop.proto: shop.Filter.name
  help: make it `Boolean`

error[PARAM_TYPE] shop.graphql:2:48
  2 | type Query { find(age: String, filter: Filter, ids: String, kind: Kind): Int @grpc(method: "shop.Shop/Find", result: "count") }
    |                                                ^^^ this is `String`, and the contract wants list of int64
  contract: shop.proto: shop.Query.ids
  help: make it `[ID]`

error[PARAM_TYPE] shop.graphql:4:23
  4 | enum Kind { KIND_BOOK KIND_TOY }
    |                       ^^^^^^^^ the contract does not take `KIND_TOY`
  contract: shop.proto: shop.Query.kind
  help: did you mean @map(value: "KIND_BOOK")?
"##
        );
    }

    #[test]
    fn types_that_contain_themselves_end() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation { add(tree: Tree!): Node @rest(POST: "/tree") }
input Tree { name: Int! children: [Tree!] }
type Node { name: String! children: [Node!]! }"#,
            r##"paths:
  /a: { get: { responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } } } }
  /tree:
    post:
      requestBody: { required: true, content: { application/json: { schema: { $ref: "#/components/schemas/Tree" } } } }
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Node" } } } } }
components:
  schemas:
    Tree: { type: object, required: [name], properties: { name: { type: boolean }, children: { type: array, items: { anyOf: [{ $ref: "#/components/schemas/Tree" }, { $ref: "#/components/schemas/Node" }] } } } }
    Node: { type: object, required: [name, children], properties: { name: { type: string }, children: { type: array, items: { $ref: "#/components/schemas/Node" } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BODY_SHAPE] shop.graphql:4:14
  4 | input Tree { name: Int! children: [Tree!] }
    |              ^^^^ this is `Int!`, and the contract wants boolean
  contract: shop.yaml#/components/schemas/Tree/properties/name
  help: make it `Boolean`
"##
        );
    }
}
