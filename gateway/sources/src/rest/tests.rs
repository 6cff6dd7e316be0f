//! REST sources against real local services, well-behaved and otherwise.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use plan::code::Code;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::SourcesConfig;
use crate::calls::now;
use crate::config::SourceOverride;
use crate::testing::Graph;
use crate::testing::Service;
use crate::testing::caller;
use crate::testing::reply;
use crate::testing::typed;
use crate::testing::url;

const USERS: &str = r#"
extend schema @source(name: "users", http: { baseURL: "SERVICE/api" })
type Query {
  user(id: ID!): User @rest(GET: "/users/{id}")
  find(name: String, tags: [String!], page: Int): User @rest(GET: "/users")
  must(id: ID!): User! @rest(GET: "/users/{id}")
  strict(id: ID!): User @rest(GET: "/users/{id}", notFound: ERROR)
}
type Mutation {
  add(input: NewUser!): User @rest(POST: "/users")
  put(id: ID!, input: NewUser!): User @rest(PUT: "/users/{id}", idempotent: true)
  remove(id: ID!): User @rest(DELETE: "/users/{id}")
}
input NewUser { name: String! age: Int }
type User { id: ID! name: String age: Int }
"#;

const ADD: &str = "mutation { add(input: { name: \"Ada\" }) { name } }";

async fn users(answer: fn() -> Response<Body>) -> (Service, Graph) {
    let service = Service::new(move |_| std::future::ready(answer())).await;
    let graph = Graph::new(USERS, &service.url);
    (service, graph)
}

async fn name_of_user_1(answer: fn() -> Response<Body>) -> Result<Json, plan::source::SourceError> {
    let (_service, graph) = users(answer).await;
    graph.fetch("{ user(id: 1) { name } }").await
}

async fn failure(answer: fn() -> Response<Body>) -> plan::source::SourceError {
    name_of_user_1(answer).await.expect_err("the call fails")
}

mod requests {
    use super::*;

    #[tokio::test]
    async fn a_hole_is_one_segment_and_other_arguments_are_the_query() {
        let service = Service::json(json!({ "name": "Ada" })).await;
        let graph = Graph::new(USERS, &service.url);
        for id in ["7", "a/b?c#d%e", "..%2f", "é"] {
            let operation = format!("{{ user(id: {id:?}) {{ name }} }}");
            assert_eq!(graph.fetch(&operation).await.unwrap(), json!(["Ada"]));
        }
        graph
            .fetch("{ find(name: \"a&b=c\", tags: [\"x\", \"y z\"]) { name } }")
            .await
            .unwrap();
        graph.fetch("{ find(page: 2) { name } }").await.unwrap();
        assert_eq!(
            service.targets(),
            [
                "/api/users/7",
                "/api/users/a%2Fb%3Fc%23d%25e",
                "/api/users/..%252f",
                "/api/users/%C3%A9",
                "/api/users?name=a%26b%3Dc&tags=x&tags=y%20z",
                "/api/users?page=2",
            ]
        );
    }

    #[tokio::test]
    async fn values_that_would_address_something_else_are_refused_without_a_call() {
        let service = Service::json(json!({})).await;
        let graph = Graph::new(USERS, &service.url);
        for id in ["", ".", ".."] {
            let error = graph
                .failure(&format!("{{ user(id: {id:?}) {{ name }} }}"))
                .await;
            assert_eq!(error.code, Code::BadUserInput, "{id:?}");
        }
        assert!(service.seen().is_empty());
        assert!(graph.calls().is_empty());
    }

    #[tokio::test]
    async fn an_input_object_is_the_body() {
        let service = Service::json(json!({ "name": "Ada" })).await;
        let graph = Graph::new(USERS, &service.url);
        graph
            .fetch("mutation { add(input: { name: \"Ada\", age: null }) { name } }")
            .await
            .unwrap();
        let seen = &service.seen()[0];
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("POST", "/api/users")
        );
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.body, r#"{"name":"Ada","age":null}"#);
        let call = &graph.calls()[0];
        assert_eq!(call.body.as_deref(), Some(seen.body.as_str()));
        assert_eq!(
            (call.target.as_str(), call.status.as_str()),
            ("/users", "200")
        );
    }

    #[tokio::test]
    async fn only_listed_headers_travel_and_the_nearest_rule_wins() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" }, headers: [
              { name: "authorization", from: "authorization" }
              { name: "x-level", value: "source" }
              { name: "x-gone", value: "source" }
              { name: "x-sub", value: "{$claims.sub}" }
            ])
            type Query {
              me: User @rest(GET: "/me", headers: [
                { name: "x-level", value: "operation" }
                { name: "x-gone", from: "x-nothing" }
              ])
            }
            type User { name: String }
        "#;
        let service = Service::json(json!({ "name": "Ada" })).await;
        let mut config = SourcesConfig::default();
        let headers = [
            ("x-level", "configuration"),
            ("x-only", "configuration"),
            ("x-gone", "c"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.sources.insert(
            "users".to_owned(),
            SourceOverride {
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone().into()))
                    .collect(),
                ..SourceOverride::default()
            },
        );
        let mut graph = Graph::configured(sdl, &service.url, &config);
        graph.context = caller("Bearer x");
        graph
            .context
            .headers
            .insert("cookie", "secret=1".parse().unwrap());
        graph.fetch("{ me { name } }").await.unwrap();
        let seen = &service.seen()[0];
        assert_eq!(seen.header("x-level"), Some("operation"));
        assert_eq!(seen.header("x-only"), Some("configuration"));
        assert_eq!(seen.header("x-gone"), None);
        assert_eq!(seen.header("authorization"), Some("Bearer x"));
        assert_eq!(seen.header("x-sub"), Some("Bearer x"));
        assert_eq!(seen.header("cookie"), None);
    }

    #[tokio::test]
    async fn every_call_carries_the_correlation_id_and_a_parent_of_its_own() {
        let service = Service::json(json!({ "name": "Ada" })).await;
        let graph = Graph::new(USERS, &service.url);
        for _ in 0..2 {
            graph.fetch("{ user(id: 1) { name } }").await.unwrap();
        }
        let seen = service.seen();
        let parents: Vec<&str> = seen
            .iter()
            .filter_map(|seen| seen.header("traceparent"))
            .collect();
        for (seen, parent) in seen.iter().zip(&parents) {
            assert_eq!(seen.header("x-correlation-id"), Some("corr-1"));
            assert_eq!(seen.header("tracestate"), Some("vendor=1"));
            assert!(
                parent.starts_with("00-07070707070707070707070707070707-"),
                "{parent}"
            );
            assert!(parent.ends_with("-01"), "{parent}");
        }
        assert_ne!(parents[0], parents[1]);
    }

    #[tokio::test]
    async fn no_rule_changes_what_goes_with_every_call() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" }, headers: [
              { name: "x-correlation-id", value: "mine" }
              { name: "traceparent", value: "mine" }
            ])
            type Query { me: User @rest(GET: "/me") }
            type User { name: String }
        "#;
        let service = Service::json(json!({})).await;
        let graph = Graph::new(sdl, &service.url);
        graph.fetch("{ me { name } }").await.unwrap();
        let headers = &service.seen()[0].headers;
        assert_eq!(
            headers
                .get_all("x-correlation-id")
                .iter()
                .collect::<Vec<_>>(),
            ["corr-1"]
        );
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        assert_ne!(headers["traceparent"], "mine");
    }

    #[tokio::test]
    async fn a_control_character_never_reaches_a_header() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" })
            type Query { user(id: ID!): User @rest(GET: "/user", headers: [{ name: "x-id", value: "{id}" }]) }
            type User { name: String }
        "#;
        let service = Service::json(json!({})).await;
        let graph = Graph::new(sdl, &service.url);
        let error = graph
            .failure(r#"{ user(id: "1\r\nx-admin: yes") { name } }"#)
            .await;
        assert_eq!(error.code, Code::BadUserInput);
        assert!(service.seen().is_empty());
    }

    #[tokio::test]
    async fn bodies_travel_in_the_encoding_that_is_asked_for() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" })
            type Query { none: User @rest(GET: "/") }
            type Mutation {
              form(name: String!, tags: [String!]): User @rest(POST: "/form", encoding: FORM)
              text(name: String!): User @rest(POST: "/text", encoding: TEXT, body: "$args.name")
              parts(name: String!): User @rest(POST: "/parts", encoding: MULTIPART)
            }
            type User { name: String }
        "#;
        let service = Service::json(json!({})).await;
        let graph = Graph::new(sdl, &service.url);
        for field in [
            "form(name: \"a b\", tags: [\"x\", \"y\"])",
            "text(name: \"a b\")",
            "parts(name: \"a b\")",
        ] {
            graph
                .fetch(&format!("mutation {{ {field} {{ name }} }}"))
                .await
                .unwrap();
        }
        let seen = service.seen();
        assert_eq!(
            seen[0].header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(seen[0].body, "name=a%20b&tags=x&tags=y");
        assert_eq!(
            seen[1].header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(seen[1].body, "a b");
        assert!(
            seen[2]
                .header("content-type")
                .unwrap()
                .starts_with("multipart/form-data; boundary=")
        );
        assert!(
            seen[2].body.contains("name=\"name\"\r\n\r\na b\r\n"),
            "{}",
            seen[2].body
        );
    }
}

mod replies {
    use super::*;

    #[tokio::test]
    async fn nothing_is_null() {
        for answer in [
            || typed(204, "application/json", ""),
            || typed(200, "application/json", ""),
            || reply(200, &Json::Null),
        ] {
            assert_eq!(name_of_user_1(answer).await.unwrap(), Json::Null);
        }
    }

    #[tokio::test]
    async fn a_wrong_type_is_an_error_of_its_field_alone() {
        let (_service, graph) =
            users(|| reply(200, &json!({ "id": 1, "name": 3, "age": "x" }))).await;
        assert_eq!(
            graph
                .fetch("{ user(id: 1) { id name age } }")
                .await
                .unwrap(),
            json!([
                1,
                "error: expected String, found an integer",
                "error: expected Int, found a text"
            ])
        );
        let list = name_of_user_1(|| reply(200, &json!([1]))).await.unwrap();
        assert_eq!(list, json!("error: expected an object, found a list"));
    }

    #[tokio::test]
    async fn what_is_no_json_is_an_invalid_response_and_is_never_quoted() {
        for answer in [
            || typed(200, "application/json", "secret, not JSON"),
            || typed(200, "application/json", "{\"name\":\"secret"),
            || typed(200, "application/json", "{\"name\":\"\u{0}secret\"}"),
            || {
                typed(
                    200,
                    "application/json",
                    b"{\"name\":\"\xffsecret\"}".to_vec(),
                )
            },
            || typed(200, "text/html", "<p>secret</p>"),
        ] {
            let error = failure(answer).await;
            assert_eq!(error.code, Code::UpstreamInvalidResponse);
            assert_eq!(error.message, "The service's answer is not as declared.");
            assert!(
                error
                    .internal
                    .is_some_and(|detail| !detail.contains("secret"))
            );
        }
    }

    #[tokio::test]
    async fn compressed_replies_are_read() {
        use tower_http::compression::CompressionLayer;
        let answer = || async { axum::Json(json!({ "name": "Ada".repeat(1000) })) };
        let app = axum::Router::new()
            .fallback(answer)
            .layer(CompressionLayer::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let graph = Graph::new(USERS, &url(address));
        let value = graph.fetch("{ user(id: 1) { name } }").await.unwrap();
        assert_eq!(value, json!(["Ada".repeat(1000)]));
    }
}

mod statuses {
    use super::*;

    fn not_found() -> Response<Body> {
        reply(404, &json!({ "message": "no such user" }))
    }

    fn problem(status: u16) -> Response<Body> {
        let body = json!({
            "type": "https://example.com/probs/age",
            "title": "Invalid",
            "detail": "Age must be positive.",
            "status": 999,
            "instance": "http://10.0.0.7/internal",
            "stack": "at main.rs:1",
            "errors": [{ "pointer": "#/age" }],
        });
        typed(
            status,
            "application/problem+json; charset=utf-8",
            body.to_string(),
        )
    }

    #[tokio::test]
    async fn one_that_was_asked_for_alone_may_be_missing() {
        assert_eq!(name_of_user_1(not_found).await.unwrap(), Json::Null);
        assert_eq!(
            name_of_user_1(|| reply(410, &json!({}))).await.unwrap(),
            Json::Null
        );
        let (_service, graph) = users(|| problem(404)).await;
        assert_eq!(
            graph.fetch("{ find(page: 1) { name } }").await.unwrap(),
            Json::Null
        );
    }

    #[tokio::test]
    async fn a_missing_one_is_an_error_where_null_is_not_the_answer() {
        let (_service, graph) = users(not_found).await;
        for operation in [
            "{ find(page: 1) { name } }",
            "{ must(id: 1) { name } }",
            "{ strict(id: 1) { name } }",
            "mutation { remove(id: 1) { name } }",
        ] {
            let error = graph.failure(operation).await;
            assert_eq!(error.code, Code::NotFound, "{operation}");
            assert_eq!(error.message, "Not found.");
        }
    }

    #[tokio::test]
    async fn a_page_for_people_is_a_wrong_address() {
        let error = failure(|| typed(404, "text/html; charset=utf-8", "<h1>404</h1>")).await;
        assert_eq!(error.code, Code::UpstreamInvalidResponse);
    }

    #[tokio::test]
    async fn what_the_caller_can_act_on_is_passed_on_and_nothing_else() {
        let error = failure(|| problem(422)).await;
        assert_eq!(error.code, Code::BadUserInput);
        assert_eq!(error.message, "Age must be positive.");
        assert_eq!(
            Json::Object(*error.problem.unwrap()),
            json!({
                "title": "Invalid",
                "status": 422,
                "type": "https://example.com/probs/age",
                "detail": "Age must be positive.",
                "errors": [{ "pointer": "#/age" }],
            })
        );
    }

    #[tokio::test]
    async fn a_service_that_fails_gets_our_own_words() {
        let error = failure(|| problem(500)).await;
        assert_eq!(error.code, Code::UpstreamError);
        assert_eq!(error.message, "The service failed.");
        let problem = Json::Object(*error.problem.unwrap());
        assert_eq!(
            problem,
            json!({ "title": "Internal Server Error", "status": 500 })
        );
    }

    #[tokio::test]
    async fn each_status_has_its_code() {
        let service = Service::new(|seen| {
            let status = seen
                .target
                .rsplit('/')
                .next()
                .and_then(|id| id.parse().ok());
            std::future::ready(reply(status.unwrap(), &json!({})))
        })
        .await;
        let graph = Graph::new(USERS, &service.url);
        let table = [
            (302, Code::UpstreamInvalidResponse),
            (400, Code::BadUserInput),
            (401, Code::Unauthenticated),
            (403, Code::Forbidden),
            (405, Code::UpstreamError),
            (408, Code::UpstreamTimeout),
            (409, Code::Conflict),
            (412, Code::Conflict),
            (413, Code::BadUserInput),
            (422, Code::BadUserInput),
            (429, Code::RateLimited),
            (499, Code::Cancelled),
            (500, Code::UpstreamError),
            (501, Code::UpstreamError),
            (502, Code::UpstreamUnavailable),
            (503, Code::UpstreamUnavailable),
            (504, Code::UpstreamTimeout),
        ];
        for (status, code) in table {
            let error = graph
                .failure(&format!("{{ user(id: {status}) {{ name }} }}"))
                .await;
            assert_eq!(error.code, code, "{status}");
        }
    }

    #[tokio::test]
    async fn retry_after_is_told_in_seconds_or_as_a_date() {
        let seconds = failure(|| {
            let mut answer = reply(429, &json!({}));
            answer
                .headers_mut()
                .insert("retry-after", "7".parse().unwrap());
            answer
        });
        assert_eq!(seconds.await.retry_after, Some(Duration::from_secs(7)));
        let date = failure(|| {
            let mut answer = reply(503, &json!({}));
            let date = "Fri, 31 Dec 2100 23:59:59 GMT";
            answer
                .headers_mut()
                .insert("retry-after", date.parse().unwrap());
            answer
        });
        assert!(
            date.await
                .retry_after
                .is_some_and(|after| after > Duration::from_secs(3600))
        );
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let elsewhere = Service::json(json!({ "name": "Mallory" })).await;
        let target = elsewhere.url.clone();
        let service = Service::new(move |_| {
            let mut answer = typed(307, "text/plain", "");
            answer
                .headers_mut()
                .insert("location", target.parse().unwrap());
            std::future::ready(answer)
        });
        let graph = Graph::new(USERS, &service.await.url);
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::UpstreamInvalidResponse);
        assert!(elsewhere.seen().is_empty());
    }

    #[tokio::test]
    async fn a_status_can_be_a_type_of_the_answer() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" })
            type Query { user(id: ID!): Result @rest(GET: "/users/{id}") }
            union Result = User | Gone
            type User { name: String }
            type Gone @variant(of: "Result", status: ["404", "410"]) { title: String status: Int @map(from: "$status") }
        "#;
        let service = Service::new(|seen| {
            std::future::ready(match seen.target.as_str() {
                "/users/1" => reply(200, &json!({ "name": "Ada" })),
                "/users/2" => reply(404, &json!({ "title": "left" })),
                _ => typed(410, "text/plain", "bye"),
            })
        })
        .await;
        let graph = Graph::new(sdl, &service.url);
        let read = async |id: u32| {
            let fields = "... on User { name } ... on Gone { title status }";
            graph
                .fetch(&format!("{{ user(id: {id}) {{ {fields} }} }}"))
                .await
                .unwrap()
        };
        assert_eq!(read(1).await, json!(["Ada"]));
        assert_eq!(read(2).await, json!(["left", 404]));
        assert_eq!(read(3).await, json!([410]));
    }

    #[tokio::test]
    async fn an_error_body_can_be_mapped() {
        let sdl = r#"
            extend schema @source(name: "users", http: { baseURL: "SERVICE" }, errors: {
              message: "error.text", extensions: { hint: "error.hint" },
              codes: [{ status: "409", code: "BAD_USER_INPUT" }, { status: "4xx", code: "SOLD_OUT" }]
            })
            type Query { user(id: ID!): User @rest(GET: "/users/{id}") }
            type User { name: String }
        "#;
        let service = Service::new(|seen| {
            let status = if seen.target == "/users/1" { 409 } else { 422 };
            let body = json!({ "error": { "text": "Too late.", "hint": 3, "trace": "x" } });
            std::future::ready(reply(status, &body))
        })
        .await;
        let graph = Graph::new(sdl, &service.url);
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::BadUserInput, "Too late.")
        );
        let problem = Json::Object(*error.problem.unwrap());
        assert_eq!(problem, json!({ "title": "Conflict", "status": 409 }));
        let mapped = error.mapped.unwrap();
        assert_eq!((mapped.code, &mapped.extensions["hint"]), (None, &json!(3)));
        let other = graph.failure("{ user(id: 2) { name } }").await;
        assert_eq!(other.mapped.unwrap().code.as_deref(), Some("SOLD_OUT"));
    }
}

mod misbehaviour {
    use super::*;

    /// A service that answers every connection with these bytes and closes it, or never answers.
    async fn raw(answer: Option<&'static [u8]>) -> Graph {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                match answer {
                    Some(bytes) => drop(stream.write_all(bytes).await),
                    None => hanging.push(stream),
                }
            }
        });
        let config = SourcesConfig {
            timeout: Duration::from_millis(80),
            ..SourcesConfig::default()
        };
        Graph::configured(USERS, &url(address), &config)
    }

    #[tokio::test]
    async fn a_reply_that_breaks_off_is_unavailable() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"name\":\"A\"}"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"nam",
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"",
        ] {
            let graph = raw(Some(answer)).await;
            let error = graph.failure("{ user(id: 1) { name } }").await;
            assert_eq!(error.code, Code::UpstreamUnavailable, "{error:?}");
            assert!(!error.outcome_unknown);
            assert_eq!(graph.calls()[0].status, "broken");
        }
    }

    #[tokio::test]
    async fn a_compressed_reply_that_is_none_is_invalid() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n{}{}";
        let error = raw(Some(answer))
            .await
            .failure("{ user(id: 1) { name } }")
            .await;
        assert_eq!(error.code, Code::UpstreamInvalidResponse, "{error:?}");
    }

    #[tokio::test]
    async fn a_service_that_hangs_is_given_up_in_time() {
        let graph = raw(None).await;
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::UpstreamTimeout);
        let call = &graph.calls()[0];
        assert_eq!((call.status.as_str(), call.bytes), ("timeout", 0));
        assert!(call.error.is_some());
    }

    #[tokio::test]
    async fn no_call_outlives_the_deadline_and_none_begins_after_it() {
        let mut graph = raw(None).await;
        graph.context.deadline = now() + Duration::from_millis(10);
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::DeadlineExceeded);
        let service = Service::json(json!({})).await;
        let mut graph = Graph::new(USERS, &service.url);
        graph.context.deadline = now();
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::DeadlineExceeded);
        assert!(service.seen().is_empty());
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_unavailable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let graph = Graph::new(USERS, &url(address));
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::UpstreamUnavailable);
        assert_eq!(error.message, "The service cannot be reached.");
        assert!(!error.message.contains(&address.port().to_string()));
        let error = graph.failure(ADD).await;
        assert!(!error.outcome_unknown, "nothing was sent");
    }

    #[tokio::test]
    async fn a_mutation_that_may_have_happened_says_so() {
        let broken = raw(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")).await;
        assert!(broken.failure(ADD).await.outcome_unknown);
        assert!(raw(None).await.failure(ADD).await.outcome_unknown);
        for (status, unknown) in [(408, true), (500, true), (501, false), (502, true)]
            .into_iter()
            .chain([(503, true), (504, true), (507, true), (409, false)])
        {
            let answer = move |_| std::future::ready(reply(status, &json!({})));
            let service = Service::new(answer).await;
            let error = Graph::new(USERS, &service.url).failure(ADD).await;
            assert_eq!(error.outcome_unknown, unknown, "{status}");
        }
        let (_service, odd) = users(|| typed(200, "application/json", "?")).await;
        assert!(odd.failure(ADD).await.outcome_unknown);
        let (_service, refused) = users(|| reply(422, &json!({}))).await;
        assert!(!refused.failure(ADD).await.outcome_unknown);
        let idempotent = "mutation { put(id: 1, input: { name: \"x\" }) { name } }";
        assert!(!raw(None).await.failure(idempotent).await.outcome_unknown);
    }

    fn small() -> SourcesConfig {
        SourcesConfig {
            max_reply_bytes: 1000,
            ..SourcesConfig::default()
        }
    }

    #[tokio::test]
    async fn a_reply_over_the_limit_is_refused_however_it_comes() {
        let stated = Service::json(json!({ "name": "x".repeat(2000) })).await;
        let streamed = Service::new(|_| {
            let pieces = (0..200).map(|_| Ok::<_, std::io::Error>("0123456789"));
            let body = Body::from_stream(futures_util::stream::iter(pieces));
            std::future::ready(typed(200, "application/json", body))
        })
        .await;
        for service in [stated, streamed] {
            let graph = Graph::configured(USERS, &service.url, &small());
            let error = graph.failure("{ user(id: 1) { name } }").await;
            assert_eq!(error.code, Code::UpstreamInvalidResponse);
            assert_eq!(graph.calls()[0].status, "too large");
        }
    }

    #[tokio::test]
    async fn the_limit_counts_what_was_decompressed() {
        use tower_http::compression::CompressionLayer;
        let answer = || async { axum::Json(json!({ "name": "x".repeat(1_000_000) })) };
        let app = axum::Router::new()
            .fallback(answer)
            .layer(CompressionLayer::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let config = SourcesConfig {
            max_reply_bytes: 100_000,
            ..SourcesConfig::default()
        };
        let graph = Graph::configured(USERS, &url(address), &config);
        let error = graph.failure("{ user(id: 1) { name } }").await;
        assert_eq!(error.code, Code::UpstreamInvalidResponse);
        assert_eq!(graph.calls()[0].status, "too large");
    }
}

mod merged_reads {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    const WHO: &str = r#"
        extend schema @source(name: "users", http: { baseURL: "SERVICE" }, headers: [{ name: "authorization", from: "authorization" }])
        type Query { me: User @rest(GET: "/me") }
        type Mutation { touch: User @rest(POST: "/touch") }
        type User { name: String }
    "#;

    /// Answers only once so many calls have come in, so that all of them are in flight together.
    async fn together(calls: usize) -> Service {
        let arrived = Arc::new((std::sync::atomic::AtomicUsize::new(0), Notify::new()));
        Service::new(move |seen| {
            let arrived = arrived.clone();
            async move {
                let (count, all) = &*arrived;
                let waiting = all.notified();
                if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 >= calls {
                    all.notify_waiters();
                } else {
                    waiting.await;
                }
                let who = seen.header("authorization").unwrap_or("nobody").to_owned();
                reply(200, &json!({ "name": who }))
            }
        })
        .await
    }

    async fn names(
        graph: &Graph,
        contexts: &[plan::source::Context],
        operation: &str,
    ) -> Vec<Json> {
        let plan = graph.plan(operation);
        let fetches = contexts
            .iter()
            .map(|context| graph.fetch_in(context, &plan));
        let values = futures_util::future::join_all(fetches).await;
        values.into_iter().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn identical_reads_in_flight_are_one_call() {
        let service = together(1).await;
        let graph = Graph::new(WHO, &service.url);
        let contexts = [caller("ada"), caller("ada"), caller("ada")];
        let names = names(&graph, &contexts, "{ me { name } }").await;
        assert_eq!(names, [json!(["ada"]), json!(["ada"]), json!(["ada"])]);
        assert_eq!(service.seen().len(), 1);
        let logs = contexts
            .iter()
            .flat_map(|context| context.calls.as_ref().unwrap().take());
        let coalesced: Vec<bool> = logs.map(|call| call.coalesced).collect();
        assert_eq!(coalesced, [false, true, true]);
    }

    #[tokio::test]
    async fn another_identity_is_never_answered_by_the_same_call() {
        let service = together(2).await;
        let graph = Graph::new(WHO, &service.url);
        let names = names(&graph, &[caller("ada"), caller("bob")], "{ me { name } }").await;
        assert_eq!(names, [json!(["ada"]), json!(["bob"])]);
        assert_eq!(service.seen().len(), 2);
    }

    #[tokio::test]
    async fn a_read_after_a_mutation_never_joins_one_from_before() {
        let service = together(2).await;
        let graph = Graph::new(WHO, &service.url);
        let mut later = caller("ada");
        later.epoch = 1;
        names(&graph, &[caller("ada"), later], "{ me { name } }").await;
        assert_eq!(service.seen().len(), 2);
    }

    #[tokio::test]
    async fn mutations_are_never_merged() {
        let service = together(2).await;
        let graph = Graph::new(WHO, &service.url);
        names(
            &graph,
            &[caller("ada"), caller("ada")],
            "mutation { touch { name } }",
        )
        .await;
        assert_eq!(service.seen().len(), 2);
    }

    #[tokio::test]
    async fn merging_can_be_off() {
        let service = together(2).await;
        let config = SourcesConfig {
            merge_reads: false,
            ..SourcesConfig::default()
        };
        let graph = Graph::configured(WHO, &service.url, &config);
        names(&graph, &[caller("ada"), caller("ada")], "{ me { name } }").await;
        assert_eq!(service.seen().len(), 2);
    }
}

mod paced {
    use std::num::NonZeroU32;

    use super::*;

    const PACED: &str = r#"
        extend schema @source(name: "users", http: { baseURL: "SERVICE" }, limits: { requestsPerSecond: 1 })
        type Query {
          users: [User] @rest(GET: "/all")
          user(id: ID!): User @rest(GET: "/users/{id}")
        }
        type Mutation { add: User @rest(POST: "/users") }
        type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }) { id: ID! name: String }
    "#;

    fn own(change: impl Fn(&mut SourceOverride)) -> SourcesConfig {
        let mut config = SourcesConfig::default();
        let mut own = SourceOverride::default();
        change(&mut own);
        config.sources.insert("users".to_owned(), own);
        config
    }

    #[tokio::test]
    async fn a_call_above_the_limit_is_not_made_and_says_when_to_come_back() {
        let service = Service::json(json!({ "id": "1", "name": "Ada" })).await;
        let graph = Graph::new(PACED, &service.url);
        assert!(graph.fetch("{ user(id: 1) { name } }").await.is_ok());
        let refused = graph.failure("{ user(id: 2) { name } }").await;
        assert_eq!(refused.code, Code::RateLimited);
        let wait = refused.retry_after.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(1_001));
        assert_eq!(service.targets(), ["/users/1"]);
        assert_eq!(graph.calls()[1].status, "rate limited");
    }

    #[tokio::test]
    async fn a_mutation_that_is_held_back_has_certainly_not_happened() {
        let service = Service::json(json!({ "id": "1" })).await;
        let graph = Graph::new(PACED, &service.url);
        assert!(graph.fetch("mutation { add { id } }").await.is_ok());
        let refused = graph.failure("mutation { add { id } }").await;
        assert!(!refused.outcome_unknown);
        assert_eq!(service.seen().len(), 1);
    }

    #[tokio::test]
    async fn merged_reads_take_one_token_together() {
        let service = Service::json(json!({ "id": "1", "name": "Ada" })).await;
        let graph = Graph::new(PACED, &service.url);
        let plan = graph.plan("{ user(id: 1) { name } }");
        let (a, b) = (caller("ada"), caller("ada"));
        let (a, b) = tokio::join!(graph.fetch_in(&a, &plan), graph.fetch_in(&b, &plan));
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(service.seen().len(), 1);
    }

    #[tokio::test]
    async fn the_configuration_beats_the_subgraph_file() {
        let service = Service::json(json!({ "id": "1", "name": "Ada" })).await;
        let config = own(|own| {
            own.requests_per_second = NonZeroU32::new(1);
            own.burst = NonZeroU32::new(3);
        });
        let graph = Graph::configured(PACED, &service.url, &config);
        for id in 1..=3 {
            let operation = format!("{{ user(id: {id}) {{ name }} }}");
            assert!(graph.fetch(&operation).await.is_ok());
        }
        let refused = graph.failure("{ user(id: 4) { name } }").await;
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(service.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_call_may_wait_for_its_turn() {
        let service = Service::json(json!({ "id": "1", "name": "Ada" })).await;
        let config = own(|own| {
            own.requests_per_second = NonZeroU32::new(50);
            own.burst = NonZeroU32::new(1);
            own.rate_wait = Some(Duration::from_secs(5));
        });
        let graph = Graph::configured(PACED, &service.url, &config);
        for id in 1..=3 {
            let operation = format!("{{ user(id: {id}) {{ name }} }}");
            assert!(graph.fetch(&operation).await.is_ok());
        }
        assert_eq!(service.seen().len(), 3);
    }
}
