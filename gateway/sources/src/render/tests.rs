//! Rendering, by example.

use apollo_compiler::name;
use compose::model::BodyEncoding;
use compose::model::Encoding;
use compose::model::EncodingId;
use compose::model::Expr;
use compose::model::Format;
use compose::model::HeaderRule;
use compose::model::ListStyle;
use compose::model::Outward;
use compose::model::Piece;
use compose::model::QueryParam;
use compose::model::RestMethod;
use compose::model::RestRequest;
use http::HeaderMap;
use http::HeaderValue;
use plan::source::KeyPart;
use plan::source::Row;
use proptest::prelude::*;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use smallvec::smallvec;

use super::*;

/// Everything that the expressions of these tests name.
struct World {
    args: Map<String, Json>,
    rows: Vec<Row>,
    headers: HeaderMap,
    claims: Json,
    encodings: Encodings,
}

const AS_IS: EncodingId = EncodingId(0);

impl World {
    fn new(args: Json) -> Self {
        let Json::Object(args) = args else {
            panic!("arguments are an object")
        };
        Self {
            args,
            rows: Vec::new(),
            headers: HeaderMap::new(),
            claims: json!({ "sub": "ada", "org": { "id": 7 } }),
            encodings: Encodings::from_table(vec![Encoding::AsIs]),
        }
    }

    fn encoded(mut self, encodings: Vec<Encoding>) -> Self {
        self.encodings = Encodings::from_table(encodings);
        self
    }

    fn rows(mut self, rows: Vec<Row>) -> Self {
        self.rows = rows;
        self
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            args: &self.args,
            rows: &self.rows,
            headers: &self.headers,
            claims: &self.claims,
            encodings: &self.encodings,
        }
    }

    fn value(&self, expr: &Expr) -> Result<Json, RenderError> {
        super::value(expr, &self.scope())
    }
}

fn arg(path: &str) -> Expr {
    arg_as(path, AS_IS)
}

fn arg_as(path: &str, encode: EncodingId) -> Expr {
    Expr::Arg {
        path: path.split('.').map(str::to_owned).collect(),
        encode,
    }
}

fn batch(input: usize) -> Expr {
    Expr::Batch {
        input,
        encode: AS_IS,
    }
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

mod values {
    use super::*;

    #[test]
    fn what_is_not_there_is_null_and_objects_leave_it_out() {
        let world = World::new(json!({ "a": { "b": 1 }, "n": null }));
        let object = Expr::Object(vec![
            ("b".to_owned(), arg("a.b")),
            ("n".to_owned(), arg("n")),
            ("x".to_owned(), arg("a.b.c")),
        ]);
        assert_eq!(world.value(&object), Ok(json!({ "b": 1 })));
        let list = Expr::List(vec![arg("a.b"), arg("n")]);
        assert_eq!(world.value(&list), Ok(json!([1, null])));
    }

    #[test]
    fn the_first_that_is_there_is_taken() {
        let world = World::new(json!({ "n": null, "f": false }));
        let first = Expr::FirstOf(vec![arg("n"), arg("f"), arg("x")]);
        assert_eq!(world.value(&first), Ok(json!(false)));
    }

    #[test]
    fn a_text_with_an_empty_hole_is_null() {
        let world = World::new(json!({ "year": 2024, "tags": ["a"] }));
        let template = |hole: &str| Expr::Template(vec![text("y"), Piece::Hole(arg(hole))]);
        assert_eq!(world.value(&template("year")), Ok(json!("y2024")));
        assert_eq!(world.value(&template("month")), Ok(Json::Null));
        assert!(world.value(&template("tags")).is_err());
    }

    #[test]
    fn claims_and_headers_are_read_where_they_are() {
        let mut world = World::new(json!({}));
        world
            .headers
            .append("accept-language", HeaderValue::from_static("de"));
        world
            .headers
            .append("accept-language", HeaderValue::from_static("en"));
        let claim =
            |path: &[&str]| Expr::Claim(path.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(world.value(&claim(&["org", "id"])), Ok(json!(7)));
        assert_eq!(world.value(&claim(&["org", "name"])), Ok(Json::Null));
        assert_eq!(
            world.value(&Expr::Header("accept-language".into())),
            Ok(json!("de, en"))
        );
        assert_eq!(world.value(&Expr::Header("x".into())), Ok(Json::Null));
    }

    #[test]
    fn parents_keep_the_type_their_values_arrived_with() {
        let rows: Vec<Row> = vec![
            smallvec![KeyPart::Int(1), KeyPart::Text("eu".into())],
            smallvec![KeyPart::Text("2".into()), KeyPart::Null],
        ];
        let world = World::new(json!({})).rows(rows);
        assert_eq!(world.value(&batch(0)), Ok(json!([1, "2"])));
        let each = Expr::Each(Box::new(Expr::Object(vec![
            ("id".to_owned(), batch(0)),
            ("region".to_owned(), batch(1)),
            ("all".to_owned(), arg("x")),
        ])));
        assert_eq!(
            world.value(&each),
            Ok(json!([{ "id": 1, "region": "eu" }, { "id": "2" }]))
        );
    }
}

mod encodings {
    use super::*;

    fn outward(outward: Outward, value: Json) -> Result<Json, RenderError> {
        let world = World::new(json!({ "v": value })).encoded(vec![Encoding::Leaf(outward)]);
        world.value(&arg("v"))
    }

    #[test]
    fn leaves_become_what_the_contract_wants() {
        assert_eq!(
            outward(Outward::Integer, json!("9007199254740993")),
            Ok(json!(9007199254740993_i64))
        );
        assert_eq!(
            outward(Outward::Integer, json!("18446744073709551615")),
            Ok(json!(u64::MAX))
        );
        assert_eq!(outward(Outward::Integer, json!(3.0)), Ok(json!(3)));
        assert_eq!(outward(Outward::String, json!(5)), Ok(json!("5")));
        assert_eq!(outward(Outward::Number, json!("1.5")), Ok(json!(1.5)));
        assert_eq!(outward(Outward::Boolean, json!("true")), Ok(json!(true)));
        let seconds = Outward::Format(Format::UnixSeconds);
        assert_eq!(
            outward(seconds, json!("1970-01-01T00:01:00Z")),
            Ok(json!(60))
        );
        assert_eq!(
            outward(Outward::Integer, json!(["1", 2, null])),
            Ok(json!([1, 2, null]))
        );
    }

    #[test]
    fn what_cannot_become_that_is_refused() {
        for (kind, value) in [
            (Outward::Integer, json!("x")),
            (Outward::Integer, json!("1.5")),
            (Outward::Integer, json!(1.5)),
            (Outward::Integer, json!(true)),
            (Outward::Number, json!("x")),
            (Outward::Boolean, json!("yes")),
            (Outward::Format(Format::UnixMillis), json!("yesterday")),
        ] {
            assert!(
                outward(kind, value.clone()).is_err(),
                "{kind:?} from {value}"
            );
        }
    }

    #[test]
    fn names_of_fields_and_enum_values_are_spelled_as_upstream_does() {
        let field = |name: &str, id: u32| (name.to_owned(), EncodingId(id));
        let world = World::new(json!({
            "input": { "firstName": "Ada", "colours": ["RED", "BLUE"], "next": { "firstName": null } }
        }))
        .encoded(vec![
            Encoding::Object([
                (name!("firstName"), field("first_name", 3)),
                (name!("colours"), field("colours", 1)),
                (name!("next"), field("next", 0)),
            ].into_iter().collect()),
            Encoding::List(EncodingId(2)),
            Encoding::Enum([(name!("RED"), "r".to_owned())].into_iter().collect()),
            Encoding::AsIs,
        ]);
        assert_eq!(
            world.value(&arg("input")),
            Ok(
                json!({ "first_name": "Ada", "colours": ["r", "BLUE"], "next": { "first_name": null } })
            )
        );
    }
}

mod addresses {
    use super::*;

    fn request(path: Vec<Piece>, query: Vec<(&str, Expr, ListStyle)>) -> RestRequest {
        let param = |(name, value, lists): (&str, Expr, ListStyle)| QueryParam {
            name: name.to_owned(),
            value,
            lists,
        };
        RestRequest {
            method: RestMethod::Get,
            path,
            query: query.into_iter().map(param).collect(),
            body: None,
            encoding: BodyEncoding::Json,
            headers: Vec::new(),
        }
    }

    fn target(world: &World, request: &RestRequest) -> Result<String, RenderError> {
        url::target(request, &world.scope(), &[])
    }

    fn query(world: &World, name: &str, value: Expr, lists: ListStyle) -> String {
        target(
            world,
            &request(vec![text("/x")], vec![(name, value, lists)]),
        )
        .unwrap()
    }

    #[test]
    fn lists_travel_in_the_style_of_their_parameter() {
        let world = World::new(json!({ "ids": [1, null, "a,b"] }));
        let styled = |lists| query(&world, "id", arg("ids"), lists);
        assert_eq!(styled(ListStyle::Repeated), "/x?id=1&id=a%2Cb");
        assert_eq!(styled(ListStyle::Comma), "/x?id=1,a%2Cb");
        assert_eq!(styled(ListStyle::Brackets), "/x?id[]=1&id[]=a%2Cb");
        let world = World::new(json!({ "ids": [] }));
        assert_eq!(query(&world, "id", arg("ids"), ListStyle::Comma), "/x");
    }

    #[test]
    fn keys_travel_like_any_list() {
        let rows: Vec<Row> = vec![
            smallvec![KeyPart::Int(-1)],
            smallvec![KeyPart::Text("a&b".into())],
            smallvec![KeyPart::UInt(u64::MAX)],
        ];
        let world = World::new(json!({})).rows(rows);
        let styled = |lists| query(&world, "id", batch(0), lists);
        assert_eq!(
            styled(ListStyle::Repeated),
            "/x?id=-1&id=a%26b&id=18446744073709551615"
        );
        assert_eq!(
            styled(ListStyle::Comma),
            "/x?id=-1,a%26b,18446744073709551615"
        );
    }

    #[test]
    fn an_objects_entries_are_parameters_and_deeper_ones_are_json() {
        let world =
            World::new(json!({ "f": { "a b": 1, "n": null, "l": [1, 2], "o": { "k": "v" } } }));
        assert_eq!(
            query(&world, "f", arg("f"), ListStyle::Repeated),
            "/x?a%20b=1&l=1&l=2&o=%7B%22k%22%3A%22v%22%7D"
        );
    }

    #[test]
    fn a_query_in_the_path_is_gone_on_with() {
        let world = World::new(json!({ "a": 1 }));
        let request = request(
            vec![text("/x?fixed=1")],
            vec![("a", arg("a"), ListStyle::Repeated)],
        );
        assert_eq!(target(&world, &request).unwrap(), "/x?fixed=1&a=1");
    }

    #[test]
    fn what_a_mapping_writes_is_made_fit_for_an_address() {
        let request = request(vec![text("/über uns/a%2Fb?x={1}")], Vec::new());
        let target = target(&World::new(json!({})), &request).unwrap();
        assert_eq!(target, "/%C3%BCber%20uns/a%2Fb?x=%7B1%7D");
    }

    #[test]
    fn a_hole_without_a_value_is_refused() {
        for args in [
            json!({}),
            json!({ "id": null }),
            json!({ "id": "" }),
            json!({ "id": [] }),
        ] {
            let request = request(vec![text("/users/"), Piece::Hole(arg("id"))], Vec::new());
            let error = target(&World::new(args), &request).unwrap_err();
            assert!(error.0.contains("`id`"), "{error}");
        }
    }

    #[test]
    fn dots_from_several_holes_are_refused_together() {
        let request = request(
            vec![
                text("/a/"),
                Piece::Hole(arg("x")),
                Piece::Hole(arg("y")),
                text("/b"),
            ],
            Vec::new(),
        );
        assert!(target(&World::new(json!({ "x": ".", "y": "." })), &request).is_err());
        assert_eq!(
            target(&World::new(json!({ "x": ".", "y": "z" })), &request).unwrap(),
            "/a/.z/b"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_value_is_one_segment_and_comes_back_as_it_was(id in "\\PC{1,20}", value in any::<String>()) {
            prop_assume!(id != "." && id != "..");
            let world = World::new(json!({ "id": id, "q": value }));
            let request = request(
                vec![text("/users/"), Piece::Hole(arg("id")), text("/posts")],
                vec![("q", arg("q"), ListStyle::Repeated)],
            );
            let target = target(&world, &request).unwrap();
            let url = reqwest::Url::parse(&format!("http://host{target}")).unwrap();
            prop_assert_eq!(url.host_str(), Some("host"));
            prop_assert_eq!(url.fragment(), None);
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            prop_assert_eq!(decoded.as_ref(), id.as_str());
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, vec![("q".to_owned(), value)]);
        }
    }
}

mod header_rules {
    use super::*;

    fn rule(name: &str, value: Expr) -> HeaderRule {
        HeaderRule {
            name: name.to_owned(),
            value,
        }
    }

    fn applied(world: &World, rules: &[HeaderRule]) -> Result<HeaderMap, RenderError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_static("before"));
        super::headers::apply(rules, &world.scope(), &mut headers)?;
        Ok(headers)
    }

    #[test]
    fn a_rule_replaces_and_null_takes_away() {
        let world = World::new(json!({ "v": "é" }));
        let headers = applied(&world, &[rule("x-a", arg("none")), rule("x-b", arg("v"))]).unwrap();
        assert!(!headers.contains_key("x-a"));
        assert_eq!(headers["x-b"].as_bytes(), "é".as_bytes());
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        for value in ["a\r\nx: y", "a\nb", "a\u{0}b"] {
            let world = World::new(json!({ "v": value }));
            let error = applied(&world, &[rule("x-b", arg("v"))]).unwrap_err();
            assert!(error.0.contains("`x-b`"), "{error}");
        }
    }

    #[test]
    fn no_rule_frames_or_codes_the_message() {
        let world = World::new(json!({ "v": "5" }));
        let names = [
            "accept-encoding",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "te",
        ];
        let rules: Vec<HeaderRule> = names.iter().map(|name| rule(name, arg("v"))).collect();
        assert_eq!(applied(&world, &rules).unwrap().len(), 1);
    }
}
