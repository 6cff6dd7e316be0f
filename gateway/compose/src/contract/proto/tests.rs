//! .proto files in, methods and types out.

use prost_reflect::prost::Message;

use super::*;
use crate::contract::model::{EnumBase, Kind, Property, TypeId};

fn compile(source: &str) -> Proto {
    Proto::compile([("shop.proto", source)], &["shop.proto"]).unwrap()
}

fn refusal(sources: &[(&str, &str)]) -> ContractError {
    let root = sources[0].0;
    Proto::compile(sources.iter().copied(), &[root]).unwrap_err()
}

/// A service whose one method takes the message `M`, which `body` declares.
fn message(body: &str) -> Proto {
    compile(&format!(
        "syntax = \"proto3\";
package shop.v1;
import \"google/protobuf/any.proto\";
import \"google/protobuf/duration.proto\";
import \"google/protobuf/empty.proto\";
import \"google/protobuf/field_mask.proto\";
import \"google/protobuf/struct.proto\";
import \"google/protobuf/timestamp.proto\";
import \"google/protobuf/wrappers.proto\";
service S {{ rpc Get(M) returns (google.protobuf.Empty); }}
{body}"
    ))
}

fn input(proto: &Proto) -> TypeId {
    proto.method("shop.v1.S/Get").unwrap().input
}

fn property<'a>(proto: &'a Proto, name: &str) -> &'a Property {
    proto.contract().property(input(proto), name).unwrap().1
}

/// `name: type`, with `?` where the field may be unset.
fn print(proto: &Proto, id: TypeId) -> String {
    let object = proto.contract()[id].kind.as_object().unwrap();
    let properties = object.properties.iter().map(|(name, property)| {
        let mark = if property.is_certain() { "" } else { "?" };
        format!("{name}{mark}: {}", proto.contract().describe(property.ty))
    });
    properties.collect::<Vec<_>>().join(", ")
}

#[test]
fn scalars_keep_their_range_and_presence() {
    let proto = message(
        "message M {
  int32 a = 1; sint64 b = 2; fixed32 c = 3; uint64 d = 4; sfixed64 e = 5; float f = 6;
  bool g = 7; string h = 8; bytes i = 9; optional string j = 10; repeated fixed64 k = 11;
  map<string, int64> l = 12; map<int32, M> m = 13; M n = 14;
}",
    );
    assert_eq!(
        print(&proto, input(&proto)),
        "a: int32, b: int64, c: uint32, d: uint64, e: int64, f: number, g: boolean, h: string, \
         i: string (byte), j?: string, k: list of uint64, l: map of int64, \
         m: map of shop.v1.M, n?: shop.v1.M"
    );
    assert_eq!(property(&proto, "n").ty, input(&proto));
    assert!(!property(&proto, "a").must_be_sent());
    let place = &property(&proto, "a").place;
    assert_eq!(place.to_string(), "shop.proto: shop.v1.M.a");
}

#[test]
fn well_known_messages_are_plain_values() {
    let proto = message(
        "message M {
  google.protobuf.Timestamp a = 1; google.protobuf.Duration b = 2;
  google.protobuf.FieldMask c = 3; google.protobuf.Struct d = 4; google.protobuf.Value e = 5;
  google.protobuf.ListValue f = 6; google.protobuf.Any g = 7; google.protobuf.StringValue h = 8;
  google.protobuf.UInt64Value i = 9; google.protobuf.NullValue j = 10;
  repeated google.protobuf.BoolValue k = 11; google.protobuf.BytesValue l = 12;
  google.protobuf.Empty m = 13;
}",
    );
    assert_eq!(
        print(&proto, input(&proto)),
        "a?: string (date-time), b?: string (duration), c?: string (field mask), d?: anything, \
         e?: anything or null, f?: anything, g?: anything, h?: string, i?: uint64, j: null, \
         k: list of boolean, l?: string (byte), m?: google.protobuf.Empty"
    );
}

#[test]
fn names_in_json_are_aliases() {
    let proto = message("message M { string product_id = 1; string a = 2 [json_name = \"b\"]; }");
    let by_alias = proto
        .contract()
        .property(input(&proto), "productId")
        .unwrap();
    assert_eq!(by_alias.0, "product_id");
    assert_eq!(property(&proto, "b").alias.as_deref(), Some("b"));
    assert!(
        proto
            .contract()
            .property(input(&proto), "nothing")
            .is_none()
    );
}

#[test]
fn members_of_a_oneof_may_be_unset_and_know_it() {
    let proto =
        message("message M { oneof key { string id = 1; int32 n = 2; } optional bool c = 3; }");
    assert_eq!(
        print(&proto, input(&proto)),
        "id?: string, n?: int32, c?: boolean"
    );
    assert_eq!(property(&proto, "n").oneof.as_deref(), Some("key"));
    assert_eq!(property(&proto, "c").oneof, None);
}

#[test]
fn enums_have_names_and_numbers() {
    let proto = message(
        "message M { Status s = 1; repeated Status t = 2; }
enum Status { STATUS_UNSPECIFIED = 0; PAID = 2; NEW = 1; }",
    );
    assert_eq!(
        print(&proto, input(&proto)),
        "s: shop.v1.Status, t: list of shop.v1.Status"
    );
    let Kind::Enum(status) = &proto.contract()[property(&proto, "s").ty].kind else {
        panic!("no enum");
    };
    assert_eq!(status.base, EnumBase::Symbol);
    let values: Vec<(&str, Option<i32>)> = status
        .values
        .iter()
        .map(|v| (v.name.as_str(), v.number))
        .collect();
    assert_eq!(
        values,
        [
            ("STATUS_UNSPECIFIED", Some(0)),
            ("PAID", Some(2)),
            ("NEW", Some(1))
        ]
    );
    assert_eq!(status.unspecified().unwrap().name, "STATUS_UNSPECIFIED");
    assert!(status.contains("NEW") && !status.contains("OLD"));
}

#[test]
fn proto2_fields_may_be_required() {
    let proto = compile(
        "syntax = \"proto2\";
package shop.v1;
service S { rpc Get(M) returns (M); }
message M { required string a = 1; optional int32 b = 2; repeated M c = 3; }",
    );
    assert_eq!(
        print(&proto, input(&proto)),
        "a: string, b?: int32, c: list of shop.v1.M"
    );
    assert!(property(&proto, "a").must_be_sent());
}

const SHOP: &str = "syntax = \"proto3\";
package ecommerce.v1;
service ProductService {
  rpc GetProduct(Request) returns (Reply) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc PutProduct(Request) returns (Reply) { option idempotency_level = IDEMPOTENT; }
  rpc ListProducts(Request) returns (stream Reply);
  rpc Upload(stream Request) returns (Reply);
}
message Request {}
message Reply {}
";

#[test]
fn methods_know_streaming_and_idempotency() {
    let proto = compile(SHOP);
    let method = |name: &str| {
        proto
            .method(&format!("ecommerce.v1.ProductService/{name}"))
            .unwrap()
    };
    assert_eq!(method("GetProduct").idempotency, Idempotency::NoSideEffects);
    assert_eq!(method("PutProduct").idempotency, Idempotency::Idempotent);
    assert_eq!(method("Upload").idempotency, Idempotency::Unknown);
    assert!(method("ListProducts").server_streaming && !method("ListProducts").client_streaming);
    assert!(method("Upload").client_streaming && !method("Upload").server_streaming);
    assert_eq!(
        method("Upload").place.to_string(),
        "shop.proto: ecommerce.v1.ProductService.Upload"
    );
    assert_eq!(proto.methods().count(), 4);
}

#[test]
fn an_unknown_method_has_suggestions() {
    let proto = compile(SHOP);
    let get = ["ecommerce.v1.ProductService/GetProduct"];
    assert!(proto.method("ProductService/GetProduct").is_none());
    assert_eq!(
        proto.closest("ecommerce.v1.ProductService/GetProdukt")[0],
        get[0]
    );
    assert_eq!(proto.closest("ProductService/GetProduct"), get);
    assert_eq!(
        proto.closest("ecommerce.v1.ProductService.GetProduct")[0],
        get[0]
    );
    assert_eq!(
        proto.closest("/ecommerce.v1.ProductService/GetProduct")[0],
        get[0]
    );
    assert_eq!(proto.closest("other.Shop/GetProduct"), get);
    assert!(proto.closest("other.Shop/Delete").is_empty());
}

#[test]
fn imports_are_found_by_name_and_by_a_longer_name() {
    let common = "syntax = \"proto3\"; package c; message Money { int64 units = 1; }";
    let root =
        "syntax = \"proto3\"; import \"common.proto\"; import \"google/protobuf/empty.proto\";
service S { rpc Get(google.protobuf.Empty) returns (c.Money); }";
    for name in ["common.proto", "protos/common.proto"] {
        let sources = [("protos/shop.proto", root), (name, common)];
        let proto = Proto::compile(sources, &["protos/shop.proto", name]).unwrap();
        let output = proto.method("S/Get").unwrap().output;
        assert_eq!(proto.contract().describe(output), "c.Money");
        let place = &proto.contract()[output].place;
        assert_eq!(place.to_string(), format!("{name}: c.Money"));
    }
    assert_eq!(imports("shop.proto", root).unwrap(), ["common.proto"]);
}

#[test]
fn mistakes_have_a_place() {
    let error = refusal(&[(
        "shop.proto",
        "syntax = \"proto3\";\nmessage M { string 1; }\n",
    )]);
    assert_eq!(
        (error.file.as_str(), error.line, error.column),
        ("shop.proto", Some(2), Some(20))
    );
    assert!(error.message.contains("expected an identifier"), "{error}");

    let error = refusal(&[(
        "shop.proto",
        "syntax = \"proto3\";\nmessage M {\n  Nothing n = 1;\n}\n",
    )]);
    assert_eq!((error.line, error.column), (Some(3), Some(3)));
    assert!(error.message.contains("'Nothing'"), "{error}");
}

#[test]
fn a_mistake_in_an_import_is_reported_there() {
    let root = "syntax = \"proto3\"; import \"common.proto\";";
    let common = "syntax = \"proto3\";\nmessage M { N n = 1; }";
    let error = refusal(&[("a/shop.proto", root), ("a/common.proto", common)]);
    assert_eq!(
        (error.file.as_str(), error.line),
        ("a/common.proto", Some(2))
    );
}

#[test]
fn a_missing_import_has_a_place_and_a_way_out() {
    let root = "syntax = \"proto3\";\nimport \"comon.proto\";";
    let error = refusal(&[
        ("shop.proto", root),
        ("common.proto", "syntax = \"proto3\";"),
    ]);
    assert_eq!((error.line, error.column), (Some(2), Some(1)));
    assert_eq!(error.message, "import 'comon.proto' not found");
    assert_eq!(error.help.as_deref(), Some("did you mean `common.proto`?"));
    let error = refusal(&[("shop.proto", root)]);
    assert!(error.help.unwrap().contains("protos"));
    let error = Proto::compile([], &["shop.proto"]).unwrap_err();
    assert_eq!(error.to_string(), "shop.proto: the file was not given");
}

#[test]
fn imports_in_a_circle_are_an_error() {
    let error = refusal(&[
        ("a.proto", "syntax = \"proto3\"; import \"b.proto\";"),
        ("b.proto", "syntax = \"proto3\"; import \"a.proto\";"),
    ]);
    assert!(error.message.contains("cycle"), "{error}");
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let head = "syntax = \"proto3\";\n";
    for unit in [
        "message M {",
        "option (x) = {a {",
        "option (x) = {a: [",
        "/*",
    ] {
        let error = refusal(&[("shop.proto", &format!("{head}{}", unit.repeat(100_000)))]);
        assert_eq!(error.file, "shop.proto", "{unit}");
    }
    let option = format!(
        "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message A {{ optional A a = 1; }}
extend google.protobuf.FileOptions {{ optional A x = 50000; }}
option (x) = {{ {} {} }};",
        "a {".repeat(100_000),
        "}".repeat(100_000)
    );
    let error = refusal(&[("shop.proto", &option)]);
    assert!(error.message.contains("nested too deeply"), "{error}");
}

#[test]
fn a_descriptor_set_says_the_same_as_its_sources() {
    let compiled = compile(SHOP);
    let bytes = compiled.pool().encode_to_vec();
    let proto = Proto::from_descriptor_set("shop.pb", &bytes).unwrap();
    assert_eq!(proto.methods().count(), 4);
    let error = Proto::from_descriptor_set("shop.pb", &bytes[..bytes.len() - 3]).unwrap_err();
    assert_eq!(error.file, "shop.pb");
    assert!(
        error.message.contains("not readable as a descriptor set"),
        "{error}"
    );
}

#[test]
fn a_descriptor_set_without_its_imports_says_how_to_write_it() {
    let proto = message("message M { google.protobuf.Timestamp a = 1; }");
    let files = proto.pool().file_descriptor_protos();
    let file = files
        .filter(|file| file.name() == "shop.proto")
        .cloned()
        .collect();
    let set = prost_reflect::prost_types::FileDescriptorSet { file };
    let error = Proto::from_descriptor_set("shop.pb", &set.encode_to_vec()).unwrap_err();
    assert!(error.help.unwrap().contains("--include_imports"));
}
