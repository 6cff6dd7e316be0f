//! Whole replies: what `result:` unwraps, and whether it is the list or the value that is wanted.

use apollo_compiler::ast::Type;

use super::called::{Called, Stated};
use super::inward::{Inward, Site};
use super::reading::{Doubt, Found, Reading};
use super::view;
use crate::contract::openapi::Operation;
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::model::{Read, ViewField};

/// Checks how a resolver's reply is read.
pub(super) fn check(called: &Called<'_>, diagnostics: &mut Diagnostics) {
    let Some(reading) = Reading::of(called.upstream) else {
        return;
    };
    let inward = Inward {
        graph: called.graph,
        document: called.document,
        reading,
        diagnostics,
    };
    let mut reply = Reply { called, inward };
    reply.check();
    if let Stated::Operation(operation) = called.stated {
        reply.statuses(operation);
    }
}

struct Reply<'c, 'g> {
    called: &'c Called<'g>,
    inward: Inward<'c, 'g>,
}

impl<'g> Reply<'_, 'g> {
    fn check(&mut self) {
        let Some(whole) = self.called.origin.reply else {
            return self.no_body();
        };
        let unwrap = &self.called.resolver.reply.unwrap;
        match self.inward.reading.follow(whole, unwrap) {
            Found::Value { doubt, .. } => {
                if let Some(result) = self.called.origin.result {
                    self.result(result, doubt);
                }
            }
            Found::Unstated => {}
            Found::Missing { on, name } => {
                let place = self.place();
                self.inward.missing(&on, &name, &place);
            }
        }
    }

    /// What `result:` leads to.
    fn result(&mut self, ty: TypeId, doubt: Option<Doubt>) {
        let rule = &self.called.resolver.reply;
        let is_many = self.called.resolver.batch.is_some() || rule.connection.is_some();
        match (is_many, self.called.is_streamed()) {
            (true, false) => {
                for item in self.items(ty) {
                    self.value(item, None);
                }
            }
            (false, true) if !rule.ty.is_list() => self.a_stream(ty),
            (_, true) => self.value(ty, None),
            (false, false) => {
                let stated = &self.inward.reading.contract[ty];
                let null = stated.nullable.then(|| Doubt::Null(stated.place.clone()));
                self.value(ty, Doubt::graver(doubt, null));
            }
        }
    }

    /// The items of a batch or a connection.
    fn items(&mut self, ty: TypeId) -> Vec<TypeId> {
        let reading = self.inward.reading;
        let all = reading.alternatives(&[ty]);
        let is_unstated = all.iter().any(|ty| reading.contract[*ty].kind == Kind::Any);
        let items: Vec<TypeId> = all
            .iter()
            .filter_map(|ty| match reading.contract[*ty].kind {
                Kind::List(item) => Some(item),
                _ => None,
            })
            .collect();
        if items.is_empty() && !is_unstated && !all.is_empty() {
            let what = match self.called.resolver.batch {
                Some(_) => "a batch answers with a list of items",
                None => "a connection is made of a list",
            };
            let message = format!("{what}, and the contract has {}", reading.describe(&all));
            let help = self.unwrap_help(&all);
            let help =
                help.unwrap_or_else(|| "call an operation that answers with a list".to_owned());
            let place = self.place();
            self.inward
                .mismatch_as("RESULT_NOT_LIST", message, &all, &help, &place);
        }
        items
    }

    fn a_stream(&mut self, message: TypeId) {
        let ty = &self.called.resolver.reply.ty;
        let what = format!("`{ty}` is one value, and the method answers with a stream of them");
        let help = format!("make it `{}`", ty.clone().list());
        let place = self.place();
        self.inward
            .mismatch_as("RESULT_NOT_LIST", what, &[message], &help, &place);
    }

    /// One value of the reply, or one item of it.
    fn value(&mut self, base: TypeId, doubt: Option<Doubt>) {
        let resolver = self.called.resolver;
        let field = &resolver.reply.value;
        let ty = self.item_type(field);
        let site = self.site(base);
        if ty.is_non_null() && doubt.is_some() && field.read == Read::Path(Vec::new()) {
            self.inward.nullability(&ty, doubt, "", &site);
        }
        self.inward.value(field, &ty, base, &site);
    }

    /// The GraphQL type of what one item, message or reply is.
    fn item_type(&self, field: &ViewField) -> Type {
        let resolver = self.called.resolver;
        let is_outer = match &resolver.batch {
            Some(batch) => batch.to_many,
            None => resolver.reply.connection.is_some() || self.called.is_streamed(),
        };
        match is_outer && field.ty.is_list() {
            true => field.ty.item_type().clone(),
            false => field.ty.clone(),
        }
    }

    fn site(&self, base: TypeId) -> Site {
        Site {
            place: self.place(),
            list: "RESULT_NOT_LIST",
            unwrap: self.unwrap_help(&[base]),
            key: false,
        }
    }

    /// The property that holds a list, where there is one.
    fn unwrap_help(&self, types: &[TypeId]) -> Option<String> {
        let contract = self.inward.reading.contract;
        let path = &self.called.resolver.reply.unwrap;
        let objects = types.iter().filter_map(|ty| contract[*ty].kind.as_object());
        let mut lists = objects
            .flat_map(|object| &object.properties)
            .filter(|(_, property)| matches!(contract[property.ty].kind, Kind::List(_)));
        let (name, _) = lists.next()?;
        let path = [&path[..], std::slice::from_ref(name)].concat().join(".");
        Some(format!("unwrap the list: result: \"{path}\""))
    }

    /// `result:`, else the field, else the directive of an entity.
    fn place(&self) -> Place {
        let called = self.called;
        match (called.argument("result"), called.field()) {
            (Some(result), _) => called.document.places.node(result),
            (None, Some(field)) => called.document.places.name(&field.name),
            (None, None) => called.at_directive(),
        }
    }

    /// A success without a body has nothing to read.
    fn no_body(&mut self) {
        let Stated::Operation(operation) = self.called.stated else {
            return;
        };
        let Some(success) = operation.success().filter(|it| it.content.is_empty()) else {
            return;
        };
        let value = &self.called.resolver.reply.value;
        let reads = matches!(
            value.read,
            Read::Path(_) | Read::Template(_) | Read::ListOf(_)
        );
        if !reads || (value.view.is_none() && !value.ty.is_non_null()) {
            return;
        }
        let message = format!("the contract's reply of {} has no body", success.status);
        let help = "call an operation that answers with a value";
        let found = Diagnostic::error("RESPONSE_FIELD_MISSING", message)
            .at(self.place())
            .contract(success.place.to_string())
            .help(help);
        self.inward.diagnostics.push(found);
    }

    /// Union members that stand for a status, against the reply of that status.
    fn statuses(&mut self, operation: &Operation) {
        let Some(root) = self.called.resolver.reply.value.view else {
            return;
        };
        let graph = self.called.graph;
        for variant in &graph.lowered.views[root.index()].variants {
            let statuses = variant
                .status
                .iter()
                .filter_map(|status| status.parse().ok());
            for status in statuses {
                let reply = operation.response(status).and_then(|reply| reply.json());
                if let Some(content) = reply {
                    view::object(graph, variant.view, content.ty, self.inward.diagnostics);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grpc, rest};

    #[test]
    fn a_list_is_a_list_and_one_value_is_one() {
        let said = rest(
            r#"type Query {
  list: [User!] @rest(GET: "/users")
  wrapped: [User!] @rest(GET: "/users", result: "users")
  one: User @rest(GET: "/users", result: "users")
  lost: [User!] @rest(GET: "/users", result: "user")
}
type User { id: ID! name: String! }"#,
            r##"paths:
  /users:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Page" } } } } }
components:
  schemas:
    User: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } }
    Page: { type: object, required: [users], properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } }, next_cursor: { type: [string, 'null'] }, total: { type: integer } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESULT_NOT_LIST] shop.graphql:3:3
  3 |   list: [User!] @rest(GET: "/users")
    |   ^^^^ `[User!]` is a list, and the contract has Page
  contract: shop.yaml#/components/schemas/Page
  help: unwrap the list: result: "users"

error[RESULT_NOT_LIST] shop.graphql:5:42
  5 |   one: User @rest(GET: "/users", result: "users")
    |                                          ^^^^^^^ `User` is one value, and the contract has list of User
  contract: shop.yaml#/components/schemas/Page/properties/users
  help: make it `[User]`

error[RESPONSE_FIELD_MISSING] shop.graphql:6:46
  6 |   lost: [User!] @rest(GET: "/users", result: "user")
    |                                              ^^^^^^ the contract's `Page` has no `user`
  contract: shop.yaml#/components/schemas/Page
  help: did you mean `users`?
"##
        );
    }

    #[test]
    fn a_batch_answers_with_a_list() {
        let said = rest(
            r#"type Query { user(id: ID!): User @rest(GET: "/user") }
type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String! }"#,
            r##"paths:
  /users:
    get:
      parameters: [{ name: id, in: query, schema: { type: array, items: { type: integer } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Page" } } } } }
  /user:
    get:
      parameters: [{ name: id, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/User" } } } } }
components:
  schemas:
    User: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } }
    Page: { type: object, required: [users], properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } }, next_cursor: { type: [string, 'null'] }, total: { type: integer } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESULT_NOT_LIST] shop.graphql:3:30
  3 | type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String! }
    |                              ^^^^^ a batch answers with a list of items, and the contract has Page
  contract: shop.yaml#/components/schemas/Page
  help: unwrap the list: result: "users"
"##
        );
    }

    #[test]
    fn a_stream_is_a_list() {
        let said = grpc(
            r#"type Query {
  all: [Thing!] @grpc(method: "shop.Shop/All")
  one: Thing @grpc(method: "shop.Shop/All")
}
type Thing { name: String! }"#,
            r##"service Shop { rpc All(Query) returns (stream Thing); }
message Query {}
message Thing { string name = 1; }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESULT_NOT_LIST] shop.graphql:4:3
  4 |   one: Thing @grpc(method: "shop.Shop/All")
    |   ^^^ `Thing` is one value, and the method answers with a stream of them
  contract: shop.proto: shop.Thing
  help: make it `[Thing]`
"##
        );
    }

    #[test]
    fn a_reply_without_a_body_has_nothing_to_read() {
        let said = rest(
            r#"type Query { a: Boolean @rest(GET: "/a") }
type Mutation {
  remove: Boolean! @rest(DELETE: "/a")
  forget: Boolean @rest(DELETE: "/a")
}"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: boolean } } } } }
    delete: { responses: { "204": { description: gone } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESPONSE_FIELD_MISSING] shop.graphql:4:3
  4 |   remove: Boolean! @rest(DELETE: "/a")
    |   ^^^^^^ the contract's reply of 204 has no body
  contract: shop.yaml#/paths/~1a/delete/responses/204
  help: call an operation that answers with a value
"##
        );
    }

    #[test]
    fn a_reply_of_a_status_is_read_as_that_status() {
        let said = rest(
            r#"type Query { a: String @rest(GET: "/a") }
type Mutation { add(name: String!): Added @rest(POST: "/a") }
union Added = User | Taken
type User { name: String! }
type Taken @variant(status: ["409"]) { detail: String! by: String }"#,
            r##"paths:
  /a:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: string } } } } }
    post:
      requestBody: { content: { application/json: { schema: { type: object, properties: { name: { type: string } } } } } }
      responses:
        "201": { description: ok, content: { application/json: { schema: { type: object, required: [name], properties: { name: { type: string } } } } } }
        "409": { description: taken, content: { application/problem+json: { schema: { type: object, required: [detail], properties: { detail: { type: string } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESPONSE_FIELD_MISSING] shop.graphql:6:56
  6 | type Taken @variant(status: ["409"]) { detail: String! by: String }
    |                                                        ^^ the contract has no `by` here
  contract: shop.yaml#/paths/~1a/post/responses/409/content/application~1problem+json/schema
  help: it has `detail`
"##
        );
    }
}
