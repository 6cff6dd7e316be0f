//! Pages: whether the parameters and properties of `page:` exist, and lists that page unsaid.

use super::called::{Called, Stated};
use super::hint::hint;
use super::inward::Inward;
use super::reading::{Found, Reading};
use crate::contract::openapi::{Location, Operation};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::model::Page;

/// Parameters that say where a page begins.
const POSITIONS: [&str; 13] = [
    "offset",
    "skip",
    "start",
    "page",
    "page_number",
    "page_token",
    "cursor",
    "after",
    "starting_after",
    "continuation_token",
    "next_token",
    "marker",
    "page[cursor]",
];

/// Properties of a reply that say that there is more.
const MORE: [&str; 13] = [
    "next",
    "next_cursor",
    "next_page",
    "next_page_token",
    "next_token",
    "next_url",
    "next_link",
    "continuation_token",
    "has_more",
    "has_next",
    "has_next_page",
    "total_pages",
    "page_count",
];

/// Checks how a resolver's list is read page by page.
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
    let mut paging = Paging { called, inward };
    match &called.resolver.page {
        Some(page) => paging.stated(page),
        None => paging.unsaid(),
    }
}

struct Paging<'c, 'g> {
    called: &'c Called<'g>,
    inward: Inward<'c, 'g>,
}

impl Paging<'_, '_> {
    fn stated(&mut self, page: &Page) {
        self.parameter("size", page.size.as_deref());
        self.parameter("at", page.at.as_deref());
        let is_leaf: fn(&Kind) -> bool =
            |kind| !matches!(kind, Kind::List(_) | Kind::Map(_) | Kind::Object(_));
        self.property(
            "next",
            page.next.as_deref(),
            "a cursor is one value",
            is_leaf,
        );
        self.property(
            "hasMore",
            page.has_more.as_deref(),
            "this is true or false",
            |kind| matches!(kind, Kind::Boolean | Kind::Any | Kind::Union(_)),
        );
        self.property("total", page.total.as_deref(), "this is a number", |kind| {
            matches!(
                kind,
                Kind::Integer { .. } | Kind::Number | Kind::Any | Kind::Union(_)
            )
        });
    }

    /// A parameter of the request, or a field of the message.
    fn parameter(&mut self, key: &str, name: Option<&str>) {
        let Some(name) = name else {
            return;
        };
        match self.called.stated {
            Stated::Operation(operation) => self.query_parameter(operation, key, name),
            Stated::Method(method) => self.message_field(method.input, key, name),
        }
    }

    fn query_parameter(&mut self, operation: &Operation, key: &str, name: &str) {
        let in_body = operation.body.iter().flat_map(|body| &body.content);
        let mut in_body = in_body.filter_map(|it| self.called.contract.property(it.ty, name));
        if operation.parameter(Location::Query, name).is_some() || in_body.next().is_some() {
            return;
        }
        let known = operation.parameters_in(Location::Query);
        let help = hint(
            name,
            known.map(|it| it.name.as_str()),
            "it has no query parameters",
        );
        let message = format!("the contract has no query parameter `{name}`");
        let found = Diagnostic::warning("UNKNOWN_PARAM", message)
            .at(self.at(key))
            .contract(operation.place.to_string())
            .help(help);
        self.inward.diagnostics.push(found);
    }

    fn message_field(&mut self, message: TypeId, key: &str, name: &str) {
        let contract = self.called.contract;
        let Some(object) = contract[message].kind.as_object() else {
            return;
        };
        if object.property(name).is_some() {
            return;
        }
        let known = object.properties.keys().map(String::as_str);
        let help = hint(name, known, "the message has no fields");
        let described = contract.describe(message);
        let found = Diagnostic::error(
            "REQUEST_FIELD_UNKNOWN",
            format!("`{described}` has no field `{name}`"),
        )
        .at(self.at(key))
        .contract(self.called.type_at(message))
        .help(help);
        self.inward.diagnostics.push(found);
    }

    /// A property of the whole reply.
    fn property(
        &mut self,
        key: &str,
        path: Option<&[String]>,
        what: &str,
        fits: fn(&Kind) -> bool,
    ) {
        let (Some(path), Some(reply)) = (path, self.called.origin.reply) else {
            return;
        };
        let place = self.at(key);
        let reading = self.inward.reading;
        match reading.follow(reply, path) {
            Found::Missing { on, name } => self.inward.missing(&on, &name, &place),
            Found::Value { types, .. }
                if !types.iter().any(|ty| fits(&reading.contract[*ty].kind)) =>
            {
                let message = format!("{what}, and the contract has {}", reading.describe(&types));
                let help = "name the property that holds it";
                self.inward
                    .mismatch_as("TYPE_MISMATCH", message, &types, help, &place);
            }
            _ => {}
        }
    }

    fn at(&self, key: &str) -> Place {
        let value = self.called.nested("page", key);
        value.map_or_else(
            || self.called.at_argument(&["page"]),
            |value| self.called.document.places.node(value),
        )
    }

    /// A batch whose list looks paged: the first page would hold the items of some parents only.
    fn unsaid(&mut self) {
        let Some(batch) = &self.called.resolver.batch else {
            return;
        };
        let found = match (self.says_more(), self.takes_position()) {
            (Some(name), _) if batch.to_many => Diagnostic::error(
                "BATCH_UPSTREAM_PAGED",
                format!("the reply has pages (`{name}`), and only the first would be read"),
            ),
            (Some(name), _) => Diagnostic::warning(
                "BATCH_UPSTREAM_PAGED",
                format!(
                    "the reply has pages (`{name}`), and a key on a later one would not be found"
                ),
            ),
            (None, Some(name)) if batch.to_many => Diagnostic::warning(
                "BATCH_UPSTREAM_PAGED",
                format!("the operation has pages (`{name}`), and only the first is read"),
            ),
            _ => return,
        };
        let found = found
            .at(self.called.at_call())
            .contract(self.called.stated_at())
            .help("read on: page: { style: …, follow: 10 }");
        self.inward.diagnostics.push(found);
    }

    /// A property beside the list that tells of further pages.
    fn says_more(&self) -> Option<String> {
        let unwrap = &self.called.resolver.reply.unwrap;
        let (_, envelope) = unwrap.split_last()?;
        let reading = self.inward.reading;
        let reply = self.called.origin.reply?;
        let Found::Value { types, .. } = reading.follow(reply, envelope) else {
            return None;
        };
        let names = reading
            .names(&[reply])
            .into_iter()
            .chain(reading.names(&types));
        let mut more = names.filter(|name| MORE.contains(&snake_case(name).as_str()));
        more.next().map(str::to_owned)
    }

    fn takes_position(&self) -> Option<String> {
        let names: Vec<&str> = match self.called.stated {
            Stated::Operation(operation) => {
                let parameters = operation.parameters_in(Location::Query);
                parameters
                    .map(|parameter| parameter.name.as_str())
                    .collect()
            }
            Stated::Method(method) => self.inward.reading.names(&[method.input]),
        };
        let mut positions = names
            .into_iter()
            .filter(|name| POSITIONS.contains(&snake_case(name).as_str()));
        positions.next().map(str::to_owned)
    }
}

/// `nextCursor`, `next-cursor` and `NextCursor` as `next_cursor`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(char.to_lowercase().map(|c| if c == '-' { '_' } else { c }));
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grpc, rest};
    use super::*;

    #[test]
    fn names_are_compared_in_one_spelling() {
        for name in ["nextCursor", "next-cursor", "NextCursor", "next_cursor"] {
            assert_eq!(snake_case(name), "next_cursor");
        }
    }

    #[test]
    fn what_a_page_names_is_in_the_contract() {
        let said = rest(
            r#"type Query {
  users(first: Int): [User!] @rest(GET: "/users", result: "users", page: { style: CURSOR, size: "limt", at: "cursor", next: "next_curso", total: "users", follow: 3 })
}
type User { id: ID! name: String! }"#,
            r##"paths:
  /users:
    get:
      parameters: [{ name: cursor, in: query, schema: { type: string } }, { name: limit, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Page" } } } } }
components:
  schemas:
    User: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } }
    Page: { type: object, required: [users], properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } }, next_cursor: { type: [string, 'null'] }, total: { type: integer } } }
"##,
        );
        assert_eq!(
            said,
            r##"warning[UNKNOWN_PARAM] shop.graphql:3:97
  3 |   users(first: Int): [User!] @rest(GET: "/users", result: "users", page: { style: CURSOR, size: "limt", at: "cursor", next: "next_curso", total: "users", follow: 3 })
    |                                                                                                 ^^^^^^ the contract has no query parameter `limt`
  contract: shop.yaml#/paths/~1users/get
  help: did you mean `limit`?

error[RESPONSE_FIELD_MISSING] shop.graphql:3:125
  3 |   users(first: Int): [User!] @rest(GET: "/users", result: "users", page: { style: CURSOR, size: "limt", at: "cursor", next: "next_curso", total: "users", follow: 3 })
    |                                                                                                                             ^^^^^^^^^^^^ the contract's `Page` has no `next_curso`
  contract: shop.yaml#/components/schemas/Page
  help: did you mean `next_cursor`?

error[TYPE_MISMATCH] shop.graphql:3:146
  3 |   users(first: Int): [User!] @rest(GET: "/users", result: "users", page: { style: CURSOR, size: "limt", at: "cursor", next: "next_curso", total: "users", follow: 3 })
    |                                                                                                                                                  ^^^^^^^ this is a number, and the contract has list of User
  contract: shop.yaml#/components/schemas/Page/properties/users
  help: name the property that holds it
"##
        );
    }

    #[test]
    fn a_batch_over_a_paged_list_reads_on() {
        let said = rest(
            r#"type Query { team(id: ID!): Team @rest(GET: "/team", query: { id: "$args.id" }) }
type Team { id: ID! users: [User!] @rest(GET: "/users", query: { team: "$batch.id" }, result: "users", batch: { by: { id: "id" } }) }
type User { id: ID! name: String! }"#,
            r##"paths:
  /users:
    get:
      parameters: [{ name: team, in: query, schema: { type: array, items: { type: integer } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Page" } } } } }
  /team:
    get:
      parameters: [{ name: id, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [id], properties: { id: { type: integer } } } } } } }
components:
  schemas:
    User: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } }
    Page: { type: object, required: [users], properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } }, next_cursor: { type: [string, 'null'] }, total: { type: integer } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[BATCH_UPSTREAM_PAGED] shop.graphql:3:47
  3 | type Team { id: ID! users: [User!] @rest(GET: "/users", query: { team: "$batch.id" }, result: "users", batch: { by: { id: "id" } }) }
    |                                               ^^^^^^^^ the reply has pages (`next_cursor`), and only the first would be read
  contract: shop.yaml#/paths/~1users/get
  help: read on: page: { style: …, follow: 10 }
"##
        );
    }

    #[test]
    fn a_batch_over_an_operation_with_pages_is_a_warning_for_many_and_none_for_one() {
        let said = rest(
            r#"type Query { team(id: ID!): Team @rest(GET: "/team", query: { id: "$args.id" }) }
type Team { id: ID! users: [User!] @rest(GET: "/users", query: { team: "$batch.id" }, batch: { by: { id: "id" } }) }
type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String! }"#,
            r##"paths:
  /users:
    get:
      parameters: [{ name: team, in: query, schema: { type: array, items: { type: integer } } }, { name: id, in: query, schema: { type: array, items: { type: integer } } }, { name: offset, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/User" } } } } } }
  /team:
    get:
      parameters: [{ name: id, in: query, schema: { type: integer } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [id], properties: { id: { type: integer } } } } } } }
components:
  schemas:
    User: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } }
    Page: { type: object, required: [users], properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } }, next_cursor: { type: [string, 'null'] }, total: { type: integer } } }
"##,
        );
        assert_eq!(
            said,
            r##"warning[BATCH_UPSTREAM_PAGED] shop.graphql:3:47
  3 | type Team { id: ID! users: [User!] @rest(GET: "/users", query: { team: "$batch.id" }, batch: { by: { id: "id" } }) }
    |                                               ^^^^^^^^ the operation has pages (`offset`), and only the first is read
  contract: shop.yaml#/paths/~1users/get
  help: read on: page: { style: …, follow: 10 }
"##
        );
    }

    #[test]
    fn a_page_of_a_message_names_its_fields() {
        let said = grpc(
            r#"type Query { all(first: Int): [Thing!] @grpc(method: "shop.Shop/All", result: "things", page: { style: CURSOR, size: "page_sise", at: "page_token", next: "next_page_token" }) }
type Thing { name: String! }"#,
            r##"service Shop { rpc All(Query) returns (Page); }
message Query { int32 page_size = 1; string page_token = 2; }
message Page { repeated Thing things = 1; string next_page_token = 2; }
message Thing { string name = 1; }
"##,
        );
        assert_eq!(
            said,
            r##"error[REQUEST_FIELD_UNKNOWN] shop.graphql:2:118
  2 | type Query { all(first: Int): [Thing!] @grpc(method: "shop.Shop/All", result: "things", page: { style: CURSOR, size: "page_sise", at: "page_token", next: "next_page_token" }) }
    |                                                                                                                      ^^^^^^^^^^^ `shop.Query` has no field `page_sise`
  contract: shop.proto: shop.Query
  help: did you mean `page_size`?
"##
        );
    }
}
