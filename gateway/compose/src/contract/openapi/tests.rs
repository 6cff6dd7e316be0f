//! Documents in, operations and types out.

use super::*;
use crate::contract::model::{Access, Additional, EnumBase, Kind, Property, TypeId};

fn parse(source: &str) -> OpenApi {
    OpenApi::parse("a.yaml", source).unwrap()
}

/// A document whose `GET /x` answers with the schema `X`; `schemas` are indented by two.
fn document(version: &str, schemas: &str) -> OpenApi {
    let indented: String = schemas.lines().map(|l| format!("    {l}\n")).collect();
    parse(&format!(
        "openapi: {version}
paths:
  /x:
    get:
      responses:
        '200':
          content: {{application/json: {{schema: {{$ref: '#/components/schemas/X'}}}}}}
components:
  schemas:
{indented}"
    ))
}

fn v30(schemas: &str) -> OpenApi {
    document("3.0.3", schemas)
}

fn v31(schemas: &str) -> OpenApi {
    document("3.1.0", schemas)
}

fn root(api: &OpenApi) -> TypeId {
    api.operations()[0].success().unwrap().json().unwrap().ty
}

fn describe_root(api: &OpenApi) -> String {
    assert_eq!(problems(api), Vec::<String>::new());
    api.contract().describe(root(api))
}

fn property<'a>(api: &'a OpenApi, name: &str) -> &'a Property {
    api.contract().property(root(api), name).unwrap().1
}

/// `name: type`, with `!` where it is certain, in the order of the document.
fn print_root(api: &OpenApi) -> String {
    assert_eq!(problems(api), Vec::<String>::new());
    print(api, root(api))
}

fn print(api: &OpenApi, id: TypeId) -> String {
    let object = api.contract()[id].kind.as_object().unwrap();
    let properties = object.properties.iter().map(|(name, property)| {
        let certain = if property.is_certain() { "!" } else { "" };
        format!("{name}: {}{certain}", api.contract().describe(property.ty))
    });
    properties.collect::<Vec<_>>().join(", ")
}

fn problems(api: &OpenApi) -> Vec<String> {
    let problems = api.problems_of(&api.operations()[0]);
    problems.iter().map(ToString::to_string).collect()
}

fn members(api: &OpenApi) -> Vec<TypeId> {
    match &api.contract()[root(api)].kind {
        Kind::Union(union) => union.members.clone(),
        other => panic!("no union: {other}"),
    }
}

#[test]
fn scalars_have_formats_and_ranges() {
    let api = v30("X:
  required: [id, name]
  properties:
    id: {type: integer, format: int64}
    name: {type: string}
    age: {type: integer}
    small: {type: integer, format: int32}
    ratio: {type: number, format: double}
    at: {type: string, format: date-time}
    blob: {type: string, format: byte}
    big: {type: string, format: int64}
    on: {type: boolean}
    whatever: {}");
    assert_eq!(
        print_root(&api),
        "id: int64!, name: string!, age: integer, small: int32, ratio: number, \
         at: string (date-time), blob: string (byte), big: string (int64), on: boolean, \
         whatever: anything"
    );
    assert_eq!(
        property(&api, "id").place.to_string(),
        "a.yaml#/components/schemas/X/properties/id"
    );
}

#[test]
fn recursive_schemas_end() {
    let api = v30("X:
  type: object
  properties:
    parent: {$ref: '#/components/schemas/X'}
    children: {type: array, items: {$ref: '#/components/schemas/X'}}
    byName: {type: object, additionalProperties: {$ref: '#/components/schemas/X'}}");
    assert_eq!(
        print_root(&api),
        "parent: X, children: list of X, byName: map of X"
    );
    assert_eq!(property(&api, "parent").ty, root(&api));
}

#[test]
fn null_is_written_differently_in_the_two_versions() {
    let old = v30("X:
  required: [a, b, c, d]
  properties:
    a: {type: string, nullable: true}
    b: {nullable: true, allOf: [{$ref: '#/components/schemas/Y'}]}
    c: {$ref: '#/components/schemas/Z'}
    d: {type: string, nullable: true, enum: [on, null]}
Y: {type: object}
Z: {type: integer, nullable: true}");
    assert_eq!(
        print_root(&old),
        "a: string or null, b: Y or null, c: integer or null, d: enum or null"
    );
    let new = v31("X:
  required: [a, b, c, d, e]
  properties:
    a: {type: [string, 'null']}
    b: {anyOf: [{$ref: '#/components/schemas/Y'}, {type: 'null'}]}
    c: {oneOf: [{type: string}, {type: integer}, {type: 'null'}]}
    d: {type: 'null'}
    e: {$ref: '#/components/schemas/Y', nullable: true}
Y: {type: object}");
    assert_eq!(
        print_root(&new),
        "a: string or null, b: Y or null, c: string or integer or null, d: null or null, e: Y or null"
    );
    assert!(property(&new, "b").nullable && !property(&new, "b").is_certain());
}

#[test]
fn all_of_merges_properties_requirements_and_types() {
    let api = v30("X:
  allOf:
    - $ref: '#/components/schemas/Base'
    - required: [name, id]
      properties:
        name: {type: string}
        id: {format: int64}
Base:
  type: object
  properties:
    id: {type: integer, readOnly: true}
    meta: {type: object}");
    assert_eq!(print_root(&api), "id: int64!, meta: object, name: string!");
    assert_eq!(property(&api, "id").access, Access::ReadOnly);
    assert!(!property(&api, "id").must_be_sent());
    assert_eq!(api.contract()[root(&api)].name.as_deref(), Some("X"));
}

#[test]
fn all_of_narrows_nullability_only_by_types() {
    let api = v31("X:
  required: [a, b]
  properties:
    a: {allOf: [{type: [string, 'null']}, {type: string}]}
    b: {allOf: [{type: [string, 'null']}, {maxLength: 3}]}");
    assert_eq!(print_root(&api), "a: string!, b: string or null");
}

#[test]
fn one_property_of_two_recursive_parts_ends() {
    let api = v30(
        "X: {allOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/B'}]}
A: {type: object, properties: {next: {$ref: '#/components/schemas/A'}, a: {type: string}}}
B: {type: object, properties: {next: {$ref: '#/components/schemas/B'}, b: {type: string}}}",
    );
    assert_eq!(print_root(&api), "next: object, a: string, b: string");
    let next = property(&api, "next").ty;
    assert_eq!(print(&api, next), "next: object, a: string, b: string");
    let after = api.contract().property(next, "next").unwrap().1.ty;
    assert_eq!(after, next);
}

#[test]
fn contradictory_parts_are_a_problem() {
    let api = v30("X: {allOf: [{type: string}, {type: object}]}");
    assert_eq!(
        problems(&api),
        ["a.yaml:10:5: the parts of this schema allow no common type"]
    );
    assert_eq!(api.contract()[root(&api)].kind, Kind::Any);
}

#[test]
fn unions_keep_their_members_and_discriminator() {
    let api = v30("X:
  oneOf:
    - $ref: '#/components/schemas/Cat'
    - $ref: '#/components/schemas/Dog'
  discriminator:
    propertyName: kind
    mapping: {feline: '#/components/schemas/Cat'}
Cat: {type: object, properties: {kind: {type: string}}}
Dog: {type: object, properties: {kind: {type: string}}}");
    assert_eq!(describe_root(&api), "X");
    let members = members(&api);
    assert_eq!(api.contract().describe(members[0]), "Cat");
    let Kind::Union(union) = &api.contract()[root(&api)].kind else {
        panic!("no union");
    };
    let discriminator = union.discriminator.as_ref().unwrap();
    assert_eq!(discriminator.property, "kind");
    assert_eq!(discriminator.mapping["feline"], members[0]);
    assert_eq!(discriminator.mapping["Dog"], members[1]);
    assert_eq!(discriminator.mapping.len(), 2);
}

#[test]
fn what_stands_beside_alternatives_belongs_to_each() {
    let api = v30("X:
  type: object
  required: [id]
  properties: {id: {type: string}}
  anyOf:
    - properties: {a: {type: string}}
    - properties: {b: {type: string}}");
    let members = members(&api);
    assert_eq!(print(&api, members[0]), "id: string!, a: string");
    assert_eq!(print(&api, members[1]), "id: string!, b: string");
}

#[test]
fn alternatives_that_only_require_are_no_union() {
    let api = v30("X:
  properties: {a: {type: string}, b: {type: string}}
  anyOf: [{required: [a]}, {required: [b]}]");
    assert_eq!(print_root(&api), "a: string, b: string");
}

#[test]
fn a_subtype_that_includes_its_base_is_no_union_of_itself() {
    let api = v30("X: {$ref: '#/components/schemas/Cat'}
Pet:
  type: object
  properties: {name: {type: string}}
  discriminator: {propertyName: name}
  oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}]
Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {lives: {type: integer}}}]}
Dog: {allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {tail: {type: string}}}]}");
    assert_eq!(print_root(&api), "name: string, lives: integer");
    assert_eq!(api.contract()[root(&api)].name.as_deref(), Some("Cat"));
}

#[test]
fn a_list_of_types_is_a_union() {
    let api = v31("X: {type: [string, integer, number, array, 'null'], items: {type: boolean}}");
    let members = members(&api);
    let described: Vec<String> = members
        .iter()
        .map(|m| api.contract().describe(*m))
        .collect();
    assert_eq!(described, ["number", "string", "list of boolean"]);
    assert!(api.contract()[root(&api)].nullable);
}

#[test]
fn enumerations_know_what_travels() {
    let api = v31("X:
  properties:
    text: {type: string, enum: [NEW, PAID]}
    number: {type: integer, enum: [1, 2]}
    single: {const: fixed}
    flag: {type: boolean, enum: [true]}
    sloppy: {type: string, enum: [1.5, x]}
    mixed: {enum: [1, x]}");
    let kind = |name: &str| api.contract()[property(&api, name).ty].kind.clone();
    let enumeration = |name: &str| match kind(name) {
        Kind::Enum(enumeration) => (
            enumeration.base,
            enumeration
                .values
                .into_iter()
                .map(|v| v.name)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        other => panic!("{name} is no enum: {other}"),
    };
    assert_eq!(enumeration("text"), (EnumBase::Text, "NEW PAID".into()));
    assert_eq!(enumeration("number"), (EnumBase::Integer, "1 2".into()));
    assert_eq!(enumeration("single"), (EnumBase::Text, "fixed".into()));
    assert_eq!(enumeration("sloppy"), (EnumBase::Text, "1.5 x".into()));
    assert_eq!(kind("flag"), Kind::Boolean);
    assert_eq!(kind("mixed"), Kind::Any);
}

#[test]
fn additional_properties_are_told_apart() {
    let api = v31("X:
  properties:
    open: {type: object, properties: {a: {type: string}}, additionalProperties: {type: integer}}
    closed: {type: object, properties: {a: {type: string}}, additionalProperties: false}
    silent: {type: object}
    map: {type: object, patternProperties: {'^x-': {type: string}}}
    free: {type: object, additionalProperties: true}
    demanding: {type: object, required: [a]}");
    let kind = |name: &str| &api.contract()[property(&api, name).ty].kind;
    let additional = |name: &str| kind(name).as_object().unwrap().additional;
    assert!(matches!(additional("open"), Additional::Allowed(_)));
    assert_eq!(additional("closed"), Additional::Forbidden);
    assert!(kind("silent").as_object().unwrap().says_nothing());
    assert_eq!(
        print_root(&api),
        "open: object, closed: object, silent: object, map: map of string, \
         free: map of anything, demanding: object"
    );
    assert_eq!(print(&api, property(&api, "demanding").ty), "a: anything!");
}

#[test]
fn tuples_are_lists_of_anything() {
    let api = v31(
        "X: {properties: {pair: {type: array, prefixItems: [{type: string}], items: false}, bare: {type: array}, implied: {items: {type: string}}}}",
    );
    assert_eq!(
        print_root(&api),
        "pair: list of anything, bare: list of anything, implied: list of string"
    );
}

const PARAMETERS: &str = "openapi: 3.1.0
paths:
  /users/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, format: int64}}
      - {name: verbose, in: query, schema: {type: string}}
    get:
      operationId: getUser
      parameters:
        - $ref: '#/components/parameters/Verbose'
        - {name: ids, in: query, schema: {type: array, items: {type: string}}}
        - {name: comma, in: query, explode: false, schema: {type: array}}
        - {name: pipe, in: query, style: pipeDelimited, explode: false, schema: {type: array}}
        - {name: space, in: query, style: spaceDelimited, explode: false, schema: {type: array}}
        - {name: 'tag[]', in: query, schema: {type: array}}
        - {name: filter, in: query, style: deepObject, schema: {type: object}}
        - {name: json, in: query, content: {application/json: {schema: {type: object}}}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string}}
        - {name: Authorization, in: header, schema: {type: string}}
        - {name: nameless, schema: {type: string}}
    delete: {}
  /files/{name}: {get: {}}
components:
  parameters:
    Verbose: {name: verbose, in: query, required: true, schema: {type: boolean}}
";

#[test]
fn parameters_of_path_and_operation_come_together() {
    let api = parse(PARAMETERS);
    let get = api.operation("get", "/users/{x}").unwrap().operation;
    assert_eq!(get.id.as_deref(), Some("getUser"));
    let printed: Vec<String> = get
        .parameters
        .iter()
        .map(|p| format!("{} {} {:?}", p.location, p.written_name(), p.style))
        .collect();
    assert_eq!(
        printed,
        [
            "path id Comma",
            "query verbose Repeated",
            "query ids Repeated",
            "query comma Comma",
            "query pipe Pipe",
            "query space Space",
            "query tag[] Brackets",
            "query filter DeepObject",
            "query json Json",
            "header X-Tenant Comma",
        ]
    );
    let verbose = get.parameter(Location::Query, "verbose").unwrap();
    assert!(verbose.required);
    assert_eq!(api.contract().describe(verbose.ty), "boolean");
    assert!(
        get.parameter(Location::Header, "x-tenant")
            .unwrap()
            .required
    );
    assert!(get.parameter(Location::Query, "tag").is_some());
    assert_eq!(
        problems_of(&api, get),
        ["a.yaml:20:11: a parameter needs a name and `in`: path, query, header or cookie"]
    );
}

fn problems_of(api: &OpenApi, operation: &Operation) -> Vec<String> {
    let problems = api.problems_of(operation);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn an_undeclared_path_parameter_is_still_one() {
    let api = parse(PARAMETERS);
    let file = api.operation("GET", "/files/{n}").unwrap().operation;
    assert!(file.parameter(Location::Path, "name").unwrap().required);
}

#[test]
fn paths_match_by_shape_and_literals_win() {
    let api = parse(
        "openapi: 3.0.0
paths:
  /users/{userId}: {get: {}, delete: {}}
  /users/me: {get: {}}
  /users/{userId}/posts/{postId}: {get: {}}
  /{kind}/latest: {get: {}}
",
    );
    let path = |method: &str, template: &str| {
        api.operation(method, template)
            .map(|m| m.operation.path.as_str())
    };
    assert_eq!(path("GET", "/users/{id}"), Some("/users/{userId}"));
    assert_eq!(path("GET", "/users/me"), Some("/users/me"));
    assert_eq!(path("DELETE", "/users/me"), Some("/users/{userId}"));
    assert_eq!(path("GET", "/users/latest"), Some("/users/{userId}"));
    assert_eq!(path("GET", "/orders/latest"), Some("/{kind}/latest"));
    assert_eq!(path("POST", "/users/me"), None);
    let matched = api
        .operation("GET", "/users/{a}/posts/{$this.b}?x=1")
        .unwrap();
    let names: Vec<&str> = matched
        .bindings
        .iter()
        .map(|b| b.parameter.as_str())
        .collect();
    assert_eq!(names, ["userId", "postId"]);
    assert_eq!(
        matched.bindings[1].given,
        [PathPart::Hole("$this.b".into())]
    );
    assert_eq!(api.closest("POST", "/users/me").len(), 3);
    assert_eq!(api.closest("GET", "/user/{id}")[0], "GET /users/{userId}");
    assert!(api.closest("GET", "/completely/different/thing").is_empty());
}

#[test]
fn bodies_and_replies_have_encodings() {
    let api = parse(
        "openapi: 3.1.0
paths:
  /orders:
    post:
      requestBody:
        required: true
        content:
          application/json; charset=utf-8: {schema: {type: object}}
          application/x-www-form-urlencoded: {schema: {type: object}}
          multipart/form-data: {schema: {type: object}}
          text/plain: {}
          image/png: {}
      responses:
        204: {description: nothing}
        201: {$ref: '#/components/responses/Created'}
        4XX: {content: {application/problem+json: {schema: {type: object}}}}
        404: {description: none}
        default: {content: {text/html: {}}}
        twice: {}
components:
  responses:
    Created: {content: {application/json: {schema: {type: string}}}}
",
    );
    let post = &api.operations()[0];
    let body = post.body.as_ref().unwrap();
    let encodings: Vec<Encoding> = body.content.iter().map(|c| c.encoding).collect();
    use Encoding::{Form, Json, Multipart, Other, Text};
    assert_eq!(encodings, [Json, Form, Multipart, Text, Other]);
    assert!(body.required && body.encoded(Form).is_some());
    let success = post.success().unwrap();
    assert_eq!(success.status, Status::Code(201));
    assert_eq!(
        api.contract().describe(success.json().unwrap().ty),
        "string"
    );
    assert_eq!(post.response(404).unwrap().status, Status::Code(404));
    assert_eq!(post.response(422).unwrap().status, Status::Class(4));
    assert!(post.response(422).unwrap().json().is_some());
    assert_eq!(post.response(500).unwrap().status, Status::Default);
    assert_eq!(
        problems_of(&api, post),
        [
            "a.yaml:19:9: `twice` is no status\n  help: write a status such as 200, a class such as 4XX, or default"
        ]
    );
}

#[test]
fn json_documents_are_read_too() {
    let api = OpenApi::parse(
        "users.openapi.json",
        r##"{"openapi": "3.1.0", "paths": {"/x": {"get": {"responses": {"200": {"content":
        {"application/json": {"schema": {"$ref": "#/components/schemas/X"}}}}}}}},
        "components": {"schemas": {"X": {"type": "array", "items": {"type": "string"}}}}}"##,
    )
    .unwrap();
    assert_eq!(describe_root(&api), "list of string");
    let place = &api.operations()[0].place;
    assert_eq!(place.to_string(), "users.openapi.json#/paths/~1x/get");
}

#[test]
fn a_missing_reference_stops_only_who_uses_it() {
    let api = v30("X: {properties: {y: {$ref: '#/components/schemas/Yy'}}}
Y: {type: string}");
    assert_eq!(
        problems(&api),
        [
            "a.yaml:10:26: the reference `#/components/schemas/Yy` leads nowhere\n  help: did you mean `#/components/schemas/Y`?"
        ]
    );
    let unused = v30("X: {type: string}
Y: {properties: {z: {$ref: 'other.yaml#/Z'}}}");
    assert_eq!(describe_root(&unused), "string");
}

#[test]
fn an_unknown_type_is_a_problem_with_a_suggestion() {
    let api = v30("X: {type: strin}");
    assert_eq!(
        problems(&api),
        ["a.yaml:10:9: there is no type `strin`\n  help: did you mean `string`?"]
    );
}

#[test]
fn schemas_in_a_circle_are_a_problem() {
    let circles = [
        "X: {$ref: '#/components/schemas/X'}",
        "X: {allOf: [{$ref: '#/components/schemas/Y'}]}\nY: {allOf: [{$ref: '#/components/schemas/X'}]}",
        "X: {$ref: '#/components/schemas/X', required: [a]}",
    ];
    for circle in circles {
        let problems = problems(&v31(circle));
        assert_eq!(problems.len(), 1, "{circle}");
        assert!(problems[0].contains("itself"), "{problems:?}");
    }
    let union = v31("X: {oneOf: [{$ref: '#/components/schemas/X'}, {type: string}]}");
    assert_eq!(problems(&union).len(), 0);
}

#[test]
fn long_chains_of_schemas_do_not_deepen_the_stack() {
    let chain: String = (0..20_000)
        .map(|n| {
            format!(
                "S{n}: {{properties: {{next: {{$ref: '#/components/schemas/S{}'}}}}}}\n",
                n + 1
            )
        })
        .collect();
    let api = v30(&format!(
        "X: {{$ref: '#/components/schemas/S0'}}\n{chain}S20000: {{type: string}}"
    ));
    assert_eq!(api.contract().len(), 20_001);
    let deep: String = (0..1_000)
        .map(|n| {
            format!(
                "S{n}: {{allOf: [{{$ref: '#/components/schemas/S{}'}}]}}\n",
                n + 1
            )
        })
        .collect();
    let api = v30(&format!(
        "X: {{$ref: '#/components/schemas/S0'}}\n{deep}S1000: {{type: string}}"
    ));
    assert!(problems(&api)[0].contains("too deeply"));
}

/// Two schemas whose intersections have a period for each prime: together they would make more
/// types than fit into memory.
#[test]
fn intersections_without_end_are_bounded() {
    let mut schemas = String::from("X: {allOf: [");
    let primes = [2, 3, 5, 7, 11, 13, 17, 19];
    for prime in primes {
        schemas += &format!("{{$ref: '#/components/schemas/P{prime}N0'}}, ");
    }
    schemas += "]}\n";
    for prime in primes {
        for n in 0..prime {
            let next = (n + 1) % prime;
            schemas += &format!(
                "P{prime}N{n}: {{properties: {{p: {{$ref: '#/components/schemas/P{prime}N{next}'}}}}}}\n"
            );
        }
    }
    let api = v30(&schemas);
    assert!(problems(&api)[0].contains("more types than are read"));
}

#[test]
fn shapes_that_nobody_expects_do_no_harm() {
    let documents = [
        "openapi: 3.1.0",
        "openapi: 3.1.0\npaths: []",
        "openapi: 3.1.0\npaths: {/x: 5, y: {get: {}}, /z: {get: 7, parameters: 3}}",
        "openapi: 3.1.0\npaths: {/x: {get: {parameters: [1, null], requestBody: x, responses: []}}}",
        "openapi: 3.1.0\npaths: {/x: {get: {responses: {200: {content: {application/json: {schema: 3}}}}}}}",
        "openapi: 3.1.0\npaths: {/x: {get: {responses: {200: {content: {a: {schema: {type: {}, enum: 1, oneOf: {}, allOf: 3, properties: [1], required: x, items: 3}}}}}}}}",
        "openapi: 3.1.0\npaths: {/x: {$ref: '#/nowhere'}}",
    ];
    for document in documents {
        let api = parse(document);
        for operation in api.operations() {
            assert!(api.problems_of(operation).len() < 9);
            operation
                .types()
                .for_each(|id| drop(api.contract().describe(id)));
        }
    }
    let lost = parse(documents[6]);
    let operation = lost.operation("GET", "/x").unwrap().operation;
    assert!(problems_of(&lost, operation)[0].contains("leads nowhere"));
}
