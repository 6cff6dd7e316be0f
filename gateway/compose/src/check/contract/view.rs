//! Views against the objects of the contract that they read.

use std::collections::HashSet;

use apollo_compiler::ast::{FieldDefinition, Value};
use apollo_compiler::{Name, Node};

use super::super::Graph;
use super::inward::{Inward, Site, keys};
use super::reading::{Found, Reading};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostics, Place};
use crate::document::{all, first};
use crate::model::{Read, SourceId, View, ViewField, ViewId};

/// Checks every view against the type that it was lowered for.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    let elsewhere = of_statuses(graph);
    for (index, origin) in graph.lowered.view_origins.iter().enumerate() {
        let id = ViewId(index as u32);
        if let Some(ty) = origin.contract.filter(|_| !elsewhere.contains(&id)) {
            object(graph, id, ty, diagnostics);
        }
    }
}

/// The views of replies with a status of their own, which are not the reply of success.
fn of_statuses(graph: &Graph<'_>) -> HashSet<ViewId> {
    let variants = graph.lowered.views.iter().flat_map(|view| &view.variants);
    let of_statuses = variants.filter(|variant| !variant.status.is_empty());
    of_statuses.map(|variant| variant.view).collect()
}

/// Checks a view against a type of the contract.
pub(super) fn object(graph: &Graph<'_>, id: ViewId, ty: TypeId, diagnostics: &mut Diagnostics) {
    let view = &graph.lowered.views[id.index()];
    let source = graph.lowered.view_origins[id.index()].source;
    let Some(reading) = Reading::of(&graph.lowered.upstreams[source.index()]) else {
        return;
    };
    let document = &graph.documents[view.subgraph.index()];
    let mut check = Object {
        graph,
        id,
        view,
        source,
        ty,
        inward: Inward {
            graph,
            document,
            reading,
            diagnostics,
        },
    };
    check.discriminator();
    for (name, field) in &view.fields {
        check.field(name, field);
    }
}

struct Object<'c, 'g> {
    graph: &'g Graph<'g>,
    id: ViewId,
    view: &'g View,
    source: SourceId,
    ty: TypeId,
    inward: Inward<'c, 'g>,
}

impl Object<'_, '_> {
    fn field(&mut self, name: &Name, field: &ViewField) {
        // That this is no object is said where the object is read.
        if !self.is_object() && reads_below(&field.read) {
            return;
        }
        let site = Site {
            place: self.place(name),
            list: "TYPE_MISMATCH",
            unwrap: None,
            key: self.is_key_of_reference(name),
        };
        self.inward.value(field, &field.ty, self.ty, &site);
    }

    fn is_object(&self) -> bool {
        let reading = self.inward.reading;
        let kinds = reading.alternatives(&[self.ty]).into_iter();
        let mut kinds = kinds.map(|ty| &reading.contract[ty].kind);
        kinds.any(|kind| matches!(kind, Kind::Object(_) | Kind::Map(_) | Kind::Any))
    }

    /// A null part of a key that the SDL builds makes the reference null, not the key.
    fn is_key_of_reference(&self, name: &Name) -> bool {
        let keys = keys(self.graph, self.view.subgraph, &self.view.ty);
        self.written(name).is_some() && keys.iter().any(|path| path.first() == Some(name))
    }

    /// The mapping that says where the field is read, else its name.
    fn place(&self, name: &Name) -> Place {
        let places = &self.inward.document.places;
        if let Some(place) = self.written(name) {
            return place;
        }
        let Some(field) = self.graph.field(self.view.subgraph, &self.view.ty, name) else {
            return places.span(None);
        };
        let source = &self.graph.lowered.sources[self.source.index()].name;
        let from = from_of(field, source);
        from.map_or_else(|| places.name(&field.name), |from| places.node(from))
    }

    fn written(&self, name: &Name) -> Option<Place> {
        let origin = &self.graph.lowered.view_origins[self.id.index()];
        let (_, spot) = origin.written.iter().find(|(it, _)| it == name.as_str())?;
        Some(crate::lower::at(self.inward.document, spot))
    }

    fn discriminator(&mut self) {
        let Some(path) = &self.view.discriminator else {
            return;
        };
        if let Found::Missing { on, name } = self.inward.reading.follow(self.ty, path) {
            let place = self.at_discriminator();
            self.inward.missing(&on, &name, &place);
        }
    }

    fn at_discriminator(&self) -> Place {
        let document = self.inward.document;
        let ty = document.schema.types.get(&self.view.ty);
        let directive = ty.and_then(|ty| first(ty.directives(), "discriminator"));
        let from = directive.and_then(|it| it.specified_argument_by_name("from"));
        match (from, ty) {
            (Some(from), _) => document.places.node(from),
            (None, Some(ty)) => document.places.name(ty.name()),
            (None, None) => document.places.span(None),
        }
    }
}

/// Whether a value stands below the object, and not the object itself.
fn reads_below(read: &Read) -> bool {
    match read {
        Read::Path(path) | Read::ListOf(path) => !path.is_empty(),
        Read::FirstOf(all) => all.iter().any(reads_below),
        Read::Template(_) => true,
        Read::Embedded | Read::Const(_) | Read::Status => false,
    }
}

/// `@map(from:)` of a field for a source: the one that names it, else the one that names none.
fn from_of<'d>(field: &'d FieldDefinition, source: &str) -> Option<&'d Node<Value>> {
    let maps = || all(&field.directives, "map");
    let named = maps().find(|map| {
        let named = map.specified_argument_by_name("source");
        named.and_then(|it| it.as_str()) == Some(source)
    });
    let general = || maps().find(|map| map.specified_argument_by_name("source").is_none());
    named.or_else(general)?.specified_argument_by_name("from")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grpc, rest};

    #[test]
    fn a_field_reads_what_the_reply_has() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing { emial: String secret: String mail: String @map(from: "contact.mail") both: String @map(from: "email ?? mail") }"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [], properties: { email: { type: string }, secret: { type: string, writeOnly: true } } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESPONSE_FIELD_MISSING] shop.graphql:3:14
  3 | type Thing { emial: String secret: String mail: String @map(from: "contact.mail") both: String @map(from: "email ?? mail") }
    |              ^^^^^ the contract has no `emial` here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema
  help: did you mean `email`?

error[RESPONSE_FIELD_MISSING] shop.graphql:3:28
  3 | type Thing { emial: String secret: String mail: String @map(from: "contact.mail") both: String @map(from: "email ?? mail") }
    |                            ^^^^^^ the contract has no `secret` here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema
  help: it has `email`

error[RESPONSE_FIELD_MISSING] shop.graphql:3:67
  3 | type Thing { emial: String secret: String mail: String @map(from: "contact.mail") both: String @map(from: "email ?? mail") }
    |                                                                   ^^^^^^^^^^^^^^ the contract has no `contact` here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema
  help: it has `email`

error[RESPONSE_FIELD_MISSING] shop.graphql:3:107
  3 | type Thing { emial: String secret: String mail: String @map(from: "contact.mail") both: String @map(from: "email ?? mail") }
    |                                                                                                           ^^^^^^^^^^^^^^^ the contract has no `mail` here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema
  help: did you mean `email`?
"##
        );
    }

    #[test]
    fn lists_objects_and_leaves_are_told_apart() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
type Name { first: String }"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [name, owner, tags, first], properties: { name: { type: string }, owner: { type: object, properties: { id: { type: integer } } }, tags: { type: array, items: { type: string } }, first: { type: string } } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[TYPE_MISMATCH] shop.graphql:3:14
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |              ^^^^ `Name` is an object, and the contract has string
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/name
  help: make it `String`, or a reference: @map(from: { id: "…" })

error[TYPE_MISMATCH] shop.graphql:3:25
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |                         ^^^^^ this is `String`, and the contract has object
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/owner
  help: make it an object type

error[TYPE_MISMATCH] shop.graphql:3:39
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |                                       ^^^^ `String` is one value, and the contract has list of string
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/tags
  help: make it `[String]`

error[TYPE_MISMATCH] shop.graphql:3:52
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |                                                    ^^^^^ `[String!]` is a list, and the contract has string
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/first
  help: make it `String!`

error[TYPE_MISMATCH] shop.graphql:3:90
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |                                                                                          ^^^^^^^^^^^^^^^^ this is a text, and the field is `Int`
  help: make it `String`

error[TYPE_MISMATCH] shop.graphql:3:90
  3 | type Thing { name: Name owner: String tags: String first: [String!] text: Int @map(from: "{name}-{owner}") }
    |                                                                                          ^^^^^^^^^^^^^^^^ a text cannot hold object
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/owner
  help: name one of its values
"##
        );
    }

    #[test]
    fn leaves_are_what_coercion_makes_of_them() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing {
  count: Int big: Int code: String price: Float @map(format: NUMBER_AS_STRING)
  at: DateTime @map(format: UNIX_SECONDS) on: DateTime @map(format: UNIX_SECONDS)
  either: ID any: Int small: Int @map(from: "price") zero: Int @map(from: "'none'")
}
scalar DateTime"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [count, big, code, price, at, on, either, any], properties: { count: { type: number }, big: { type: integer, format: int64 }, code: { type: integer }, price: { type: string }, at: { type: integer }, on: { type: string, format: date-time }, either: { type: [string, integer] }, any: {} } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[TYPE_MISMATCH] shop.graphql:4:3
  4 |   count: Int big: Int code: String price: Float @map(format: NUMBER_AS_STRING)
    |   ^^^^^ this is `Int`, and the contract has number
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/count
  help: make it `Float`

warning[TYPE_MISMATCH] shop.graphql:4:14
  4 |   count: Int big: Int code: String price: Float @map(format: NUMBER_AS_STRING)
    |              ^^^ the contract has int64: as `Int` numbers beyond 32 bits would be errors
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/big
  help: make it `ID`, `Float`, or a scalar Int64

error[TYPE_MISMATCH] shop.graphql:4:23
  4 |   count: Int big: Int code: String price: Float @map(format: NUMBER_AS_STRING)
    |                       ^^^^ this is `String`, and the contract has integer
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/code
  help: make it `Int`, or convert it: @map(format: STRING_AS_NUMBER)

error[TYPE_MISMATCH] shop.graphql:5:43
  5 |   at: DateTime @map(format: UNIX_SECONDS) on: DateTime @map(format: UNIX_SECONDS)
    |                                           ^^ this is `DateTime` in the format of its @map, and the contract has string (date-time)
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/on
  help: name another format, or leave it out

error[TYPE_MISMATCH] shop.graphql:6:45
  6 |   either: ID any: Int small: Int @map(from: "price") zero: Int @map(from: "'none'")
    |                                             ^^^^^^^ this is `Int`, and the contract has string
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/price
  help: make it `String`, or convert it: @map(format: NUMBER_AS_STRING)

error[TYPE_MISMATCH] shop.graphql:6:75
  6 |   either: ID any: Int small: Int @map(from: "price") zero: Int @map(from: "'none'")
    |                                                                           ^^^^^^^^ "none" is no `Int`
  help: write a constant of the field's type
"##
        );
    }

    #[test]
    fn what_may_be_null_is_not_read_as_never_null() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing {
  a: String! b: String! c: String! @map(default: "none") d: [String!]!
  f: String! @map(from: "e.f") g: String! @map(from: "a ?? 'none'") h: String! @map(from: "a ?? b")
}"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [a, c, d, e], properties: { a: { type: [string, 'null'] }, b: { type: string }, c: { type: [string, 'null'] }, d: { type: array, items: { type: [string, 'null'] } }, e: { type: [object, 'null'], properties: { f: { type: string } }, required: [f] } } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[NULLABILITY] shop.graphql:4:3
  4 |   a: String! b: String! c: String! @map(default: "none") d: [String!]!
    |   ^ `String!` is never null, and the contract allows null here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/a
  help: make it `String`, or say what stands for null: @map(default: …)

warning[NULLABILITY] shop.graphql:4:14
  4 |   a: String! b: String! c: String! @map(default: "none") d: [String!]!
    |              ^ `String!` is never null, and the contract does not require it
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/b
  help: make it `String`, or say what stands for null: @map(default: …)

error[NULLABILITY] shop.graphql:4:58
  4 |   a: String! b: String! c: String! @map(default: "none") d: [String!]!
    |                                                          ^ `String!` is never null, and the contract allows null here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/d/items
  help: make it `String`

error[NULLABILITY] shop.graphql:5:25
  5 |   f: String! @map(from: "e.f") g: String! @map(from: "a ?? 'none'") h: String! @map(from: "a ?? b")
    |                         ^^^^^ `String!` is never null, and the contract allows null here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/e
  help: make it `String`, or say what stands for null: @map(default: …)

warning[NULLABILITY] shop.graphql:5:91
  5 |   f: String! @map(from: "e.f") g: String! @map(from: "a ?? 'none'") h: String! @map(from: "a ?? b")
    |                                                                                           ^^^^^^^^ `String!` is never null, and the contract does not require it
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/b
  help: make it `String`, or say what stands for null: @map(default: …)
"##
        );
    }

    #[test]
    fn upstream_values_of_an_enum_have_graphql_values() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing { state: State kind: Kind rest: Rest }
enum State { NEW @map(value: "new") PAID @map(value: "paid") }
enum Kind { A B }
enum Rest { A @map(value: "a") OTHER @map(value: "*") }"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [], properties: { state: { type: string, enum: [new, paid, sent] }, kind: { type: string, enum: [a, b] }, rest: { type: string, enum: [a, b] } } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"warning[ENUM_UNCOVERED] shop.graphql:3:14
  3 | type Thing { state: State kind: Kind rest: Rest }
    |              ^^^^^ the upstream value `sent` has no GraphQL value
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/state
  help: add a value to `State`: @map(value: "sent"), or one for the rest: @map(value: "*")

error[TYPE_MISMATCH] shop.graphql:3:27
  3 | type Thing { state: State kind: Kind rest: Rest }
    |                           ^^^^ no upstream value is one of `Kind`: `a` and `b`
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/kind
  help: add a value to `Kind`: @map(value: "a"), or one for the rest: @map(value: "*")
"##
        );
    }

    #[test]
    fn a_reference_is_null_where_its_key_is() {
        let said = rest(
            r#"type Query { thing: Thing @rest(GET: "/thing") }
type Thing { user: User @map(from: { id: "user_id" }) owner: User! @map(from: { id: "user_id" }) tags: [User!]! @map(from: { id: "tag_ids" }) lost: User @map(from: { id: "owner_id" }) }
type User @key(fields: "id", resolvable: false) { id: ID! }"#,
            r##"paths:
  /thing:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: object, required: [user_id, tag_ids], properties: { user_id: { type: [integer, 'null'] }, tag_ids: { type: array, items: { type: integer } } } } } } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[NULLABILITY] shop.graphql:3:79
  3 | type Thing { user: User @map(from: { id: "user_id" }) owner: User! @map(from: { id: "user_id" }) tags: [User!]! @map(from: { id: "tag_ids" }) lost: User @map(from: { id: "owner_id" }) }
    |                                                                               ^^^^^^^^^^^^^^^^^ `User!` is never null, and the contract allows null here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema/properties/user_id
  help: make it `User`

error[RESPONSE_FIELD_MISSING] shop.graphql:3:172
  3 | type Thing { user: User @map(from: { id: "user_id" }) owner: User! @map(from: { id: "user_id" }) tags: [User!]! @map(from: { id: "tag_ids" }) lost: User @map(from: { id: "owner_id" }) }
    |                                                                                                                                                                            ^^^^^^^^ the contract has no `owner_id` here
  contract: shop.yaml#/paths/~1thing/get/responses/200/content/application~1json/schema
  help: it has `user_id` and `tag_ids`
"##
        );
    }

    #[test]
    fn messages_are_certain_and_what_is_optional_is_not() {
        let said = grpc(
            r#"type Query { thing: Thing @grpc(method: "shop.Shop/Get") }
type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
type Part { id: Int! }
enum Kind { KIND_BOOK }"#,
            r##"import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
service Shop { rpc Get(Query) returns (Thing); }
message Query {}
message Thing {
  string name = 1; optional string nick = 2; google.protobuf.Timestamp at = 3; google.protobuf.StringValue maybe = 4;
  Part part = 5; optional Part spare = 6; oneof side { Part left = 7; Part right = 8; } Kind kind = 9;
}
message Part { int32 id = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_BOOK = 1; }
"##,
        );
        assert_eq!(
            said,
            r##"error[NULLABILITY] shop.graphql:3:28
  3 | type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
    |                            ^^^^ `String!` is never null, and the contract allows null here
  contract: shop.proto: shop.Thing.nick
  help: make it `String`, or say what stands for null: @map(default: …)

error[NULLABILITY] shop.graphql:3:54
  3 | type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
    |                                                      ^^^^^ `String!` is never null, and the contract allows null here
  contract: shop.proto: shop.Thing.maybe
  help: make it `String`, or say what stands for null: @map(default: …)

error[NULLABILITY] shop.graphql:3:81
  3 | type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
    |                                                                                 ^^^^^ `Part!` is never null, and the contract allows null here
  contract: shop.proto: shop.Thing.spare
  help: make it `Part`

error[NULLABILITY] shop.graphql:3:94
  3 | type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
    |                                                                                              ^^^^ `Part!` is never null, and the contract allows null here
  contract: shop.proto: shop.Thing.left
  help: make it `Part`

warning[ENUM_UNCOVERED] shop.graphql:3:106
  3 | type Thing { name: String! nick: String! at: String! maybe: String! part: Part! spare: Part! left: Part! kind: Kind! }
    |                                                                                                          ^^^^ the upstream value `KIND_UNSPECIFIED` has no GraphQL value
  contract: shop.proto: shop.Kind
  help: add a value to `Kind`: @map(value: "KIND_UNSPECIFIED"), or one for the rest: @map(value: "*")
"##
        );
    }

    #[test]
    fn fields_of_a_union_are_read_from_its_members() {
        let said = rest(
            r#"type Query { pay: Pay @rest(GET: "/pay") flat: Flat @rest(GET: "/pay") }
interface Pay @discriminator(from: "kin") { amount: Float! }
type Card implements Pay @variant(of: "Pay", value: "card") { amount: Float! brand: Int }
type Bank implements Pay @variant(of: "Pay", value: "bank") { amount: Float! iban: String! }
type Flat { amount: Float! brand: String! }"#,
            r##"paths:
  /pay:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Pay" } } } } }
components:
  schemas:
    Pay: { oneOf: [{ $ref: "#/components/schemas/Card" }, { $ref: "#/components/schemas/Bank" }] }
    Card: { type: object, required: [kind, amount, brand], properties: { kind: { type: string }, amount: { type: number }, brand: { type: string } } }
    Bank: { type: object, required: [kind, amount, iban], properties: { kind: { type: string }, amount: { type: number }, iban: { type: string } } }
"##,
        );
        assert_eq!(
            said,
            r##"error[RESPONSE_FIELD_MISSING] shop.graphql:3:36
  3 | interface Pay @discriminator(from: "kin") { amount: Float! }
    |                                    ^^^^^ the contract's `Pay` has no `kin`
  contract: shop.yaml#/components/schemas/Pay
  help: did you mean `kind`?

error[TYPE_MISMATCH] shop.graphql:4:78
  4 | type Card implements Pay @variant(of: "Pay", value: "card") { amount: Float! brand: Int }
    |                                                                              ^^^^^ this is `Int`, and the contract has string
  contract: shop.yaml#/components/schemas/Card/properties/brand
  help: make it `String`, or convert it: @map(format: NUMBER_AS_STRING)

warning[NULLABILITY] shop.graphql:6:28
  6 | type Flat { amount: Float! brand: String! }
    |                            ^^^^^ `String!` is never null, and the contract does not require it
  contract: shop.yaml#/components/schemas/Bank
  help: make it `String`, or say what stands for null: @map(default: …)
"##
        );
    }

    #[test]
    fn an_entity_leaves_to_its_own_call_what_a_reply_lacks() {
        let said = rest(
            r#"type Query { list: [User!] @rest(GET: "/list") }
type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String! }"#,
            r##"paths:
  /list:
    get:
      responses: { "200": { description: ok, content: { application/json: { schema: { type: array, items: { type: object, required: [id], properties: { id: { type: integer } } } } } } } }
  /users:
    get:
      parameters: [{ name: id, in: query, schema: { type: array, items: { type: integer } } }]
      responses: { "200": { description: ok, content: { application/json: { schema: { type: array, items: { type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string } } } } } } } }
"##,
        );
        assert_eq!(said, "");
    }
}
