//! The checks as a whole: the example shop, and one contract in two languages.

use super::testing::{checked, files};
use crate::files::{SchemaFiles, SubgraphFile, references};

/// The files of the example shop, as the server would load them.
fn shop() -> SchemaFiles {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema");
    let read =
        |name: &str| std::fs::read(format!("{directory}/{name}")).expect("a file of the example");
    let subgraph = |name: &str| SubgraphFile {
        name: name.into(),
        file: format!("{name}.graphql"),
        sdl: String::from_utf8(read(&format!("{name}.graphql"))).expect("UTF-8"),
        env: [(
            format!("{}_URL", name.to_uppercase()),
            Some(format!("http://{name}")),
        )]
        .into(),
        ..Default::default()
    };
    let names = ["users", "products", "inventory", "reviews", "orders"];
    let mut shop = SchemaFiles {
        subgraphs: names.map(subgraph).into(),
        ..Default::default()
    };
    for reference in references(&shop) {
        let bytes = read(&reference.path);
        shop.files.insert(reference.path, bytes);
    }
    shop
}

#[test]
fn the_example_shop_keeps_its_contracts() {
    assert_eq!(checked(&shop()).to_string(), "");
}

#[test]
fn the_example_shop_is_held_to_its_contracts() {
    let mut shop = shop();
    let orders = shop
        .files
        .get_mut("orders.openapi.json")
        .expect("a contract");
    let text = String::from_utf8(orders.clone()).expect("UTF-8");
    *orders = text.replace("\"created_at\"", "\"created\"").into_bytes();
    let said = checked(&shop).to_string();
    assert!(
        said.contains("orders.openapi.json#/components/schemas/Order\n"),
        "{said}"
    );
    assert!(said.contains("help: did you mean `created`?"), "{said}");
}

const SDL: &str = r#"extend schema @source(name: "shop", http: { baseURL: "http://shop", openapi: "CONTRACT" })
type Query {
  user(id: String!, verbose: Boolean): User! @rest(GET: "/users/{id}")
  users: [User!] @rest(GET: "/users")
}
type User { id: ID! name: String! emial: String age: Int! state: State! }
enum State { active }
"#;

const YAML: &str = r##"openapi: 3.0.3
info: { title: Shop, version: "1" }
paths:
  /users/{id}:
    get:
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer, format: int64 } }
        - { name: tenant, in: query, required: true, schema: { type: string } }
      responses:
        "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/User" } } } }
  /users:
    get:
      responses:
        "200": { description: ok, content: { application/json: { schema: { type: object, properties: { users: { type: array, items: { $ref: "#/components/schemas/User" } } } } } } }
components:
  schemas:
    User:
      type: object
      nullable: true
      required: [id, name, age, state]
      properties:
        id: { type: integer, format: int64 }
        name: { type: string, nullable: true }
        email: { type: string }
        age: { type: string }
        state: { type: string, enum: [active, banned] }
"##;

const JSON: &str = r##"{
  "openapi": "3.1.0",
  "info": { "title": "Shop", "version": "1" },
  "paths": {
    "/users/{id}": { "get": {
      "parameters": [
        { "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "format": "int64" } },
        { "name": "tenant", "in": "query", "required": true, "schema": { "type": "string" } }
      ],
      "responses": { "200": { "description": "ok", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } } } }
    } },
    "/users": { "get": {
      "responses": { "200": { "description": "ok", "content": { "application/json": { "schema": {
        "type": "object", "properties": { "users": { "type": "array", "items": { "$ref": "#/components/schemas/User" } } }
      } } } } }
    } }
  },
  "components": { "schemas": { "User": {
    "type": ["object", "null"],
    "required": ["id", "name", "age", "state"],
    "properties": {
      "id": { "type": "integer", "format": "int64" },
      "name": { "type": ["string", "null"] },
      "email": { "type": "string" },
      "age": { "type": "string" },
      "state": { "type": "string", "enum": ["active", "banned"] }
    }
  } } }
}"##;

#[test]
fn yaml_of_3_0_and_json_of_3_1_give_the_same_findings() {
    let said = |file: &str, text: &str| {
        let sdl = SDL.replace("CONTRACT", file);
        let said = checked(&files(&sdl, file, text)).to_string();
        said.replace(file, "CONTRACT")
    };
    let yaml = said("shop.yaml", YAML);
    assert_eq!(yaml, said("shop.json", JSON));
    assert_eq!(
        yaml,
        r##"error[PARAM_TYPE] shop.graphql:3:66
  3 |   user(id: String!, verbose: Boolean): User! @rest(GET: "/users/{id}")
    |                                                                  ^^ this is `String!`, and the contract wants int64
  contract: CONTRACT#/paths/~1users~1{id}/get/parameters/0
  help: make it `ID`

warning[UNKNOWN_PARAM] shop.graphql:3:21
  3 |   user(id: String!, verbose: Boolean): User! @rest(GET: "/users/{id}")
    |                     ^^^^^^^ the contract has no query parameter `verbose`
  contract: CONTRACT#/paths/~1users~1{id}/get
  help: it has `tenant`

error[REQUIRED_PARAM_MISSING] shop.graphql:3:57
  3 |   user(id: String!, verbose: Boolean): User! @rest(GET: "/users/{id}")
    |                                                         ^^^^^^^^^^^^^ the contract requires the query parameter `tenant`, which is never sent
  contract: CONTRACT#/paths/~1users~1{id}/get/parameters/1
  help: send it: query: { tenant: "$args.…" }, or add an argument for it

error[NULLABILITY] shop.graphql:3:3
  3 |   user(id: String!, verbose: Boolean): User! @rest(GET: "/users/{id}")
    |   ^^^^ `User!` is never null, and the contract allows null here
  contract: CONTRACT#/components/schemas/User
  help: make it `User`

error[RESULT_NOT_LIST] shop.graphql:4:3
  4 |   users: [User!] @rest(GET: "/users")
    |   ^^^^^ `[User!]` is a list, and the contract has object
  contract: CONTRACT#/paths/~1users/get/responses/200/content/application~1json/schema
  help: unwrap the list: result: "users"

error[NULLABILITY] shop.graphql:6:21
  6 | type User { id: ID! name: String! emial: String age: Int! state: State! }
    |                     ^^^^ `String!` is never null, and the contract allows null here
  contract: CONTRACT#/components/schemas/User/properties/name
  help: make it `String`, or say what stands for null: @map(default: …)

error[RESPONSE_FIELD_MISSING] shop.graphql:6:35
  6 | type User { id: ID! name: String! emial: String age: Int! state: State! }
    |                                   ^^^^^ the contract's `User` has no `emial`
  contract: CONTRACT#/components/schemas/User
  help: did you mean `email`?

error[TYPE_MISMATCH] shop.graphql:6:49
  6 | type User { id: ID! name: String! emial: String age: Int! state: State! }
    |                                                 ^^^ this is `Int!`, and the contract has string
  contract: CONTRACT#/components/schemas/User/properties/age
  help: make it `String`, or convert it: @map(format: NUMBER_AS_STRING)

warning[ENUM_UNCOVERED] shop.graphql:6:59
  6 | type User { id: ID! name: String! emial: String age: Int! state: State! }
    |                                                           ^^^^^ the upstream value `banned` has no GraphQL value
  contract: CONTRACT#/components/schemas/User/properties/state
  help: add a value to `State`: @map(value: "banned"), or one for the rest: @map(value: "*")
"##
    );
}
